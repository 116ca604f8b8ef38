//! Guests that burn every core leave other calls alone.

use std::time::{Duration, Instant};

use bulkhead_tests::{Client, Host};
use serde_json::json;

/// How many calls make a sample.
const CALLS: usize = 300;

/// What a busy machine may add to a call. On the server's own threads, two looping
/// guests per core made every call wait for hundreds of milliseconds.
const SLACK: Duration = Duration::from_millis(20);

async fn latencies(client: &Client) -> Vec<Duration> {
    let mut latencies = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let begun = Instant::now();
        client.call("echo", json!({ "message": "hi" })).await.expect_ok();
        latencies.push(begun.elapsed());
    }
    latencies.sort();
    latencies
}

#[tokio::test]
async fn two_looping_guests_per_core_do_not_hold_up_others() {
    let sidecar = "[per_call]\nfuel = '1T'\ndeadline = '10min'\n[per_plugin]\nconcurrency = 1_000";
    let setup = Host::test().plugin("echo").plugin("spin").sidecar("spin", sidecar);
    let setup = setup
        .agent("alice", &["*"])
        .config("[per_agent]\nrate = '6000/s'\nburst = 6000\nconcurrency = 1_000");
    let host = setup.start().await;
    let alice = host.client("alice").await;
    let alone = latencies(&alice).await;

    let cores = std::thread::available_parallelism().unwrap().get();
    let loops: Vec<_> = (0..2 * cores)
        .map(|_| {
            let alice = alice.clone();
            tokio::task::spawn(async move { alice.call("spin", json!({})).await })
        })
        .collect();
    host.until_in_flight(u32::try_from(loops.len()).unwrap()).await;
    let crowded = latencies(&alice).await;
    for call in loops {
        assert!(!call.is_finished(), "they loop all the time");
        call.abort();
    }
    for (what, at) in [("p50", CALLS / 2), ("p99", CALLS * 99 / 100)] {
        let (alone, crowded) = (alone[at], crowded[at]);
        println!("{what}: {alone:?} alone, {crowded:?} beside {} loops", 2 * cores);
        assert!(crowded < alone + alone / 5 + SLACK, "{what}: {alone:?} became {crowded:?}");
    }
}
