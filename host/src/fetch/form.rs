//! Forms and credentials, in the spelling of RFC 6749.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

use super::FetchError;
use crate::names::Secret;

/// `application/x-www-form-urlencoded` (RFC 6749 appendix B).
pub(super) fn encode(fields: &[(&str, &str)]) -> String {
    let pair = |(name, value): &(&str, &str)| format!("{}={}", word(name), word(value));
    fields.iter().map(pair).collect::<Vec<_>>().join("&")
}

/// `Basic`, with both halves encoded as in a form (RFC 6749 §2.3.1).
pub(super) fn basic(id: &str, secret: &Secret) -> Result<HeaderValue, FetchError> {
    let both = format!("{}:{}", word(id), word(secret.expose()));
    let value = format!("Basic {}", STANDARD.encode(both));
    let mut value = HeaderValue::try_from(value)
        .map_err(|_| FetchError::Unreachable("no credential for it".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn word(text: &str) -> String {
    let mut word = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
                word.push(char::from(byte));
            }
            b' ' => word.push('+'),
            _ => word.push_str(&format!("%{byte:02X}")),
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_field_ends_it() {
        let form = encode(&[("token", "a&b=c +ü"), ("hint", "")]);
        assert_eq!(form, "token=a%26b%3Dc+%2B%C3%BC&hint=");
        let basic = basic("a:b", &Secret::new("c d")).unwrap();
        assert_eq!(basic, format!("Basic {}", STANDARD.encode("a%3Ab:c+d")));
        assert!(basic.is_sensitive());
    }
}
