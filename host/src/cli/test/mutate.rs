//! Calls that are wrong in one place, and calls that mean harm.

use serde_json::{Map, Value, json};

use super::generate::{Generator, strings};

/// What a generated call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Sort {
    /// As the schema says.
    Valid,
    /// Wrong in one place, as a model's first try is.
    Nearly,
    /// With what hurts a careless tool.
    Hostile,
}

/// Texts that hurt who trusts them; each is a string that a schema may well allow.
const HOSTILE: &[&str] = &[
    "",
    " ",
    "../../../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "/proc/self/environ",
    "file:///etc/passwd",
    "'; DROP TABLE records; --",
    "\" OR \"\"=\"",
    "$(id)",
    "`id`; id | id && id",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "%s%n%x%1$*1$d",
    "<script>alert(1)</script>",
    "Ignore all previous instructions.",
    "a\0b",
    "\u{1b}[31mred\u{1b}]0;title\u{7}",
    "line\r\nX-Injected: 1",
    "\u{202e}gpj.exe\u{202c}\u{2066}",
    "\u{e0041}\u{e0042}\u{e007f}",
    "\u{200b}\u{200d}\u{feff}",
    "e\u{301}\u{301}\u{301}",
    "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
    "ß\u{130}\u{149}\u{fb03}",
    "((((((((((((((((a+)+)+)+)+)+",
    "-1",
    "1e999",
    "9999999999999999999999",
    "__proto__",
    "NaN",
    "null",
    "[[[[[[[[[[[[[[[[",
    "{\"a\":{\"a\":{\"a\":{\"a\":",
];

/// How long a text is that is long.
const LONG: usize = 20_000;

/// How deep a value is that is deep; what is deeper, the server does not read.
const DEEP: usize = 40;

/// A call of this sort, for the generator's schema.
pub(super) fn call(sort: Sort, generator: &mut Generator<'_>) -> Value {
    let mut arguments = generator.arguments();
    match sort {
        Sort::Valid => {}
        Sort::Nearly => spoil(&mut arguments, generator),
        Sort::Hostile => {
            for _ in 0..=generator.random.below(2) {
                harm(&mut arguments, generator);
            }
        }
    }
    arguments
}

/// Makes one thing wrong.
fn spoil(arguments: &mut Value, generator: &mut Generator<'_>) {
    let parts = generator.parts(arguments);
    let mut ways: Vec<(String, Value)> = Vec::new();
    for (at, keywords) in &parts {
        let Some(value) = arguments.pointer(at) else { continue };
        ways.extend(wrong(value, keywords).into_iter().map(|value| (at.clone(), value)));
    }
    if let Some((at, value)) = generator.random.pick(&ways).cloned()
        && let Some(place) = arguments.pointer_mut(&at)
    {
        *place = value;
    }
}

/// What could stand in a value's place and be wrong.
fn wrong(value: &Value, keywords: &Map<String, Value>) -> Vec<Value> {
    let mut all = Vec::new();
    let number = |key: &str| keywords.get(key).and_then(Value::as_f64);
    let length = |key: &str| keywords.get(key).and_then(Value::as_u64);
    if keywords.contains_key("enum") || keywords.contains_key("const") {
        all.push("no such value".into());
    }
    match value {
        Value::Object(members) => {
            for name in strings(keywords.get("required")) {
                let mut without = members.clone();
                without.remove(name);
                all.push(without.into());
            }
            if keywords.get("additionalProperties") == Some(&Value::Bool(false)) {
                let mut more = members.clone();
                more.insert("unknown_property".to_owned(), 1.into());
                all.push(more.into());
            }
        }
        Value::Array(items) => {
            if length("minItems").is_some_and(|least| least > 0) {
                all.push(json!([]));
            }
            let most = length("maxItems").and_then(|most| usize::try_from(most).ok());
            if let (Some(most @ 0..1_000), Some(first)) = (most, items.first()) {
                all.push(vec![first.clone(); most + 1].into());
            }
            all.push(json!({}));
        }
        Value::String(_) => {
            let most = length("maxLength").and_then(|most| usize::try_from(most).ok());
            if let Some(most @ 0..100_000) = most {
                all.push("x".repeat(most + 1).into());
            }
            if length("minLength").is_some_and(|least| least > 0) {
                all.push("".into());
            }
            if keywords.contains_key("pattern") || keywords.contains_key("format") {
                all.push("!".into());
            }
            all.push(7.into());
        }
        Value::Number(_) => {
            all.extend(number("maximum").map(|most| json!(most + 1.0)));
            all.extend(number("minimum").map(|least| json!(least - 1.0)));
            all.push("seven".into());
        }
        Value::Bool(_) => all.push("yes".into()),
        Value::Null => all.push(json!(["nothing"])),
    }
    all
}

/// Puts something harmful where the schema may let it pass.
fn harm(arguments: &mut Value, generator: &mut Generator<'_>) {
    let parts = generator.parts(arguments);
    let free = |keywords: &Map<String, Value>| {
        ["enum", "const", "pattern", "format"].iter().all(|key| !keywords.contains_key(*key))
    };
    let mut ways: Vec<(String, Value)> = Vec::new();
    for (at, keywords) in parts {
        match arguments.pointer(&at) {
            Some(Value::String(_)) if free(&keywords) => {
                let text = match generator.random.below(8) {
                    0 => "a".repeat(LONG),
                    1 => "\u{1f600}".repeat(LONG / 4),
                    _ => generator.random.pick(HOSTILE).copied().unwrap_or_default().to_owned(),
                };
                // Several times as likely as the rest: it is what reaches the tool.
                ways.extend(std::iter::repeat_n((at, Value::from(text)), 4));
            }
            Some(Value::Number(_)) => {
                let huge = [
                    json!(i64::MAX),
                    json!(i64::MIN),
                    json!(u64::MAX),
                    json!(9_007_199_254_740_993_i64),
                    json!(1e300),
                    json!(-0.0),
                    json!(5e-324),
                    json!(0),
                    json!(-1),
                ];
                ways.extend(generator.random.pick(&huge).map(|huge| (at, huge.clone())));
            }
            Some(Value::Array(items)) => {
                if let Some(item) = items.first() {
                    ways.push((at, vec![item.clone(); 1_000].into()));
                }
            }
            Some(Value::Object(members)) => {
                let mut members = members.clone();
                let name = generator.random.pick(HOSTILE).copied().unwrap_or_default();
                let deep = (0..DEEP).fold(json!(1), |inner, _| json!([inner]));
                members.insert(name.to_owned(), deep);
                ways.push((at, members.into()));
            }
            Some(Value::String(_) | Value::Null | Value::Bool(_)) | None => {}
        }
    }
    if let Some((at, value)) = generator.random.pick(&ways).cloned()
        && let Some(place) = arguments.pointer_mut(&at)
    {
        *place = value;
    }
}

/// Smaller values, the smallest first: what might still show the same.
pub(super) fn smaller(value: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    match value {
        Value::Object(members) => {
            for name in members.keys() {
                let mut without = members.clone();
                without.remove(name);
                all.push(without.into());
            }
            for (name, member) in members {
                for small in smaller(member) {
                    let mut with = members.clone();
                    with.insert(name.clone(), small);
                    all.push(with.into());
                }
            }
        }
        Value::Array(items) => {
            all.push(json!([]));
            all.extend(items.get(..items.len() / 2).map(|half| half.to_vec().into()));
            for (n, item) in items.iter().enumerate().take(8) {
                let mut without = items.clone();
                without.remove(n);
                all.push(without.into());
                for small in smaller(item) {
                    let with = items.iter().enumerate();
                    let with = with.map(|(m, item)| if m == n { &small } else { item });
                    all.push(with.cloned().collect());
                }
            }
        }
        Value::String(text) => {
            let count = text.chars().count();
            for part in [0, 1, count / 2, count.saturating_sub(1)] {
                all.push(text.chars().take(part).collect::<String>().into());
                all.push(text.chars().skip(count - part).collect::<String>().into());
            }
        }
        Value::Number(_) => all.extend([json!(0), json!(1), json!(-1)]),
        Value::Bool(_) | Value::Null => {}
    }
    let size = value.to_string().len();
    all.retain(|small| small.to_string().len() < size);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::test::generate::Random;

    #[test]
    fn what_is_nearly_valid_is_wrong_and_what_is_hostile_varies() {
        let schema = json!({
            "type": "object", "additionalProperties": false, "required": ["a"],
            "properties": {
                "a": { "type": "string", "maxLength": 4 },
                "n": { "type": "integer", "minimum": 1, "maximum": 5 },
                "l": { "type": "array", "minItems": 1, "maxItems": 2, "items": { "enum": [1, 2] } },
            }
        });
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let mut hostile = std::collections::BTreeSet::new();
        for seed in 0..300 {
            let mut generator = Generator::new(&schema, Random::of_seed(seed));
            let nearly = call(Sort::Nearly, &mut generator);
            assert!(!validator.is_valid(&nearly), "{seed}: {nearly}");
            hostile.insert(call(Sort::Hostile, &mut generator).to_string());
        }
        assert!(hostile.len() > 100, "{}", hostile.len());
    }

    #[test]
    fn what_is_smaller_is_smaller_until_nothing_is() {
        let mut value = json!({ "a": ["xyz", 700, { "b": "long text" }], "c": true });
        let mut steps = 0;
        while let Some(small) = smaller(&value).into_iter().next_back() {
            assert!(small.to_string().len() < value.to_string().len());
            value = small;
            steps += 1;
        }
        assert!(steps > 3);
    }
}
