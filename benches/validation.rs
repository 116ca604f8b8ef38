//! What it costs to check a call's arguments, and that it stays linear: typical calls,
//! and inputs of four sizes that are made to be slow.
//!
//! A hostile case fails the bench when eight times as much takes more than
//! [`MOST_GROWTH`] times as long.
//!
//!     cargo run --release -p benches --bin validation

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a bench: it prints, fails loudly, and lives on real time"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bulkhead::config::{Input, UnknownProperties};
use bulkhead::validation::Schemas;
use serde_json::{Value, json};

/// How often each measurement is taken; the least is told.
const ROUNDS: u32 = 9;

/// How long one measurement takes, about.
const ROUND: Duration = Duration::from_millis(40);

/// How much longer than the first size any other may take. The last is eight times as
/// much: 8 is linear, 64 quadratic, and what outgrows the processor's caches costs up to
/// three times as much for each part.
const MOST_GROWTH: f64 = 24.0;

/// The sizes of hostile inputs: the middle of what arguments may be by default is 128 KiB.
const SIZES: [usize; 4] = [1_000, 2_000, 4_000, 8_000];

const AS_SCHEMA: Input = Input { unknown_properties: UnknownProperties::AsSchema, coerce: false };

fn main() {
    println!("{:<44} {:>8} {:>10}", "typical", "bytes", "µs");
    typical();
    println!();
    println!("{:<44} {:>39} {:>8}", "hostile, µs at 1,000 to 8,000 parts", "", "growth");
    let mut slow = Vec::new();
    for case in hostile() {
        if growth(&case) > MOST_GROWTH {
            slow.push(case.name);
        }
    }
    assert!(slow.is_empty(), "not linear: {slow:?}");
}

fn typical() {
    let schema = json!({
        "type": "object",
        "properties": {
            "query": { "type": "string", "minLength": 1, "maxLength": 200 },
            "region": { "enum": ["emea", "apac", "amer"] },
            "stage": { "type": "string", "pattern": "^[a-z_]{1,32}$" },
            "limit": { "type": "integer", "minimum": 1, "maximum": 50 },
            "min_amount": { "type": "number", "minimum": 0 },
            "since": { "type": "string", "format": "date" },
            "tags": { "type": "array", "items": { "type": "string" }, "maxItems": 10 },
            "include_closed": { "type": "boolean" },
        },
        "required": ["query"],
        "additionalProperties": false,
    });
    let valid = json!({
        "query": "renewals that slipped in the last quarter", "region": "emea",
        "stage": "negotiation", "limit": 20, "min_amount": 12_500.5, "since": "2026-07-01",
        "tags": ["priority", "renewal"], "include_closed": false,
    });
    let mut wrong = valid.clone();
    wrong.as_object_mut().expect("an object").insert("limit".to_owned(), json!("20"));
    let refuse = Input { unknown_properties: UnknownProperties::Refuse, coerce: true };
    for (name, rules, arguments) in [
        ("valid", AS_SCHEMA, &valid),
        ("valid, unknown properties refused", refuse, &valid),
        ("one violation", AS_SCHEMA, &wrong),
        ("one repair", refuse, &wrong),
    ] {
        let schemas = Schemas::compile(&schema.to_string(), None, rules).expect("a schema");
        let text = arguments.to_string();
        println!("{name:<44} {:>8} {:>10.2}", text.len(), micros(&schemas, &text));
    }
}

/// A schema, and arguments of so many parts.
struct Case {
    name: &'static str,
    schema: Value,
    arguments: fn(usize) -> String,
}

fn hostile() -> Vec<Case> {
    let of = |a: Value| json!({ "type": "object", "properties": { "a": a } });
    let list = |items: Value| of(json!({ "type": "array", "items": items }));
    let branches: Vec<Value> = (0..50)
        .map(|at| json!({ "properties": { "k": { "const": at } }, "required": ["k"] }))
        .collect();
    let patterns: serde_json::Map<String, Value> =
        (0..20).map(|at| (format!("^(a|b|ab)*{at}$"), json!({ "type": "integer" }))).collect();
    let named: serde_json::Map<String, Value> =
        (0..500).map(|at| (format!("k{at}"), json!({ "type": "integer" }))).collect();
    vec![
        Case {
            name: "a string against (a*)*b",
            schema: of(json!({ "pattern": "^(a*)*b$" })),
            arguments: |n| json!({ "a": "a".repeat(8 * n) }).to_string(),
        },
        Case {
            name: "names against twenty patterns",
            schema: of(json!({ "patternProperties": patterns })),
            arguments: |n| {
                let names = (0..n / 4).map(|at| (format!("{}{at}", "ab".repeat(8)), json!(1)));
                json!({ "a": names.collect::<serde_json::Map<_, _>>() }).to_string()
            },
        },
        Case {
            name: "many members, 500 of them known",
            schema: of(json!({ "properties": named })),
            arguments: |n| {
                let names = (0..n).map(|at| (format!("k{at}"), json!(1)));
                json!({ "a": names.collect::<serde_json::Map<_, _>>() }).to_string()
            },
        },
        Case {
            name: "different items, all compared",
            schema: of(json!({ "uniqueItems": true })),
            arguments: |n| {
                json!({ "a": (0..n).map(|at| json!([at, "x"])).collect::<Vec<_>>() }).to_string()
            },
        },
        Case {
            name: "items against fifty branches, the last one",
            schema: list(json!({ "anyOf": branches })),
            arguments: |n| json!({ "a": vec![json!({ "k": 49 }); n / 4] }).to_string(),
        },
        Case {
            name: "items against fifty branches, none",
            schema: list(json!({ "oneOf": branches })),
            arguments: |n| json!({ "a": vec![json!({ "k": 50 }); n / 4] }).to_string(),
        },
        Case {
            name: "items that are all wrong",
            schema: list(json!({ "type": "string" })),
            arguments: |n| json!({ "a": vec![1; n] }).to_string(),
        },
        Case {
            name: "one number of many digits",
            schema: of(json!({ "multipleOf": 0.000_1, "maximum": 1e300 })),
            arguments: |n| format!("{{\"a\":0.{}}}", "7".repeat(8 * n)),
        },
        Case {
            name: "escapes",
            schema: of(json!({ "type": "string", "maxLength": 1_000_000 })),
            arguments: |n| format!("{{\"a\":\"{}\"}}", "\\ud83d\\ude00".repeat(n)),
        },
        Case {
            name: "lists in lists, 30 deep, unevaluated",
            schema: json!({
                "type": "object",
                "$defs": { "n": { "type": ["array", "integer"], "items": { "$ref": "#/$defs/n", "unevaluatedItems": false } } },
                "properties": { "a": { "$ref": "#/$defs/n" } },
            }),
            arguments: |n| {
                let one = format!("{}1{}", "[".repeat(30), "]".repeat(30));
                format!("{{\"a\":[{}]}}", vec![one; n].join(","))
            },
        },
        Case {
            name: "names alike, all unknown",
            schema: of(json!({ "properties": named, "additionalProperties": false })),
            arguments: |n| {
                let names = (0..n).map(|at| (format!("l{at}"), json!(1)));
                json!({ "a": names.collect::<serde_json::Map<_, _>>() }).to_string()
            },
        },
    ]
}

/// Prints the times of a case, and how much the slowest takes of the first. Beyond 16 KiB
/// only one violation is told, so that the last size need not be the slowest.
fn growth(case: &Case) -> f64 {
    let rules = Input { coerce: true, ..AS_SCHEMA };
    let schemas = Schemas::compile(&case.schema.to_string(), None, rules).expect("a schema");
    let times = SIZES.map(|size| micros(&schemas, &(case.arguments)(size)));
    let [one, two, four, eight] = times;
    let growth = times.into_iter().fold(0.0, f64::max) / one;
    println!("{:<44} {one:>9.1} {two:>9.1} {four:>9.1} {eight:>9.1} {growth:>8.1}", case.name);
    growth
}

/// What one check takes, whatever it says.
fn micros(schemas: &Schemas, arguments: &str) -> f64 {
    let check = || drop(black_box(schemas.check_input(black_box(arguments), 64 << 20)));
    let begun = Instant::now();
    check();
    let once = begun.elapsed().max(Duration::from_nanos(100));
    let count = u32::try_from(ROUND.as_nanos() / once.as_nanos()).unwrap_or(u32::MAX).max(1);
    let round = |_| {
        let begun = Instant::now();
        (0..count).for_each(|_| check());
        begun.elapsed().as_secs_f64() * 1e6 / f64::from(count)
    };
    (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min)
}
