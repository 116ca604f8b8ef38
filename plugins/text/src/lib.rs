//! Text tools: what an agent would otherwise guess at by reading.

use bulkhead_sdk::plugin;

mod diff;
mod pattern;
mod regex_extract;
mod regex_replace;
mod stats;

plugin!(
    stats::text_stats,
    diff::text_diff,
    regex_extract::regex_extract,
    regex_replace::regex_replace,
);
