//! What a server does with the arguments of a call: they are checked against a schema,
//! and repaired where the operator wants it.
//!
//! An input is the text of the arguments. The host reads the frame strictly before it comes
//! to this; the check must hold without that.

#![no_main]

use std::sync::LazyLock;

use bulkhead::config::{Input, UnknownProperties};
use bulkhead::json;
use bulkhead::validation::{Checked, Schemas};
use libfuzzer_sys::fuzz_target;

const SCHEMA: &str = r##"{
    "type": "object",
    "$defs": {
        "node": { "type": "object", "properties": { "next": { "$ref": "#/$defs/node" }, "at": { "format": "date" } } }
    },
    "properties": {
        "id": { "type": "string", "pattern": "^[a-z]{1,8}$", "maxLength": 8 },
        "limit": { "type": "integer", "minimum": 1, "maximum": 50 },
        "price": { "type": "number", "multipleOf": 0.01 },
        "tags": { "type": "array", "uniqueItems": true, "items": { "enum": ["x", "y", 9007199254740993] } },
        "node": { "$ref": "#/$defs/node" },
        "size": { "anyOf": [{ "type": "integer" }, { "type": "object", "required": ["w"] }, { "type": "null" }] }
    },
    "required": ["id"],
    "unevaluatedProperties": false
}"##;

/// The same without its last line, so that the operator's rule about properties decides.
const OPEN: &str = r##"{
    "type": "object",
    "properties": {
        "id": { "type": "string" },
        "node": { "type": "object", "properties": { "on": { "type": "boolean" }, "list": { "type": "array", "items": { "type": "number" }, "maxItems": 3 } } },
        "time": { "type": ["string", "null"], "format": "date-time" },
        "big": { "const": 123456789012345678 }
    },
    "dependentRequired": { "time": ["id"] },
    "if": { "properties": { "id": { "const": "a" } }, "required": ["id"] },
    "then": { "properties": { "more": { "type": "string", "minLength": 2 } } }
}"##;

/// What no answer may hold: no schema here says it.
const SECRET: &str = "hunter2hunter2";

/// What a tool takes by default.
const MOST_BYTES: usize = 64 << 10;

/// One schema under each of the rules.
struct Known {
    as_declared: Schemas,
    closed: Schemas,
    repairing: Schemas,
    closed_and_repairing: Schemas,
}

static KNOWN: LazyLock<[Known; 2]> = LazyLock::new(|| [SCHEMA, OPEN].map(known));

fn known(schema: &str) -> Known {
    let under = |unknown_properties, coerce| {
        let rules = Input { unknown_properties, coerce };
        Schemas::compile(schema, None, rules).expect("a schema")
    };
    Known {
        as_declared: under(UnknownProperties::AsSchema, false),
        closed: under(UnknownProperties::Refuse, false),
        repairing: under(UnknownProperties::AsSchema, true),
        closed_and_repairing: under(UnknownProperties::Refuse, true),
    }
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    for known in &*KNOWN {
        let [declared, closed] = [&known.as_declared, &known.closed].map(|one| check(one, &text));
        assert!(declared || !closed, "closing a schema made it take more");
        let [repaired, both] =
            [&known.repairing, &known.closed_and_repairing].map(|one| check(one, &text));
        assert!(repaired >= declared && both >= closed, "what matches needs no repair");
        for schemas in [&known.as_declared, &known.closed_and_repairing] {
            says_no_value(schemas, &text);
        }
    }
});

/// A value in place of another, so that it is known what must not come back. As the name of
/// a property it may.
fn says_no_value(schemas: &Schemas, text: &str) {
    let secret = text.replacen("\"a\"", &format!("\"{SECRET}\""), 1);
    let after = secret.split_once(SECRET).map(|(_, after)| after.trim_start_matches('"'));
    let is_value = after.is_some_and(|after| !after.trim_start().starts_with(':'));
    if text.contains(SECRET) || !is_value {
        return;
    }
    if let Err(refused) = schemas.check_input(&secret, MOST_BYTES) {
        let told = format!("{:?} {}", refused.details(), refused.message());
        assert!(!told.contains(SECRET), "an answer repeats a value: {told}");
    }
}

/// Whether the schema takes the arguments, repaired or not.
fn check(schemas: &Schemas, arguments: &str) -> bool {
    match schemas.check_input(arguments, MOST_BYTES) {
        Ok(Checked::AsSent) => {
            json::check(arguments.as_bytes(), json::MAX_DEPTH).expect("strict JSON alone matches");
            true
        }
        Ok(Checked::Repaired { arguments, coercions }) => {
            assert!(!coercions.is_empty());
            assert!(arguments.len() <= MOST_BYTES, "repaired beyond the bound");
            json::check(arguments.as_bytes(), json::MAX_DEPTH).expect("repaired to strict JSON");
            let again =
                schemas.check_input(&arguments, MOST_BYTES).expect("what was repaired matches");
            assert_eq!(again, Checked::AsSent);
            true
        }
        Err(refused) => {
            let details = refused.details().expect("violations");
            let violations = details["violations"].as_array().expect("a list").len();
            assert!((1..=8).contains(&violations));
            false
        }
    }
}
