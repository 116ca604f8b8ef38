//! Has a tool whose input schema is JSON, and no schema.

use guests::{Tool, tool};

guests::lists!({
    let input_schema = r#"{"type":"object","properties":{"id":{"type":12}}}"#.to_owned();
    vec![Tool { input_schema, ..tool("bad_schema") }]
});
