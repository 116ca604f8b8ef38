//! Refuses JSON that two readers could read differently, or that is too deep.
//!
//! The threat: the host checks one set of arguments and the guest, with another
//! parser, runs another. `{"id":1,"id":2}` is the classic; parsers disagree on
//! which one counts (RFC 8259 §4). One pass over the whole text finds that, and
//! bounds the depth for every parser that comes later, the guest's included.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// How deep arrays and objects may nest in what a client sends. Tool arguments
/// rarely pass 10; `serde_json`, which is only ever given checked text, stops at
/// 128, and so no reader behind this check meets its own limit first.
pub const MAX_DEPTH: usize = 64;

/// Objects with at most this many keys are searched one by one, without a set.
const FEW_KEYS: usize = 16;

/// Why a text is not taken for JSON. Its `Display` never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonFault {
    /// Not JSON (RFC 8259): not one value, not UTF-8, half a surrogate pair, a
    /// number beyond a double's range.
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in bytes; 0 at the end of the line before.
        column: usize,
    },
    /// Arrays and objects nest deeper than allowed.
    TooDeep,
    /// An object has two keys that are equal once their escapes are read.
    DuplicateKey,
}

impl fmt::Display for JsonFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson { line, column } => write!(f, "not JSON at line {line}, column {column}"),
            Self::TooDeep => f.write_str("JSON that nests too deep"),
            Self::DuplicateKey => f.write_str("JSON with the same key twice in one object"),
        }
    }
}

impl std::error::Error for JsonFault {}

/// Reads `text` once, from end to end. `max_depth` counts nested arrays and
/// objects, inclusive: `[[1]]` has depth 2; above 126 it counts as 126.
///
/// # Errors
/// The first [`JsonFault`] in reading order.
pub fn check(text: &[u8], max_depth: usize) -> Result<(), JsonFault> {
    let found = Cell::new(None);
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Value { depth_left: max_depth.min(126), found: &found };
    value.deserialize(&mut reader).and_then(|()| reader.end()).map_err(|error| {
        found.get().unwrap_or(JsonFault::NotJson { line: error.line(), column: error.column() })
    })
}

/// Any value, read for its faults only.
#[derive(Clone, Copy)]
struct Value<'a> {
    depth_left: usize,
    /// What stopped the reader, where that was not the grammar.
    found: &'a Cell<Option<JsonFault>>,
}

impl Value<'_> {
    fn stop<T, E: serde::de::Error>(self, fault: JsonFault) -> Result<T, E> {
        self.found.set(Some(fault));
        Err(E::custom(""))
    }

    /// The values inside this one.
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Self { depth_left, ..self }),
            None => self.stop(JsonFault::TooDeep),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        let mut keys = Keys::default();
        while let Some(key) = entries.next_key_seed(Key)? {
            if !keys.insert(key) {
                return self.stop(JsonFault::DuplicateKey);
            }
            entries.next_value_seed(inner)?;
        }
        Ok(())
    }
}

/// The keys of one object. The set hashes with a random key, so that nobody can
/// choose keys that collide.
#[derive(Default)]
struct Keys<'de> {
    few: Vec<Cow<'de, str>>,
    many: HashSet<Cow<'de, str>>,
}

impl<'de> Keys<'de> {
    /// Whether `key` is new.
    fn insert(&mut self, key: Cow<'de, str>) -> bool {
        if self.few.len() < FEW_KEYS {
            let new = !self.few.contains(&key);
            self.few.push(key);
            return new;
        }
        if self.many.is_empty() {
            self.many.extend(self.few.iter().cloned());
        }
        self.many.insert(key)
    }
}

/// A key, with its escapes read; borrowed where there were none.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> String {
        format!("{}1{}", "[".repeat(depth), "]".repeat(depth))
    }

    #[test]
    fn what_reads_in_one_way_passes() {
        let many_keys: String =
            (0..100_000).map(|n| format!("\"{n}\":0,")).chain(["\"end\":0".to_owned()]).collect();
        for text in [
            "1",
            " null\r\n",
            "\"\\ud83d\\ude00 ü\"",
            "[]",
            "{}",
            "[-0.0, 1e308, 12345678901234567890124]",
            r#"{"a":{"a":1},"b":[{"a":1},{"a":1}]}"#,
            r#"{"a":1,"A":2,"a ":3,"":4}"#,
            &nested(MAX_DEPTH),
            &format!("{{{many_keys}}}"),
        ] {
            assert_eq!(check(text.as_bytes(), MAX_DEPTH), Ok(()), "{text:.80}");
        }
    }

    #[test]
    fn what_is_not_json_is_located() {
        for (text, line, column) in
            [(&b""[..], 1, 0), (b"{\"a\":1} x", 1, 9), (b"{\n\"a\":tru}", 2, 8), (b"[1 2]", 1, 4)]
        {
            let fault = Err(JsonFault::NotJson { line, column });
            assert_eq!(check(text, MAX_DEPTH), fault, "{}", String::from_utf8_lossy(text));
        }
        for text in [
            &b"\xef\xbb\xbf{}"[..],
            b"\"\xff\"",
            b"\"\xc0\xaf\"",
            b"\"\\ud800\"",
            b"1e999",
            b"01",
            b"{\"a\":1,}",
            b"\"a\nb\"",
            b"{\"a\0\":1}",
            b"NaN",
            b"{} {}",
        ] {
            let fault = check(text, MAX_DEPTH);
            assert!(
                matches!(fault, Err(JsonFault::NotJson { .. })),
                "{}: {fault:?}",
                String::from_utf8_lossy(text)
            );
        }
    }

    #[test]
    fn a_key_counts_by_what_it_reads_as() {
        let seventeen: String = (0..17).map(|n| format!("\"k{n}\":0,")).collect();
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"[{"x":{"b":1,"a":2,"b":3}}]"#,
            &format!("{{{seventeen}\"k0\":1}}"),
            &format!("{{{seventeen}\"k16\":1}}"),
        ] {
            assert_eq!(check(text.as_bytes(), MAX_DEPTH), Err(JsonFault::DuplicateKey), "{text}");
        }
    }

    #[test]
    fn depth_is_bounded_whatever_comes() {
        assert_eq!(check(nested(65).as_bytes(), 64), Err(JsonFault::TooDeep));
        assert_eq!(check("[".repeat(1 << 20).as_bytes(), 64), Err(JsonFault::TooDeep));
        assert_eq!(check("{\"a\":".repeat(1 << 16).as_bytes(), 64), Err(JsonFault::TooDeep));
        assert_eq!(check(nested(128).as_bytes(), usize::MAX), Err(JsonFault::TooDeep));
        assert_eq!(check(b"1", 0), Ok(()));
        assert_eq!(check(b"[]", 0), Err(JsonFault::TooDeep));
    }

    #[test]
    fn a_fault_does_not_repeat_the_text() {
        let fault = check(br#"{"secret":1,"secret":2}"#, 64).unwrap_err();
        assert_eq!(fault.to_string(), "JSON with the same key twice in one object");
        let fault = check(br#"{"secret" 1}"#, 64).unwrap_err();
        assert_eq!(fault.to_string(), "not JSON at line 1, column 11");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_get_an_answer(bytes: Vec<u8>, json in r#"[\[\]{}",:a0\\ e.-]{0,64}"#) {
            let _ = check(&bytes, MAX_DEPTH);
            let ours = check(json.as_bytes(), MAX_DEPTH);
            let theirs = serde_json::from_str::<serde_json::Value>(&json);
            proptest::prop_assert!(theirs.is_ok() || ours.is_err());
            if matches!(ours, Err(JsonFault::NotJson { .. })) {
                proptest::prop_assert!(theirs.is_err());
            }
        }
    }
}
