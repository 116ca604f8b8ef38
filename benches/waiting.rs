//! How much calls hold that wait for their host: five thousand at once, and one more.
//!
//!     cargo run --release -p benches --bin waiting -- GUESTS_DIR
//!
//! GUESTS_DIR holds `echo.wasm` and `slow.wasm` of `tests/guests`, and nothing else.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a bench: it prints, fails loudly, and lives on real time"
)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead::pipeline::{self, Host};
use bulkhead::respond::{Answer, Called, Reply};
use bulkhead::transport::Body;
use bytes::Bytes;
use common::{head, host};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How many calls wait at once.
const SLEEPERS: usize = 5_000;

/// How long a part may take to get where it wants to be.
const PATIENCE: Duration = Duration::from_secs(600);

fn main() -> ExitCode {
    if let Some(compiled) = bulkhead::cli::compile_if_asked() {
        return compiled;
    }
    let dir: PathBuf = std::env::args_os().nth(1).map_or_else(|| "plugins".into(), Into::into);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(sleep(&dir));
    ExitCode::SUCCESS
}

fn now() -> Instant {
    Instant::now()
}

/// Fills the server with calls that wait, and calls once more.
async fn sleep(plugins: &Path) {
    let host = roomy_host(plugins).await;
    call(&host, "slow", json!({ "ms": 1 })).await.result.expect("a result");
    let before = resident();
    let cancel = CancellationToken::new();
    let sleepers: Vec<_> = (0..SLEEPERS)
        .map(|_| {
            let (host, cancel) = (Arc::clone(&host), cancel.clone());
            tokio::task::spawn(async move {
                call_until(&host, "slow", json!({ "ms": 3_600_000 }), cancel).await
            })
        })
        .collect();
    let begun = now();
    while asleep(&host) < SLEEPERS {
        assert!(now() - begun < PATIENCE, "{} of {SLEEPERS} sleep", asleep(&host));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let took = now() - begun;
    let after = resident();
    println!(
        "{SLEEPERS} calls waiting for their host, after {:.2} s: {} MiB more resident, {} KiB each",
        took.as_secs_f64(),
        (after - before) >> 20,
        ((after - before) >> 10) / SLEEPERS as u64
    );
    let mappings = fs::read_to_string("/proc/self/maps").map_or(0, |maps| maps.lines().count());
    println!("memory mappings of the process: {mappings}");
    let refused = call(&host, "echo", json!({ "message": "hi" })).await;
    let error = refused.result.expect_err("there is no place");
    println!("one more call: {} ({:?})", error.code(), error.details());
    cancel.cancel();
    for sleeper in sleepers {
        let ended = sleeper.await.expect("no panic");
        assert_eq!(ended.result.expect_err("cancelled").code().as_str(), "CANCELLED");
    }
    call(&host, "echo", json!({ "message": "hi" })).await.result.expect("a result");
    println!("when they had ended, the next call was served");
    host.audit.finish().await;
}

/// How many calls have not ended.
fn asleep(host: &Host) -> usize {
    let text = host.metrics_text();
    let line = text.lines().find_map(|line| line.strip_prefix("bulkhead_calls_in_flight "));
    line.and_then(|count| count.parse().ok()).unwrap_or_default()
}

async fn roomy_host(plugins: &Path) -> Arc<Host> {
    let calls = SLEEPERS.to_string();
    host(
        plugins,
        &[
            ("BULKHEAD__SANDBOX__CALLS", &calls),
            ("BULKHEAD__PER_AGENT__CONCURRENCY", &calls),
            ("BULKHEAD__PER_PLUGIN__CONCURRENCY", &calls),
            ("BULKHEAD__PER_CALL__MEMORY", "2MiB"),
            ("BULKHEAD__PER_CALL__DEADLINE", "10min"),
        ],
    )
    .await
}

async fn call(host: &Arc<Host>, tool: &str, arguments: Value) -> Called {
    call_until(host, tool, arguments, CancellationToken::new()).await
}

async fn call_until(
    host: &Arc<Host>,
    tool: &str,
    arguments: Value,
    cancel: CancellationToken,
) -> Called {
    let request = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": tool, "arguments": arguments },
    });
    let (progress, _reports) = mpsc::channel(1);
    let body = Body::Read(Bytes::from(request.to_string()));
    let reply = pipeline::answer(host, head(), body, progress, cancel).await;
    let Reply::Answer { answer: Answer::Called(called), .. } = reply else {
        unreachable!("a call is answered as one: {reply:?}");
    };
    *called
}

/// The memory of this process that is resident, in bytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the kernel tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is there");
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("a number");
    kib << 10
}
