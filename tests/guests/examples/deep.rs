//! Calls itself until a stack ends: the engine's, whose frames are small, or the one
//! that it keeps in its own memory, whose frames hold an array.

use std::hint::black_box;

use bulkhead_sdk::prelude::*;
use serde::Deserialize;

plugin!(deep);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Fall {
    /// How deep to go.
    depth: u64,
    /// Whether each frame holds an array in memory.
    arrays: bool,
}

/// Goes down, and comes up again where there is ground.
#[tool(read_only)]
fn deep(args: Fall) -> String {
    let depth = if args.arrays { fall_with_arrays(args.depth) } else { fall(args.depth) };
    format!("came back from {depth}")
}

fn fall(depth: u64) -> u64 {
    // An addition after the call, so that it is no loop.
    if depth == 0 { 0 } else { fall_on(depth - 1) + 1 }
}

/// Keeps the compiler from seeing through [`fall`].
#[inline(never)]
fn fall_on(depth: u64) -> u64 {
    black_box(fall as fn(u64) -> u64)(depth)
}

fn fall_with_arrays(depth: u64) -> u64 {
    let array = black_box([depth; 1_024]);
    if depth == 0 { 0 } else { fall_with_arrays(depth - 1) + array[7].min(1) }
}
