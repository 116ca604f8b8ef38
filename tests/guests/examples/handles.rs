//! Keeps everything that the host gives it.

use std::mem::forget;

use bulkhead_sdk::prelude::*;
use serde::Deserialize;
use wasip2::{cli, clocks, io, sockets};

plugin!(handles, crowded_poll);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Keep {
    /// What to keep.
    kind: Kind,
    /// How many; without it, without end.
    count: Option<u32>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Timer,
    Input,
    Output,
    Subscription,
    Network,
}

/// Keeps them.
#[tool(read_only)]
fn handles(args: Keep) -> String {
    let mut kept = 0_u32;
    while args.count.is_none_or(|count| kept < count) {
        match args.kind {
            Kind::Timer => forget(clocks::monotonic_clock::subscribe_duration(u64::MAX)),
            Kind::Input => forget(cli::stdin::get_stdin()),
            Kind::Output => forget(cli::stderr::get_stderr()),
            Kind::Subscription => {
                let output = cli::stdout::get_stdout();
                forget(output.subscribe());
                forget(output);
            }
            Kind::Network => forget(sockets::instance_network::instance_network()),
        }
        kept += 1;
    }
    format!("kept {kept}")
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Crowd {
    /// How long the list is.
    length: usize,
}

/// Waits for the same timer many times over.
#[tool(read_only)]
fn crowded_poll(args: Crowd) -> String {
    let timer = clocks::monotonic_clock::subscribe_duration(1);
    let ready = io::poll::poll(&vec![&timer; args.length]);
    format!("{} are ready", ready.len())
}
