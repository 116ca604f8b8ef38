//! Characters that do not show, and terminal escapes, out of text.
//!
//! Kept: line feed, tab, and a carriage return before a line feed; and what does not
//! show where a script or an emoji needs it (`hidden.rs`, `bidi.rs`). A lone carriage
//! return lets a terminal overwrite a line, an escape lets it do anything, and the rest
//! can tell a model what a person does not see.
//!
//! Legitimate text comes back byte for byte, without an allocation; pinned by
//! `text_of_the_world_is_kept`.

mod bidi;
mod cut;
mod hidden;
mod scan;

use std::borrow::Cow;
use std::str::Chars;

pub(crate) use cut::Cut;
use scan::Candidates;

/// What was taken out of a text, in characters; an escape sequence is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Control characters and terminal escape sequences.
    pub controls: usize,
    /// Characters that do not show.
    pub hidden: usize,
    /// Bidirectional controls.
    pub bidi: usize,
}

impl Removed {
    /// Whether nothing was.
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

/// Removes control characters (C0, DEL, C1), whole terminal escape sequences, and
/// characters that do not show and do not belong where they stand. Borrows when there is
/// nothing to remove.
pub fn clean_text(text: &str) -> Cow<'_, str> {
    clean_counted(text, &mut Removed::default())
}

/// As [`clean_text`], and adds to `removed` what it took out.
pub fn clean_counted<'t>(text: &'t str, removed: &mut Removed) -> Cow<'t, str> {
    match without_hidden(text, removed) {
        Ok(clean) => clean,
        Err(HasControl) => {
            // One after the other: an escape sequence may have swallowed one half of a pair.
            let text = without_controls(text, removed);
            match without_hidden(&text, removed) {
                Ok(Cow::Owned(clean)) => Cow::Owned(clean),
                Ok(Cow::Borrowed(_)) | Err(HasControl) => Cow::Owned(text),
            }
        }
    }
}

/// A text holds a control character that is not kept.
struct HasControl;

/// Whether a text holds anything that does not show, whether it belongs there or not.
pub(crate) fn hides(text: &str) -> bool {
    Candidates::of(text).next().is_some()
}

fn without_controls(text: &str, removed: &mut Removed) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(char::is_control) {
        let (before, after) = rest.split_at(at);
        clean.push_str(before);
        let kept = match after.as_bytes() {
            [b'\n' | b'\t', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => 0,
        };
        let (kept, after) = after.split_at(kept);
        clean.push_str(kept);
        rest = after;
        if kept.is_empty() {
            removed.controls += 1;
            rest = rest.get(control(rest)..).unwrap_or_default();
        }
    }
    clean + rest
}

fn without_hidden<'t>(text: &'t str, removed: &mut Removed) -> Result<Cow<'t, str>, HasControl> {
    let (mut cut, mut candidates) = (Cut::new(text), Candidates::of(text));
    let (mut bidi, mut hidden) = (0, 0);
    let mut line = Line::default();
    while let Some(at) = candidates.next() {
        let rest = text.get(at..).unwrap_or_default();
        let c = rest.chars().next().unwrap_or_default();
        let end = at + c.len_utf8();
        if c.is_control() {
            return Err(HasControl);
        } else if bidi::is_control(c) {
            // Twice the same mark does no more than once.
            let is_mark = matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}');
            if line.is_unfit(text, at) || (is_mark && cut.back(at).next() == Some(c)) {
                bidi += 1;
                cut.replace(at, end, "");
            }
        } else if hidden::is_hidden(c) {
            match hidden::belonging(cut.back(at), rest) {
                0 => {
                    hidden += 1;
                    cut.replace(at, end, "");
                }
                belonging => candidates.skip_to(at + belonging),
            }
        }
    }
    removed.bidi += bidi;
    removed.hidden += hidden;
    Ok(cut.done())
}

/// What is known of the bidirectional controls of a line.
#[derive(Default)]
struct Line {
    end: usize,
    unfit: Vec<usize>,
}

impl Line {
    /// Whether the control at `at` has to go; asked of one after the other.
    fn is_unfit(&mut self, text: &str, at: usize) -> bool {
        if at >= self.end {
            let begin = text.get(..at).and_then(|before| before.rfind('\n'));
            let begin = begin.map_or(0, |newline| newline + 1);
            let rest = text.get(begin..).unwrap_or_default();
            let line = rest.split('\n').next().unwrap_or_default();
            self.end = begin + line.len();
            self.unfit = bidi::unfit(line).into_iter().map(|offset| begin + offset).collect();
        }
        self.unfit.binary_search(&at).is_ok()
    }
}

/// How many bytes a control character takes with it, the whole of a terminal's escape
/// sequence (ECMA-48).
fn control(text: &str) -> usize {
    let mut rest = text.chars();
    match rest.next() {
        Some('\u{1b}') => skip_escape(&mut rest),
        Some('\u{9b}') => skip_control_sequence(&mut rest),
        Some('\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}') => skip_string(&mut rest),
        _ => {}
    }
    text.len() - rest.as_str().len()
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

/// What follows an escape: a control sequence, a string, or intermediates and a final byte.
fn skip_escape(rest: &mut Chars<'_>) {
    let mut ahead = rest.clone();
    match ahead.next() {
        Some('[') => {
            skip_control_sequence(&mut ahead);
            *rest = ahead;
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            skip_string(&mut ahead);
            *rest = ahead;
        }
        _ => {
            let text = rest.as_str().trim_start_matches(is_intermediate);
            *rest = text.strip_prefix(|c| ('0'..='~').contains(&c)).unwrap_or(text).chars();
        }
    }
}

/// A string (OSC, DCS, SOS, PM, APC) ends at BEL or at `ESC \`; an unfinished one must not
/// swallow the text after its line.
fn skip_string(rest: &mut Chars<'_>) {
    let text = rest.as_str();
    let ended = |c: char| matches!(c, '\u{7}' | '\u{1b}' | '\u{9c}' | '\n');
    let tail = text.find(ended).and_then(|end| text.get(end..)).unwrap_or_default();
    let end = ["\u{1b}\\", "\u{7}", "\u{9c}"].iter().find_map(|end| tail.strip_prefix(end));
    *rest = end.unwrap_or(tail).chars();
}

/// Parameters, intermediates, one final byte.
fn skip_control_sequence(rest: &mut Chars<'_>) {
    let text = rest.as_str().trim_start_matches(|c| ('0'..='?').contains(&c));
    let text = text.trim_start_matches(is_intermediate);
    *rest = text.strip_prefix(|c| ('@'..='~').contains(&c)).unwrap_or(text).chars();
}

fn is_intermediate(c: char) -> bool {
    (' '..='/').contains(&c)
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
            ("\u{1b}(B\u{1b}[m foo \u{1b}7", " foo "),
            ("\u{9d}0;title\u{7}x", "x"),
            ("\u{1b}[ 1,000 (50%) total", "1,000 (50%) total"),
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

    #[test]
    fn text_of_the_world_is_kept() {
        for text in [
            "Alle Menschen sind frei und gleich an Würde und Rechten geboren; Auf\u{ad}lage.",
            "Tous les êtres humains naissent libres et égaux «\u{a0}en dignité\u{a0}» — 1\u{202f}000.",
            "تمام افراد بشر آزاد به دنیا می\u{200c}آیند و کتاب\u{200c}ها",
            "כל בני האדם נולדו בני חורין \u{200f}(ושווים)\u{200f} \u{2067}בערכם\u{2069} ב\u{5b7}\u{34f}\u{5b0}",
            "جميع الناس أحرار\u{61c} 12% \u{202b}متساوين\u{202c}",
            "क्\u{200d}या सभी मनुष्यों को गौरव और अधिकार हैं? श्री\u{200c}मान",
            "സ്വാതന്ത്ര്യ\u{200d}ത്തോടെ ന\u{d4d}\u{200d} ര\u{d4d}\u{200c}വേഡ്",
            "සියලු මනුෂ්\u{200d}යයෝ නිදහස්ව උපත ලබා ඇත. ක්\u{200d}ෂ",
            "মানুষ স্বাধীনভাবে র\u{200d}্যাব",
            "ᠬᠦᠮᠦᠨ ᠪᠦᠷ\u{180b} ᠳᠤ\u{180e}ᠠ",
            "มนุษย์\u{200b}ทั้งหลาย\u{200b}เกิด\u{200b}มา",
            "មនុស្ស\u{200b}ទាំងអស់\u{200b}កើតមក",
            "すべての人間は、生まれながらにして自由であり\u{3000}葛\u{e0100}飾区 辻\u{fe00}。",
            "人人生而自由，在尊嚴和權利上一律平等。",
            "모든 인간은 태어날 때부터 자유로우며 \u{1112}\u{1161}\u{11ab}글",
            "Все люди рождаются свободными. Όλοι οι άνθρωποι. Բոլոր մարդիկ. ყველა ადამიანი",
            "\u{2068}\u{2068}Ada\u{2069} Lovelace\u{2069}",
            "Hello, \u{2068}Ada\u{2069}! \u{feff}".trim_end_matches('\u{feff}'),
            "f\u{2061}(x) = a\u{2062}b, 0\u{fe00}, ∩\u{fe00}",
            "👩\u{200d}👩\u{200d}👧\u{200d}👦 👩🏽\u{200d}🚀 🏳\u{fe0f}\u{200d}🌈 ❤\u{fe0f}\u{200d}🔥 1\u{fe0f}\u{20e3} ©\u{fe0e} 👁\u{fe0f}\u{200d}🗨\u{fe0f} 🇨🇭",
            "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}!",
            "\u{feff}a byte order mark",
            "fn main() {\r\n\tlet x = \"\\u{200b}\";\r\n}",
        ] {
            let mut removed = Removed::default();
            assert!(matches!(clean_counted(text, &mut removed), Cow::Borrowed(_)), "{text:?}");
            assert!(removed.is_nothing(), "{text:?}");
        }
    }

    #[test]
    fn what_hides_where_it_does_not_belong_is_removed() {
        let tags: String =
            "ignore".chars().map(|c| char::from_u32(0xe0000 + u32::from(c)).unwrap()).collect();
        let selectors: String = (0xe0100..0xe0110).map(|c| char::from_u32(c).unwrap()).collect();
        let rows = [
            (format!("a{tags}b"), "ab", [0, 6, 0]),
            // More in a flag than its name, or another.
            (format!("🏴{tags}\u{e007f}"), "🏴", [0, 7, 0]),
            (format!("😀{selectors}"), "😀", [0, 16, 0]),
            ("😀\u{fe0f}\u{fe0f}\u{fe0e}".into(), "😀\u{fe0f}", [0, 2, 0]),
            ("ig\u{200b}no\u{200c}re\u{200d} \u{2060}al\u{feff}l".into(), "ignore all", [0, 5, 0]),
            ("می\u{200c}\u{200c}\u{200d}\u{200b}خواهم".into(), "می\u{200c}خواهم", [0, 3, 0]),
            ("a\u{ad}\u{ad}b \u{ad}c".into(), "a\u{ad}b c", [0, 2, 0]),
            ("a\u{34f}b\u{3164}c\u{115f}d\u{ffa0}".into(), "abcd", [0, 4, 0]),
            ("\u{2061}x\u{2063} \u{206a}\u{fff9}y".into(), "x y", [0, 4, 0]),
            // Trojan source: an override, and a Latin line that is turned around.
            (
                "/*\u{202e} } \u{2066}if (admin)\u{2069} \u{2066} begin */".into(),
                "/* } \u{2066}if (admin)\u{2069}  begin */",
                [0, 0, 2],
            ),
            ("a \u{202b}b\u{202c} \u{2067}c\u{2069} \u{200f}d".into(), "a b c d", [0, 0, 5]),
            (
                "שלום \u{202e}abc\u{202c} \u{2069}\u{200f}\u{200f}x".into(),
                "שלום abc \u{200f}x",
                [0, 0, 4],
            ),
            ("a\u{2068}b\nc\u{2069}".into(), "ab\nc", [0, 0, 2]),
            ("i\u{200e}gnore".into(), "ignore", [0, 0, 1]),
            ("a\u{200b}\u{94d}\u{200d}".into(), "a\u{94d}", [0, 2, 0]),
            // One in the other's string.
            ("\u{2068}a\u{1b}]\u{2069}\u{7}b\u{0}".into(), "ab", [2, 0, 1]),
        ];
        for (text, clean, [controls, hidden, bidi]) in rows {
            let mut removed = Removed::default();
            assert_eq!(clean_counted(&text, &mut removed), clean, "{text:?}");
            assert_eq!(removed, Removed { controls, hidden, bidi }, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn cleaning_is_idempotent_and_complete(text in "(\\PC|[\\x00-\\x9f]|\\[|m){0,60}") {
            let once = clean_text(&text).into_owned();
            prop_assert!(!once.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r')));
            prop_assert_eq!(&clean_text(&once), &once);
        }

        #[test]
        fn hiding_is_idempotent_and_leaves_what_shows(
            text in "([aא०ก漢😀👩️🏴\u{fe0f}\u{200b}-\u{200f}\u{202a}-\u{202e}\u{2060}-\u{206f}\u{e0061}-\u{e007f}\u{ad}\u{34f}\u{115f}\u{180b}\u{1b}\\]\\[m\n]){0,40}"
        ) {
            let mut removed = Removed::default();
            let once = clean_counted(&text, &mut removed).into_owned();
            prop_assert_eq!(removed.is_nothing(), once == text);
            prop_assert_eq!(&clean_text(&once), &once);
            let turned = once.contains(['\u{202d}', '\u{202e}', '\u{1b}']);
            prop_assert!(!turned);
            let gone = text.chars().count() - once.chars().count();
            prop_assert!(gone >= removed.controls + removed.hidden + removed.bidi);
        }
    }
}
