//! Rates, slots and queues, each with its name in the refusal.

use bulkhead_tests::{Answer, Client, Host};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

fn hello() -> Value {
    json!({ "message": "hello" })
}

/// Expects a refusal by this rate, with the wait in both places.
fn expect_limited(answer: &Answer, limit: &str) {
    let error = answer.expect_code("RATE_LIMITED");
    assert_eq!(error["details"]["limit"], limit, "{error}");
    let wait_ms = error["retryAfterMs"].as_u64().unwrap();
    assert!((3_000_000..=3_600_000).contains(&wait_ms), "one an hour: {error}");
    let seconds: u64 = answer.header("retry-after").parse().unwrap();
    assert_eq!(seconds, wait_ms.div_ceil(1_000));
}

#[tokio::test]
async fn an_agent_has_a_rate_of_its_own() {
    let setup = Host::test().plugin("echo").agent("alice", &["*"]).agent("bob", &["*"]);
    let setup = setup.config("[agents.alice.per_agent]\nrate = '1/h'\nburst = 3");
    let host = setup.start().await;
    let (alice, bob) = (host.client("alice").await, host.client("bob").await);
    let same_agent = host.client("alice").await;
    alice.call("echo", hello()).await.expect_ok();
    // A loop on unknown tools or bad arguments spends the looping agent's own rate.
    alice.call("nothing", json!({})).await.expect_code("TOOL_NOT_FOUND");
    alice.call("echo", json!({})).await.expect_code("INVALID_ARGUMENTS");
    for client in [&alice, &same_agent, &alice.legacy()] {
        let answer = client.call("echo", hello()).await;
        assert_eq!(answer.status, 200, "in band, so that the model sees it");
        expect_limited(&answer, "per_agent.rate");
        let record = host.record(answer.request_id()).await;
        assert_eq!(
            (&record["outcome"], &record["code"]),
            (&json!("refused"), &json!("RATE_LIMITED"))
        );
        assert_eq!(record["fuel"], Value::Null, "no guest ran");
    }
    let flood = alice.request("tools/list", json!({})).await;
    assert_eq!(flood.status, 429, "anything but a call is refused in the status");
    expect_limited(&flood, "per_agent.rate");
    assert!(flood.message()["id"].is_u64(), "under the request's id: {}", flood.text);
    bob.call("echo", hello()).await.expect_ok();
}

#[tokio::test]
async fn tools_and_plugins_have_rates_for_all_and_for_each_agent() {
    for (sidecar, limit, shared) in [
        ("[tools.loud]\nper_agent.rate = '1/h'", "tool.per_agent.rate", false),
        ("[per_agent]\nrate = '1/h'", "plugin.per_agent.rate", false),
        ("[tools.loud]\nper_plugin.rate = '1/h'", "tool.per_plugin.rate", true),
        ("[per_plugin]\nrate = '1/h'", "per_plugin.rate", true),
    ] {
        let setup = Host::test().plugin("loud").plugin("echo").sidecar("loud", sidecar);
        let host = setup.agent("alice", &["*"]).agent("bob", &["*"]).start().await;
        let (alice, bob) = (host.client("alice").await, host.client("bob").await);
        let call = async |who: &Client| who.call("loud", json!({ "bytes": 1 })).await;
        call(&alice).await.expect_ok();
        expect_limited(&call(&alice).await, limit);
        match shared {
            true => expect_limited(&call(&bob).await, limit),
            false => assert_eq!(call(&bob).await.block(), "x", "{limit}"),
        }
        // A rate of one tool leaves its sibling alone, one of the plugin does not.
        let sibling = alice.call("colored", json!({})).await;
        match limit.starts_with("tool.") {
            true => assert!(sibling.block().starts_with("red"), "{limit}"),
            false => expect_limited(&sibling, limit),
        }
        alice.call("echo", hello()).await.expect_ok();
    }
}

/// Calls `slow` in a task of its own.
fn nap(client: &Client, ms: u64) -> JoinHandle<Answer> {
    let client = client.clone();
    tokio::task::spawn(async move { client.call("slow", json!({ "ms": ms })).await })
}

fn expect_unavailable(answer: &Answer, limit: &str) {
    let error = answer.expect_code("UNAVAILABLE");
    assert_eq!((&error["details"]["limit"], &error["retryable"]), (&json!(limit), &json!(true)));
    assert!(error["retryAfterMs"].as_u64() > Some(0), "{error}");
    assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
}

#[tokio::test]
async fn calls_wait_for_a_slot_in_a_queue_that_ends() {
    let sidecar = "[per_plugin]\nconcurrency = 1\nqueue = 1\nqueue_timeout = '20s'";
    let setup = Host::test().plugin("slow").plugin("echo").sidecar("slow", sidecar);
    let host = setup.agent("alice", &["*"]).start().await;
    let alice = host.client("alice").await;

    let mut running = alice.open("slow", json!({ "ms": 1_000 })).await;
    assert_eq!(running.next().await.unwrap()["method"], "notifications/progress", "it has begun");
    let waiting = nap(&alice, 1);
    host.until_in_flight(2).await;
    let refused = alice.call("slow", json!({ "ms": 1 })).await;
    expect_unavailable(&refused, "per_plugin.concurrency");
    assert_eq!(host.record(refused.request_id()).await["outcome"], "refused");
    alice.call("echo", hello()).await.expect_ok();

    assert_eq!(running.finish().await.block(), "waited 1000 ms");
    let waited = waiting.await.unwrap();
    assert_eq!(waited.block(), "waited 1 ms");
    assert!(host.record(waited.request_id()).await["queue_ms"].as_f64() > Some(0.0));
    alice.call("slow", json!({ "ms": 1 })).await.expect_ok();
}

#[tokio::test]
async fn a_wait_for_a_slot_times_out() {
    let sidecar = "[per_plugin]\nconcurrency = 1\nqueue = 8\nqueue_timeout = '50ms'";
    let setup = Host::test().plugin("slow").sidecar("slow", sidecar).agent("alice", &["*"]);
    let host = setup.start().await;
    let alice = host.client("alice").await;
    let mut running = alice.open("slow", json!({ "ms": 1_500 })).await;
    running.next().await.unwrap();
    let refused = alice.call("slow", json!({ "ms": 1 })).await;
    expect_unavailable(&refused, "per_plugin.concurrency");
    let waited = host.record(refused.request_id()).await["queue_ms"].as_f64();
    assert!(waited >= Some(50.0), "what it waited in vain is known: {waited:?}");
    running.finish().await.expect_ok();
}

#[tokio::test]
async fn an_agent_cannot_take_every_slot() {
    let sidecar = "[per_plugin]\nconcurrency = 8\nqueue = 0";
    let setup = Host::test().plugin("slow").sidecar("slow", sidecar);
    let setup = setup.agent("alice", &["*"]).agent("bob", &["*"]);
    let setup = setup.config("[agents.alice.per_agent]\nconcurrency = 1");
    let host = setup.start().await;
    let (alice, bob) = (host.client("alice").await, host.client("bob").await);
    let mut running = alice.open("slow", json!({ "ms": 1_000 })).await;
    running.next().await.unwrap();
    expect_unavailable(&alice.call("slow", json!({ "ms": 1 })).await, "per_agent.concurrency");
    assert_eq!(bob.call("slow", json!({ "ms": 1 })).await.block(), "waited 1 ms");
    running.finish().await.expect_ok();
}
