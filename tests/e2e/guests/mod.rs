//! One test for each guest in `tests/guests`: what it tries, and that it gets
//! nowhere. A guest without one does not compile.
//!
//! What each attack came to is printed as the row of a table:
//! `cargo test --release -p bulkhead-tests --test e2e guests:: -- --nocapture | grep '^|'`

mod answering;
mod asking;
mod commands;
mod computing;
mod functions;
mod growing;
mod listing;

use std::time::{Duration, Instant};

use bulkhead_tests::{Answer, Client, Host};
use serde_json::{Value, json};

use self::{
    answering::*, asking::*, commands::*, computing::*, functions::*, growing::*, listing::*,
};

include!(concat!(env!("OUT_DIR"), "/guests.rs"));

/// How long an attack may take until it is answered, on a machine that is busy with
/// other tests. What its quota ends takes a second on an idle one.
const MOST_TIME: Duration = Duration::from_secs(15);

/// What the server may need for one call beside the guest's own memory: twice its
/// largest output, what it copies of that for the wire and the record, and what its
/// allocator keeps.
const HOST_SHARE: u64 = 48 << 20;

/// What the server may need in all until a guest was refused at load, `echo` and the
/// compiler included.
const LOADING_SHARE: u64 = 384 << 20;

/// Where a guest's sidecar says nothing else: a meter that ends every loop soon, and
/// a clock that ends nothing before it, however busy the machine is.
const QUOTA: &str = "[per_call]\nfuel = '50M'\ndeadline = '60s'";

/// A server with the guest and `echo`, and a client that may call both.
async fn with(guest: &str, sidecar: &str) -> (Host, Client) {
    let component = std::fs::read(bulkhead_tests::component(guest)).unwrap();
    with_file(guest, component, sidecar).await
}

/// The same with any bytes in the guest's place.
async fn with_file(guest: &str, bytes: impl AsRef<[u8]>, sidecar: &str) -> (Host, Client) {
    let setup = Host::test().plugin("echo").file(&format!("{guest}.wasm"), bytes);
    let setup = setup.sidecar(guest, sidecar).agent("alice", &["*"]).config(QUOTA);
    let host = setup.start().await;
    let alice = host.client("alice").await;
    (host, alice)
}

/// What an attack came to.
#[derive(Debug)]
struct Attack {
    answer: Answer,
    record: Value,
}

impl Attack {
    /// Expects that the refusal names this quota and its limit.
    fn by_quota(&self, quota: &str, limit: &str) {
        let error = &self.answer.result()["_meta"]["io.bulkhead/error"];
        assert_eq!(error["details"], json!({ "quota": quota, "limit": limit }), "{error}");
        assert_eq!(error["retryable"] == true, error["code"] == "DEADLINE_EXCEEDED", "{error}");
    }
}

/// Calls a tool of the guest's, which has to fail with `code` and leave its one record,
/// in bounded time and with bounded memory of the server's. Somebody else's next call
/// works.
async fn attack(host: &Host, alice: &Client, tool: &str, arguments: Value, code: &str) -> Attack {
    let (memory, begun) = (host.watch_memory(), Instant::now());
    let answer = alice.call(tool, arguments).await;
    let (took, grown) = (begun.elapsed(), memory.grown());
    answer.expect_code(code);
    let record = host.record(answer.request_id()).await;
    for (field, value) in
        [("code", code), ("outcome", "failed"), ("tool", tool), ("agent", "alice")]
    {
        assert_eq!(record[field], value, "{record}");
    }
    let number = |field: &str| record[field].as_f64().unwrap_or_default();
    let (fuel, peak, run) = (number("fuel"), number("peak_memory_bytes"), number("run_ms"));
    assert!(fuel > 0.0 && peak > 0.0 && run > 0.0, "what it spent is known: {record}");
    row(tool, code, fuel, peak, took, grown);
    assert!(took < MOST_TIME, "it took {took:?}");
    assert!(grown < peak as u64 + HOST_SHARE, "the server grew by {grown} bytes: {record}");
    expect_echo(alice).await;
    Attack { answer, record }
}

#[expect(clippy::print_stdout, reason = "the harness shows it to whoever asks")]
fn row(tool: &str, code: &str, fuel: f64, peak: f64, took: Duration, grown: u64) {
    let (peak, grown) = (peak / f64::from(1 << 20), grown >> 20);
    let (fuel, took) = (fuel / 1e6, took.as_millis());
    println!(
        "| {tool:14} | {code:18} | {fuel:7.1} M | {peak:5.1} MiB | {grown:3} MiB | {took:5} ms |"
    );
}

async fn expect_echo(alice: &Client) {
    let answer = alice.call("echo", json!({ "message": "still here" })).await;
    assert_eq!(answer.structured()["message"], "still here");
}

/// Starts a server that refuses the guest for this reason, and serves the others.
async fn refused(guest: &str, reason: &str) -> Host {
    let component = std::fs::read(bulkhead_tests::component(guest)).unwrap();
    refused_file(guest, component, reason).await
}

/// The same with any bytes in the guest's place.
async fn refused_file(guest: &str, bytes: impl AsRef<[u8]>, reason: &str) -> Host {
    refused_with(guest, bytes, "", reason).await
}

/// The same with a sidecar.
async fn refused_with(guest: &str, bytes: impl AsRef<[u8]>, sidecar: &str, reason: &str) -> Host {
    let begun = Instant::now();
    let (host, alice) = with_file(guest, bytes, sidecar).await;
    assert!(begun.elapsed() < MOST_TIME, "it took {:?}", begun.elapsed());
    let peak = host.peak_memory();
    assert!(peak < LOADING_SHARE, "the server has grown to {peak} bytes");
    let told = host.until_told(guest).await;
    assert!(told.contains("was not loaded") && told.contains(reason), "{told}");
    assert_eq!(alice.tool_names().await, ["echo"]);
    expect_echo(&alice).await;
    host
}
