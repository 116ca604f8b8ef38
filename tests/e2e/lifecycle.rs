//! From readiness to the last record: signals, drain, health.

use bulkhead_tests::{Client, Host, Stream, until};
use rustix::process::Signal;
use serde_json::json;

/// A server with this configuration, whose `slow` has begun a nap.
async fn napping(config: &str, ms: u64) -> (Host, Client, Stream) {
    let setup = Host::test().plugin("slow").plugin("echo");
    let setup = setup.sidecar("slow", "per_call.deadline = '10min'");
    let host = setup.agent("alice", &["*"]).config(config).start().await;
    let alice = host.client("alice").await;
    let mut nap = alice.open("slow", json!({ "ms": ms })).await;
    nap.next().await.unwrap();
    (host, alice, nap)
}

#[tokio::test]
async fn a_call_in_flight_is_answered_before_the_end() {
    for legacy in [false, true] {
        let setup = Host::test().plugin("slow").agent("alice", &["*"]);
        let host = setup.start().await;
        let mut alice = host.client("alice").await;
        if legacy {
            alice = alice.legacy();
        }
        let call =
            tokio::task::spawn(async move { alice.call("slow", json!({ "ms": 1_000 })).await });
        host.until_in_flight(1).await;
        host.signal(Signal::TERM);
        let answer = call.await.unwrap();
        assert_eq!(answer.block(), "waited 1000 ms");
        assert_eq!(host.ended().await.code(), Some(0), "{:?}", host.log);
        let records = host.audit();
        assert_eq!((records.len(), &records[0]["outcome"]), (1, &json!("ok")));
        assert!(!host.state("admin.sock").exists());
    }
}

#[tokio::test]
async fn load_balancers_have_time_to_notice() {
    let setup = Host::test().plugin("echo").agent("alice", &["*"]);
    let host = setup.config("[server]\nshutdown_delay = '2s'").start().await;
    let alice = host.client("alice").await;
    assert_eq!(host.get("/readyz").await.status, 200);
    host.signal(Signal::TERM);
    let ready = until("not ready", async || {
        let ready = host.get("/readyz").await;
        (ready.status == 503).then_some(ready)
    })
    .await;
    let reasons: serde_json::Value = serde_json::from_str(&ready.text).unwrap();
    assert_eq!(reasons["ready"], false);
    assert!(reasons["reasons"][0].as_str().unwrap().contains("about to end"), "{reasons}");
    assert_eq!(host.get("/healthz").await.status, 200, "alive it is");
    let answer = alice.call("echo", json!({ "message": "still served" })).await;
    assert_eq!(answer.structured()["message"], "still served");
    assert_eq!(host.ended().await.code(), Some(0));
}

#[tokio::test]
async fn calls_that_outlast_the_drain_are_ended_answered_and_recorded() {
    for legacy in [false, true] {
        let setup = Host::test().plugin("slow").agent("alice", &["*"]);
        let setup = setup.sidecar("slow", "per_call.deadline = '10min'");
        let host = setup.config("[server]\ndrain_timeout = '100ms'").start().await;
        let alice = host.client("alice").await;
        let alice = if legacy { alice.legacy() } else { alice };
        let mut stream = alice.open("slow", json!({ "ms": 300_000 })).await;
        stream.next().await.unwrap();
        let whole = {
            let alice = alice.clone();
            tokio::task::spawn(async move { alice.call("slow", json!({ "ms": 300_000 })).await })
        };
        host.until_in_flight(2).await;
        host.signal(Signal::TERM);
        for answer in [whole.await.unwrap(), stream.finish().await] {
            assert_eq!(answer.status, 200, "{answer:?}");
            let error = answer.expect_code("DEADLINE_EXCEEDED");
            assert_eq!(error["details"]["quota"], "server.drain_timeout", "{error}");
            assert_eq!(error["retryable"], true, "{error}");
        }
        assert_eq!(host.ended().await.code(), Some(0), "{:?}", host.log);
        let records = host.audit();
        assert_eq!(records.len(), 2);
        for record in records {
            assert_eq!(
                (&record["outcome"], &record["code"]),
                (&json!("failed"), &json!("DEADLINE_EXCEEDED"))
            );
        }
    }
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let (host, _alice, nap) = napping("[server]\ndrain_timeout = '1h'", 300_000).await;
    host.signal(Signal::TERM);
    host.log.line("ending").await;
    host.signal(Signal::INT);
    let code = host.ended().await.code();
    assert!(code.is_some_and(|code| code != 0), "{code:?}");
    drop(nap);
}

#[tokio::test]
async fn probes_are_answered_and_nothing_else_is() {
    let host = Host::test().plugin("echo").start().await;
    for (path, status) in
        [("/healthz", 200), ("/readyz", 200), ("/metrics", 200), ("/mcp", 404), ("/", 404)]
    {
        assert_eq!(host.get(path).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_told() {
    let host = Host::test().plugin("echo").start().await;
    let second = Host::test().plugin("echo").folder();
    let taken = host.authority().to_owned();
    let output = second.serve_on(&taken).await;
    assert_eq!(output.status.code(), Some(69));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&taken) && said.contains("[server] listen"), "{said}");
}
