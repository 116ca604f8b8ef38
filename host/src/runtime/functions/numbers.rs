//! Numbers as JSON writes them, read exactly.

/// The text, if it is that of a number. Rust reads every number of JSON, and more.
pub(super) fn number(text: &str) -> Option<&str> {
    text.starts_with(|first: char| first == '-' || first.is_ascii_digit()).then_some(text)
}

/// The integer that a JSON number is, however it is written: `1`, `1.0`, `10e-1`. `None`
/// as well for one beyond all integers of 64 bits.
pub(super) fn whole(text: &str) -> Option<i128> {
    let text = number(text)?;
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{before}{after}");
    if digits.is_empty() {
        return None;
    }
    let significant = digits.trim_end_matches('0');
    let dropped = digits.len() - significant.len();
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    // An exponent that is no `i32` is beyond what text of this length can make up for.
    let exponent = i64::from(exponent.parse::<i32>().ok()?);
    let zeros = exponent + i64::try_from(dropped).ok()? - i64::try_from(after.len()).ok()?;
    let zeros = u32::try_from(zeros).ok()?;
    if significant.len() > 20 || zeros > 20 {
        return None;
    }
    let number = significant.parse::<i128>().ok()?.checked_mul(10_i128.checked_pow(zeros)?)?;
    Some(if negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn an_integer_is_read_exactly_however_it_is_written() {
        for (text, number) in [
            ("0", 0),
            ("-0", 0),
            ("-0.0e999999999999999999", 0),
            ("1.0", 1),
            ("1e3", 1_000),
            ("1E+3", 1_000),
            ("-120e-1", -12),
            ("0.00012e5", 12),
            ("9007199254740993.0", 9_007_199_254_740_993),
            ("18446744073709551615", u64::MAX.into()),
            ("-9223372036854775808", i64::MIN.into()),
        ] {
            assert_eq!(whole(text), Some(number), "{text}");
        }
        let long = format!("1{}e-300", "0".repeat(300));
        assert_eq!(whole(&long), Some(1));
        for text in ["0.5", "1e-1", "1e400", "1e99999999999", "\"1\"", "null", "", "-", "1e"] {
            assert_eq!(whole(text), None, "{text}");
        }
    }
}
