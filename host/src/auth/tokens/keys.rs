//! The keys that signatures are verified with, from a key set (RFC 7517) or from one
//! shared secret.
//!
//! The threat is confusion: a public key taken for an HMAC secret, a key for another
//! algorithm or another purpose. So each key knows the algorithms that it is for before
//! a token is seen, `kty: oct` from a key set is never a key, and a secret never stands
//! in one set with public keys (RFC 8725 §3.1). Pinned by the attack table.

use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, crypto};
use serde_json::Value;

use super::jwt::{Jwt, LONGEST_KEY_ID, strict};
use crate::config::shown;
use crate::names::Secret;

/// The most keys of a set. Issuers have two to ten; `kid` picks one.
const MOST_KEYS: usize = 64;

/// The most keys that a token without `kid` is tried with: each costs a verification.
const MOST_TRIED: usize = 4;

/// RSA moduli, in bits: below is breakable, above costs more than a token is worth.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;

/// The shortest shared secret, in bytes: HMAC with SHA-256 has no more strength than
/// its key (RFC 7518 §3.2).
const SHORTEST_SECRET: usize = 32;

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct KeySet {
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    /// As published; none for a secret.
    source: Option<Jwk>,
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// Why a signature is not accepted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// By no key of the set; a newer set may have it.
    UnknownKey(String),
    /// Whatever keys the issuer has.
    Wrong(String),
}

impl KeySet {
    /// The usable keys of a key set; others are passed over (RFC 7517 §5). None are left
    /// of an issuer that has withdrawn them all.
    pub(super) fn parse(document: &[u8]) -> Result<Self, String> {
        let document = strict(document)?;
        let Some(Value::Array(entries)) = document.get("keys") else {
            return Err("no key set: it has no list `keys`".to_owned());
        };
        if entries.len() > MOST_KEYS {
            return Err(format!("a key set of {} keys, more than {MOST_KEYS}", entries.len()));
        }
        Ok(Self { keys: entries.iter().filter_map(Key::of_entry).collect() })
    }

    /// The one key of an issuer that shares a secret.
    pub(super) fn of_secret(secret: &Secret) -> Result<Self, String> {
        let secret = secret.expose().as_bytes();
        if secret.len() < SHORTEST_SECRET {
            return Err(format!("is shorter than {SHORTEST_SECRET} bytes"));
        }
        let key = Key {
            source: None,
            id: None,
            algorithms: vec![Algorithm::HS256, Algorithm::HS384, Algorithm::HS512],
            key: DecodingKey::from_secret(secret),
        };
        Ok(Self { keys: vec![key] })
    }

    /// Whether `newer` lacks a key of this set.
    pub(super) fn lost_any(&self, newer: &Self) -> bool {
        let kept = |key: &Key| newer.keys.iter().any(|other| other.source == key.source);
        !self.keys.iter().all(kept)
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether one of these keys made the signature of `jwt`. Takes some ten microseconds
    /// for a key.
    pub(super) fn verify(&self, jwt: &Jwt<'_>) -> Result<(), Refusal> {
        let named: Vec<_> = self.keys.iter().filter(|key| key.is_meant(jwt)).collect();
        let unknown = || match &jwt.key_id {
            Some(id) => Refusal::UnknownKey(format!("no key `{}`", shown(id))),
            None => Refusal::UnknownKey("no key for its algorithm".to_owned()),
        };
        if named.is_empty() {
            return Err(unknown());
        }
        // Compare before decoding: an HMAC made with our public key must fail here, and
        // not depend on the key type to be refused later.
        let fitting: Vec<_> =
            named.into_iter().filter(|key| key.algorithms.contains(&jwt.algorithm)).collect();
        if fitting.is_empty() {
            return Err(match jwt.key_id {
                Some(_) => Refusal::Wrong("its key is not for its algorithm".to_owned()),
                None => unknown(),
            });
        }
        if jwt.key_id.is_none() && fitting.len() > MOST_TRIED {
            return Err(Refusal::Wrong("it says not which of many keys (`kid`)".to_owned()));
        }
        let wrong = || "its signature is wrong".to_owned();
        match &jwt.key_id {
            _ if fitting.iter().any(|key| key.made(jwt)) => Ok(()),
            Some(_) => Err(Refusal::Wrong(wrong())),
            // An issuer that does not name its keys may have another by now.
            None => Err(Refusal::UnknownKey(wrong())),
        }
    }
}

impl Key {
    fn of_entry(entry: &Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(entry.clone()).ok()?;
        // With its private half published (`d`), anybody can sign.
        if !is_for_signatures(&jwk.common) || entry.get("d").is_some() {
            return None;
        }
        let id = jwk.common.key_id.clone();
        if id.as_ref().is_some_and(|id| id.len() > LONGEST_KEY_ID) {
            return None;
        }
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        let mut algorithms = algorithms(&jwk.algorithm, &key)?.to_vec();
        if let Some(only) = jwk.common.key_algorithm {
            let only = Algorithm::try_from(only).ok()?;
            algorithms.retain(|algorithm| *algorithm == only);
        }
        (!algorithms.is_empty()).then_some(Self { id, algorithms, key, source: Some(jwk) })
    }

    /// A token with a key id means the keys of that id; without one, all of them. A
    /// secret has no id, and whatever a token calls it, there is but one.
    fn is_meant(&self, jwt: &Jwt<'_>) -> bool {
        jwt.key_id.is_none() || self.source.is_none() || self.id == jwt.key_id
    }

    fn made(&self, jwt: &Jwt<'_>) -> bool {
        let signed = jwt.signed.as_bytes();
        crypto::verify(jwt.signature, signed, &self.key, jwt.algorithm).unwrap_or_default()
    }
}

fn is_for_signatures(key: &CommonParameters) -> bool {
    let for_use = key.public_key_use.as_ref().is_none_or(|use_| *use_ == PublicKeyUse::Signature);
    let operations = key.key_operations.as_ref();
    for_use && operations.is_none_or(|all| all.contains(&KeyOperations::Verify))
}

/// What a public key can verify; nothing for one that is of no use here, or too weak.
fn algorithms(parameters: &AlgorithmParameters, key: &DecodingKey) -> Option<&'static [Algorithm]> {
    match (parameters, key.kind()) {
        (AlgorithmParameters::RSA(_), DecodingKeyKind::RsaModulusExponent { n, .. }) => {
            RSA_BITS.contains(&bits(n)).then_some(&[
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ])
        }
        (AlgorithmParameters::EllipticCurve(key), DecodingKeyKind::SecretOrDer(point)) => {
            // The point's first byte says that both coordinates follow.
            match (&key.curve, point.len()) {
                (EllipticCurve::P256, 65) => Some(&[Algorithm::ES256]),
                (EllipticCurve::P384, 97) => Some(&[Algorithm::ES384]),
                _ => None,
            }
        }
        (AlgorithmParameters::OctetKeyPair(key), DecodingKeyKind::SecretOrDer(point)) => {
            let ed25519 = key.curve == EllipticCurve::Ed25519 && point.len() == 32;
            ed25519.then_some(&[Algorithm::EdDSA])
        }
        _ => None,
    }
}

/// The length of a big-endian number, in bits.
fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let significant = number.get(zeros..).unwrap_or_default();
    let first = significant.first().map_or(0, |byte| byte.leading_zeros() as usize);
    significant.len() * 8 - first
}
