//! JSON that a guest wrote: read strictly, and its strings cleaned.

use std::borrow::Cow;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::text::clean_text;

/// Why a guest's JSON is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unclean {
    /// It is not JSON, too deep, or holds a key twice.
    NotStrict,
}

/// Reads a JSON text and cleans every string in it, keys included. The text comes
/// back byte for byte as it was when there was nothing to clean.
///
/// # Errors
/// When it is not JSON that everybody reads in the same way.
pub fn clean_json(text: &str) -> Result<(Value, Box<RawValue>), Unclean> {
    crate::json::check(text.as_bytes(), crate::json::MAX_DEPTH).map_err(|_| Unclean::NotStrict)?;
    let value: Value = serde_json::from_str(text).map_err(|_| Unclean::NotStrict)?;
    let (value, changed) = clean_value(value);
    let text = if changed { value.to_string() } else { text.trim().to_owned() };
    let raw = RawValue::from_string(text).map_err(|_| Unclean::NotStrict)?;
    Ok((value, raw))
}

/// The cleaned value, and whether it differs. Recursion is bounded by the strict
/// reading before it.
fn clean_value(value: Value) -> (Value, bool) {
    match value {
        Value::String(text) => {
            let (text, changed) = clean_string(text);
            (Value::String(text), changed)
        }
        Value::Array(items) => {
            let mut any = false;
            let items = items.into_iter().map(|item| {
                let (item, changed) = clean_value(item);
                any |= changed;
                item
            });
            let items = items.collect();
            (Value::Array(items), any)
        }
        Value::Object(entries) => {
            let mut any = false;
            let entries: Map<String, Value> = entries
                .into_iter()
                .map(|(key, value)| {
                    let (key, key_changed) = clean_string(key);
                    let (value, value_changed) = clean_value(value);
                    any |= key_changed | value_changed;
                    (key, value)
                })
                .collect();
            (Value::Object(entries), any)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => (value, false),
    }
}

fn clean_string(text: String) -> (String, bool) {
    match clean_text(&text) {
        Cow::Borrowed(_) => (text, false),
        Cow::Owned(clean) => (clean, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(text: &str) -> Result<String, Unclean> {
        clean_json(text).map(|(_, raw)| raw.get().to_owned())
    }

    #[test]
    fn clean_json_keeps_its_bytes() {
        for text in [r#"{"b":1.50,"a":[1e2,"ü\n"]}"#, "12345678901234567890123", "\"\\u00e4\""] {
            assert_eq!(cleaned(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn strings_and_keys_are_cleaned() {
        let dirty = r#"{"k\u001b[1m":["a\u0007b"]}"#;
        assert_eq!(cleaned(dirty).as_deref(), Ok(r#"{"k":["ab"]}"#));
    }

    #[test]
    fn what_is_not_strict_json_is_refused() {
        let deep = "[".repeat(500) + &"]".repeat(500);
        for text in ["", "{", "{\"a\":1,\"a\":2}", "1 2", &deep] {
            assert_eq!(cleaned(text), Err(Unclean::NotStrict), "{text:.20}");
        }
    }
}
