//! What came back, against what was expected: the differences, each with its path.

use serde_json::Value;

use super::examples::Expected;
use crate::text::clean_line;

/// The most differences that are told of one call.
const MAX_TOLD: usize = 8;

/// The longest value that is shown, in characters.
const MAX_SHOWN: usize = 200;

/// What a call came back with.
#[derive(Debug)]
pub(super) enum Came {
    /// MCP's `CallToolResult` of a call that succeeded.
    Result(Value),
    /// The code and the message of one that failed.
    Error { code: String, message: String },
}

/// A place where the two are not the same.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct Difference {
    /// As `result.frequent[0].word`.
    pub(super) path: String,
    pub(super) expected: String,
    pub(super) got: String,
}

/// The first differences; none where all is as expected.
pub(super) fn differences(expected: &Expected, came: &Came) -> Vec<Difference> {
    let difference = |path: &str, expected: &str, got: String| {
        vec![Difference { path: path.to_owned(), expected: expected.to_owned(), got }]
    };
    match (expected, came) {
        (Expected::Error(code), Came::Error { code: got, .. }) if code == got => Vec::new(),
        (Expected::Error(code), Came::Error { .. }) => difference("error", code, failure(came)),
        (Expected::Error(code), Came::Result(result)) => {
            difference("error", code, format!("a result: {}", result_shown(result)))
        }
        (Expected::Result(value), Came::Error { .. }) => {
            difference("result", &shown(value), failure(came))
        }
        (Expected::Text(part), Came::Error { .. }) => difference("text", part, failure(came)),
        (Expected::Text(part), Came::Result(result)) => match text_of(result) {
            text if text.contains(part.as_str()) => Vec::new(),
            text => difference("text", &format!("… {part} …"), clean_line(&text, MAX_SHOWN)),
        },
        (Expected::Result(value), Came::Result(result)) => match result.get("structuredContent") {
            None => difference(
                "result",
                &shown(value),
                format!("no structured result, but the text {}", result_shown(result)),
            ),
            Some(got) => {
                let mut found = Vec::new();
                // Of the outermost object alone, what is not named does not matter.
                match (value, got) {
                    (Value::Object(value), Value::Object(got)) => {
                        for (key, value) in value {
                            compare(
                                &format!("result.{key}"),
                                Some(value),
                                got.get(key),
                                &mut found,
                            );
                        }
                    }
                    _ => compare("result", Some(value), Some(got), &mut found),
                }
                found.truncate(MAX_TOLD);
                found
            }
        },
    }
}

fn compare(path: &str, expected: Option<&Value>, got: Option<&Value>, found: &mut Vec<Difference>) {
    if found.len() > MAX_TOLD {
        return;
    }
    match (expected, got) {
        (Some(Value::Object(expected)), Some(Value::Object(got))) => {
            let more = got.keys().filter(|key| !expected.contains_key(*key));
            for key in expected.keys().chain(more) {
                compare(&format!("{path}.{key}"), expected.get(key), got.get(key), found);
            }
        }
        (Some(Value::Array(expected)), Some(Value::Array(got))) => {
            for at in 0..expected.len().max(got.len()) {
                compare(&format!("{path}[{at}]"), expected.get(at), got.get(at), found);
            }
        }
        (Some(expected), Some(got)) if same(expected, got) => {}
        _ => found.push(Difference {
            path: path.to_owned(),
            expected: expected.map_or_else(nothing, shown),
            got: got.map_or_else(nothing, shown),
        }),
    }
}

/// To JSON Schema and to most languages, 1.0 is 1.
fn same(expected: &Value, got: &Value) -> bool {
    match (expected, got) {
        (Value::Number(a), Value::Number(b)) => {
            a == b || (a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64()
        }
        _ => expected == got,
    }
}

fn nothing() -> String {
    "nothing".to_owned()
}

fn shown(value: &Value) -> String {
    clean_line(&value.to_string(), MAX_SHOWN)
}

fn failure(came: &Came) -> String {
    match came {
        Came::Error { code, message } => format!("{code}: {}", clean_line(message, MAX_SHOWN)),
        Came::Result(result) => result_shown(result),
    }
}

fn result_shown(result: &Value) -> String {
    result.get("structuredContent").map_or_else(|| clean_line(&text_of(result), MAX_SHOWN), shown)
}

/// Its blocks of text, one after the other.
fn text_of(result: &Value) -> String {
    let blocks = result.get("content").and_then(Value::as_array);
    let texts = blocks.into_iter().flatten().filter_map(|block| block.get("text")?.as_str());
    texts.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(expected: &Expected, came: &Came) -> Vec<String> {
        let told = |d: Difference| format!("{}: {} / {}", d.path, d.expected, d.got);
        differences(expected, came).into_iter().map(told).collect()
    }

    fn result(structured: Value) -> Came {
        Came::Result(json!({ "content": [], "structuredContent": structured }))
    }

    #[test]
    fn every_key_that_is_named_must_be_equal() {
        let cases = [
            (json!({ "a": 1 }), json!({ "a": 1.0, "b": 2 }), vec![]),
            (json!({ "a": 1 }), json!({ "a": 2 }), vec!["result.a: 1 / 2"]),
            (json!({ "a": 1 }), json!({}), vec!["result.a: 1 / nothing"]),
            (
                json!({ "a": { "b": 1 } }),
                json!({ "a": { "b": 1, "c": 1 } }),
                vec!["result.a.c: nothing / 1"],
            ),
            (
                json!({ "a": [{ "b": 1 }] }),
                json!({ "a": [{ "b": "x" }, 2] }),
                vec!["result.a[0].b: 1 / \"x\"", "result.a[1]: nothing / 2"],
            ),
            (json!([1]), json!([1]), vec![]),
            (json!(true), json!("true"), vec!["result: true / \"true\""]),
        ];
        for (expected, got, differences) in cases {
            assert_eq!(told(&Expected::Result(expected), &result(got)), differences);
        }
    }

    #[test]
    fn a_failure_is_no_result_and_a_result_no_failure() {
        let failed = Came::Error { code: "GONE".to_owned(), message: "It is gone.".to_owned() };
        let text = Came::Result(json!({ "content": [{ "type": "text", "text": "all is well" }] }));
        let error = |code: &str| Expected::Error(code.to_owned());
        assert!(told(&error("GONE"), &failed).is_empty());
        assert_eq!(told(&error("LOST"), &failed), ["error: LOST / GONE: It is gone."]);
        assert_eq!(told(&error("LOST"), &text), ["error: LOST / a result: all is well"]);
        assert!(told(&Expected::Text("is".to_owned()), &text).is_empty());
        assert_eq!(told(&Expected::Text("ill".to_owned()), &text), ["text: … ill … / all is well"]);
        assert_eq!(
            told(&Expected::Text("is".to_owned()), &failed),
            ["text: is / GONE: It is gone."]
        );
        let expected = Expected::Result(json!({ "a": 1 }));
        assert!(
            told(&expected, &text)[0].contains("no structured result"),
            "{:?}",
            told(&expected, &text)
        );
    }
}
