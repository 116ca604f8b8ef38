//! Data tools: exact answers about JSON and CSV that a model would otherwise read
//! row by row.

use bulkhead_sdk::plugin;

mod jq;
mod json;
mod query_csv;
mod query_json;
mod summarize_columns;
mod table;

plugin!(query_json::query_json, query_csv::query_csv, summarize_columns::summarize_columns,);
