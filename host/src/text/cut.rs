//! A text with parts of it replaced, borrowed for as long as none is.

use std::borrow::Cow;

/// A text without what was cut out of it, built from its beginning to its end.
pub(crate) struct Cut<'t> {
    text: &'t str,
    clean: String,
    /// Up to where the text was copied or replaced.
    copied: usize,
    changed: bool,
}

impl<'t> Cut<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, clean: String::new(), copied: 0, changed: false }
    }

    /// Puts `with` in the place of what is from `from` up to `to`. What begins before the
    /// end of an earlier one is left as that one made it.
    pub(crate) fn replace(&mut self, from: usize, to: usize, with: &str) -> bool {
        let Some(before) = self.text.get(self.copied..from) else { return false };
        self.clean.push_str(before);
        self.clean.push_str(with);
        self.copied = to;
        self.changed = true;
        true
    }

    /// What is left of the text before `at`, from there back to its beginning.
    pub(super) fn back(&self, at: usize) -> impl Iterator<Item = char> + Clone {
        let since = self.text.get(self.copied..at).unwrap_or_default();
        since.chars().rev().chain(self.clean.chars().rev())
    }

    pub(crate) fn done(mut self) -> Cow<'t, str> {
        if !self.changed {
            return Cow::Borrowed(self.text);
        }
        self.clean.push_str(self.text.get(self.copied..).unwrap_or_default());
        Cow::Owned(self.clean)
    }
}
