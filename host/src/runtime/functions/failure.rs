//! From the error of a function's `result` to a tool's own failure.

use serde_json::{Map, Value, json};
use wasmtime::component::Val;

use super::shape::{Case, Shape};
use super::to_json;
use crate::error::PluginCode;
use crate::runtime::output::Produced;

/// The code of a failure that has none, or one that cannot be.
const FAILED: &str = "TOOL_FAILED";

/// The message of a failure that has none.
const MESSAGE: &str = "The tool failed.";

/// The longest details that are made, in bytes: more is not passed on.
const MAX_DETAILS: usize = 8 << 10;

/// A failure with a code of its own, without more to say.
pub(super) fn plain(code: &str, message: String) -> Produced {
    told(code.to_owned(), message, Map::new())
}

/// What a function's error says: the name of a case is its code.
pub(super) fn failure(error: Option<(&Val, &Shape)>) -> Produced {
    let Some((value, shape)) = error else { return plain(FAILED, MESSAGE.to_owned()) };
    match (value, shape) {
        (Val::Enum(name), Shape::Enum { cases, .. }) => case(name, cases, None),
        (Val::Variant(name, payload), Shape::Variant { cases, .. }) => {
            case(name, cases, payload.as_deref())
        }
        (Val::String(message), _) => plain(FAILED, message.clone()),
        (Val::Record(_), _) => record(details(value, shape)),
        _ => told(FAILED.to_owned(), MESSAGE.to_owned(), details(value, shape)),
    }
}

fn case(name: &str, cases: &[Case], payload: Option<&Val>) -> Produced {
    let case = cases.iter().find(|case| case.name == name);
    let (code, mut more) = match PluginCode::parse(&name.replace('-', "_").to_ascii_uppercase()) {
        Some(code) => (code.as_str().to_owned(), Map::new()),
        None => (FAILED.to_owned(), Map::from_iter([("case".to_owned(), json!(name))])),
    };
    let message = match (payload, case.and_then(|case| case.payload.as_ref())) {
        (Some(Val::String(message)), _) => Some(message.clone()),
        (Some(value), Some(shape)) => {
            more.extend(details(value, shape));
            None
        }
        _ => None,
    };
    let written =
        || case.and_then(|case| case.doc.as_deref()).map_or_else(|| sentence(name), str::to_owned);
    told(code, message.unwrap_or_else(written), more)
}

/// Takes the code and the message out of a record that has them.
fn record(mut fields: Map<String, Value>) -> Produced {
    let mut text = |name: &str| match fields.remove(name) {
        Some(Value::String(text)) => Some(text),
        Some(other) => {
            fields.insert(name.to_owned(), other);
            None
        }
        None => None,
    };
    let (code, message) = (text("code"), text("message"));
    let code = match code {
        Some(code) if PluginCode::parse(&code).is_none() => {
            fields.insert("code".to_owned(), Value::String(code));
            None
        }
        code => code,
    };
    let message = message.unwrap_or_else(|| MESSAGE.to_owned());
    told(code.unwrap_or_else(|| FAILED.to_owned()), message, fields)
}

/// A value as details, which are an object; nothing when it has no text, or too much.
fn details(value: &Val, shape: &Shape) -> Map<String, Value> {
    let text = to_json::text(value, shape, MAX_DETAILS).ok();
    match text.and_then(|text| serde_json::from_str(&text).ok()) {
        Some(Value::Object(fields)) => fields,
        Some(value) => Map::from_iter([("value".to_owned(), value)]),
        None => Map::new(),
    }
}

fn told(code: String, message: String, details: Map<String, Value>) -> Produced {
    Produced::Failed {
        code,
        message,
        retryable: false,
        retry_after_ms: None,
        details: (!details.is_empty()).then(|| Value::Object(details).to_string()),
    }
}

/// A name as a sentence: `count-words` is "Count words."
pub(super) fn sentence(name: &str) -> String {
    let words = name.replace('-', " ");
    let mut characters = words.chars();
    match characters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), characters.as_str()),
        None => String::new(),
    }
}
