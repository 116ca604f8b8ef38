//! `regex_replace`: a text with the matches of a pattern replaced.

use bulkhead_sdk::prelude::*;
use regex::{Captures, Regex};
use regex_automata::util::interpolate;
use serde::{Deserialize, Serialize};

use crate::pattern;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replace {
    /// The text to change.
    text: String,
    /// A regular expression in Rust's syntax, which is Perl's without
    /// look-around and back-references. `(?i)` ignores case, `(?m)` lets `^` and
    /// `$` match at each line.
    #[schemars(length(min = 1, max = 2000))]
    pattern: String,
    /// What to put in place of each match. `$1` or `${name}` is a group of the
    /// match, `$0` all of it, `$$` a dollar sign.
    replacement: String,
    /// How many matches to replace at most, from the start; all by default.
    #[schemars(range(min = 1))]
    limit: Option<usize>,
}

#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Replaced {
    /// How many matches were replaced.
    replacements: usize,
    /// The text with the replacements.
    text: String,
}

/// Replaces the matches of a regular expression in a text.
#[tool(title = "Replace by regular expression", read_only, open_world = false)]
pub(crate) fn regex_replace(args: Replace) -> Result<Replaced, ToolError> {
    let regex = pattern::compile(&args.pattern)?;
    check_groups(&regex, &args.replacement)?;
    let mut replacements = 0;
    // Zero is `replacen`'s word for "all".
    let limit = args.limit.unwrap_or(0);
    let text = regex.replacen(&args.text, limit, |captures: &Captures<'_>| {
        replacements += 1;
        let mut text = String::new();
        captures.expand(&args.replacement, &mut text);
        text
    });
    Ok(Replaced { replacements, text: text.into_owned() })
}

/// A group that does not exist would silently be replaced by nothing; most often
/// it is `$1st`, which names a group "1st" and not the first.
fn check_groups(regex: &Regex, replacement: &str) -> Result<(), ToolError> {
    let mut unknown = None;
    let mut check = |exists: bool, name: &str| {
        if !exists && unknown.is_none() {
            unknown = Some(name.to_owned());
        }
    };
    let names: Vec<&str> = regex.capture_names().flatten().collect();
    let mut references = Vec::new();
    interpolate::string(
        replacement,
        |index, _| references.push(index),
        |name| {
            check(names.contains(&name), name);
            None
        },
        &mut String::new(),
    );
    for index in references {
        check(index < regex.captures_len(), &index.to_string());
    }
    match unknown {
        None => Ok(()),
        Some(name) => {
            Err(ToolError::new("UNKNOWN_GROUP", format!("The pattern has no group `{name}`."))
                .hint("Write `${1}st` where text follows a number, and `$$` for a dollar sign."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replace(
        text: &str,
        pattern: &str,
        replacement: &str,
        limit: Option<usize>,
    ) -> Result<Replaced, ToolError> {
        regex_replace(Replace {
            text: text.to_owned(),
            pattern: pattern.to_owned(),
            replacement: replacement.to_owned(),
            limit,
        })
    }

    #[test]
    fn groups_are_put_in() {
        let check = |replacement: &str, expected: &str| {
            let replaced = replace("ada@x.org", r"(\w+)@(?<host>[\w.]+)", replacement, None);
            assert_eq!(replaced.unwrap().text, expected);
        };
        check("$2: $1", "x.org: ada");
        check("${1}1 at $host", "ada1 at x.org");
        check("$0 costs $$5", "ada@x.org costs $5");
        check("", "");
        check("100%", "100%");
    }

    #[test]
    fn the_limit_counts_from_the_start() {
        let replaced = replace("a a a", "a", "b", Some(2)).unwrap();
        assert_eq!(replaced, Replaced { replacements: 2, text: "b b a".into() });
        assert_eq!(replace("a a a", "a", "b", None).unwrap().replacements, 3);
        assert_eq!(replace("a", "x", "b", None).unwrap().replacements, 0);
    }

    #[test]
    fn a_group_that_does_not_exist_is_an_error() {
        for replacement in ["$1st", "$2", "${name}", "$5.00"] {
            let error = replace("a", "(a)", replacement, None).unwrap_err();
            assert_eq!(error.code, "UNKNOWN_GROUP", "{replacement}");
        }
    }
}
