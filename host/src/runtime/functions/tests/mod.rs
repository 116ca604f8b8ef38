//! Values through JSON and back, types through schemas, and components through calls.

mod components;
mod docs;
mod failures;
mod types;
mod values;

use super::shape::{Case, Field, Shape};
use super::{from_json, schema};
use crate::config::Input;
use crate::validation::Schemas;

fn field(name: &str, shape: Shape) -> Field {
    Field { name: name.to_owned(), doc: None, shape }
}

fn case(name: &str, payload: Option<Shape>) -> Case {
    Case { name: name.to_owned(), doc: None, payload }
}

/// The schema of one argument `x`, compiled as every plugin's is.
fn compiled(shape: &Shape) -> Schemas {
    let schema = schema::object(&[field("x", shape.clone())]).to_string();
    crate::json::check(schema.as_bytes(), crate::json::MAX_DEPTH).unwrap();
    Schemas::compile(&schema, Some(&schema), Input::default()).unwrap()
}

/// Whether the schema takes an argument, and whether the reader does.
fn accepted(shape: &Shape, schemas: &Schemas, text: &str) -> (bool, bool) {
    let text = format!("{{\"x\":{text}}}");
    let read = from_json::arguments(&[field("x", shape.clone())], &text);
    (schemas.check_output(&text).is_ok(), read.is_ok())
}
