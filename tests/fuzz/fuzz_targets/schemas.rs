//! What a server does with a schema that a plugin brings, and with what is checked against
//! it.
//!
//! An input is a schema and, on a second line, a value. A server compiles schemas in its own
//! process, so that a hostile one must end in an answer, soon and in little memory.

#![no_main]

use bulkhead::config::{Input, UnknownProperties};
use bulkhead::json;
use bulkhead::validation::{Checked, MAX_SCHEMA_BYTES, OutputFault, Schemas};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// The longest reason for a refusal, in bytes: it is logged, and shown by commands.
const LONGEST_REASON: usize = 1_000;

/// What a tool takes by default.
const MOST_BYTES: usize = 64 << 10;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let (schema, value) = text.split_once('\n').unwrap_or((&text, "{}"));
    let declared = input(schema, value, UnknownProperties::AsSchema);
    let closed = input(schema, value, UnknownProperties::Refuse);
    if let (Some(declared), Some(closed)) = (declared, closed) {
        // Of `oneOf`, a stricter branch may be the one too many.
        let one_of = accepted(schema).to_string().contains("oneOf");
        assert!(declared || !closed || one_of, "closing it made it take more");
    }
    output(schema, value, declared);
});

/// Compiles an input schema and checks a value against it. Whether it is taken as it is;
/// nothing when the schema is refused.
fn input(schema: &str, value: &str, unknown_properties: UnknownProperties) -> Option<bool> {
    let compile = |coerce| Schemas::compile(schema, None, Input { unknown_properties, coerce });
    let strict = match compile(false) {
        Ok(strict) => strict,
        Err(why) => {
            reason(&why);
            compile(true).expect_err("the same with repairs");
            return None;
        }
    };
    let read = accepted(schema);
    assert_eq!(read.get("type"), Some(&"object".into()));
    let taken = match strict.check_input(value, MOST_BYTES) {
        Ok(checked) => {
            assert_eq!(checked, Checked::AsSent);
            true
        }
        Err(refused) => {
            let details = refused.details().expect("violations");
            let violations = details["violations"].as_array().expect("a list").len();
            assert!((1..=8).contains(&violations));
            false
        }
    };
    match compile(true).expect("as without repairs").check_input(value, MOST_BYTES) {
        Ok(Checked::AsSent) => assert!(taken),
        Ok(Checked::Repaired { arguments, coercions }) => {
            assert!(!taken && !coercions.is_empty());
            let again = strict.check_input(&arguments, MOST_BYTES).expect("repaired, it matches");
            assert_eq!(again, Checked::AsSent);
        }
        Err(_) => assert!(!taken),
    }
    Some(taken)
}

/// The same as an output schema, which need not be an object's.
fn output(schema: &str, value: &str, as_input: Option<bool>) {
    let compiled = Schemas::compile(r#"{"type":"object"}"#, Some(schema), Input::default());
    let schemas = match compiled {
        Ok(schemas) => schemas,
        Err(why) => {
            assert!(as_input.is_none(), "refused as an output alone: {why}");
            return reason(&why);
        }
    };
    let read = accepted(schema);
    assert!(as_input.is_some() || read.get("type") != Some(&"object".into()));
    // Both are checked as they are written.
    let accepted = schemas.check_output(value);
    let read = !matches!(accepted, Err(OutputFault::NotJson(_)));
    assert_eq!(read, json::check(value.as_bytes(), json::MAX_DEPTH).is_ok(), "two readers");
    if let Some(as_input) = as_input.filter(|_| read) {
        assert_eq!(accepted.is_ok(), as_input, "two checks of one value");
    }
}

/// What was compiled is strict JSON within its bound.
fn accepted(schema: &str) -> Value {
    assert!(schema.len() <= MAX_SCHEMA_BYTES);
    json::check(schema.as_bytes(), json::MAX_DEPTH).expect("strict JSON alone is compiled");
    serde_json::from_str(schema).expect("JSON")
}

fn reason(why: &str) {
    assert!(why.lines().count() == 1 && why.len() <= LONGEST_REASON, "{why:?}");
    assert!(!why.contains(char::is_control), "{why:?}");
}
