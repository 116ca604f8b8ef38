//! One call in one fresh instance.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use wasmtime::{Store, UpdateDeadline};

use super::command::preview1;
use super::engine::Sandbox;
use super::fault::{self, Broke, Fault};
use super::output::RawOutput;
use super::prepare::Prepared;
use super::state::{CallContext, CallState, GuestEvent};
use super::trace;
use crate::auth::Principal;
use crate::config::PerCall;
use crate::error::Error;
use crate::limits::Slot;
use crate::names::{ByteCount, Fuel};
use crate::policy::Approval;

/// The fuel after which a guest yields to its executor: some 300 µs of work. Less
/// would cost throughput; more would make a cancelled guest run on for longer and
/// its meter coarser.
const YIELD_INTERVAL: u64 = 1_000_000;

/// What a guest may hand to the host at once beyond its output: the engine counts
/// records and list entries, not only text.
const HANDOVER_SLACK: usize = 64 << 10;

/// How many resources (streams, pollables) and handles a guest may hold at once.
/// The host keeps them outside the guest's memory.
pub(super) const MAX_RESOURCES: usize = 1_024;

/// What [`Spent::fuel`] is counted by: the engine and its line. What an instruction
/// costs may differ in another; numbers of one meter can be compared.
pub const METER: &str = "wasmtime-48";

/// What a call spent, however it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Fuel that was burned, each call of an import included. Past its quota only by
    /// what was spent between two ticks on calls of imports.
    pub fuel: Fuel,
    /// The most memory in use at once: all memories and tables.
    pub peak_memory: ByteCount,
    /// From the guest's start to its end, waiting included.
    pub run: Duration,
    /// Calls of the `call` interface that cost the host something.
    pub host_calls: u32,
}

/// How an invocation ended, and what it spent.
#[derive(Debug)]
pub struct Invocation {
    /// The raw result, or the guest's fault.
    pub result: Result<RawOutput, Error>,
    /// What was spent on it.
    pub spent: Spent,
}

/// Runs one call in a fresh instance and returns what it produced and spent.
///
/// The slot is given back when the instance is gone. Cancelling (`context.cancel`)
/// stops the guest at its next yield and still tells what it spent; dropping this
/// future stops it as well, and tells nobody.
///
/// ```compile_fail
/// # async fn skip(
/// #     sandbox: &bulkhead::runtime::Sandbox, prepared: &bulkhead::runtime::Prepared,
/// #     approval: bulkhead::policy::Approval, context: bulkhead::runtime::CallContext,
/// # ) {
/// // An approval without a slot cannot run.
/// bulkhead::runtime::invoke(sandbox, prepared, approval, context).await;
/// # }
/// ```
/// ```
/// # async fn run(
/// #     sandbox: &bulkhead::runtime::Sandbox, prepared: &bulkhead::runtime::Prepared,
/// #     slot: bulkhead::limits::Slot<bulkhead::policy::Approval>, context: bulkhead::runtime::CallContext,
/// # ) {
/// bulkhead::runtime::invoke(sandbox, prepared, slot, context).await;
/// # }
/// ```
///
/// # Errors
/// In [`Invocation::result`]: `FUEL_EXHAUSTED`, `DEADLINE_EXCEEDED`,
/// `MEMORY_EXCEEDED`, `TOOL_CRASHED`, `OUTPUT_TOO_LARGE`, `UNAVAILABLE` when the
/// pool is exhausted, `CANCELLED`.
pub async fn invoke(
    sandbox: &Sandbox,
    prepared: &Prepared,
    slot: Slot<Approval>,
    context: CallContext,
) -> Invocation {
    let permit = slot.get().call().permit();
    let tool = Arc::clone(permit.tool());
    let caller = permit.principal().clone();
    let quota = tool.per_call;
    if !sandbox.memory.has_room_for(prepared.first_memory()) {
        return nothing_spent(fault::no_memory());
    }
    let cancel = context.cancel.clone();
    let owner = Some(permit.principal().agent().clone());
    let store = new_store(sandbox, prepared, &quota, Some((caller, context)));
    let guest = Arc::clone(&tool);
    let prepared = prepared.clone();
    let run = async move {
        let arguments = slot.get().call().arguments();
        let run = bounded(store?, &quota, cancel, async |store| {
            prepared.call(store, &guest.guest_name, arguments).await
        });
        Ok::<_, wasmtime::Error>(run.await)
    };
    let ended = match sandbox.burners.run(owner, run).await {
        Ok(Ok(ended)) => ended,
        Ok(Err(error)) => return nothing_spent(Error::internal(format!("{error:#}"))),
        Err(panic) => return nothing_spent(Error::internal(panic)),
    };
    let result = match ended.result {
        Ok(produced) => Ok(RawOutput::new(tool, produced)),
        Err(fault) => Err(with_backtrace(fault.into_error(&quota), ended.backtrace)),
    };
    Invocation { result, spent: ended.spent }
}

fn with_backtrace(error: Error, backtrace: Vec<String>) -> Error {
    if backtrace.is_empty() { error } else { error.note("backtrace", backtrace) }
}

fn nothing_spent(error: Error) -> Invocation {
    Invocation { result: Err(error), spent: Spent::default() }
}

/// Returns when a guest's deadline has passed or its call is cancelled. A guest that
/// computes is stopped by its epoch callback; this is for one that waits for its host.
async fn ended_from_outside(deadline: Instant, cancel: CancellationToken) -> Fault {
    tokio::select! {
        biased;
        () = tokio::time::sleep_until(deadline.into()) => Fault::Deadline,
        () = cancel.cancelled() => Fault::Cancelled,
    }
}

/// How a guest ended, whatever it was asked.
pub(super) struct Ended<T> {
    pub(super) result: Result<T, Fault>,
    pub(super) spent: Spent,
    /// Where it was when it failed; for the operator.
    pub(super) backtrace: Vec<String>,
    pub(super) printed: Option<String>,
}

/// A store for one guest, with its whole quota.
pub(super) fn new_store(
    sandbox: &Sandbox,
    prepared: &Prepared,
    quota: &PerCall,
    call: Option<(Principal, CallContext)>,
) -> wasmtime::Result<Store<CallState>> {
    let state = CallState::new(quota, &sandbox.memory, &sandbox.clock, call);
    let mut store = Store::try_new(prepared.engine(), state)?;
    store.limiter(|state| &mut state.memory);
    store.set_fuel(quota.fuel.0)?;
    store.fuel_async_yield_interval(Some(YIELD_INTERVAL))?;
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|context| {
        let state = context.data();
        if state.clock.now() >= state.deadline {
            return Err(Broke::Deadline.into());
        }
        if context.get_fuel()? <= state.imports_cost().0 {
            return Err(Broke::Fuel.into());
        }
        // Host calls burn no fuel: a guest that lives on them has to leave the reactor
        // at a tick too.
        Ok(UpdateDeadline::Yield(1))
    });
    store.set_hostcall_fuel(match prepared.is_module() {
        true => preview1::HANDOVER,
        false => quota.max_output.as_usize().saturating_mul(2).saturating_add(HANDOVER_SLACK),
    });
    store.set_max_component_handles(MAX_RESOURCES);
    Ok(store)
}

/// Runs `guest` on its store until it ends, its deadline passes or it is cancelled,
/// and reads its meters then. The store outlives the guest's future, so that what
/// an abandoned guest spent is still known.
pub(super) async fn bounded<T>(
    mut store: Store<CallState>,
    quota: &PerCall,
    cancel: CancellationToken,
    guest: impl AsyncFnOnce(&mut Store<CallState>) -> wasmtime::Result<T>,
) -> Ended<T> {
    let deadline = store.data().deadline;
    let outcome = {
        let mut guest = pin!(guest(&mut store));
        // Made when the guest is pending for the first time, which most never are.
        let mut ending = pin!(None);
        poll_fn(|cx| {
            if let Poll::Ready(result) = guest.as_mut().poll(cx) {
                return Poll::Ready(Ok(result));
            }
            if ending.is_none() {
                ending.set(Some(ended_from_outside(deadline, cancel.clone())));
            }
            let ending = ending.as_mut().as_pin_mut();
            ending.map_or(Poll::Pending, |ending| ending.poll(cx).map(Err))
        })
        .await
    };
    let state = store.data();
    let mut backtrace = Vec::new();
    let mut result = outcome.and_then(|result| {
        result.map_err(|error| {
            backtrace = trace::frames(&error);
            Fault::read(&error, state.memory.refused())
        })
    });
    let burned = quota.fuel.0.saturating_sub(store.get_fuel().unwrap_or_default());
    let fuel = Fuel(burned.saturating_add(state.imports_cost().0));
    if result.is_ok() && fuel > quota.fuel {
        result = Err(Fault::Fuel);
    }
    let spent = Spent {
        fuel,
        peak_memory: state.memory.peak(),
        run: state.clock.now().saturating_duration_since(state.started),
        host_calls: state.host_calls,
    };
    let printed = state.printed();
    if let (Some((_, context)), Some(text)) = (&state.call, &printed) {
        let lines = quota.log_lines.saturating_sub(state.log_lines);
        (context.events)(GuestEvent::Printed { text, lines });
    }
    Ended { result, spent, backtrace, printed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_meter_is_named_after_the_engine_that_is_linked() {
        let lock = include_str!("../../../Cargo.lock");
        let mut packages = lock.split("[[package]]");
        let engine = packages.find(|package| package.contains("name = \"wasmtime\"\n")).unwrap();
        let line = METER.strip_prefix("wasmtime-").unwrap();
        assert!(engine.contains(&format!("version = \"{line}.")), "{engine}");
    }
}
