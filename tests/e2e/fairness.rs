//! Guests that burn every core leave other calls alone.

use std::time::{Duration, Instant};

use bulkhead_tests::{Client, Host};
use serde_json::json;

/// How many calls make a sample: enough for a p99.
const CALLS: usize = 200;

/// How often both are measured. Whatever else the machine does only adds, so the best
/// round counts.
const ROUNDS: usize = 5;

/// What a call may take longer than a fifth more. On the server's own threads, two
/// looping guests per core made every call wait for hundreds of milliseconds.
const SLACK: Duration = Duration::from_millis(5);

async fn p99(client: &Client) -> Duration {
    let mut latencies = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let begun = Instant::now();
        client.call("echo", json!({ "message": "hi" })).await.expect_ok();
        latencies.push(begun.elapsed());
    }
    latencies.sort();
    latencies[CALLS * 99 / 100]
}

/// The p99 beside two looping guests per core.
async fn p99_beside_loops(host: &Host, client: &Client) -> Duration {
    let cores = std::thread::available_parallelism().expect("it is known").get();
    let looping = |_| {
        let client = client.clone();
        tokio::task::spawn(async move { client.call("spin", json!({})).await })
    };
    let loops: Vec<_> = (0..2 * cores).map(looping).collect();
    host.until_in_flight(2 * cores).await;
    let crowded = p99(client).await;
    for looping in loops {
        assert!(!looping.is_finished(), "they loop all the time");
        looping.abort();
    }
    host.until_in_flight(0).await;
    crowded
}

#[tokio::test]
async fn two_looping_guests_per_core_do_not_hold_up_others() {
    let sidecar = "[per_call]\nfuel = '1T'\ndeadline = '10min'\n[per_plugin]\nconcurrency = 1_000";
    let setup = Host::test().plugin("echo").plugin("spin").sidecar("spin", sidecar);
    let limits = "[per_agent]\nrate = '6000/s'\nburst = 6000\nconcurrency = 1_000";
    let host = setup.agent("alice", &["*"]).config(limits).start().await;
    let alice = host.client("alice").await;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let alone = p99(&alice).await;
        let crowded = p99_beside_loops(&host, &alice).await;
        if crowded < alone + alone / 5 + SLACK {
            return;
        }
        rounds.push((alone, crowded));
    }
    panic!("p99 alone and beside looping guests: {rounds:?}");
}
