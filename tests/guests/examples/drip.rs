//! Prints and reports a little at a time, and never comes to its answer.

use std::time::Duration;

use bulkhead_sdk::prelude::*;
use serde::Deserialize;

plugin!(drip);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Drips {
    /// How many there are; without it, without end.
    count: Option<u32>,
}

/// Drips.
#[tool(read_only)]
#[expect(clippy::print_stdout, reason = "it is what this guest is for")]
fn drip(args: Drips) -> String {
    let mut drips = 0_u32;
    while args.count.is_none_or(|count| drips < count) {
        print!(".");
        call::progress(f64::from(drips), None, None);
        std::thread::sleep(Duration::from_millis(5));
        drips += 1;
    }
    format!("{drips} drips")
}
