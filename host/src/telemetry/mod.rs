//! What the operator can know about calls: one record for each, metrics, the log.
//!
//! A call's [`OpenRecord`] is opened before its first decision and settles exactly
//! once, by [`OpenRecord::close`] or by its drop. What settles there is both the
//! line in the audit log and the metrics, so that the two never disagree.
//!
//! Deliberately absent: argument values. Until redaction exists, a record holds
//! the names, the JSON types and the lengths of the arguments only.

mod audit;
mod chain;
mod file;
mod find;
mod logging;
mod metrics;
mod record;
mod shape;
mod why;
mod writer;

pub use audit::{AuditLog, OpenRecord};
pub use chain::{Broken, Summary, verify};
pub use file::CannotOpen;
pub use find::{FoundRecord, Search, find};
pub use logging::log_to_stderr;
pub use metrics::{CONTENT_TYPE, Metrics};
pub use record::{CallRecord, Ending, trace_id};
pub use why::{Gate, Why};
