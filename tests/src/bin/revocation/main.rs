//! Ten agents call as fast as they are answered, five with keys and five with tokens;
//! one of them is revoked. Prints what the others felt of it, and ends with 1 if any
//! call of theirs was lost, or if the revoked one got another.
//!
//!     cargo run --release --bin revocation

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout)]
#![allow(clippy::disallowed_methods, reason = "times are what it tells")]

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bulkhead_tests::{Client, Host, Issuer};
use serde_json::json;

const AGENTS: usize = 10;

/// How long they call before one is revoked, and after.
const EACH: Duration = Duration::from_secs(5);

/// One call: when it was answered, how long it took, and with which status.
type Call = (Instant, Duration, u16);

#[tokio::main]
async fn main() -> ExitCode {
    let issuer = Issuer::start().await;
    let setup = Host::test().plugin("echo").config(&issuer.config());
    let setup = setup.config("[per_agent]\nrate = '1_000_000/min'\nburst = 100_000\n");
    let name = |n: usize| format!("agent-{n}");
    let setup = (0..AGENTS).fold(setup, |setup, n| setup.agent(&name(n), &["echo:*"]));
    let host = setup.start().await;
    let done = Arc::new(AtomicBool::new(false));
    let mut callers = Vec::new();
    for n in 0..AGENTS {
        let by_key = n % 2 == 0;
        let client = if by_key {
            host.client(&name(n)).await
        } else {
            host.with_key(&issuer.token(&name(n), "*"))
        };
        callers.push(tokio::spawn(calls(client, Arc::clone(&done))));
    }
    tokio::time::sleep(EACH).await;
    let began = Instant::now();
    host.cli_ok(&["revoke", "--agent", &name(0)]).await;
    let confirmed = Instant::now();
    tokio::time::sleep(EACH).await;
    done.store(true, Ordering::Relaxed);
    let mut all = Vec::new();
    for caller in callers {
        all.push(caller.await.expect("a caller does not panic"));
    }
    let (revoked, others) = all.split_first().expect("there are ten");
    let late =
        revoked.iter().filter(|(at, took, status)| *at - *took > confirmed && *status == 200);
    let late = late.count();
    let lost = others.iter().flatten().filter(|(_, _, status)| *status != 200).count();
    println!("revoked, by the command line, in {:.0?}", confirmed - began);
    println!("the revoked agent: {} calls, {late} begun after that and served", revoked.len());
    println!("the other nine: {} calls, {lost} lost", others.iter().map(Vec::len).sum::<usize>());
    let before = |call: &&Call| call.0 < began;
    let after = |call: &&Call| call.0 > confirmed;
    told("before", others.iter().flatten().filter(before));
    told(
        "while it is revoked",
        others.iter().flatten().filter(|call| !before(call) && !after(call)),
    );
    told("after", others.iter().flatten().filter(after));
    if late == 0 && lost == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn calls(client: Client, done: Arc<AtomicBool>) -> Vec<Call> {
    let mut calls = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let began = Instant::now();
        let status = client.call("echo", json!({ "message": "hi" })).await.status.as_u16();
        calls.push((Instant::now(), began.elapsed(), status));
    }
    calls
}

fn told<'c>(when: &str, calls: impl Iterator<Item = &'c Call>) {
    let mut took: Vec<Duration> = calls.map(|(_, took, _)| *took).collect();
    took.sort();
    let Some(last) = took.len().checked_sub(1) else { return };
    let at = |part: f64| took[(last as f64 * part) as usize];
    println!("{when:<20} {:>7} calls, p50 {:>7.2?}, p99 {:>7.2?}", took.len(), at(0.5), at(0.99));
}
