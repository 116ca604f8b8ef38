//! Where each key of a file is written: for telling which line it was that decided.
//!
//! Only looks. Whether what is written there is right is for [`Config::load`] and
//! [`Sidecar::parse`] to say, which read the same tree.
//!
//! [`Config::load`]: super::Config::load
//! [`Sidecar::parse`]: super::Sidecar::parse

use std::path::Path;

use super::document::{self, Node, Place, Table, Value};
use super::problems::{Sink, Written, shown};
use super::{LONGEST, overrides, read_bounded};

/// How many items of a list are shown.
const MOST_ITEMS: usize = 8;

/// Every key of `bulkhead.toml`, with what the environment says over it, or of a sidecar.
pub struct Places {
    table: Table,
    sink: Sink,
}

/// A key that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is written.
    pub written: Written,
    /// What is written, in short; empty for a table.
    pub value: String,
}

impl Places {
    /// Those of `bulkhead.toml` at `path`, if there is one, and of these variables. A file
    /// that cannot be read has none.
    pub fn of_config(
        path: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let mut places = path.map_or_else(|| Self::of_text("", ""), Self::of_file);
        overrides::apply(&mut places.table, variables, &mut places.sink);
        places
    }

    /// Those of a sidecar. A file that cannot be read has none.
    pub fn of_file(path: &Path) -> Self {
        Self::of_text(&path.display().to_string(), &read_bounded(path).unwrap_or_default())
    }

    fn of_text(file: &str, text: &str) -> Self {
        let mut sink = Sink::new(file, text);
        let table = document::parse(text, LONGEST, &mut sink);
        Self { table, sink }
    }

    /// The key at the end of these levels, as `["per_call", "fuel"]`, if it is there.
    pub fn find(&self, levels: &[&str]) -> Option<Found> {
        let (place, node) = self.node(levels)?;
        Some(Found { written: self.sink.written(place), value: short(node) })
    }

    /// The string under a key.
    pub fn text(&self, levels: &[&str]) -> Option<&str> {
        match &self.node(levels)?.1.value {
            Value::Text(text) => Some(text),
            Value::Integer(_)
            | Value::Boolean(_)
            | Value::List(_)
            | Value::Table(_)
            | Value::Float(_)
            | Value::Date => None,
        }
    }

    fn node(&self, levels: &[&str]) -> Option<&(Place, Node)> {
        let (last, above) = levels.split_last()?;
        let mut table = &self.table;
        for level in above {
            let Value::Table(inner) = &table.0.get(*level)?.1.value else { return None };
            table = inner;
        }
        table.0.get(*last)
    }
}

/// A value as a person wrote it, or nearly.
fn short(node: &Node) -> String {
    match &node.value {
        Value::Text(text) => format!("\"{}\"", shown(text)),
        Value::Integer(number) => number.to_string(),
        Value::Boolean(yes) => yes.to_string(),
        Value::Float(number) => number.to_string(),
        Value::List(items) => {
            let mut listed: Vec<String> = items.iter().take(MOST_ITEMS).map(short).collect();
            if items.len() > MOST_ITEMS {
                listed.push("…".to_owned());
            }
            format!("[{}]", listed.join(", "))
        }
        Value::Table(_) | Value::Date => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_with_its_line_and_its_value() {
        let text = "[per_call]\nfuel = '500M'\n[agents.a]\nscopes = ['x', 'y:*']\n\
                    per_agent.rate = '60/min'\nper_agent.burst = 6\n";
        let mut places = Places::of_text("b.toml", text);
        let variable = ("BULKHEAD__PER_CALL__MEMORY".to_owned(), "8MiB".to_owned());
        overrides::apply(&mut places.table, [variable], &mut places.sink);
        let found = |levels: &[&str]| {
            places.find(levels).map(|found| (found.written.to_string(), found.value))
        };
        let told = |at: &str, value: &str| Some((at.to_owned(), value.to_owned()));
        assert_eq!(found(&["per_call", "fuel"]), told("b.toml:2", "\"500M\""));
        assert_eq!(found(&["per_call", "memory"]), told("BULKHEAD__PER_CALL__MEMORY", "\"8MiB\""));
        assert_eq!(found(&["agents", "a"]), told("b.toml:3", ""));
        assert_eq!(found(&["agents", "a", "scopes"]), told("b.toml:4", "[\"x\", \"y:*\"]"));
        let rate = ["agents", "a", "per_agent", "rate"];
        assert_eq!(found(&rate), told("b.toml:5", "\"60/min\""));
        assert_eq!(places.text(&rate), Some("60/min"));
        assert_eq!(found(&["agents", "a", "per_agent", "burst"]), told("b.toml:6", "6"));
        for none in [&[][..], &["per_call", "deadline"], &["per_call", "fuel", "x"], &["x", "y"]] {
            assert_eq!(found(none), None);
        }
        assert!(Places::of_file(Path::new("/nonexistent")).find(&["per_call"]).is_none());
    }
}
