//! Bidirectional controls (UAX 9), line by line.
//!
//! Kept where they do what they are for: in a line with letters that run from right to
//! left; elsewhere only pairs that change no order. An override
//! is never kept, since it shows letters in another order than they are read in, which
//! no text needs.

/// The controls of `line` that have to go, by where they begin, in order.
pub(super) fn unfit(line: &str) -> Vec<usize> {
    let runs_left = line.chars().any(runs_left);
    let mut unfit = Vec::new();
    let mut open = Open::default();
    for (at, c) in line.char_indices() {
        match c {
            '\u{200e}' | '\u{200f}' | '\u{61c}' if !runs_left => unfit.push(at),
            '\u{202a}' => open.push(at, Opener::Embedding, true),
            '\u{202b}' => open.push(at, Opener::Embedding, runs_left),
            '\u{202d}' | '\u{202e}' => open.push(at, Opener::Embedding, false),
            '\u{2066}' | '\u{2068}' => open.push(at, Opener::Isolate, true),
            '\u{2067}' => open.push(at, Opener::Isolate, runs_left),
            '\u{202c}' => open.close(&mut unfit, at, Opener::Embedding),
            '\u{2069}' => open.close(&mut unfit, at, Opener::Isolate),
            _ => {}
        }
    }
    // The line's end closes the rest.
    unfit.extend(open.all.iter().filter(|(.., fits)| !(*fits && runs_left)).map(|(at, ..)| *at));
    unfit.sort_unstable();
    unfit
}

/// Whether `c` is one of them.
pub(super) fn is_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Opener {
    Embedding,
    Isolate,
}

/// What is open in a line, from the outermost on: where it began, what it is, and whether it
/// fits.
#[derive(Default)]
struct Open {
    all: Vec<(usize, Opener, bool)>,
    isolates: usize,
}

impl Open {
    fn push(&mut self, at: usize, kind: Opener, fits: bool) {
        self.all.push((at, kind, fits));
        self.isolates += usize::from(kind == Opener::Isolate);
    }

    /// Closes the innermost one, if it is of this kind. The end of an isolate also ends what
    /// was opened in it, which is then unfit.
    fn close(&mut self, unfit: &mut Vec<usize>, at: usize, kind: Opener) {
        let found = match kind {
            Opener::Embedding => self.all.last().is_some_and(|(_, last, _)| *last == kind),
            Opener::Isolate => self.isolates > 0,
        };
        if !found {
            return unfit.push(at);
        }
        while let Some((began, of, fits)) = self.all.pop() {
            if of == kind {
                self.isolates -= usize::from(kind == Opener::Isolate);
                if !fits {
                    unfit.extend([began, at]);
                }
                return;
            }
            unfit.push(began);
        }
    }
}

/// Letters of scripts that run from right to left, by their blocks.
fn runs_left(c: char) -> bool {
    let shows = !is_control(c);
    shows
        && matches!(
            c,
            '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'
                | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}'
        )
}
