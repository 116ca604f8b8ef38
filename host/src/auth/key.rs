//! An API key: what its text looks like, and what is kept of it.
//!
//! `bhk_ID_SECRET`: the id finds the entry, the secret proves the holder. The
//! secret has 260 random bits, so a plain SHA-256 of it can neither be reversed
//! nor guessed, and a slow hash would only make every call slow.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::error::Unspecified;
use jiff::Timestamp;

use crate::names::{AgentName, KeyId, Malformed, Scope, Secret, Subject};

/// What is kept of one API key.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its name.
    pub id: KeyId,
    /// Which program calls with it.
    pub agent: AgentName,
    /// On whose behalf.
    pub subject: Option<Subject>,
    /// What it may be used for, within what its agent's entry allows. Without it:
    /// whatever the entry allows.
    pub scopes: Option<Vec<Scope>>,
    /// Of its secret part.
    pub(super) digest: SecretDigest,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it is refused.
    pub expires: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

/// SHA-256 of a key's secret part. Not shown, so that no log becomes a list to
/// compare other leaks with.
#[derive(Clone, Copy)]
pub(super) struct SecretDigest([u8; 32]);

impl SecretDigest {
    /// Equal to no secret's digest: finding one would break SHA-256.
    pub(super) const OF_NOTHING: Self = Self([0; 32]);

    /// The digest of `secret`.
    pub(super) fn of(secret: &str) -> Self {
        let mut bytes = [0; 32];
        // Equal lengths; `zip` cannot panic where `copy_from_slice` could.
        for (to, from) in bytes.iter_mut().zip(digest(&SHA256, secret.as_bytes()).as_ref()) {
            *to = *from;
        }
        Self(bytes)
    }

    /// Whether both are of one secret, in a time that depends on neither.
    pub(super) fn matches(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }

    /// 64 hexadecimal digits, for the key file only.
    pub(super) fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl FromStr for SecretDigest {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let wrong = || Malformed::new("expected 64 hexadecimal digits");
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
            return Err(wrong());
        };
        let nibble = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
        let byte = |[high, low]: &[u8; 2]| Some(nibble(*high)? << 4 | nibble(*low)?);
        let bytes = pairs.iter().map(byte).collect::<Option<Vec<u8>>>().ok_or_else(wrong)?;
        bytes.try_into().map(Self).map_err(|_| wrong())
    }
}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretDigest(…)")
    }
}

const PREFIX: &str = "bhk_";

/// 32 letters and digits that are hard to confuse: each is five random bits.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// 60 bits: ids do not meet by accident in a file of [`super::key_file::MOST_KEYS`].
const ID_LENGTH: usize = 12;

/// 260 bits, of which 256 were asked for.
const SECRET_LENGTH: usize = 52;

/// A key's text, taken apart; not yet believed.
pub(super) struct KeyText<'t> {
    pub(super) id: &'t str,
    pub(super) secret: &'t str,
}

impl<'t> KeyText<'t> {
    /// Whether `text` is meant to be a key of ours, a good one or not.
    pub(super) fn is_meant(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// Takes `text` apart; `None` when it is not a key of ours.
    pub(super) fn parse(text: &'t str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        Some(Self { id, secret })
    }
}

/// A new random id.
pub(super) fn random_id() -> Result<KeyId, Unspecified> {
    random_text::<ID_LENGTH>()?.parse().map_err(|_| Unspecified)
}

/// A new random secret for `id`: the whole text of the key, and what to keep of it.
pub(super) fn random_secret(id: &KeyId) -> Result<(Secret, SecretDigest), Unspecified> {
    let secret = random_text::<SECRET_LENGTH>()?;
    let digest = SecretDigest::of(&secret);
    Ok((Secret::new(format!("{PREFIX}{id}_{secret}")), digest))
}

fn random_text<const LENGTH: usize>() -> Result<String, Unspecified> {
    let mut bytes = [0; LENGTH];
    aws_lc_rs::rand::fill(&mut bytes)?;
    let symbol = |byte: u8| ALPHABET.get(usize::from(byte % 32)).copied().map(char::from);
    bytes.into_iter().map(symbol).collect::<Option<String>>().ok_or(Unspecified)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_can_be_taken_apart_and_matches_what_is_kept() {
        let id = random_id().unwrap();
        let (secret, digest) = random_secret(&id).unwrap();
        let text = KeyText::parse(secret.expose()).unwrap();
        assert_eq!(text.id, id.as_str());
        assert_eq!(text.secret.len(), SECRET_LENGTH);
        assert!(text.secret.bytes().all(|byte| ALPHABET.contains(&byte)));
        assert!(digest.matches(&SecretDigest::of(text.secret)));
        assert!(!digest.matches(&SecretDigest::of("another")));
        assert_ne!(random_id().unwrap(), id);
    }

    #[test]
    fn other_texts_are_no_keys() {
        for bad in ["", "bhk", "bhk_", "bhk_id", "bhkid_secret", "BHK_id_secret", "sk-123"] {
            assert!(KeyText::parse(bad).is_none(), "{bad}");
        }
        let text = KeyText::parse("bhk_id_with_more").unwrap();
        assert_eq!((text.id, text.secret), ("id", "with_more"));
    }

    #[test]
    fn digests_are_read_written_and_not_shown() {
        // NIST's example for "abc".
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let digest: SecretDigest = hex.parse().unwrap();
        assert!(digest.matches(&SecretDigest::of("abc")));
        assert_eq!(digest.to_hex(), hex);
        assert_eq!(format!("{digest:?}"), "SecretDigest(…)");
        let long = format!("{hex}00");
        for bad in ["", "ba", &hex[1..], &long, &hex.replace('a', "g"), &hex.replace("ba", "é")] {
            assert!(bad.parse::<SecretDigest>().is_err(), "{bad}");
        }
    }
}
