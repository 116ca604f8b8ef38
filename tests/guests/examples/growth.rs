//! Grows its memory without touching it, by any step, and goes on when it is refused.

#[cfg(target_arch = "wasm32")]
use core::arch::wasm32::{memory_grow, memory_size};

use bulkhead_sdk::prelude::*;
use serde::Deserialize;

plugin!(growth);

/// For the lints of the host's own target, which has no such memory.
#[cfg(not(target_arch = "wasm32"))]
fn memory_grow<const MEMORY: u32>(_: usize) -> usize {
    usize::MAX
}

#[cfg(not(target_arch = "wasm32"))]
fn memory_size<const MEMORY: u32>() -> usize {
    0
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Steps {
    /// How many pages of 64 KiB to ask for at once.
    step: usize,
    /// How many times to ask; without it, until it is refused.
    times: Option<u32>,
    /// What to do when it is refused.
    then: Then,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Then {
    /// Answer with what it got.
    Cope,
    /// Crash, as most programs do.
    Crash,
    /// Ask for the same again, without end.
    Insist,
}

/// Grows.
#[tool(read_only)]
fn growth(args: Steps) -> String {
    let mut granted = 0_u32;
    while args.times.is_none_or(|times| granted < times) {
        if memory_grow::<0>(args.step) != usize::MAX {
            granted += 1;
            continue;
        }
        match args.then {
            Then::Cope => break,
            Then::Crash => std::process::abort(),
            Then::Insist => {}
        }
    }
    format!("granted {granted}, {} pages now", memory_size::<0>())
}
