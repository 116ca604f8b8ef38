//! What is wrong with a file or a variable, as a list that a person can work through.

use std::cell::OnceCell;
use std::fmt;
use std::sync::Arc;

use super::document::Place;

/// Everything that is wrong with what was read: at least one problem, in the
/// order of the file, then of the variables' names.
///
/// Prints one line each: `FILE:LINE:COLUMN: what is wrong; what would be right`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
    /// There were more than are looked at.
    more: bool,
}

impl Problems {
    /// The problems.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, or the environment variable.
    pub source: Arc<str>,
    /// Where in the file.
    pub position: Option<Position>,
    /// What is wrong. One line; what it quotes is escaped and shortened.
    pub message: String,
    /// What would be right, where that is known.
    pub help: Option<String>,
}

/// A place in a file; lines and columns (in characters) count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.list.iter().enumerate() {
            let line_end = if at == 0 { "" } else { "\n" };
            write!(f, "{line_end}{problem}")?;
        }
        if self.more { f.write_str("\nThere is more than these.") } else { Ok(()) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        if let Some(Position { line, column }) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)?;
        self.help.iter().try_for_each(|help| write!(f, "; {help}"))
    }
}

impl std::error::Error for Problems {}

/// How many problems are looked at. A manifest comes from a stranger: without an
/// end, one full of nonsense would be answered with more text than it has, and the
/// search for all those lines and columns would take minutes.
const MOST: usize = 100;

/// Where something was written that is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The file, or the environment variable.
    pub source: Arc<str>,
    /// The line of the file, from 1.
    pub line: Option<usize>,
}

impl fmt::Display for Written {
    /// `FILE:LINE`, or the variable.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        self.line.iter().try_for_each(|line| write!(f, ":{line}"))
    }
}

/// Collects the problems of one text.
pub(super) struct Sink {
    source: Arc<str>,
    text: Box<str>,
    /// Where each line begins, once somebody asks: a file may have as many agents as
    /// lines, and counting anew for each would take minutes.
    lines: OnceCell<Vec<usize>>,
    /// Lines that are not TOML.
    broken: Vec<usize>,
    list: Vec<Problem>,
    seen: usize,
}

impl Sink {
    /// A sink for the text that `source` holds.
    pub(super) fn new(source: &str, text: &str) -> Self {
        Self {
            source: source.into(),
            text: text.into(),
            lines: OnceCell::new(),
            broken: Vec::new(),
            list: Vec::new(),
            seen: 0,
        }
    }

    /// Where `place` is, for people.
    pub(super) fn written(&self, place: &Place) -> Written {
        match place {
            Place::Variable(name) => Written { source: Arc::clone(name), line: None },
            Place::Byte(at) => {
                let newlines = |text: &str| {
                    text.bytes()
                        .enumerate()
                        .filter(|(_, byte)| *byte == b'\n')
                        .map(|(at, _)| at)
                        .collect()
                };
                let lines: &Vec<usize> = self.lines.get_or_init(|| newlines(&self.text));
                let line = lines.partition_point(|newline| newline < at) + 1;
                Written { source: Arc::clone(&self.source), line: Some(line) }
            }
        }
    }

    /// Whether part of the text is not TOML, so that a key may only seem to be missing.
    pub(super) fn is_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    /// Adds a place that is not TOML.
    pub(super) fn syntax(&mut self, at: usize, message: String) {
        if self.is_full() {
            return;
        }
        let position = position(&self.text, at);
        self.broken.push(position.line);
        let source = Arc::clone(&self.source);
        self.list.push(Problem { source, position: Some(position), message, help: None });
    }

    /// Adds what is wrong at `place`, unless its line is not TOML to begin with:
    /// what the parser made of such a line is a guess.
    pub(super) fn report(&mut self, place: &Place, message: String, help: Option<String>) {
        if self.is_full() {
            return;
        }
        let (source, position) = match place {
            Place::Variable(name) => (Arc::clone(name), None),
            Place::Byte(at) => (Arc::clone(&self.source), Some(position(&self.text, *at))),
        };
        if position.is_none_or(|position| !self.broken.contains(&position.line)) {
            self.list.push(Problem { source, position, message, help });
        }
    }

    /// Counts one more problem; whether that is more than are looked at.
    fn is_full(&mut self) -> bool {
        self.seen += 1;
        self.seen > MOST
    }

    /// `value`, if nothing was wrong.
    pub(super) fn finish<T>(self, value: T) -> Result<T, Problems> {
        if self.list.is_empty() { Ok(value) } else { Err(self.into_problems()) }
    }

    /// What was wrong; at least one problem was reported.
    pub(super) fn into_problems(mut self) -> Problems {
        self.list.sort_by_key(|problem| {
            (problem.position.is_none(), problem.position, Arc::clone(&problem.source))
        });
        Problems { list: self.list, more: self.seen > MOST }
    }
}

fn position(text: &str, at: usize) -> Position {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Position {
        line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
        column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
    }
}

/// A foreign text as a message may show it: on one line, without control or
/// invisible characters, at most 64 characters of it.
pub fn shown(text: &str) -> String {
    const LONGEST: usize = 64;
    let mut shown = String::new();
    for character in text.chars().take(LONGEST) {
        match character {
            '"' | '\'' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// What `unknown` was probably meant to be.
pub fn nearest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = unknown.chars().take(65).count();
    if length > 64 {
        return None;
    }
    known
        .into_iter()
        .map(|candidate| (strsim::osa_distance(unknown, candidate), candidate))
        .filter(|(distance, _)| *distance <= (length / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The help that [`nearest`] gives.
pub(super) fn suggestion<'a>(
    unknown: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(unknown, known).map(|meant| format!("did you mean `{meant}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_one_short_printable_line() {
        assert_eq!(shown("it's \"x\""), "it's \"x\"");
        assert_eq!(shown("a\nb\u{1b}[0m\u{202e}\u{200b}"), "a\\nb\\u{1b}[0m\\u{202e}\\u{200b}");
        assert_eq!(shown(&"x".repeat(65)), format!("{}…", "x".repeat(64)));
    }

    #[test]
    fn the_nearest_word_is_near() {
        let known = ["listen", "public_url", "max_body"];
        for (unknown, meant) in [
            ("lisen", Some("listen")),
            ("lsiten", Some("listen")),
            ("publicurl", Some("public_url")),
            ("port", None),
            ("", None),
        ] {
            assert_eq!(nearest(unknown, known), meant, "{unknown}");
        }
        assert_eq!(nearest(&"listen".repeat(20), known), None);
    }

    #[test]
    fn columns_count_characters() {
        let text = "a\né = 1\n";
        for (at, line, column) in [(0, 1, 1), (2, 2, 1), (4, 2, 2), (99, 3, 1)] {
            assert_eq!(position(text, at), Position { line, column });
        }
    }
}
