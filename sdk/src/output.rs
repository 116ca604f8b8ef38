//! What a tool answers.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::ToolError;

/// A result with content of its own choosing: text next to images, links, or a
/// structured value with a text that reads better than its JSON.
///
/// Most tools return less than that. What the return type says:
///
/// | a tool returns | the model gets | output schema |
/// |---|---|---|
/// | `String`, `&'static str`, `Cow<'static, str>` | one text block | none |
/// | `T: Serialize + JsonSchema` | the value, structured; the host adds it as text | that of `T` |
/// | `Output` | what was put into it | none |
/// | `Result<_, E>`, `E: Into<ToolError>` | one of the above, or the error | as above |
///
/// ```
/// use bulkhead_sdk::{Content, Output};
///
/// let output = Output::new()
///     .text("Revenue by quarter:")
///     .image(b"\x89PNG", "image/png");
/// assert_eq!(output.content[0], Content::Text("Revenue by quarter:".into()));
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Output {
    /// What a model reads, in order. Where this is empty and `structured` is not,
    /// the host adds the structured result as one text block.
    pub content: Vec<Content>,
    /// The structured result, as JSON text.
    pub structured: Option<String>,
    /// What a later version of the contract may understand.
    pub extra: Map<String, Value>,
}

/// One block of a result.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Content {
    /// Plain text.
    Text(String),
    /// An image.
    Image {
        /// The bytes; the host encodes them for the wire.
        data: Vec<u8>,
        /// The media type, as `image/png`.
        mime_type: String,
    },
    /// A piece of audio.
    Audio {
        /// The bytes; the host encodes them for the wire.
        data: Vec<u8>,
        /// The media type, as `audio/wav`.
        mime_type: String,
    },
    /// A reference to a resource that the client may read.
    ResourceLink {
        /// Where it is.
        uri: String,
        /// A short name for it.
        name: String,
        /// What it holds.
        description: Option<String>,
        /// Its media type, where known.
        mime_type: Option<String>,
    },
    /// A text that has an address of its own.
    TextResource {
        /// The resource's address.
        uri: String,
        /// Its media type, where known.
        mime_type: Option<String>,
        /// What it holds.
        text: String,
    },
    /// Bytes that have an address of their own.
    BlobResource {
        /// The resource's address.
        uri: String,
        /// Its media type, where known.
        mime_type: Option<String>,
        /// What it holds; the host encodes it for the wire.
        blob: Vec<u8>,
    },
    /// Any MCP content block: an object with a `type`.
    Other(Value),
}

impl Output {
    /// An output without content.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a block of plain text.
    #[must_use]
    pub fn text(self, text: impl Into<String>) -> Self {
        self.block(Content::Text(text.into()))
    }

    /// Adds an image, with its media type (`image/png`).
    #[must_use]
    pub fn image(self, data: impl Into<Vec<u8>>, mime_type: impl Into<String>) -> Self {
        let (data, mime_type) = (data.into(), mime_type.into());
        self.block(Content::Image { data, mime_type })
    }

    /// Adds a piece of audio, with its media type (`audio/wav`).
    #[must_use]
    pub fn audio(self, data: impl Into<Vec<u8>>, mime_type: impl Into<String>) -> Self {
        let (data, mime_type) = (data.into(), mime_type.into());
        self.block(Content::Audio { data, mime_type })
    }

    /// Adds a link to a resource. [`Output::block`] takes one with a description.
    #[must_use]
    pub fn resource_link(self, uri: impl Into<String>, name: impl Into<String>) -> Self {
        self.block(Content::ResourceLink {
            uri: uri.into(),
            name: name.into(),
            description: None,
            mime_type: None,
        })
    }

    /// Adds any block.
    #[must_use]
    pub fn block(mut self, block: Content) -> Self {
        self.content.push(block);
        self
    }

    /// Sets the structured result.
    ///
    /// # Errors
    /// `INVALID_OUTPUT`, where the value has no form in JSON, such as a map whose
    /// keys are not strings.
    pub fn structured(mut self, value: &impl Serialize) -> Result<Self, ToolError> {
        let json = serde_json::to_string(value).map_err(|error| {
            ToolError::new("INVALID_OUTPUT", "The tool's result has no form in JSON.")
                .because(error)
        })?;
        self.structured = Some(json);
        Ok(self)
    }

    /// Adds a key for what a later version of the contract may understand.
    #[must_use]
    pub fn extra(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.extra.insert(key.into(), value.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_structured_result_is_json_text() {
        let output = Output::new().structured(&BTreeMap::from([("b", 2), ("a", 1)]));
        let json = output.unwrap().structured.unwrap();
        assert_eq!(json, r#"{"a":1,"b":2}"#);
    }

    #[test]
    fn what_has_no_form_in_json_is_an_error() {
        let error = Output::new().structured(&BTreeMap::from([([1, 2], "x")])).unwrap_err();
        assert_eq!(error.code, "INVALID_OUTPUT");
    }
}
