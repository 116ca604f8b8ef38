//! From what a guest returned to what may be sent.
//!
//! A plugin's output is text that somebody else wrote, on its way into a model's
//! context. Control characters and terminal escapes go from every string of it, its
//! size is bounded, and a structured result is checked against the schema that the tool
//! declared. Cleaned first, checked second: what is sent is what was checked.

mod content;
mod json;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

pub use content::{ContentBlock, Resource};
pub use json::{Unclean, clean_json};

use crate::error::{Code, Error, PluginCode, Retry};
use crate::runtime::{Block, Produced, RawOutput};
use crate::text::{clean_line, clean_text};
use crate::validation::Validators;

/// The longest message of a plugin's failure that is passed on, in characters: one
/// sentence, and some.
const MAX_MESSAGE_CHARS: usize = 1_000;

/// The largest details of a plugin's failure that are passed on, in bytes of JSON.
const MAX_DETAILS_BYTES: usize = 8 << 10;

/// The longest wait that a plugin may ask a client for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// The most blocks that one result may have.
const MAX_BLOCKS: usize = 256;

/// Evidence that an output is fit for a model.
///
/// ```compile_fail
/// bulkhead::sanitize::CleanOutput { content: Vec::new(), structured: None, bytes: 0 };
/// ```
#[derive(Debug)]
pub struct CleanOutput {
    content: Vec<ContentBlock>,
    structured: Option<Box<RawValue>>,
    bytes: usize,
}

impl CleanOutput {
    /// The blocks of the result, in order.
    pub fn content(&self) -> &[ContentBlock] {
        &self.content
    }

    /// The structured result.
    pub fn structured(&self) -> Option<&RawValue> {
        self.structured.as_deref()
    }

    /// How much it is: text, encoded media and structured result, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Cleans a tool's output, bounds it, and checks it against its schema.
///
/// # Errors
/// `OUTPUT_TOO_LARGE`; `OUTPUT_REJECTED` when it is not what the tool declares;
/// the plugin's own code when the tool failed, or `TOOL_ERROR` when that code is
/// none.
pub fn clean(raw: RawOutput, validators: &Validators) -> Result<CleanOutput, Error> {
    let tool = Arc::clone(raw.tool());
    let (blocks, structured) = match raw.into_produced() {
        Produced::Done { blocks, structured } => (blocks, structured),
        Produced::Failed { code, message, retryable, retry_after_ms, details } => {
            return Err(failure(&code, &message, retryable, retry_after_ms, details.as_deref()));
        }
        Produced::InputRequired => {
            return Err(Error::new(
                Code::ToolError,
                "The tool asks for input from the client, which this server does not pass on.",
            ));
        }
    };
    let quota = tool.per_call.max_output.as_usize();
    let size = blocks.iter().map(size_of_block).sum::<usize>();
    let bytes = size + structured.as_ref().map_or(0, String::len);
    if bytes > quota || blocks.len() > MAX_BLOCKS {
        return Err(too_large(tool.per_call.max_output));
    }

    let structured = structured.map(|text| clean_json(&text)).transpose().map_err(|unclean| {
        rejected("its structured result is not valid JSON").because(format!("{unclean:?}"))
    })?;
    let schemas = validators
        .of(tool.id)
        .ok_or_else(|| Error::internal("a tool without schemas in its snapshot"))?;
    match &structured {
        Some((value, _)) if !schemas.accepts_output(value) => {
            return Err(rejected("its structured result does not match its output schema"));
        }
        None if schemas.declares_output() => {
            return Err(rejected("it returned no structured result, which it declares"));
        }
        _ => {}
    }
    let structured = structured.map(|(_, text)| text);

    let mut content =
        blocks.into_iter().map(content_block).collect::<Result<Vec<ContentBlock>, Error>>()?;
    // For clients, and models, that read only text.
    if let (true, Some(structured)) = (content.is_empty(), &structured) {
        content.push(ContentBlock::Text { text: structured.get().to_owned() });
    }
    Ok(CleanOutput { content, structured, bytes })
}

fn too_large(quota: crate::names::ByteCount) -> Error {
    let message = format!(
        "The tool's result is too large. Ask for less of it. Its quota `per_call.max_output` is {quota}."
    );
    Error::new(Code::OutputTooLarge, message)
        .detail("quota", "per_call.max_output")
        .detail("limit", quota.to_string())
}

fn rejected(why: &'static str) -> Error {
    Error::new(Code::OutputRejected, format!("The tool's result was withheld: {why}."))
}

/// A plugin's own failure. A code that is not one is told as `TOOL_ERROR`.
fn failure(
    code: &str,
    message: &str,
    retryable: bool,
    retry_after_ms: Option<u64>,
    details: Option<&str>,
) -> Error {
    let message = clean_line(message, MAX_MESSAGE_CHARS);
    let mut error = match PluginCode::parse(code) {
        Some(code) => Error::new(Code::Plugin(code), message),
        None => Error::new(Code::ToolError, message)
            .because(format!("a malformed code: {}", clean_line(code, 64))),
    };
    if retryable {
        error = error.retry(match retry_after_ms {
            Some(ms) => Retry::After(Duration::from_millis(ms).min(MAX_RETRY_AFTER)),
            None => Retry::Maybe,
        });
    }
    for (key, value) in details.map(details_object).unwrap_or_default() {
        error = error.detail(&key, value);
    }
    error
}

/// The details of a failure, when they are a small JSON object; nothing otherwise.
fn details_object(text: &str) -> Map<String, Value> {
    let small = text.len() <= MAX_DETAILS_BYTES;
    match small.then(|| clean_json(text)) {
        Some(Ok((Value::Object(details), _))) => details,
        _ => Map::new(),
    }
}

/// What a block takes on the wire, in bytes.
fn size_of_block(block: &Block) -> usize {
    let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let encoded = |data: &[u8]| data.len().div_ceil(3) * 4;
    match block {
        Block::Text(text) | Block::Other(text) => text.len(),
        Block::Image { data, mime_type } | Block::Audio { data, mime_type } => {
            encoded(data) + mime_type.len()
        }
        Block::ResourceLink { uri, name, description, mime_type } => {
            uri.len() + name.len() + optional(description) + optional(mime_type)
        }
        Block::ResourceText { uri, mime_type, text } => {
            uri.len() + optional(mime_type) + text.len()
        }
        Block::ResourceBlob { uri, mime_type, data } => {
            uri.len() + optional(mime_type) + encoded(data)
        }
    }
}

fn content_block(block: Block) -> Result<ContentBlock, Error> {
    let text = |dirty: String| match clean_text(&dirty) {
        Cow::Borrowed(_) => dirty,
        Cow::Owned(clean) => clean,
    };
    let encode = |data: Vec<u8>| STANDARD.encode(data);
    Ok(match block {
        Block::Text(dirty) => ContentBlock::Text { text: text(dirty) },
        Block::Image { data, mime_type } => {
            ContentBlock::Image { data: encode(data), mime_type: text(mime_type) }
        }
        Block::Audio { data, mime_type } => {
            ContentBlock::Audio { data: encode(data), mime_type: text(mime_type) }
        }
        Block::ResourceLink { uri, name, description, mime_type } => ContentBlock::ResourceLink {
            uri: text(uri),
            name: text(name),
            description: description.map(text),
            mime_type: mime_type.map(text),
        },
        Block::ResourceText { uri, mime_type, text: contents } => ContentBlock::Resource {
            resource: Resource {
                uri: text(uri),
                mime_type: mime_type.map(text),
                text: Some(text(contents)),
                blob: None,
            },
        },
        Block::ResourceBlob { uri, mime_type, data } => ContentBlock::Resource {
            resource: Resource {
                uri: text(uri),
                mime_type: mime_type.map(text),
                text: None,
                blob: Some(encode(data)),
            },
        },
        Block::Other(json) => match clean_json(&json) {
            Ok((Value::Object(block), json)) if block.get("type").is_some_and(Value::is_string) => {
                ContentBlock::Other(json)
            }
            _ => return Err(rejected("one of its blocks is not an MCP content block")),
        },
    })
}
