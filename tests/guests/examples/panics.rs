//! Panics with a message that nobody but the operator may see.

use bulkhead_sdk::prelude::*;

plugin!(panics);

/// Fails the way a careless author's tool fails.
#[tool(read_only)]
#[expect(clippy::panic, reason = "it is what this guest is for")]
fn panics() -> String {
    panic!("connecting with password hunter2-4711 failed");
}
