//! Header values that repeat a part of the body: their encoding (SEP-2243).
//!
//! A value that does not fit into a header travels as `=?base64?…?=`. Decoding is
//! strict, one text for one value, so that a proxy that compares encoded values
//! and this server never disagree on what a request names.

use std::borrow::Cow;

/// Decodes a mirrored header value; `None` when it is malformed.
pub(super) fn decode(value: &str) -> Option<Cow<'_, str>> {
    let encoded = value
        .strip_prefix("=?base64?")
        .and_then(|rest| rest.strip_suffix("?="));
    match encoded {
        Some(encoded) => String::from_utf8(base64(encoded.as_bytes())?)
            .ok()
            .map(Cow::Owned),
        None => value
            .bytes()
            .all(is_field_byte)
            .then_some(Cow::Borrowed(value)),
    }
}

/// RFC 9110 §5.5, without `obs-text`.
fn is_field_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~')
}

/// RFC 4648 §4: with its padding, without anything else, unused bits zero (§3.5).
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let (groups, []) = text.as_chunks::<4>() else {
        return None;
    };
    let mut bytes = Vec::with_capacity(groups.len() * 3);
    let last = groups.len().checked_sub(1);
    for (at, group) in groups.iter().enumerate() {
        let pad = match group {
            [_, _, b'=', b'='] => 2,
            [_, _, _, b'='] => 1,
            _ => 0,
        };
        if pad > 0 && Some(at) != last {
            return None;
        }
        let mut bits = 0_u32;
        for byte in group.iter().take(4 - pad) {
            bits = bits << 6 | sextet(*byte)?;
        }
        bits <<= 6 * pad;
        let [_, decoded @ ..] = bits.to_be_bytes();
        let (kept, unused) = decoded.split_at_checked(3 - pad)?;
        if unused.iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend_from_slice(kept);
    }
    Some(bytes)
}

fn sextet(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
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
        fn decoding_is_one_to_one(text in "[A-Za-z0-9+/=?\\x00-\\xff]{0,24}") {
            if let Some(bytes) = base64(text.as_bytes()) {
                proptest::prop_assert_eq!(encode(&bytes), text);
            }
        }
    }

    fn encode(bytes: &[u8]) -> String {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for chunk in bytes.chunks(3) {
            let mut group = [0; 3];
            group[..chunk.len()].copy_from_slice(chunk);
            let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
            for at in 0..4 {
                let digit = ALPHABET[(bits >> (18 - 6 * at) & 63) as usize];
                text.push(if at <= chunk.len() { digit.into() } else { '=' });
            }
        }
        text
    }
}
