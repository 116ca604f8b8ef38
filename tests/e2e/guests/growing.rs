//! Guests that take memory, in every way that there is, or leave something in it.

use bulkhead_tests::Splice;
use serde_json::json;

use super::{attack, refused_file, with, with_file};

#[tokio::test]
pub(super) async fn hog() {
    let (host, alice) = with("hog", "per_call.memory = '16MiB'").await;
    let ended = attack(&host, &alice, "hog", json!({}), "MEMORY_EXCEEDED").await;
    ended.by_quota("per_call.memory", "16MiB");
    let record = ended.record;
    let peak = record["peak_memory_bytes"].as_u64().unwrap();
    assert!((8 << 20..=16 << 20).contains(&peak), "{record}");
    let modest = alice.call("hog", json!({ "mib": 4 })).await;
    assert_eq!(modest.block(), "held 4 MiB", "the next call has its whole quota");
}

#[tokio::test]
pub(super) async fn counter() {
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
pub(super) async fn growth() {
    let (host, alice) = with("growth", "per_call.memory = '16MiB'").await;
    let grow = |step: u32, then: &str| json!({ "step": step, "then": then });
    // Whoever goes on after a refusal is refused again, and ended at last: that costs the
    // host more than the guest.
    for (step, then) in [(1, "crash"), (65_535, "crash"), (1, "insist"), (65_535, "insist")] {
        let ended = attack(&host, &alice, "growth", grow(step, then), "MEMORY_EXCEEDED").await;
        ended.by_quota("per_call.memory", "16MiB");
        let peak = ended.record["peak_memory_bytes"].as_u64();
        assert!(peak <= Some(16 << 20), "what was refused is not counted: {ended:?}");
        assert!((step == 1) == (peak > Some(15 << 20)), "small steps fill it: {ended:?}");
        assert!(ended.record["fuel"].as_u64() < Some(1_000_000), "it ends soon: {ended:?}");
    }
    for step in [1, 7] {
        let coped = alice.call("growth", grow(step, "cope")).await;
        assert!(coped.block().starts_with("granted"), "{coped:?}");
        let peak = host.record(coped.request_id()).await["peak_memory_bytes"].as_u64().unwrap();
        let rest = (16 << 20) - peak;
        assert!(rest < u64::from(step) << 16, "the last step before the quota was granted");
    }
}

#[tokio::test]
pub(super) async fn table_growth() {
    // 90,000 elements of 8 bytes are 11 pages of memory.
    let bytes = Splice::of("counter").module("table_growth", 1);
    let measured = {
        let (host, alice) = with_file("table_growth", bytes.bytes(), "").await;
        let answer = alice.call("counter", json!({})).await;
        assert_eq!(answer.structured()["calls"], 1);
        host.record(answer.request_id()).await["peak_memory_bytes"].as_u64().unwrap()
    };
    assert!(measured > 90_000 * 8 + (1 << 20), "tables are memory: {measured}");
    // Too much for a call, though the list of tools may be asked for.
    let sidecar = format!("[tools.counter]\nper_call.memory = '{}B'", measured - 1);
    let (host, alice) = with_file("table_growth", bytes.bytes(), &sidecar).await;
    attack(&host, &alice, "counter", json!({}), "MEMORY_EXCEEDED").await;
    let sidecar = format!("[tools.counter]\nper_call.memory = '{measured}B'");
    let (_host, alice) = with_file("table_growth", bytes.bytes(), &sidecar).await;
    assert_eq!(alice.call("counter", json!({})).await.structured()["calls"], 1);
}

#[tokio::test]
pub(super) async fn endless_table() {
    let bytes = Splice::of("counter").module("endless_table", 1);
    refused_file("endless_table", bytes.bytes(), "MEMORY_EXCEEDED").await;
}

#[tokio::test]
pub(super) async fn medium_memory() {
    // Three of 24 MiB each, beside the guest's own; each alone would be allowed.
    let bytes = Splice::of("counter").module("medium_memory", 3);
    let sidecar = "per_call.memory = '96MiB'\n[tools.counter]\nper_call.memory = '64MiB'";
    let (host, alice) = with_file("medium_memory", bytes.bytes(), sidecar).await;
    let ended = attack(&host, &alice, "counter", json!({}), "MEMORY_EXCEEDED").await;
    ended.by_quota("per_call.memory", "64MiB");
    let (host, alice) =
        with_file("medium_memory", bytes.bytes(), "per_call.memory = '96MiB'").await;
    let answer = alice.call("counter", json!({})).await;
    assert_eq!(answer.structured()["calls"], 1);
    let peak = host.record(answer.request_id()).await["peak_memory_bytes"].as_u64();
    assert!(peak > Some(73 << 20) && peak < Some(96 << 20), "all of them are counted: {peak:?}");
    // More than a component may have: they would take the pool's from others' calls.
    let many = Splice::of("counter").module("medium_memory", 4);
    refused_file("medium_memory", many.bytes(), "memories").await;
}

#[tokio::test]
pub(super) async fn inner() {
    // Those of the guest itself are a handful.
    let (_host, alice) =
        with_file("inner", Splice::of("counter").module("inner", 40).bytes(), "").await;
    assert_eq!(alice.call("counter", json!({})).await.structured()["calls"], 1);
    let hundreds = Splice::of("counter").module("inner", 300);
    refused_file("inner", hundreds.bytes(), "instances").await;
    // Two of two of two: 16,384 of them in a file of a few more bytes.
    let doubled = Splice::of("counter").doubled("inner", 14);
    refused_file("inner", doubled.bytes(), "instances").await;
}
