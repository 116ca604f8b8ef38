//! Tells the time: real in a call, frozen while it is asked for its tools.

use guests::{Error, Guest, Outcome, Tool, tool};
use wasip2::clocks::{monotonic_clock, wall_clock};
use wasip2::random::{insecure, insecure_seed, random};

struct Plugin;

impl Guest for Plugin {
    fn list_tools() -> Vec<Tool> {
        vec![Tool { description: told(), ..tool("clocks") }]
    }

    fn call_tool(_: String, _: String) -> Result<Outcome, Error> {
        Ok(guests::text(told()))
    }
}

/// Everything that could tell one moment from another, as a JSON array.
fn told() -> String {
    let (seconds, ticks) = (wall_clock::now().seconds, monotonic_clock::now());
    let (secure, cheap) = (random::get_random_u64(), insecure::get_insecure_random_u64());
    let seed = insecure_seed::insecure_seed().0;
    format!("[{seconds},{ticks},{secure},{cheap},{seed}]")
}

guests::bindings::export!(Plugin with_types_in guests::bindings);
