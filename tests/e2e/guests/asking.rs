//! Guests that ask their host: for more than they may, or for a way out.

use std::io::ErrorKind;
use std::net::TcpListener;

use serde_json::{Value, json};

use super::{attack, with};

#[tokio::test]
pub(super) async fn progress() {
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
pub(super) async fn context() {
    let (host, _) = with("context", "per_call.max_output = '7KiB'").await;
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
        ("max_output_bytes", json!(7 << 10)),
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
pub(super) async fn chatty() {
    let (host, alice) = with("chatty", "per_call.host_calls = 100").await;
    for flood in [json!({ "lines": 101, "reports": 0 }), json!({ "lines": 60, "reports": 60 })] {
        let ended = attack(&host, &alice, "chatty", flood, "FUEL_EXHAUSTED").await;
        ended.by_quota("per_call.host_calls", "100");
    }
    let mark = host.log.mark();
    let modest = alice.call("chatty", json!({ "lines": 1, "reports": 99 })).await;
    assert_eq!(modest.block(), "said it all");
    let line = host.log.line_after(mark, "line 0 forged: line").await;
    assert!(line.contains(modest.request_id()), "a line names its call: {line}");
    assert!(!host.log.text().contains('\u{1b}'));
}

#[tokio::test]
pub(super) async fn probe() {
    let (_host, alice) = with("probe", "").await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = alice.call("probe", json!({ "port": port })).await;
    assert_eq!(answer.structured(), &json!({ "reached": {}, "tried": 25 }));
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "nobody came");
}

#[tokio::test]
pub(super) async fn clocks() {
    let (_host, alice) = with("clocks", "").await;
    let tools = alice.tools().await;
    let told = tools.iter().find(|tool| tool["name"] == "clocks").unwrap()["description"].clone();
    let frozen: [u64; 5] = serde_json::from_str(told.as_str().unwrap()).unwrap();
    let told = "2000-01-01, and nothing has passed since a second";
    assert_eq!(frozen[..2], [946_684_800, 1_000_000_000], "{told}");
    let mut seen = vec![frozen];
    for _ in 0..3 {
        let told = alice.call("clocks", json!({})).await;
        let told: [u64; 5] = serde_json::from_str(told.block()).unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert!(now.as_secs().abs_diff(told[0]) < 60, "it is {now:?}: {told:?}");
        seen.push(told);
    }
    for number in 2..5 {
        let mut numbers: Vec<u64> = seen.iter().map(|told| told[number]).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), seen.len(), "nothing is drawn twice: {seen:?}");
    }
}

#[tokio::test]
pub(super) async fn nagging() {
    let (host, alice) = with("nagging", "per_call.fuel = '10M'").await;
    for what in [
        "wall_clock",
        "monotonic_clock",
        "timer",
        "poll",
        "random",
        "insecure_random",
        "environment",
        "arguments",
        "input",
        "output",
        "folders",
        "terminal",
        "socket",
        "lookup",
        "caller",
        "fuel",
    ] {
        let endless = json!({ "what": what });
        let ended = attack(&host, &alice, "nagging", endless, "FUEL_EXHAUSTED").await;
        ended.by_quota("per_call.fuel", "10M");
        let few = alice.call("nagging", json!({ "what": what, "times": 100 })).await;
        assert_eq!(few.block(), "called 100 times");
        let fuel = host.record(few.request_id()).await["fuel"].as_u64();
        assert!(fuel > Some(100_000), "each call costs 1,000: {what}: {fuel:?}");
    }
}

#[tokio::test]
pub(super) async fn printer() {
    let (host, alice) = with("printer", "").await;
    let mark = host.log.mark();
    let flood = alice.call("printer", json!({ "lines": 200, "bytes": 8_000 })).await;
    assert_eq!(flood.block(), "printed 200 lines", "what nobody reads holds nobody up");
    host.log.line_after(mark, "line 0 xxx").await;
    let endless = json!({ "bytes": 8_000 });
    let ended = attack(&host, &alice, "printer", endless, "FUEL_EXHAUSTED").await;
    ended.by_quota("per_call.fuel", "50M");
    let text = host.log.text();
    assert!(text.len() < 128 << 10, "two calls said {} bytes", text.len());
    assert!(!text.contains('\u{1b}'), "what it prints is cleaned");

    for (count, wait) in [(u64::MAX, false), (1 << 40, false), (1 << 40, true)] {
        let absurd = json!({ "count": count, "wait": wait });
        attack(&host, &alice, "zeroes", absurd, "TOOL_CRASHED").await;
    }
    let few = alice.call("zeroes", json!({ "count": 100, "wait": true })).await;
    assert_eq!(few.block(), "wrote 100 zeroes: true");
}

#[tokio::test]
pub(super) async fn handles() {
    let (host, alice) = with("handles", "").await;
    for kind in ["timer", "input", "output", "subscription", "network"] {
        let all = json!({ "kind": kind });
        let ended = attack(&host, &alice, "handles", all, "MEMORY_EXCEEDED").await;
        ended.by_quota("handles", "1024");
        let few = alice.call("handles", json!({ "kind": kind, "count": 200 })).await;
        assert_eq!(few.block(), "kept 200");
    }
    let few = alice.call("crowded_poll", json!({ "length": 1_000 })).await;
    assert_eq!(few.block(), "1000 are ready");
    let crowd = json!({ "length": 1_000_000 });
    attack(&host, &alice, "crowded_poll", crowd, "OUTPUT_TOO_LARGE").await;
}

#[tokio::test]
pub(super) async fn dice() {
    let (host, alice) = with("dice", "").await;
    for insecure in [false, true] {
        let throw = |bytes: u64| json!({ "bytes": bytes, "insecure": insecure });
        for absurd in [65_537, 1 << 40, u64::MAX] {
            let ended = attack(&host, &alice, "dice", throw(absurd), "FUEL_EXHAUSTED").await;
            ended.by_quota("random_bytes", "65536");
        }
        assert_eq!(alice.call("dice", throw(65_536)).await.block(), "65536 bytes");
    }
}

#[tokio::test]
pub(super) async fn lengthy() {
    let (host, alice) = with("lengthy", "").await;
    for to in ["log", "progress", "output", "lookup"] {
        let absurd = json!({ "to": to, "bytes": 32 << 20 });
        let ended = attack(&host, &alice, "lengthy", absurd, "OUTPUT_TOO_LARGE").await;
        ended.by_quota("per_call.max_output", "256KiB");
        let long = alice.call("lengthy", json!({ "to": to, "bytes": 10_000 })).await;
        assert_eq!(long.block(), "handed over");
    }
    let text = host.log.text();
    assert!(text.len() < 128 << 10, "it said {} bytes", text.len());

    attack(&host, &alice, "crowd", json!({ "count": 100_000 }), "OUTPUT_TOO_LARGE").await;
    let few = alice.call("crowd", json!({ "count": 100 })).await;
    assert_eq!(few.expect_ok()["content"].as_array().map(Vec::len), Some(100));

    attack(&host, &alice, "excuse", json!({ "count": 400_000 }), "OUTPUT_TOO_LARGE").await;
    let short = alice.call("excuse", json!({ "count": 100 })).await;
    assert_eq!(short.expect_code("LONG_STORY")["message"], "x".repeat(100));
}
