//! What the guests share that misbehave where the SDK would not let them: the
//! contract's bare bindings, and lists of tools that are wrong. The contract is the
//! version before the current one, which the host serves too.
//!
//! Guests that only compute, wait or answer wrongly are written with the SDK, as
//! anybody's plugin is.

#[allow(missing_docs, reason = "generated from wit/, which is documented")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/0.1",
        world: "tool-plugin",
        pub_export_macro: true,
    });
}

use bindings::bulkhead::plugin::types::{Content, Output, Text};
pub use bindings::bulkhead::plugin::types::{Error, Outcome, Tool};
pub use bindings::exports::bulkhead::plugin::tools::Guest;

/// A tool that takes nothing and says nothing about itself.
pub fn tool(name: &str) -> Tool {
    Tool {
        name: name.to_owned(),
        title: None,
        description: "Does nothing.".to_owned(),
        input_schema: r#"{"type":"object"}"#.to_owned(),
        output_schema: None,
        annotations: None,
        extra: None,
    }
}

/// A result of one block of text.
pub fn text(text: impl Into<String>) -> Outcome {
    let text = Text { text: text.into(), extra: None };
    Outcome::Done(Output { content: vec![Content::Text(text)], structured: None, extra: None })
}

/// Makes the crate a plugin that lists the tools which this expression returns, and
/// answers every call.
#[macro_export]
macro_rules! lists {
    ($tools:expr) => {
        struct Plugin;

        impl $crate::Guest for Plugin {
            fn list_tools() -> Vec<$crate::Tool> {
                $tools
            }

            fn call_tool(_: String, _: String) -> Result<$crate::Outcome, $crate::Error> {
                Ok($crate::text("called"))
            }
        }

        $crate::bindings::export!(Plugin with_types_in $crate::bindings);
    };
}
