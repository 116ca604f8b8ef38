//! Repairs what models typically get wrong, where an operator allows it.
//!
//! Only where the schema refuses a value for its type, and only in three ways: a string
//! that holds what is wanted as JSON becomes that (`"5"`, `"true"`, `"[1,2]"`); `null`
//! for a property that takes none becomes an absent property. What the schema takes is
//! never touched, and what is repaired is checked like any other call.

use std::collections::BTreeMap;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, JsonTypeSet, ValidationError, Validator};
use serde::Serialize;

use super::nodes::Exact;
use super::tree::Tree;

/// How often the repaired arguments are looked at again: an object in a string may hold
/// numbers in strings.
const ROUNDS: usize = 3;

/// The most repairs of one call. Whoever needs more is not making the usual mistakes.
const MAX_REPAIRS: usize = 64;

/// One repair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Coercion {
    /// Where, as a JSON pointer; cleaned and cut as in a violation.
    pub path: String,
    /// What it was: `string` or `null`.
    pub from: &'static str,
    /// What it became: a type of JSON Schema, or `absent`.
    pub to: &'static str,
}

/// What takes a value's place.
enum Repair {
    Json(String, &'static str),
    Absent,
}

/// Repairs arguments as far as it can. The text is written anew: white space goes, and
/// every value that was not repaired is what it was, numbers digit by digit. Nothing
/// when there was nothing to repair.
pub(super) fn repair(
    text: &str,
    most_bytes: usize,
    validator: &Validator<Exact>,
) -> Option<(String, Vec<Coercion>)> {
    let mut done = Vec::new();
    let mut current = text.to_owned();
    for _ in 0..ROUNDS {
        let Ok(tree) = Tree::read(&current) else { break };
        let repairs = find(&tree, validator, MAX_REPAIRS - done.len());
        if repairs.is_empty() {
            break;
        }
        let mut next = String::with_capacity(current.len());
        write(&tree, &mut String::new(), &repairs, &mut next);
        // The parts may nest too deep together.
        if next.len() > most_bytes || Tree::read(&next).is_err() {
            break;
        }
        done.extend(repairs.iter().map(|(path, repair)| {
            let (from, to) = match repair {
                Repair::Json(_, to) => ("string", *to),
                Repair::Absent => ("null", "absent"),
            };
            Coercion { path: super::violations::echo(path), from, to }
        }));
        drop(tree);
        current = next;
    }
    (!done.is_empty()).then_some((current, done))
}

fn find(tree: &Tree<'_>, validator: &Validator<Exact>, most: usize) -> BTreeMap<String, Repair> {
    let mut repairs = BTreeMap::new();
    for error in validator.iter_errors(tree) {
        if repairs.len() >= most {
            break;
        }
        let path = error.instance_path().as_str();
        if let Some(repair) = tree.find(path).and_then(|value| repair_of(value, &error, tree)) {
            repairs.insert(path.to_owned(), repair);
        }
    }
    repairs
}

fn repair_of(value: &Tree<'_>, error: &ValidationError<'_>, root: &Tree<'_>) -> Option<Repair> {
    let path = error.instance_path().as_str();
    let wanted = wanted(error.kind(), path)?;
    match value {
        Tree::Null => {
            let (parent, _) = path.rsplit_once('/')?;
            matches!(root.find(parent)?, Tree::Object(_)).then_some(Repair::Absent)
        }
        Tree::Text(text) => {
            let text = text.trim_ascii();
            let to = matching(&Tree::read(text).ok()?, wanted)?;
            Some(Repair::Json(text.to_owned(), to))
        }
        Tree::Bool(_) | Tree::Number(_) | Tree::List(_) | Tree::Object(_) => None,
    }
}

/// The type among the wanted ones that a value has.
fn matching(value: &Tree<'_>, wanted: JsonTypeSet) -> Option<&'static str> {
    if !wanted.contains_value_type::<Exact>(&value) {
        return None;
    }
    Some(
        match value {
            Tree::Null => JsonType::Null,
            Tree::Bool(_) => JsonType::Boolean,
            Tree::Number(_) if wanted.contains(JsonType::Integer) => JsonType::Integer,
            Tree::Number(_) => JsonType::Number,
            Tree::Text(_) => return None,
            Tree::List(_) => JsonType::Array,
            Tree::Object(_) => JsonType::Object,
        }
        .as_str(),
    )
}

/// The types that would do, where a value was refused for nothing but its type: by
/// `type`, or by every branch of `anyOf` or `oneOf`.
#[deny(clippy::wildcard_enum_match_arm)]
fn wanted(kind: &ValidationErrorKind, path: &str) -> Option<JsonTypeSet> {
    use ValidationErrorKind as Kind;
    match kind {
        Kind::Type { kind: TypeKind::Single(one) } => Some(JsonTypeSet::empty().insert(*one)),
        Kind::Type { kind: TypeKind::Multiple(several) } => Some(*several),
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            context.iter().try_fold(JsonTypeSet::empty(), |all, branch| {
                let here =
                    |error: &&ValidationError<'static>| error.instance_path().as_str() == path;
                let types = branch.iter().filter(here).find_map(|error| wanted(error.kind(), path));
                types.map(|types| all.union(types))
            })
        }
        Kind::AdditionalItems { .. }
        | Kind::AdditionalProperties { .. }
        | Kind::BacktrackLimitExceeded { .. }
        | Kind::RegexEngineFailure { .. }
        | Kind::Constant { .. }
        | Kind::Contains
        | Kind::ContentEncoding { .. }
        | Kind::ContentMediaType { .. }
        | Kind::Custom { .. }
        | Kind::Enum { .. }
        | Kind::ExclusiveMaximum { .. }
        | Kind::ExclusiveMinimum { .. }
        | Kind::FalseSchema
        | Kind::Format { .. }
        | Kind::FromUtf8 { .. }
        | Kind::MaxItems { .. }
        | Kind::Maximum { .. }
        | Kind::MaxLength { .. }
        | Kind::MaxProperties { .. }
        | Kind::MinItems { .. }
        | Kind::Minimum { .. }
        | Kind::MinLength { .. }
        | Kind::MinProperties { .. }
        | Kind::MultipleOf { .. }
        | Kind::Not { .. }
        | Kind::OneOfMultipleValid { .. }
        | Kind::Pattern { .. }
        | Kind::PropertyNames { .. }
        | Kind::Required { .. }
        | Kind::UnevaluatedItems { .. }
        | Kind::UnevaluatedProperties { .. }
        | Kind::UniqueItems
        | Kind::Referencing(_) => None,
    }
}

/// Writes a value with the repairs in it. `path` is where it stands.
fn write(tree: &Tree<'_>, path: &mut String, repairs: &BTreeMap<String, Repair>, to: &mut String) {
    if let Some(Repair::Json(text, _)) = repairs.get(path.as_str()) {
        to.push_str(text);
        return;
    }
    let length = path.len();
    match tree {
        Tree::Null => to.push_str("null"),
        Tree::Bool(yes) => to.push_str(if *yes { "true" } else { "false" }),
        Tree::Number(number) => to.push_str(number.text()),
        Tree::Text(text) => quote(text, to),
        Tree::List(items) => {
            to.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    to.push(',');
                }
                path.push_str(&format!("/{at}"));
                write(item, path, repairs, to);
                path.truncate(length);
            }
            to.push(']');
        }
        Tree::Object(object) => {
            to.push('{');
            let mut first = true;
            for (name, value) in object.members() {
                path.push('/');
                path.push_str(&name.replace('~', "~0").replace('/', "~1"));
                if !matches!(repairs.get(path.as_str()), Some(Repair::Absent)) {
                    if !std::mem::take(&mut first) {
                        to.push(',');
                    }
                    quote(name, to);
                    to.push(':');
                    write(value, path, repairs, to);
                }
                path.truncate(length);
            }
            to.push('}');
        }
    }
}

fn quote(text: &str, to: &mut String) {
    to.push_str(&serde_json::Value::from(text).to_string());
}
