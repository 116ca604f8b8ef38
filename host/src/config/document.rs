//! A TOML text as a tree in which every key and value knows where it was written.
//!
//! The tree is our own, and not the parser's, so that what the environment says
//! can stand in it beside what the file says, each with its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::de::{DeInteger, DeTable, DeValue};

use super::problems::Sink;
use crate::names::ByteCount;

/// Where a key or a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At this byte of the file.
    Byte(usize),
    /// In this environment variable.
    Variable(Arc<str>),
}

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
    /// The characters of an environment variable: where a key wants a string,
    /// `8` is the string "8" there, since nobody can see that it was to be quoted.
    pub(super) raw: Option<Box<str>>,
}

/// What TOML distinguishes, as far as any key of ours wants it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    /// Saturated: every range ends well before.
    Integer(i64),
    Boolean(bool),
    List(Vec<Node>),
    Table(Table),
    Float(f64),
    Date,
}

impl Value {
    /// What a person calls it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "a whole number",
            Self::Boolean(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Float(_) => "a number with a point",
            Self::Date => "a date or a time",
        }
    }
}

/// A table: each key with where it was written, and its value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Table(pub(super) BTreeMap<String, (Place, Node)>);

/// Parses a file's text. What is not TOML goes to `sink`, and the rest is read
/// on, so that everything else that is wrong is found too.
///
/// The parser bounds nesting (80 levels of values, 80 of keys), so recursion over
/// the tree is bounded.
pub(super) fn parse(text: &str, longest: ByteCount, sink: &mut Sink) -> Table {
    if text.len() > longest.as_usize() {
        sink.syntax(0, format!("is larger than {longest}"));
        return Table::default();
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = error.span().map_or(text.len(), |span| span.start);
        sink.syntax(at, error.message().to_owned());
    }
    from_table(table.get_ref())
}

/// Reads an environment variable's value: as TOML, or as a string when it is not.
pub(super) fn parse_variable(name: &Arc<str>, text: &str) -> Node {
    let place = Place::Variable(Arc::clone(name));
    let value = DeValue::parse(text)
        .map_or_else(|_| Value::Text(text.to_owned()), |value| from_value(value.get_ref()));
    let mut node = Node { place: place.clone(), value, raw: Some(text.into()) };
    move_to(&mut node, &place);
    node
}

/// Says that everything in `node` was written at `place`.
fn move_to(node: &mut Node, place: &Place) {
    node.place = place.clone();
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| move_to(item, place)),
        Value::Table(table) => table.0.values_mut().for_each(|(key, node)| {
            *key = place.clone();
            move_to(node, place);
        }),
        Value::Text(_) | Value::Integer(_) | Value::Boolean(_) | Value::Float(_) | Value::Date => {}
    }
}

fn from_table(table: &DeTable<'_>) -> Table {
    let entry = |(key, value): (&toml::Spanned<_>, &toml::Spanned<_>)| {
        let key_text: &toml::de::DeString<'_> = key.get_ref();
        (key_text.to_string(), (Place::Byte(key.span().start), from_spanned(value)))
    };
    Table(table.iter().map(entry).collect())
}

fn from_spanned(value: &toml::Spanned<DeValue<'_>>) -> Node {
    Node { place: Place::Byte(value.span().start), value: from_value(value.get_ref()), raw: None }
}

fn from_value(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => Value::Integer(integer(number)),
        DeValue::Boolean(yes) => Value::Boolean(*yes),
        DeValue::Array(items) => Value::List(items.iter().map(from_spanned).collect()),
        DeValue::Table(table) => Value::Table(from_table(table)),
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Datetime(_) => Value::Date,
    }
}

fn integer(number: &DeInteger<'_>) -> i64 {
    let saturated = if number.as_str().starts_with('-') { i64::MIN } else { i64::MAX };
    i64::from_str_radix(number.as_str(), number.radix()).unwrap_or(saturated)
}
