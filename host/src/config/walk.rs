//! Reads a tree into types: each key is asked for once, and what nobody asked for
//! is unknown.
//!
//! A wrong value is reported and read on, so that one look finds every problem.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::document::{Node, Place, Table, Value};
use super::problems::{Sink, Written, shown, suggestion};
use crate::names::{ByteCount, Fuel, Malformed, Rate, parse_duration};

/// What is wrong with a value, and what would be right.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Wrong {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    fn kind(expected: &str, found: &Node) -> Self {
        Self::new(format!("expected {expected}, found {}", found.value.kind()))
    }
}

impl From<Malformed> for Wrong {
    fn from(malformed: Malformed) -> Self {
        Self::new(malformed.to_string())
    }
}

/// One table, while it is being read.
pub(super) struct Section<'a> {
    /// The table's full name; empty for the file itself.
    path: String,
    place: Place,
    table: &'a Table,
    /// Keys that exist in this version.
    known: BTreeSet<&'static str>,
    /// Keys that are there and were refused by name; never suggested.
    settled: BTreeSet<&'static str>,
    sink: &'a mut Sink,
}

/// Reads a whole file.
pub(super) fn root<T>(
    table: &Table,
    sink: &mut Sink,
    read: impl FnOnce(&mut Section<'_>) -> T,
) -> T {
    Section::walk(String::new(), Place::Byte(0), table, sink, read)
}

impl<'a> Section<'a> {
    /// Reads one table, and then reports the keys that `read` did not ask for.
    fn walk<T>(
        path: String,
        place: Place,
        table: &Table,
        sink: &mut Sink,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        let (known, settled) = (BTreeSet::new(), BTreeSet::new());
        let mut section = Section { path, place, table, known, settled, sink };
        let value = read(&mut section);
        section.report_unknown();
        value
    }

    fn report_unknown(&mut self) {
        for (key, (place, _)) in &self.table.0 {
            if !self.known.contains(key.as_str()) && !self.settled.contains(key.as_str()) {
                let help = suggestion(key, self.known.iter().copied());
                self.sink.report(place, format!("unknown key `{}`", self.name(key)), help);
            }
        }
    }

    /// The table's full name, fit to be shown.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Where a value was written, for people.
    pub(super) fn written(&self, place: &Place) -> Written {
        self.sink.written(place)
    }

    /// The names of the tables under `key`.
    pub(super) fn names_of_tables(&self, key: &str) -> BTreeSet<&'a str> {
        let Some((_, node)) = self.table.0.get(key) else { return BTreeSet::new() };
        let Value::Table(tables) = &node.value else { return BTreeSet::new() };
        tables.0.keys().map(String::as_str).collect()
    }

    /// The full name of a key, fit to be shown.
    fn name(&self, key: &str) -> String {
        let key = shown(key);
        if self.path.is_empty() { key } else { format!("{}.{key}", self.path) }
    }

    /// The value of `key`, when it is there and `read` takes it.
    pub(super) fn get<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Node) -> Result<T, Wrong>,
    ) -> Option<T> {
        self.known.insert(key);
        let (_, node) = self.table.0.get(key)?;
        read(node).map_err(|wrong| self.wrong(key, &node.place, wrong)).ok()
    }

    /// The value of a key that has no default.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Node) -> Result<T, Wrong>,
    ) -> Option<T> {
        if !self.table.0.contains_key(key) && !self.sink.is_broken() {
            self.sink.report(&self.place, format!("`{}` is missing", self.name(key)), None);
        }
        self.get(key, read)
    }

    /// The values of a list, when `read` takes all of them; each that it does not
    /// is reported where it stands.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&Node) -> Result<T, Wrong>,
    ) -> Option<Vec<T>> {
        self.known.insert(key);
        let (_, node) = self.table.0.get(key)?;
        let Value::List(items) = &node.value else {
            self.wrong(key, &node.place, Wrong::kind("a list", node));
            return None;
        };
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            match read(item) {
                Ok(value) => values.push(value),
                Err(wrong) => self.wrong(key, &item.place, wrong),
            }
        }
        (values.len() == items.len()).then_some(values)
    }

    /// Reads the table `key`, or an empty one when it is not there.
    pub(super) fn table<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        let empty = Table::default();
        self.known.insert(key);
        let place = self.table.0.get(key).map_or(&self.place, |(place, _)| place).clone();
        let table = self.find_table(key).unwrap_or(&empty);
        Section::walk(self.name(key), place, table, self.sink, read)
    }

    /// Reads the table `key`, if it is there.
    pub(super) fn optional_table<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> Option<T> {
        self.known.insert(key);
        self.has(key).then(|| self.table(key, read))
    }

    /// Whether `key` is there, as anything.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.0.contains_key(key)
    }

    /// Reads the tables under `key`, each of which has a name: `[agents.X]`.
    pub(super) fn tables<K: FromStr<Err = Malformed> + Ord, T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Section<'_>) -> T,
    ) -> BTreeMap<K, T> {
        self.known.insert(key);
        let mut tables = BTreeMap::new();
        let Some(all) = self.find_table(key) else {
            return tables;
        };
        let path = self.name(key);
        for (name, (place, node)) in &all.0 {
            let path = format!("{path}.{}", shown(name));
            let Some(table) = table_of(&path, node, self.sink) else {
                continue;
            };
            match name.parse::<K>() {
                Ok(name) => {
                    let value = Section::walk(path, place.clone(), table, self.sink, &mut read);
                    tables.insert(name, value);
                }
                Err(malformed) => {
                    self.sink.report(place, format!("`{path}`: a name has {malformed}"), None);
                }
            }
        }
        tables
    }

    /// Reads the tables of the list `key`: `[[command]]`. Each is named by its place.
    pub(super) fn array_of_tables<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Section<'_>) -> T,
    ) -> Vec<T> {
        self.known.insert(key);
        let Some((place, node)) = self.table.0.get(key) else {
            return Vec::new();
        };
        let Value::List(items) = &node.value else {
            self.wrong(key, &node.place, Wrong::new("expected a list of tables"));
            return Vec::new();
        };
        let mut tables = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            let path = format!("{}.{}", self.name(key), at + 1);
            let place = if at == 0 { place } else { &item.place };
            if let Some(table) = table_of(&path, item, self.sink) {
                tables.push(Section::walk(path, place.clone(), table, self.sink, &mut read));
            }
        }
        tables
    }

    /// Refuses `key`: a later version serves it, and nobody shall rely on it today.
    pub(super) fn unserved(&mut self, key: &'static str) {
        if let Some((place, _)) = self.table.0.get(key) {
            self.settled.insert(key);
            let message = format!("`{}` is not served by this version", self.name(key));
            self.sink.report(place, message, None);
        }
    }

    /// Refuses `key`, if it is there, for what the keys say together.
    pub(super) fn refuse(&mut self, key: &'static str, message: &str) {
        if let Some((_, node)) = self.table.0.get(key) {
            self.wrong(key, &node.place, Wrong::new(message));
        }
    }

    fn find_table(&mut self, key: &str) -> Option<&'a Table> {
        let (_, node) = self.table.0.get(key)?;
        table_of(&self.name(key), node, self.sink)
    }

    fn wrong(&mut self, key: &str, place: &Place, wrong: Wrong) {
        let message = format!("`{}`: {}", self.name(key), wrong.message);
        self.sink.report(place, message, wrong.help);
    }
}

/// The table in `node`; anything else is reported under the full name `path`.
fn table_of<'n>(path: &str, node: &'n Node, sink: &mut Sink) -> Option<&'n Table> {
    let Value::Table(table) = &node.value else {
        let wrong = Wrong::kind("a table", node);
        sink.report(&node.place, format!("`{path}`: {}", wrong.message), None);
        return None;
    };
    Some(table)
}

/// A string.
pub(super) fn text(node: &Node) -> Result<&str, Wrong> {
    match (&node.value, &node.raw) {
        (Value::Text(text), _) => Ok(text),
        (_, Some(raw)) => Ok(raw),
        (_, None) => Err(Wrong::kind("a string", node)),
    }
}

/// A table.
pub(super) fn table(node: &Node) -> Result<&Table, Wrong> {
    let Value::Table(table) = &node.value else { return Err(Wrong::kind("a table", node)) };
    Ok(table)
}

/// True or false.
pub(super) fn boolean(node: &Node) -> Result<bool, Wrong> {
    let Value::Boolean(yes) = node.value else {
        return Err(Wrong::kind("true or false", node));
    };
    Ok(yes)
}

/// A string of one of our types.
pub(super) fn parsed<T: FromStr<Err = Malformed>>(node: &Node) -> Result<T, Wrong> {
    Ok(text(node)?.parse()?)
}

/// A path that is not empty.
pub(super) fn path(node: &Node) -> Result<PathBuf, Wrong> {
    match text(node)? {
        "" => Err(Wrong::new("a path cannot be empty")),
        text if text.contains('\0') => Err(Wrong::new("a path cannot hold a zero byte")),
        text => Ok(PathBuf::from(text)),
    }
}

/// One of a few words.
pub(super) fn choice<T: Copy>(words: &[(&'static str, T)]) -> impl Fn(&Node) -> Result<T, Wrong> {
    move |node| {
        let found = text(node)?;
        let known = || words.iter().map(|(word, _)| *word);
        words.iter().find(|(word, _)| *word == found).map(|(_, value)| *value).ok_or_else(|| {
            let all: Vec<_> = known().map(|word| format!("`{word}`")).collect();
            Wrong {
                message: format!("expected {}, found `{}`", all.join(" or "), shown(found)),
                help: suggestion(found, known()),
            }
        })
    }
}

/// A whole number within `range`.
pub(super) fn count(range: RangeInclusive<u32>) -> impl Fn(&Node) -> Result<u32, Wrong> {
    move |node| {
        let Value::Integer(number) = node.value else {
            return Err(Wrong::kind("a whole number", node));
        };
        let outside = || out_of_range(&range, u32::to_string);
        u32::try_from(number).ok().filter(|number| range.contains(number)).ok_or_else(outside)
    }
}

/// Fuel within `range`, as `500M` or as a whole number.
pub(super) fn fuel(range: RangeInclusive<Fuel>) -> impl Fn(&Node) -> Result<Fuel, Wrong> {
    quantity(range, str::parse, Fuel::to_string)
}

/// A size within `range`, as `64MiB` or as a whole number of bytes.
pub(super) fn byte_count(
    range: RangeInclusive<ByteCount>,
) -> impl Fn(&Node) -> Result<ByteCount, Wrong> {
    quantity(range, str::parse, ByteCount::to_string)
}

/// A time within `range`, as `5s`.
pub(super) fn duration(
    range: RangeInclusive<Duration>,
) -> impl Fn(&Node) -> Result<Duration, Wrong> {
    quantity(range, parse_duration, |time| format!("{time:?}"))
}

/// A rate, as `600/min`, of at most one cell per microsecond.
pub(super) fn rate(node: &Node) -> Result<Rate, Wrong> {
    let rate: Rate = parsed(node)?;
    if rate.per.as_micros() < u128::from(rate.cells.get()) {
        return Err(Wrong::new("a rate is at most 1_000_000/s"));
    }
    Ok(rate)
}

fn quantity<T: PartialOrd>(
    range: RangeInclusive<T>,
    parse: fn(&str) -> Result<T, Malformed>,
    show: fn(&T) -> String,
) -> impl Fn(&Node) -> Result<T, Wrong> {
    move |node| {
        let text = if let Value::Integer(number) = &node.value {
            Cow::Owned(number.to_string())
        } else {
            Cow::Borrowed(text(node)?)
        };
        let value = parse(&text)?;
        if range.contains(&value) { Ok(value) } else { Err(out_of_range(&range, show)) }
    }
}

fn out_of_range<T>(range: &RangeInclusive<T>, show: fn(&T) -> String) -> Wrong {
    Wrong::new(format!("must be {} to {}", show(range.start()), show(range.end())))
}
