//! Tokens that were verified, so that a call with one of them is not held up again.
//!
//! Kept by their SHA-256, so that no credential stays in memory. Only tokens that were
//! accepted get in: nobody without one can push out another's.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use quick_cache::sync::Cache;

use crate::auth::principal::Identity;

/// How many tokens are remembered, of some 500 bytes each: one for each agent and person
/// that is at work within a token's life. One more costs a verification, no refusal.
const MOST: usize = 10_000;

/// SHA-256 of a token.
pub(super) type Digest = [u8; 32];

pub(super) fn digest_of(token: &str) -> Digest {
    let mut bytes = [0; 32];
    // Equal lengths; `zip` cannot panic where `copy_from_slice` could.
    for (to, from) in bytes.iter_mut().zip(digest(&SHA256, token.as_bytes()).as_ref()) {
        *to = *from;
    }
    bytes
}

#[derive(Debug)]
pub(super) struct Warm(Cache<Digest, Entry>);

#[derive(Clone, Debug)]
struct Entry {
    identity: Arc<Identity>,
    /// From when on it has to be verified again; none for a token without an end.
    until: Option<Timestamp>,
}

impl Warm {
    pub(super) fn new() -> Self {
        Self(Cache::new(MOST))
    }

    /// Whose token has this digest, while that is known to hold.
    pub(super) fn get(&self, digest: &Digest, now: Timestamp) -> Option<Arc<Identity>> {
        let entry = self.0.get(digest)?;
        entry.until.is_none_or(|until| now < until).then_some(entry.identity)
    }

    pub(super) fn insert(&self, digest: Digest, identity: Arc<Identity>, until: Option<Timestamp>) {
        self.0.insert(digest, Entry { identity, until });
    }

    pub(super) fn remove(&self, digest: &Digest) {
        self.0.remove(digest);
    }

    /// Has every token verified again.
    pub(super) fn clear(&self) {
        self.0.clear();
    }
}
