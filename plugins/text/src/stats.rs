//! `text_stats`: how long a text is, by every measure that people ask for.

use std::collections::HashSet;

use bulkhead_sdk::prelude::*;
use serde::{Deserialize, Serialize};

/// How fast adults read silently, in words a minute, for English non-fiction
/// (Brysbaert 2019, a meta-analysis of 190 studies).
const READING_SPEED: usize = 238;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Text {
    /// The text to measure.
    text: String,
}

#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Stats {
    /// In UTF-8.
    bytes: usize,
    /// Unicode scalar values, white space included.
    characters: usize,
    /// What stands between white space and contains a letter or a digit.
    words: usize,
    /// Words that differ in more than case and surrounding punctuation.
    unique_words: usize,
    /// Ended by `.`, `!`, `?` or their like; a last one without it counts.
    sentences: usize,
    lines: usize,
    /// Separated by blank lines.
    paragraphs: usize,
    /// The first of the longest lines; absent in an empty text.
    #[serde(skip_serializing_if = "Option::is_none")]
    longest_line: Option<Line>,
    /// At 238 words a minute, rounded up.
    reading_seconds: usize,
}

#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct Line {
    /// Counted from 1.
    number: usize,
    characters: usize,
}

/// Measures a text: bytes, characters, words, sentences, lines, paragraphs, its
/// longest line and how long it takes to read.
///
/// Exact where a model would estimate.
#[tool(title = "Text statistics", read_only, open_world = false)]
pub(crate) fn text_stats(args: Text) -> Stats {
    let text = args.text.as_str();
    let words: Vec<&str> = words(text).collect();
    let unique: HashSet<String> = words.iter().map(|word| word.to_lowercase()).collect();
    Stats {
        bytes: text.len(),
        characters: text.chars().count(),
        words: words.len(),
        unique_words: unique.len(),
        sentences: sentences(text),
        lines: text.lines().count(),
        paragraphs: paragraphs(text),
        longest_line: longest_line(text),
        reading_seconds: (words.len() * 60).div_ceil(READING_SPEED),
    }
}

/// The words without the punctuation around them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|word| !word.is_empty())
}

/// Counts the places where a sentence ends: at a closing mark that white space or
/// the end follows, with quotes and brackets between them. That leaves out the
/// points of `3.14` and `e.g.,`. Chinese and Japanese marks need no space.
fn sentences(text: &str) -> usize {
    let mut count = 0;
    // A sentence has begun; a mark has been seen that ends it if white space follows.
    let (mut open, mut closing) = (false, false);
    for c in text.chars() {
        match c {
            '。' | '！' | '？' => {
                count += usize::from(open);
                (open, closing) = (false, false);
            }
            '.' | '!' | '?' | '…' => closing = open,
            '"' | '\'' | '”' | '’' | '»' | ')' | ']' => {}
            _ if c.is_whitespace() => {
                count += usize::from(closing);
                open &= !closing;
                closing = false;
            }
            _ => {
                open |= c.is_alphanumeric();
                closing = false;
            }
        }
    }
    count + usize::from(open)
}

fn paragraphs(text: &str) -> usize {
    let blank = |line: &str| line.trim().is_empty();
    let starts = text.lines().scan(true, |after_blank, line| {
        let start = *after_blank && !blank(line);
        *after_blank = blank(line);
        Some(start)
    });
    starts.filter(|start| *start).count()
}

fn longest_line(text: &str) -> Option<Line> {
    let lines = text
        .lines()
        .enumerate()
        .map(|(index, line)| Line { number: index + 1, characters: line.chars().count() });
    lines.reduce(|longest, line| if line.characters > longest.characters { line } else { longest })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(text: &str) -> Stats {
        text_stats(Text { text: text.to_owned() })
    }

    #[test]
    fn an_empty_text_has_nothing() {
        assert_eq!(
            stats(""),
            Stats {
                bytes: 0,
                characters: 0,
                words: 0,
                unique_words: 0,
                sentences: 0,
                lines: 0,
                paragraphs: 0,
                longest_line: None,
                reading_seconds: 0,
            }
        );
    }

    #[test]
    fn every_measure_of_a_small_text() {
        assert_eq!(
            stats("To be, or not to be?\nThat is the question.\n\n— Hamlet, Zürich\n"),
            Stats {
                bytes: 64,
                characters: 61,
                words: 12,
                unique_words: 10,
                sentences: 3,
                lines: 4,
                paragraphs: 2,
                longest_line: Some(Line { number: 2, characters: 21 }),
                reading_seconds: 4,
            }
        );
    }

    #[test]
    fn sentences_end_at_marks_that_white_space_follows() {
        let check = |text: &str, expected: usize| assert_eq!(sentences(text), expected, "{text}");
        check("One.", 1);
        check("One. Two! Three?", 3);
        check("Pi is 3.14, v1.2.3 is out.", 1);
        check("He said \"Stop.\" Then he left.", 2);
        check("Wait... what?!", 2);
        check("No mark", 1);
        check("... ! ?", 0);
        check("これは文です。次の文です。", 2);
    }

    #[test]
    fn paragraphs_are_separated_by_blank_lines() {
        assert_eq!(paragraphs("a\nb\n\n \nc\n"), 2);
        assert_eq!(paragraphs("\n\n"), 0);
    }
}
