//! How a guest failed, and what its caller is told.

use std::fmt;
use std::time::Duration;

use wasmtime::component::ResourceTableError;
use wasmtime::{PoolConcurrencyLimitError, Trap};
use wasmtime_wasi::I32Exit;

use super::capabilities::MAX_RANDOM_BYTES;
use super::invocation::MAX_RESOURCES;
use super::memory::Refused;
use super::trace;
use crate::config::PerCall;
use crate::error::{Code, Error, Retry};

/// How long to wait when every sandbox is taken: a few usual calls.
const POOL_RETRY: Duration = Duration::from_millis(100);

/// A bound that our own code in the store's callbacks found broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broke {
    /// The clock has passed the deadline.
    Deadline,
    /// The imports that it called cost more fuel than it had left.
    Fuel,
    /// The call made as many host calls as it may.
    HostCalls,
    /// The call logged as many lines as it may.
    LogLines,
    /// A command wrote more than its result may have.
    Output,
    /// The call was refused memory as often as it may be.
    Growths,
}

impl fmt::Display for Broke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deadline => "the deadline has passed",
            Self::Fuel => "no fuel is left",
            Self::LogLines => "too many log lines",
            Self::Output => "too much output",
            Self::Growths => "it insists on memory that it was refused",
            Self::HostCalls => "too many host calls",
        })
    }
}

impl std::error::Error for Broke {}

/// Why a guest did not return.
#[derive(Debug)]
pub(super) enum Fault {
    /// It ran into its deadline, computing or waiting.
    Deadline,
    /// It burned its fuel.
    Fuel,
    /// It made too many host calls.
    HostCalls,
    /// It logged too many lines.
    LogLines,
    /// It asked for too many random bytes at once.
    RandomBytes,
    /// It held too many handles or resources at once.
    Handles,
    /// It handed over more at once than it may.
    Handed,
    /// A growth of memory was refused, and it could not go on.
    Memory,
    /// All calls together use as much memory as they may.
    TotalMemory,
    /// Every sandbox of the pool is taken.
    NoRoom,
    /// Its caller stopped waiting.
    Cancelled,
    /// It trapped, or ended its program.
    Crashed(String),
}

impl Fault {
    /// Reads what the engine says. `refused` tells whether, and why, the call was
    /// refused memory before it failed.
    pub(super) fn read(error: &wasmtime::Error, refused: Option<Refused>) -> Self {
        if let Some(broke) = error.downcast_ref::<Broke>() {
            return match broke {
                Broke::Deadline => Self::Deadline,
                Broke::Fuel => Self::Fuel,
                Broke::HostCalls => Self::HostCalls,
                Broke::LogLines => Self::LogLines,
                Broke::Output => Self::Handed,
                Broke::Growths if refused == Some(Refused::Total) => Self::TotalMemory,
                Broke::Growths => Self::Memory,
            };
        }
        if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
            return Self::NoRoom;
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => return Self::Fuel,
            Some(Trap::AllocationTooLarge) => return Self::Memory,
            _ => {}
        }
        match refused {
            Some(Refused::Quota) => return Self::Memory,
            Some(Refused::Total) => return Self::TotalMemory,
            None => {}
        }
        if error.chain().any(|cause| matches!(cause.downcast_ref(), Some(ResourceTableError::Full)))
        {
            return Self::Handles;
        }
        let causes: Vec<String> = trace::causes(error).collect();
        // The engine's own types for these are private, or there are none. Each is
        // pinned by the test of a guest.
        let says = |what: &str| causes.iter().any(|cause| cause.contains(what));
        if says("fuel allocated for hostcalls") {
            return Self::Handed;
        }
        if says("store handle limit exceeded") {
            return Self::Handles;
        }
        if says("exceeds limit") && says("requested len") {
            return Self::RandomBytes;
        }
        if let Some(exit) = error.downcast_ref::<I32Exit>() {
            return Self::Crashed(format!("it ended its program with status {}", exit.0));
        }
        Self::Crashed(causes.join(": "))
    }

    /// What the caller is told.
    pub(super) fn into_error(self, quota: &PerCall) -> Error {
        let over = |code, name: &str, limit: String, what: &str| {
            Error::new(code, format!("{what} Its quota `{name}` is {limit}."))
                .detail("quota", name)
                .detail("limit", limit)
        };
        match self {
            Self::Deadline => over(
                Code::DeadlineExceeded,
                "per_call.deadline",
                format!("{}ms", quota.deadline.as_millis()),
                "The tool did not finish in time.",
            )
            .retry(Retry::Maybe),
            Self::Fuel => over(
                Code::FuelExhausted,
                "per_call.fuel",
                quota.fuel.to_string(),
                "The tool computed for too long.",
            ),
            Self::HostCalls => over(
                Code::FuelExhausted,
                "per_call.host_calls",
                quota.host_calls.to_string(),
                "The tool asked too much of its host.",
            ),
            Self::LogLines => over(
                Code::FuelExhausted,
                "per_call.log_lines",
                quota.log_lines.to_string(),
                "The tool wrote too much into the log.",
            ),
            Self::RandomBytes => over(
                Code::FuelExhausted,
                "random_bytes",
                MAX_RANDOM_BYTES.to_string(),
                "The tool asked for too many random bytes at once.",
            ),
            Self::Handles => over(
                Code::MemoryExceeded,
                "handles",
                MAX_RESOURCES.to_string(),
                "The tool held too many of its host's resources at once.",
            ),
            Self::Handed => over(
                Code::OutputTooLarge,
                "per_call.max_output",
                quota.max_output.to_string(),
                "The tool handed over too much at once, as its result or to its host. Ask for less.",
            ),
            Self::Memory => over(
                Code::MemoryExceeded,
                "per_call.memory",
                quota.memory.to_string(),
                "The tool needed more memory than it may use.",
            ),
            Self::TotalMemory => no_memory(),
            Self::NoRoom => {
                Error::new(Code::Unavailable, "The server runs as many calls as it can.")
                    .retry(Retry::After(POOL_RETRY))
                    .detail("limit", "sandbox.calls")
            }
            Self::Cancelled => Error::new(Code::Cancelled, "The call was cancelled."),
            Self::Crashed(why) => Error::new(
                Code::ToolCrashed,
                "The tool crashed. The same call would crash it again.",
            )
            .note("trap", why.as_str())
            .because(why),
        }
    }
}

/// All calls together use as much memory as they may.
pub(super) fn no_memory() -> Error {
    Error::new(Code::Unavailable, "The server's tools use as much memory as they may.")
        .retry(Retry::After(POOL_RETRY))
        .detail("limit", "sandbox.memory")
}
