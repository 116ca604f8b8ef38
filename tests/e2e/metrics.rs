//! `/metrics`: what is counted, and that clients cannot make it grow.

use bulkhead_tests::Host;
use serde_json::json;

#[tokio::test]
async fn calls_are_counted_by_tool_and_code() {
    let setup = Host::test().plugin("echo").plugin("panics").agent("alice", &["*"]);
    let host = setup.start().await;
    let alice = host.client("alice").await;
    for _ in 0..3 {
        alice.call("echo", json!({ "message": "hi" })).await.expect_ok();
    }
    alice.call("echo", json!({})).await.expect_code("INVALID_ARGUMENTS");
    alice.call("panics", json!({})).await.expect_code("TOOL_CRASHED");
    for (series, value) in [
        (r#"bulkhead_calls_total{tool="echo",code="OK"}"#, 3.0),
        (r#"bulkhead_calls_total{tool="echo",code="INVALID_ARGUMENTS"}"#, 1.0),
        (r#"bulkhead_calls_total{tool="panics",code="TOOL_CRASHED"}"#, 1.0),
        (r#"bulkhead_call_duration_seconds_count{tool="echo"}"#, 4.0),
        ("bulkhead_calls_in_flight", 0.0),
        ("bulkhead_audit_records_total", 5.0),
        ("bulkhead_audit_records_lost_total", 0.0),
    ] {
        assert_eq!(host.metric(series).await, value, "{series}");
    }
    let burned: f64 = host.audit().iter().filter_map(|record| record["fuel"].as_f64()).sum();
    let counted = host.metric(r#"bulkhead_fuel_total{tool="echo"}"#).await
        + host.metric(r#"bulkhead_fuel_total{tool="panics"}"#).await;
    assert_eq!(counted, burned, "the meters and the records agree");
    let metrics = host.get("/metrics").await;
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"));
    assert!(metrics.text.ends_with("# EOF\n"));
}

#[tokio::test]
async fn what_clients_write_makes_no_series() {
    let host = Host::test().plugin("echo").agent("alice", &["*"]).start().await;
    let alice = host.client("alice").await;
    alice.call("echo", json!({ "message": "hi" })).await.expect_ok();
    alice.call("nothing", json!({})).await.expect_code("TOOL_NOT_FOUND");
    let before = host.get("/metrics").await.text.lines().count();
    for at in 0..30 {
        alice.call(&format!("made_up_{at}"), json!({})).await.expect_code("TOOL_NOT_FOUND");
    }
    let after = host.get("/metrics").await.text;
    assert_eq!(after.lines().count(), before);
    assert!(!after.contains("made_up"));
}
