//! Burns its fuel in calls of itself, none of which goes deep.

use std::hint::black_box;

use bulkhead_sdk::prelude::*;
use serde::Deserialize;

plugin!(recursion);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Depth {
    /// How deep the calls go; there are exponentially many of them.
    depth: u32,
}

/// Computes a Fibonacci number the slow way.
#[tool(read_only)]
fn recursion(args: Depth) -> String {
    fibonacci(args.depth).to_string()
}

fn fibonacci(n: u32) -> u64 {
    if n < 2 { u64::from(n) } else { fibonacci(black_box(n - 1)) + fibonacci(black_box(n - 2)) }
}
