//! Computes without end, and reports how much fuel that has burned so far.

use std::hint::black_box;

use bulkhead_sdk::prelude::*;

plugin!(metered);

/// Its quota in the test.
const QUOTA: u64 = 1_000_000_000_000;

/// Reports its own meter, every few milliseconds.
#[tool(read_only)]
fn metered() -> String {
    loop {
        for turn in 0..5_000_000_u64 {
            black_box(turn);
        }
        call::progress((QUOTA - call::remaining_fuel()) as f64, None, None);
    }
}
