//! Looks for many words at once.

use aho_corasick::packed::{Config, MatchKind, Searcher};
use aho_corasick::{AhoCorasick, Match};

/// What is looked for: where several begin, the first of them is found. With vector
/// instructions where the machine has them and there are at most 64.
pub(super) enum Search {
    Packed(Searcher),
    Automaton(Option<AhoCorasick>),
}

impl Search {
    /// For these.
    pub(super) fn new<'w>(words: impl Iterator<Item = &'w str> + Clone) -> Self {
        let packed = Config::new().match_kind(MatchKind::LeftmostFirst).builder();
        let packed = packed.clone().extend(words.clone()).build();
        packed.map_or_else(
            || {
                let first = aho_corasick::MatchKind::LeftmostFirst;
                Self::Automaton(AhoCorasick::builder().match_kind(first).build(words).ok())
            },
            Self::Packed,
        )
    }

    /// Each that is found, from the beginning on.
    pub(super) fn find_iter<'s>(&'s self, text: &'s str) -> impl Iterator<Item = Match> {
        let (packed, automaton) = match self {
            Self::Packed(packed) => (Some(packed.find_iter(text)), None),
            Self::Automaton(automaton) => {
                (None, automaton.as_ref().map(|automaton| automaton.find_iter(text)))
            }
        };
        packed.into_iter().flatten().chain(automaton.into_iter().flatten())
    }
}
