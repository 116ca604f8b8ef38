//! The audit log: one record per call on every path, and never a value.

use bulkhead_tests::{Folder, Host};
use serde_json::json;

#[tokio::test]
async fn every_call_leaves_one_record_whatever_becomes_of_it() {
    let setup = Host::test().plugin("echo").plugin("panics").plugin("fails");
    let host = setup.agent("alice", &["echo:*", "panics:*", "fails:*"]).start().await;
    let alice = host.client("alice").await;
    let hello = json!({ "message": "hello" });
    let mut expected = Vec::new();
    for (tool, arguments, code) in [
        ("echo", hello.clone(), None),
        ("echo", json!({}), Some("INVALID_ARGUMENTS")),
        ("nothing", json!({}), Some("TOOL_NOT_FOUND")),
        ("panics", json!({}), Some("TOOL_CRASHED")),
        ("fails", json!({ "code": "STOCK_TOO_LOW" }), Some("STOCK_TOO_LOW")),
    ] {
        let answer = alice.call(tool, arguments).await;
        match code {
            None => assert_eq!(answer.structured(), &hello),
            Some(code) => assert_eq!(answer.expect_code(code)["code"], code),
        }
        expected.push((answer.request_id().to_owned(), json!(code), json!(tool)));
    }
    let calls = host.audit();
    let records = calls.iter().map(|record| {
        let id = record["request_id"].as_str().unwrap().to_owned();
        (id, record["code"].clone(), record["tool"].clone())
    });
    assert_eq!(Vec::from_iter(records), expected);
    for field in FIELDS {
        assert!(calls[0].get(field).is_some(), "`{field}` is in {}", calls[0]);
    }
    let component = std::fs::read(bulkhead_tests::component("echo")).unwrap();
    assert_eq!(calls[0]["digest"], bulkhead_tests::sha256(&component));
}

/// What scripts rely on.
const FIELDS: [&str; 23] = [
    "v",
    "time",
    "seq",
    "prev",
    "hash",
    "replica",
    "server_version",
    "request_id",
    "trace_id",
    "agent",
    "subject",
    "credential",
    "tool",
    "plugin",
    "plugin_version",
    "digest",
    "outcome",
    "code",
    "arguments",
    "output_bytes",
    "duration_ms",
    "queue_ms",
    "fuel",
];

#[tokio::test]
async fn arguments_are_recorded_by_name_type_and_length_only() {
    const VALUE: &str = "4111-1111-1111-1111";
    let host = Host::test().plugin("verbatim").agent("alice", &["*"]).start().await;
    let alice = host.client("alice").await;
    let arguments = json!({
        "card": VALUE, "amount": 98_765_432, "paid": true, "list": [VALUE, VALUE],
        "nested": { "card": VALUE }, "\u{1b}[31mname": VALUE, "none": null,
    });
    let answer = alice.call("verbatim", arguments).await;
    assert!(answer.block().contains(VALUE));
    let shape = host.record(answer.request_id()).await["arguments"].clone();
    for (name, wanted) in [
        ("card", json!({ "type": "string", "length": VALUE.len() })),
        ("amount", json!({ "type": "number" })),
        ("paid", json!({ "type": "boolean" })),
        ("list", json!({ "type": "array", "length": 2 })),
        ("none", json!({ "type": "null" })),
    ] {
        assert_eq!(shape[name], wanted, "{shape}");
    }
    assert_eq!(shape["nested"]["keys"]["card"]["type"], "string", "{shape}");
    // Refused calls, and calls whose arguments are the problem, as well.
    alice.call("nothing", json!({ "card": VALUE })).await.expect_code("TOOL_NOT_FOUND");
    let raw = std::fs::read_to_string(host.state("audit.jsonl")).unwrap();
    for leak in [VALUE, "98765432", "\\u001b"] {
        assert!(!raw.contains(leak), "{leak}");
        assert!(!host.log.text().contains(leak), "{leak}");
    }
}

#[tokio::test]
async fn the_chain_goes_on_over_restarts() {
    let setup = Host::test().plugin("echo").agent("alice", &["*"]);
    let mut folder: Folder = setup.folder();
    for records in 1..=3 {
        let host = Host::start(folder).await;
        let alice = host.client("alice").await;
        alice.call("echo", json!({ "message": "hello" })).await.expect_ok();
        folder = host.stop().await;
        assert_eq!(folder.audit().len(), records, "one each time, in one chain");
    }
    let log = folder.state("audit.jsonl");
    let text = std::fs::read_to_string(&log).unwrap();
    let forged = text.replacen(r#""agent":"alice""#, r#""agent":"mallo""#, 1);
    assert_ne!(forged, text);
    std::fs::write(&log, forged).unwrap();
    let caught = std::panic::catch_unwind(|| folder.audit());
    assert!(caught.is_err(), "a changed record breaks the chain");
}

#[tokio::test]
async fn two_processes_never_write_one_file() {
    let host = Host::test().plugin("echo").agent("alice", &["*"]).start().await;
    let alice = host.client("alice").await;
    alice.call("echo", json!({ "message": "served" })).await.expect_ok();
    host.cli_ok(&["call", "echo", r#"{"message":"local"}"#]).await;
    let second = bulkhead_tests::parse_log(&host.state("audit.1.jsonl"));
    assert_eq!((host.audit().len(), second.len()), (1, 1));
    assert_eq!(second[0]["agent"], "local");
}
