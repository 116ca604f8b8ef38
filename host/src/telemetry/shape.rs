//! What an audit record keeps of a call's arguments: names, JSON types, lengths.
//!
//! Never a value, nor anything whose size a client decides: names are cut and lose
//! their control characters, and what is beyond the bounds is only counted.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

/// How deep objects are looked into. The third level shows what is wrong with most
/// calls, and each level multiplies what a hostile one writes to the log.
const MAX_DEPTH: usize = 3;

/// How many names of one object are kept.
const MAX_KEYS: usize = 32;

/// How many names are kept in all. With [`MAX_NAME_CHARS`] they take at most 40 KiB.
const MAX_KEYS_IN_ALL: usize = 128;

/// How much of a name is kept. Longer names are rare outside of attacks.
const MAX_NAME_CHARS: usize = 64;

/// The key under which the number of names stands that were left out.
const MORE: &str = "…";

/// The shape of the arguments in `text`; `None` unless it is a JSON object.
pub(super) fn of_arguments(text: &str) -> Option<Keys> {
    let mut budget = MAX_KEYS_IN_ALL;
    let mut json = serde_json::Deserializer::from_str(text);
    let look = Look { depth: MAX_DEPTH, budget: &mut budget };
    let shape = look.deserialize(&mut json).ok()?;
    json.end().ok()?;
    shape.keys
}

/// `text` without control characters, cut to `max_chars`.
pub(super) fn clean(text: &str, max_chars: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(max_chars).collect()
}

/// One value's type and how long it is: characters of a string, items of an array,
/// keys of an object.
#[derive(Debug, Serialize)]
struct Shape {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<Keys>,
}

impl Shape {
    fn scalar(r#type: &'static str) -> Self {
        Self { r#type, length: None, keys: None }
    }

    fn of_length(r#type: &'static str, length: usize) -> Self {
        Self { r#type, length: Some(length), keys: None }
    }
}

/// An object's names, each once, and how many more there were.
#[derive(Debug, Default)]
pub(super) struct Keys {
    named: Vec<(String, Shape)>,
    more: usize,
}

impl Keys {
    /// Whether `name` can be kept under itself. Names that differ only in what was
    /// cut, or that pose as the count, are counted instead.
    fn take(&self, name: &str) -> bool {
        self.named.len() < MAX_KEYS
            && name != MORE
            && self.named.iter().all(|(known, _)| known != name)
    }
}

impl Serialize for Keys {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        for (name, shape) in &self.named {
            map.serialize_entry(name, shape)?;
        }
        if self.more > 0 {
            map.serialize_entry(MORE, &self.more)?;
        }
        map.end()
    }
}

/// Looks at a value as it is read, and keeps nothing of it.
struct Look<'a> {
    depth: usize,
    budget: &'a mut usize,
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = Shape;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Shape, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::scalar("null"))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::scalar("boolean"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::scalar("number"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::scalar("number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::scalar("number"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Shape, E> {
        Ok(Shape::of_length("string", text.chars().count()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Shape, A::Error> {
        let mut length = 0;
        while items.next_element::<IgnoredAny>()?.is_some() {
            length += 1;
        }
        Ok(Shape::of_length("array", length))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Shape, A::Error> {
        let mut keys = Keys::default();
        let mut length = 0;
        while let Some(Name(name)) = members.next_key()? {
            length += 1;
            if self.depth > 0 && *self.budget > 0 && keys.take(&name) {
                *self.budget -= 1;
                let look = Look { depth: self.depth - 1, budget: &mut *self.budget };
                keys.named.push((name, members.next_value_seed(look)?));
            } else {
                members.next_value::<IgnoredAny>()?;
                keys.more += 1;
            }
        }
        let keys = (self.depth > 0).then_some(keys);
        Ok(Shape { r#type: "object", length: Some(length), keys })
    }
}

/// A cleaned name.
struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Clean;
        impl Visitor<'_> for Clean {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_str<E>(self, name: &str) -> Result<Name, E> {
                Ok(Name(clean(name, MAX_NAME_CHARS)))
            }
        }
        from.deserialize_str(Clean)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn shape(text: &str) -> Value {
        serde_json::to_value(of_arguments(text)).unwrap()
    }

    #[test]
    fn types_and_lengths_are_kept_and_values_are_not() {
        let text = r#"{"s": "ada@example.com", "n": -1.5e3, "b": true, "z": null, "a": [1, "x"],
            "o": {"secret": {"deep": {"deeper": "hunter2"}}}}"#;
        let kept = json!({
            "s": {"type": "string", "length": 15},
            "n": {"type": "number"},
            "b": {"type": "boolean"},
            "z": {"type": "null"},
            "a": {"type": "array", "length": 2},
            "o": {"type": "object", "length": 1, "keys": {
                "secret": {"type": "object", "length": 1, "keys": {
                    "deep": {"type": "object", "length": 1},
                }},
            }},
        });
        assert_eq!(shape(text), kept);
        assert_eq!(shape("{}"), json!({}));
        assert_eq!(shape(r#"{"ö": "grüße"}"#), json!({"ö": {"type": "string", "length": 5}}));
    }

    #[test]
    fn what_is_no_object_has_no_shape() {
        for text in ["", "[]", "1", "\"x\"", "null", "{", "{} {}", r#"{"a":"#, "\u{0}"] {
            assert_eq!(shape(text), Value::Null, "{text:?}");
        }
        let deep = format!("{}{}", r#"{"a":"#.repeat(10_000), "}".repeat(10_000));
        assert_eq!(shape(&deep), Value::Null);
    }

    #[test]
    fn names_are_hostile() {
        let long = "x".repeat(100);
        let text = format!(r#"{{"a\u0000\n\u001bb": 1, "{long}1": 1, "{long}2": 1, "…": 1}}"#);
        let number = json!({"type": "number"});
        assert_eq!(shape(&text), json!({"ab": number, &long[..64]: number, "…": 2}));
    }

    #[test]
    fn what_is_too_much_is_counted() {
        let members = |n: usize, value: &str| -> String {
            let list: Vec<String> = (0..n).map(|at| format!(r#""k{at}":{value}"#)).collect();
            format!("{{{}}}", list.join(","))
        };
        let flat = shape(&members(100, "0"));
        assert_eq!((flat.as_object().unwrap().len(), &flat["…"]), (33, &json!(68)));

        let text = members(40, &members(40, &members(40, "0")));
        let written = serde_json::to_string(&of_arguments(&text)).unwrap();
        assert_eq!(written.matches("type").count(), MAX_KEYS_IN_ALL);
    }
}
