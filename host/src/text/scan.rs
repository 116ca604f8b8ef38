//! Finds, fast, what [`super::clean_text`] has to look at: nearly all text has none of it.
//!
//! Whole blocks of bytes are looked at at once, without a branch, so that the compiler
//! makes vector instructions of it: the widest that the machine has, chosen as it runs.
//! A hit may be harmless; what is no hit, is. That this holds for every character is pinned
//! by `every_character_that_hides_is_found`.

use multiversion::multiversion;

/// How many bytes are looked at at once.
const BLOCK: usize = 64;

/// How many bytes after a place decide whether it is looked at.
const AHEAD: usize = 2;

/// A block, and what decides about its last bytes.
type Window = [u8; BLOCK + AHEAD];

/// The places of a text at which a character begins that does not show, or a control
/// character that is not kept: C0, DEL or C1.
pub(super) struct Candidates<'t> {
    text: &'t [u8],
    /// Where the block begins that is looked at.
    block: usize,
    /// Which of its bytes begin one: the lowest bit is the first byte.
    found: u64,
}

impl<'t> Candidates<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let (block, found) = next_block(text.as_bytes(), 0);
        Self { text: text.as_bytes(), block, found }
    }

    /// Goes on at `at`, which lies ahead.
    pub(super) fn skip_to(&mut self, at: usize) {
        let skipped = at.saturating_sub(self.block);
        if skipped < BLOCK {
            self.found &= u64::MAX << skipped;
        } else {
            (self.block, self.found) = next_block(self.text, at);
        }
    }
}

impl Iterator for Candidates<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        loop {
            if self.found == 0 {
                (self.block, self.found) = next_block(self.text, self.block + BLOCK);
            }
            let first = self.found.trailing_zeros() as usize;
            if first >= BLOCK {
                return None;
            }
            self.found &= self.found - 1;
            let at = self.block + first;
            let byte = |at| self.text.get(at).copied().unwrap_or(b' ');
            if is_candidate(byte(at), byte(at + 1), byte(at + 2)) {
                return Some(at);
            }
        }
    }
}

/// The next block in which there is one, from `at` on, and where in it; no bit at the end.
#[multiversion(targets("x86_64+avx2"))]
fn next_block(text: &[u8], mut at: usize) -> (usize, u64) {
    let mut copy = [0; BLOCK + AHEAD];
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let window = window(rest, &mut copy);
        let is_ascii = window.iter().fold(0, |all, byte| all | byte) < 0x80;
        let mut found = [0; BLOCK];
        for (found, [a, b, c]) in found.iter_mut().zip(window.array_windows()) {
            *found = u8::from(is_ascii_control(*a, *b));
            if !is_ascii {
                *found |= u8::from(may_be_candidate(*a, *b, *c));
            }
        }
        if found.iter().fold(0, |all, one| all | one) != 0 {
            return (at, bits(&found));
        }
        at += BLOCK;
    }
    (at, 0)
}

/// The first bytes of a text that is not empty; a short one is filled up with spaces.
#[inline(always)]
fn window<'w>(text: &'w [u8], copy: &'w mut Window) -> &'w Window {
    text.first_chunk().unwrap_or_else(|| filled_up(text, copy))
}

#[cold]
#[inline(never)]
fn filled_up<'w>(text: &[u8], copy: &'w mut Window) -> &'w Window {
    copy.fill(b' ');
    copy.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
    copy
}

/// A bit for each byte that is 1.
#[inline(always)]
fn bits(bytes: &[u8; BLOCK]) -> u64 {
    let (eights, _) = bytes.as_chunks::<8>();
    // The multiplication gathers the lowest bit of each byte in the highest byte.
    let gathered = |eight: &[u8; 8]| u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080);
    eights.iter().rev().fold(0, |bits, eight| bits << 8 | gathered(eight) >> 56)
}

#[inline(always)]
#[expect(clippy::needless_bitwise_bool, reason = "without a branch, this is vectorized")]
fn is_ascii_control(a: u8, b: u8) -> bool {
    ((a < 0x20) & (a != b'\n') & (a != b'\t') & ((a != b'\r') | (b != b'\n'))) | (a == 0x7f)
}

/// Whether the bytes may begin one that is not ASCII: nearly never, where none does.
#[inline(always)]
#[expect(clippy::needless_bitwise_bool, reason = "without a branch, this is vectorized")]
fn may_be_candidate(a: u8, b: u8, c: u8) -> bool {
    // U+2010–2029 are the dashes and quotation marks that all text has.
    let is_dash = (b == 0x80) & (c.wrapping_sub(0x90) < 0x1a);
    ((a == 0xc2) & ((b < 0xa0) | (b == 0xad)))
        | (a == 0xcd)
        | ((a == 0xd8) & (b == 0x9c))
        | (a == 0xe1)
        | ((a == 0xe2) & (b < 0x82) & !is_dash)
        | ((a == 0xe3) & (b == 0x85))
        | ((a == 0xef) & (b >= 0xb8))
        // Emoji apart.
        | ((a >= 0xf0) & (b != 0x9f))
}

/// Whether these bytes begin one.
fn is_candidate(a: u8, b: u8, c: u8) -> bool {
    match a {
        // C1 and the soft hyphen, the combining grapheme joiner, the Arabic letter mark.
        0xc2 => b < 0xa0 || b == 0xad,
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
        _ => is_ascii_control(a, b),
    }
}
