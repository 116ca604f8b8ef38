//! Audit records, read back with their chain verified.
//!
//! Written against the log's documented form and not with the host's own reader: a
//! mistake in both at once would go unseen.

use std::fs;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;

/// Reads every record of a log whose chain holds from its first line on; none where
/// there is no file yet.
///
/// # Panics
/// When a line is not one of the chain.
pub fn parse_log(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    // What follows the last line end is being written right now.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut prev = "0".repeat(64);
    let lines = whole.lines().enumerate();
    lines.map(|(at, line)| record(line, at as u64 + 1, &mut prev)).collect()
}

/// Checks one line against the hash of the one before it, and leaves its own there.
fn record(line: &str, seq: u64, prev: &mut String) -> Value {
    let record: Value = serde_json::from_str(line).expect("an audit record is JSON");
    let hash = record["hash"].as_str().expect("a record has a hash").to_owned();
    let sealed = line.strip_suffix(&format!(r#","hash":"{hash}"}}"#)).expect("the hash is last");
    assert_eq!(sha256(format!("{sealed}}}").as_bytes()), hash, "the hash is the line's: {line}");
    assert_eq!(record["prev"], Value::from(prev.as_str()), "a record continues the chain: {line}");
    assert_eq!(record["seq"], Value::from(seq), "records count from one: {line}");
    *prev = hash;
    record
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
