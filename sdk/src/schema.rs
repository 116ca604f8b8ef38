//! JSON Schemas (2020-12) of arguments and results, derived from their types.
//!
//! Written for readers that pay by the token and for validators that are strict:
//! types are spelled out where they are used instead of in `$defs` (a recursive
//! type still refers to itself), and what JSON Schema does not define is left out.

use schemars::generate::{Contract, SchemaSettings};
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

/// The schema of a tool's arguments: what `T` reads.
pub(crate) fn of_arguments<T: JsonSchema>() -> Value {
    let mut schema = of::<T>(Contract::Deserialize);
    // MCP requires an object at the root. A tagged enum is one in each of its
    // variants, which schemars does not repeat above them.
    if schema.get("type").is_none() {
        schema.insert("type".into(), "object".into());
    }
    schema.to_value()
}

/// The schema of a tool that takes no arguments.
pub fn of_no_arguments() -> Value {
    json!({ "type": "object", "properties": {}, "additionalProperties": false })
}

/// The schema of a structured result: what `T` writes.
pub(crate) fn of_result<T: JsonSchema>() -> Value {
    of::<T>(Contract::Serialize).to_value()
}

fn of<T: JsonSchema>(contract: Contract) -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        // The contract names the dialect, and a validator that knows only an
        // older one (Ajv's default) refuses a schema that names a newer.
        settings.meta_schema = None;
        settings.inline_subschemas = true;
        settings.contract = contract;
        settings.transforms.push(Box::new(RecursiveTransform(drop_rust_format)));
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    // The name of a Rust type tells a model nothing.
    schema.remove("title");
    schema
}

/// Removes schemars' `"format": "uint32"` and its like, which no validator knows
/// and strict ones refuse. Formats of strings stay.
fn drop_rust_format(schema: &mut Schema) {
    let numeric = matches!(
        schema.get("format").and_then(Value::as_str),
        Some(
            "int8"
                | "int16"
                | "int32"
                | "int64"
                | "int128"
                | "int"
                | "uint8"
                | "uint16"
                | "uint32"
                | "uint64"
                | "uint128"
                | "uint"
                | "float"
                | "double"
        )
    );
    if numeric {
        schema.remove("format");
    }
}

#[cfg(test)]
mod tests {
    #![allow(dead_code, reason = "only the types are of interest")]

    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Deserialize, Serialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Point {
        /// To the right.
        #[schemars(range(min = -90, max = 90))]
        x: i32,
        #[serde(skip_serializing_if = "Option::is_none")]
        y: Option<f32>,
    }

    #[derive(Deserialize, JsonSchema)]
    #[serde(tag = "shape", rename_all = "lowercase")]
    enum Shape {
        Dot { at: Point },
        Line { from: Point, to: Point },
    }

    #[derive(Deserialize, Serialize, JsonSchema)]
    struct Tree {
        children: Vec<Tree>,
    }

    #[test]
    fn arguments_are_spelled_out_without_the_names_of_rust() {
        let point = json!({
            "type": "object",
            "properties": {
                "x": { "type": "integer", "description": "To the right.", "minimum": -90, "maximum": 90 },
                "y": { "type": ["number", "null"] },
            },
            "required": ["x"],
            "additionalProperties": false,
        });
        assert_eq!(of_arguments::<Point>(), point);
        let shape = of_arguments::<Shape>();
        assert_eq!(shape.pointer("/oneOf/1/properties/from"), Some(&point));
    }

    #[test]
    fn a_tagged_enum_is_an_object() {
        assert_eq!(of_arguments::<Shape>().get("type"), Some(&json!("object")));
    }

    #[test]
    fn a_result_has_the_shape_that_is_written() {
        let schema = of_result::<Vec<Point>>();
        assert_eq!(schema.get("type"), Some(&json!("array")));
        assert_eq!(
            schema.pointer("/items/properties/y"),
            Some(&json!({ "type": ["number", "null"] }))
        );
    }

    #[test]
    fn a_recursive_type_refers_to_itself() {
        let schema = of_result::<Tree>();
        assert_eq!(schema.pointer("/properties/children/items"), Some(&json!({ "$ref": "#" })));
    }
}
