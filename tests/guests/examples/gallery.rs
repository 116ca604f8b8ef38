//! Returns blocks of any kind, as it is asked to.

use bulkhead_sdk::prelude::*;
use bulkhead_sdk::{Content, Value};
use serde::Deserialize;

plugin!(gallery);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// The block.
    block: Block,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Block {
    Image(Media),
    Audio(Media),
    Blob(Media),
    Link(String),
    /// A text, so many times.
    Text(String, usize),
    /// None: it fails with this message.
    Failure(String),
    Other(Value),
}

#[derive(Deserialize, JsonSchema)]
struct Media {
    /// The bytes, each a number.
    data: Vec<u8>,
    mime_type: String,
}

/// Returns one block.
#[tool(read_only)]
fn gallery(args: Wanted) -> Result<Output, ToolError> {
    Ok(Output::new().block(match args.block {
        Block::Image(Media { data, mime_type }) => Content::Image { data, mime_type },
        Block::Audio(Media { data, mime_type }) => Content::Audio { data, mime_type },
        Block::Blob(Media { data, mime_type }) => Content::BlobResource {
            uri: "res://blob".to_owned(),
            mime_type: Some(mime_type),
            blob: data,
        },
        Block::Link(uri) => Content::ResourceLink {
            uri,
            name: "a link".to_owned(),
            description: None,
            mime_type: None,
        },
        Block::Text(text, times) => Content::Text(text.repeat(times)),
        Block::Failure(message) => return Err(ToolError::new("IT_FAILED", message)),
        Block::Other(block) => Content::Other(block),
    }))
}
