//! Characters that do not show: which of them belong where they stand.
//!
//! The threat: text that a person does not see and a model reads (tag characters,
//! variation selectors and zero-width characters spell whole sentences), and text that
//! a person sees in another order than it is read in (bidirectional controls). Scripts
//! and emoji need most of these characters, though, in some places: a joiner in Persian
//! or in a family of emoji, a mark in Hebrew. So each may stand where it does its work,
//! one of it, and nowhere else.
//!
//! What is kept can still carry a little: a joiner more or less between two letters that
//! take one.

use icu_properties::props::{
    CanonicalCombiningClass, Emoji, EmojiModifier, ExtendedPictographic, GeneralCategory, Script,
};
use icu_properties::{CodePointMapData, CodePointSetData};

/// The flags that Unicode spells with tag characters (UTS 51, emoji tag sequences): a
/// black flag, and these.
const FLAGS: [&str; 3] = ["gbeng", "gbsct", "gbwls"];

/// A black flag, and what ends a sequence of tags.
const FLAG: char = '\u{1f3f4}';
const CANCEL_TAG: char = '\u{e007f}';

/// Whether `c` is one of those that do not show, control characters apart: Unicode's
/// default ignorable and format characters, without the signs that stand before digits or
/// around them, and without egyptology's, which do show. Pinned to Unicode's data by
/// `what_is_hidden_is_what_unicode_says`.
pub(super) fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// How many bytes of `text`, which begins with a character that does not show, belong
/// where they stand, after what `back` goes back through. Nothing of bidirectional controls: what they do is a
/// matter of the whole line.
pub(super) fn belonging(back: impl Iterator<Item = char> + Clone, text: &str) -> usize {
    let mut rest = text.chars();
    let Some(c) = rest.next() else { return 0 };
    let previous = back.clone().next();
    if c == '\u{feff}' {
        // A byte order mark; elsewhere it is a zero-width space.
        return if previous.is_none() { c.len_utf8() } else { 0 };
    }
    // At the beginning as after a space.
    let previous = previous.unwrap_or(' ');
    // One at a place; but a joiner of emoji may follow a selector.
    if is_hidden(previous) && !(c == '\u{200d}' && previous == '\u{fe0f}') {
        return 0;
    }
    let next = rest.next().filter(|next| !is_hidden(*next));
    let belongs = match c {
        // Between letters: where a word may be broken.
        '\u{ad}' => previous.is_alphabetic() && next.is_some_and(char::is_alphabetic),
        // The combining grapheme joiner stands between marks.
        '\u{34f}' => is_mark(previous) || next.is_some_and(is_mark),
        // Where there are no spaces between words.
        '\u{200b}' => is_unspaced(previous) || next.is_some_and(is_unspaced),
        '\u{200c}' => takes_joiners(previous, back),
        '\u{200d}' => {
            takes_joiners(previous, back)
                || (ends_emoji(previous) && next.is_some_and(is_pictographic))
        }
        // Function application, and what is invisible between factors, members and terms.
        '\u{2061}'..='\u{2064}' => {
            let operand = |c: char| c.is_alphanumeric() || matches!(c, '(' | ')' | '[' | ']');
            operand(previous) && next.is_some_and(operand)
        }
        '\u{115f}' | '\u{1160}' => is_jamo(previous) || next.is_some_and(is_jamo),
        '\u{3164}' | '\u{ffa0}' => is_jamo(previous) && next.is_some_and(is_jamo),
        '\u{17b4}' | '\u{17b5}' => script(previous) == Script::Khmer,
        '\u{180b}'..='\u{180f}' => script(previous) == Script::Mongolian,
        '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => is_varied(previous, c),
        '\u{1bca0}'..='\u{1bca3}' => script(previous) == Script::Duployan,
        '\u{1d173}'..='\u{1d17a}' => ('\u{1d100}'..='\u{1d1ff}').contains(&previous),
        '\u{e0020}'..='\u{e007f}' => return flag(previous, text),
        _ => false,
    };
    if belongs { c.len_utf8() } else { 0 }
}

/// How long the tags are that make a flag of the black one before them.
fn flag(previous: char, text: &str) -> usize {
    let tags = |name: &str| -> String {
        let tag = |c: char| char::from_u32(0xe0000 + u32::from(c));
        name.chars().filter_map(tag).chain([CANCEL_TAG]).collect()
    };
    if previous != FLAG {
        return 0;
    }
    let found = FLAGS.iter().map(|name| tags(name)).find(|tags| text.starts_with(tags.as_str()));
    found.map_or(0, |tags| tags.len())
}

/// How many marks stand on one letter; beyond that, none is looked for.
const MOST_MARKS: usize = 8;

/// Whether letters before a joiner take one: in scripts that join letters or stack them.
fn takes_joiners(previous: char, back: impl Iterator<Item = char>) -> bool {
    // Marks of several scripts have none of their own: what they stand on decides.
    let of = if is_mark(previous) {
        back.take(MOST_MARKS).find(|c| !is_mark(*c)).unwrap_or(previous)
    } else {
        previous
    };
    matches!(
        script(of),
        Script::Adlam
            | Script::Arabic
            | Script::Balinese
            | Script::Bengali
            | Script::Brahmi
            | Script::Chakma
            | Script::Cham
            | Script::Devanagari
            | Script::Grantha
            | Script::Gujarati
            | Script::Gurmukhi
            | Script::HanifiRohingya
            | Script::Javanese
            | Script::Kaithi
            | Script::Kannada
            | Script::Khmer
            | Script::Lao
            | Script::Malayalam
            | Script::Mandaic
            | Script::Manichaean
            | Script::MeeteiMayek
            | Script::Modi
            | Script::Mongolian
            | Script::Myanmar
            | Script::Newa
            | Script::Nko
            | Script::Oriya
            | Script::PhagsPa
            | Script::Sharada
            | Script::Sinhala
            | Script::Sogdian
            | Script::Sundanese
            | Script::Syriac
            | Script::TaiTham
            | Script::Tamil
            | Script::Telugu
            | Script::Thai
            | Script::Tibetan
            | Script::Tifinagh
            | Script::Tirhuta
    )
}

/// Whether words of its script stand side by side without spaces.
fn is_unspaced(c: char) -> bool {
    matches!(
        script(c),
        Script::Balinese
            | Script::Bopomofo
            | Script::Han
            | Script::Hiragana
            | Script::Javanese
            | Script::Katakana
            | Script::Khmer
            | Script::Lao
            | Script::Myanmar
            | Script::NewTaiLue
            | Script::TaiLe
            | Script::TaiTham
            | Script::TaiViet
            | Script::Thai
            | Script::Tibetan
    )
}

/// Whether Unicode has a variation of `base` under this selector, as far as ranges say:
/// its lists name each pair.
fn is_varied(base: char, selector: char) -> bool {
    match selector {
        // Text or emoji, of which each pictogram and the keys of a telephone have both.
        '\u{fe0e}' | '\u{fe0f}' => CodePointSetData::new::<Emoji>().contains(base),
        // Slashed zero, operators, full-width punctuation, ideographs, Myanmar, Phags-pa.
        '\u{fe00}'..='\u{fe02}' => {
            matches!(
                base,
                '0' | '\u{1000}'..='\u{109f}' | '\u{2018}'..='\u{201f}' | '\u{2205}'..='\u{2aff}'
                    | '\u{3001}'..='\u{3002}' | '\u{a840}'..='\u{a877}' | '\u{aa60}'..='\u{aa7f}'
                    | '\u{ff01}'..='\u{ff1f}' | '\u{10ac0}'..='\u{10aff}' | '\u{11000}'..='\u{1107f}'
                    | '\u{1d49c}'..='\u{1d4cf}'
            ) || script(base) == Script::Han
                || script(base) == Script::EgyptianHieroglyphs
        }
        '\u{fe03}'..='\u{fe06}' => script(base) == Script::EgyptianHieroglyphs,
        '\u{e0100}'..='\u{e01ef}' => script(base) == Script::Han,
        _ => false,
    }
}

fn script(c: char) -> Script {
    CodePointMapData::<Script>::new().get(c)
}

fn is_mark(c: char) -> bool {
    let class = CodePointMapData::<CanonicalCombiningClass>::new().get(c);
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    class != CanonicalCombiningClass::NotReordered
        || matches!(category, GeneralCategory::NonspacingMark | GeneralCategory::SpacingMark)
}

fn is_jamo(c: char) -> bool {
    script(c) == Script::Hangul
}

fn is_pictographic(c: char) -> bool {
    CodePointSetData::new::<ExtendedPictographic>().contains(c)
}

/// Whether a part of a sequence of emoji may end with it.
fn ends_emoji(c: char) -> bool {
    c == '\u{fe0f}' || is_pictographic(c) || CodePointSetData::new::<EmojiModifier>().contains(c)
}

#[cfg(test)]
mod tests {
    use icu_properties::props::DefaultIgnorableCodePoint;

    use super::super::scan::Candidates;
    use super::*;

    #[test]
    fn what_is_hidden_is_what_unicode_says() {
        let categories = CodePointMapData::<GeneralCategory>::new();
        let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
        for c in '\0'..=char::MAX {
            let shows = matches!(c,
                '\u{600}'..='\u{605}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
                | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1345f}');
            let hidden = ignorable.contains(c) || categories.get(c) == GeneralCategory::Format;
            assert_eq!(is_hidden(c), hidden && !shows, "{:x}", u32::from(c));
        }
    }

    #[test]
    fn every_character_that_hides_is_found() {
        let hides = |c: char| is_hidden(c) || (c.is_control() && !matches!(c, '\n' | '\t'));
        for c in ('\0'..=char::MAX).filter(|c| hides(*c)) {
            // Alone, and wherever in a block.
            for before in [0, 1, 62, 63, 64, 65, 127] {
                let text = format!("{}{c}{}", "a".repeat(before), "b".repeat(100));
                let found = Candidates::of(&text).next();
                assert_eq!(found, Some(before), "{:x}", u32::from(c));
            }
        }
    }
}
