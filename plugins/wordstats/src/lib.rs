//! `wordstats`: statistics of a text's words, as in every other language's example.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use bulkhead_sdk::prelude::*;
use serde::{Deserialize, Serialize};

plugin!(wordstats);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Text {
    /// The text.
    text: String,
    /// How many of the most frequent words to return.
    #[serde(default = "ten")]
    #[schemars(range(min = 0, max = 100))]
    top: usize,
}

fn ten() -> usize {
    10
}

#[derive(Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Stats {
    /// Unicode code points, white space included.
    characters: usize,
    /// The last one counts without a line feed too.
    lines: usize,
    /// All words.
    words: usize,
    /// Different words.
    distinct: usize,
    /// The longest word; of several, the first in code point order.
    longest: String,
    /// The most frequent words, the most frequent first.
    frequent: Vec<Frequent>,
}

/// A word, and how often it occurs.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Frequent {
    word: String,
    count: usize,
}

/// Counts the characters, lines and words of a text, and finds its longest and its most
/// frequent words. Case does not matter, nor does punctuation around a word.
#[tool(title = "Word statistics", read_only, idempotent, open_world = false)]
fn wordstats(args: Text) -> Result<Stats, ToolError> {
    let text = args.text.as_str();
    // In the order of their bytes, which in UTF-8 is that of code points.
    let mut counts = BTreeMap::<String, usize>::new();
    for word in words(text) {
        *counts.entry(word).or_default() += 1;
    }
    let longest = counts.keys().min_by_key(|word| Reverse(word.chars().count()));
    let longest = longest.ok_or_else(|| ToolError::new("EMPTY_TEXT", "The text has no words."))?;
    let words = counts.values().sum();
    call::progress(1.0, Some(1.0), Some(&format!("counted {words} words")));

    let mut ranked: Vec<(&String, &usize)> = counts.iter().collect();
    ranked.sort_by_key(|(_, count)| Reverse(**count));
    let frequent = ranked.into_iter().take(args.top);
    Ok(Stats {
        characters: text.chars().count(),
        lines: text.lines().count(),
        words,
        distinct: counts.len(),
        longest: longest.clone(),
        frequent: frequent
            .map(|(word, count)| Frequent { word: word.clone(), count: *count })
            .collect(),
    })
}

fn words(text: &str) -> impl Iterator<Item = String> {
    // Not `is_ascii_whitespace`, which leaves out the vertical tab.
    text.split([' ', '\t', '\n', '\r', '\x0b', '\x0c'])
        .map(|piece| piece.trim_matches(|c: char| c.is_ascii_punctuation()))
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(text: &str) -> Result<Stats, ToolError> {
        wordstats(Text { text: text.to_owned(), top: 1 })
    }

    #[test]
    fn words_are_counted_without_case_and_punctuation() {
        let stats = stats("One two,\r\ntwo (three) THREE\x0bthree!\n").unwrap();
        let frequent = vec![Frequent { word: "three".to_owned(), count: 3 }];
        assert_eq!((stats.lines, stats.words, stats.distinct), (2, 6, 3));
        assert_eq!((stats.longest.as_str(), stats.frequent), ("three", frequent));
    }

    #[test]
    fn code_points_are_counted() {
        let stats = stats("Größe größe 🦀 e\u{301}").unwrap();
        assert_eq!((stats.characters, stats.longest.as_str()), (15 + 1, "größe"));
        assert_eq!(stats.distinct, 4 - 1);
    }

    #[test]
    fn a_text_without_words_is_an_error() {
        for empty in ["", " \n\t", "... !?"] {
            assert_eq!(stats(empty).unwrap_err().code, "EMPTY_TEXT", "{empty:?}");
        }
    }
}
