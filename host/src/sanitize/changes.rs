//! What was changed in an output, for whoever reads it and for whoever operates it.

use serde::{Serialize, Serializer};

use crate::text::Removed;

/// How often each thing was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Control characters and terminal escape sequences, removed.
    pub controls: usize,
    /// Characters that do not show, removed.
    pub hidden: usize,
    /// Bidirectional controls, removed.
    pub bidi: usize,
    /// Tokens of chat templates, made harmless.
    pub role_tokens: usize,
    /// Links and images that lead out, blocked.
    pub links: usize,
    /// Secrets, redacted.
    pub secrets: usize,
    /// Bytes of text that were cut off.
    pub truncated_bytes: usize,
}

impl Changes {
    /// Each by its name, in the result's `_meta` and in the metrics.
    pub fn named(&self) -> [(&'static str, usize); 7] {
        let Self { controls, hidden, bidi, role_tokens, links, secrets, truncated_bytes } = *self;
        [
            ("controls", controls),
            ("hidden", hidden),
            ("bidi", bidi),
            ("role_tokens", role_tokens),
            ("links", links),
            ("secrets", secrets),
            ("truncated_bytes", truncated_bytes),
        ]
    }

    /// Whether nothing was.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn add(&mut self, removed: Removed) {
        self.controls += removed.controls;
        self.hidden += removed.hidden;
        self.bidi += removed.bidi;
    }
}

/// Those that are not zero.
impl Serialize for Changes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.named().into_iter().filter(|(_, count)| *count > 0))
    }
}
