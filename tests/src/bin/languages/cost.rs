//! What the same call costs in each language.

use std::time::{Duration, Instant};

use bulkhead_tests::Host;

use super::wordstats::{Variant, page, setup};

/// How long calls are counted.
const MEASURED: Duration = Duration::from_secs(2);

/// Calls that come before, and are not.
const WARM_UP: usize = 20;

pub(crate) struct Cost {
    what: String,
    size: usize,
    compiled: Duration,
    cached: Duration,
    call: Duration,
    fuel: u64,
    memory: u64,
}

/// A server that serves the component, and how long it took to load it.
pub(crate) async fn served(name: &str, component: Vec<u8>) -> (Host, Duration) {
    let host = setup(name, component).start().await;
    let took = loading(&host).await;
    (host, took)
}

/// How long the log says that loading took.
async fn loading(host: &Host) -> Duration {
    let told = host.until_told("wordstats").await;
    let ms = told.split_once("loaded in ").and_then(|(_, rest)| rest.split_once(" ms"));
    let ms = ms.and_then(|(ms, _)| ms.parse().ok());
    Duration::from_millis(ms.unwrap_or_else(|| panic!("the log tells no time: {told}")))
}

impl Cost {
    /// Measures the plugin that a server has compiled.
    pub(crate) async fn of(variant: &Variant, size: usize, compiled: Duration, host: Host) -> Self {
        // Loaded once more, by a server that finds its code.
        let host = Host::start(host.stop().await).await;
        let cached = loading(&host).await;
        let alice = host.client("alice").await;
        for _ in 0..WARM_UP {
            alice.call("wordstats", page()).await.structured();
        }
        let (begun, before) = (Instant::now(), cpu_time(host.pid()));
        let mut calls = 0;
        let mut last = None;
        while begun.elapsed() < MEASURED {
            last = Some(alice.call("wordstats", page()).await);
            calls += 1;
        }
        let call = (cpu_time(host.pid()) - before) / calls;
        let last = last.expect("at least one");
        let record = host.record(last.request_id()).await;
        let spent = |field: &str| record[field].as_u64().unwrap_or_default();
        Self {
            what: format!("{} | {}", variant.language, variant.way),
            size,
            compiled,
            cached,
            call,
            fuel: spent("fuel"),
            memory: spent("peak_memory_bytes"),
        }
    }
}

/// The table of the docs.
pub(crate) fn print(costs: &[Cost]) {
    println!(
        "| language | way | component | compiled in | loaded from cache in | CPU per call | peak memory | fuel |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for cost in costs {
        println!(
            "| {} | {} | {:.1} s | {} ms | {} µs | {} | {:.2} M |",
            cost.what,
            kib(cost.size as u64),
            cost.compiled.as_secs_f64(),
            cost.cached.as_millis(),
            cost.call.as_micros(),
            kib(cost.memory),
            cost.fuel as f64 / 1e6,
        );
    }
}

fn kib(bytes: u64) -> String {
    match bytes >> 10 {
        kib @ 0..10_000 => format!("{kib} KiB"),
        kib => format!("{:.1} MiB", kib as f64 / 1024.0),
    }
}

/// The CPU time of a process and its threads, as the kernel counts it: in hundredths of a
/// second.
fn cpu_time(pid: i32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let (_, after_name) = stat.rsplit_once(") ").expect("the name is in brackets");
    let ticks: u64 = after_name
        .split(' ')
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<u64>().expect("a number"))
        .sum();
    Duration::from_millis(ticks * 10)
}
