//! Finds, fast, what [`super::clean_text`] has to look at: nearly all text has none of it.
//!
//! Whole blocks of bytes are looked at at once, without a branch, so that the compiler
//! makes vector instructions of it. A hit may be harmless; what is no hit, is. That this
//! holds for every character is pinned by `every_character_that_hides_is_found`.

/// How many bytes are looked at at once.
const BLOCK: usize = 64;

/// How many bytes after a place decide about it.
const AHEAD: usize = 2;

/// Whether a text holds a control character that is not kept: C0, DEL or C1.
pub(super) fn has_control(text: &str) -> bool {
    let text = text.as_bytes();
    let mut at = 0;
    while let Some(window) = text.get(at..=at + BLOCK) {
        let mut any = 0;
        for [a, b] in window.array_windows() {
            any |= u8::from(is_control(*a, *b));
        }
        if any != 0 {
            return true;
        }
        at += BLOCK;
    }
    (at..text.len()).any(|at| is_control(byte_at(text, at), byte_at(text, at + 1)))
}

#[inline(always)]
#[expect(clippy::needless_bitwise_bool, reason = "without a branch, this is vectorized")]
fn is_control(a: u8, b: u8) -> bool {
    ((a < 0x20) & (a != b'\n') & (a != b'\t') & ((a != b'\r') | (b != b'\n')))
        | (a == 0x7f)
        | ((a == 0xc2) & (b < 0xa0))
}

/// The places of a text at which a character begins that does not show, control
/// characters apart.
pub(super) struct Candidates<'t> {
    text: &'t [u8],
    at: usize,
    /// Up to where every byte is looked at alone.
    near: usize,
}

impl<'t> Candidates<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        Self { text: text.as_bytes(), at: 0, near: 0 }
    }

    /// Goes on at `at`, which lies ahead.
    pub(super) fn skip_to(&mut self, at: usize) {
        self.at = at;
    }

    /// The next block in which there may be one.
    fn approach(&mut self) {
        while let Some(window) = self.text.get(self.at..self.at + BLOCK + AHEAD) {
            let ascii = window.iter().fold(0, |all, byte| all | byte) < 0x80;
            if !ascii && holds_candidate(window) {
                self.near = self.at + BLOCK;
                return;
            }
            self.at += BLOCK;
        }
        self.near = self.text.len();
    }
}

impl Iterator for Candidates<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while self.at < self.text.len() {
            if self.at >= self.near {
                self.approach();
            }
            let end = self.near.min(self.text.len());
            while self.at < end {
                let at = self.at;
                self.at += 1;
                if is_candidate(self.text, at) {
                    return Some(at);
                }
            }
        }
        None
    }
}

fn holds_candidate(window: &[u8]) -> bool {
    let mut any = 0;
    for [a, b, c] in window.array_windows() {
        any |= u8::from(may_be_candidate(*a, *b, *c));
    }
    any != 0
}

/// [`is_candidate`] by its three bytes, and by some more that are rare.
#[inline(always)]
#[expect(clippy::needless_bitwise_bool, reason = "without a branch, this is vectorized")]
fn may_be_candidate(a: u8, b: u8, c: u8) -> bool {
    // U+2010–2029 are the dashes and quotation marks that all text has.
    let general = (a == 0xe2)
        & (((b == 0x80) & (c.wrapping_sub(0x90) >= 0x1a)) | ((b == 0x81) & (c >= 0xa0)));
    ((a == 0xc2) & (b == 0xad))
        | (a == 0xcd)
        | ((a == 0xd8) & (b == 0x9c))
        | ((a == 0xe1) & ((b == 0x85) | (b == 0x9e) | (b == 0xa0)))
        | general
        | ((a == 0xe3) & (b == 0x85))
        | ((a == 0xef) & ((b == 0xb8) | (b == 0xbb) | (b >= 0xbe)))
        | ((a == 0xf0) & ((b == 0x9b) | (b == 0x9d)))
        | (a == 0xf3)
}

/// Whether a character begins at `at` that does not show.
fn is_candidate(text: &[u8], at: usize) -> bool {
    let (b, c) = (byte_at(text, at + 1), byte_at(text, at + 2));
    match byte_at(text, at) {
        // The soft hyphen, the combining grapheme joiner, the Arabic letter mark.
        0xc2 => b == 0xad,
        0xcd => b == 0x8f,
        0xd8 => b == 0x9c,
        // Fillers of Hangul, Khmer's inherent vowels, Mongolian's selectors.
        0xe1 => matches!((b, c), (0x85, 0x9f | 0xa0) | (0x9e, 0xb4 | 0xb5) | (0xa0, 0x8b..=0x8f)),
        // Zero-width, bidirectional, invisible operators: U+200B–200F, U+202A–202E,
        // U+2060–206F.
        0xe2 => matches!((b, c), (0x80, 0x8b..=0x8f | 0xaa..=0xae) | (0x81, 0xa0..=0xaf)),
        0xe3 => (b, c) == (0x85, 0xa4),
        // Variation selectors, the byte order mark, half-width filler, specials.
        0xef => {
            matches!((b, c), (0xb8, ..0x90) | (0xbb, 0xbf) | (0xbe, 0xa0) | (0xbf, 0xb0..=0xbb))
        }
        // Shorthand and music.
        0xf0 => matches!((b, c), (0x9b, 0xb2) | (0x9d, 0x85)),
        // Tags and more selectors.
        0xf3 => b == 0xa0,
        _ => false,
    }
}

fn byte_at(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or_default()
}
