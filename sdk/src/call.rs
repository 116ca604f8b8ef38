//! The call that is being served: who makes it, what is left of its quota, and
//! what the caller and the operator are told meanwhile.
//!
//! In a native test there is no caller: texts and lists are empty, options are
//! `None`, time and fuel are endless, and nobody reads progress or logs. A tool
//! whose answer depends on the caller is best split in two: a function that takes
//! what it needs, which tests call, and the tool, which asks here and calls it.

use std::time::Duration;

use serde_json::{Map, Value};

#[cfg(target_family = "wasm")]
use crate::guest::host;
#[cfg(not(target_family = "wasm"))]
use nobody as host;

/// How much a log line matters; the levels of RFC 5424, as MCP uses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// For whoever looks for a fault in the plugin.
    Debug,
    /// What normally happens.
    Info,
    /// Normal, but worth a look.
    Notice,
    /// Something that may become a problem.
    Warning,
    /// The call fails.
    Error,
    /// The plugin cannot do what it is for.
    Critical,
    /// Somebody has to act now.
    Alert,
    /// Nothing works.
    Emergency,
}

/// Which program calls: the authenticated agent's name.
pub fn agent() -> String {
    host::agent()
}

/// On whose behalf it calls, where the credential says so.
pub fn subject() -> Option<String> {
    host::subject()
}

/// The scopes that the caller holds, as they were granted (`records:*`).
///
/// The host has already decided that this caller may call this tool; a tool looks
/// here only where scopes decide what it answers.
pub fn scopes() -> Vec<String> {
    host::scopes()
}

/// The host's name for this call: the same in the audit record, and in an error
/// that a client sees.
pub fn request_id() -> String {
    host::request_id()
}

/// The W3C trace context's `traceparent`, where the client sent one.
pub fn traceparent() -> Option<String> {
    host::traceparent()
}

/// The W3C trace context's `tracestate`, where the client sent one.
pub fn tracestate() -> Option<String> {
    host::tracestate()
}

/// The request's `_meta` without the keys that belong to MCP itself. The client
/// wrote it: it proves nothing.
pub fn client_metadata() -> Map<String, Value> {
    serde_json::from_str(&host::client_metadata()).unwrap_or_default()
}

/// The time that is left until the host ends this call.
pub fn remaining_time() -> Duration {
    Duration::from_millis(host::remaining_time_ms())
}

/// The fuel that is left for this call; about one unit per wasm instruction.
pub fn remaining_fuel() -> u64 {
    host::remaining_fuel()
}

/// The bytes that this call's result may have. A tool that can say less looks here
/// before it says too much, which is `OUTPUT_TOO_LARGE`.
pub fn max_output_bytes() -> u64 {
    host::max_output_bytes()
}

/// Tells the client how far the call is: `done` of `total`, in a unit of the
/// tool's choosing. `done` must grow from one report to the next; a report that
/// does not is dropped. Costs one host call.
pub fn progress(done: f64, total: Option<f64>, message: Option<&str>) {
    host::progress(done, total, message);
}

/// Writes a line to the operator's log, under this call's request id. The host
/// cleans and cuts the text. Costs one host call.
pub fn log(level: Level, message: &str) {
    host::log(level, message);
}

/// The answers where there is no host.
#[cfg(not(target_family = "wasm"))]
mod nobody {
    use super::Level;

    pub(super) fn agent() -> String {
        String::new()
    }

    pub(super) fn subject() -> Option<String> {
        None
    }

    pub(super) fn scopes() -> Vec<String> {
        Vec::new()
    }

    pub(super) fn request_id() -> String {
        String::new()
    }

    pub(super) fn traceparent() -> Option<String> {
        None
    }

    pub(super) fn tracestate() -> Option<String> {
        None
    }

    pub(super) fn client_metadata() -> String {
        "{}".to_owned()
    }

    pub(super) fn remaining_time_ms() -> u64 {
        u64::MAX
    }

    pub(super) fn remaining_fuel() -> u64 {
        u64::MAX
    }

    pub(super) fn max_output_bytes() -> u64 {
        u64::MAX
    }

    pub(super) fn progress(_done: f64, _total: Option<f64>, _message: Option<&str>) {}

    pub(super) fn log(_level: Level, _message: &str) {}
}
