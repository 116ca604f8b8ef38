//! Fails with whatever code it is asked for.

use std::time::Duration;

use bulkhead_sdk::prelude::*;
use serde::Deserialize;

plugin!(fails);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Failure {
    /// The code to fail with.
    code: String,
    /// After how many milliseconds to ask for a retry.
    retry_after_ms: Option<u64>,
}

/// Fails.
#[tool(read_only)]
fn fails(args: Failure) -> Result<String, ToolError> {
    let error = ToolError::new(args.code, "It failed\u{1b}[31m as asked.").detail("left", 3);
    Err(match args.retry_after_ms {
        Some(ms) => error.retry_after(Duration::from_millis(ms)),
        None => error,
    })
}
