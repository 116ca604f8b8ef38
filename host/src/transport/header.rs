//! Header values that repeat a part of the body: their encoding (SEP-2243).
//!
//! A value that does not fit into a header travels as `=?base64?…?=`. Decoding is
//! strict, one text for one value, so that a proxy that compares encoded values
//! and this server never disagree on what a request names.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Decodes a mirrored header value; `None` when it is malformed.
pub(super) fn decode(value: &str) -> Option<Cow<'_, str>> {
    let encoded = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?="));
    match encoded {
        // The standard engine wants the padding and zeros in the unused bits (RFC
        // 4648 §3.5), and nothing between.
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded).ok()?).ok().map(Cow::Owned),
        None => value.bytes().all(is_field_byte).then_some(Cow::Borrowed(value)),
    }
}

/// RFC 9110 §5.5, without `obs-text`.
fn is_field_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_decode_as_the_specification_shows() {
        for (header, value) in [
            ("us-west1", "us-west1"),
            ("=?base64?SGVsbG8sIOS4lueVjA==?=", "Hello, 世界"),
            ("=?base64?IHBhZGRlZCA=?=", " padded "),
            ("=?base64?bGluZTEKbGluZTI=?=", "line1\nline2"),
            ("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=", "=?base64?literal?="),
            ("=?base64??=", ""),
            ("", ""),
            ("=?base64?=", "=?base64?="),
            ("=?BASE64?YQ==?=", "=?BASE64?YQ==?="),
        ] {
            assert_eq!(decode(header).as_deref(), Some(value), "{header}");
        }
    }

    #[test]
    fn other_spellings_of_a_value_are_malformed() {
        for header in [
            "=?base64?YQ?=",
            "=?base64?YQ=?=",
            "=?base64?YQ===?=",
            "=?base64?YR==?=",
            "=?base64?YWF=?=",
            "=?base64?Y===?=",
            "=?base64?====?=",
            "=?base64?YQ==YQ==?=",
            "=?base64?Y Q=?=",
            "=?base64?_-8=?=",
            "=?base64?/w==?=",
            "=?base64?YQ==\n?=",
            "caf\u{e9}",
            "a\u{7f}",
            "a\0",
        ] {
            assert_eq!(decode(header), None, "{header}");
        }
    }

    proptest::proptest! {
        #[test]
        fn an_encoded_value_has_one_spelling(text in "[A-Za-z0-9+/=?\\x00-\\xff]{0,24}") {
            if let Some(value) = decode(&format!("=?base64?{text}?=")) {
                proptest::prop_assert_eq!(STANDARD.encode(&*value), text);
            }
        }
    }
}
