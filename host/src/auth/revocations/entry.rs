//! One line of the journal.
//!
//! ```json
//! {"time":"2026-11-28T09:00:00Z","revoke":{"key":"k3v9…"}}
//! {"time":"…","revoke":{"agent":"reporting"},"reason":"loops since the update"}
//! {"time":"…","revoke":{"agent":"reporting","issued_before":"2026-11-28T09:00:00Z"}}
//! {"time":"…","revoke":{"subject":"bob"}}
//! {"time":"…","revoke":{"token":"JTI","issuer":"https://idp.example.com","expires":"…"}}
//! {"time":"…","revoke":{"everything":true,"issued_before":"2026-11-28T09:00:00Z"}}
//! {"time":"…","lift":{"agent":"reporting"}}
//! ```
//!
//! A word that is not known here is an error and not skipped: it may be what a newer
//! version revokes by.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::names::{AgentName, KeyId, Malformed, Subject};
use crate::text::clean_line;

/// The longest line, in bytes. The longest that is written: a token's id and issuer, and
/// a reason, all of the largest size and escaped.
pub(super) const MOST_LINE_BYTES: usize = 8 << 10;

/// The longest id or issuer of a token, in bytes; tokens with longer ones are found by
/// their agent or subject.
const MOST_TEXT_BYTES: usize = 1 << 10;

/// The longest reason, in characters.
const MOST_REASON_CHARS: usize = 200;

/// How much of a parser's complaint is shown, in characters: it may repeat the line.
const MOST_COMPLAINT_CHARS: usize = 200;

/// What a revocation is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Selector {
    /// One API key.
    Key(KeyId),
    /// Whatever calls as this agent.
    Agent(AgentName),
    /// Whatever calls on this subject's behalf, whoever vouches for it.
    Subject(Subject),
    /// One token: its `jti`, and the issuer where two could use the same one.
    Token {
        /// `jti` (RFC 7519 §4.1.7).
        id: TokenText,
        /// `iss`; any without it.
        issuer: Option<TokenText>,
    },
    /// Every credential.
    Everything,
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(id) => write!(f, "key {id}"),
            Self::Agent(agent) => write!(f, "agent {agent}"),
            Self::Subject(subject) => write!(f, "subject {subject}"),
            Self::Token { id, issuer: Some(issuer) } => write!(f, "token {id} of {issuer}"),
            Self::Token { id, issuer: None } => write!(f, "token {id}"),
            Self::Everything => f.write_str("everything"),
        }
    }
}

/// The id or the issuer of a token: 1 to 1024 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenText(Box<str>);

impl TokenText {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for TokenText {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TokenText {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let fits = (1..=MOST_TEXT_BYTES).contains(&text.len());
        if fits && !text.chars().any(char::is_control) {
            Ok(Self(text.into()))
        } else {
            Err(Malformed::new("1 to 1024 bytes without control characters"))
        }
    }
}

/// Why somebody was cut off, in the operator's words: at most 200 characters on a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(Box<str>);

impl Reason {
    /// The words.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Reason {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let fits = (1..=MOST_REASON_CHARS).contains(&text.chars().count());
        if fits && !text.chars().any(char::is_control) {
            Ok(Self(text.into()))
        } else {
            Err(Malformed::new("1 to 200 characters on one line"))
        }
    }
}

/// What an entry does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// From now on, it is refused.
    Revoke {
        /// What.
        what: Selector,
        /// Only what was issued until then, that moment included; for good without it.
        issued_before: Option<Timestamp>,
        /// When the token ends anyway, and this entry can be forgotten.
        expires: Option<Timestamp>,
    },
    /// The revocation for good with this selector ends; where there is none, that with a
    /// time does.
    Lift(Selector),
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it was written.
    pub time: Timestamp,
    /// What it does.
    pub change: Change,
    /// Why.
    pub reason: Option<Reason>,
}

impl Entry {
    /// Reads a line.
    ///
    /// # Errors
    /// Says what is wrong, for a person.
    pub(super) fn parse(line: &[u8]) -> Result<Self, String> {
        if line.len() > MOST_LINE_BYTES {
            return Err(format!("is longer than {MOST_LINE_BYTES} bytes"));
        }
        let line: Line = serde_json::from_slice(line)
            .map_err(|error| clean_line(&error.to_string(), MOST_COMPLAINT_CHARS))?;
        line.read()
    }

    /// The line, without its end.
    pub(super) fn render(&self) -> String {
        // Texts alone: writing them as JSON does not fail.
        serde_json::to_string(&Line::of(self)).unwrap_or_default()
    }
}

/// A line as it is stored.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Line {
    time: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoke: Option<What>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lift: Option<What>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct What {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    everything: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

impl Line {
    fn of(entry: &Entry) -> Self {
        let (revoke, lift) = match &entry.change {
            Change::Revoke { what, issued_before, expires } => {
                let text = |time: &Option<Timestamp>| time.map(|time| time.to_string());
                let times = (text(issued_before), text(expires));
                let (issued_before, expires) = times;
                (Some(What { issued_before, expires, ..What::of(what) }), None)
            }
            Change::Lift(what) => (None, Some(What::of(what))),
        };
        let reason = entry.reason.as_ref().map(|reason| reason.as_str().to_owned());
        Self { time: entry.time.to_string(), revoke, lift, reason }
    }

    fn read(self) -> Result<Entry, String> {
        let change = match (self.revoke, self.lift) {
            (Some(what), None) => what.revoked()?,
            (None, Some(what)) => what.lifted()?,
            (None, None) | (Some(_), Some(_)) => {
                return Err("expected one of `revoke` and `lift`".to_owned());
            }
        };
        let reason = self.reason.map(|text| named("reason", &text)).transpose()?;
        Ok(Entry { time: time("time", &self.time)?, change, reason })
    }
}

impl What {
    fn of(selector: &Selector) -> Self {
        let none = Self::default();
        match selector {
            Selector::Key(id) => Self { key: Some(id.to_string()), ..none },
            Selector::Agent(agent) => Self { agent: Some(agent.to_string()), ..none },
            Selector::Subject(subject) => Self { subject: Some(subject.to_string()), ..none },
            Selector::Token { id, issuer } => {
                let issuer = issuer.as_ref().map(TokenText::to_string);
                Self { token: Some(id.to_string()), issuer, ..none }
            }
            Selector::Everything => Self { everything: Some(true), ..none },
        }
    }

    fn selector(&self) -> Result<Selector, String> {
        let mut selectors = Vec::new();
        if let Some(id) = &self.key {
            selectors.push(Selector::Key(named("key", id)?));
        }
        if let Some(agent) = &self.agent {
            selectors.push(Selector::Agent(named("agent", agent)?));
        }
        if let Some(subject) = &self.subject {
            selectors.push(Selector::Subject(named("subject", subject)?));
        }
        if let Some(id) = &self.token {
            let issuer = self.issuer.as_deref().map(|text| named("issuer", text)).transpose()?;
            selectors.push(Selector::Token { id: named("token", id)?, issuer });
        } else if self.issuer.is_some() {
            return Err("`issuer` belongs to `token`".to_owned());
        }
        if self.everything == Some(true) {
            selectors.push(Selector::Everything);
        }
        match <[Selector; 1]>::try_from(selectors) {
            Ok([selector]) => Ok(selector),
            Err(_) => {
                Err("expected one of `key`, `agent`, `subject`, `token` and `everything`"
                    .to_owned())
            }
        }
    }

    fn revoked(self) -> Result<Change, String> {
        let what = self.selector()?;
        let issued_before = self.issued_before.as_deref().map(|text| time("issued_before", text));
        let issued_before = issued_before.transpose()?;
        let expires = self.expires.as_deref().map(|text| time("expires", text)).transpose()?;
        let (is_one, is_token, is_all) = match what {
            Selector::Key(_) => (true, false, false),
            Selector::Token { .. } => (true, true, false),
            Selector::Agent(_) | Selector::Subject(_) => (false, false, false),
            Selector::Everything => (false, false, true),
        };
        if issued_before.is_some() && is_one {
            return Err("`issued_before` does not belong to one key or token".to_owned());
        }
        if issued_before.is_none() && is_all {
            return Err("`everything` needs `issued_before`".to_owned());
        }
        if expires.is_some() && !is_token {
            return Err("`expires` belongs to `token`".to_owned());
        }
        Ok(Change::Revoke { what, issued_before, expires })
    }

    fn lifted(self) -> Result<Change, String> {
        if self.issued_before.is_some() || self.expires.is_some() {
            return Err("`lift` takes no time: it ends all with its selector".to_owned());
        }
        match self.selector()? {
            Selector::Key(_) => Err("a revoked key stays revoked".to_owned()),
            other @ (Selector::Agent(_)
            | Selector::Subject(_)
            | Selector::Token { .. }
            | Selector::Everything) => Ok(Change::Lift(other)),
        }
    }
}

fn named<T: FromStr<Err = Malformed>>(field: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|malformed| format!("`{field}`: {malformed}"))
}

fn time(field: &str, text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| format!("`{field}`: expected a time (RFC 3339)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for line in [
            r#"{"time":"2026-11-28T09:00:00Z","revoke":{"key":"k3v9aaaa"}}"#,
            r#"{"time":"2026-11-28T09:00:00.000001Z","revoke":{"agent":"a"},"reason":"it \"loops\""}"#,
            r#"{"time":"2026-11-28T09:00:00Z","revoke":{"subject":"böb","issued_before":"2026-11-28T08:00:00Z"}}"#,
            r#"{"time":"2026-11-28T09:00:00Z","revoke":{"token":"j","issuer":"https://i","expires":"2026-12-28T08:00:00Z"}}"#,
            r#"{"time":"2026-11-28T09:00:00Z","revoke":{"everything":true,"issued_before":"2026-11-28T08:00:00Z"}}"#,
            r#"{"time":"2026-11-28T09:00:00Z","lift":{"everything":true}}"#,
            r#"{"time":"2026-11-28T09:00:00Z","lift":{"token":"j"}}"#,
        ] {
            assert_eq!(Entry::parse(line.as_bytes()).unwrap().render(), line);
        }
    }

    #[test]
    fn the_longest_entry_fits_into_a_line() {
        let text: TokenText = "\"".repeat(MOST_TEXT_BYTES).parse().unwrap();
        let what = Selector::Token { id: text.clone(), issuer: Some(text) };
        let entry = Entry {
            time: Timestamp::MAX,
            change: Change::Revoke { what, issued_before: None, expires: Some(Timestamp::MAX) },
            reason: Some("\u{10ffff}".repeat(MOST_REASON_CHARS).parse().unwrap()),
        };
        assert_eq!(Entry::parse(entry.render().as_bytes()), Ok(entry));
        let long = format!("{{\"time\":\"{}", " ".repeat(MOST_LINE_BYTES));
        assert_eq!(Entry::parse(long.as_bytes()).unwrap_err(), "is longer than 8192 bytes");
        assert!("x".repeat(MOST_TEXT_BYTES + 1).parse::<TokenText>().is_err());
        assert!("x".repeat(MOST_REASON_CHARS + 1).parse::<Reason>().is_err());
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        let cases = [
            ("{}", "missing field `time`"),
            ("[]", "invalid length 0"),
            (r#"{"time":"2026"}"#, "expected one of `revoke` and `lift`"),
            (r#"{"time":"T","revoke":{"agent":"a"},"lift":{"agent":"a"}}"#, "expected one of"),
            (r#"{"time":"T","revoke":{"agent":"a"},"until":"T"}"#, "unknown field `until`"),
            (r#"{"time":"T","revoke":{"tenant":"a"}}"#, "unknown field `tenant`"),
            (r#"{"time":"T","revoke":{"agent":"a","agent":"b"}}"#, "duplicate field `agent`"),
            (r#"{"time":"T","revoke":{}}"#, "expected one of `key`"),
            (r#"{"time":"T","revoke":{"everything":false}}"#, "expected one of `key`"),
            (r#"{"time":"T","revoke":{"agent":"a","subject":"b"}}"#, "expected one of `key`"),
            (r#"{"time":"T","revoke":{"agent":"a","issuer":"b"}}"#, "`issuer` belongs"),
            (r#"{"time":"T","revoke":{"agent":"a b"}}"#, "`agent`: 1 to 64 letters"),
            (r#"{"time":"T","revoke":{"token":"\u0000"}}"#, "`token`: 1 to 1024 bytes"),
            (r#"{"time":"T","revoke":{"everything":true}}"#, "`everything` needs"),
            (r#"{"time":"T","revoke":{"key":"aaaa","issued_before":"T"}}"#, "`issued_before`: ex"),
            (
                r#"{"time":"T","revoke":{"agent":"a","expires":"2026-11-28T09:00:00Z"}}"#,
                "`expires` b",
            ),
            (r#"{"time":"T","revoke":{"agent":"a"}}"#, "`time`: expected a time"),
            (r#"{"time":"T","lift":{"key":"aaaa"}}"#, "a revoked key stays revoked"),
            (r#"{"time":"T","lift":{"agent":"a","issued_before":"T"}}"#, "`lift` takes no time"),
            (r#"{"time":"T","revoke":{"agent":"a"},"reason":""}"#, "`reason`: 1 to 200"),
            ("{\"time\":\"T\"", "EOF"),
            ("\u{fffd}", "expected value"),
        ];
        for (line, expected) in cases {
            let what = Entry::parse(line.as_bytes()).unwrap_err();
            assert!(what.starts_with(expected), "{line}: {what}");
        }
        let deep = "[".repeat(4_000);
        assert!(Entry::parse(deep.as_bytes()).is_err());
        assert!(Entry::parse(&[0xff, 0xfe]).is_err());
    }
}
