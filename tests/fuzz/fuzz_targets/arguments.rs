//! What a server does with the arguments of a call, and with the schema that they are
//! checked against.
//!
//! The first byte of an input says whether the rest is arguments, for the schemas here, or
//! a schema and, on a second line, arguments. The host reads the frame strictly before it
//! comes to this; the check must hold without that.

#![no_main]

use std::sync::LazyLock;

use bulkhead::config::{Input, UnknownProperties};
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

/// What no answer may hold: no schema here says it.
const SECRET: &str = "hunter2hunter2";

static KNOWN: LazyLock<Vec<Schemas>> = LazyLock::new(|| {
    rules().map(|rules| Schemas::compile(SCHEMA, None, rules).expect("a schema")).collect()
});

fn rules() -> impl Iterator<Item = Input> {
    [UnknownProperties::AsSchema, UnknownProperties::Refuse].into_iter().flat_map(
        |unknown_properties| {
            [false, true].into_iter().map(move |coerce| Input { unknown_properties, coerce })
        },
    )
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    if *kind == b'0' {
        KNOWN.iter().for_each(|schemas| check(schemas, &text));
        // A value in place of a name, so that it is known what must not come back.
        let with_secret = text.replacen("\"a\"", &format!("\"{SECRET}\""), 1);
        for schemas in
            KNOWN.iter().take(1).filter(|_| !with_secret.contains(&format!("\"{SECRET}\":")))
        {
            if let Err(refused) = schemas.check_input(&with_secret, 64 << 10) {
                let told = format!("{:?}", refused.details());
                assert!(!told.contains(SECRET), "an answer repeats a value: {told}");
            }
        }
        return;
    }
    let (schema, arguments) = text.split_once('\n').unwrap_or((&text, "{}"));
    for rules in rules() {
        match Schemas::compile(schema, None, rules) {
            Ok(schemas) => check(&schemas, arguments),
            Err(why) => assert!(why.lines().count() == 1, "{why:?}"),
        }
    }
});

fn check(schemas: &Schemas, arguments: &str) {
    match schemas.check_input(arguments, 64 << 10) {
        Ok(Checked::AsSent) => {}
        Ok(Checked::Repaired { arguments, coercions }) => {
            assert!(!coercions.is_empty());
            let again =
                schemas.check_input(&arguments, 64 << 10).expect("what was repaired matches");
            assert_eq!(again, Checked::AsSent);
        }
        Err(refused) => {
            let details = refused.details().expect("violations");
            let violations = details["violations"].as_array().expect("a list").len();
            assert!((1..=8).contains(&violations));
        }
    }
}
