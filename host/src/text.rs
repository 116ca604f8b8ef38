//! Control characters and terminal escapes, out of text.
//!
//! Kept: line feed, tab, and a carriage return before a line feed. A lone carriage
//! return lets a terminal overwrite a line, an escape lets it do anything, and the
//! rest does not print at all.

use std::borrow::Cow;
use std::iter::Peekable;
use std::str::Chars;

/// Removes control characters (C0, DEL, C1) and whole terminal escape sequences.
/// Borrows when there is nothing to remove.
pub fn clean_text(text: &str) -> Cow<'_, str> {
    if !suspicious(text) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_control_sequence(&mut chars),
            '\r' if chars.peek() == Some(&'\n') => clean.push(c),
            '\n' | '\t' => clean.push(c),
            c if c.is_control() => {}
            c => clean.push(c),
        }
    }
    if clean == text { Cow::Borrowed(text) } else { Cow::Owned(clean) }
}

/// One line of at most `max_chars` characters: cleaned, with line breaks and tabs as
/// spaces, and an ellipsis where it was cut.
pub fn clean_line(text: &str, max_chars: usize) -> String {
    let clean = clean_text(text);
    let mut chars = clean.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line: String = chars.by_ref().take(max_chars).collect();
    if chars.next().is_some() {
        line.push('…');
    }
    line
}

/// Whether a text holds a byte that only control characters other than line feed
/// and tab have. C1 is encoded as `C2 80` to `C2 9F`; `C2` alone starts harmless
/// characters too.
fn suspicious(text: &str) -> bool {
    text.bytes().any(|b| (b < 0x20 && b != b'\n' && b != b'\t') || b == 0x7f || b == 0xc2)
}

/// ECMA-48: what follows an escape. Strings (OSC, DCS, SOS, PM, APC) end at BEL or
/// at `ESC \`.
fn skip_escape(chars: &mut Peekable<Chars<'_>>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            skip_control_sequence(chars);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            chars.next();
            // An unfinished string must not swallow the text after it.
            let ended = |c: &char| matches!(c, '\u{7}' | '\u{1b}' | '\u{9c}' | '\n');
            while chars.next_if(|c| !ended(c)).is_some() {}
            if chars.next_if_eq(&'\u{1b}').is_some() {
                chars.next_if_eq(&'\\');
            }
        }
        _ => {}
    }
}

/// Parameters and intermediates, then one final byte.
fn skip_control_sequence(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|c| matches!(c, ' '..='?')).is_some() {}
    chars.next_if(|c| matches!(c, '@'..='~'));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_does_not_print_is_removed() {
        let rows = [
            ("plain\ttext\nline\r\nend", "plain\ttext\nline\r\nend"),
            ("grün 日本 👩‍👩‍👧 é", "grün 日本 👩‍👩‍👧 é"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}]never ended\nnext", "\nnext"),
            ("a\u{0}b\u{7}c\u{7f}d\u{85}e\u{9b}2Jf", "abcdef"),
            ("safe\rover", "safeover"),
            ("\u{1b}", ""),
        ];
        for (dirty, clean) in rows {
            assert_eq!(clean_text(dirty), clean, "{dirty:?}");
        }
    }

    #[test]
    fn a_line_is_one_line_and_cut_at_a_character() {
        assert_eq!(clean_line(" a\nb\tc\u{1b}[1m ", 10), "a b c");
        assert_eq!(clean_line("äöü", 2), "äö…");
        assert_eq!(clean_line("äö", 2), "äö");
    }

    proptest! {
        #[test]
        fn cleaning_is_idempotent_and_complete(text in "(\\PC|[\\x00-\\x9f]|\\[|m){0,60}") {
            let once = clean_text(&text).into_owned();
            prop_assert!(!once.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r')));
            prop_assert_eq!(&clean_text(&once), &once);
        }
    }
}
