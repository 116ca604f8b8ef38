//! Guests that answer: as they should, too much, or wrongly.

use serde_json::{Value, json};

use super::{attack, with};

#[tokio::test]
pub(super) async fn echo() {
    let (host, alice) = with("counter", "").await;
    let answer = alice.call("echo", json!({ "message": "hello" })).await;
    assert_eq!(answer.structured(), &json!({ "message": "hello" }));
    assert_eq!(answer.block(), r#"{"message":"hello"}"#, "also for models that read only text");
    let record = host.record(answer.request_id()).await;
    for (field, value) in [
        ("outcome", json!("ok")),
        ("code", Value::Null),
        ("plugin", json!("echo")),
        ("output_bytes", json!(r#"{"message":"hello"}"#.len())),
    ] {
        assert_eq!(record[field], value, "{field}: {record}");
    }
    for field in ["fuel", "peak_memory_bytes", "duration_ms", "run_ms"] {
        assert!(record[field].as_f64() > Some(0.0), "{field}: {record}");
    }
}

#[tokio::test]
pub(super) async fn verbatim() {
    let (_host, alice) = with("verbatim", "").await;
    let list = alice.request("tools/list", json!({})).await;
    let schema = r#""inputSchema":{"type":"object", "required" : [], "properties":{"z":{"type":"number","maximum":1e2},"a":{"const":1.0},"\u0065":true},"x-own":{"b":1,"a":[ ]}}"#;
    assert!(list.text.contains(schema), "the author's bytes: {}", list.text);

    let arguments = r#"{ "z":1e1, "a":1.00,"\u0065":"\u00e9", "big":12345678901234567890123 }"#;
    let message = alice.message("tools/call", json!({ "name": "verbatim", "arguments": "HERE" }));
    let body = message.to_string().replace(r#""HERE""#, arguments);
    let answer = alice.post(&message).body(body).send().await.unwrap();
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(answer["result"]["content"][0]["text"], arguments, "the client's bytes");
}

#[tokio::test]
pub(super) async fn loud() {
    let (host, alice) = with("loud", "per_call.max_output = '64KiB'").await;
    for bytes in [(64 << 10) + 1, 16 << 20] {
        let asked = json!({ "bytes": bytes });
        let ended = attack(&host, &alice, "loud", asked, "OUTPUT_TOO_LARGE").await;
        ended.by_quota("per_call.max_output", "64KiB");
        assert!(ended.answer.text.len() < 4_096, "nothing of it is sent");
    }
    let fits = alice.call("loud", json!({ "bytes": 64 << 10 })).await;
    assert_eq!(fits.block().len(), 64 << 10);
    assert_eq!(host.record(fits.request_id()).await["output_bytes"], 64 << 10);

    let colored = alice.call("colored", json!({})).await;
    let clean = "red alert\r\nend";
    assert_eq!(colored.block(), clean);
    assert_eq!(colored.structured(), &json!({ "dirty": clean, "key": 1 }));
}

#[tokio::test]
pub(super) async fn fails() {
    let (host, alice) = with("fails", "").await;
    for (given, code) in [
        ("STOCK_TOO_LOW", "STOCK_TOO_LOW"),
        ("nope", "TOOL_ERROR"),
        ("", "TOOL_ERROR"),
        ("FUEL_EXHAUSTED", "TOOL_ERROR"),
        ("UNAUTHENTICATED", "TOOL_ERROR"),
    ] {
        let ended = attack(&host, &alice, "fails", json!({ "code": given }), code).await;
        let error = ended.answer.expect_code(code);
        assert_eq!(error["message"], "It failed as asked.", "cleaned");
        assert_eq!((&error["details"]["left"], &error["retryable"]), (&json!(3), &json!(false)));
    }
    let later = json!({ "code": "STOCK_TOO_LOW", "retry_after_ms": 1_500 });
    let answer = alice.call("fails", later).await;
    let error = answer.expect_code("STOCK_TOO_LOW");
    assert_eq!((&error["retryable"], &error["retryAfterMs"]), (&json!(true), &json!(1_500)));
    assert_eq!(answer.header("retry-after"), "", "a plugin does not steer HTTP clients");
    let calls = host.metric(r#"bulkhead_calls_total{tool="fails",code="TOOL_ERROR"}"#).await;
    assert_eq!(calls, 6.0, "plugins' codes share one label");
}

#[tokio::test]
pub(super) async fn leaky() {
    let (host, alice) = with("leaky", "").await;
    let general = "The tool could not read or write what it needs.";
    let unreadable = "The tool met data that it cannot read.";
    let file = "IO_FAILED: /srv/secret/hunter2: timed out forged";
    let text = "INVALID_DATA: invalid type: string ";
    for (tool, arguments, code, message, retryable, logged) in [
        ("leaky", json!({ "by": "io" }), "IO_FAILED", general, true, file),
        ("careless", json!({}), "IO_FAILED", general, true, file),
        ("leaky", json!({ "by": "json" }), "INVALID_DATA", unreadable, false, text),
        ("leaky", json!({ "by": "number" }), "INVALID_DATA", unreadable, false, "INVALID_DATA: "),
        (
            "leaky",
            json!({ "by": "own" }),
            "CONFLICT",
            "It was changed meanwhile.",
            false,
            "CONFLICT: /srv/secret/hunter2",
        ),
    ] {
        let mark = host.log.mark();
        let ended = attack(&host, &alice, tool, arguments.clone(), code).await;
        let error = ended.answer.expect_code(code);
        assert_eq!((&error["message"], &error["retryable"]), (&json!(message), &json!(retryable)));
        for told in [&ended.answer.text, &ended.record.to_string()] {
            assert!(!told.contains("hunter2") && !told.contains("invalid digit"), "{told}");
        }
        let line = host.log.line_after(mark, logged).await;
        assert!(line.contains(ended.answer.request_id()), "a line names its call: {line}");
        let whole = line.contains("hunter2") || arguments["by"] == "number";
        assert!(whole && !line.contains('\u{1b}'), "{line}");
    }
    let lines = |text: String| text.matches("hunter2").count();
    let before = lines(host.log.text());
    assert_eq!(alice.call("leaky", json!({ "by": "recovered" })).await.block(), "fine");
    alice.call("leaky", json!({ "by": "number" })).await.expect_code("INVALID_DATA");
    assert_eq!(lines(host.log.text()), before, "what a tool recovers from is nobody's business");
}

#[tokio::test]
pub(super) async fn mismatch() {
    let (host, alice) = with("mismatch", "").await;
    let ended = attack(&host, &alice, "mismatch", json!({}), "OUTPUT_REJECTED").await;
    assert!(!ended.answer.text.contains("many"), "{:?}", ended.answer);
    // An older client would check even an error against the tool's output schema.
    let legacy = alice.legacy().call("mismatch", json!({})).await;
    legacy.expect_code("OUTPUT_REJECTED");
    assert_eq!(legacy.result()["structuredContent"], Value::Null);
}
