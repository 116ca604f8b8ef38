//! Returns what its own output schema forbids.

use bulkhead_sdk::prelude::*;
use serde::Serialize;

plugin!(mismatch);

#[derive(Serialize, JsonSchema)]
struct Count {
    #[schemars(with = "u32")]
    count: &'static str,
}

/// Promises a number, and returns a text.
#[tool(read_only)]
fn mismatch() -> Count {
    Count { count: "many" }
}
