//! Values from a JSON Schema: right ones, and ones that are wrong in one place.
//!
//! Covers what schemas of tools are made of. A keyword that it does not follow is noted,
//! and a value that breaks it is refused by the validator like any other wrong one: the
//! pipeline has the last word on what is valid, not this file.

use std::collections::BTreeSet;

use regex_syntax::hir::{Class, Hir, HirKind};
use serde_json::{Map, Number, Value, json};

/// How deep optional parts are made.
const DEEPEST: usize = 5;

/// How many items an array gets beyond those that it must have.
const MORE_ITEMS: u64 = 3;

/// The longest array and the longest text that are made because a schema asks for them.
const MOST_ASKED: u64 = 2_000;

/// How often a part of a pattern that may repeat without end does.
const MOST_REPEATS: u32 = 3;

/// Keywords that are not followed.
const NOT_FOLLOWED: &[&str] = &[
    "not",
    "if",
    "dependentSchemas",
    "dependentRequired",
    "patternProperties",
    "propertyNames",
    "contains",
    "$dynamicRef",
];

/// Random numbers that are the same for the same seed, in every version (`SplitMix64`).
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn of_seed(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `end`; zero when that is zero.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next().checked_rem(end).unwrap_or(0)
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of these; none of none.
    pub(super) fn pick<'t, T>(&mut self, all: &'t [T]) -> Option<&'t T> {
        all.get(usize::try_from(self.below(all.len() as u64)).unwrap_or(0))
    }
}

/// Makes values for the subschemas of one schema.
pub(super) struct Generator<'s> {
    root: &'s Value,
    pub(super) random: Random,
    /// Keywords that were met and not followed.
    pub(super) notes: BTreeSet<String>,
}

impl<'s> Generator<'s> {
    pub(super) fn new(root: &'s Value, random: Random) -> Self {
        Self { root, random, notes: BTreeSet::new() }
    }

    /// A value that the whole schema accepts, as far as this file follows it.
    pub(super) fn arguments(&mut self) -> Value {
        self.value(self.root, 0)
    }

    /// A value for a subschema.
    pub(super) fn value(&mut self, schema: &Value, depth: usize) -> Value {
        let keywords = self.flattened(schema, depth);
        if let Some(one) = keywords.get("const") {
            return one.clone();
        }
        if let Some(Value::Array(all)) = keywords.get("enum") {
            return self.random.pick(all).cloned().unwrap_or_default();
        }
        match self.kind(&keywords) {
            "object" => self.object(&keywords, depth),
            "array" => self.array(&keywords, depth),
            "string" => Value::String(self.text(&keywords)),
            "integer" => self.number(&keywords, true),
            "number" => self.number(&keywords, false),
            "boolean" => self.random.one_in(2).into(),
            _ => Value::Null,
        }
    }

    /// A schema with its references followed, one branch of each choice taken, and all of
    /// that laid into one.
    pub(super) fn flattened(&mut self, schema: &Value, depth: usize) -> Map<String, Value> {
        let mut flat = Map::new();
        self.lay(schema, &mut flat, depth);
        flat
    }

    fn lay(&mut self, schema: &Value, flat: &mut Map<String, Value>, depth: usize) {
        // A schema that refers to itself ends here, as an optional part does.
        let Value::Object(keywords) = schema else { return };
        if depth > 2 * DEEPEST {
            return;
        }
        for (keyword, value) in keywords {
            match (keyword.as_str(), value) {
                ("$ref", Value::String(target)) => {
                    let target = target.strip_prefix('#').and_then(|at| self.root.pointer(at));
                    if let Some(target) = target {
                        self.lay(target, flat, depth + 1);
                    }
                }
                ("allOf", Value::Array(all)) => {
                    all.iter().for_each(|part| self.lay(part, flat, depth + 1));
                }
                ("anyOf" | "oneOf", Value::Array(branches)) => {
                    if let Some(branch) = self.random.pick(branches).cloned() {
                        self.lay(&branch, flat, depth + 1);
                    }
                }
                ("properties", Value::Object(more)) => {
                    let all = flat.entry("properties").or_insert_with(|| json!({}));
                    if let Value::Object(all) = all {
                        all.extend(more.clone());
                    }
                }
                ("required", Value::Array(more)) => {
                    let all = flat.entry("required").or_insert_with(|| json!([]));
                    if let Value::Array(all) = all {
                        all.extend(more.iter().cloned());
                    }
                }
                (unknown, _) if NOT_FOLLOWED.contains(&unknown) => {
                    self.notes.insert(unknown.to_owned());
                }
                (other, value) => {
                    flat.insert(other.to_owned(), value.clone());
                }
            }
        }
    }

    fn kind(&mut self, keywords: &Map<String, Value>) -> &'static str {
        const KINDS: [&str; 7] =
            ["object", "array", "string", "integer", "number", "boolean", "null"];
        let known = |name: &Value| KINDS.into_iter().find(|kind| name.as_str() == Some(kind));
        match keywords.get("type") {
            Some(Value::Array(names)) => {
                let names: Vec<&str> = names.iter().filter_map(known).collect();
                self.random.pick(&names).copied().unwrap_or("null")
            }
            Some(name) => known(name).unwrap_or("null"),
            None => {
                let has = |all: &[&str]| all.iter().any(|key| keywords.contains_key(*key));
                if has(&["properties", "required"]) {
                    "object"
                } else if has(&["items", "prefixItems", "minItems"]) {
                    "array"
                } else if has(&["minimum", "maximum", "multipleOf"]) {
                    "number"
                } else {
                    "string"
                }
            }
        }
    }

    fn object(&mut self, keywords: &Map<String, Value>, depth: usize) -> Value {
        let none = Map::new();
        let properties = keywords.get("properties").and_then(Value::as_object).unwrap_or(&none);
        let required: Vec<&str> = strings(keywords.get("required"));
        let mut members = Map::new();
        for (name, schema) in properties {
            let needed = required.contains(&name.as_str());
            if needed || depth < DEEPEST && self.random.one_in(2) {
                members.insert(name.clone(), self.value(schema, depth + 1));
            }
        }
        for name in required {
            if !members.contains_key(name) {
                members.insert(name.to_owned(), "any".into());
            }
        }
        members.into()
    }

    fn array(&mut self, keywords: &Map<String, Value>, depth: usize) -> Value {
        let (least, most) = lengths(keywords, "minItems", "maxItems", MORE_ITEMS);
        let more = if depth < DEEPEST { self.random.below(most - least + 1) } else { 0 };
        let unique = keywords.get("uniqueItems") == Some(&Value::Bool(true));
        let first = keywords.get("prefixItems").and_then(Value::as_array);
        let rest = keywords.get("items").cloned().unwrap_or_else(|| json!({ "type": "string" }));
        let mut items: Vec<Value> = Vec::new();
        for at in 0..least + more {
            let own = usize::try_from(at).ok().and_then(|at| first?.get(at));
            // A few tries: an `enum` may have no other value.
            for _ in 0..8 {
                let item = self.value(own.unwrap_or(&rest), depth + 1);
                if !(unique && items.contains(&item)) {
                    items.push(item);
                    break;
                }
            }
        }
        items.into()
    }

    fn text(&mut self, keywords: &Map<String, Value>) -> String {
        if let Some(pattern) = keywords.get("pattern").and_then(Value::as_str) {
            match regex_syntax::parse(pattern) {
                Ok(hir) => {
                    let mut text = String::new();
                    self.matching(&hir, &mut text);
                    return text;
                }
                Err(_) => {
                    self.notes.insert("pattern".to_owned());
                }
            }
        }
        if let Some(format) = keywords.get("format").and_then(Value::as_str) {
            match example_of(format) {
                Some(example) => return example.to_owned(),
                None => {
                    self.notes.insert(format!("format {format}"));
                }
            }
        }
        const WORDS: [&str; 8] = ["a", "Ada", "blue", "7", "two words", "Größe", "日本", "x-1"];
        let (least, most) = lengths(keywords, "minLength", "maxLength", 12);
        let word = self.random.pick(&WORDS).copied().unwrap_or("a");
        let length = least + self.random.below(most - least + 1);
        // At least as long as it must be, and mostly a word.
        let wanted = length.max(least).min(most) as usize;
        match word.chars().count() {
            count if (least..=most).contains(&(count as u64)) => word.to_owned(),
            _ => word.chars().cycle().take(wanted).collect(),
        }
    }

    /// A text that a part of a pattern matches.
    fn matching(&mut self, hir: &Hir, text: &mut String) {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => text.push_str(&String::from_utf8_lossy(&literal.0)),
            HirKind::Class(Class::Unicode(class)) => {
                let ranges: Vec<(char, char)> =
                    class.ranges().iter().map(|range| (range.start(), range.end())).collect();
                // What prints, where the class has any of that.
                let plain: Vec<(char, char)> = ranges
                    .iter()
                    .map(|(from, to)| ((*from).max('!'), (*to).min('~')))
                    .filter(|(from, to)| from <= to)
                    .collect();
                let ranges = if plain.is_empty() { ranges } else { plain };
                if let Some((from, to)) = self.random.pick(&ranges).copied() {
                    let at = self.random.below(u64::from(to) - u64::from(from) + 1);
                    let at = u32::try_from(u64::from(from) + at).unwrap_or_default();
                    text.push(char::from_u32(at).unwrap_or(from));
                }
            }
            HirKind::Class(Class::Bytes(class)) => {
                text.extend(class.ranges().first().map(|range| char::from(range.start())));
            }
            HirKind::Repetition(repeated) => {
                let most = repeated.max.unwrap_or(repeated.min.saturating_add(MOST_REPEATS));
                let more = self.random.below(u64::from(most.saturating_sub(repeated.min)) + 1);
                let more = more.min(u64::from(MOST_REPEATS));
                for _ in 0..(u64::from(repeated.min) + more).min(MOST_ASKED) {
                    self.matching(&repeated.sub, text);
                }
            }
            HirKind::Capture(capture) => self.matching(&capture.sub, text),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.matching(part, text)),
            HirKind::Alternation(branches) => {
                if let Some(branch) = self.random.pick(branches).cloned() {
                    self.matching(&branch, text);
                }
            }
        }
    }

    fn number(&mut self, keywords: &Map<String, Value>, whole: bool) -> Value {
        let bound = |key: &str| keywords.get(key).and_then(Value::as_f64);
        let step = bound("multipleOf").filter(|step| *step > 0.0);
        let unit = step.unwrap_or(if whole { 1.0 } else { 0.5 });
        let least = bound("minimum").or(bound("exclusiveMinimum").map(|least| least + unit));
        let most = bound("maximum").or(bound("exclusiveMaximum").map(|most| most - unit));
        let (least, most) = match (least, most) {
            (Some(least), Some(most)) => (least, most.max(least)),
            (Some(least), None) => (least, least + 100.0),
            (None, Some(most)) => (most - 100.0, most),
            (None, None) => (-10.0, 100.0),
        };
        // The first that is a multiple.
        let least = step.map_or(least, |step| (least / step).ceil() * step);
        // Its bounds are where mistakes are.
        let steps = ((most - least) / unit).floor().clamp(0.0, 1e6) as u64;
        let at = match self.random.below(4) {
            0 => 0,
            1 => steps,
            _ => self.random.below(steps + 1),
        };
        let value = least + at as f64 * unit;
        if whole || step.is_some_and(|step| step.fract() == 0.0) {
            return (value.ceil() as i64).into();
        }
        Number::from_f64(value).map_or(Value::Null, Value::Number)
    }

    /// Every part of a value, with the schema that it was made for, as pointers.
    pub(super) fn parts(&mut self, value: &Value) -> Vec<(String, Map<String, Value>)> {
        let mut parts = Vec::new();
        self.add_parts(value, self.root, String::new(), &mut parts);
        parts
    }

    fn add_parts(
        &mut self,
        value: &Value,
        schema: &Value,
        at: String,
        parts: &mut Vec<(String, Map<String, Value>)>,
    ) {
        let depth = at.matches('/').count();
        let keywords = self.flattened(schema, depth);
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let schema = keywords.get("properties").and_then(|all| all.get(name));
                    let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                    self.add_parts(member, schema.unwrap_or(&Value::Null), at, parts);
                }
            }
            Value::Array(items) => {
                for (n, item) in items.iter().enumerate() {
                    let own = keywords.get("prefixItems").and_then(|all| all.get(n));
                    let schema = own.or_else(|| keywords.get("items")).unwrap_or(&Value::Null);
                    self.add_parts(item, schema, format!("{at}/{n}"), parts);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        parts.push((at, keywords));
    }
}

/// The least and the most of a length, the most not far from the least where nothing says.
fn lengths(keywords: &Map<String, Value>, least: &str, most: &str, more: u64) -> (u64, u64) {
    let of = |key: &str| keywords.get(key).and_then(Value::as_u64);
    let least = of(least).unwrap_or(0).min(MOST_ASKED);
    let most = of(most).unwrap_or(u64::MAX).min(least + more).max(least);
    (least, most)
}

pub(super) fn strings(list: Option<&Value>) -> Vec<&str> {
    let all = list.and_then(Value::as_array).into_iter().flatten();
    all.filter_map(Value::as_str).collect()
}

fn example_of(format: &str) -> Option<&'static str> {
    Some(match format {
        "date-time" => "2026-11-28T09:30:00Z",
        "date" => "2026-11-28",
        "time" => "09:30:00Z",
        "duration" => "PT1H",
        "email" | "idn-email" => "ada@example.com",
        "hostname" | "idn-hostname" => "example.com",
        "ipv4" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        "uri" | "iri" | "uri-reference" | "iri-reference" => "https://example.com/a",
        "uuid" => "0193a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
        "json-pointer" => "/a/0",
        "regex" => "^a+$",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every keyword that is followed.
    pub(super) fn schema() -> Value {
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["id", "kind", "size", "tags", "point"],
            "properties": {
                "id": { "type": "string", "pattern": "^(rec|doc)_[0-9]{4}$" },
                "kind": { "enum": ["a", "b", null] },
                "size": { "type": "integer", "minimum": 1, "maximum": 9, "multipleOf": 2 },
                "ratio": { "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 },
                "tags": {
                    "type": "array", "minItems": 1, "maxItems": 3, "uniqueItems": true,
                    "items": { "type": "string", "minLength": 2, "maxLength": 4 }
                },
                "point": { "$ref": "#/$defs/point" },
                "tree": { "$ref": "#/$defs/tree" },
                "when": { "type": ["string", "null"], "format": "date-time" },
                "either": { "oneOf": [{ "type": "boolean" }, { "const": 7 }] },
                "both": { "allOf": [{ "type": "integer" }, { "minimum": 3 }] },
            },
            "$defs": {
                "point": {
                    "type": "array", "prefixItems": [{ "type": "integer" }, { "type": "boolean" }],
                    "minItems": 2, "maxItems": 2
                },
                "tree": {
                    "type": "object",
                    "properties": { "next": { "$ref": "#/$defs/tree" } }
                }
            }
        })
    }

    #[test]
    fn what_is_made_is_valid_and_the_same_for_the_same_seed() {
        let schema = schema();
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        for seed in 0..500 {
            let made = Generator::new(&schema, Random::of_seed(seed)).arguments();
            let wrong: Vec<String> =
                validator.iter_errors(&made).map(|error| error.to_string()).collect();
            assert!(wrong.is_empty(), "{seed}: {made}: {wrong:?}");
            let again = Generator::new(&schema, Random::of_seed(seed)).arguments();
            assert_eq!(made, again);
        }
    }

    #[test]
    fn what_is_not_followed_is_noted() {
        let schema = json!({
            "type": "object", "not": {}, "required": ["a", "b"],
            "properties": { "a": { "type": "string", "pattern": "(?=x)" },
                "b": { "type": "string", "format": "nonsense" } }
        });
        let mut generator = Generator::new(&schema, Random::of_seed(1));
        generator.arguments();
        assert_eq!(Vec::from_iter(generator.notes), ["format nonsense", "not", "pattern"]);
    }
}
