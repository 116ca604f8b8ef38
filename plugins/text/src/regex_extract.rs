//! `regex_extract`: every match of a pattern, with its groups.

use std::collections::BTreeMap;

use bulkhead_sdk::prelude::*;
use regex::{Captures, Regex};
use serde::{Deserialize, Serialize};

use crate::pattern;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Extract {
    /// The text to search.
    text: String,
    /// A regular expression in Rust's syntax, which is Perl's without
    /// look-around and back-references. `(?i)` ignores case, `(?m)` lets `^` and
    /// `$` match at each line.
    #[schemars(length(min = 1, max = 2000))]
    pattern: String,
    /// How many matches to return at most.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 1000))]
    limit: usize,
}

fn default_limit() -> usize {
    100
}

#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Matches {
    /// Whether there are more matches than were returned.
    truncated: bool,
    matches: Vec<Match>,
}

#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct Match {
    text: String,
    /// The line on which the match starts, counted from 1.
    line: usize,
    /// The character of that line at which it starts, counted from 1.
    column: usize,
    /// What each group matched, from the first; null for one that took no part.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<Option<String>>,
    /// The same for the groups that have a name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    named: BTreeMap<String, Option<String>>,
}

/// Finds all matches of a regular expression in a text, with their positions and
/// capture groups.
///
/// Matches do not overlap and come in the order of the text.
#[tool(title = "Extract by regular expression", read_only, open_world = false)]
pub(crate) fn regex_extract(args: Extract) -> Result<Matches, ToolError> {
    let regex = pattern::compile(&args.pattern)?;
    let mut position = Position::start(&args.text);
    let mut found = regex.captures_iter(&args.text);
    let matches = found.by_ref().take(args.limit);
    let matches = matches.map(|captures| one(&regex, &captures, &mut position)).collect();
    Ok(Matches { truncated: found.next().is_some(), matches })
}

fn one(regex: &Regex, captures: &Captures<'_>, position: &mut Position<'_>) -> Match {
    let text = |group: Option<regex::Match<'_>>| group.map(|group| group.as_str().to_owned());
    let whole = captures.get_match();
    position.advance(whole.start());
    let names = regex.capture_names().flatten();
    Match {
        text: whole.as_str().to_owned(),
        line: position.line,
        column: position.column,
        groups: captures.iter().skip(1).map(text).collect(),
        named: names.map(|name| (name.to_owned(), text(captures.name(name)))).collect(),
    }
}

/// A place in a text that only moves forward, so that the positions of all matches
/// together cost one walk.
struct Position<'a> {
    rest: &'a str,
    offset: usize,
    line: usize,
    column: usize,
}

impl<'a> Position<'a> {
    fn start(text: &'a str) -> Self {
        Self { rest: text, offset: 0, line: 1, column: 1 }
    }

    /// Moves to a byte offset that is not before the present one.
    fn advance(&mut self, offset: usize) {
        let Some((passed, rest)) = self.rest.split_at_checked(offset - self.offset) else {
            return;
        };
        for c in passed.chars() {
            if c == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        (self.rest, self.offset) = (rest, offset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extract(text: &str, pattern: &str, limit: usize) -> Result<Matches, ToolError> {
        let (text, pattern) = (text.to_owned(), pattern.to_owned());
        regex_extract(Extract { text, pattern, limit })
    }

    #[test]
    fn matches_have_positions_and_groups() {
        let found = extract("héllo a=1\n b=2", r"(?<key>\w)=(\d)(x)?", 10).unwrap();
        let [first, second] = &found.matches[..] else { panic!("{found:?}") };
        assert_eq!((first.line, first.column, &*first.text), (1, 7, "a=1"));
        assert_eq!(first.groups, [Some("a".into()), Some("1".into()), None]);
        assert_eq!(first.named, BTreeMap::from([("key".into(), Some("a".into()))]));
        assert_eq!((second.line, second.column), (2, 2));
        assert!(!found.truncated);
    }

    #[test]
    fn the_limit_is_told() {
        let found = extract("a a a", "a", 2).unwrap();
        assert_eq!((found.matches.len(), found.truncated), (2, true));
        assert!(!extract("a a", "a", 2).unwrap().truncated);
        assert_eq!(extract("b", "a", 2).unwrap().matches, []);
    }

    #[test]
    fn empty_matches_are_matches() {
        let found = extract("aé", "x*", 10).unwrap();
        let columns: Vec<_> = found.matches.iter().map(|found| found.column).collect();
        assert_eq!(columns, [1, 2, 3]);
    }
}
