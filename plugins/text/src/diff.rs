//! `text_diff`: what changed between two texts, line by line.

use bulkhead_sdk::prelude::*;
use serde::{Deserialize, Serialize};
use similar::{ChangeTag, TextDiff};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Texts {
    /// The text before the change.
    old: String,
    /// The text after the change.
    new: String,
    /// How many unchanged lines to show around each change.
    #[serde(default = "default_context")]
    #[schemars(range(max = 100))]
    context_lines: usize,
}

fn default_context() -> usize {
    3
}

#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Diff {
    /// Whether the two texts are the same, byte for byte.
    identical: bool,
    lines_added: usize,
    lines_removed: usize,
    /// In the unified format, as `patch` and `git apply` read it; empty when
    /// nothing changed.
    diff: String,
}

/// Compares two texts line by line and returns a unified diff.
#[tool(title = "Compare texts", read_only, open_world = false)]
pub(crate) fn text_diff(args: Texts) -> Diff {
    let Texts { old, new, context_lines } = args;
    let diff = TextDiff::from_lines(&old, &new);
    let count = |tag| diff.iter_all_changes().filter(|change| change.tag() == tag).count();
    Diff {
        identical: old == new,
        lines_added: count(ChangeTag::Insert),
        lines_removed: count(ChangeTag::Delete),
        diff: diff.unified_diff().context_radius(context_lines).header("old", "new").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(old: &str, new: &str, context_lines: usize) -> Diff {
        let (old, new) = (old.to_owned(), new.to_owned());
        text_diff(Texts { old, new, context_lines })
    }

    #[test]
    fn the_same_text_has_no_diff() {
        let none = Diff { identical: true, lines_added: 0, lines_removed: 0, diff: String::new() };
        assert_eq!(diff("a\n", "a\n", 3), none);
        assert_eq!(diff("", "", 3), none);
    }

    #[test]
    fn changes_stand_in_their_context() {
        let diff = diff("a\nb\nc\nd\n", "a\nb\nX\nd\n", 1);
        assert_eq!((diff.lines_added, diff.lines_removed), (1, 1));
        assert_eq!(diff.diff, "--- old\n+++ new\n@@ -2,3 +2,3 @@\n b\n-c\n+X\n d\n");
    }

    #[test]
    fn a_lost_last_newline_is_a_change() {
        let diff = diff("a\n", "a", 0);
        assert!(!diff.identical);
        assert!(diff.diff.ends_with("\\ No newline at end of file\n"), "{}", diff.diff);
    }
}
