//! Arguments, checked before any tool code runs.

use bulkhead_tests::Host;
use serde_json::{Value, json};

/// A value that must not come back.
const SECRET: &str = "s3cr3t-value-of-an-argument";

#[tokio::test]
async fn violations_are_named_and_values_are_not_repeated() {
    let host = Host::test().plugin("records").agent("alice", &["*"]).start().await;
    let alice = host.client("alice").await;
    for (tool, arguments, path, rule) in [
        ("get_record", json!({}), "", "required"),
        ("get_record", json!({ "id": 1 }), "/id", "type"),
        ("get_record", json!({ "id": SECRET }), "/id", "pattern"),
        ("get_record", json!({ "id": "rec_0001", "note": SECRET }), "", "additionalProperties"),
        ("search_records", json!({ "limit": 1_000 }), "/limit", "maximum"),
        ("search_records", json!({ "region": SECRET }), "/region", ""),
    ] {
        for alice in [alice.clone(), alice.legacy()] {
            let answer = alice.call(tool, arguments.clone()).await;
            assert_eq!(answer.status, 200);
            let error = answer.expect_code("INVALID_ARGUMENTS");
            let first = &error["details"]["violations"][0];
            assert_eq!(first["path"], path, "{error}");
            assert!(rule.is_empty() || first["rule"] == rule, "{error}");
            assert!(first["message"].as_str().is_some_and(|text| !text.is_empty()), "{error}");
            assert!(!answer.text.contains(SECRET), "{}", answer.text);
            let record = host.record(answer.request_id()).await;
            assert_eq!((&record["outcome"], &record["fuel"]), (&json!("refused"), &Value::Null));
        }
    }
    alice.call("get_record", json!({ "id": "rec_0001" })).await.expect_ok();
    assert!(!host.log.text().contains(SECRET));
}

#[tokio::test]
async fn an_answer_lists_eight_violations_at_most() {
    let host = Host::test().plugin("records").agent("alice", &["*"]).start().await;
    let alice = host.client("alice").await;
    let many: serde_json::Map<String, Value> =
        (0..60).map(|at| (format!("unknown{at}"), SECRET.into())).collect();
    let mut worst = json!({ "query": 1, "region": 2, "stage": 3, "limit": "four" });
    worst.as_object_mut().unwrap().extend(many);
    let answer = alice.call("search_records", worst).await;
    let violations =
        answer.expect_code("INVALID_ARGUMENTS")["details"]["violations"].as_array().unwrap();
    assert!((2..=8).contains(&violations.len()), "{violations:?}");
    assert!(answer.text.len() < 8_192, "{} bytes", answer.text.len());
    assert!(!answer.text.contains(SECRET));
}

#[tokio::test]
async fn arguments_have_a_quota() {
    let setup = Host::test().plugin("echo").sidecar("echo", "per_call.max_input = '1KiB'");
    let host = setup.agent("alice", &["*"]).start().await;
    let alice = host.client("alice").await;
    let overhead = json!({ "message": "" }).to_string().len();
    let fits = "x".repeat(1_024 - overhead);
    assert_eq!(alice.call("echo", json!({ "message": fits })).await.structured()["message"], fits);
    let answer = alice.call("echo", json!({ "message": format!("{fits}x") })).await;
    let violation = &answer.expect_code("INVALID_ARGUMENTS")["details"]["violations"][0];
    assert_eq!(violation["rule"], "max_input");
}

#[tokio::test]
async fn a_tools_own_refusal_is_an_error_that_a_model_can_act_on() {
    let host = Host::test().plugin("records").agent("alice", &["*"]).start().await;
    let alice = host.client("alice").await;
    let answer = alice.call("get_record", json!({ "id": "rec_9999" })).await;
    let error = answer.expect_code("RECORD_NOT_FOUND");
    assert!(error["message"].as_str().unwrap().contains("search_records"), "{error}");
    assert_eq!(host.record(answer.request_id()).await["code"], "RECORD_NOT_FOUND");
}

#[tokio::test]
async fn a_violation_says_what_would_be_right() {
    let host = Host::test().plugin("records").agent("alice", &["*"]).start().await;
    let alice = host.client("alice").await;
    let answer = alice.call("get_record", json!({ "idd": SECRET })).await;
    let violations = answer.expect_code("INVALID_ARGUMENTS")["details"]["violations"].clone();
    let all = violations.as_array().unwrap();
    let missing = all.iter().find(|one| one["rule"] == "required").unwrap();
    assert!(missing["expected"].as_str().unwrap().starts_with("string"), "{missing}");
    assert_eq!(missing["insteadOf"], "idd");
    let unknown = all.iter().find(|one| one["rule"] == "additionalProperties").unwrap();
    assert_eq!(unknown["didYouMean"], "id");
    assert!(!answer.text.contains(SECRET));
}

/// A command whose schema says nothing about further properties.
const OPEN: &str = r#"name = "command"
version = "1"
[[command]]
name = "tell"
description = "Tells."
args = ["tell"]
input_schema = { type = "object", properties = { text = { type = "string" } } }
"#;

#[tokio::test]
async fn unknown_properties_are_refused_where_the_operator_says_so() {
    let strict = "[input]\nunknown_properties = 'refuse'\n";
    let one_is_open = "[tools.tell.input]\nunknown_properties = 'as-schema'\n";
    for (config, sidecar, refuses) in
        [("", "", false), (strict, "", true), ("", strict, true), (strict, one_is_open, false)]
    {
        let setup = Host::test().plugin("command").file("command.plugin.toml", OPEN);
        let setup = setup.sidecar("command", sidecar).config(config).agent("alice", &["*"]);
        let host = setup.start().await;
        let alice = host.client("alice").await;
        let answer = alice.call("tell", json!({ "text": "a", "txet": SECRET })).await;
        if refuses {
            let violation = &answer.expect_code("INVALID_ARGUMENTS")["details"]["violations"][0];
            assert_eq!(violation["message"], "unknown property txet");
            assert_eq!(violation["didYouMean"], "text");
            assert!(!answer.text.contains(SECRET));
        } else {
            answer.expect_ok();
        }
        alice.call("tell", json!({ "text": "a" })).await.expect_ok();
    }
}

#[tokio::test]
async fn what_models_get_wrong_is_repaired_where_the_operator_says_so() {
    let arguments = json!({ "query": "a", "limit": "1", "region": null });
    let strict = Host::test().plugin("records").agent("alice", &["*"]).start().await;
    let answer = strict.client("alice").await.call("search_records", arguments.clone()).await;
    answer.expect_code("INVALID_ARGUMENTS");
    assert_eq!(strict.record(answer.request_id()).await["coerced"], 0);

    let lenient = Host::test().plugin("records").agent("alice", &["*"]);
    let lenient = lenient.sidecar("records", "input.coerce = true").start().await;
    let alice = lenient.client("alice").await;
    for alice in [alice.clone(), alice.legacy()] {
        let answer = alice.call("search_records", arguments.clone()).await;
        answer.expect_ok();
        let coerced = &answer.result()["_meta"]["io.bulkhead/coerced"];
        let limit = json!({ "path": "/limit", "from": "string", "to": "integer" });
        assert!(coerced.as_array().unwrap().contains(&limit), "{coerced}");
        let count = coerced.as_array().unwrap().len();
        assert_eq!(lenient.record(answer.request_id()).await["coerced"], count);
    }
    let answer = alice.call("search_records", json!({ "query": "a", "limit": 1 })).await;
    assert_eq!(answer.result()["_meta"]["io.bulkhead/coerced"], Value::Null);
    let answer = alice.call("search_records", json!({ "limit": "many" })).await;
    answer.expect_code("INVALID_ARGUMENTS");
}
