//! What the environment says over the file: `BULKHEAD__SERVER__LISTEN=…`.
//!
//! Two underscores stand between the levels of a key. A level in capitals stands
//! for the same word in lower case; any other is taken as it is written, for a
//! name such as an agent's that has capitals of its own.

use std::sync::Arc;

use super::document::{Node, Place, Table, Value, parse_variable};
use super::problems::{Sink, shown};

const PREFIX: &str = "BULKHEAD__";

/// More than any key has; bounds the tree's depth.
const MOST_LEVELS: usize = 8;

/// Lays the variables that name a key over `table`, in the order of their names.
/// Other variables are left alone.
pub(super) fn apply(
    table: &mut Table,
    variables: impl IntoIterator<Item = (String, String)>,
    sink: &mut Sink,
) {
    let mut ours: Vec<_> =
        variables.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    ours.sort();
    for (name, value) in ours {
        let levels = levels(name.strip_prefix(PREFIX).unwrap_or_default());
        let source: Arc<str> = name.escape_debug().to_string().into();
        match levels.split_last() {
            Some((key, above)) if are_a_key(&levels) => {
                insert(table, above, key, parse_variable(&source, &value), sink);
            }
            _ => sink.report(
                &Place::Variable(source),
                "expected the levels of a key with two underscores between them".to_owned(),
                Some("as in `BULKHEAD__SERVER__LISTEN`".to_owned()),
            ),
        }
    }
}

fn are_a_key(levels: &[String]) -> bool {
    levels.len() <= MOST_LEVELS && levels.iter().all(|level| !level.is_empty())
}

fn levels(key: &str) -> Vec<String> {
    let level = |level: &str| {
        let is_name = level.bytes().any(|byte| byte.is_ascii_lowercase());
        if is_name { level.to_owned() } else { level.to_ascii_lowercase() }
    };
    key.split("__").map(level).collect()
}

/// Puts `node` under `key`, in the tables named `above`, which are made where
/// they are missing.
fn insert(table: &mut Table, above: &[String], key: &str, node: Node, sink: &mut Sink) {
    let Some((next, below)) = above.split_first() else {
        return merge(table, key, node);
    };
    let place = node.place.clone();
    let (_, inner) = table.0.entry(next.clone()).or_insert_with(|| {
        let value = Value::Table(Table::default());
        (place.clone(), Node { place: place.clone(), value, raw: None })
    });
    if let Value::Table(inner) = &mut inner.value {
        insert(inner, below, key, node, sink);
    } else {
        sink.report(&place, format!("`{}` is not a table", shown(next)), None);
    }
}

/// Puts `node` under `key`. A table adds to one that is there; anything else
/// takes its place.
fn merge(table: &mut Table, key: &str, mut node: Node) {
    let old = table.0.get_mut(key).map(|(_, node)| &mut node.value);
    if let (Some(Value::Table(old)), Value::Table(new)) = (old, &mut node.value) {
        for (key, (_, node)) in std::mem::take(&mut new.0) {
            merge(old, &key, node);
        }
    } else {
        table.0.insert(key.to_owned(), (node.place.clone(), node));
    }
}
