//! JSON that a guest wrote: read strictly, and its strings cleaned where they stand.
//!
//! All but the strings that change stays byte for byte: numbers keep their digits.

use std::borrow::Cow;

use serde_json::Value;

use crate::json;
use crate::text::Cut;

/// Why a guest's JSON is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unclean {
    /// It is not JSON, too deep, or holds a key twice.
    NotStrict,
}

/// Gives each string of a JSON text, keys included, to `clean`. The text comes back byte
/// for byte as it was when nothing was changed. Two keys may have become one: who takes it
/// reads it strictly.
///
/// # Errors
/// When it is not JSON that everybody reads alike.
pub(super) fn clean_json<'t>(
    text: &'t str,
    mut clean: impl FnMut(&str) -> Option<String>,
) -> Result<Cow<'t, str>, Unclean> {
    json::check(text.as_bytes(), json::MAX_DEPTH).map_err(|_| Unclean::NotStrict)?;
    clean_strings(text, &mut clean)
}

/// Reads a value, strictly.
///
/// # Errors
/// When it is not JSON that everybody reads alike.
pub(super) fn read(text: &str) -> Result<Value, Unclean> {
    json::check(text.as_bytes(), json::MAX_DEPTH).map_err(|_| Unclean::NotStrict)?;
    serde_json::from_str(text).map_err(|_| Unclean::NotStrict)
}

/// Whether each string of a JSON text stands in it as it is read, but for line feeds, tabs,
/// quotation marks and backslashes: what is not found in the text, and holds none of
/// these, is in none of its strings.
pub(super) fn shows_its_strings(text: &str) -> bool {
    let mut from = 0;
    while let Some(at) = memchr::memchr(b'\\', text.as_bytes().get(from..).unwrap_or_default()) {
        let escaped = text.as_bytes().get(from + at + 1);
        if !escaped.is_some_and(|byte| matches!(byte, b'n' | b't' | b'"' | b'\\')) {
            return false;
        }
        from += at + 2;
    }
    true
}

fn clean_strings<'t>(
    text: &'t str,
    clean: &mut impl FnMut(&str) -> Option<String>,
) -> Result<Cow<'t, str>, Unclean> {
    let mut cut = Cut::new(text);
    let mut from = 0;
    while let Some(begin) = next_quote(text, from) {
        let end = end_of_string(text, begin + 1).ok_or(Unclean::NotStrict)?;
        let token = text.get(begin..=end).ok_or(Unclean::NotStrict)?;
        let inner = text.get(begin + 1..end).ok_or(Unclean::NotStrict)?;
        let changed = if inner.contains('\\') {
            let read: String = serde_json::from_str(token).map_err(|_| Unclean::NotStrict)?;
            clean(&read)
        } else {
            clean(inner)
        };
        if let Some(changed) = changed {
            let token = serde_json::to_string(&changed).map_err(|_| Unclean::NotStrict)?;
            cut.replace(begin, end + 1, &token);
        }
        from = end + 1;
    }
    Ok(cut.done())
}

fn next_quote(text: &str, from: usize) -> Option<usize> {
    memchr::memchr(b'"', text.as_bytes().get(from..)?).map(|at| from + at)
}

/// Where the string ends whose text begins at `from`: its closing quote.
fn end_of_string(text: &str, mut from: usize) -> Option<usize> {
    loop {
        let at = from + memchr::memchr2(b'"', b'\\', text.as_bytes().get(from..)?)?;
        if text.as_bytes().get(at) == Some(&b'"') {
            return Some(at);
        }
        // What is escaped, whatever it is.
        from = at + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::clean_text;

    fn cleaned(text: &str) -> Result<String, Unclean> {
        let clean = |text: &str| match clean_text(text) {
            Cow::Borrowed(_) => None,
            Cow::Owned(clean) => Some(clean),
        };
        let cleaned = clean_json(text, clean)?;
        read(&cleaned).map(|_| cleaned.into_owned())
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
        // And nothing else is touched.
        let dirty = "{ \"n\": 1.50, \"big\": 12345678901234567890123, \"q\\\"\": \"\\u200b\\\\\" }";
        let clean = dirty.replace("\\u200b", "");
        assert_eq!(cleaned(dirty).as_deref(), Ok(clean.as_str()));
    }

    #[test]
    fn keys_that_become_one_are_refused() {
        assert_eq!(cleaned("{\"a\":1,\"a\u{200b}\":2}"), Err(Unclean::NotStrict));
    }

    #[test]
    fn what_is_not_strict_json_is_refused() {
        let deep = "[".repeat(500) + &"]".repeat(500);
        for text in ["", "{", "{\"a\":1,\"a\":2}", "1 2", &deep] {
            assert_eq!(cleaned(text), Err(Unclean::NotStrict), "{text:.20}");
        }
    }
}
