//! `#[tool]` and `plugin!`, from an author's point of view.

use std::borrow::Cow;

use bulkhead_sdk::prelude::*;
use bulkhead_sdk::{Annotations, Retry};
use serde::{Deserialize, Serialize};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Text {
    /// The text to look at.
    text: String,
}

#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct Counts {
    words: usize,
}

/// Counts the words of a text.
///
/// - A word ends
///   at white space.
#[tool(title = "Word count", read_only, destructive = false, open_world = false)]
fn word_count(args: Text) -> Result<Counts, ToolError> {
    match args.text.split_whitespace().count() {
        0 => Err(ToolError::not_found("word")),
        words => Ok(Counts { words }),
    }
}

#[test]
fn a_tool_declares_what_its_function_says() {
    let declaration = word_count::declaration();
    assert_eq!(declaration.name, "word_count");
    assert_eq!(declaration.title, Some("Word count"));
    assert_eq!(
        declaration.description,
        "Counts the words of a text.\n\n- A word ends\n  at white space."
    );
    assert_eq!(
        declaration.annotations,
        Annotations {
            read_only: Some(true),
            destructive: Some(false),
            idempotent: None,
            open_world: Some(false),
        }
    );
    assert_eq!(
        declaration.input_schema,
        json!({
            "type": "object",
            "properties": { "text": { "type": "string", "description": "The text to look at." } },
            "required": ["text"],
            "additionalProperties": false,
        })
    );
    assert_eq!(
        declaration.output_schema,
        Some(json!({
            "type": "object",
            "properties": { "words": { "type": "integer", "minimum": 0 } },
            "required": ["words"],
        }))
    );
}

#[test]
fn a_tool_is_still_a_function() {
    let text = "to be or not".to_owned();
    assert_eq!(word_count(Text { text }), Ok(Counts { words: 4 }));
}

#[test]
fn a_call_goes_from_json_to_json() {
    let output = word_count::call(r#"{"text": "to be"}"#).unwrap();
    assert_eq!(output.structured.as_deref(), Some(r#"{"words":2}"#));
    assert_eq!(output.content, []);
    assert_eq!(word_count::call(r#"{"text": ""}"#).unwrap_err().code, "WORD_NOT_FOUND");
    assert_eq!(word_count::call(r#"{"text": 3}"#).unwrap_err().code, "INVALID_INPUT");
}

/// Takes nothing.
#[tool(name = "no-arguments")]
pub(crate) fn none() -> &'static str {
    "none"
}

#[test]
fn a_tool_may_take_nothing_and_have_another_name() {
    let declaration = none::declaration();
    assert_eq!(declaration.name, "no-arguments");
    assert_eq!(declaration.annotations, Annotations::default());
    assert_eq!(
        declaration.input_schema,
        json!({ "type": "object", "properties": {}, "additionalProperties": false })
    );
    assert_eq!(none::call("{}").unwrap(), Output::new().text("none"));
}

type Fallible<T> = std::result::Result<T, Full>;

#[derive(Debug)]
struct Full;

impl From<Full> for ToolError {
    fn from(_: Full) -> Self {
        ToolError::new("SHELF_FULL", "The shelf is full.").retryable()
    }
}

/// Answers with text that is made of parts.
#[tool]
fn owned() -> Fallible<Cow<'static, str>> {
    Ok("text".into())
}

/// Answers with blocks.
#[tool]
fn rich() -> Output {
    Output::new().text("a").text("b")
}

/// Answers with a list.
#[tool]
fn list() -> Vec<Option<u8>> {
    vec![Some(1), None]
}

/// Never answers.
#[tool]
fn full() -> Fallible<String> {
    Err(Full)
}

#[test]
fn the_return_type_decides_even_behind_an_alias() {
    assert_eq!(owned::declaration().output_schema, None);
    assert_eq!(owned::call("{}").unwrap(), Output::new().text("text"));
    assert_eq!(rich::declaration().output_schema, None);
    assert_eq!(rich::call("{}").unwrap().content.len(), 2);
    assert_eq!(
        list::declaration().output_schema,
        Some(json!({ "type": "array", "items": {
            "type": ["integer", "null"], "minimum": 0, "maximum": 255,
        } }))
    );
    assert_eq!(list::call("{}").unwrap().structured.as_deref(), Some("[1,null]"));
    assert_eq!(full::declaration().output_schema, None);
    let error = full::call("{}").unwrap_err();
    assert_eq!((&*error.code, error.retry), ("SHELF_FULL", Retry::Anytime));
}

/// Names that the expansion uses itself.
mod names {
    use super::*;

    /// Is called like a local of the expansion.
    #[tool]
    pub(super) fn returned(arguments: Text) -> String {
        arguments.text
    }

    macro_rules! generated {
        ($name:ident, $ty:ty) => {
            /// Comes out of another macro.
            #[tool]
            pub(super) fn $name(args: $ty) -> Result<$ty, ToolError> {
                Ok(args)
            }
        };
    }

    generated!(returns, Vec<u8>);
}

#[test]
fn no_name_of_the_expansion_gets_in_the_way() {
    let output = names::returned::call(r#"{"text": "a"}"#).unwrap();
    assert_eq!(output, Output::new().text("a"));
    let output = names::returns::call("[1]").unwrap();
    assert_eq!(output.structured.as_deref(), Some("[1]"));
}

// On a native target this only has to compile, paths included.
plugin!(word_count, none, owned, rich, list, full, names::returned, names::returns);
