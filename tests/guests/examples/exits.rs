//! Ends its program instead of answering.

use bulkhead_sdk::prelude::*;
use serde::Deserialize;

plugin!(exits);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Exit {
    /// With this status; without it, it stays and answers.
    status: Option<i32>,
}

/// Leaves.
#[tool(read_only)]
fn exits(args: Exit) -> String {
    if let Some(status) = args.status {
        std::process::exit(status);
    }
    "stayed".to_owned()
}
