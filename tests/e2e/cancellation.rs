//! Hanging up: it cancels a call in the stateless era, and does not before.

use bulkhead_tests::{Client, Host, until};
use serde_json::{Value, json};

/// A server whose `slow` may sleep for minutes, and a client.
async fn served() -> (Host, Client) {
    let setup = Host::test().plugin("slow").sidecar("slow", "per_call.deadline = '10min'");
    let host = setup.agent("alice", &["*"]).start().await;
    let alice = host.client("alice").await;
    (host, alice)
}

/// Calls `slow` without progress, and hangs up when the call has begun.
async fn call_and_hang_up(host: &Host, client: &Client, ms: u64) {
    let client = client.clone();
    let call = tokio::task::spawn(async move { client.call("slow", json!({ "ms": ms })).await });
    host.until_in_flight(1).await;
    call.abort();
}

async fn the_record(host: &Host) -> Value {
    let record = host.record_where("slow", |record| record["tool"] == "slow").await;
    host.until_in_flight(0).await;
    assert_eq!(host.audit().len(), 1, "one call, one record");
    record
}

#[tokio::test]
async fn a_modern_client_that_hangs_up_cancels_its_call() {
    let (host, alice) = served().await;
    call_and_hang_up(&host, &alice, 300_000).await;
    let record = the_record(&host).await;
    assert_eq!((&record["outcome"], &record["code"]), (&json!("cancelled"), &json!("CANCELLED")));
    assert!(record["fuel"].as_u64() > Some(0), "what it spent is known: {record}");
}

#[tokio::test]
async fn a_modern_client_that_closes_its_stream_cancels_its_call() {
    let (host, alice) = served().await;
    let mut stream = alice.open("slow", json!({ "ms": 300_000 })).await;
    assert_eq!(stream.next().await.unwrap()["method"], "notifications/progress");
    drop(stream);
    let record = the_record(&host).await;
    assert_eq!(record["outcome"], "cancelled", "{record}");
}

#[tokio::test]
async fn a_legacy_client_that_hangs_up_does_not() {
    let (host, alice) = served().await;
    call_and_hang_up(&host, &alice.legacy(), 700).await;
    let record = the_record(&host).await;
    assert_eq!(record["outcome"], "ok", "{record}");
    assert!(record["run_ms"].as_f64() >= Some(700.0), "{record}");
}

#[tokio::test]
async fn a_legacy_client_that_closes_its_stream_does_not() {
    let (host, alice) = served().await;
    let mut stream = alice.legacy().open("slow", json!({ "ms": 700 })).await;
    stream.next().await.unwrap();
    drop(stream);
    assert_eq!(the_record(&host).await["outcome"], "ok");
}

#[tokio::test]
async fn a_call_that_waits_for_a_slot_gives_up_its_place() {
    let sidecar = "[per_call]\ndeadline = '10min'\n[per_plugin]\nconcurrency = 1\nqueue = 1\nqueue_timeout = '5min'";
    let setup = Host::test().plugin("slow").sidecar("slow", sidecar).agent("alice", &["*"]);
    let host = setup.start().await;
    let alice = host.client("alice").await;
    let mut running = alice.open("slow", json!({ "ms": 300_000 })).await;
    running.next().await.unwrap();
    let waiting = {
        let alice = alice.clone();
        tokio::task::spawn(async move { alice.call("slow", json!({ "ms": 1 })).await })
    };
    host.until_in_flight(2).await;
    waiting.abort();
    host.until_in_flight(1).await;
    let record = host.record_where("the one that waited", |record| record["tool"] == "slow").await;
    assert_eq!((&record["outcome"], &record["fuel"]), (&json!("cancelled"), &Value::Null));
    drop(running);
    until("a record of each", async || (host.audit().len() == 2).then_some(())).await;
}

#[tokio::test]
async fn a_computing_guest_ends_with_its_client() {
    let sidecar = "[per_call]\nfuel = '1T'\ndeadline = '10min'";
    let setup = Host::test().plugin("spin").sidecar("spin", sidecar).agent("alice", &["*"]);
    let host = setup.start().await;
    let client = host.client("alice").await;
    let call = tokio::task::spawn(async move { client.call("spin", json!({})).await });
    host.until_in_flight(1).await;
    call.abort();
    let record = host.record_where("spin", |record| record["tool"] == "spin").await;
    assert_eq!(record["outcome"], "cancelled", "{record}");
    assert!(record["fuel"].as_u64() > Some(0), "what it burned is known: {record}");
}
