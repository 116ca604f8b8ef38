//! `summarize_columns`: what is in each column of a table.

use std::collections::HashMap;

use bulkhead_sdk::prelude::*;
use bulkhead_sdk::{RawValue, Value};
use serde::{Deserialize, Serialize};

use crate::table::{Column, Kind, Table};

/// How many of a column's most common values are named.
const COMMON_VALUES: usize = 3;

/// How much of a long text is shown.
const SHOWN_CHARS: usize = 80;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Summarize {
    /// The table as CSV. Its first line names the columns.
    csv: String,
    /// What separates the fields of a row: `,` by default, often `;` or a tab.
    #[serde(default = "crate::table::comma")]
    delimiter: char,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Summary {
    /// Without the first line.
    rows: usize,
    columns: Vec<ColumnSummary>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ColumnSummary {
    name: String,
    kind: Kind,
    /// How many fields hold something.
    filled: usize,
    empty: usize,
    /// How many different values there are.
    distinct: usize,
    /// The values that occur most often.
    most_common: Vec<Common>,
    /// The smallest number, or the first text in the order of Unicode.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Value>")]
    min: Option<Box<RawValue>>,
    /// The largest number, or the last text in the order of Unicode.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Value>")]
    max: Option<Box<RawValue>>,
    /// For columns of numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    numbers: Option<Numbers>,
}

#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct Common {
    value: String,
    count: usize,
}

/// Calculated with floating point.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct Numbers {
    sum: f64,
    mean: f64,
    median: f64,
    /// The standard deviation of the whole population.
    deviation: f64,
}

/// Summarizes each column of a CSV table: its type, empty fields, distinct and most
/// common values, smallest and largest, and for numbers sum, mean, median and
/// standard deviation.
///
/// A good first look at a table before querying it.
#[tool(title = "Summarize columns", read_only, open_world = false)]
pub(crate) fn summarize_columns(args: Summarize) -> Result<Summary, ToolError> {
    let table = Table::read(&args.csv, args.delimiter)?;
    Ok(Summary { rows: table.row_count, columns: table.columns.iter().map(summarize).collect() })
}

fn summarize(column: &Column) -> ColumnSummary {
    let fields = column.fields.iter().map(String::as_str);
    let filled: Vec<&str> = fields.filter(|field| !field.is_empty()).collect();
    let mut counts = HashMap::new();
    for field in &filled {
        *counts.entry(*field).or_default() += 1;
    }
    let is_numeric = matches!(column.kind, Kind::Integer | Kind::Number);
    let (min, max, numbers) = if is_numeric {
        of_numbers(&filled)
    } else {
        let text = |field: &&str| serde_json::value::to_raw_value(&shown(field)).ok();
        let (min, max) = (filled.iter().min(), filled.iter().max());
        (min.and_then(text), max.and_then(text), None)
    };
    ColumnSummary {
        name: column.name.clone(),
        kind: column.kind,
        filled: filled.len(),
        empty: column.fields.len() - filled.len(),
        distinct: counts.len(),
        most_common: most_common(counts),
        min,
        max,
        numbers,
    }
}

type Bound = Option<Box<RawValue>>;

/// The smallest and the largest number with the digits that they have in the table,
/// and what they come to.
fn of_numbers(fields: &[&str]) -> (Bound, Bound, Option<Numbers>) {
    let parse = |digits: &str| digits.parse::<f64>().ok();
    let numbers = fields.iter().filter_map(|digits| Some((parse(digits)?, *digits)));
    let mut numbers: Vec<(f64, &str)> = numbers.collect();
    numbers.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let bound = |number: Option<&(f64, &str)>| {
        number.and_then(|(_, digits)| RawValue::from_string((*digits).to_owned()).ok())
    };
    let bounds = (bound(numbers.first()), bound(numbers.last()));
    let values: Vec<f64> = numbers.into_iter().map(|(value, _)| value).collect();
    (bounds.0, bounds.1, moments(&values))
}

/// `None` where there is no number. The values are in order.
fn moments(values: &[f64]) -> Option<Numbers> {
    let count = values.len() as f64;
    let sum: f64 = values.iter().sum();
    let mean = sum / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let upper = values.get(values.len() / 2)?;
    let lower = values.get((values.len() - 1) / 2)?;
    Some(Numbers { sum, mean, median: (lower + upper) / 2.0, deviation: (squares / count).sqrt() })
}

/// By count; values that occur equally often are in the order of Unicode, so that
/// the same table always has the same summary.
fn most_common(counts: HashMap<&str, usize>) -> Vec<Common> {
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by(|(a, of_a), (b, of_b)| of_b.cmp(of_a).then(a.cmp(b)));
    let common = counts.into_iter().take(COMMON_VALUES);
    common.map(|(value, count)| Common { value: shown(value), count }).collect()
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or(text)),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(csv: &str) -> Summary {
        let csv = csv.to_owned();
        summarize_columns(Summarize { csv, delimiter: ',' }).unwrap()
    }

    fn json(bound: &Bound) -> &str {
        bound.as_ref().unwrap().get()
    }

    #[test]
    fn numbers_are_calculated() {
        let summary = summary("n\n4\n1\n\"\"\n10.50\n1\n");
        let [n] = &summary.columns[..] else { panic!("{summary:?}") };
        assert_eq!((summary.rows, n.kind), (5, Kind::Number));
        assert_eq!((n.filled, n.empty, n.distinct), (4, 1, 3));
        assert_eq!((json(&n.min), json(&n.max)), ("1", "10.50"));
        let numbers = n.numbers.as_ref().unwrap();
        assert_eq!((numbers.sum, numbers.mean, numbers.median), (16.5, 4.125, 2.5));
        assert!((numbers.deviation - 3.879_030_162_9).abs() < 1e-9, "{numbers:?}");
        assert_eq!(n.most_common.first(), Some(&Common { value: "1".into(), count: 2 }));
    }

    #[test]
    fn texts_are_ordered_and_cut() {
        let long = "é".repeat(200);
        let summary =
            summary(&format!("day,note\n2026-03-01,{long}\n2025-12-31,b\n2025-12-31,a\n"));
        let [day, note] = &summary.columns[..] else { panic!("{summary:?}") };
        assert_eq!((json(&day.min), json(&day.max)), ("\"2025-12-31\"", "\"2026-03-01\""));
        assert_eq!(day.numbers, None);
        let values: Vec<_> = note.most_common.iter().map(|common| &*common.value).collect();
        assert_eq!(values[..2], ["a", "b"]);
        assert_eq!(values[2].chars().count(), SHOWN_CHARS + 1);
    }

    #[test]
    fn a_table_without_rows_has_columns() {
        let summary = summary("a,b\n");
        assert_eq!((summary.rows, summary.columns.len()), (0, 2));
        assert_eq!(summary.columns[0].kind, Kind::Empty);
        assert!(summary.columns[0].min.is_none());
    }
}
