//! What a guest can reach besides itself: today only WASI 0.2 in its inert form.
//!
//! Inert means that every interface that toolchains import on their own is there
//! and leads nowhere: no arguments, no variables, no input, no preopened folder,
//! no address to connect to or to bind, no name lookup. A command alone has arguments and
//! input: those of its call. Clocks and random numbers
//! are real in a call, and fixed while the host asks for a plugin's tools, so that
//! two answers can be compared.
//!
//! Pinned by the probing guest in `tests/guests`.

use std::convert::Infallible;
use std::time::Duration;

use rand::TryRng;
use wasmtime::component::Linker;
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::random::Deterministic;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtxBuilder};

use super::command::Program;
use super::console::Console;
use super::state::CallState;

/// Random bytes that a guest may ask for at once; the host makes them outside the guest's
/// memory, and no fuel is burned meanwhile. In Preview 1, nobody can ask for them in parts.
pub(super) const MAX_RANDOM_BYTES: u64 = 64 << 10;

/// The interfaces that [`link_inert`] serves, without version, for load errors.
pub(super) const LINKED: &[&str] = &[
    "bulkhead:plugin/call",
    "bulkhead:plugin/types",
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
    // Of modules: the same, in its earlier form.
    "wasi_snapshot_preview1",
];

/// Links every interface of [`LINKED`] that is WASI's.
pub(super) fn link_inert(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)
}

/// The WASI context of a guest. `frozen` while a plugin is asked for its tools; with a
/// `program`, where it is a command.
pub(super) fn inert(console: &Console, program: Option<Program>, frozen: bool) -> WasiCtxBuilder {
    let mut builder = WasiCtxBuilder::new();
    builder
        .stdout(console.stdout())
        .stderr(console.stderr())
        .max_random_size(MAX_RANDOM_BYTES)
        .secure_random(Drawn(console.clone()))
        .insecure_random(Drawn(console.clone()))
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false);
    if let Some(Program { args, stdin, variable }) = program {
        builder.args(&args).stdin(MemoryInputPipe::new(stdin));
        if let Some((name, value)) = variable {
            builder.env(name, value);
        }
    }
    if frozen {
        builder
            .wall_clock(Frozen)
            .monotonic_clock(Frozen)
            .secure_random(Deterministic::new(vec![0x5a]))
            .insecure_random(Deterministic::new(vec![0x5a]))
            .insecure_random_seed(0x5a);
    }
    builder
}

/// The system's random numbers, each byte of which is counted: the host draws them one
/// by one, while the engine's meter stands still.
struct Drawn(Console);

impl Drawn {
    fn rng(&self, bytes: usize) -> impl TryRng<Error = Infallible> + use<> {
        self.0.count_drawn(bytes as u64);
        rand::rng()
    }
}

impl TryRng for Drawn {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        // Asked for one byte too.
        self.rng(1).try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.rng(size_of::<u64>()).try_next_u64()
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        self.rng(to.len()).try_fill_bytes(to)
    }
}

/// A clock that stands still at 2000-01-01T00:00:00Z.
struct Frozen;

impl HostWallClock for Frozen {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        Duration::from_secs(946_684_800)
    }
}

impl HostMonotonicClock for Frozen {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        // A second: Go's runtime gives up at zero.
        1_000_000_000
    }
}
