//! What the sandbox costs: a fresh instance and one call with every quota on, against
//! bare wasmtime, for components of three languages; and how calls scale with callers.
//!
//! Only [`bulkhead::runtime::invoke`] is timed; the evidence that it wants is made
//! before, by the gates that every call passes.
//!
//!     cargo run --release -p benches --bin sandbox -- PLUGINS_DIR

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a bench: it prints, fails loudly, and lives on real time"
)]

mod common;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead::limits::Slot;
use bulkhead::names::RequestId;
use bulkhead::pipeline::Host;
use bulkhead::policy::{self, Approval};
use bulkhead::runtime::{CallContext, invoke};
use bulkhead::{auth, validation};
use common::{Bare, CASES, Case, cpu_time, head, host};
use tokio_util::sync::CancellationToken;

/// How often each measurement is taken, alternately; the least is told, which is what
/// the work costs when the machine leaves it alone.
const ROUNDS: usize = 7;

/// How many calls are timed at once: as many slots are held beforehand.
const BATCH: u32 = 200;

/// How many callers call at the same time.
const CALLERS: [usize; 3] = [1, 2, 4];

fn main() -> ExitCode {
    if let Some(compiled) = bulkhead::cli::compile_if_asked() {
        return compiled;
    }
    let dir: PathBuf = std::env::args_os().nth(1).map_or_else(|| "plugins".into(), Into::into);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let host = host(&dir, &[]).await;
        let cases: Vec<_> = CASES.iter().filter(|case| dir.join(case.file).is_file()).collect();
        for missing in CASES.iter().filter(|case| !dir.join(case.file).is_file()) {
            println!("not measured: {} is missing", missing.file);
        }
        println!("CPU time of a fresh instance and one call, least of {ROUNDS} rounds\n");
        println!(
            "{:<12} {:>8} {:>10} {:>12} {:>7}",
            "tool", "calls", "bare µs", "sandbox µs", "ratio"
        );
        for case in &cases {
            compare(&host, &Bare::new(&dir.join(case.file), case), case).await;
        }
        println!("\nCalls per second by callers at the same time, most of {ROUNDS} rounds\n");
        println!("{:<12} {:>10} {:>10} {:>10}", "tool", 1, 2, 4);
        for case in &cases {
            scale(&host, case).await;
        }
        host.audit.finish().await;
    });
    ExitCode::SUCCESS
}

async fn compare(host: &Arc<Host>, bare: &Bare, case: &Case) {
    let batch = BATCH.min(case.calls);
    let (mut least_bare, mut least_sandbox) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        let (mut bare_time, mut sandbox_time) = (Duration::ZERO, Duration::ZERO);
        // Alternately and in small batches, so that both see the same machine.
        for _ in 0..case.calls / batch {
            let begun = cpu_time();
            for _ in 0..batch {
                bare.call(case).await;
            }
            bare_time += cpu_time() - begun;
            let ready = ready(host, case, batch).await;
            let begun = cpu_time();
            call_all(host, ready).await;
            sandbox_time += cpu_time() - begun;
        }
        least_bare = least_bare.min(bare_time / case.calls);
        least_sandbox = least_sandbox.min(sandbox_time / case.calls);
    }
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    println!(
        "{:<12} {:>8} {:>10.1} {:>12.1} {:>7.2}",
        case.language,
        case.calls,
        micros(least_bare),
        micros(least_sandbox),
        micros(least_sandbox) / micros(least_bare)
    );
}

async fn scale(host: &Arc<Host>, case: &Case) {
    // No more at once than there is room for, for the callers together.
    let calls = (case.calls / 10).clamp(BATCH / 2, 250);
    let mut most = [0.0_f64; CALLERS.len()];
    for _ in 0..ROUNDS {
        for (callers, most) in CALLERS.into_iter().zip(&mut most) {
            let mut held = Vec::new();
            for _ in 0..callers {
                held.push(ready(host, case, calls).await);
            }
            let begun = now();
            let calling = held.into_iter().map(|ready| {
                let host = Arc::clone(host);
                tokio::task::spawn(async move { call_all(&host, ready).await })
            });
            for caller in calling.collect::<Vec<_>>() {
                caller.await.expect("no panic");
            }
            let done = callers as f64 * f64::from(calls);
            *most = most.max(done / (now() - begun).as_secs_f64());
        }
    }
    let [one, two, four] = most;
    println!("{:<12} {one:>10.0} {two:>10.0} {four:>10.0}", case.language);
}

fn now() -> Instant {
    Instant::now()
}

/// A call that has passed every gate.
type Ready = (Slot<Approval>, CallContext);

/// Passes every gate so many times.
async fn ready(host: &Host, case: &Case, count: u32) -> Vec<Ready> {
    let world = host.plugins.snapshot();
    let mut ready = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let principal = auth::authenticate(&host.identities, &host.tokens, &head(), &*host.clock)
            .await
            .expect("whoever started this process");
        let charged = host.limits.charge(principal).expect("no rate");
        let permit = auth::authorize(charged, world.catalog(), case.tool).expect("a permit");
        let admitted = host.limits.admit(permit).expect("no rate");
        let valid = validation::check(world.validators(), admitted, case.arguments.into());
        let valid = valid.expect("valid arguments");
        let approval =
            policy::approve(&host.policy.load(), valid, &*host.clock).expect("no policy");
        let slot = host.limits.acquire(approval).await.expect("a slot");
        let context = CallContext {
            request_id: RequestId::generate(),
            traceparent: None,
            tracestate: None,
            client_metadata: "{}".into(),
            events: Arc::new(|_| {}),
            cancel: CancellationToken::new(),
        };
        ready.push((slot, context));
    }
    ready
}

async fn call_all(host: &Host, ready: Vec<Ready>) {
    let world = host.plugins.snapshot();
    for (slot, context) in ready {
        let prepared = world.prepared(slot.get().call().permit().tool().id).expect("it is served");
        let invocation = invoke(host.plugins.sandbox(), prepared, slot, context).await;
        invocation.result.expect("a result");
    }
}
