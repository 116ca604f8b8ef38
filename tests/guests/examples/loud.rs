//! Returns too much, and characters that act on terminals and readers.

use bulkhead_sdk::prelude::*;
use serde::Deserialize;

plugin!(loud, colored);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Volume {
    /// How many bytes of text to return.
    bytes: usize,
}

/// Returns as much text as it is asked for.
#[tool(read_only)]
fn loud(args: Volume) -> String {
    "x".repeat(args.bytes)
}

/// Returns control characters and terminal escapes, in text and structured.
#[tool(read_only)]
fn colored() -> Result<Output, ToolError> {
    let dirty = "\u{1b}[2J\u{1b}]0;owned\u{7}red\u{8}\u{0} \u{9b}31malert\r\nend";
    Output::new().text(dirty).structured(&json!({ "dirty": dirty, "\u{1b}[1mkey": 1 }))
}
