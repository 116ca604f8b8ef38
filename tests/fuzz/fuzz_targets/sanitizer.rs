//! What a server does with text and JSON that a guest returned, on its way to a model.
//!
//! The first byte of an input is a set of rules: one bit each for code, links that are kept,
//! secrets that are kept, hosts that are listed, and signals that are not looked for. The
//! rest is the text; it is also taken for JSON.

#![no_main]

use std::sync::LazyLock;

use bulkhead::config::{Injection, Links, Output, Secrets};
use bulkhead::json;
use bulkhead::names::{Secret, ToolName};
use bulkhead::sanitize::{
    Changes, OwnSecrets, Told, ToolNames, clean_description, clean_string, read_clean_json,
};
use bulkhead::text::{clean_line, clean_text};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// A secret of the server's own. No letter of it can be made by what stands for a secret.
const OWN: &str = "correct-horse-battery";

/// Tokens of chat templates, of those that stand in the sanitizer's list.
const TOKENS: [&str; 10] = [
    "<s>",
    "</s>",
    "<bos>",
    "<start_of_turn>",
    "<<SYS>>",
    "<think>",
    "<tool_call>",
    "</tool_response>",
    "[INST]",
    "[/INST]",
];

static KNOWN: LazyLock<(OwnSecrets, ToolNames)> = LazyLock::new(|| {
    let tools: [ToolName; 2] =
        ["get_record", "send_mail"].map(|name| name.parse().expect("a name"));
    (OwnSecrets::of(&[Secret::new(OWN)]), ToolNames::of(tools.iter()))
});

static RULES: LazyLock<Vec<Output>> = LazyLock::new(|| (0..32).map(rules).collect());

fn rules(bits: u8) -> Output {
    let has = |bit: u8| bits & (1 << bit) != 0;
    let hosts: &[&str] = if has(3) { &["docs.example.com", "*.cdn.example"] } else { &[] };
    Output {
        code: has(0),
        links: if has(1) { Links::Keep } else { Links::Block },
        secrets: if has(2) { Secrets::Keep } else { Secrets::Redact },
        link_hosts: hosts.iter().map(|host| host.parse().expect("a host")).collect(),
        injection: if has(4) { Injection::Ignore } else { Injection::Annotate },
        ..Output::default()
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((bits, rest)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    cleaned(&text, &RULES[usize::from(bits % 32)]);
    plain(&text);
    structured(&text);
});

fn cleaned(text: &str, rules: &Output) {
    let clean = |text| {
        let mut told = Told::default();
        let (own, names) = &*KNOWN;
        (clean_string(text, rules, own, names, &mut told).into_owned(), told)
    };
    let (once, told) = clean(text);
    assert_eq!(told.changes.is_nothing(), once == text, "what was changed is told");
    fit(&once);
    assert!(!once.contains(OWN), "a secret of the server's own: {once:?}");
    if !rules.code {
        assert!(
            barred(&once).is_none() && !TOKENS.iter().any(|token| once.contains(token)),
            "{once:?}"
        );
    }
    let (twice, again) = clean(&once);
    assert_eq!(twice, once, "cleaning twice is cleaning once");
    assert_eq!(again.changes, Changes::default());
    assert_eq!(again.signals, told.signals, "signals are told of what is sent");
}

/// Texts that no tool's rules are about.
fn plain(text: &str) {
    let clean = clean_text(text);
    fit(&clean);
    assert!(clean.len() <= text.len());
    assert_eq!(clean_text(&clean), clean, "cleaning twice is cleaning once");
    let description = clean_description(text);
    fit(&description);
    assert!(barred(&description).is_none());
    assert_eq!(clean_description(&description), description);
    let line = clean_line(text, 80);
    assert!(!line.contains(char::is_control) && line.chars().count() <= 81, "{line:?}");
}

fn structured(text: &str) {
    let Ok((value, raw, changed)) = read_clean_json(text) else { return };
    json::check(raw.get().as_bytes(), json::MAX_DEPTH).expect("strict JSON stays strict");
    assert_eq!(value, serde_json::from_str::<Value>(raw.get()).expect("JSON"));
    strings(&value);
    let sent = text.trim();
    assert!(changed || raw.get() == sent, "what was changed is told");
    let (kept, between) = (between_strings(raw.get()), between_strings(sent));
    assert_eq!(kept, between, "what is no string keeps its bytes");
    let (_, again, changed) = read_clean_json(raw.get()).expect("it is clean");
    assert!(!changed && again.get() == raw.get(), "cleaning twice is cleaning once");
}

/// Each string and key of a value is fit to be read.
fn strings(value: &Value) {
    match value {
        Value::String(text) => fit(text),
        Value::Array(items) => items.iter().for_each(strings),
        Value::Object(members) => members.iter().for_each(|(key, value)| {
            fit(key);
            strings(value);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A JSON text without what stands in its strings.
fn between_strings(text: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let outside = |c: &char| {
        let was = in_string;
        (in_string, escaped) = match c {
            _ if escaped => (true, false),
            '\\' => (in_string, in_string),
            '"' => (!in_string, false),
            _ => (in_string, false),
        };
        !was
    };
    text.chars().filter(outside).collect()
}

/// Whether nothing in the text works on a terminal, turns a line around, or is a control
/// character other than a line's end and a tab.
fn fit(text: &str) {
    let lone = text.replace("\r\n", "\n");
    let control = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    assert!(!lone.contains(control), "{text:?}");
    assert!(!text.contains(['\u{202d}', '\u{202e}']), "{text:?}");
}

/// A token between bars, as `<|im_start|>`, that stands in a text.
fn barred(text: &str) -> Option<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '▁' | ' ');
    let begins = text.match_indices("<|").map(|(at, open)| &text[at + open.len()..]);
    begins.filter_map(|rest| rest.split_once("|>").map(|(name, _)| name)).find(|name| {
        let word = !name.is_empty() && *name == name.trim_matches(' ');
        word && name.chars().count() <= 64 && name.chars().all(is_name)
    })
}
