//! From shapes to JSON Schema 2020-12.
//!
//! Everything is written out where it stands, without references: many models and
//! clients do not follow them.

use serde_json::{Map, Value, json};

use super::shape::{Case, Field, Shape};

/// What the bytes of a `list<u8>` look like: what [`super::from_json`] decodes.
const BASE64: &str = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$";

/// The schema of an object with these properties and no others. An option may be left
/// out.
pub(super) fn object(fields: &[Field]) -> Value {
    let property = |field: &Field| {
        let schema = described(schema(&field.shape), field.doc.as_deref());
        (field.name.clone(), schema)
    };
    let required = |field: &&Field| !field.shape.is_option();
    let properties: Map<String, Value> = fields.iter().map(property).collect();
    let required: Vec<&str> =
        fields.iter().filter(required).map(|field| field.name.as_str()).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// The schema of an object with one property, which it must have.
fn only(name: &str, value: Value) -> Value {
    json!({
        "type": "object",
        "properties": { name: value },
        "required": [name],
        "additionalProperties": false,
    })
}

/// The schema of a result that is no object: an object that holds it.
pub(super) fn wrapped(shape: &Shape) -> Value {
    only("result", schema(shape))
}

/// The schema of a shape. Its depth is bounded where shapes are made.
pub(super) fn schema(shape: &Shape) -> Value {
    match shape {
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::Integer(integer) => {
            let (least, greatest) = integer.range();
            json!({ "type": "integer", "minimum": least, "maximum": greatest })
        }
        // As a result is written: the shortest text of the greatest `f32`.
        Shape::Float32 => {
            json!({ "type": "number", "minimum": -3.4028235e38, "maximum": 3.4028235e38 })
        }
        Shape::Float64 => json!({ "type": "number" }),
        Shape::Char => json!({ "type": "string", "minLength": 1, "maxLength": 1 }),
        Shape::String => json!({ "type": "string" }),
        Shape::Bytes => {
            json!({ "type": "string", "contentEncoding": "base64", "pattern": BASE64 })
        }
        Shape::List(element) => json!({ "type": "array", "items": schema(element) }),
        Shape::Tuple(items) => json!({
            "type": "array",
            "prefixItems": items.iter().map(schema).collect::<Vec<_>>(),
            "items": false,
            "minItems": items.len(),
        }),
        Shape::Record { doc, fields } => described(object(fields), doc.as_deref()),
        Shape::Variant { doc, cases } => variant(doc.as_deref(), cases),
        Shape::Enum { doc, cases } => names(doc.as_deref(), cases.iter()),
        Shape::Flags { doc, cases } => {
            let flag = names(None, cases.iter());
            let flags = json!({ "type": "array", "items": flag, "uniqueItems": true });
            described(flags, doc.as_deref())
        }
        Shape::Option(inner) if inner.is_option() => or_null(only("some", schema(inner))),
        Shape::Option(inner) => or_null(schema(inner)),
        Shape::Result(ok, error) => {
            let arm = |name, shape: &Option<Box<Shape>>| {
                let value = shape.as_ref().map_or_else(|| json!({ "type": "null" }), |s| schema(s));
                only(name, value)
            };
            json!({ "oneOf": [arm("ok", ok), arm("error", error)] })
        }
    }
}

/// A case without payload is its name, and one with payload an object that holds it
/// under its name.
fn variant(doc: Option<&str>, cases: &[Case]) -> Value {
    let mut forms = Vec::new();
    let bare: Vec<&Case> = cases.iter().filter(|case| case.payload.is_none()).collect();
    if !bare.is_empty() {
        forms.push(names(None, bare.into_iter()));
    }
    for case in cases {
        if let Some(payload) = &case.payload {
            forms.push(described(only(&case.name, schema(payload)), case.doc.as_deref()));
        }
    }
    described(json!({ "oneOf": forms }), doc)
}

/// One of some names. JSON Schema has no place for what each of them means, and so the
/// description lists it.
fn names<'a>(doc: Option<&str>, cases: impl Iterator<Item = &'a Case> + Clone) -> Value {
    let all: Vec<&str> = cases.clone().map(|case| case.name.as_str()).collect();
    let told = cases.filter_map(|case| Some(format!("`{}`: {}", case.name, case.doc.as_ref()?)));
    let lines: Vec<String> = doc.map(str::to_owned).into_iter().chain(told).collect();
    let doc = (!lines.is_empty()).then(|| lines.join("\n"));
    described(json!({ "type": "string", "enum": all }), doc.as_deref())
}

/// Also allows `null`.
fn or_null(mut schema: Value) -> Value {
    let fixed = schema.get("enum").is_some();
    match schema.get_mut("type") {
        Some(Value::String(name)) if !fixed => {
            let both = json!([std::mem::take(name), "null"]);
            if let Some(keywords) = schema.as_object_mut() {
                keywords.insert("type".to_owned(), both);
            }
            schema
        }
        _ => json!({ "anyOf": [schema, { "type": "null" }] }),
    }
}

/// Puts what its author wrote before what the schema says of itself.
fn described(mut schema: Value, doc: Option<&str>) -> Value {
    if let (Some(doc), Some(keywords)) = (doc, schema.as_object_mut()) {
        let text = match keywords.get("description").and_then(Value::as_str) {
            Some(more) => format!("{doc}\n{more}"),
            None => doc.to_owned(),
        };
        keywords.insert("description".to_owned(), Value::String(text));
    }
    schema
}
