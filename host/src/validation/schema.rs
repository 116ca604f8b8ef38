//! From a schema's text to a validator, with bounds on everything that it may cost.
//!
//! A schema comes from a plugin and is hostile. What is refused here is refused at load,
//! so that a call meets only schemas whose check is known to be bounded.

use std::borrow::Cow;

use jsonschema::json::Json;
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::{Map, Value};

use super::bounds;
use super::number::Number;
use super::tree::Tree;
use super::violations::echo;
use crate::json::{JsonFault, MAX_DEPTH};

/// The longest schema that is compiled, in bytes. A client carries every schema
/// in its model's context, so a larger one could not be used anyway.
pub const MAX_SCHEMA_BYTES: usize = 64 << 10;

/// How many subschemas a schema may have once its references are followed. Each may be
/// looked at for each value, and listing violations looks at all: twenty definitions
/// that each refer twice to the next are a million.
pub(super) const MAX_EXPANDED: usize = 10_000;

/// Keywords that look at one value in several ways. A schema that refers to itself
/// through one of them doubles its work at each level of a value.
const BRANCHING: &[&str] =
    &["allOf", "anyOf", "oneOf", "not", "if", "contains", "dependentSchemas", "patternProperties"];

/// Keywords whose schemas see the same value as the schema that they stand in.
pub(super) const IN_PLACE: &[&str] =
    &["allOf", "anyOf", "oneOf", "if", "then", "else", "dependentSchemas", "$ref"];

/// Keywords that look once more at what the schemas in place looked at.
const LOOKING_AGAIN: &[&str] = &["unevaluatedProperties", "unevaluatedItems"];

/// The memory that one regular expression of a schema may take when compiled.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// The memory that all regular expressions of a schema may take when compiled: there is
/// room for 1,500 in one, and a gibibyte for each plugin is too much.
const MAX_PATTERNS_BYTES: usize = 16 << 20;

/// The dialect that is served, and what a schema that names none is.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Reads a schema, exactly or not at all.
pub(super) fn read(text: &str) -> Result<Value, String> {
    if text.len() > MAX_SCHEMA_BYTES {
        return Err(format!("is longer than {MAX_SCHEMA_BYTES} bytes"));
    }
    let tree = Tree::read(text).map_err(|fault| match fault {
        JsonFault::NotJson { line, column } => {
            format!("is not JSON (line {line}, column {column})")
        }
        JsonFault::TooDeep => format!("nests deeper than {MAX_DEPTH}"),
        JsonFault::DuplicateKey => "has the same key twice in one object".to_owned(),
    })?;
    value_of(&tree)
}

/// The tree as the compiler takes it. A number that it cannot hold would become another
/// one, and `const` or `maximum` would then say what nobody wrote.
fn value_of(tree: &Tree<'_>) -> Result<Value, String> {
    Ok(match tree {
        Tree::Null => Value::Null,
        Tree::Bool(yes) => Value::Bool(*yes),
        Tree::Number(number) => Value::Number(number_of(number)?),
        Tree::Text(text) => Value::String(text.clone().into_owned()),
        Tree::List(items) => Value::Array(items.iter().map(value_of).collect::<Result<_, _>>()?),
        Tree::Object(object) => {
            let member = |(name, value): &(Cow<'_, str>, Tree<'_>)| {
                value_of(value).map(|value| (name.clone().into_owned(), value))
            };
            Value::Object(object.members().iter().map(member).collect::<Result<_, _>>()?)
        }
    })
}

fn number_of(number: &Number<'_>) -> Result<serde_json::Number, String> {
    let read: Option<serde_json::Number> = serde_json::from_str(number.text()).ok();
    read.filter(|read| number.equals(read)).ok_or_else(|| {
        "holds a number that is not kept exactly: an integer beyond 64 bits, or more than 17 digits"
            .to_owned()
    })
}

/// Compiles one schema of the default dialect, JSON Schema 2020-12.
pub(super) fn compile<F: Json>(schema: &Value) -> Result<Validator<F>, String> {
    // `with_draft` would read any other dialect as 2020-12 without a word.
    match schema.get("$schema").map(|dialect| dialect.as_str().unwrap_or_default()) {
        None => {}
        Some(dialect) if dialect.strip_suffix('#').unwrap_or(dialect) == DIALECT => {}
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
    let options = jsonschema::options_for::<F>()
        .offline()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(patterns)
        .should_validate_formats(true);
    bounds::exact(options).build(schema).map_err(|error| {
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

/// A step on the way to a subschema. A property may be named like a reference.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step<'a> {
    Keyword(&'a str),
    Reference(&'a str),
}

/// Whether a schema has at most `budget` subschemas with its references followed. A
/// reference to where it came from ends there, unless something since then branches.
fn expands_within<'a>(
    schema: &'a Value,
    root: &'a Value,
    way: &mut Vec<Step<'a>>,
    budget: &mut usize,
) -> bool {
    let Some(left) = budget.checked_sub(1) else { return false };
    *budget = left;
    match schema {
        Value::Object(keywords) => {
            let again = LOOKING_AGAIN.iter().any(|keyword| keywords.contains_key(*keyword));
            keywords.iter().all(|(keyword, value)| {
                let looks = if again && IN_PLACE.contains(&keyword.as_str()) { 2 } else { 1 };
                (0..looks).all(|_| keyword_expands_within(keyword, value, root, way, budget))
            })
        }
        Value::Array(items) => items.iter().all(|item| expands_within(item, root, way, budget)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

fn keyword_expands_within<'a>(
    keyword: &'a str,
    value: &'a Value,
    root: &'a Value,
    way: &mut Vec<Step<'a>>,
    budget: &mut usize,
) -> bool {
    match value.as_str() {
        Some(_) if keyword == "$dynamicRef" => false,
        Some(target) if keyword == "$ref" => {
            let reference = Step::Reference(target);
            if way.contains(&reference) {
                let since = way.iter().rev().take_while(|step| **step != reference);
                let branches = |step: &Step<'_>| match step {
                    Step::Keyword(keyword) => BRANCHING.contains(keyword),
                    Step::Reference(_) => false,
                };
                return !since.into_iter().any(branches);
            }
            let Some(found) = follow(target, root) else { return false };
            way.push(reference);
            let within = expands_within(found, root, way, budget);
            way.pop();
            within
        }
        _ => {
            way.push(Step::Keyword(keyword));
            let within = expands_within(value, root, way, budget);
            way.pop();
            within
        }
    }
}

/// What a reference within a schema leads to.
pub(super) fn follow<'a>(target: &str, root: &'a Value) -> Option<&'a Value> {
    root.pointer(target.strip_prefix('#')?)
}

/// The schemas that see the same value as this one, itself first: what it refers to, and
/// what stands in `allOf` and its siblings. Each once, whatever refers to what.
pub(super) fn in_place<'a>(schema: &'a Value, root: &'a Value) -> Vec<&'a Map<String, Value>> {
    let mut found: Vec<&Map<String, Value>> = Vec::new();
    let mut left = vec![schema];
    while let Some(schema) = left.pop() {
        let Value::Object(keywords) = schema else { continue };
        if found.len() >= MAX_EXPANDED || found.iter().any(|seen| std::ptr::eq(*seen, keywords)) {
            continue;
        }
        found.push(keywords);
        // Pushed in reverse, so that what is written first is looked at first.
        for keyword in IN_PLACE.iter().rev() {
            match (*keyword, keywords.get(*keyword)) {
                ("$ref", Some(Value::String(target))) => left.extend(follow(target, root)),
                ("allOf" | "anyOf" | "oneOf", Some(Value::Array(all))) => {
                    left.extend(all.iter().rev())
                }
                ("dependentSchemas", Some(Value::Object(by_name))) => {
                    left.extend(by_name.values().rev())
                }
                (_, Some(one @ Value::Object(_))) => left.push(one),
                _ => {}
            }
        }
    }
    found
}
