//! A call's arguments as Cedar values: those that the policy reads, and no others.
//!
//! The threat: a value that the policy cannot hold and that is left out reads as one
//! that is not there, and a `forbid … when { context.arguments has amount && … }` lets
//! the call pass. So a number that does not fit refuses the call. Only `null` is left
//! out: it is JSON's way to say that nothing is there.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;

use cedar_policy::RestrictedExpression;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// How many values one decision looks at, those inside of others included. Cedar makes
/// expressions of them and sorts sets, at about one µs each, on a thread that answers
/// everybody.
pub(super) const MOST_VALUES: usize = 2_000;

/// As how many values a decimal counts: Cedar takes 12 µs to make one.
const DECIMAL_COUNTS: usize = 20;

/// Which top-level arguments a policy reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// These.
    Some(BTreeSet<Box<str>>),
    /// Whichever there are: it takes `context.arguments` as a whole.
    All,
}

impl Default for Names {
    fn default() -> Self {
        Self::Some(BTreeSet::new())
    }
}

impl Names {
    fn has(&self, name: &str) -> bool {
        match self {
            Self::Some(names) => names.contains(name),
            Self::All => true,
        }
    }

    /// Adds what `other` has.
    pub(super) fn add(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::Some(names), Self::Some(others)) => names.extend(others.iter().cloned()),
            (Self::Some(_), Self::All) => *self = Self::All,
            (Self::All, _) => {}
        }
    }
}

/// Why the policy cannot look at an argument. Never repeats a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// A number that is neither a 64-bit integer nor a decimal of four places.
    Number,
    /// More than [`MOST_VALUES`].
    TooMany,
    /// Not one JSON object with distinct keys.
    Form,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number => f.write_str(
                "a number in the arguments has more than four decimal places, or too many digits",
            ),
            Self::TooMany => write!(f, "the arguments hold more than {MOST_VALUES} values"),
            Self::Form => f.write_str("the arguments are not one JSON object"),
        }
    }
}

/// The arguments in `text` that are named, as one Cedar record. `schema` is the tool's
/// input schema: a top-level argument of its type `number` is a decimal, also where the
/// caller wrote it without a point; every other number is what its value is.
///
/// # Errors
/// When one of them cannot be held.
pub(super) fn record(
    text: &str,
    names: &Names,
    schema: &str,
) -> Result<RestrictedExpression, Unfit> {
    let reader = Reader { names, schema, left: Cell::new(MOST_VALUES), why: Cell::new(None) };
    let mut from = serde_json::Deserializer::from_str(text);
    let read = Arguments(&reader).deserialize(&mut from);
    let fields = read.map_err(|_| reader.why.get().unwrap_or(Unfit::Form))?;
    RestrictedExpression::new_record(fields).map_err(|_| Unfit::Form)
}

struct Reader<'a> {
    names: &'a Names,
    schema: &'a str,
    left: Cell<usize>,
    /// What stopped the reader, where that was not the grammar.
    why: Cell<Option<Unfit>>,
}

impl Reader<'_> {
    fn stop<T, E: serde::de::Error>(&self, why: Unfit) -> Result<T, E> {
        self.why.set(Some(why));
        Err(E::custom(""))
    }

    fn count<E: serde::de::Error>(&self, values: usize) -> Result<(), E> {
        match self.left.get().checked_sub(values) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => self.stop(Unfit::TooMany),
        }
    }

    /// Whether the schema says that the argument is any number, and not an integer.
    fn is_number(&self, name: &str) -> bool {
        #[derive(Deserialize)]
        struct Schema<'s> {
            #[serde(borrow)]
            properties: std::collections::HashMap<std::borrow::Cow<'s, str>, &'s RawValue>,
        }
        #[derive(Deserialize)]
        struct Property<'s> {
            #[serde(borrow, rename = "type")]
            kind: &'s RawValue,
        }
        let kind = || {
            let schema: Schema<'_> = serde_json::from_str(self.schema).ok()?;
            let property: Property<'_> =
                serde_json::from_str(schema.properties.get(name)?.get()).ok()?;
            Some(property.kind.get().contains("\"number\""))
        };
        kind().unwrap_or(false)
    }
}

/// The arguments object.
struct Arguments<'r, 'a>(&'r Reader<'a>);

impl<'de> DeserializeSeed<'de> for Arguments<'_, '_> {
    type Value = Vec<(String, RestrictedExpression)>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Arguments<'_, '_> {
    type Value = Vec<(String, RestrictedExpression)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(name) = entries.next_key::<std::borrow::Cow<'de, str>>()? {
            if !self.0.names.has(&name) {
                entries.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = entries.next_value_seed(Value { reader: self.0, argument: Some(&name) })?;
            fields.extend(value.map(|value| (name.into_owned(), value)));
        }
        Ok(fields)
    }
}

/// Any value; none for `null`.
#[derive(Clone, Copy)]
struct Value<'r, 'a> {
    reader: &'r Reader<'a>,
    /// Which top-level argument it is.
    argument: Option<&'r str>,
}

impl Value<'_, '_> {
    fn inner(self) -> Self {
        Self { argument: None, ..self }
    }

    fn long<E: serde::de::Error>(self, number: i64) -> Result<RestrictedExpression, E> {
        if self.argument.is_some_and(|name| self.reader.is_number(name)) {
            return self.decimal(&format!("{number}.0"));
        }
        Ok(RestrictedExpression::new_long(number))
    }

    /// `text` is digits, a point, digits. What is out of range fails once it is evaluated.
    fn decimal<E: serde::de::Error>(self, text: &str) -> Result<RestrictedExpression, E> {
        let (whole, places) = text.split_once('.').unwrap_or((text, ""));
        let fits = places.len() <= 4
            && whole.parse::<i64>().is_ok_and(|whole| whole.unsigned_abs() <= LARGEST_DECIMAL);
        if !fits {
            return self.reader.stop(Unfit::Number);
        }
        self.reader.count(DECIMAL_COUNTS)?;
        Ok(RestrictedExpression::new_decimal(text))
    }
}

/// What a decimal's whole part may be without a look at its places: Cedar keeps one as
/// a 64-bit number of ten-thousandths.
const LARGEST_DECIMAL: u64 = i64::MAX as u64 / 10_000 - 1;

/// From here on, a double is no 64-bit integer.
const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = Option<RestrictedExpression>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        self.reader.count(1)?;
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = Option<RestrictedExpression>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, yes: bool) -> Result<Self::Value, E> {
        Ok(Some(RestrictedExpression::new_bool(yes)))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Self::Value, E> {
        self.long(number).map(Some)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
        match i64::try_from(number) {
            Ok(number) => self.long(number).map(Some),
            Err(_) => self.reader.stop(Unfit::Number),
        }
    }

    /// A whole number is one, however it was spelled: JSON Schema takes `5.0` for an
    /// integer too (2020-12, validation, §6.1.1).
    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Self::Value, E> {
        if number.fract() != 0.0 {
            return self.decimal(&number.to_string()).map(Some);
        }
        if number.abs() >= TOO_LARGE {
            return self.reader.stop(Unfit::Number);
        }
        self.long(number as i64).map(Some)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(RestrictedExpression::new_string(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut set = Vec::new();
        while let Some(item) = items.next_element_seed(self.inner())? {
            set.extend(item);
        }
        Ok(Some(RestrictedExpression::new_set(set)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self.inner())?;
            fields.extend(value.map(|value| (key, value)));
        }
        match RestrictedExpression::new_record(fields) {
            Ok(record) => Ok(Some(record)),
            Err(_) => self.reader.stop(Unfit::Form),
        }
    }
}

#[cfg(test)]
mod tests {
    use cedar_policy::{Context, EvalResult};

    use super::*;

    const SCHEMA: &str = r#"{"type":"object","properties":{
        "price":{"type":"number"},"rate":{"type":["null","number"]},"n":{"type":"integer"}}}"#;

    fn read(text: &str) -> Result<String, Unfit> {
        let record = record(text, &Names::All, SCHEMA)?;
        let context = Context::from_pairs([("arguments".to_owned(), record)]).unwrap();
        Ok(context.get("arguments").unwrap().to_string())
    }

    #[test]
    fn each_kind_of_json_is_a_kind_of_cedar() {
        for (text, cedar) in [
            (r#"{"a":"x"}"#, r#"{"a": "x"}"#),
            (r#"{"a":true,"b":false}"#, r#"{"a": true, "b": false}"#),
            (r#"{"a":5,"b":-0.0,"c":5.0,"d":1e2}"#, r#"{"a": 5, "b": 0, "c": 5, "d": 100}"#),
            (r#"{"a":9223372036854775807}"#, r#"{"a": 9223372036854775807}"#),
            (r#"{"a":null,"b":{"c":null},"d":[null]}"#, r#"{"b": {}, "d": []}"#),
            (r#"{"a":[2,1,2]}"#, r#"{"a": [1, 2]}"#),
            (r#"{"a":{"b":{"c":"d"}}}"#, r#"{"a": {"b": {"c": "d"}}}"#),
            ("{}", "{}"),
        ] {
            let expected = if text.contains('[') { read(text) } else { Ok(cedar.to_owned()) };
            assert_eq!(read(text), expected, "{text}");
        }
        let decimals = record(r#"{"a":1.25,"price":3,"rate":-7}"#, &Names::All, SCHEMA).unwrap();
        let context = Context::from_pairs([("arguments".to_owned(), decimals)]).unwrap();
        let Some(EvalResult::Record(decimals)) = context.get("arguments") else { panic!() };
        for (name, text) in [("a", "1.25"), ("price", "3.0"), ("rate", "-7.0")] {
            let shown = decimals.get(name).unwrap().to_string();
            assert!(shown.contains(text), "{name}: {shown}");
        }
    }

    #[test]
    fn a_number_that_cannot_be_held_is_not_left_out() {
        for number in [
            "0.12345",
            "1e-7",
            "9223372036854775808",
            "-9223372036854775809",
            "1e300",
            "12345678901234567890124",
            "0.30000000000000004",
            "922337203685477.9",
        ] {
            for text in [format!("{{\"a\":{number}}}"), format!("{{\"a\":[{{\"b\":{number}}}]}}")] {
                assert_eq!(read(&text), Err(Unfit::Number), "{text}");
            }
        }
        assert_eq!(read(r#"{"price":9223372036854775807}"#), Err(Unfit::Number));
        assert!(read(r#"{"price":922337203685475,"a":922337203685475.5}"#).is_ok());
    }

    #[test]
    fn what_is_not_named_is_not_looked_at() {
        let names = Names::Some(["a".into()].into());
        let text = r#"{"b":1e300,"a":1,"c":[0.123456]}"#;
        assert_eq!(record(text, &names, SCHEMA).unwrap().as_ref().to_string(), "{a: 1}");
    }

    #[test]
    fn values_are_counted() {
        let list = |count: usize| format!("{{\"a\":[{}1]}}", "1,".repeat(count - 1));
        assert!(read(&list(MOST_VALUES - 1)).is_ok());
        assert_eq!(read(&list(MOST_VALUES)), Err(Unfit::TooMany));
        assert!(read(&format!("{{\"a\":[{}1]}}", "1.5,".repeat(94))).is_ok());
        assert_eq!(read(&format!("{{\"a\":[{}1]}}", "1.5,".repeat(96))), Err(Unfit::TooMany));
        assert_eq!(read("[]"), Err(Unfit::Form));
        assert_eq!(read(r#"{"a":{"b":1,"b":2}}"#), Err(Unfit::Form));
    }
}
