//! Says back what it was told: the guest that does nothing wrong.

use bulkhead_sdk::prelude::*;
use serde::{Deserialize, Serialize};

plugin!(echo);

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Message {
    /// What is said back.
    message: String,
}

/// Says back what it was told.
#[tool(read_only, idempotent, open_world = false)]
fn echo(args: Message) -> Message {
    args
}
