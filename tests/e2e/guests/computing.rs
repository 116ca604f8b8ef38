//! Guests that compute, wait or crash.

use serde_json::json;

use super::{Attack, attack, expect_echo, with};

#[tokio::test]
pub(super) async fn metered() {
    let sidecar = "[per_call]\nfuel = '1T'\ndeadline = '2s'\nhost_calls = 1_000_000";
    let (host, alice) = with("metered", sidecar).await;
    let answer = alice.open("metered", json!({})).await.finish().await;
    answer.expect_code("DEADLINE_EXCEEDED");
    let at = |report: &serde_json::Value| report["params"]["progress"].as_f64().expect("a number");
    let reports: Vec<f64> = answer.notifications().iter().map(at).collect();
    let last = *reports.last().expect("it reports");
    // On a busy machine, one turn is more than a hundredth of all.
    let turn = reports.windows(2).map(|two| two[1] - two[0]).fold(last, f64::min);
    let record = host.record(answer.request_id()).await;
    let fuel = record["fuel"].as_f64().expect("what it burned is known");
    // The host's record of a call that was stopped, and what the guest saw just before.
    assert!(last > 100e6, "it reported often: {last}");
    let close = fuel - last < (fuel / 100.0).max(2.0 * turn);
    assert!(last <= fuel && close, "{last} reported, {fuel} recorded, {turn} a turn");
    expect_echo(&alice).await;
}

#[tokio::test]
pub(super) async fn spin() {
    let (host, alice) = with("spin", "").await;
    let ended = attack(&host, &alice, "spin", json!({}), "FUEL_EXHAUSTED").await;
    ended.by_quota("per_call.fuel", "50M");
    let record = ended.record;
    let fuel = record["fuel"].as_u64().unwrap();
    assert!((49_500_000..=50_000_000).contains(&fuel), "all of it was burned: {record}");

    let (host, alice) = with("spin", "per_call.fuel = '1T'\nper_call.deadline = '200ms'").await;
    let ended = attack(&host, &alice, "spin", json!({}), "DEADLINE_EXCEEDED").await;
    ended.by_quota("per_call.deadline", "200ms");
    let record = ended.record;
    assert!(record["run_ms"].as_f64() >= Some(200.0), "{record}");
    assert!(record["fuel"].as_u64() > Some(1_000_000), "what it burned is known: {record}");
}

#[tokio::test]
pub(super) async fn slow() {
    let (host, alice) = with("slow", "").await;
    let answer = alice.call("slow", json!({ "ms": 50 })).await;
    assert_eq!(answer.block(), "waited 50 ms");
    let record = host.record(answer.request_id()).await;
    assert!(record["run_ms"].as_f64() >= Some(50.0), "{record}");
    assert!(record["fuel"].as_u64() < Some(5_000_000), "waiting burns nothing: {record}");

    let (host, alice) = with("slow", "per_call.deadline = '100ms'").await;
    let hour = json!({ "ms": 3_600_000 });
    let ended = attack(&host, &alice, "slow", hour, "DEADLINE_EXCEEDED").await;
    ended.by_quota("per_call.deadline", "100ms");
    assert_eq!(alice.call("slow", json!({ "ms": 1 })).await.block(), "waited 1 ms");
}

#[tokio::test]
pub(super) async fn panics() {
    let (host, alice) = with("panics", "").await;
    for alice in [alice.clone(), alice.legacy()] {
        let Attack { answer, record } =
            attack(&host, &alice, "panics", json!({}), "TOOL_CRASHED").await;
        for secret in ["hunter2", "password", "panics.rs", "unreachable", "backtrace"] {
            assert!(
                !answer.text.contains(secret),
                "{secret:?} is nobody's business: {}",
                answer.text
            );
        }
        // The operator's record names its functions, and not what it said.
        for secret in ["hunter2", "password", "panics.rs"] {
            assert!(!record.to_string().contains(secret), "{secret:?}: {record}");
        }
    }
    // Its operator can see why.
    host.log.line("hunter2").await;
}

#[tokio::test]
pub(super) async fn recursion() {
    let (host, alice) = with("recursion", "").await;
    let ended = attack(&host, &alice, "recursion", json!({ "depth": 90 }), "FUEL_EXHAUSTED").await;
    ended.by_quota("per_call.fuel", "50M");
    let fuel = ended.record["fuel"].as_u64();
    assert!(fuel > Some(49_500_000) && fuel <= Some(50_000_000), "{ended:?}");
    assert_eq!(alice.call("recursion", json!({ "depth": 12 })).await.block(), "144");
}

#[tokio::test]
pub(super) async fn deep() {
    let (host, alice) = with("deep", "").await;
    for arrays in [false, true] {
        let down = json!({ "depth": u32::MAX, "arrays": arrays });
        let ended = attack(&host, &alice, "deep", down, "TOOL_CRASHED").await;
        assert!(!ended.answer.text.contains("stack"), "{:?}", ended.answer);
        let ground = json!({ "depth": 50, "arrays": arrays });
        let came_back = alice.call("deep", ground).await;
        assert!(came_back.block().starts_with("came back"), "{came_back:?}");
    }
}

#[tokio::test]
pub(super) async fn exits() {
    let (host, alice) = with("exits", "").await;
    // Leaving in peace is no answer either.
    for status in [0, 1, 255] {
        attack(&host, &alice, "exits", json!({ "status": status }), "TOOL_CRASHED").await;
    }
    assert_eq!(alice.call("exits", json!({})).await.block(), "stayed");
}

#[tokio::test]
pub(super) async fn drip() {
    let (host, alice) = with("drip", "per_call.deadline = '300ms'").await;
    let ended = attack(&host, &alice, "drip", json!({}), "DEADLINE_EXCEEDED").await;
    ended.by_quota("per_call.deadline", "300ms");
    // Whoever reads along hears of each drip, and is told how it ended.
    let answer = alice.open("drip", json!({})).await.finish().await;
    answer.expect_code("DEADLINE_EXCEEDED");
    assert!(answer.notifications().len() > 1, "{answer:?}");
    assert_eq!(alice.call("drip", json!({ "count": 3 })).await.block(), "3 drips");
}

#[tokio::test]
pub(super) async fn after_return() {
    let (host, alice) = with("after_return", "").await;
    for (then, code) in
        [("log", "TOOL_CRASHED"), ("crash", "TOOL_CRASHED"), ("spin", "FUEL_EXHAUSTED")]
    {
        let ended = attack(&host, &alice, "after_return", json!({ "then": then }), code).await;
        assert!(!ended.answer.text.contains("xxx"), "it did not end: {:?}", ended.answer);
    }
    assert!(!host.log.text().contains("said after"), "who has answered has no say: {:?}", host.log);
    let answer = alice.call("after_return", json!({ "then": "nothing" })).await;
    assert_eq!(answer.block().len(), 4_004);
}

#[tokio::test]
pub(super) async fn forged() {
    let (host, alice) = with("forged", "").await;
    for how in [
        "log-nowhere",
        "log-wraps",
        "log-level",
        "log-bytes",
        "ask-nowhere",
        "result-nowhere",
        "result-crooked",
        "poll-endless",
        "poll-nothing",
        "handle-forged",
        "drop-forged",
        "return-nowhere",
        "return-endless",
        "return-bytes",
    ] {
        let ended = attack(&host, &alice, "forged", json!({ "how": how }), "TOOL_CRASHED").await;
        assert!(!ended.answer.text.contains("pointer"), "{:?}", ended.answer);
        let honest = alice.call("forged", json!({ "how": "not at all" })).await;
        assert_eq!(honest.block(), "honest");
    }
}
