//! `[[auth.issuers]]`: the authorization servers whose tokens are accepted.

use super::walk::{Section, text};

/// One authorization server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Its issuer identifier, byte for byte what tokens have as `iss` (RFC 8414 §2).
    pub issuer: String,
}

impl Issuer {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let own = |node: &_| text(node).map(str::to_owned);
        Self { issuer: section.required("issuer", own).unwrap_or_default() }
    }
}
