//! A table read from CSV, by column.

use std::collections::HashSet;

use bulkhead_sdk::RawValue;
use bulkhead_sdk::prelude::*;
use csv::{ErrorKind, ReaderBuilder, StringRecord, Trim};
use jaq_json::Val;
use serde::Serialize;

/// What is not below this is text: the squares of a million smaller numbers still
/// add up to a finite one, which is what a standard deviation needs.
const NUMBER_BOUND: f64 = 1e150;

/// A table: columns of the same length.
pub(crate) struct Table {
    pub(crate) columns: Vec<Column>,
    pub(crate) row_count: usize,
}

/// One column, with what its fields have in common.
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Without the white space around them; empty where there was nothing else.
    pub(crate) fields: Vec<String>,
}

/// What the fields of a column hold that are not empty: only integers, only numbers,
/// only `true` and `false`, or any text. A column is `empty` where all its fields are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Empty,
    Integer,
    Number,
    Boolean,
    Text,
}

/// What separates fields, unless it is said.
pub(crate) fn comma() -> char {
    ','
}

impl Table {
    /// Reads CSV whose first line names the columns.
    ///
    /// # Errors
    /// `INVALID_CSV` with the line, `INVALID_INPUT` for the delimiter.
    pub(crate) fn read(csv: &str, delimiter: char) -> Result<Self, ToolError> {
        let delimiter = u8::try_from(delimiter)
            .ok()
            .filter(|byte| byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n'))
            .ok_or_else(|| {
                ToolError::invalid(
                    "`delimiter` is not an ASCII character, or one that CSV uses itself.",
                )
            })?;
        // Spreadsheets write a byte-order mark.
        let csv = csv.strip_prefix('\u{feff}').unwrap_or(csv);
        let mut reader =
            ReaderBuilder::new().delimiter(delimiter).trim(Trim::All).from_reader(csv.as_bytes());
        let names = column_names(reader.headers().map_err(|error| invalid(&error))?)?;
        let mut fields = vec![Vec::new(); names.len()];
        let mut row_count = 0;
        for row in reader.records() {
            let row = row.map_err(|error| invalid(&error))?;
            row_count += 1;
            for (column, field) in fields.iter_mut().zip(&row) {
                column.push(field.to_owned());
            }
        }
        let columns = names.into_iter().zip(fields);
        let columns = columns.map(|(name, fields)| Column { name, kind: kind(&fields), fields });
        Ok(Self { columns: columns.collect(), row_count })
    }

    /// The rows as jq sees them: an array of objects.
    pub(crate) fn rows(&self) -> Val {
        let row = |index: usize| {
            let columns = self.columns.iter();
            let entry = |column: &Column| (Val::from(column.name.clone()), column.value(index));
            Val::obj(columns.map(entry).collect())
        };
        Val::Arr((0..self.row_count).map(row).collect::<Vec<_>>().into())
    }
}

impl Column {
    fn value(&self, row: usize) -> Val {
        let field = self.fields.get(row).map(String::as_str).unwrap_or_default();
        match self.kind {
            Kind::Text => Val::from(field.to_owned()),
            Kind::Boolean if !field.is_empty() => Val::Bool(field == "true"),
            Kind::Integer | Kind::Number => {
                jaq_json::read::parse_single_num(field.as_bytes()).map_or(Val::Null, Val::Num)
            }
            Kind::Boolean | Kind::Empty => Val::Null,
        }
    }
}

fn column_names(header: &StringRecord) -> Result<Vec<String>, ToolError> {
    let mut seen = HashSet::new();
    let mut names = Vec::new();
    for (index, name) in header.iter().enumerate() {
        let name = match name {
            "" => format!("column_{}", index + 1),
            name => name.to_owned(),
        };
        if !seen.insert(name.clone()) {
            let message = format!("Two columns have the name `{name}`.");
            return Err(ToolError::new("INVALID_CSV", message));
        }
        names.push(name);
    }
    if names.is_empty() {
        return Err(ToolError::new(
            "INVALID_CSV",
            "The table is empty: its first line names the columns.",
        ));
    }
    Ok(names)
}

fn kind(fields: &[String]) -> Kind {
    let mut kinds = fields.iter().filter(|field| !field.is_empty()).map(|field| kind_of(field));
    let Some(first) = kinds.next() else {
        return Kind::Empty;
    };
    kinds.fold(first, |all, kind| match (all, kind) {
        (all, kind) if all == kind => all,
        (Kind::Integer | Kind::Number, Kind::Integer | Kind::Number) => Kind::Number,
        _ => Kind::Text,
    })
}

/// The kind of one field. A number is what JSON calls one, so that `007` and `+1`
/// stay text.
fn kind_of(field: &str) -> Kind {
    if matches!(field, "true" | "false") {
        return Kind::Boolean;
    }
    let starts_like_one = field.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    if !starts_like_one
        || serde_json::from_str::<&RawValue>(field).is_err()
        || !field.parse().is_ok_and(|number: f64| number.abs() < NUMBER_BOUND)
    {
        return Kind::Text;
    }
    if field.contains(['.', 'e', 'E']) { Kind::Number } else { Kind::Integer }
}

fn invalid(error: &csv::Error) -> ToolError {
    let what = if let ErrorKind::UnequalLengths { expected_len, len, .. } = error.kind() {
        format!("it has {len} fields, and the first line {expected_len}")
    } else {
        "it cannot be read".to_owned()
    };
    let line = error.position().map_or(1, csv::Position::line);
    ToolError::new("INVALID_CSV", format!("The table is not valid at line {line}: {what}."))
        .detail("line", line)
        .hint("Fields that contain the delimiter, a quote or a line break stand in double quotes.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(csv: &str) -> Result<Table, ToolError> {
        Table::read(csv, ',')
    }

    #[test]
    fn fields_are_trimmed_and_unquoted() {
        let table = read("\u{feff}a , b\n\"x, \"\"y\"\"\", 2\n\n3,\n").unwrap();
        let [a, b] = &table.columns[..] else { panic!() };
        assert_eq!((a.name.as_str(), b.name.as_str()), ("a", "b"));
        assert_eq!(b.fields, ["2", ""]);
        assert_eq!(table.row_count, 2);
    }

    #[test]
    fn a_column_has_one_kind() {
        let check = |fields: &[&str], expected| {
            let fields: Vec<String> = fields.iter().map(|&field| field.to_owned()).collect();
            assert_eq!(kind(&fields), expected, "{fields:?}");
        };
        check(&[], Kind::Empty);
        check(&["", ""], Kind::Empty);
        check(&["1", "", "-20"], Kind::Integer);
        check(&["1", "2.5e3"], Kind::Number);
        check(&["2.5", "1"], Kind::Number);
        check(&["true", "", "false"], Kind::Boolean);
        check(&["true", "1"], Kind::Text);
        check(&["1", "007"], Kind::Text);
        for text in ["+1", "1.", ".5", "1e999", "-", "1,5", "0x10", "NaN", "infinity", "1 2"] {
            check(&[text], Kind::Text);
        }
    }

    #[test]
    fn a_mistake_names_its_line() {
        let check = |csv: &str, message: &str| {
            let error = read(csv).err().unwrap();
            assert_eq!(error.code, "INVALID_CSV");
            assert!(error.message.contains(message), "{error}");
        };
        check("a,b\n1,2\n3\n", "line 3: it has 1 fields, and the first line 2");
        check("a,a\n", "Two columns have the name `a`");
        check("", "empty");
        assert_eq!(Table::read("a", '"').err().unwrap().code, "INVALID_INPUT");
        assert_eq!(Table::read("a", 'é').err().unwrap().code, "INVALID_INPUT");
    }

    #[test]
    fn a_column_without_a_name_gets_its_number() {
        let names: Vec<_> =
            read("a,\n").unwrap().columns.into_iter().map(|column| column.name).collect();
        assert_eq!(names, ["a", "column_2"]);
    }
}
