//! MCP's content blocks, as they go out.

use serde::Serialize;
use serde_json::value::RawValue;

/// A block of a tool result (MCP `ContentBlock`), its strings already cleaned.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
#[expect(missing_docs, reason = "the names of MCP's own fields")]
pub enum ContentBlock {
    Text {
        text: String,
    },
    Image {
        data: String,
        mime_type: String,
    },
    Audio {
        data: String,
        mime_type: String,
    },
    ResourceLink {
        uri: String,
        name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        mime_type: Option<String>,
    },
    Resource {
        resource: Resource,
    },
    /// Any block, as one JSON object with a `type`.
    #[serde(untagged)]
    Other(Box<RawValue>),
}

impl ContentBlock {
    /// What it takes on the wire, but for the names of its fields, in bytes.
    pub(super) fn size(&self) -> usize {
        let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        match self {
            Self::Text { text } => text.len(),
            Self::Image { data, mime_type } | Self::Audio { data, mime_type } => {
                data.len() + mime_type.len()
            }
            Self::ResourceLink { uri, name, description, mime_type } => {
                uri.len() + name.len() + optional(description) + optional(mime_type)
            }
            Self::Resource { resource: Resource { uri, mime_type, text, blob } } => {
                uri.len() + optional(mime_type) + optional(text) + optional(blob)
            }
            Self::Other(json) => json.get().len(),
        }
    }
}

/// An embedded resource; has either text or a blob.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names of MCP's own fields")]
pub struct Resource {
    pub uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blob: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_written_as_mcp_names_them() {
        let raw = RawValue::from_string(r#"{"type":"x","y":1.50}"#.to_owned()).unwrap();
        let rows = [
            (ContentBlock::Text { text: "a".into() }, r#"{"type":"text","text":"a"}"#),
            (
                ContentBlock::Image { data: "AA==".into(), mime_type: "image/png".into() },
                r#"{"type":"image","data":"AA==","mimeType":"image/png"}"#,
            ),
            (
                ContentBlock::ResourceLink {
                    uri: "a:b".into(),
                    name: "n".into(),
                    description: None,
                    mime_type: Some("text/plain".into()),
                },
                r#"{"type":"resource_link","uri":"a:b","name":"n","mimeType":"text/plain"}"#,
            ),
            (ContentBlock::Other(raw), r#"{"type":"x","y":1.50}"#),
        ];
        for (block, json) in rows {
            assert_eq!(serde_json::to_string(&block).unwrap(), json);
        }
    }
}
