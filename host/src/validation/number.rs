//! Numbers as they are written, compared exactly.
//!
//! A double holds 53 bits: 9007199254740993 and 9007199254740992 are one number to it, and
//! an id that a policy or a `const` names would be another id to the guest. A number
//! keeps its text here, and is compared digit by digit where a machine integer does not
//! hold it. Every operation takes time linear in the text.

use std::borrow::Cow;
use std::cmp::Ordering;

use jsonschema::json::JsonNumber;

/// A number of a JSON text, in the spelling of the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number<'a> {
    text: &'a str,
    /// What the text says, where it is written as an integer that fits.
    small: Option<i64>,
}

impl<'a> Number<'a> {
    /// A number whose text follows JSON's grammar.
    pub(super) fn new(text: &'a str) -> Self {
        // `parse` takes a sign and leading zeros that JSON does not have, and nothing else.
        Self { text, small: text.parse().ok() }
    }

    /// The text.
    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// The text, as digits and an exponent.
    pub(super) fn decimal(&self) -> Decimal {
        Decimal::read(self.text)
    }

    /// Whether both are the same number.
    pub(super) fn equals(&self, other: &serde_json::Number) -> bool {
        match (self.small, other.as_i64()) {
            (Some(own), Some(other)) => own == other,
            _ => self.decimal() == Decimal::read(&other.to_string()),
        }
    }
}

impl JsonNumber for Number<'_> {
    fn as_u64(&self) -> Option<u64> {
        match self.small {
            Some(small) => u64::try_from(small).ok(),
            None => self.decimal().to_integer().and_then(|integer| u64::try_from(integer).ok()),
        }
    }

    fn as_i64(&self) -> Option<i64> {
        let integer =
            || self.decimal().to_integer().and_then(|integer| i64::try_from(integer).ok());
        self.small.or_else(integer)
    }

    /// Only where the double stands for this number alone: the validator compares
    /// doubles, and what rounds to one is not equal to it.
    fn as_f64(&self) -> Option<f64> {
        let double: f64 = self.text.parse().ok()?;
        (Decimal::read(&format!("{double:e}")) == self.decimal()).then_some(double)
    }

    fn as_str(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.text)
    }

    /// For messages that are not used: they would repeat a value.
    fn to_number(&self) -> Cow<'_, serde_json::Number> {
        Cow::Owned(self.small.unwrap_or_default().into())
    }

    fn is_integer(&self) -> bool {
        self.small.is_some() || self.decimal().is_integer()
    }
}

/// A decimal number: its sign, its digits without zeros at either end, and the power of
/// ten of the last digit. Zero has no digits. Each number has one such form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    /// Reads a text that follows JSON's grammar, in which an exponent may be of any
    /// length: beyond what an `i64` holds it is the furthest.
    pub(super) fn read(text: &str) -> Self {
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let furthest = if power.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 };
        let power: i64 = power.parse().unwrap_or(furthest).clamp(i64::MIN / 2, i64::MAX / 2);
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits: Vec<u8> =
            whole.bytes().chain(fraction.bytes()).skip_while(|digit| *digit == b'0').collect();
        let mut exponent = power.saturating_sub_unsigned(fraction.len() as u64);
        while digits.pop_if(|digit| *digit == b'0').is_some() {
            exponent = exponent.saturating_add(1);
        }
        if digits.is_empty() {
            return Self { negative: false, digits, exponent: 0 };
        }
        Self { negative, digits, exponent }
    }

    fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    pub(super) fn is_integer(&self) -> bool {
        self.is_zero() || self.exponent >= 0
    }

    /// The number, where it is an integer of at most 30 digits.
    fn to_integer(&self) -> Option<i128> {
        let zeros = u32::try_from(self.exponent).ok().filter(|_| self.magnitude() <= 30)?;
        let whole = self.digits.iter().fold(0, |sum, digit| sum * 10 + i128::from(digit - b'0'));
        let magnitude = whole * 10_i128.pow(zeros);
        Some(if self.negative { -magnitude } else { magnitude })
    }

    /// How many digits stand before the point; below zero, how many zeros after it.
    fn magnitude(&self) -> i64 {
        self.exponent.saturating_add_unsigned(self.digits.len() as u64)
    }

    /// Whether this is `other` times an integer. `None` where `other` has more digits
    /// than are divided by here, 18, or is not above zero.
    pub(super) fn is_multiple_of(&self, other: &Self) -> Option<bool> {
        if other.is_zero() || other.negative || other.digits.len() > 18 {
            return None;
        }
        if self.is_zero() {
            return Some(true);
        }
        // The last digit is no zero, so a divisor whose last digit stands further left
        // does not divide it.
        let Ok(zeros) = u64::try_from(self.exponent.saturating_sub(other.exponent)) else {
            return Some(false);
        };
        let divisor = other.digits.iter().fold(0, |sum, digit| sum * 10 + u128::from(digit - b'0'));
        let left = self
            .digits
            .iter()
            .fold(0, |left, digit| (left * 10 + u128::from(digit - b'0')) % divisor);
        Some((left * power_of_ten(zeros, divisor)).is_multiple_of(divisor))
    }
}

/// 10 to the `power`, modulo `divisor`, which is below 10^18.
fn power_of_ten(mut power: u64, divisor: u128) -> u128 {
    let (mut result, mut base) = (1 % divisor, 10 % divisor);
    while power > 0 {
        if power & 1 == 1 {
            result = result * base % divisor;
        }
        base = base * base % divisor;
        power >>= 1;
    }
    result
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.is_zero(), number.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let by_size = || {
            let by_magnitude = self.magnitude().cmp(&other.magnitude());
            by_magnitude.then_with(|| self.digits.cmp(&other.digits))
        };
        sign(self).cmp(&sign(other)).then_with(|| match sign(self) {
            0 => Ordering::Equal,
            1 => by_size(),
            _ => by_size().reverse(),
        })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_by_what_they_are() {
        let rising = [
            "-1e400",
            "-18446744073709551617",
            "-18446744073709551616",
            "-10",
            "-9.5",
            "-1e-7",
            "0",
            "1e-999999999999999999999",
            "0.1",
            "0.10000000000000000001",
            "0.2",
            "1",
            "9",
            "10",
            "1e2",
            "9007199254740992",
            "9007199254740992.5",
            "9007199254740993",
            "12345678901234567890123",
            "12345678901234567890124",
            "1e999999999999999999999",
        ];
        for (at, one) in rising.iter().enumerate() {
            for (other_at, other) in rising.iter().enumerate() {
                let order = Decimal::read(one).cmp(&Decimal::read(other));
                assert_eq!(order, at.cmp(&other_at), "{one} and {other}");
            }
        }
        for (one, other) in [("1", "1.0"), ("100", "1E+2"), ("0", "-0.0e5"), ("0.01", "1e-2")] {
            assert_eq!(Decimal::read(one), Decimal::read(other), "{one} and {other}");
        }
    }

    #[test]
    fn division_is_exact() {
        for (number, divisor, divides) in [
            ("0.3", "0.1", true),
            ("19.99", "0.01", true),
            ("0.0075", "0.0001", true),
            ("0.00751", "0.0001", false),
            ("12345678901234567890124", "2", true),
            ("12345678901234567890123", "2", false),
            ("1e308", "0.123456789", false),
            ("1e308", "0.5", true),
            ("0", "7", true),
            ("5", "10", false),
            ("-9", "3", true),
        ] {
            let (number, divisor) = (Decimal::read(number), Decimal::read(divisor));
            assert_eq!(number.is_multiple_of(&divisor), Some(divides), "{number:?} {divisor:?}");
        }
        let wide = Decimal::read("1.2345678901234567891");
        assert_eq!(Decimal::read("1").is_multiple_of(&wide), None);
    }

    #[test]
    fn a_double_stands_for_one_number() {
        assert_eq!(Number::new("0.1").as_f64(), Some(0.1));
        assert_eq!(Number::new("9007199254740993").as_f64(), None);
        assert_eq!(Number::new("9007199254740993.0").as_u64(), Some(9_007_199_254_740_993));
        assert_eq!(Number::new("18446744073709551616").as_u64(), None);
        assert_eq!(Number::new("-9223372036854775808").as_i64(), Some(i64::MIN));
        assert!(Number::new("1e30").is_integer() && !Number::new("1.5").is_integer());
    }
}
