//! `unknown_properties = "refuse"`: what a schema does not describe is not taken.
//!
//! JSON Schema takes any property that a schema does not mention, and so a typo in an
//! optional property's name is a call that does something else than its model believes.
//!
//! The rule: wherever a schema describes an object and says nothing about additional
//! properties, the object has only properties that are described *there*: by the schema
//! itself, or by one that sees the same object, through `$ref`, `allOf`, `anyOf`, `oneOf`,
//! `then`, `else` or `dependentSchemas`, where that one matches. That is what
//! `unevaluatedProperties: false` says, and it is added to each place where a value is
//! described, not to definitions and branches, which would then refuse each other's.
//! A schema describes an object when it, or one that sees the same object, says
//! `type: object` or has `properties`, `patternProperties` or `required`.
//!
//! What only asks (`not`, `if`, `contains`, `propertyNames`) stays as it was: stricter,
//! it would answer differently, and take what was refused.

use serde_json::{Map, Value};

use super::schema::in_place;

/// Where the schema stands as it was, for those who only ask.
const AS_IT_WAS: &str = "io.bulkhead.as-it-was";

/// Keywords that describe another value than the one that they stand beside: one schema.
const INNER: &[&str] =
    &["additionalProperties", "unevaluatedProperties", "items", "unevaluatedItems"];

/// The same, one schema for each name.
const INNER_BY_NAME: &[&str] = &["properties", "patternProperties"];

/// Keywords that say what an object may hold besides what is named.
const SAYS_IT: &[&str] = &["additionalProperties", "unevaluatedProperties"];

/// Keywords that speak of objects.
const OF_OBJECTS: &[&str] = &["properties", "patternProperties", "required"];

/// Closes every object that the schema describes.
///
/// # Errors
/// When it refers to a place that is no definition and would be read differently there.
pub(super) fn close(schema: &Value) -> Result<Value, String> {
    let mut closing = Closing { root: schema, needs_original: false };
    let mut closed = schema.clone();
    closing.value(&mut closed)?;
    if closing.needs_original {
        let mut original = schema.clone();
        redirect(&mut original);
        if let Some(keywords) = closed.as_object_mut() {
            let defs = keywords.entry("$defs").or_insert_with(|| Value::Object(Map::new()));
            if let Some(defs) = defs.as_object_mut() {
                // A document's own name and dialect stand at its root alone.
                if let Some(original) = original.as_object_mut() {
                    original.remove("$id");
                    original.remove("$schema");
                }
                defs.insert(AS_IT_WAS.to_owned(), original);
            }
        }
    }
    Ok(closed)
}

struct Closing<'a> {
    root: &'a Value,
    needs_original: bool,
}

impl Closing<'_> {
    /// A schema that stands where a value is described.
    fn value(&mut self, schema: &mut Value) -> Result<(), String> {
        let describes = in_place(schema, self.root).iter().any(|keywords| {
            let of_objects = |keyword: &&str| keywords.contains_key(*keyword);
            says_object(keywords.get("type")) || OF_OBJECTS.iter().any(of_objects)
        });
        self.parts(schema)?;
        if let (true, Value::Object(keywords)) = (describes, schema)
            && !SAYS_IT.iter().any(|keyword| keywords.contains_key(*keyword))
        {
            let alone =
                !super::schema::IN_PLACE.iter().any(|keyword| keywords.contains_key(*keyword));
            // The same where nothing else sees the object, and cheaper.
            let keyword = if alone { "additionalProperties" } else { "unevaluatedProperties" };
            keywords.insert(keyword.to_owned(), Value::Bool(false));
        }
        Ok(())
    }

    /// What stands inside of a schema that is a definition, a branch, or closed above.
    fn parts(&mut self, schema: &mut Value) -> Result<(), String> {
        let Value::Object(keywords) = schema else { return Ok(()) };
        for (keyword, value) in keywords {
            match (keyword.as_str(), value) {
                ("$ref", Value::String(target)) if !leads_to_definition(target) => {
                    return Err(format!(
                        "refers to `{}`, and with `unknown_properties = \"refuse\"` a `$ref` leads to \
                         `#` or into `$defs`",
                        super::violations::echo(target)
                    ));
                }
                ("prefixItems", Value::Array(all)) => {
                    all.iter_mut().try_for_each(|inner| self.value(inner))?;
                }
                (inner, value @ Value::Object(_)) if INNER.contains(&inner) => self.value(value)?,
                (inner, Value::Object(by_name)) if INNER_BY_NAME.contains(&inner) => {
                    by_name.values_mut().try_for_each(|inner| self.value(inner))?;
                }
                ("allOf" | "anyOf" | "oneOf", Value::Array(all)) => {
                    all.iter_mut().try_for_each(|branch| self.parts(branch))?;
                }
                ("$defs" | "definitions" | "dependentSchemas", Value::Object(by_name)) => {
                    by_name.values_mut().try_for_each(|part| self.parts(part))?;
                }
                ("then" | "else", part) => self.parts(part)?,
                ("not" | "if" | "contains" | "propertyNames", asking) => {
                    self.needs_original |= redirect(asking);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn says_object(kind: Option<&Value>) -> bool {
    match kind {
        Some(Value::String(one)) => one == "object",
        Some(Value::Array(several)) => several.iter().any(|one| one == "object"),
        _ => false,
    }
}

/// Whether a reference leads to the root, which is closed wherever it is met, or to a
/// definition, which is closed by whoever refers to it.
fn leads_to_definition(target: &str) -> bool {
    let definition =
        target.strip_prefix("#/$defs/").or_else(|| target.strip_prefix("#/definitions/"));
    target == "#" || definition.is_some_and(|name| !name.contains('/'))
}

/// Points every reference to the schema as it was; whether there was one.
fn redirect(schema: &mut Value) -> bool {
    match schema {
        Value::Object(keywords) => keywords.iter_mut().fold(false, |any, (keyword, value)| {
            let here = match (keyword.as_str(), &mut *value) {
                ("$ref", Value::String(target)) => {
                    let pointer = target.strip_prefix('#').unwrap_or_default();
                    *target = format!("#/$defs/{AS_IT_WAS}{pointer}");
                    true
                }
                _ => redirect(value),
            };
            any | here
        }),
        Value::Array(items) => items.iter_mut().fold(false, |any, item| any | redirect(item)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
