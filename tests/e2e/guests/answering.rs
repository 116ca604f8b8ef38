//! Guests that answer: as they should, too much, or wrongly.

use bulkhead_tests::Answer;
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

/// A block is what it says, or is withheld; a link leads to what is listed, or nowhere.
#[tokio::test]
pub(super) async fn gallery() {
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0";
    const PAGE: &[u8] = b"<!DOCTYPE html>";
    let (host, alice) = with("gallery", "output.link_hosts = ['docs.example.com']").await;
    let told = |answer: &Answer| answer.result()["_meta"]["io.bulkhead/sanitized"].clone();
    let media = |kind: &str, data: &[u8], mime_type: &str| json!({ kind: { "data": data, "mime_type": mime_type } });
    let other = |kind: &str, data: &str, mime_type: &str| json!({ "other": { "type": kind, "data": data, "mimeType": mime_type } });
    let blob = |mime_type: &str| {
        json!({ "other": { "type": "resource", "resource": {
            "uri": "res://x", "blob": "iVBORw0KGgo=", "mimeType": mime_type,
        } } })
    };
    let icon = |src: &str| json!({ "other": { "type": "resource_link", "name": "x", "uri": "res://x", "icons": [{ "src": src }] } });
    let nested = |data: &str| {
        let image = json!({ "type": "image", "data": data, "mimeType": "image/png" });
        json!({ "other": { "type": "tool_result", "content": [image] } })
    };
    let link = |uri: &str| json!({ "other": { "type": "resource_link", "name": "x", "uri": uri } });
    for (good, bad) in [
        (media("image", PNG, "image/png"), media("image", PAGE, "image/png")),
        (media("image", PNG, "Image/PNG; q=1"), media("image", PNG, "image/svg+xml")),
        (media("image", b"GIF89a", "image/gif"), media("image", b"%PDF-", "application/pdf")),
        (media("audio", b"OggS", "audio/ogg"), media("audio", b"OggS", "audio/midi")),
        (media("blob", b"%PDF-", "application/pdf"), media("blob", PAGE, "application/pdf")),
        (
            media("blob", b"any", "application/octet-stream"),
            media("blob", PAGE, "application/octet-stream"),
        ),
        (media("blob", b"PK\x03\x04", "application/zip"), media("blob", PAGE, "text/html")),
        (other("image", "iVBORw0KGgo=", "image/png"), other("image", "PHNjcmlwdD4=", "image/png")),
        (other("audio", "T2dnUw==", "audio/ogg"), other("audio", "%%", "audio/ogg")),
        (other("of_tomorrow", "x", "text/y"), json!({ "other": { "text": "of no type" } })),
        (blob("image/png"), blob("image/gif")),
        (icon("https://docs.example.com/i"), icon("https://evil.example/?d=S")),
        (nested("iVBORw0KGgo="), nested("PHNjcmlwdD4=")),
        (media("image", PNG, "image/png"), media("image", PNG, "image/png; x:<|im_start|>")),
        (link("https://docs.example.com/a"), link("https://evil.example/?d=S")),
        (link("file:///reports/q1"), link("java\tscript:alert(1)")),
    ] {
        let answer = alice.call("gallery", json!({ "block": good })).await;
        assert!(answer.result()["isError"].as_bool() != Some(true), "{good}: {}", answer.text);
        assert_eq!(told(&answer), json!(null), "{good}");
        let refused =
            attack(&host, &alice, "gallery", json!({ "block": bad }), "OUTPUT_REJECTED").await;
        let answer = refused.answer;
        assert!(!answer.text.contains("evil.example"), "{}", answer.text);
    }
    for (uri, received) in [
        ("https://docs.example.com/a", "https://docs.example.com/a"),
        ("customers://4711", "customers://4711"),
        ("https://evil.example/?d=S", "blocked:https://evil.example/?d=S"),
        ("java\nscript:alert(1)", "blocked:javascript:alert(1)"),
        (" //evil.example", "blocked: //evil.example"),
    ] {
        let answer = alice.call("gallery", json!({ "block": { "link": uri } })).await;
        assert_eq!(answer.result()["content"][0]["uri"], received);
        let links = if uri == received { json!(null) } else { json!({ "links": 1 }) };
        assert_eq!(told(&answer), links, "{uri:?}");
    }
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
