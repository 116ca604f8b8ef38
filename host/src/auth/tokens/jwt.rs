//! A signed token, taken apart and not yet believed (RFC 7515, RFC 7519).
//!
//! What a header says about keys (`jwk`, `jku`, `x5c`, `x5u`) is not even read: a
//! token that brings the key for its own signature proves nothing.

use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use crate::config::shown;
use crate::json;

/// The largest token, in bytes: as much as the head of a request may be.
const LARGEST: usize = 16 << 10;

/// How deep a header and the claims may nest. Group memberships and actors of actors
/// stay far below.
const MAX_DEPTH: usize = 16;

/// The longest key id, in bytes. It is only ever compared.
pub(super) const LONGEST_KEY_ID: usize = 256;

/// One token.
#[derive(Debug)]
pub(super) struct Jwt<'t> {
    /// What is signed: the first two parts with their dot.
    pub(super) signed: &'t str,
    /// The third part, still encoded.
    pub(super) signature: &'t str,
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
    /// In lower case and without `application/`; empty where there is none.
    pub(super) token_type: String,
    pub(super) claims: Map<String, Value>,
}

/// Whether `text` is meant to be a signed token: three parts.
pub(super) fn is_meant(text: &str) -> bool {
    text.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Refuses what is too large to be looked at.
pub(super) fn bounded(text: &str) -> Result<(), String> {
    if text.len() > LARGEST {
        return Err(format!("a token of {} bytes, more than {LARGEST}", text.len()));
    }
    Ok(())
}

impl<'t> Jwt<'t> {
    /// Takes a token apart.
    pub(super) fn parse(text: &'t str) -> Result<Self, String> {
        bounded(text)?;
        let parts = || text.rsplit_once('.').filter(|_| is_meant(text));
        let (signed, signature) = parts().ok_or("not three parts with dots between them")?;
        let (header, claims) = signed.split_once('.').unwrap_or_default();
        let header = object(header, "header")?;
        if header.contains_key("crit") {
            return Err("its header has `crit`: extensions that must be understood".to_owned());
        }
        Ok(Self {
            signed,
            signature,
            algorithm: algorithm(&header)?,
            key_id: key_id(&header)?,
            token_type: token_type(&header)?,
            claims: object(claims, "payload")?,
        })
    }
}

/// Reads one part: base64url without padding, and JSON that reads in one way only.
fn object(part: &str, what: &str) -> Result<Map<String, Value>, String> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| format!("its {what} is not base64url"))?;
    strict(&bytes).map_err(|why| format!("its {what}: {why}"))
}

/// A JSON object without two keys that are the same.
pub(super) fn strict(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    json::check(bytes, MAX_DEPTH).map_err(|fault| fault.to_string())?;
    serde_json::from_slice(bytes).map_err(|_| "no JSON object".to_owned())
}

fn algorithm(header: &Map<String, Value>) -> Result<Algorithm, String> {
    let name = word(header, "alg")?.ok_or("its header has no `alg`")?;
    Algorithm::from_str(name).map_err(|_| format!("unknown algorithm `{}`", shown(name)))
}

fn key_id(header: &Map<String, Value>) -> Result<Option<String>, String> {
    match word(header, "kid")? {
        Some(id) if id.len() > LONGEST_KEY_ID => {
            Err(format!("a key id of {} bytes, more than {LONGEST_KEY_ID}", id.len()))
        }
        id => Ok(id.map(str::to_owned)),
    }
}

fn token_type(header: &Map<String, Value>) -> Result<String, String> {
    let word = word(header, "typ")?.unwrap_or_default().to_ascii_lowercase();
    Ok(word.strip_prefix("application/").unwrap_or(&word).to_owned())
}

fn word<'h>(header: &'h Map<String, Value>, key: &str) -> Result<Option<&'h str>, String> {
    match header.get(key) {
        None => Ok(None),
        Some(Value::String(word)) => Ok(Some(word)),
        Some(_) => Err(format!("its header's `{key}` is no string")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::tokens::keys::KeySet;

    proptest::proptest! {
        #[test]
        fn any_text_gets_an_answer(
            text in r"[a-zA-Z0-9_.=+/-]{0,200}",
            header in r#"\{("(alg|kid|typ|crit)":("RS256"|"none"|1|null|\[\]),?){0,4}\}"#,
            claims in r#"\{("(iss|aud|exp|act)":("a"|-1|1e9|\[\]),?){0,4}\}"#,
            bytes: Vec<u8>,
        ) {
            let _ = Jwt::parse(&text);
            let encoded = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
            let _ = Jwt::parse(&format!("{}.{}.AA", encoded[0], encoded[1]));
            let _ = KeySet::parse(&bytes);
        }
    }
}
