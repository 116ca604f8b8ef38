//! Cares for every byte: its schema has an order and a spelling of its own, and it
//! returns its arguments as they came.

use guests::{Error, Guest, Outcome, Tool, tool};

/// JSON that a reader could write differently: an order of keys, numbers, spaces.
const SCHEMA: &str = r#"{"type":"object", "required" : [], "properties":{"z":{"type":"number","maximum":1e2},"a":{"const":1.0},"\u0065":true},"x-own":{"b":1,"a":[ ]}}"#;

struct Plugin;

impl Guest for Plugin {
    fn list_tools() -> Vec<Tool> {
        vec![Tool { input_schema: SCHEMA.to_owned(), ..tool("verbatim") }]
    }

    fn call_tool(_: String, arguments: String) -> Result<Outcome, Error> {
        Ok(guests::text(arguments))
    }
}

guests::bindings::export!(Plugin with_types_in guests::bindings);
