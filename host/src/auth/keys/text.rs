//! What the text of an API key looks like.
//!
//! `bhk_ID_SECRET`, where the id is 12 symbols, and the secret is 52 random ones and 6
//! that check what stands before them. All are of one alphabet, so the secret scanners
//! of repositories and logs find a key by this regular expression, and tell one from a
//! text that only looks like it by the checksum:
//!
//! ```text
//! bhk_[a-km-np-z2-9]{12}_[a-km-np-z2-9]{58}
//! ```
//!
//! Symbol `i` of the checksum is symbol `byte i mod 32` of the alphabet, of the SHA-256
//! of everything before the checksum, `bhk_` included. It keeps no secret: it tells a
//! holder that the key was mistyped or cut off before anybody is asked.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::error::Unspecified;

use super::key::SecretDigest;
use crate::names::{KeyId, Secret};

const PREFIX: &str = "bhk_";

/// 32 letters and digits that are hard to confuse: each is five random bits.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// 60 bits: ids do not meet by accident among [`super::MOST_KEYS`].
const ID_LENGTH: usize = 12;

/// 260 bits, of which 256 were asked for.
const RANDOM_LENGTH: usize = 52;

/// 30 bits: one of a billion mistyped keys passes, and is then refused as a wrong one.
const CHECKSUM_LENGTH: usize = 6;

/// What is said of a key whose checksum is wrong.
pub const MISTYPED: &str = "the checksum does not match: mistyped or cut off";

/// Whether `key` is no text that was ever made as a key: it has another form, or its
/// checksum does not match.
pub fn is_mistyped(key: &Secret) -> bool {
    KeyText::parse(key.expose()).is_none_or(|text| !text.is_intact())
}

/// A key's text, taken apart; not yet believed.
pub(in crate::auth) struct KeyText<'t> {
    whole: &'t str,
    pub(in crate::auth) id: &'t str,
    /// All that follows the id, the checksum included.
    pub(in crate::auth) secret: &'t str,
}

impl<'t> KeyText<'t> {
    /// Whether `text` is meant to be a key of ours, a good one or not.
    pub(in crate::auth) fn is_meant(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// Takes `text` apart; `None` when it is not a key of ours.
    pub(in crate::auth) fn parse(text: &'t str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        Some(Self { whole: text, id, secret })
    }

    /// Whether the checksum is right. Says nothing about whether there is such a key.
    pub(in crate::auth) fn is_intact(&self) -> bool {
        let checked = self.whole.len().checked_sub(CHECKSUM_LENGTH);
        let parts = checked.and_then(|at| self.whole.split_at_checked(at));
        self.secret.len() == RANDOM_LENGTH + CHECKSUM_LENGTH
            && parts.is_some_and(|(before, after)| checksum(before).as_deref() == Some(after))
    }
}

/// The checksum of what stands before it.
fn checksum(before: &str) -> Option<String> {
    digest(&SHA256, before.as_bytes()).as_ref().iter().take(CHECKSUM_LENGTH).map(symbol).collect()
}

fn symbol(byte: &u8) -> Option<char> {
    ALPHABET.get(usize::from(byte % 32)).copied().map(char::from)
}

/// A new random id.
pub(super) fn random_id() -> Result<KeyId, Unspecified> {
    random_text::<ID_LENGTH>()?.parse().map_err(|_| Unspecified)
}

/// A new random secret for `id`: the whole text of the key, and what to keep of it.
pub(in crate::auth) fn random_secret(id: &KeyId) -> Result<(Secret, SecretDigest), Unspecified> {
    let before = format!("{PREFIX}{id}_{}", random_text::<RANDOM_LENGTH>()?);
    let whole = format!("{before}{}", checksum(&before).ok_or(Unspecified)?);
    let digest = KeyText::parse(&whole).map(|text| SecretDigest::of(text.secret));
    Ok((Secret::new(whole), digest.ok_or(Unspecified)?))
}

fn random_text<const LENGTH: usize>() -> Result<String, Unspecified> {
    let mut bytes = [0; LENGTH];
    aws_lc_rs::rand::fill(&mut bytes)?;
    bytes.iter().map(symbol).collect::<Option<String>>().ok_or(Unspecified)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As the documentation gives it to scanners.
    const PATTERN: &str = "bhk_[a-km-np-z2-9]{12}_[a-km-np-z2-9]{58}";

    #[test]
    fn a_new_key_can_be_taken_apart_and_matches_what_is_kept() {
        let id = random_id().unwrap();
        let (secret, digest) = random_secret(&id).unwrap();
        let text = KeyText::parse(secret.expose()).unwrap();
        assert_eq!(text.id, id.as_str());
        assert!(text.is_intact());
        assert!(text.secret.bytes().all(|byte| ALPHABET.contains(&byte)));
        assert!(digest.matches(&SecretDigest::of(text.secret)));
        assert!(!digest.matches(&SecretDigest::of("another")));
        assert_ne!(random_id().unwrap(), id);
    }

    #[test]
    fn scanners_find_every_key_by_the_documented_expression() {
        let schema = json!({ "type": "string", "pattern": format!("^{PATTERN}$") });
        for _ in 0..100 {
            let (secret, _) = random_secret(&random_id().unwrap()).unwrap();
            assert!(jsonschema::is_valid(&schema, &json!(secret.expose())));
        }
        assert!(!jsonschema::is_valid(&schema, &json!("bhk_id_secret")));
        let documented =
            include_str!("text.rs").lines().any(|line| line == format!("//! {PATTERN}"));
        assert!(documented);
    }

    /// Computed elsewhere: `printf 'bhk_…' | sha256sum`, its first six bytes mod 32.
    #[test]
    fn the_checksum_is_the_documented_one() {
        // SHA-256 of "abc" begins ba 78 16 bf 8f 01: 26 24 22 31 15 1.
        assert_eq!(checksum("abc").as_deref(), Some("42y9rb"));
    }

    #[test]
    fn a_typo_or_a_cut_is_noticed() {
        let (secret, _) = random_secret(&random_id().unwrap()).unwrap();
        let good = secret.expose();
        assert!(!is_mistyped(&secret));
        for at in 0..good.len() {
            let cut = &good[..at];
            assert!(is_mistyped(&Secret::new(cut)), "cut at {at}");
            let other = if good.as_bytes()[at] == b'a' { "b" } else { "a" };
            let typo = format!("{cut}{other}{}", &good[at + 1..]);
            assert!(is_mistyped(&Secret::new(typo)), "typo at {at}");
        }
        for more in ["a", " ", "é", "\n"] {
            assert!(is_mistyped(&Secret::new(format!("{good}{more}"))), "{more:?}");
        }
        assert!(is_mistyped(&Secret::new("bhk_ééééé_é".repeat(20))));
    }

    #[test]
    fn other_texts_are_no_keys() {
        for bad in ["", "bhk", "bhk_", "bhk_id", "bhkid_secret", "BHK_id_secret", "sk-123"] {
            assert!(KeyText::parse(bad).is_none(), "{bad}");
            assert!(is_mistyped(&Secret::new(bad)), "{bad}");
        }
        let text = KeyText::parse("bhk_id_with_more").unwrap();
        assert_eq!((text.id, text.secret), ("id", "with_more"));
    }
}
