//! Schemas, compiled once at load, and the check of a call's arguments against them.
//!
//! A schema comes from a plugin and is hostile: its size is bounded, it cannot
//! reach the network or a file, and its regular expressions cannot backtrack.
//! Violations name the place and the rule, and never repeat a value: an argument
//! may be a secret, and a model does not need to read it twice.

use std::sync::Arc;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::{Value, json};

use crate::auth::Permit;
use crate::catalog::ToolId;
use crate::error::{Code, Error};
use crate::limits::Admitted;

/// The longest schema that is compiled, in bytes. A client carries every schema
/// in its model's context, so a larger one could not be used anyway.
pub const MAX_SCHEMA_BYTES: usize = 64 << 10;

/// How many violations an answer lists. A model repairs the first few at once;
/// more only cost tokens.
const MAX_VIOLATIONS: usize = 8;

/// How many subschemas a schema may have once its references are followed. Each may be
/// looked at for each value, and listing violations looks at all: twenty definitions
/// that each refer twice to the next are a million.
const MAX_EXPANDED: usize = 10_000;

/// Keywords that look at one value in several ways. A schema that refers to itself
/// through one of them doubles its work at each level of a value.
const BRANCHING: &[&str] =
    &["allOf", "anyOf", "oneOf", "not", "if", "contains", "dependentSchemas", "patternProperties"];

/// The longest arguments whose violations are all looked for, in bytes. Of longer ones
/// only the first is, since every wrong item would be listed before the first is told.
const MAX_EXPLAINED_BYTES: usize = 16 << 10;

/// The longest text taken over from a client or a schema into a violation, in
/// characters.
const MAX_ECHO_CHARS: usize = 80;

/// The memory that one regular expression of a schema may take when compiled.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// The memory that all regular expressions of a schema may take when compiled: there is
/// room for 1,500 in one, and a gibibyte for each plugin is too much.
const MAX_PATTERNS_BYTES: usize = 16 << 20;

/// A tool's compiled schemas.
#[derive(Debug)]
pub struct Schemas {
    input: Validator,
    output: Option<Validator>,
}

impl Schemas {
    /// Compiles a tool's input schema and, where it has one, its output schema.
    ///
    /// # Errors
    /// Says which schema was refused, and why.
    pub fn compile(input: &str, output: Option<&str>) -> Result<Self, String> {
        let input_schema = parse_schema(input).map_err(|why| format!("its input schema {why}"))?;
        if input_schema.get("type") != Some(&json!("object")) {
            return Err("its input schema must have \"type\": \"object\" at its root".to_owned());
        }
        Ok(Self {
            input: compile(&input_schema).map_err(|why| format!("its input schema {why}"))?,
            output: output
                .map(|text| parse_schema(text).and_then(|schema| compile(&schema)))
                .transpose()
                .map_err(|why| format!("its output schema {why}"))?,
        })
    }

    /// Whether a structured result matches what the tool declares. A tool that
    /// declares nothing may return anything.
    pub fn accepts_output(&self, structured: &Value) -> bool {
        self.output.as_ref().is_none_or(|schema| schema.is_valid(structured))
    }

    /// Whether the tool declares a structured result, and so owes one.
    pub fn declares_output(&self) -> bool {
        self.output.is_some()
    }
}

/// The compiled schemas of a snapshot's tools.
#[derive(Debug, Default)]
pub struct Validators(Vec<Arc<Schemas>>);

impl Validators {
    /// Takes the schemas in the order of the catalog that they belong to.
    pub fn new(schemas: Vec<Arc<Schemas>>) -> Self {
        Self(schemas)
    }

    /// The schemas of a tool of the same snapshot's catalog.
    pub fn of(&self, tool: ToolId) -> Option<&Schemas> {
        self.0.get(tool.0).map(|schemas| &**schemas)
    }
}

/// Evidence that a call's arguments match its tool's input schema.
///
/// ```compile_fail
/// # use bulkhead::{auth::Permit, limits::Admitted, validation::ValidCall};
/// # fn forge(permit: Admitted<Permit>, arguments: std::sync::Arc<str>) {
/// ValidCall { permit, arguments };
/// # }
/// ```
#[derive(Debug)]
pub struct ValidCall {
    permit: Admitted<Permit>,
    arguments: Arc<str>,
}

impl ValidCall {
    /// Who calls which tool.
    pub fn permit(&self) -> &Permit {
        self.permit.get()
    }

    /// The arguments, byte for byte as the client sent them: a JSON object.
    pub fn arguments(&self) -> &Arc<str> {
        &self.arguments
    }
}

/// Checks a call's arguments against the schema of the tool that was permitted.
///
/// ```compile_fail
/// # fn skip(validators: &bulkhead::validation::Validators, permit: bulkhead::auth::Permit) {
/// // A permit that was not admitted cannot be checked.
/// bulkhead::validation::check(validators, permit, "{}".into());
/// # }
/// ```
/// ```
/// # fn take(validators: &bulkhead::validation::Validators, permit: bulkhead::limits::Admitted<bulkhead::auth::Permit>) {
/// let _ = bulkhead::validation::check(validators, permit, "{}".into());
/// # }
/// ```
///
/// # Errors
/// `INVALID_ARGUMENTS` with up to eight `violations`.
pub fn check(
    validators: &Validators,
    permit: Admitted<Permit>,
    arguments: Arc<str>,
) -> Result<ValidCall, Error> {
    let tool = permit.get().tool();
    let max_input = tool.per_call.max_input;
    if arguments.len() > max_input.as_usize() {
        let message = format!("the arguments are longer than the {max_input} that this tool takes");
        return Err(invalid(vec![violation("", "max_input", &message)]));
    }
    let schemas = validators
        .of(tool.id)
        .ok_or_else(|| Error::internal("a tool without schemas in its snapshot"))?;
    let value: Value = serde_json::from_str(&arguments)
        .map_err(|_| invalid(vec![violation("", "json", "the arguments are not JSON")]))?;
    if let Err(first) = schemas.input.validate(&value) {
        let violations = match arguments.len() {
            ..=MAX_EXPLAINED_BYTES => schemas
                .input
                .iter_errors(&value)
                .take(MAX_VIOLATIONS)
                .map(|error| describe(&error))
                .collect(),
            _ => vec![describe(&first)],
        };
        return Err(invalid(violations));
    }
    Ok(ValidCall { permit, arguments })
}

fn invalid(violations: Vec<Value>) -> Error {
    let first = violations.first().and_then(|violation| {
        let place = violation.get("path")?.as_str().filter(|path| !path.is_empty());
        Some(format!("{}: {}", place.unwrap_or("arguments"), violation.get("message")?.as_str()?))
    });
    let message = match first {
        Some(first) => format!("The arguments do not match the tool's input schema. {first}."),
        None => "The arguments do not match the tool's input schema.".to_owned(),
    };
    Error::new(Code::InvalidArguments, message).detail("violations", violations)
}

fn violation(path: &str, rule: &str, message: &str) -> Value {
    json!({ "path": echo(path), "rule": rule, "message": message })
}

fn describe(error: &ValidationError<'_>) -> Value {
    violation(error.instance_path().as_str(), error.kind().keyword(), &explain(error.kind()))
}

/// Cuts a text that somebody else wrote, and drops what does not print.
fn echo(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_ECHO_CHARS).collect()
}

/// What was wanted, in words. Everything named here comes from the schema, but
/// for the names of properties that it does not know.
#[deny(clippy::wildcard_enum_match_arm)]
fn explain(kind: &ValidationErrorKind) -> String {
    use ValidationErrorKind as Kind;
    match kind {
        Kind::Type { kind: TypeKind::Single(wanted) } => format!("must be of type {wanted}"),
        Kind::Type { kind: TypeKind::Multiple(wanted) } => {
            let wanted: Vec<String> = wanted.iter().map(|one| one.to_string()).collect();
            format!("must be of type {}", wanted.join(" or "))
        }
        Kind::Required { property } => {
            format!("{} is required", echo(property.as_str().unwrap_or("a property")))
        }
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let names: Vec<String> = unexpected.iter().take(3).map(|name| echo(name)).collect();
            format!("unknown property {}", names.join(", "))
        }
        Kind::Enum { options } => format!("must be one of {}", echo(&options.to_string())),
        Kind::Constant { expected_value } => {
            format!("must be {}", echo(&expected_value.to_string()))
        }
        Kind::Minimum { limit } => format!("must be at least {limit}"),
        Kind::Maximum { limit } => format!("must be at most {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("must be more than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Kind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        Kind::MinLength { limit } => format!("must have at least {limit} characters"),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
        Kind::MinItems { limit } => format!("must have at least {limit} items"),
        Kind::MaxItems { limit } => format!("must have at most {limit} items"),
        Kind::AdditionalItems { limit } => format!("must have at most {limit} items"),
        Kind::MinProperties { limit } => format!("must have at least {limit} properties"),
        Kind::MaxProperties { limit } => format!("must have at most {limit} properties"),
        Kind::UniqueItems => "must not hold an item twice".to_owned(),
        Kind::Pattern { pattern } => format!("must match the pattern {}", echo(pattern)),
        Kind::Format { format } => format!("must be a valid {}", echo(format)),
        Kind::AnyOf { .. } => "must match at least one of the allowed forms".to_owned(),
        Kind::OneOfNotValid { .. } => "must match one of the allowed forms".to_owned(),
        Kind::OneOfMultipleValid { .. } => "must match only one of the allowed forms".to_owned(),
        Kind::PropertyNames { .. } => "has a property whose name is not allowed".to_owned(),
        Kind::Contains => "must contain an item of the wanted form".to_owned(),
        Kind::UnevaluatedItems { .. } => "has more items than the schema knows".to_owned(),
        Kind::ContentEncoding { content_encoding } => {
            format!("must be encoded as {}", echo(content_encoding))
        }
        Kind::ContentMediaType { content_media_type } => {
            format!("must hold {}", echo(content_media_type))
        }
        Kind::FalseSchema | Kind::Not { .. } => "is not allowed here".to_owned(),
        Kind::FromUtf8 { .. } => "must be UTF-8 once decoded".to_owned(),
        Kind::BacktrackLimitExceeded { .. }
        | Kind::RegexEngineFailure { .. }
        | Kind::Custom { .. }
        | Kind::Referencing(_) => "could not be checked".to_owned(),
    }
}

fn parse_schema(text: &str) -> Result<Value, String> {
    if text.len() > MAX_SCHEMA_BYTES {
        return Err(format!("is longer than {MAX_SCHEMA_BYTES} bytes"));
    }
    serde_json::from_str(text)
        .map_err(|error| format!("is not JSON (line {}, column {})", error.line(), error.column()))
}

/// Compiles one schema of the default dialect, JSON Schema 2020-12.
fn compile(schema: &Value) -> Result<Validator, String> {
    // `with_draft` would read any other dialect as 2020-12 without a word.
    match schema.get("$schema").map(|dialect| dialect.as_str().unwrap_or_default()) {
        None | Some("https://json-schema.org/draft/2020-12/schema") => {}
        Some(_) => return Err("declares a dialect other than JSON Schema 2020-12".to_owned()),
    }
    if !stands_alone(schema, true) {
        return Err(
            "refers to another document, or holds one: a `$ref` begins with `#` and has no \
                    `%`, and `$id` and `$schema` stand at the root only"
                .to_owned(),
        );
    }
    if !expands_within(schema, schema, &mut Vec::new(), &mut MAX_EXPANDED.clone()) {
        return Err(format!(
            "has more than {MAX_EXPANDED} subschemas once its references are followed, or refers \
             to itself in a way that cannot be checked in bounded time"
        ));
    }
    let each = MAX_PATTERN_BYTES.min(MAX_PATTERNS_BYTES / patterns(schema).max(1));
    let patterns = PatternOptions::regex().size_limit(each).dfa_size_limit(MAX_PATTERN_BYTES);
    jsonschema::options()
        .offline()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(patterns)
        .should_validate_formats(true)
        .build(schema)
        .map_err(|error| {
            let place = echo(error.instance_path().as_str());
            format!("is not a JSON Schema: {} at `{place}`", echo(&error.to_string()))
        })
}

/// How many regular expressions a schema holds.
fn patterns(schema: &Value) -> usize {
    match schema {
        Value::Object(keywords) => {
            let own = |(keyword, value): (&String, &Value)| match (keyword.as_str(), value) {
                ("pattern", Value::String(_)) => 1,
                ("patternProperties", Value::Object(by_pattern)) => by_pattern.len(),
                _ => 0,
            };
            let inner: usize = keywords.values().map(patterns).sum();
            inner + keywords.iter().map(own).sum::<usize>()
        }
        Value::Array(items) => items.iter().map(patterns).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// Whether every reference leads to where [`expands_within`] follows it. The compiler
/// resolves a reference against the `$id` that it stands under and decodes it, and so
/// may find another schema there, or the same one under a second name.
fn stands_alone(schema: &Value, is_root: bool) -> bool {
    match schema {
        Value::Object(keywords) => {
            keywords.iter().all(|(keyword, value)| match (keyword.as_str(), value.as_str()) {
                ("$ref", Some(target)) => target.starts_with('#') && !target.contains('%'),
                ("$id" | "$schema", Some(_)) => is_root,
                _ => stands_alone(value, false),
            })
        }
        Value::Array(items) => items.iter().all(|item| stands_alone(item, false)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// Whether a schema has at most `budget` subschemas with its references followed. A
/// reference to where it came from ends there, unless something on the way branches.
fn expands_within<'a>(
    schema: &'a Value,
    root: &'a Value,
    way: &mut Vec<&'a str>,
    budget: &mut usize,
) -> bool {
    let Some(left) = budget.checked_sub(1) else { return false };
    *budget = left;
    match schema {
        Value::Object(keywords) => keywords.iter().all(|(keyword, value)| match value.as_str() {
            Some(_) if keyword == "$dynamicRef" => false,
            Some(target) if keyword == "$ref" => {
                if way.contains(&target) {
                    return !way.iter().any(|step| BRANCHING.contains(step));
                }
                let pointer = target.strip_prefix('#');
                let Some(found) = pointer.and_then(|pointer| root.pointer(pointer)) else {
                    return false;
                };
                way.push(target);
                let within = expands_within(found, root, way, budget);
                way.pop();
                within
            }
            _ => {
                way.push(keyword);
                let within = expands_within(value, root, way, budget);
                way.pop();
                within
            }
        }),
        Value::Array(items) => items.iter().all(|item| expands_within(item, root, way, budget)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(schema: Value, arguments: Value) -> Vec<(String, String, String)> {
        let schemas = Schemas::compile(&schema.to_string(), None).unwrap();
        let text = |violation: &Value, key: &str| violation[key].as_str().unwrap().to_owned();
        schemas
            .input
            .iter_errors(&arguments)
            .map(|error| describe(&error))
            .map(|one| (text(&one, "path"), text(&one, "rule"), text(&one, "message")))
            .collect()
    }

    #[test]
    fn violations_name_place_and_rule_and_never_a_value() {
        let schema = json!({
            "type": "object",
            "properties": { "id": { "type": "string", "maxLength": 4 }, "n": { "type": "integer", "minimum": 1 } },
            "required": ["id"],
            "additionalProperties": false,
        });
        let rows = [
            (json!({}), "", "required", "id is required"),
            (json!({ "id": 7 }), "/id", "type", "must be of type string"),
            (json!({ "id": "hunter2" }), "/id", "maxLength", "must have at most 4 characters"),
            (json!({ "id": "a", "n": 0 }), "/n", "minimum", "must be at least 1"),
            (
                json!({ "id": "a", "x\u{1b}": "hunter2" }),
                "",
                "additionalProperties",
                "unknown property x",
            ),
        ];
        for (arguments, path, rule, message) in rows {
            let found = violations(schema.clone(), arguments.clone());
            assert_eq!(found, [(path.into(), rule.into(), message.into())], "{arguments}");
        }
        assert!(violations(schema, json!({ "id": "a", "n": 3 })).is_empty());
    }

    #[test]
    fn hostile_schemas_are_refused_at_load() {
        let long =
            format!(r#"{{"type":"object","description":"{}"}}"#, "a".repeat(MAX_SCHEMA_BYTES));
        let rows: [(&str, &str); 8] = [
            ("", "not JSON"),
            ("[]", "\"type\": \"object\""),
            (r#"{"type":"string"}"#, "\"type\": \"object\""),
            (r#"{"type":"object","$schema":"http://json-schema.org/draft-07/schema#"}"#, "dialect"),
            (
                r#"{"type":"object","properties":{"a":{"$ref":"http://127.0.0.1/x.json"}}}"#,
                "another document",
            ),
            (
                r#"{"type":"object","properties":{"a":{"$ref":"file:///etc/passwd"}}}"#,
                "another document",
            ),
            (r#"{"type":"object","properties":{"a":{"pattern":"(a)\\1"}}}"#, "not a JSON Schema"),
            (&long, "longer than"),
        ];
        for (schema, why) in rows {
            let refused = Schemas::compile(schema, None).unwrap_err();
            assert!(refused.contains(why), "{schema:.80}: {refused}");
        }
    }

    #[test]
    fn schemas_that_explode_are_refused_and_trees_are_not() {
        let mut defs = serde_json::Map::new();
        for at in 0..40 {
            let next = json!({ "$ref": format!("#/$defs/a{}", at + 1) });
            defs.insert(format!("a{at}"), json!({ "allOf": [next, next] }));
        }
        defs.insert("a40".to_owned(), json!({ "type": "string" }));
        let reference = json!({ "$ref": "#/$defs/a0" });
        let doubling = json!({ "type": "object", "$defs": defs, "properties": { "a": reference } });
        let itself = json!({ "$ref": "#" });
        let branching = json!({ "type": "object", "anyOf": [
            { "properties": { "a": itself } }, { "properties": { "a": itself } },
        ] });
        for hostile in [doubling, branching] {
            let refused = Schemas::compile(&hostile.to_string(), None).unwrap_err();
            assert!(refused.contains("bounded time"), "{refused}");
        }
        let tree = json!({ "type": "object", "properties": { "children": { "type": "array", "items": itself } } });
        assert!(Schemas::compile(&tree.to_string(), None).is_ok());
    }

    #[test]
    fn a_reference_leads_where_it_seems_to() {
        // To the compiler, each of these is the schema itself, through a branch.
        let hidden = |target: &str, base: &str| {
            let branch = json!({ "properties": { "a": { "$ref": target } } });
            json!({ "type": "object", "$id": base, "$defs": { "%61": true }, "anyOf": [branch, branch] })
        };
        let percent =
            json!({ "type": "object", "$ref": "#/$defs/%61", "$defs": { "%61": true, "a": {} } });
        let inner =
            json!({ "type": "object", "$defs": { "a": { "$id": "http://x/y", "$ref": "#" } } });
        let dialect = json!({ "type": "object", "not": { "$schema": "http://json-schema.org/draft-04/schema#" } });
        for hostile in [
            hidden("", "http://x/r"),
            hidden("r", "http://x/r"),
            hidden("http://x/r", "http://x/r"),
            hidden("json-schema:///", "json-schema:///"),
            percent,
            inner,
            dialect,
        ] {
            let refused = Schemas::compile(&hostile.to_string(), None).unwrap_err();
            assert!(refused.contains("another document"), "{hostile}: {refused}");
        }
        let named = json!({ "type": "object", "$id": "http://x/r", "properties": { "$id": { "type": "string" } } });
        assert!(Schemas::compile(&named.to_string(), None).is_ok());
    }

    #[test]
    fn the_patterns_of_a_schema_share_their_memory() {
        let with = |pattern: &str, count: u32| {
            let numbered =
                |at: u32| (at.to_string(), json!({ "pattern": format!("{pattern}{at}") }));
            let properties: serde_json::Map<_, _> = (0..count).map(numbered).collect();
            Schemas::compile(
                &json!({ "type": "object", "properties": properties }).to_string(),
                None,
            )
        };
        assert!(with(r"\w{600}", 1).is_ok());
        assert!(with("^[a-z]{1,8}", 1_200).is_ok());
        let refused = with(r"\w{600}", 1_200).unwrap_err();
        assert!(refused.contains("not a JSON Schema"), "{refused}");
    }

    #[test]
    fn output_is_checked_only_where_it_is_declared() {
        let input = r#"{"type":"object"}"#;
        let open = Schemas::compile(input, None).unwrap();
        assert!(open.accepts_output(&json!([1])) && !open.declares_output());
        let strict = Schemas::compile(input, Some(r#"{"type":"array"}"#)).unwrap();
        assert!(strict.accepts_output(&json!([1])) && !strict.accepts_output(&json!({})));
    }
}
