//! `serve --stdio`: both eras on one stream, side by side, and how it ends.

use bulkhead_tests::{Host, LEGACY, MODERN, OLDER, Setup, request};
use serde_json::{Value, json};

fn setup() -> Setup {
    let setup = Host::test().plugin("echo").plugin("slow").plugin("progress");
    setup.sidecar("slow", "per_call.deadline = '10min'")
}

fn initialize(version: &str) -> Value {
    json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": { "name": "t", "version": "0" } })
}

#[tokio::test]
async fn the_legacy_era() {
    let mut server = setup().stdio(None).await;
    for version in [LEGACY, OLDER] {
        let settled = server.request(version, 1.into(), "initialize", initialize(version)).await;
        assert_eq!(settled.expect_ok()["protocolVersion"], version);
    }
    server.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
    let listed = server.request(LEGACY, "two".into(), "tools/list", json!({})).await;
    assert_eq!(listed.expect_ok()["tools"].as_array().unwrap().len(), 3);
    let called = server.call(LEGACY, 3.into(), "echo", json!({ "message": "hi" })).await;
    assert_eq!(called.structured()["message"], "hi");
    assert_eq!(called.result()["resultType"], Value::Null);
    assert_eq!(server.request(LEGACY, 4.into(), "ping", json!({})).await.result(), &json!({}));
    assert_eq!(server.close().await.code(), Some(0), "{:?}", server.log);
    let records = server.audit();
    assert_eq!((records.len(), &records[0]["agent"]), (1, &json!("local")));
}

#[tokio::test]
async fn the_modern_era() {
    let mut server = setup().stdio(None).await;
    let discovered = server.request(MODERN, 1.into(), "server/discover", json!({})).await;
    assert_eq!(discovered.expect_ok()["resultType"], "complete");
    let called = server.call(MODERN, 2.into(), "echo", json!({ "message": "hi" })).await;
    assert_eq!(called.structured()["message"], "hi");
    let failed = server.call(MODERN, 3.into(), "echo", json!({})).await;
    failed.expect_code("INVALID_ARGUMENTS");
    let future = server.request("2099-01-01", 4.into(), "tools/list", json!({})).await;
    assert_eq!(future.message()["error"]["code"], -32022);
    assert_eq!(server.close().await.code(), Some(0));
}

#[tokio::test]
async fn a_key_in_the_environment_says_who_calls() {
    let setup = setup().agent("alice", &["echo:*"]);
    let folder = setup.folder();
    let key = folder.key("alice", &[]).await;
    let mut server = bulkhead_tests::Stdio::start(folder, Some(&key.key)).await;
    let listed = server.request(MODERN, 1.into(), "tools/list", json!({})).await;
    assert_eq!(listed.expect_ok()["tools"].as_array().unwrap().len(), 1);
    server
        .call(MODERN, 2.into(), "slow", json!({ "ms": 1 }))
        .await
        .expect_code("PERMISSION_DENIED");
    server.close().await;
    assert_eq!(server.audit()[0]["agent"], "alice");
    assert_eq!(server.audit()[0]["credential"], json!(key.id));
}

#[tokio::test]
async fn a_wrong_key_is_refused_and_answered() {
    let of_another = setup().folder().key("alice", &["--scope", "*"]).await;
    let mut server = setup().stdio(Some(&of_another.key)).await;
    for id in [json!(1), json!("two")] {
        let refused = server.request(MODERN, id, "tools/list", json!({})).await;
        refused.expect_code("UNAUTHENTICATED");
    }
    assert_eq!(server.close().await.code(), Some(0));
}

#[tokio::test]
async fn calls_run_side_by_side_and_a_cancelled_one_is_not_answered() {
    let mut server = setup().stdio(None).await;
    // Each under an id of its own: the first may still be open when the second begins.
    for (version, id) in [(LEGACY, "nap"), (MODERN, "second nap")] {
        let nap = json!({ "name": "slow", "arguments": { "ms": 300_000 }, "_meta": { "progressToken": "t" } });
        server.send(&request(version, id.into(), "tools/call", nap)).await;
        let begun = server.next().await.unwrap();
        assert_eq!(begun["method"], "notifications/progress", "{begun}");
        let beside = server.call(version, 1.into(), "echo", json!({ "message": "beside" })).await;
        assert_eq!(beside.structured()["message"], "beside");
        let cancel = json!({ "requestId": id, "reason": "changed my mind" });
        server
            .send(
                &json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel }),
            )
            .await;
        let after = server.call(version, 2.into(), "echo", json!({ "message": "after" })).await;
        assert_eq!(after.structured()["message"], "after", "and nothing about the nap");
    }
    assert_eq!(server.close().await.code(), Some(0));
    let cancelled =
        server.audit().into_iter().filter(|record| record["outcome"] == "cancelled").count();
    assert_eq!((cancelled, server.audit().len()), (2, 6));
}

#[tokio::test]
async fn progress_comes_before_the_result() {
    let mut server = setup().stdio(None).await;
    let params = json!({ "name": "progress", "arguments": {}, "_meta": { "progressToken": 7 } });
    server.send(&request(MODERN, 1.into(), "tools/call", params)).await;
    for step in 1..=3 {
        let report = server.next().await.unwrap();
        assert_eq!(report["params"]["progressToken"], 7);
        assert_eq!(report["params"]["progress"], f64::from(step));
    }
    assert_eq!(server.next().await.unwrap()["id"], 1);
}

#[tokio::test]
async fn wrong_lines_are_answered_and_the_stream_goes_on() {
    let mut server = setup().config("[server]\nmax_body = '16KiB'").stdio(None).await;
    let filler = "x".repeat(64 << 10);
    for (line, id, code) in [
        ("no JSON".to_owned(), Value::Null, "PARSE_ERROR"),
        ("[]".to_owned(), Value::Null, "INVALID_REQUEST"),
        (r#"{"jsonrpc":"2.0","id":1}"#.to_owned(), json!(1), "INVALID_REQUEST"),
        (r#"{"jsonrpc":"2.0","id":2,"method":"no/such"}"#.to_owned(), json!(2), "METHOD_NOT_FOUND"),
        (
            format!(r#"{{"jsonrpc":"2.0","id":3,"method":"ping","params":{{"x":"{filler}"}}}}"#),
            json!(3),
            "PAYLOAD_TOO_LARGE",
        ),
        (
            format!(r#"{{"x":"{filler}","id":"late","method":"ping"}}"#),
            json!("late"),
            "PAYLOAD_TOO_LARGE",
        ),
        (filler.clone(), Value::Null, "PAYLOAD_TOO_LARGE"),
    ] {
        server.send_line(&line).await;
        let answer = server.next().await.unwrap();
        let what = &line[..line.len().min(60)];
        assert_eq!(answer["id"], id, "{what}: {answer}");
        assert_eq!(answer["error"]["data"]["code"], code, "{what}: {answer}");
    }
    server.send_line("").await;
    let called = server.call(MODERN, 9.into(), "echo", json!({ "message": "on it goes" })).await;
    assert_eq!(called.structured()["message"], "on it goes");
    assert_eq!(server.close().await.code(), Some(0));
}

#[tokio::test]
async fn what_was_asked_before_the_end_is_answered() {
    let mut server = setup().stdio(None).await;
    let nap = json!({ "name": "slow", "arguments": { "ms": 500 } });
    server.send(&request(MODERN, 1.into(), "tools/call", nap)).await;
    assert_eq!(server.close().await.code(), Some(0));
    assert_eq!(server.next().await.unwrap()["id"], 1);
    assert_eq!(server.next().await, None);
    assert_eq!(server.audit()[0]["outcome"], "ok");
}
