//! Names, ids and units, each a type of its own.
//!
//! A name that was parsed once is known to be bounded and printable, so it can go
//! into a log line, a metric label or a file without another look.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Serialize, Serializer};
use uuid::Uuid;

/// A name or number that could not be read, and what would have been right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(String);

impl Malformed {
    /// An explanation that completes "…: ".
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

/// Declares a name: a short string that passed `$valid`.
macro_rules! names {
    ($($(#[$doc:meta])* $name:ident: $valid:expr, $rule:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.into())) } else { Err(Malformed::new($rule)) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )*};
}

names! {
    /// Which program calls.
    AgentName: |text| is_name(text, 64, b"_-."), "1 to 64 letters, digits, `_`, `-` or `.`";
    /// On whose behalf an agent calls.
    Subject: |text| (1..=256).contains(&text.len()) && text.chars().all(|c| !c.is_control()),
        "1 to 256 bytes without control characters";
    /// A plugin's identity, from its manifest.
    PluginName: |text| is_name(text, 64, b"_-"), "1 to 64 letters, digits, `_` or `-`";
    /// A tool's public name. Several widespread clients reject any other form.
    ToolName: |text| is_name(text, 64, b"_-"), "1 to 64 letters, digits, `_` or `-`";
    /// A role that agents share.
    RoleName: |text| is_name(text, 64, b"_-."), "1 to 64 letters, digits, `_`, `-` or `.`";
    /// Names a credential in lists and records; no secret.
    KeyId: |text| (4..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric()),
        "4 to 32 letters or digits";
}

fn is_name(text: &str, longest: usize, punctuation: &[u8]) -> bool {
    (1..=longest).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || punctuation.contains(&b))
}

/// What a credential may be used for: `PLUGIN:TOOL`, or a word of the operator's
/// own (`crm.write`). In a grant, `*` stands for everything and `PLUGIN:*` for
/// every tool of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Scope(Box<str>);

impl Scope {
    /// The scope that a tool requires unless its operator says otherwise.
    pub fn of_tool(plugin: &PluginName, tool: &ToolName) -> Self {
        Self(format!("{plugin}:{tool}").into())
    }

    /// The scope.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a grant of `self` covers `wanted`.
    pub fn covers(&self, wanted: &Scope) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => wanted.0.starts_with(prefix),
            None => self == wanted,
        }
    }
}

impl FromStr for Scope {
    type Err = Malformed;

    /// RFC 6749 §3.3 `scope-token`, at most 128 bytes; a `*` only alone or after
    /// the colon, at the end.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let token = (1..=128).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
        let stars_at_end = match text.find('*') {
            None => true,
            Some(at) => {
                at + 1 == text.len() && (at == 0 || text.as_bytes().get(at - 1) == Some(&b':'))
            }
        };
        if token && stars_at_end {
            Ok(Self(text.into()))
        } else {
            Err(Malformed::new(
                "a scope is `PLUGIN:TOOL`, `PLUGIN:*`, `*`, or a word of your own without spaces or quotes",
            ))
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Our name for one request; sorts by time (UUID version 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(Uuid);

impl RequestId {
    /// A new id.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// A quantity of fuel: about one unit per wasm instruction. Written `500M`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Fuel(pub u64);

/// A number of bytes. Written `64MiB`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ByteCount(pub u64);

impl ByteCount {
    /// The number as a length in memory.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

const FUEL_UNITS: &[(&str, u64)] =
    &[("T", 1_000_000_000_000), ("G", 1_000_000_000), ("M", 1_000_000), ("k", 1_000), ("", 1)];
const BYTE_UNITS: &[(&str, u64)] =
    &[("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1), ("", 1)];
const TIME_UNITS_MS: &[(&str, u64)] =
    &[("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads `NUMBER UNIT`; underscores may group digits.
fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'_').count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.replace('_', "").parse().ok()?;
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*scale)
}

/// Writes a number with the largest unit that keeps it whole.
fn write_quantity(f: &mut fmt::Formatter<'_>, number: u64, units: &[(&str, u64)]) -> fmt::Result {
    let whole = units.iter().find(|(_, scale)| number >= *scale && number.is_multiple_of(*scale));
    let (unit, scale) = whole.copied().unwrap_or(("", 1));
    write!(f, "{}{unit}", number / scale)
}

impl FromStr for Fuel {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        quantity(text, FUEL_UNITS)
            .map(Self)
            .ok_or_else(|| Malformed::new("fuel is a whole number with k, M, G or T, as `500M`"))
    }
}

impl FromStr for ByteCount {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        quantity(text, BYTE_UNITS).map(Self).ok_or_else(|| {
            Malformed::new("a size is a whole number with B, KiB, MiB or GiB, as `64MiB`")
        })
    }
}

impl fmt::Display for Fuel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_quantity(f, self.0, FUEL_UNITS)
    }
}

impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_quantity(f, self.0, BYTE_UNITS)
    }
}

/// Reads a duration written as `250ms`, `5s`, `10min`, `12h` or `90d`.
///
/// # Errors
/// Says the form when `text` has another one.
pub fn parse_duration(text: &str) -> Result<Duration, Malformed> {
    quantity(text, TIME_UNITS_MS)
        .map(Duration::from_millis)
        .ok_or_else(|| Malformed::new("a time is a whole number with ms, s, min, h or d, as `5s`"))
}

/// How often something may happen: `cells` per `per`, evenly (GCRA). Written `600/min`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many; at least one.
    pub cells: std::num::NonZeroU32,
    /// In how long; not zero.
    pub per: Duration,
}

impl FromStr for Rate {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let rule = || Malformed::new("a rate is a whole number per s, min, h or d, as `600/min`");
        let (cells, per) = text.split_once('/').ok_or_else(rule)?;
        let cells = cells.replace('_', "").parse().map_err(|_| rule())?;
        let per = match per {
            "s" => 1,
            "min" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(rule()),
        };
        Ok(Self { cells, per: Duration::from_secs(per) })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = match self.per.as_secs() {
            1 => "s",
            60 => "min",
            3_600 => "h",
            _ => "d",
        };
        write!(f, "{}/{per}", self.cells)
    }
}

/// A text that must not be shown: no `Display`, no `Serialize`, a redacting `Debug`.
#[derive(Clone)]
pub struct Secret(Box<str>);

impl Secret {
    /// Keeps `text` from being shown.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that compares or prints it on purpose.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_read_and_print() {
        for (text, number) in
            [("500M", 500_000_000), ("1_000", 1_000), ("2G", 2_000_000_000), ("0", 0)]
        {
            assert_eq!(text.parse(), Ok(Fuel(number)));
        }
        for (text, number) in [("64MiB", 64 << 20), ("256KiB", 256 << 10), ("7B", 7), ("7", 7)] {
            assert_eq!(text.parse(), Ok(ByteCount(number)));
        }
        for bad in
            ["", "M", "1.5M", "-1", "64MB", "64 MiB", "99999999999999999999", "99999999999999999T"]
        {
            assert!(bad.parse::<Fuel>().is_err(), "{bad}");
            assert!(bad.parse::<ByteCount>().is_err(), "{bad}");
        }
        assert_eq!(Fuel(500_000_000).to_string(), "500M");
        assert_eq!(ByteCount(65 << 20).to_string(), "65MiB");
        assert_eq!(ByteCount(1_000).to_string(), "1000B");
        assert_eq!(parse_duration("5s"), Ok(Duration::from_secs(5)));
        assert!(parse_duration("5").is_err());
        assert_eq!(
            "600/min".parse::<Rate>().map(|rate| rate.to_string()),
            Ok("600/min".to_owned())
        );
        for bad in ["600", "0/min", "600/week", "/min", "-1/s"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_grant_covers_what_it_names_and_nothing_else() {
        let covers = |grant: &str, wanted: &str| {
            grant.parse::<Scope>().unwrap().covers(&wanted.parse().unwrap())
        };
        assert!(covers("*", "records:get_record"));
        assert!(covers("*", "crm.write"));
        assert!(covers("records:*", "records:get_record"));
        assert!(covers("crm.write", "crm.write"));
        assert!(!covers("records:*", "records2:get_record"));
        assert!(!covers("records:get", "records:get_record"));
        assert!(!covers("crm.write", "crm.write2"));
        for bad in ["", "rec*", "*:get", "a b", "a\"b", "records:g*", "**"] {
            assert!(bad.parse::<Scope>().is_err(), "{bad}");
        }
    }

    #[test]
    fn secrets_do_not_print() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(…)");
    }
}
