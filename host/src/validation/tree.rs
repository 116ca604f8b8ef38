//! JSON as a tree that borrows its text.
//!
//! Making a `serde_json::Value` costs more than checking it, and loses what a double
//! cannot hold. This tree borrows every text without an escape and keeps numbers as
//! they are written. It reads as strictly as [`crate::json::check`], which has seen a
//! call's arguments before: one value, no key twice, no depth beyond the bound.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use jsonschema::json::JsonNumber as _;
use serde_json::Value;

use super::number::Number;
use crate::json::{JsonFault, MAX_DEPTH};

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Tree<'a> {
    Null,
    Bool(bool),
    Number(Number<'a>),
    Text(Cow<'a, str>),
    List(Vec<Tree<'a>>),
    Object(Object<'a>),
}

/// The members of an object, in the order of the text.
#[derive(Clone, Debug, Default)]
pub(super) struct Object<'a> {
    members: Vec<(Cow<'a, str>, Tree<'a>)>,
    /// The places of the members by name, where there are too many to look at each.
    by_name: Vec<u32>,
}

/// Objects with at most this many members are searched one by one.
const FEW: usize = 16;

impl<'a> Object<'a> {
    /// An object, if no two of its members have one name.
    fn new(members: Vec<(Cow<'a, str>, Tree<'a>)>) -> Option<Self> {
        if members.len() <= FEW {
            let mut rest = members.as_slice();
            while let Some(((name, _), others)) = rest.split_first() {
                if others.iter().any(|(other, _)| other == name) {
                    return None;
                }
                rest = others;
            }
            return Some(Self { members, by_name: Vec::new() });
        }
        // Sorted and not hashed: nobody can choose names for which this is slow.
        let mut by_name: Vec<u32> = (0..u32::try_from(members.len()).ok()?).collect();
        let name = |at: &u32| members.get(*at as usize).map(|(name, _)| name);
        by_name.sort_unstable_by(|one, other| name(one).cmp(&name(other)));
        let differ = by_name.is_sorted_by(|one, other| name(one) < name(other));
        differ.then_some(Self { members, by_name })
    }

    /// The member of this name.
    pub(super) fn get(&self, name: &str) -> Option<&Tree<'a>> {
        if self.by_name.is_empty() {
            return self.members.iter().find(|(own, _)| own == name).map(|(_, value)| value);
        }
        let own = |at: &u32| self.members.get(*at as usize).map(|(own, _)| own.as_ref());
        let found = self.by_name.binary_search_by(|at| own(at).cmp(&Some(name))).ok()?;
        self.members.get(*self.by_name.get(found)? as usize).map(|(_, value)| value)
    }

    /// All members, in the order of the text.
    pub(super) fn members(&self) -> &[(Cow<'a, str>, Tree<'a>)] {
        &self.members
    }
}

impl<'a> Tree<'a> {
    /// Reads one value.
    ///
    /// # Errors
    /// As [`crate::json::check`] with [`MAX_DEPTH`].
    pub(super) fn read(text: &'a str) -> Result<Self, JsonFault> {
        let mut reader = Reader { text, at: 0 };
        let read = reader.value(MAX_DEPTH).and_then(|tree| {
            reader.skip_space();
            if reader.at == text.len() { Ok(tree) } else { Err(Stop::Grammar) }
        });
        read.map_err(|stop| match stop {
            Stop::Grammar => not_json(text, reader.at),
            Stop::Fault(fault) => fault,
        })
    }

    /// Whether both are the same to JSON Schema: numbers by what they are, objects in
    /// any order.
    pub(super) fn equals(&self, other: &Value) -> bool {
        match (self, other) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(own), Value::Bool(other)) => own == other,
            (Self::Number(own), Value::Number(other)) => own.equals(other),
            (Self::Text(own), Value::String(other)) => own == other,
            (Self::List(own), Value::Array(other)) => {
                own.len() == other.len()
                    && own.iter().zip(other).all(|(own, other)| own.equals(other))
            }
            (Self::Object(own), Value::Object(other)) => {
                let same = |(name, value): &(Cow<'_, str>, Self)| {
                    other.get(name.as_ref()).is_some_and(|other| value.equals(other))
                };
                own.members.len() == other.len() && own.members.iter().all(same)
            }
            (
                Self::Null
                | Self::Bool(_)
                | Self::Number(_)
                | Self::Text(_)
                | Self::List(_)
                | Self::Object(_),
                _,
            ) => false,
        }
    }

    /// Writes a text that is the same for two values exactly when they are equal to JSON
    /// Schema.
    pub(super) fn write_canonical(&self, to: &mut String) {
        match self {
            Self::Null => to.push('n'),
            Self::Bool(true) => to.push('t'),
            Self::Bool(false) => to.push('f'),
            Self::Number(number) => match number.as_i64() {
                Some(small) => append(to, format_args!("#{small}")),
                None => append(to, format_args!("#{:?}", number.decimal())),
            },
            // With its length, so that no text can pass for what follows it.
            Self::Text(text) => append(to, format_args!("\"{}:{text}", text.len())),
            Self::List(items) => {
                append(to, format_args!("[{}:", items.len()));
                items.iter().for_each(|item| item.write_canonical(to));
            }
            Self::Object(object) => {
                append(to, format_args!("{{{}:", object.members.len()));
                let mut members: Vec<_> = object.members.iter().collect();
                members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
                for (name, value) in members {
                    append(to, format_args!("{}:{name}", name.len()));
                    value.write_canonical(to);
                }
            }
        }
    }

    /// The value that a pointer of the validator leads to.
    pub(super) fn find(&self, pointer: &str) -> Option<&Self> {
        pointer.split('/').skip(1).try_fold(self, |tree, step| match tree {
            Self::List(items) => items.get(step.parse::<usize>().ok()?),
            Self::Object(object) if step.contains('~') => {
                object.get(&step.replace("~1", "/").replace("~0", "~"))
            }
            Self::Object(object) => object.get(step),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => None,
        })
    }
}

/// Writing to a string does not fail.
fn append(to: &mut String, what: fmt::Arguments<'_>) {
    let _ = to.write_fmt(what);
}

fn not_json(text: &str, at: usize) -> JsonFault {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count();
    JsonFault::NotJson { line, column }
}

/// Why the reader stopped.
enum Stop {
    Grammar,
    Fault(JsonFault),
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Takes the next byte that is no space, if it is `wanted`.
    fn take(&mut self, wanted: u8) -> bool {
        self.skip_space();
        let there = self.peek() == Some(wanted);
        self.at += usize::from(there);
        there
    }

    fn word(&mut self, word: &str, means: Tree<'a>) -> Result<Tree<'a>, Stop> {
        let there = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word));
        self.at += if there { word.len() } else { 0 };
        if there { Ok(means) } else { Err(Stop::Grammar) }
    }

    /// Reads a value in which at most `depth` arrays and objects nest. Recursion is
    /// bounded by it.
    fn value(&mut self, depth: usize) -> Result<Tree<'a>, Stop> {
        self.skip_space();
        match self.peek() {
            Some(b'"') => Ok(Tree::Text(self.string()?)),
            Some(b'{') => self.object(deeper(depth)?),
            Some(b'[') => self.list(deeper(depth)?),
            Some(b't') => self.word("true", Tree::Bool(true)),
            Some(b'f') => self.word("false", Tree::Bool(false)),
            Some(b'n') => self.word("null", Tree::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) | None => Err(Stop::Grammar),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Tree<'a>, Stop> {
        self.at += 1;
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Tree::List(items));
        }
        loop {
            items.push(self.value(depth)?);
            if self.take(b']') {
                return Ok(Tree::List(items));
            }
            if !self.take(b',') {
                return Err(Stop::Grammar);
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Tree<'a>, Stop> {
        self.at += 1;
        let mut members = Vec::new();
        if self.take(b'}') {
            return Ok(Tree::Object(Object::default()));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(Stop::Grammar);
            }
            let name = self.string()?;
            if !self.take(b':') {
                return Err(Stop::Grammar);
            }
            members.push((name, self.value(depth)?));
            if self.take(b'}') {
                let object = Object::new(members);
                return object.map(Tree::Object).ok_or(Stop::Fault(JsonFault::DuplicateKey));
            }
            if !self.take(b',') {
                return Err(Stop::Grammar);
            }
        }
    }

    /// Reads from a quote to the next one.
    fn string(&mut self) -> Result<Cow<'a, str>, Stop> {
        let begin = self.at;
        self.at += 1;
        let mut escaped = false;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            let to = memchr::memchr2(b'"', b'\\', rest).ok_or(Stop::Grammar)?;
            // Each looked at, so that the compiler makes vector instructions of it.
            let control = rest.iter().take(to).fold(false, |any, byte| any | (*byte < 0x20));
            if control {
                return Err(Stop::Grammar);
            }
            self.at += to;
            if self.peek() == Some(b'"') {
                break;
            }
            escaped = true;
            self.at += 2;
        }
        self.at += 1;
        if escaped {
            let quoted = self.text.get(begin..self.at).ok_or(Stop::Grammar)?;
            return serde_json::from_str(quoted).map(Cow::Owned).map_err(|_| Stop::Grammar);
        }
        let inner = self.text.get(begin + 1..self.at - 1);
        inner.map(Cow::Borrowed).ok_or(Stop::Grammar)
    }

    fn digits(&mut self) -> Result<(), Stop> {
        let begin = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == begin { Err(Stop::Grammar) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<Tree<'a>, Stop> {
        let begin = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        let text = self.text.get(begin..self.at).ok_or(Stop::Grammar)?;
        // As `json::check` does: what a guest's parser takes for infinite is refused.
        if text.len() > 300 || text.contains(['e', 'E']) {
            text.parse::<f64>().ok().filter(|double| double.is_finite()).ok_or(Stop::Grammar)?;
        }
        Ok(Tree::Number(Number::new(text)))
    }
}

fn deeper(depth: usize) -> Result<usize, Stop> {
    depth.checked_sub(1).ok_or(Stop::Fault(JsonFault::TooDeep))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn canonical(text: &str) -> String {
        let mut out = String::new();
        Tree::read(text).unwrap().write_canonical(&mut out);
        out
    }

    #[test]
    fn equal_values_have_one_canonical_text() {
        for (one, other) in [
            ("[1, 1.0, 1e0]", "[1.0,1,1]"),
            (r#"{"a":1,"b":[null]}"#, r#"{ "b": [null], "a": 1.00 }"#),
            (r#""A""#, r#""\u0041""#),
        ] {
            assert_eq!(canonical(one), canonical(other));
        }
        for (one, other) in [
            ("12345678901234567890123", "12345678901234567890124"),
            ("\"1\"", "1"),
            ("[[],[]]", "[[[]]]"),
            (r#"["a","b"]"#, r#"["a1:b"]"#),
            ("true", "1"),
        ] {
            assert_ne!(canonical(one), canonical(other), "{one} {other}");
        }
    }

    #[test]
    fn many_members_are_found_as_few_are() {
        let many: Vec<String> = (0..200).map(|n| format!("\"k{n}\":{n}")).collect();
        let text = format!("{{{}}}", many.join(","));
        let Tree::Object(object) = Tree::read(&text).unwrap() else { panic!() };
        for n in 0..200 {
            assert!(object.get(&format!("k{n}")).unwrap().equals(&n.into()));
        }
        assert!(object.get("k200").is_none() && object.get("").is_none());
        let twice = format!("{{{},\"k7\":0}}", many.join(","));
        assert_eq!(Tree::read(&twice).unwrap_err(), JsonFault::DuplicateKey);
    }

    proptest::proptest! {
        #[test]
        fn it_reads_what_the_strict_reader_reads(
            json in r#"[\[\]{}",:a0\\1 eE.+-]{0,48}"#,
            number in "-?[0-9]{1,3}(\\.[0-9]{0,3})?([eE][+-]?[0-9]{0,4})?",
            text in "\"[a\\\\\"u0dn\u{0}é]{0,8}\"",
        ) {
            for text in [json, number, text] {
                let ours = Tree::read(&text);
                let theirs = json::check(text.as_bytes(), MAX_DEPTH);
                proptest::prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{}", text);
                if let Ok(tree) = ours {
                    let value: Value = serde_json::from_str(&text).unwrap();
                    let exact = !text.contains(['.', 'e', 'E']);
                    proptest::prop_assert!(!exact || tree.equals(&value), "{}", text);
                }
            }
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Tree::read(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(Tree::read(&nested(MAX_DEPTH + 1)).unwrap_err(), JsonFault::TooDeep);
        assert_eq!(Tree::read(&"[".repeat(1 << 20)).unwrap_err(), JsonFault::TooDeep);
    }
}
