//! Tokens that were verified, so that a call with one of them is not held up again.
//!
//! Kept by a digest, so that no credential stays in memory. Only tokens that were
//! accepted get in: nobody without one can push out another's.
//!
//! The digest is GMAC (NIST SP 800-38D) under a key that this process makes up: where a
//! processor has no instructions for SHA-256, that takes 2 µs for a token, and this
//! 0.2 µs. Its nonce never changes, which is safe as long as no digest is ever shown:
//! without the key nobody can aim at another token's, and by accident it is met once in
//! 2^118 tries.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use jiff::Timestamp;
use quick_cache::sync::Cache;

use crate::auth::principal::Identity;

/// How many tokens are remembered, of some 500 bytes each: one for each agent and person
/// that is at work within a token's life. One more costs a verification, no refusal.
const MOST: usize = 10_000;

/// What a token is known by, within this process.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Digest([u8; 16]);

pub(super) struct Warm {
    known: Cache<Digest, Entry>,
    key: LessSafeKey,
}

impl fmt::Debug for Warm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warm").field("tokens", &self.known.len()).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
struct Entry {
    identity: Arc<Identity>,
    /// From when on it has to be verified again; none for a token without an end.
    until: Option<Timestamp>,
}

impl Warm {
    /// # Errors
    /// When the system gives no random bytes.
    pub(super) fn new() -> Result<Self, Unspecified> {
        let mut key = [0; 16];
        rand::fill(&mut key)?;
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key)?);
        Ok(Self { known: Cache::new(MOST), key })
    }

    /// The digest of a token. `None` never comes; if it did, the token would be verified
    /// each time.
    pub(super) fn digest_of(&self, token: &str) -> Option<Digest> {
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(token), &mut []).ok()?;
        tag.as_ref().try_into().ok().map(Digest)
    }

    /// Whose token has this digest, while that is known to hold.
    pub(super) fn get(&self, digest: &Digest, now: Timestamp) -> Option<Arc<Identity>> {
        let entry = self.known.get(digest)?;
        entry.until.is_none_or(|until| now < until).then_some(entry.identity)
    }

    pub(super) fn insert(&self, digest: Digest, identity: Arc<Identity>, until: Option<Timestamp>) {
        self.known.insert(digest, Entry { identity, until });
    }

    pub(super) fn remove(&self, digest: &Digest) {
        self.known.remove(digest);
    }

    /// Has every token verified again.
    pub(super) fn clear(&self) {
        self.known.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_of_the_whole_token_and_of_this_process() {
        let (one, other) = (Warm::new().unwrap(), Warm::new().unwrap());
        let token = "a".repeat(1_000);
        let changed = [token[1..].to_owned(), format!("{token}a"), format!("b{}", &token[1..])];
        assert!(one.digest_of(&token) == one.digest_of(&token));
        for other in changed {
            assert!(one.digest_of(&token) != one.digest_of(&other));
        }
        assert!(one.digest_of(&token) != other.digest_of(&token));
    }
}
