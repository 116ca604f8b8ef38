//! What was wrong with a call, said so that a model can repair it in one try.
//!
//! A violation names the place, the rule, and what was wanted. It never repeats a value:
//! an argument may be a secret, and a model does not need to read it twice. What it adds
//! comes from the schema; of what a client sent, only the names of properties that the
//! schema does not know are repeated, cleaned and cut.

use std::collections::BTreeMap;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, ValidationError, Validator};
use serde_json::{Map, Value, json};

use super::nodes::Exact;
use super::schema::{follow, in_place};
use super::tree::Tree;
use crate::config::nearest;
use crate::error::{Code, Error};

/// How many violations an answer lists. A model repairs the first few at once;
/// more only cost tokens.
pub(super) const MAX_VIOLATIONS: usize = 8;

/// The longest arguments whose violations are all looked for, in bytes. Of longer ones
/// only the first is, since every wrong item would be listed before the first is told.
pub(super) const MAX_EXPLAINED_BYTES: usize = 16 << 10;

/// The longest text taken over from a client or a schema into a violation, in
/// characters.
const MAX_ECHO_CHARS: usize = 80;

/// The longest hint, in bytes.
const MAX_HINT_BYTES: usize = 512;

/// How much all hints of an answer take, in bytes; an answer holds them three times.
const MAX_HINTS_BYTES: usize = 2_048;

/// How many names or values a hint lists, and how many branches it looks at.
const MAX_LISTED: usize = 24;
const MAX_BRANCHES: usize = 4;

/// How deep a hint describes what is wanted.
const MAX_DESCRIBED: usize = 3;

/// The refusal of arguments that the schema does not take.
pub(super) fn refusal(
    text: &str,
    tree: &Tree<'_>,
    validator: &Validator<Exact>,
    schema: &Value,
) -> Error {
    let explain = |error: &ValidationError<'_>| describe(error, tree, schema);
    let mut violations: Vec<Value> = if text.len() <= MAX_EXPLAINED_BYTES {
        validator.iter_errors(tree).take(MAX_VIOLATIONS).map(|error| explain(&error)).collect()
    } else {
        validator.validate(tree).err().iter().map(explain).collect()
    };
    bound(&mut violations);
    invalid(violations)
}

/// Where a value breaks which rule, in short.
pub(super) fn place(error: &ValidationError<'_>) -> (String, String) {
    (echo(error.instance_path().as_str()), error.kind().keyword().to_owned())
}

/// An `INVALID_ARGUMENTS` with these violations.
pub(super) fn invalid(violations: Vec<Value>) -> Error {
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

/// One violation without hints.
pub(super) fn violation(path: &str, rule: &str, message: &str) -> Value {
    json!({ "path": echo(path), "rule": rule, "message": message })
}

/// Cuts a text that somebody else wrote, and drops what does not print.
pub(super) fn echo(text: &str) -> String {
    crate::text::clean_text(text).chars().filter(|c| !c.is_control()).take(MAX_ECHO_CHARS).collect()
}

/// Drops the hints that would make an answer long.
fn bound(violations: &mut [Value]) {
    let mut left = MAX_HINTS_BYTES;
    for violation in violations.iter_mut().filter_map(Value::as_object_mut) {
        violation.retain(|key, value| {
            if matches!(key.as_str(), "path" | "rule" | "message") {
                return true;
            }
            let size = value.to_string().len();
            let fits = size <= MAX_HINT_BYTES && size <= left;
            left -= if fits { size } else { 0 };
            fits
        });
    }
}

pub(super) fn describe(error: &ValidationError<'_>, tree: &Tree<'_>, schema: &Value) -> Value {
    let kind = error.kind();
    let path = error.instance_path().as_str();
    let mut told = Map::new();
    told.insert("path".to_owned(), echo(path).into());
    // The keyword is the last step; what it stands in is the schema that refused.
    let (place, step) = error.schema_path().as_str().rsplit_once('/').unwrap_or_default();
    let takes_none = matches!(kind, ValidationErrorKind::FalseSchema)
        && matches!(step, "unevaluatedProperties" | "additionalProperties");
    let (rule, message) = if takes_none {
        (step, "takes no properties".to_owned())
    } else {
        (kind.keyword(), explain(kind))
    };
    told.insert("rule".to_owned(), rule.into());
    told.insert("message".to_owned(), message.into());
    let there = schema.pointer(place);
    let context = Context { schema, there, value: tree.find(path), path };
    context.hint(kind, &mut told);
    Value::Object(told)
}

/// What is known of the place of a violation.
struct Context<'a> {
    schema: &'a Value,
    there: Option<&'a Value>,
    value: Option<&'a Tree<'a>>,
    path: &'a str,
}

impl Context<'_> {
    /// Adds what would be right.
    #[deny(clippy::wildcard_enum_match_arm)]
    fn hint(&self, kind: &ValidationErrorKind, told: &mut Map<String, Value>) {
        use ValidationErrorKind as Kind;
        match kind {
            Kind::Required { property } => {
                let known = self.properties();
                let name = property.as_str().unwrap_or_default();
                if let Some(wanted) = known.get(name) {
                    told.extend(expected(wanted, self.schema));
                    told.extend(description(wanted, self.schema));
                }
                // What was sent instead, if it looks like it.
                let sent = self.sent().filter(|sent| !known.contains_key(sent));
                if let Some(meant) = alike(name, sent.collect::<Vec<_>>().into_iter()) {
                    told.insert("insteadOf".to_owned(), echo(meant).into());
                }
            }
            Kind::AdditionalProperties { unexpected }
            | Kind::UnevaluatedProperties { unexpected } => {
                let known = self.properties();
                let names = || known.keys().copied();
                let missing = |name: &&str| !self.sent().any(|sent| sent == *name);
                let meant = unexpected.iter().take(MAX_BRANCHES).find_map(|unknown| {
                    alike(unknown, names().filter(missing)).or_else(|| alike(unknown, names()))
                });
                if let Some(meant) = meant {
                    told.insert("didYouMean".to_owned(), echo(meant).into());
                }
                let listed: Vec<String> = names().take(MAX_LISTED).map(echo).collect();
                told.insert("known".to_owned(), listed.into());
            }
            Kind::Enum { options } => {
                if let Some(options) = options.as_array() {
                    told.insert("allowed".to_owned(), allowed(options));
                }
            }
            Kind::Constant { expected_value } => {
                told.insert("allowed".to_owned(), allowed(std::slice::from_ref(&**expected_value)));
            }
            Kind::Type { .. } => {
                if let Some(value) = self.value {
                    told.insert("found".to_owned(), type_of(value).into());
                }
                told.extend(self.there.and_then(|there| description(there, self.schema)));
            }
            Kind::Format { format } => {
                if let Some(example) = example(format) {
                    told.insert("example".to_owned(), example.into());
                }
            }
            Kind::Pattern { pattern } => {
                told.insert("pattern".to_owned(), crate::text::clean_line(pattern, 400).into());
                told.extend(self.there.and_then(|there| description(there, self.schema)));
            }
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                told.insert("forms".to_owned(), self.forms(context));
                if let Some(value) = self.value {
                    told.insert("found".to_owned(), type_of(value).into());
                }
            }
            Kind::PropertyNames { error } => {
                told.insert("names".to_owned(), explain(error.kind()).into());
            }
            Kind::AdditionalItems { .. }
            | Kind::BacktrackLimitExceeded { .. }
            | Kind::RegexEngineFailure { .. }
            | Kind::Contains
            | Kind::ContentEncoding { .. }
            | Kind::ContentMediaType { .. }
            | Kind::Custom { .. }
            | Kind::ExclusiveMaximum { .. }
            | Kind::ExclusiveMinimum { .. }
            | Kind::FalseSchema
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
            | Kind::UnevaluatedItems { .. }
            | Kind::UniqueItems
            | Kind::Referencing(_) => {}
        }
    }

    /// The properties that are described here, each by the first schema that does.
    fn properties(&self) -> BTreeMap<&str, &Value> {
        let mut all = BTreeMap::new();
        let Some(there) = self.there else { return all };
        for keywords in in_place(there, self.schema) {
            let described = keywords.get("properties").and_then(Value::as_object);
            for (name, wanted) in described.into_iter().flatten() {
                all.entry(name.as_str()).or_insert(wanted);
            }
        }
        all
    }

    /// The names of the properties that were sent here.
    fn sent(&self) -> impl Iterator<Item = &str> {
        let members = match self.value {
            Some(Tree::Object(object)) => object.members(),
            _ => &[],
        };
        members.iter().take(1_000).map(|(name, _)| name.as_ref())
    }

    /// Why each branch refused, in its first words.
    fn forms(&self, context: &[Vec<ValidationError<'static>>]) -> Value {
        let first = |branch: &Vec<ValidationError<'static>>| {
            let error = branch.first()?;
            let place = error.instance_path().as_str();
            let place = place.strip_prefix(self.path).unwrap_or(place);
            let message = explain(error.kind());
            Some(if place.is_empty() { message } else { format!("{}: {message}", echo(place)) })
        };
        context.iter().take(MAX_BRANCHES).filter_map(first).collect()
    }
}

/// The name among the known ones that was probably meant: but for its spelling, or for a
/// letter or two.
fn alike<'k>(unknown: &str, known: impl Iterator<Item = &'k str> + Clone) -> Option<&'k str> {
    let plain = |name: &str| -> String {
        let letters = name.chars().take(64).filter(|c| c.is_alphanumeric());
        letters.flat_map(char::to_lowercase).collect()
    };
    let own = plain(unknown);
    let same = known.clone().find(|name| !own.is_empty() && plain(name) == own);
    same.or_else(|| nearest(unknown, known))
}

/// The values of `enum` or `const`, as many as are short.
fn allowed(options: &[Value]) -> Value {
    let mut left = MAX_HINT_BYTES / 2;
    let short = |value: &&Value| {
        let size = value.to_string().len();
        let fits = size <= left;
        left = left.saturating_sub(size);
        fits
    };
    let clean = |value: &Value| match value {
        Value::String(text) => Value::String(echo(text)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.clone()
        }
    };
    options.iter().take(MAX_LISTED).take_while(short).map(clean).collect()
}

/// What a schema wants, in words: `integer, at least 1`.
fn expected(schema: &Value, root: &Value) -> Option<(String, Value)> {
    let words = words(schema, root, MAX_DESCRIBED)?;
    Some(("expected".to_owned(), crate::text::clean_line(&words, 200).into()))
}

fn words(schema: &Value, root: &Value, depth: usize) -> Option<String> {
    let depth = depth.checked_sub(1)?;
    let listed = |all: &[Value]| {
        let all = allowed(all);
        let all: Vec<String> = all.as_array()?.iter().map(Value::to_string).collect();
        (!all.is_empty()).then(|| all.join(" or "))
    };
    if let Some(options) = schema.get("enum").and_then(Value::as_array) {
        return listed(options);
    }
    if let Some(value) = schema.get("const") {
        return listed(std::slice::from_ref(value));
    }
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        return words(follow(target, root)?, root, depth);
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(branches) = schema.get(keyword).and_then(Value::as_array) {
            let all: Vec<String> = branches
                .iter()
                .take(MAX_BRANCHES)
                .filter_map(|branch| words(branch, root, depth))
                .collect();
            return (!all.is_empty()).then(|| all.join(" or "));
        }
    }
    let mut text = match schema.get("type")? {
        Value::String(one) => one.clone(),
        Value::Array(several) => {
            several.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or ")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    };
    if let Some(items) = schema.get("items").and_then(|items| words(items, root, depth)) {
        text = format!("{text} of {items}");
    }
    for (keyword, says) in [
        ("format", "as"),
        ("minimum", "at least"),
        ("exclusiveMinimum", "more than"),
        ("maximum", "at most"),
        ("exclusiveMaximum", "less than"),
        ("multipleOf", "a multiple of"),
        ("minLength", "characters at least"),
        ("maxLength", "characters at most"),
        ("pattern", "matching"),
    ] {
        match schema.get(keyword) {
            Some(Value::String(limit)) => text = format!("{text}, {says} {limit}"),
            Some(Value::Number(limit)) => text = format!("{text}, {says} {limit}"),
            _ => {}
        }
    }
    Some(text)
}

/// What a schema's author says about the value, where that is short.
fn description(schema: &Value, root: &Value) -> Option<(String, Value)> {
    let own = |schema: &Value| Some(schema.get("description")?.as_str()?.to_owned());
    let target = || follow(schema.get("$ref")?.as_str()?, root);
    let text = own(schema).or_else(|| own(target()?))?;
    let short = text.len() <= 2 * MAX_ECHO_CHARS;
    short.then(|| ("description".to_owned(), crate::text::clean_line(&text, 160).into()))
}

fn type_of(value: &Tree<'_>) -> &'static str {
    match value {
        Tree::Null => "null",
        Tree::Bool(_) => "boolean",
        Tree::Number(_) => "number",
        Tree::Text(_) => "string",
        Tree::List(_) => "array",
        Tree::Object(_) => "object",
    }
}

/// A value of one of the common formats.
fn example(format: &str) -> Option<&'static str> {
    Some(match format {
        "date" => "2026-01-31",
        "time" => "12:30:00Z",
        "date-time" => "2026-01-31T12:30:00Z",
        "duration" => "P1DT12H",
        "email" | "idn-email" => "name@example.com",
        "hostname" | "idn-hostname" => "www.example.com",
        "ipv4" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        "uri" | "iri" => "https://example.com/a",
        "uri-reference" | "iri-reference" => "/a?b=c",
        "uri-template" => "https://example.com/{id}",
        "uuid" => "123e4567-e89b-12d3-a456-426614174000",
        "json-pointer" => "/a/0",
        "relative-json-pointer" => "1/a",
        "regex" => "^[a-z]+$",
        _ => return None,
    })
}

/// What was wanted, in words. Everything named here comes from the schema, but
/// for the names of properties that it does not know.
#[deny(clippy::wildcard_enum_match_arm)]
fn explain(kind: &ValidationErrorKind) -> String {
    use ValidationErrorKind as Kind;
    match kind {
        Kind::Type { kind: TypeKind::Single(wanted) } => format!("must be of type {wanted}"),
        Kind::Type { kind: TypeKind::Multiple(wanted) } => {
            let wanted: Vec<&str> = wanted.iter().map(JsonType::as_str).collect();
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
        // What the exact ones say, which stand in for these.
        Kind::Custom { message, .. } => echo(message),
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
        | Kind::Referencing(_) => "could not be checked".to_owned(),
    }
}
