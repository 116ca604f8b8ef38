use serde_json::{Value, json};
use wasmtime::component::Val;

use super::super::failure::failure;
use super::super::shape::{Case, Integer, Shape};
use super::{case, field};
use crate::runtime::output::Produced;

fn told(value: Val, shape: &Shape) -> (String, String, Value) {
    let produced = failure(Some((&value, shape)));
    let Produced::Failed { code, message, details, retryable: false, .. } = produced else {
        panic!("{produced:?}")
    };
    let details = details.map(|text| serde_json::from_str(&text).unwrap());
    (code, message, details.unwrap_or_default())
}

#[test]
fn the_name_of_a_case_is_the_code() {
    let documented = Case { doc: Some("Nothing to count.".into()), ..case("empty-text", None) };
    let entry =
        Shape::Record { doc: None, fields: vec![field("line", Shape::Integer(Integer::U8))] };
    let cases = vec![
        documented,
        case("not-found", Some(Shape::String)),
        case("bad-line", Some(entry)),
        case("out-of-range", Some(Shape::Integer(Integer::U8))),
        case("no", None),
        case("internal", None),
        case("never", Some(Shape::Float64)),
    ];
    let with = |name: &str, value| Val::Variant(name.to_owned(), Some(Box::new(value)));
    let bare = |name: &str| Val::Variant(name.to_owned(), None);
    let line = Val::Record(vec![("line".to_owned(), Val::U8(3))]);
    let rows = [
        (bare("empty-text"), "EMPTY_TEXT", "Nothing to count.", Value::Null),
        (with("not-found", Val::String("No x.".to_owned())), "NOT_FOUND", "No x.", Value::Null),
        (with("bad-line", line), "BAD_LINE", "Bad line.", json!({ "line": 3 })),
        (with("out-of-range", Val::U8(9)), "OUT_OF_RANGE", "Out of range.", json!({ "value": 9 })),
        // Too short to be a code, and one of the host's own.
        (bare("no"), "TOOL_FAILED", "No.", json!({ "case": "no" })),
        (bare("internal"), "TOOL_FAILED", "Internal.", json!({ "case": "internal" })),
        (with("never", Val::Float64(f64::NAN)), "NEVER", "Never.", Value::Null),
    ];
    let variant = Shape::Variant { doc: None, cases: cases.clone() };
    for (value, code, message, details) in rows {
        assert_eq!(told(value, &variant), (code.to_owned(), message.to_owned(), details));
    }
    let names = Shape::Enum { doc: None, cases };
    let (code, message, _) = told(Val::Enum("empty-text".to_owned()), &names);
    assert_eq!((code.as_str(), message.as_str()), ("EMPTY_TEXT", "Nothing to count."));
}

#[test]
fn other_errors_say_what_they_can() {
    let (code, message, details) = told(Val::String("Too late.".to_owned()), &Shape::String);
    assert_eq!(
        (code.as_str(), message.as_str(), details),
        ("TOOL_FAILED", "Too late.", Value::Null)
    );
    let (code, message, details) = told(Val::U8(7), &Shape::Integer(Integer::U8));
    assert_eq!((code.as_str(), message.as_str()), ("TOOL_FAILED", "The tool failed."));
    assert_eq!(details, json!({ "value": 7 }));

    let fields = vec![
        field("code", Shape::String),
        field("message", Shape::String),
        field("line", Shape::Bool),
    ];
    let shape = Shape::Record { doc: None, fields };
    let record = |code: &str| {
        let text = |text: &str| Val::String(text.to_owned());
        let fields = [("code", text(code)), ("message", text("M.")), ("line", Val::Bool(true))];
        Val::Record(fields.map(|(name, value)| (name.to_owned(), value)).into())
    };
    let (code, message, details) = told(record("NO_ROOM"), &shape);
    assert_eq!(
        (code.as_str(), message.as_str(), details),
        ("NO_ROOM", "M.", json!({ "line": true }))
    );
    let (code, _, details) = told(record("no room"), &shape);
    assert_eq!(
        (code.as_str(), details),
        ("TOOL_FAILED", json!({ "code": "no room", "line": true }))
    );

    assert!(
        matches!(failure(None), Produced::Failed { code, details: None, .. } if code == "TOOL_FAILED")
    );
}
