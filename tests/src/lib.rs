//! The harness of the end-to-end tests: a real server process, driven through what
//! its users see.
//!
//! ```text
//! let host = Host::test().plugin("echo").agent("alice", &["echo:*"]).start().await;
//! let alice = host.client("alice").await;
//! alice.call("echo", json!({ "message": "hi" })).await.expect_ok();
//! ```
//!
//! Nothing here sleeps and hopes: whatever is not there yet is waited for, up to
//! [`PATIENCE`]. A harness fails loudly, so everything here panics where something
//! is not as it should be, and says what was expected.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::print_stderr)]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a harness fails loudly")]

mod answer;
mod artifacts;
mod audit;
mod client;
mod folder;
mod host;
mod issuer;
mod log;
mod memory;
mod message;
mod splice;
mod stdio;
mod wait;

pub use answer::Answer;
pub use artifacts::{bulkhead, component, workspace};
pub use audit::{parse_log, sha256};
pub use client::{Client, Stream};
pub use folder::{Folder, Key};
pub use host::{Host, Setup};
pub use issuer::{Issuer, Manner, RESOURCE, base64url, now};
pub use log::Log;
pub use memory::MemoryWatch;
pub use message::{LEGACY, MODERN, OLDER, request};
pub use splice::{Splice, assembled, module};
pub use stdio::Stdio;
pub use wait::{PATIENCE, until};
