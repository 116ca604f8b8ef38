//! Runs every hostile guest against a real server, and prints one table of how each
//! ended and what it cost. Ends with 1 if any did not end as it has to.
//!
//!     hostile GUESTS_DIR
//!
//! `GUESTS_DIR` holds the guests that are not Rust (`tests/guests/build`).

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::print_stdout)]
#![allow(clippy::disallowed_methods, reason = "times are what it tells")]

mod attacks;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use attacks::{ATTACKS, Attack, HELLO, REFUSED, REFUSED_MODULES};
use bulkhead_tests::{Answer, Client, Host, Splice};
use serde_json::{Value, json};

/// How much longer than its deadline an attack may take on a busy machine, and what
/// it may take in all that ends at another quota.
const SLACK: Duration = Duration::from_secs(5);

/// What the server may grow by beside the memory that the guest's quota allows it:
/// pages of its image, the answer as text, a record, a log line.
const HOST_MIB: u64 = 32;

/// Calls of imports are charged when the clock ticks: what a guest may have spent on
/// them by then, beyond its quota, in millions.
const LATE_FUEL_M: u64 = 200;

/// What must not reach a caller or a record: guests put it where it could.
const SECRET: &str = "hunter2";

#[tokio::main]
async fn main() -> ExitCode {
    let guests = std::env::args_os().nth(1).expect("usage: hostile GUESTS_DIR");
    let host = start(Path::new(&guests)).await;
    let mallory = host.client("mallory").await;
    println!("{}", row(&HEADS.map(str::to_owned)));
    let mut failures = Vec::new();
    for (guest, reason) in REFUSED.iter().chain(REFUSED_MODULES) {
        let told = host.until_told(guest).await;
        let refused = told.contains("was not loaded") && told.contains(reason);
        println!("{}", row(&refusal(guest, refused)));
        if !refused {
            failures.push(format!("{guest}: it is not told that {reason}: {told}"));
        }
    }
    for attack in ATTACKS {
        let seen = Seen::of(attack, &host, &mallory).await;
        println!("{}", row(&seen.cells(attack)));
        let wrong = seen.wrong(attack);
        failures.extend(wrong.iter().map(|what| format!("{}: {what}", attack.tool)));
    }
    println!("{} attacks, {} things not as expected", ATTACKS.len(), failures.len());
    failures.iter().for_each(|failure| println!("{failure}"));
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A server with every plugin of the table, each tool with its own quotas.
async fn start(guests: &Path) -> Host {
    let mut setup = Host::test().agent("mallory", &["*"]).plugin("echo");
    // One agent makes all of these calls, as fast as it can.
    setup = setup.config("[per_agent]\nrate = '100_000/min'\nburst = 10_000");
    let mut plugins: Vec<&str> = ATTACKS.iter().map(|attack| attack.plugin).collect();
    plugins.dedup();
    for plugin in plugins {
        let component = guests.join(format!("{plugin}.wasm"));
        setup = match std::fs::read(&component) {
            Ok(bytes) => setup.file(&format!("{plugin}.wasm"), bytes),
            Err(_) => setup.plugin(plugin),
        };
        setup = setup.sidecar(plugin, &sidecar(plugin));
    }
    setup = REFUSED.iter().fold(setup, |setup, (guest, _)| setup.plugin(guest));
    for (module, _) in REFUSED_MODULES {
        let spliced = Splice::of("counter").module(module, 1);
        setup = setup.file(&format!("{module}.wasm"), spliced.bytes());
    }
    setup.start().await
}

/// The quotas of a plugin's tools, each of which has one set in the table.
fn sidecar(plugin: &str) -> String {
    let attacks = ATTACKS.iter().filter(|attack| attack.plugin == plugin);
    let tables: BTreeSet<String> = attacks.map(quotas).collect();
    Vec::from_iter(tables).concat()
}

fn quotas(attack: &Attack) -> String {
    let Attack { tool, fuel_m, memory_mib, deadline, .. } = attack;
    let deadline = deadline.as_millis();
    format!(
        "[tools.{tool}.per_call]\nfuel = '{fuel_m}M'\nmemory = '{memory_mib}MiB'\ndeadline = '{deadline}ms'\n"
    )
}

/// What an attack led to.
struct Seen {
    answer: Answer,
    record: Value,
    took: Duration,
    /// How much the server grew at most, in bytes.
    grown: u64,
    /// Whether the next call, of the same plugin, was served.
    next_ok: bool,
}

impl Seen {
    async fn of(attack: &Attack, host: &Host, mallory: &Client) -> Self {
        let arguments = serde_json::from_str(attack.arguments).expect("the table holds JSON");
        let watch = host.watch_memory();
        let begun = Instant::now();
        let answer = mallory.call(attack.tool, arguments).await;
        let took = begun.elapsed();
        let grown = watch.grown();
        let record = host.record(answer.header("x-request-id")).await;
        let hello = serde_json::from_str(HELLO).expect("it is JSON");
        let next = mallory.call(attack.echo, hello).await;
        let next_ok = next.result()["isError"] != true && next.text.contains("hello");
        Self { answer, record, took, grown, next_ok }
    }

    /// The code that the caller got; empty where the call succeeded.
    fn code(&self) -> &str {
        self.answer.result()["_meta"]["io.bulkhead/error"]["code"].as_str().unwrap_or_default()
    }

    fn cells(&self, attack: &Attack) -> [String; HEADS.len()] {
        let mib = |bytes: u64| format!("{:.1}", bytes as f64 / f64::from(1 << 20));
        let guest = format!("{} {}", attack.tool, attack.arguments.trim_matches(['{', '}']));
        [
            guest.trim_end().chars().take(GUEST_WIDTH).collect(),
            attack.language.to_owned(),
            shown(attack.code).to_owned(),
            shown(self.code()).to_owned(),
            format!("{:.1}", self.took.as_secs_f64() * 1e3),
            format!("{:.1}", self.spent("fuel") as f64 / 1e6),
            mib(self.spent("peak_memory_bytes")),
            mib(self.grown),
            if self.next_ok { "ok" } else { "NO" }.to_owned(),
            if self.wrong(attack).is_empty() { "" } else { "<- not as expected" }.to_owned(),
        ]
    }

    fn spent(&self, field: &str) -> u64 {
        self.record[field].as_u64().unwrap_or_default()
    }

    /// Everything that is not as it has to be.
    fn wrong(&self, attack: &Attack) -> Vec<String> {
        let Self { answer, record, took, grown, next_ok } = self;
        let (fuel, memory) = (self.spent("fuel"), self.spent("peak_memory_bytes"));
        let recorded = json!({
            "code": if attack.code.is_empty() { Value::Null } else { attack.code.into() },
            "outcome": if attack.code.is_empty() { "ok" } else { "failed" },
            "tool": attack.tool,
        });
        let recorded = recorded.as_object().into_iter().flatten();
        let unlike = recorded.filter(|(field, value)| record[field.as_str()] != **value);
        let mut wrong: Vec<String> =
            unlike.map(|(field, value)| format!("{field} is not {value}: {record}")).collect();
        for (holds, what) in [
            (self.code() == attack.code, "another code"),
            (answer.text.contains(attack.says), "it does not say so"),
            (!answer.text.contains(SECRET), "the caller sees a secret"),
            (!record.to_string().contains(SECRET), "the record holds a secret"),
            ((1..=(attack.fuel_m + LATE_FUEL_M) * 1_000_000).contains(&fuel), "its fuel"),
            ((1..=attack.memory_mib << 20).contains(&memory), "its memory"),
            (*took < attack.deadline + SLACK, "it took too long"),
            (*grown < (attack.memory_mib + HOST_MIB) << 20, "the server grew"),
            (*next_ok, "the next call was not served"),
        ] {
            if !holds {
                let text: String = answer.text.chars().take(200).collect();
                wrong.push(format!("{what}: {text}"));
            }
        }
        wrong
    }
}

const HEADS: [&str; 10] = [
    "guest",
    "language",
    "expected",
    "code",
    "time ms",
    "fuel M",
    "guest MiB",
    "host MiB",
    "next",
    "",
];

/// Enough for a tool's name and what it is told.
const GUEST_WIDTH: usize = 38;

fn shown(code: &str) -> &str {
    if code.is_empty() { "ok" } else { code }
}

fn refusal(guest: &str, refused: bool) -> [String; HEADS.len()] {
    let code = if refused { "not served" } else { "another" };
    let remark = if refused { "" } else { "<- not as expected" };
    [guest, "Rust", "not served", code, "", "", "", "", "", remark].map(str::to_owned)
}

/// One line of the table; names to the left, numbers to the right.
fn row(cells: &[String; HEADS.len()]) -> String {
    let [guest, language, expected, code, time, fuel, memory, host, next, remark] = cells;
    let line = format!(
        "{guest:<GUEST_WIDTH$} {language:<10} {expected:<18} {code:<18} {time:>9} {fuel:>9} {memory:>9} {host:>9} {next:<4} {remark}"
    );
    line.trim_end().to_owned()
}
