//! `query_csv`: a jq query over the rows of a table.

use bulkhead_sdk::prelude::*;
use serde::Deserialize;

use crate::jq::{self, Results};
use crate::table::Table;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueryCsv {
    /// The table as CSV. Its first line names the columns.
    csv: String,
    /// What separates the fields of a row: `,` by default, often `;` or a tab.
    #[serde(default = "crate::table::comma")]
    delimiter: char,
    /// A jq query over the array of rows, each an object by column, such as
    /// `map(select(.region == "EMEA") | .revenue) | add`.
    #[schemars(length(min = 1, max = 4000))]
    query: String,
    /// How many results to return at most.
    #[serde(default = "jq::default_limit")]
    #[schemars(range(min = 1, max = 10_000))]
    limit: usize,
}

/// Queries CSV with jq: the query gets an array with one object per row.
///
/// Columns that hold only numbers, or only `true` and `false`, are converted, and
/// their empty fields are null; all others are text, such as `007`.
#[tool(title = "Query CSV", read_only, open_world = false)]
pub(crate) fn query_csv(args: QueryCsv) -> Result<Results, ToolError> {
    let table = Table::read(&args.csv, args.delimiter)?;
    jq::run(&args.query, [table.rows()], args.limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(csv: &str, query: &str) -> Result<Vec<String>, ToolError> {
        let results = query_csv(QueryCsv {
            csv: csv.to_owned(),
            delimiter: ',',
            query: query.to_owned(),
            limit: 100,
        })?;
        Ok(results.results.iter().map(|json| json.get().to_owned()).collect())
    }

    #[test]
    fn rows_are_objects_in_the_order_of_the_columns() {
        let rows = query("b,a\n1,x\n,y\n", ".[]").unwrap();
        assert_eq!(rows, [r#"{"b":1,"a":"x"}"#, r#"{"b":null,"a":"y"}"#]);
    }

    #[test]
    fn columns_are_converted_as_a_whole() {
        let rows = query("zip,n,ok,t\n007,1.50,true,\n10115,-2,false,x\n", ".[]").unwrap();
        assert_eq!(rows[0], r#"{"zip":"007","n":1.50,"ok":true,"t":""}"#);
        assert_eq!(query("n\n1\n2.5\n", "map(.n) | add").unwrap(), ["3.5"]);
    }

    #[test]
    fn errors_are_those_of_the_table_and_of_the_query() {
        assert_eq!(query("a\n1,2\n", ".").unwrap_err().code, "INVALID_CSV");
        assert_eq!(query("a\n1\n", "(").unwrap_err().code, "INVALID_QUERY");
    }
}
