//! What is kept of an API key.
//!
//! The id finds the entry, the secret proves the holder. The secret has 260 random
//! bits, so a plain SHA-256 of it can neither be reversed nor guessed, and a slow hash
//! would only make every call slow.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;

use crate::names::{AgentName, KeyId, Malformed, Scope, Subject};

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
    pub scopes: Option<Arc<[Scope]>>,
    /// Of its secret part.
    pub(in crate::auth) digest: SecretDigest,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it is refused.
    pub expires: Option<Timestamp>,
    /// The key that it was made to take the place of.
    pub replaces: Option<KeyId>,
    /// When it was revoked, as a file of an older version says. What is revoked now
    /// stands in the journal.
    pub revoked: Option<Timestamp>,
}

/// SHA-256 of a key's secret part. Not shown, so that no log becomes a list to
/// compare other leaks with.
#[derive(Clone, Copy)]
pub(in crate::auth) struct SecretDigest([u8; 32]);

impl SecretDigest {
    /// Equal to no secret's digest: finding one would break SHA-256.
    pub(in crate::auth) const OF_NOTHING: Self = Self([0; 32]);

    /// The digest of `secret`.
    pub(in crate::auth) fn of(secret: &str) -> Self {
        let mut bytes = [0; 32];
        // Equal lengths; `zip` cannot panic where `copy_from_slice` could.
        for (to, from) in bytes.iter_mut().zip(digest(&SHA256, secret.as_bytes()).as_ref()) {
            *to = *from;
        }
        Self(bytes)
    }

    /// Whether both are of one secret, in a time that depends on neither.
    pub(in crate::auth) fn matches(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }

    /// 64 hexadecimal digits, for the key file only.
    pub(in crate::auth) fn to_hex(self) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

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
