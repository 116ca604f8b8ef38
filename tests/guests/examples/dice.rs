//! Asks for more random bytes than anybody needs: the host makes them, and keeps them
//! outside the guest's memory until they are handed over.

use bulkhead_sdk::prelude::*;
use serde::Deserialize;
use wasip2::random;

plugin!(dice);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Throw {
    /// How many bytes.
    bytes: u64,
    /// Whether cheap ones will do.
    insecure: bool,
}

/// Asks for random bytes.
#[tool(read_only)]
fn dice(args: Throw) -> String {
    let bytes = match args.insecure {
        true => random::insecure::get_insecure_random_bytes(args.bytes),
        false => random::random::get_random_bytes(args.bytes),
    };
    format!("{} bytes", bytes.len())
}
