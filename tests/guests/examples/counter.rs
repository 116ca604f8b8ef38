//! Leaves something behind for the next caller, who must not find it.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use bulkhead_sdk::prelude::*;
use serde::Serialize;

plugin!(counter);

static CALLS: AtomicU32 = AtomicU32::new(0);

#[derive(Serialize, JsonSchema)]
struct Count {
    /// How many calls this memory has seen, this one included.
    calls: u32,
    /// Whether a file of an earlier call is there.
    file: bool,
}

/// Counts the calls that it remembers.
#[tool(read_only)]
fn counter() -> Count {
    let file = fs::exists("left-behind").unwrap_or(false);
    // Nowhere to write is what it should find.
    let _ = fs::write("left-behind", "by an earlier call");
    Count { calls: CALLS.fetch_add(1, Ordering::Relaxed) + 1, file }
}
