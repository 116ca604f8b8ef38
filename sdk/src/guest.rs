//! The component's side of the contract: the generated bindings, and this crate's
//! types in their terms. Compiled for WebAssembly only.

use serde_json::{Map, Value};

use crate::call::Level;
use crate::expansion::{self, Entry};
use crate::{Annotations, Content, Declaration, Output, Retry, ToolError};
use bindings::bulkhead::plugin::types as wit;
use bindings::exports::bulkhead::plugin::tools::Guest;

pub use bindings::export;

#[allow(missing_docs, reason = "generated from wit/, which is documented")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../wit/0.2",
        world: "tool-plugin",
        pub_export_macro: true,
    });
}

/// The imported functions, and `log` in this crate's words.
pub(crate) mod host {
    use super::Level;
    use super::bindings::bulkhead::plugin::call;

    pub(crate) use call::*;

    pub(crate) fn log(level: Level, message: &str) {
        call::log(level.into(), message);
    }
}

/// A plugin, which `plugin!` defines.
pub trait Plugin {
    /// Its tools, in the order in which they are listed.
    const TOOLS: &'static [Entry];
}

impl<P: Plugin> Guest for P {
    fn list_tools() -> Vec<wit::Tool> {
        P::TOOLS.iter().map(|tool| (tool.declare)().into()).collect()
    }

    fn call_tool(name: String, arguments: String) -> Result<wit::Outcome, wit::Error> {
        let output = expansion::call(P::TOOLS, &name, &arguments).map_err(told)?;
        Ok(wit::Outcome::Done(output.into()))
    }
}

/// The error without its cause, which the operator's log is told.
fn told(error: ToolError) -> wit::Error {
    if let Some(cause) = error.cause() {
        host::log(Level::Error, &format!("{}: {cause}", error.code));
    }
    error.into()
}

impl From<Declaration> for wit::Tool {
    fn from(tool: Declaration) -> Self {
        Self {
            name: tool.name.to_owned(),
            title: tool.title.map(str::to_owned),
            description: tool.description.to_owned(),
            input_schema: tool.input_schema.to_string(),
            output_schema: tool.output_schema.map(|schema| schema.to_string()),
            annotations: annotations(tool.annotations),
            extra: None,
        }
    }
}

/// `None` where the tool says nothing about itself.
fn annotations(annotations: Annotations) -> Option<wit::Annotations> {
    let said = annotations != Annotations::default();
    said.then_some(wit::Annotations {
        read_only: annotations.read_only,
        destructive: annotations.destructive,
        idempotent: annotations.idempotent,
        open_world: annotations.open_world,
        extra: None,
    })
}

impl From<Output> for wit::Output {
    fn from(output: Output) -> Self {
        Self {
            content: output.content.into_iter().map(Into::into).collect(),
            structured: output.structured,
            extra: object(output.extra),
        }
    }
}

impl From<Content> for wit::Content {
    fn from(content: Content) -> Self {
        let extra = None;
        match content {
            Content::Text(text) => Self::Text(wit::Text { text, extra }),
            Content::Image { data, mime_type } => {
                Self::Image(wit::Media { data, mime_type, extra })
            }
            Content::Audio { data, mime_type } => {
                Self::Audio(wit::Media { data, mime_type, extra })
            }
            Content::ResourceLink { uri, name, description, mime_type } => {
                Self::ResourceLink(wit::ResourceLink { uri, name, description, mime_type, extra })
            }
            Content::TextResource { uri, mime_type, text } => {
                Self::Resource(wit::EmbeddedResource {
                    uri,
                    mime_type,
                    contents: wit::ResourceContents::Text(text),
                    extra,
                })
            }
            Content::BlobResource { uri, mime_type, blob } => {
                Self::Resource(wit::EmbeddedResource {
                    uri,
                    mime_type,
                    contents: wit::ResourceContents::Blob(blob),
                    extra,
                })
            }
            Content::Other(block) => Self::Other(block.to_string()),
        }
    }
}

impl From<ToolError> for wit::Error {
    fn from(error: ToolError) -> Self {
        let retry_after_ms = match error.retry {
            Retry::Never | Retry::Anytime => None,
            // Rounded up: whoever waits so long is not too early.
            Retry::After(wait) => {
                Some(u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
            }
        };
        Self {
            code: error.code.into_owned(),
            message: error.message,
            retryable: error.retry != Retry::Never,
            retry_after_ms,
            details: object(error.details),
            extra: None,
        }
    }
}

/// An object without keys says nothing, so it is not sent.
fn object(map: Map<String, Value>) -> Option<String> {
    let said = !map.is_empty();
    said.then(|| Value::Object(map).to_string())
}

impl From<Level> for bindings::bulkhead::plugin::call::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Notice => Self::Notice,
            Level::Warning => Self::Warning,
            Level::Error => Self::Error,
            Level::Critical => Self::Critical,
            Level::Alert => Self::Alert,
            Level::Emergency => Self::Emergency,
        }
    }
}
