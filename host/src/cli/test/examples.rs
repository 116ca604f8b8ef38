//! `examples.toml`: the calls that an author expects something of.

use std::path::Path;

use serde::Deserialize;
use serde::de::Error as _;
use serde_json::{Map, Value};
use toml::Spanned;

/// The file, in a plugin's source folder.
pub(super) const EXAMPLES: &str = "examples.toml";

/// A call, and what has to come back.
#[derive(Debug, PartialEq)]
pub(super) struct Example {
    /// Where it begins in the file, counted from one.
    pub(super) line: usize,
    pub(super) tool: String,
    pub(super) arguments: Map<String, Value>,
    pub(super) expected: Expected,
}

/// What has to come back.
#[derive(Debug, PartialEq)]
pub(super) enum Expected {
    /// The structured result; of an object, every key that is named.
    Result(Value),
    /// A part of the text.
    Text(String),
    /// A failure with this code.
    Error(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    call: Vec<Spanned<Call>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    tool: String,
    #[serde(default)]
    arguments: Map<String, Value>,
    result: Option<Value>,
    text: Option<String>,
    error: Option<String>,
}

/// Reads the file's text; `path` only serves to say where a problem is.
pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<Example>, String> {
    let located = |at: usize, why: &str| {
        let (line, column) = position(text, at);
        format!("{}:{line}:{column}: {why}", path.display())
    };
    let of_toml = |error: toml::de::Error| {
        located(error.span().map_or(text.len(), |span| span.start), error.message().trim_end())
    };
    let file: File = toml::from_str(text).map_err(of_toml)?;
    if file.call.is_empty() {
        return Err(of_toml(toml::de::Error::custom("there is no [[call]] in it")));
    }
    let example = |call: Spanned<Call>| {
        let at = call.span().start;
        let Call { tool, arguments, result, text: part, error } = call.into_inner();
        let expected = match (result, part, error) {
            // These would be as expected of every tool.
            (Some(Value::Object(none)), None, None) if none.is_empty() => {
                return Err(located(at, "an empty `result` expects nothing"));
            }
            (None, Some(part), None) if part.is_empty() => {
                return Err(located(at, "an empty `text` expects nothing"));
            }
            (Some(result), None, None) => Expected::Result(result),
            (None, Some(part), None) => Expected::Text(part),
            (None, None, Some(code)) => Expected::Error(code),
            _ => return Err(located(at, "a [[call]] has one of `result`, `text` and `error`")),
        };
        Ok(Example { line: position(text, at).0, tool, arguments, expected })
    };
    file.call.into_iter().map(example).collect()
}

/// Line and column of a byte, counted from one.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    (before.matches('\n').count() + 1, column)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_example_is_a_call_and_what_comes_back() {
        let text = "[[call]]\ntool = \"a\"\narguments = { n = 1, list = [1.5, true] }\nresult.x = 2\n[[call]]\ntool = \"a\"\ntext = \"part\"\n[[call]]\ntool = \"b\"\nerror = \"NO\"\n";
        let examples = parse(Path::new("e"), text).unwrap();
        let [first, second, third] = examples.as_slice() else { panic!("{examples:?}") };
        assert_eq!(Value::Object(first.arguments.clone()), json!({ "n": 1, "list": [1.5, true] }));
        assert_eq!(first.expected, Expected::Result(json!({ "x": 2 })));
        assert_eq!(second.expected, Expected::Text("part".to_owned()));
        assert!(second.arguments.is_empty());
        assert_eq!(third.expected, Expected::Error("NO".to_owned()));
        assert_eq!([first.line, second.line, third.line], [1, 5, 8]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let cases = [
            ("[[call]]\ntool = 1", "e:2:8: "),
            ("[[call]]\ntol = \"a\"", "e:2:1: unknown field `tol`"),
            ("[[call]]\n\ntool = ", "e:3:8: "),
            ("[[call]]\ntool = \"a\"", "e:1:1: a [[call]] has one of"),
            ("[[call]]\ntool = \"a\"\ntext = \"\"\nerror = \"A\"", "e:1:1: a [[call]] has one of"),
            ("[[call]]\ntool = \"a\"\ntext = \"\"", "e:1:1: an empty `text` expects nothing"),
            ("[[call]]\ntool = \"a\"\nresult = {}", "e:1:1: an empty `result` expects nothing"),
            ("", "e:1:1: there is no [[call]]"),
        ];
        for (text, expected) in cases {
            let said = parse(Path::new("e"), text).unwrap_err();
            assert!(said.starts_with(expected), "{text}: {said}");
        }
    }
}
