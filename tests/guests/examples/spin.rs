//! Computes without end.

use std::hint::black_box;

use bulkhead_sdk::prelude::*;

plugin!(spin);

/// Never answers.
#[tool(read_only)]
fn spin() -> String {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}
