//! Why a plugin was not built.

use std::fmt;
use std::path::Path;

/// Why a plugin was not built; the compiler's own words where it spoke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError {
    missing_toolchain: bool,
    message: String,
}

impl BuildError {
    pub(super) fn new(message: impl fmt::Display) -> Self {
        Self { missing_toolchain: false, message: message.to_string() }
    }

    /// A program is not installed: `needs` says what for, and each of `ways` is how to
    /// get it, as a line to copy.
    pub(super) fn missing_toolchain(needs: impl fmt::Display, ways: &[String]) -> Self {
        let ways: String = ways.iter().map(|way| format!("\n    {way}")).collect();
        let choice = if ways.matches('\n').count() > 1 { "with one of" } else { "with" };
        let message = format!("{needs}; get it {choice}{ways}");
        Self { missing_toolchain: true, message }
    }

    pub(super) fn of_file(path: &Path, error: impl fmt::Display) -> Self {
        Self::new(format!("{}: {error}", path.display()))
    }

    /// Whether nothing is wrong with the source: a program that builds it is missing.
    pub fn is_missing_toolchain(&self) -> bool {
        self.missing_toolchain
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for BuildError {}
