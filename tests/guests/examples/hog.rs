//! Takes memory without end, and touches all of it.

use std::hint::black_box;

use bulkhead_sdk::prelude::*;
use serde::Deserialize;

plugin!(hog);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Appetite {
    /// How much to take, in MiB; without it, everything.
    mib: Option<usize>,
}

/// Takes memory, a MiB at a time.
#[tool(read_only)]
fn hog(args: Appetite) -> String {
    let mut held = Vec::new();
    while args.mib.is_none_or(|mib| held.len() < mib) {
        held.push(black_box(vec![0xa5_u8; 1 << 20]));
    }
    format!("held {} MiB", held.len())
}
