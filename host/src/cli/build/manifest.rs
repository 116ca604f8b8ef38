//! The author's manifest, made self-contained: what it names files for is put into it.
//!
//! The text is changed only where it has to be, and on the same lines, so that what is
//! wrong with it is told with its place in the author's file.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;
use toml::de::{DeTable, DeValue};

use super::MANIFEST;
use super::error::BuildError;
use crate::config::Manifest;

/// The keys of a `[[command]]` that may name a file of JSON.
const SCHEMAS: [&str; 2] = ["input_schema", "output_schema"];

/// Reads a source folder's manifest, with its schemas' files in their places.
pub(super) fn read(source: &Path) -> Result<String, BuildError> {
    let path = source.join(MANIFEST);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        BuildError::of_file(
            &path,
            format!(
                "{error}; a plugin's source folder has a manifest, at the least \
                 `name = \"NAME\"` and `version = \"0.1.0\"`; \
                 `bulkhead new NAME --lang LANGUAGE` writes one"
            ),
        )
    })?;
    self_contained(source, &text)
}

/// Checks a manifest's text.
pub(super) fn parse(source: &Path, text: &str) -> Result<Manifest, BuildError> {
    Manifest::parse(&source.join(MANIFEST).display().to_string(), text).map_err(BuildError::new)
}

/// The text with each file of a schema in the place of its name. A text that is not TOML
/// is left as it is: parsing it tells what is wrong.
fn self_contained(source: &Path, text: &str) -> Result<String, BuildError> {
    let mut out = text.to_owned();
    // From the end on, so that what is before stays where it was found.
    for Named { place, file } in named_files(text).into_iter().rev() {
        let path = source.join(&file);
        let schema = std::fs::read_to_string(&path).map_err(|error| {
            BuildError::of_file(&path, format!("{error}; {MANIFEST} names it as a schema"))
        })?;
        let schema: Box<RawValue> = serde_json::from_str(&schema)
            .map_err(|error| BuildError::of_file(&path, format!("is not JSON: {error}")))?;
        if !schema.get().starts_with('{') {
            return Err(BuildError::of_file(&path, "a schema is a JSON object"));
        }
        out.replace_range(place, &quoted(&on_one_line(schema.get())));
    }
    Ok(out)
}

/// A value of the manifest that names a file.
struct Named {
    place: Range<usize>,
    file: String,
}

/// In the order of their places.
fn named_files(text: &str) -> Vec<Named> {
    let (table, _) = DeTable::parse_recoverable(text);
    let Some(DeValue::Array(commands)) = table.get_ref().get("command").map(|c| c.get_ref()) else {
        return Vec::new();
    };
    let schemas = commands.iter().filter_map(|command| {
        let DeValue::Table(command) = command.get_ref() else { return None };
        Some(SCHEMAS.map(|key| command.get(key)))
    });
    let named = schemas.flatten().flatten().filter_map(|schema| {
        let DeValue::String(file) = schema.get_ref() else { return None };
        let is_text = file.trim_start().starts_with('{');
        (!is_text).then(|| Named { place: schema.span(), file: file.to_string() })
    });
    let mut named: Vec<_> = named.collect();
    named.sort_by_key(|named| named.place.start);
    named
}

/// The text with what a program says about its tools appended:
/// `{"command": [{"name": …, "input_schema": {…}, …}]}`, the keys of `[[command]]`.
pub(super) fn with_described(text: &str, described: &str) -> Result<String, BuildError> {
    #[derive(Deserialize)]
    struct Described<'a> {
        #[serde(borrow)]
        command: Vec<BTreeMap<String, &'a RawValue>>,
    }
    let described: Described<'_> = serde_json::from_str(described).map_err(|error| {
        BuildError::new(format!(
            "what the program prints for BULKHEAD_DESCRIBE=1 is not \
             `{{\"command\": [{{…}}]}}` in JSON: {error}"
        ))
    })?;
    let mut out = text.trim_end().to_owned();
    out.push_str("\n\n# What the program says about its tools.\n");
    for command in described.command {
        let mut table = toml::Table::new();
        for (key, value) in command {
            if let Some(value) = value_of(&key, value)? {
                table.insert(key, value);
            }
        }
        let commands = vec![toml::Value::Table(table)];
        let commands = toml::Table::from_iter([("command".to_owned(), commands.into())]);
        let commands = toml::to_string(&commands).map_err(BuildError::new)?;
        out.push_str(&commands);
    }
    Ok(out)
}

/// A value in TOML; none of `null`. A schema stays JSON text: in TOML it would lose the
/// order of its keys, which models read too.
fn value_of(key: &str, value: &RawValue) -> Result<Option<toml::Value>, BuildError> {
    if SCHEMAS.contains(&key) && value.get().starts_with('{') {
        return Ok(Some(on_one_line(value.get()).into()));
    }
    let value: serde_json::Value = serde_json::from_str(value.get()).map_err(BuildError::new)?;
    if value.is_null() {
        return Ok(None);
    }
    toml::Value::try_from(value).map(Some).map_err(|error| {
        BuildError::new(format!("what the program says of its tools, at `{key}`: {error}"))
    })
}

/// JSON without the white space between its tokens.
fn on_one_line(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut in_string, mut escaped) = (false, false);
    for c in json.chars() {
        if in_string || !c.is_ascii_whitespace() {
            out.push(c);
        }
        in_string ^= c == '"' && !escaped;
        escaped = in_string && c == '\\' && !escaped;
    }
    out
}

/// A text as a TOML string on one line.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::temporary::TemporaryFolder;

    #[test]
    fn the_files_of_schemas_are_put_in_their_places() {
        let folder = TemporaryFolder::new().unwrap();
        let schema = "{\n  \"type\": \"object\",\n  \"title\": \"it's \\\"a  b\\\" \\\\\"\n}\n";
        std::fs::write(folder.path().join("in.json"), schema).unwrap();
        let text = "name = \"a\"\n[[command]]\ninput_schema = \"in.json\" # why\noutput_schema = '{}'\n[[command]]\ninput_schema = 'in.json'\n";
        let out = self_contained(folder.path(), text).unwrap();
        assert_eq!(out.lines().count(), text.lines().count(), "{out}");
        assert!(out.contains("# why"), "{out}");
        let table: toml::Table = toml::from_str(&out).unwrap();
        let commands = table["command"].as_array().unwrap();
        let expected = "{\"type\":\"object\",\"title\":\"it's \\\"a  b\\\" \\\\\"}";
        for command in commands {
            assert_eq!(command["input_schema"].as_str(), Some(expected));
        }
        assert_eq!(commands[0]["output_schema"].as_str(), Some("{}"));
        assert_eq!(self_contained(folder.path(), &out).unwrap(), out, "nothing is left to do");
    }

    #[test]
    fn a_schema_that_is_not_there_or_no_json_is_told() {
        let folder = TemporaryFolder::new().unwrap();
        let text = "command = [{ input_schema = \"in.json\" }]";
        let said = || self_contained(folder.path(), text).unwrap_err().to_string();
        assert!(said().contains("plugin.toml names it"), "{}", said());
        for (json, why) in [("{\n\"a\": 1,\n}", "line 3 column 1"), ("true", "a JSON object")] {
            std::fs::write(folder.path().join("in.json"), json).unwrap();
            assert!(said().contains("in.json") && said().contains(why), "{}", said());
        }
    }

    #[test]
    fn what_a_program_says_of_itself_is_appended() {
        let described = r#"{"command": [{"name": "a", "title": null, "description": "Does \"it\".\nWell.",
            "input_schema": {"type": "object", "properties": {"z": {}, "a": {}}},
            "stdin": {"from": "z"}, "args": ["a", {"flag": "-x", "from": "a"}],
            "annotations": {"read_only": true}}, {"name": "b"}]}"#;
        let text = with_described("name = \"a\"\n[wants]\nenv = []", described).unwrap();
        let table: toml::Table = toml::from_str(&text).unwrap();
        let a = &table["command"][0];
        assert_eq!(table["command"][1]["name"].as_str(), Some("b"));
        assert_eq!(a["description"].as_str(), Some("Does \"it\".\nWell."));
        let schema = r#"{"type":"object","properties":{"z":{},"a":{}}}"#;
        assert_eq!(a["input_schema"].as_str(), Some(schema), "in the author's order");
        assert_eq!(a["stdin"]["from"].as_str(), Some("z"));
        assert_eq!(a["args"][1]["flag"].as_str(), Some("-x"));
        assert_eq!(a["annotations"]["read_only"].as_bool(), Some(true));
        assert!(a.get("title").is_none());
        for bad in ["", "{}", "prose", r#"{"command": 1}"#] {
            let said = with_described("", bad).unwrap_err().to_string();
            assert!(said.contains("BULKHEAD_DESCRIBE"), "{said}");
        }
    }
}
