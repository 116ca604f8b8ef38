//! One test for each guest in `tests/guests`: what it tries, and that it gets
//! nowhere. A guest without one does not compile.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use bulkhead_tests::{Answer, Client, Host};
use serde_json::{Value, json};

include!(concat!(env!("OUT_DIR"), "/guests.rs"));

/// How much longer than a call's quota its answer may take on a busy machine.
const SLACK: Duration = Duration::from_secs(5);

/// Where a guest's sidecar says nothing else: a meter that ends every loop soon, and
/// a clock that ends nothing before it, however busy the machine is.
const QUOTA: &str = "[per_call]\nfuel = '50M'\ndeadline = '60s'";

/// A server with the guest and `echo`, and a client that may call both.
async fn with(guest: &str, sidecar: &str) -> (Host, Client) {
    let setup = Host::test().plugin("echo").plugin(guest).sidecar(guest, sidecar);
    let host = setup.agent("alice", &["*"]).config(QUOTA).start().await;
    let alice = host.client("alice").await;
    (host, alice)
}

/// Calls the guest, which has to fail with `code`, and returns the error and the
/// one record of it. Somebody else's next call works.
async fn attack(
    host: &Host,
    alice: &Client,
    guest: &str,
    arguments: Value,
    code: &str,
) -> (Answer, Value) {
    let answer = alice.call(guest, arguments).await;
    answer.expect_code(code);
    let record = host.record(answer.request_id()).await;
    for (field, value) in
        [("code", code), ("outcome", "failed"), ("tool", guest), ("agent", "alice")]
    {
        assert_eq!(record[field], value, "{record}");
    }
    assert!(record["fuel"].as_u64() > Some(0), "it burned something: {record}");
    assert!(record["peak_memory_bytes"].as_u64() > Some(0), "it used something: {record}");
    expect_echo(alice).await;
    (answer, record)
}

async fn expect_echo(alice: &Client) {
    let answer = alice.call("echo", json!({ "message": "still here" })).await;
    assert_eq!(answer.structured()["message"], "still here");
}

/// Starts a server that refuses the guest for this reason, and serves the others.
async fn refused(guest: &str, reason: &str) -> Host {
    let (host, alice) = with(guest, "").await;
    let told = host.until_told(guest).await;
    assert!(told.contains("was not loaded") && told.contains(reason), "{told}");
    assert_eq!(alice.tool_names().await, ["echo"]);
    expect_echo(&alice).await;
    host
}

#[tokio::test]
async fn bad_name() {
    let host = refused("bad_name", "1 to 64 letters").await;
    assert!(!host.log.text().contains('\u{1b}'), "what it calls itself is cleaned");
}

#[tokio::test]
async fn bad_schema() {
    refused("bad_schema", "its input schema is not a JSON Schema").await;
}

#[tokio::test]
async fn fickle_list() {
    refused("fickle_list", "it lists different tools each time it is asked").await;
}

#[tokio::test]
async fn stuck_list() {
    refused("stuck_list", "FUEL_EXHAUSTED").await;
}

#[tokio::test]
async fn trap_list() {
    refused("trap_list", "TOOL_CRASHED").await;
}

#[tokio::test]
async fn twin_names() {
    refused("twin_names", "it lists two tools named `twin`").await;
}

#[tokio::test]
async fn echo() {
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
async fn verbatim() {
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
async fn slow() {
    let (host, alice) = with("slow", "").await;
    let answer = alice.call("slow", json!({ "ms": 50 })).await;
    assert_eq!(answer.block(), "waited 50 ms");
    let record = host.record(answer.request_id()).await;
    assert!(record["run_ms"].as_f64() >= Some(50.0), "{record}");
    assert!(record["fuel"].as_u64() < Some(5_000_000), "waiting burns nothing: {record}");

    let (host, alice) = with("slow", "per_call.deadline = '100ms'").await;
    let begun = Instant::now();
    let answer = alice.call("slow", json!({ "ms": 3_600_000 })).await;
    let error = answer.expect_code("DEADLINE_EXCEEDED");
    assert_eq!(error["details"]["quota"], "per_call.deadline");
    assert!(begun.elapsed() < SLACK, "a guest that sleeps is stopped too");
    assert_eq!(host.record(answer.request_id()).await["code"], "DEADLINE_EXCEEDED");
    assert_eq!(alice.call("slow", json!({ "ms": 1 })).await.block(), "waited 1 ms");
}

#[tokio::test]
async fn progress() {
    let (_host, alice) = with("progress", "").await;
    for alice in [alice.clone(), alice.legacy()] {
        let answer = alice.open("progress", json!({ "steps": 4 })).await.finish().await;
        assert!(answer.streamed());
        assert_eq!(answer.header("x-accel-buffering"), "no");
        assert_eq!(answer.block(), "4 steps");
        let reports = answer.notifications();
        assert!(reports.iter().all(|report| report["method"] == "notifications/progress"));
        let params: Vec<&Value> = reports.iter().map(|report| &report["params"]).collect();
        let wanted = (1..=4).map(|step| {
            json!({ "progressToken": "token-1", "progress": f64::from(step), "total": 4.0, "message": format!("step {step}") })
        });
        assert_eq!(params, Vec::from_iter(&wanted.collect::<Vec<_>>()));
    }
    let silent = alice.call("progress", json!({})).await;
    assert_eq!(silent.header("content-type"), "application/json", "nobody asked for progress");
    assert_eq!(silent.block(), "3 steps");
}

#[tokio::test]
async fn context() {
    let (host, _) = with("context", "").await;
    let key = host.key("alice", &["--subject", "ada", "--scope", "context:*"]).await;
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let meta = json!({
        "traceparent": traceparent, "tracestate": "vendor=1", "progressToken": 7,
        "io.modelcontextprotocol/logLevel": "debug", "com.example/tenant": { "id": 3 },
    });
    let params = json!({ "name": "context", "arguments": {}, "_meta": meta });
    let answer = host.with_key(&key.key).request("tools/call", params).await;
    let told = answer.structured();
    for (field, value) in [
        ("agent", json!("alice")),
        ("subject", json!("ada")),
        ("scopes", json!(["context:*"])),
        ("request_id", json!(answer.request_id())),
        ("traceparent", json!(traceparent)),
        ("tracestate", json!("vendor=1")),
        ("client_metadata", json!(r#"{"com.example/tenant":{"id":3}}"#)),
    ] {
        assert_eq!(told[field], value, "{field}: {told}");
    }
    let left = told["remaining_fuel"].as_u64();
    assert!(left < Some(50_000_000) && left > Some(40_000_000), "{told}");
    assert!(told["remaining_fuel_later"].as_u64() < left, "{told}");
    assert!((1..=60_000).contains(&told["remaining_time_ms"].as_u64().unwrap()), "{told}");

    let record = host.record(answer.request_id()).await;
    assert_eq!(record["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!((&record["subject"], &record["credential"]), (&json!("ada"), &json!(key.id)));
}

#[tokio::test]
async fn spin() {
    let (host, alice) = with("spin", "").await;
    let (answer, record) = attack(&host, &alice, "spin", json!({}), "FUEL_EXHAUSTED").await;
    let error = answer.expect_code("FUEL_EXHAUSTED");
    assert_eq!(error["details"], json!({ "quota": "per_call.fuel", "limit": "50M" }));
    assert_eq!(error["retryable"], false);
    let fuel = record["fuel"].as_u64().unwrap();
    assert!((49_500_000..=50_000_000).contains(&fuel), "all of it was burned: {record}");

    let (host, alice) = with("spin", "per_call.fuel = '1T'\nper_call.deadline = '200ms'").await;
    let begun = Instant::now();
    let (answer, record) = attack(&host, &alice, "spin", json!({}), "DEADLINE_EXCEEDED").await;
    assert!(begun.elapsed() < SLACK, "{record}");
    assert_eq!(answer.expect_code("DEADLINE_EXCEEDED")["details"]["limit"], "200ms");
    assert!(record["run_ms"].as_f64() >= Some(200.0), "{record}");
    assert!(record["fuel"].as_u64() > Some(1_000_000), "what it burned is known: {record}");
}

#[tokio::test]
async fn hog() {
    let (host, alice) = with("hog", "per_call.memory = '16MiB'").await;
    let (answer, record) = attack(&host, &alice, "hog", json!({}), "MEMORY_EXCEEDED").await;
    let details = &answer.expect_code("MEMORY_EXCEEDED")["details"];
    assert_eq!(details, &json!({ "quota": "per_call.memory", "limit": "16MiB" }));
    let peak = record["peak_memory_bytes"].as_u64().unwrap();
    assert!((8 << 20..=16 << 20).contains(&peak), "{record}");
    let modest = alice.call("hog", json!({ "mib": 4 })).await;
    assert_eq!(modest.block(), "held 4 MiB", "the next call has its whole quota");
}

#[tokio::test]
async fn panics() {
    let (host, alice) = with("panics", "").await;
    for alice in [alice.clone(), alice.legacy()] {
        let (answer, record) = attack(&host, &alice, "panics", json!({}), "TOOL_CRASHED").await;
        for secret in ["hunter2", "password", "panics.rs", "unreachable", "wasm"] {
            assert!(
                !answer.text.contains(secret),
                "{secret:?} is nobody's business: {}",
                answer.text
            );
            assert!(!record.to_string().contains(secret), "{secret:?}: {record}");
        }
    }
    // Its operator can see why.
    host.log.line("hunter2").await;
}

#[tokio::test]
async fn loud() {
    let (host, alice) = with("loud", "per_call.max_output = '64KiB'").await;
    for bytes in [(64 << 10) + 1, 16 << 20] {
        let (answer, _) =
            attack(&host, &alice, "loud", json!({ "bytes": bytes }), "OUTPUT_TOO_LARGE").await;
        assert!(answer.text.len() < 4_096, "nothing of it is sent");
        let details = &answer.expect_code("OUTPUT_TOO_LARGE")["details"];
        assert_eq!(details, &json!({ "quota": "per_call.max_output", "limit": "64KiB" }));
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
async fn fails() {
    let (host, alice) = with("fails", "").await;
    for (given, code) in [
        ("STOCK_TOO_LOW", "STOCK_TOO_LOW"),
        ("nope", "TOOL_ERROR"),
        ("", "TOOL_ERROR"),
        ("FUEL_EXHAUSTED", "TOOL_ERROR"),
        ("UNAUTHENTICATED", "TOOL_ERROR"),
    ] {
        let (answer, _) = attack(&host, &alice, "fails", json!({ "code": given }), code).await;
        let error = answer.expect_code(code);
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
async fn mismatch() {
    let (host, alice) = with("mismatch", "").await;
    let (answer, _) = attack(&host, &alice, "mismatch", json!({}), "OUTPUT_REJECTED").await;
    assert!(!answer.text.contains("many"), "{}", answer.text);
    // An older client would check even an error against the tool's output schema.
    let legacy = alice.legacy().call("mismatch", json!({})).await;
    legacy.expect_code("OUTPUT_REJECTED");
    assert_eq!(legacy.result()["structuredContent"], Value::Null);
}

#[tokio::test]
async fn chatty() {
    let (host, alice) = with("chatty", "per_call.host_calls = 100").await;
    for flood in [json!({ "lines": 101, "reports": 0 }), json!({ "lines": 60, "reports": 60 })] {
        let (answer, _) = attack(&host, &alice, "chatty", flood, "FUEL_EXHAUSTED").await;
        let details = &answer.expect_code("FUEL_EXHAUSTED")["details"];
        assert_eq!(details, &json!({ "quota": "per_call.host_calls", "limit": "100" }));
    }
    let mark = host.log.mark();
    let modest = alice.call("chatty", json!({ "lines": 1, "reports": 99 })).await;
    assert_eq!(modest.block(), "said it all");
    let line = host.log.line_after(mark, "line 0 forged: line").await;
    assert!(line.contains(modest.request_id()), "a line names its call: {line}");
    assert!(!host.log.text().contains('\u{1b}'));
}

#[tokio::test]
async fn counter() {
    let (_host, alice) = with("counter", "").await;
    let alone = json!({ "calls": 1, "file": false });
    for _ in 0..3 {
        assert_eq!(alice.call("counter", json!({})).await.structured(), &alone);
    }
    let together = [(); 8].map(|()| {
        let alice = alice.clone();
        tokio::task::spawn(async move { alice.call("counter", json!({})).await })
    });
    for call in together {
        assert_eq!(call.await.unwrap().structured(), &alone);
    }
}

#[tokio::test]
async fn probe() {
    let (_host, alice) = with("probe", "").await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = alice.call("probe", json!({ "port": port })).await;
    assert_eq!(answer.structured(), &json!({ "reached": {}, "tried": 15 }));
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "nobody came");
}
