//! `query_json`: a jq query over JSON.

use bulkhead_sdk::prelude::*;
use bulkhead_sdk::{RawValue, Value};
use jaq_json::Val;
use serde::Deserialize;

use crate::jq::{self, Results};
use crate::json;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueryJson {
    /// The JSON value to query. Give either this or `text`.
    #[schemars(with = "Option<Value>")]
    json: Option<Box<RawValue>>,
    /// JSON as text, also several values such as JSON lines; each is queried.
    text: Option<String>,
    /// Whether to put the values of `text` into one array and query that.
    #[serde(default)]
    slurp: bool,
    /// A jq query, such as `.items[] | select(.price > 10) | .name`.
    #[schemars(length(min = 1, max = 4000))]
    query: String,
    /// How many results to return at most.
    #[serde(default = "jq::default_limit")]
    #[schemars(range(min = 1, max = 10_000))]
    limit: usize,
}

/// Queries JSON with jq: select, filter, group, count, sum, sort, reshape.
///
/// Integers of any size and decimals keep their digits where the query does not
/// calculate with them.
#[tool(title = "Query JSON", read_only, open_world = false)]
pub(crate) fn query_json(args: QueryJson) -> Result<Results, ToolError> {
    let inputs = match (&args.json, &args.text) {
        (Some(json), None) => vec![json::read_one(json)?],
        (None, Some(text)) => json::read(text)?,
        _ => return Err(ToolError::invalid("Give either `json` or `text`.")),
    };
    let inputs = if args.slurp { vec![Val::Arr(inputs.into())] } else { inputs };
    jq::run(&args.query, inputs, args.limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(arguments: &str) -> Result<String, ToolError> {
        query_json::call(arguments).map(|output| output.structured.unwrap())
    }

    #[test]
    fn a_value_and_a_text_are_queried_alike() {
        let expected = r#"{"truncated":false,"results":[2]}"#;
        assert_eq!(query(r#"{"json": {"a": 2}, "query": ".a"}"#).unwrap(), expected);
        assert_eq!(query(r#"{"text": "{\"a\": 2}", "query": ".a"}"#).unwrap(), expected);
    }

    #[test]
    fn lines_are_queried_one_by_one_or_together() {
        let lines = query(r#"{"text": "1\n2\n", "query": ". * 2"}"#);
        assert_eq!(lines.unwrap(), r#"{"truncated":false,"results":[2,4]}"#);
        let together = query(r#"{"text": "1\n2\n", "slurp": true, "query": "add"}"#);
        assert_eq!(together.unwrap(), r#"{"truncated":false,"results":[3]}"#);
    }

    #[test]
    fn digits_survive_the_whole_way() {
        let exact = query(r#"{"json": [12345678901234567890123, 0.10], "query": ".[]"}"#);
        assert!(exact.unwrap().ends_with("[12345678901234567890123,0.10]}"));
    }

    #[test]
    fn there_is_one_source() {
        for arguments in [r#"{"query": "."}"#, r#"{"query": ".", "json": 1, "text": "1"}"#] {
            assert_eq!(query(arguments).unwrap_err().code, "INVALID_INPUT");
        }
    }
}
