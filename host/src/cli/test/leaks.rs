//! What a caller is told, searched for a tool's insides: where its code is, what its
//! runtime says of a panic, addresses in memory.
//!
//! What the caller wrote itself and gets back is no leak, so the arguments are searched too.

use serde_json::Value;

use crate::text::clean_line;

/// How much of what was found is shown, in characters.
const MAX_SHOWN: usize = 120;

/// What runtimes begin their reports with.
const REPORTS: &[&str] = &[
    "panicked at",
    "stack backtrace:",
    "RUST_BACKTRACE",
    "Traceback (most recent call last)",
    "goroutine ",
    "wasm backtrace",
    "wasm trap",
    "Segmentation fault",
    "core dumped",
    "    at ",
];

/// The folders that absolute paths begin with on the machines of authors and operators.
const FOLDERS: &[&str] = &[
    "/home/",
    "/root/",
    "/usr/",
    "/tmp/",
    "/var/",
    "/etc/",
    "/opt/",
    "/Users/",
    "/rustc/",
    "/proc/",
    "/private/",
    "/build/",
    "/workspace/",
    "/nix/",
    "/mnt/",
    "/srv/",
];

/// The endings of sources, before a line's number.
const SOURCES: &[&str] =
    &[".rs:", ".py:", ".js:", ".ts:", ".go:", ".c:", ".h:", ".cpp:", ".py\", line "];

/// The first sign of a tool's insides in a text. Paths and addresses count where it tells of
/// a failure only: a result may be about them.
pub(super) fn leak(text: &str, arguments: &Value, is_failure: bool) -> Option<String> {
    let mut given = String::new();
    add_texts(arguments, &mut given);
    let own = |sign: &str| !given.contains(sign.trim());
    let report = REPORTS.iter().find(|sign| text.contains(**sign) && own(sign));
    let shown = |at: &str| clean_line(at, MAX_SHOWN);
    if let Some(sign) = report {
        let at = text.find(sign).and_then(|at| text.get(at..));
        return Some(shown(at.unwrap_or(sign)));
    }
    if !is_failure {
        return None;
    }
    let separates = |c: char| c.is_whitespace() || "\"'`()[]{}<>,;".contains(c);
    let words = text.split(separates).map(|word| word.trim_end_matches(['.', ':', '!', '?']));
    let inside = |word: &&str| (is_path(word) || is_place(word) || is_address(word)) && own(word);
    words.into_iter().find(inside).map(shown)
}

fn is_path(word: &str) -> bool {
    let windows = |word: &str| {
        let mut chars = word.chars();
        chars.next().is_some_and(|c| c.is_ascii_alphabetic()) && chars.as_str().starts_with(":\\")
    };
    FOLDERS.iter().any(|folder| word.starts_with(folder)) || windows(word)
}

fn is_place(word: &str) -> bool {
    SOURCES.iter().any(|source| {
        let after = word.split_once(source).map(|(_, after)| after);
        after.is_some_and(|after| after.starts_with(|c: char| c.is_ascii_digit()))
    })
}

fn is_address(word: &str) -> bool {
    let digits = word.split_once("0x").map(|(_, digits)| digits).unwrap_or_default();
    digits.len() >= 8 && digits.bytes().take(8).all(|b| b.is_ascii_hexdigit())
}

fn add_texts(value: &Value, to: &mut String) {
    match value {
        Value::String(text) => {
            to.push_str(text);
            to.push('\n');
        }
        Value::Array(items) => items.iter().for_each(|item| add_texts(item, to)),
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            to.push_str(name);
            to.push('\n');
            add_texts(member, to);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn insides_are_found_and_what_was_given_is_not() {
        let none = json!({});
        for (text, is_failure) in [
            ("thread 'main' panicked at src/lib.rs:3:5: no", false),
            ("Traceback (most recent call last): …", false),
            ("cannot open /home/ada/plugin/data.db", true),
            ("cannot open C:\\Users\\ada\\x", true),
            ("failed in (src/lib.rs:17:9)", true),
            ("null at 0x7ffe12345678", true),
        ] {
            assert!(leak(text, &none, is_failure).is_some(), "{text}");
        }
        let given = json!({ "p": ["../../etc/passwd", "/etc/passwd", "0x123456789"] });
        for (text, arguments, is_failure) in [
            ("There is no record `C-17`.", &none, true),
            ("the file /home/ada/x is large", &none, false),
            ("There is no `/etc/passwd`, nor 0x123456789.", &given, true),
            ("a ratio of 3:5, see a.rs", &none, true),
        ] {
            assert_eq!(leak(text, arguments, is_failure), None, "{text}");
        }
    }
}
