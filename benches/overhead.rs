//! What the whole pipeline costs over bare wasmtime, in CPU time per call.
//!
//! The same components answer the same calls two ways: instantiated by a minimal
//! wasmtime embedding that bounds nothing, and through [`bulkhead::pipeline`], from
//! a request's bytes to the audit record. CPU time is that of the process, all
//! threads together, which is steadier than latency on a shared machine.
//!
//!     cargo run --release -p benches --bin overhead -- PLUGINS_DIR

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a bench: it prints, and fails loudly"
)]

mod common;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bulkhead::pipeline::{self, Host};
use bulkhead::respond::{Answer, Reply};
use bulkhead::transport::Body;
use bytes::Bytes;
use common::{Bare, CASES, Case, cpu_time, head, host};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How often each measurement is taken; the least is told, which is what the work
/// costs when the machine leaves it alone.
const ROUNDS: usize = 5;

fn main() -> ExitCode {
    if let Some(compiled) = bulkhead::cli::compile_if_asked() {
        return compiled;
    }
    let dir: PathBuf = std::env::args_os().nth(1).map_or_else(|| "plugins".into(), Into::into);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    println!("CPU time per call, least of {ROUNDS} rounds\n");
    println!(
        "{:<24} {:>8} {:>12} {:>12} {:>7}",
        "tool", "calls", "bare µs", "pipeline µs", "ratio"
    );
    runtime.block_on(async {
        let host = host(&dir, &[]).await;
        for case in CASES {
            let path = dir.join(case.file);
            if !path.is_file() {
                println!("{:<24} not measured: {} is missing", case.tool, path.display());
                continue;
            }
            let bare = Bare::new(&path, case);
            bare.call(case).await;
            through_pipeline(&host, case).await;
            let (mut least_bare, mut least_whole) = (Duration::MAX, Duration::MAX);
            for _ in 0..ROUNDS {
                least_bare = least_bare.min(per_call(case, async || bare.call(case).await).await);
                least_whole = least_whole
                    .min(per_call(case, async || through_pipeline(&host, case).await).await);
            }
            let micros = |time: Duration| time.as_secs_f64() * 1e6;
            println!(
                "{:<24} {:>8} {:>12.1} {:>12.1} {:>7.2}",
                case.tool,
                case.calls,
                micros(least_bare),
                micros(least_whole),
                micros(least_whole) / micros(least_bare)
            );
        }
        host.audit.finish().await;
    });
    ExitCode::SUCCESS
}

async fn per_call(case: &Case, call: impl AsyncFn()) -> Duration {
    let before = cpu_time();
    for _ in 0..case.calls {
        call().await;
    }
    (cpu_time() - before) / case.calls
}

async fn through_pipeline(host: &Arc<Host>, case: &Case) {
    let request = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": case.tool, "arguments": serde_json::from_str::<serde_json::Value>(case.arguments).expect("JSON") },
    });
    let (progress, _reports) = mpsc::channel(1);
    let body = Body::Read(Bytes::from(request.to_string()));
    let reply = pipeline::answer(host, head(), body, progress, CancellationToken::new()).await;
    let Reply::Answer { answer: Answer::Called(called), .. } = reply else {
        unreachable!("a call is answered as one: {reply:?}");
    };
    called.result.expect("a result");
}
