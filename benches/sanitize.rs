//! What checking and cleaning cost, in CPU time: the arguments and the result of a typical
//! call, text of the world, and text that is made to be slow.
//!
//! A clean text fails the bench when anything is allocated for it, and a hostile one when
//! eight times as much takes more than twenty times as long.
//!
//! `cargo run --release -p benches --bin sanitize`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for its authors")]

use std::borrow::Cow;
use std::hint::black_box;
use std::process::ExitCode;

use bulkhead::config::{Input, Output};
use bulkhead::names::Secret;
use bulkhead::sanitize::{OwnSecrets, Told, ToolNames, clean_string, clean_structured};
use bulkhead::validation::Schemas;
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

fn main() -> ExitCode {
    let names: Vec<_> = ["get_record", "search_records", "delete_record", "count_words"]
        .iter()
        .map(|name| name.parse().unwrap())
        .collect();
    let with = With {
        rules: Output::default(),
        secrets: OwnSecrets::of(&[Secret::new("correct-horse-battery-staple")]),
        names: ToolNames::of(names.iter()),
    };
    let record = "The customer asked for the report of March; it’s ready — see “Q1”.\n";
    typical(&with, record);
    println!("\n{:<34} {:>9} {:>12} {:>9}  allocations", "text", "bytes", "ns", "GB/s");
    let mut is_good = with.time("a result of 1 KB", &record.repeat(15));
    for (what, text) in [
        ("English", record),
        ("code", "fn main() { println!(\"hello, {}\", name); } // a comment\r\n"),
        ("German", "Größe und Maß: die Straße führt über Brücken, täglich geöffnet.\n"),
        ("Japanese", "日本語の文章をここに書きます。カタカナと漢字が混ざっています。\n"),
        ("Russian", "Съешь ещё этих мягких французских булок, да выпей чаю.\n"),
        ("Chinese", "人人生而自由，在尊嚴和權利上一律平等。他們賦有理性和良心。\n"),
        ("Arabic", "يولد جميع الناس أحراراً متساوين في الكرامة والحقوق.\n"),
        ("Persian, with joiners", "می\u{200c}خواهم کتاب\u{200c}ها را به خانه ببرم.\n"),
        ("Hindi, with joiners", "क्\u{200d}या आप हिन्दी बोलते हैं? नमस्ते दुनिया।\n"),
        ("emoji", "Hello 👩\u{200d}👩\u{200d}👧 ❤\u{fe0f} world ok\n"),
    ] {
        is_good &= with.time(what, &text.repeat(1_000_000 / text.len()));
    }
    for (what, part) in [
        ("hidden characters", "a\u{200b}"),
        ("escapes", "\u{1b}["),
        ("unfinished escapes", "\u{1b}]x"),
        ("bidirectional openers", "\u{2067}\u{202b}"),
        ("tokens of templates", "<|a|>"),
        ("bars without an end", "<|aaaaaaaaaaaaaaaa"),
        ("links", "](http://a"),
        ("tags without an end", "<img "),
        ("tags of quotations", "<a \""),
        ("tags of any name", "<b"),
        ("marks before joiners", "\u{300}\u{300}\u{200d}"),
        ("ends of direction", "\u{202a}\u{2069}"),
        ("private keys without an end", "-----BEGIN PRIVATE KEY-----"),
        ("the beginnings of secrets", "sk-eyJ"),
        ("what seems to instruct", "ignore all "),
        ("the same beside other letters", "ignore all é "),
        ("calls to tools", "use get_record "),
        ("verbs without a name", "use call run "),
    ] {
        let times = [10_000, 80_000].map(|bytes| with.measured(&part.repeat(bytes / part.len())));
        let [small, large] = times;
        let ratio = large / small;
        // Eight times as much; 64 would be quadratic.
        is_good &= ratio < 20.0;
        println!("{what:<34} 10 KB {small:>10.0} ns, 80 KB {large:>10.0} ns: {ratio:.1} times");
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A call with 200 bytes of arguments, and a result of 1 KB: as text, as a structured result
/// that is mostly one text, and as one with many members.
fn typical(with: &With, record: &str) {
    let input = json!({
        "type": "object",
        "properties": {
            "query": { "type": "string", "minLength": 1, "maxLength": 200 },
            "region": { "enum": ["emea", "apac", "amer"] },
            "stage": { "type": "string", "pattern": "^[a-z_]{1,32}$" },
            "limit": { "type": "integer", "minimum": 1, "maximum": 50 },
            "since": { "type": "string", "format": "date" },
            "tags": { "type": "array", "items": { "type": "string" }, "maxItems": 10 },
            "include_closed": { "type": "boolean" },
        },
        "required": ["query"],
        "additionalProperties": false,
    });
    let output = json!({
        "type": "object",
        "properties": {
            "records": { "type": "array", "items": {
                "type": "object",
                "properties": {
                    "id": { "type": "integer" }, "name": { "type": "string" },
                    "amount": { "type": "number", "minimum": 0 }, "note": { "type": "string" },
                },
                "required": ["id", "name"],
            } },
            "report": { "type": "string" },
        },
        "additionalProperties": false,
    });
    let schemas = Schemas::compile(&input.to_string(), Some(&output.to_string()), Input::default());
    let schemas = schemas.unwrap();
    let arguments = json!({
        "query": "renewals that slipped in the last quarter", "region": "emea",
        "stage": "negotiation", "limit": 20, "since": "2026-07-01",
        "tags": ["priority", "renewal", "follow-up"], "include_closed": false,
    })
    .to_string();
    let one = json!({ "id": 4711, "name": "Müller & Söhne", "amount": 12_500.5, "note": record });
    let records = json!({ "records": vec![one; 8] }).to_string();
    let report = json!({ "report": record.trim().repeat(15) }).to_string();
    let text = record.repeat(15);
    let check = || drop(black_box(schemas.check_input(black_box(&arguments), 1 << 20)));
    let clean = || drop(black_box(with.clean(black_box(&text))));
    let both = |structured: &str| {
        // The copy that a guest's result is, in any case.
        let text = black_box(structured).to_owned();
        let mut told = Told::default();
        let With { rules, secrets, names } = with;
        let clean = clean_structured(text, &schemas, rules, secrets, names, &mut told);
        assert!(black_box(clean).is_ok() && told.is_nothing());
    };
    println!("{:<34} {:>9} {:>12}", "a typical call", "bytes", "ns");
    let rows = [
        ("arguments, checked", arguments.len(), least(&check, 2_000)),
        ("a text, cleaned", text.len(), least(&clean, 2_000)),
        ("a structured text, cleaned, checked", report.len(), least(&|| both(&report), 2_000)),
        ("eight records, cleaned, checked", records.len(), least(&|| both(&records), 2_000)),
    ];
    for (what, bytes, ns) in rows {
        println!("{what:<34} {bytes:>9} {ns:>12.0}");
    }
}

/// CPU time of one, the least of nine rounds, in nanoseconds.
fn least(one: &dyn Fn(), times: usize) -> f64 {
    let round = |_| {
        let begun = cpu();
        (0..times).for_each(|_| one());
        (cpu() - begun) / times as f64
    };
    (0..9).map(round).fold(f64::MAX, f64::min)
}

struct With {
    rules: Output,
    secrets: OwnSecrets,
    names: ToolNames,
}

impl With {
    fn clean<'t>(&self, text: &'t str) -> Cow<'t, str> {
        clean_string(text, &self.rules, &self.secrets, &self.names, &mut Told::default())
    }

    /// Prints what a clean text takes, and says whether nothing was allocated for it.
    fn time(&self, what: &str, text: &str) -> bool {
        let ns = self.measured(text);
        let bytes = text.len();
        let allocated = allocation_counter::measure(|| drop(self.clean(text))).count_total;
        println!("{what:<34} {bytes:>9} {ns:>12.0} {:>9.2}  {allocated}", bytes as f64 / ns);
        allocated == 0
    }

    fn measured(&self, text: &str) -> f64 {
        let times = (2_000_000 / text.len().max(1)).clamp(1, 2_000);
        least(&|| drop(black_box(self.clean(black_box(text)))), times)
    }
}

fn cpu() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}
