//! Asks its host for more than it may.

use bulkhead_sdk::call::Level;
use bulkhead_sdk::prelude::*;
use serde::Deserialize;

plugin!(chatty);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Flood {
    /// How many lines to log.
    lines: u32,
    /// How many times to report progress.
    reports: u32,
}

/// Logs lines and reports progress.
#[tool(read_only)]
fn chatty(args: Flood) -> String {
    for line in 0..args.lines {
        call::log(Level::Warning, &format!("line \u{1b}[31m{line}\nforged: line"));
    }
    for report in 0..args.reports {
        call::progress(f64::from(report), None, None);
    }
    "said it all".to_owned()
}
