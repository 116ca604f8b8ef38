//! Waits for its host, and burns nothing meanwhile.

use std::time::Duration;

use bulkhead_sdk::prelude::*;
use serde::Deserialize;

plugin!(slow);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nap {
    /// How long to wait before the answer, in milliseconds.
    ms: u64,
}

/// Waits, then answers. Reports progress once before it waits, so that whoever
/// asked for progress knows that it has begun.
#[tool(read_only)]
fn slow(args: Nap) -> String {
    call::progress(1.0, Some(2.0), Some("waiting"));
    std::thread::sleep(Duration::from_millis(args.ms));
    format!("waited {} ms", args.ms)
}
