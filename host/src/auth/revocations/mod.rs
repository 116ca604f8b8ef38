//! What was revoked: the journal, and what it means for a credential.
//!
//! Three ways of cutting off. **One credential**: an API key by its id, a token by its
//! `jti`. **Everything of an agent or a subject, for good**: until it is lifted, whatever
//! its credential is and whenever it was issued; a stranger's credential-less calls and
//! those of the one who started the process too, where they call as that agent.
//! **What was issued until a moment**, of an agent, a subject or everybody: keys, tokens
//! and certificates; what does not tell when it was issued counts as issued before. A
//! call without a credential was issued nothing, so no moment concerns it.
//!
//! A credential issued in the same second as such a moment may count as issued before,
//! since most tokens tell no more than the second. That errs on the safe side: whoever is
//! entitled to it gets another.
//!
//! [`Revocations`] is a snapshot that calls look at without a lock or the disk: at most
//! five lookups, and none that hashes anything where nothing was revoked.

mod entry;
mod journal;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use jiff::Timestamp;

pub use self::entry::{Change, Entry, Reason, Selector, TokenText};
pub use self::journal::BadJournal;
use self::journal::Mark;
use super::keys::Key;
use super::principal::{Credential, Identity};
use crate::names::{AgentName, KeyId, Subject};

/// What was revoked, as one immutable snapshot.
#[derive(Debug, Default)]
pub struct Revocations {
    keys: HashMap<KeyId, Since>,
    agents: HashMap<AgentName, Cut>,
    subjects: HashMap<Subject, Cut>,
    /// By their ids. Issuers may use the same one.
    tokens: HashMap<TokenText, Vec<OneToken>>,
    everything: Option<IssuedBefore>,
    /// How far the journal went.
    read: Mark,
}

/// Since when, and why.
#[derive(Clone, Debug)]
struct Since {
    time: Timestamp,
    reason: Option<Reason>,
}

/// How an agent or a subject is cut off.
#[derive(Debug, Default)]
struct Cut {
    for_good: Option<Since>,
    before: Option<IssuedBefore>,
}

#[derive(Clone, Debug)]
struct IssuedBefore {
    moment: Timestamp,
    since: Since,
}

#[derive(Debug)]
struct OneToken {
    issuer: Option<TokenText>,
    expires: Option<Timestamp>,
    since: Since,
}

/// A revocation that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// What it is about.
    pub what: Selector,
    /// When it was made.
    pub since: Timestamp,
    /// Only what was issued until then.
    pub issued_before: Option<Timestamp>,
    /// When it is forgotten.
    pub expires: Option<Timestamp>,
    /// Why.
    pub reason: Option<Reason>,
}

impl Revocations {
    /// Reads the journal at `path`, without what has expired at `now`. One that never was
    /// holds nothing.
    ///
    /// # Errors
    /// When it cannot be read, is gone or has lost entries, is open to others than its
    /// owner, is larger than 64 MiB or 1,000,000 entries, or has a line that is not
    /// understood. A server does not start then, and one that runs goes on with what it has
    /// read before.
    pub fn load(path: &Path, now: Timestamp) -> Result<Self, BadJournal> {
        Self::read(path, None, now)
    }

    /// As [`load`](Self::load), at the start of a server: a journal that never was is
    /// made, so that it is missed when it is gone.
    ///
    /// # Errors
    /// As of `load`, and when it cannot be made.
    pub fn load_first(path: &Path, now: Timestamp) -> Result<Self, BadJournal> {
        journal::create(path)?;
        Self::load(path, now)
    }

    /// As [`load`](Self::load), after these were read.
    ///
    /// # Errors
    /// As of `load`, and when not all entries are there that were read then.
    pub fn load_again(&self, path: &Path, now: Timestamp) -> Result<Self, BadJournal> {
        Self::read(path, Some(&self.read), now)
    }

    fn read(path: &Path, before: Option<&Mark>, now: Timestamp) -> Result<Self, BadJournal> {
        let (revocations, read) =
            journal::read(path, before, |all: &mut Self, entry| all.apply(entry, now))?;
        Ok(Self { read, ..revocations })
    }

    fn apply(&mut self, Entry { time, change, reason }: Entry, now: Timestamp) {
        match change {
            Change::Revoke { what, issued_before, expires } => {
                if expires.is_none_or(|end| end > now) {
                    self.revoke(what, issued_before, expires, Since { time, reason });
                }
            }
            Change::Lift(what) => self.lift(&what),
        }
    }

    fn revoke(
        &mut self,
        what: Selector,
        issued_before: Option<Timestamp>,
        expires: Option<Timestamp>,
        since: Since,
    ) {
        match what {
            Selector::Key(id) => {
                self.keys.entry(id).or_insert(since);
            }
            Selector::Agent(agent) => {
                self.agents.entry(agent).or_default().deepen(issued_before, since);
            }
            Selector::Subject(subject) => {
                self.subjects.entry(subject).or_default().deepen(issued_before, since);
            }
            Selector::Token { id, issuer } => {
                let of_this_id = self.tokens.entry(id).or_default();
                of_this_id.retain(|token| token.issuer != issuer);
                of_this_id.push(OneToken { issuer, expires, since });
            }
            Selector::Everything => later(&mut self.everything, issued_before, since),
        }
    }

    fn lift(&mut self, what: &Selector) {
        match what {
            Selector::Key(_) => {}
            Selector::Agent(agent) => {
                if self.agents.get_mut(agent).is_none_or(Cut::lift) {
                    self.agents.remove(agent);
                }
            }
            Selector::Subject(subject) => {
                if self.subjects.get_mut(subject).is_none_or(Cut::lift) {
                    self.subjects.remove(subject);
                }
            }
            Selector::Token { id, issuer } => {
                if let Some(of_this_id) = self.tokens.get_mut(id) {
                    of_this_id.retain(|token| token.issuer != *issuer);
                }
            }
            Selector::Everything => self.everything = None,
        }
    }

    /// Why `identity` is not accepted any more; nothing while it is.
    pub(super) fn objection(&self, identity: &Identity) -> Option<String> {
        let Identity { agent, subject, own_subject, credential, issued, .. } = identity;
        let subject = subject.as_ref().or(own_subject.as_ref());
        let (why, since) = self.find(agent, subject, credential, *issued)?;
        Some(format!("{why}, revoked at {}", since.time))
    }

    /// What is in force against `what`.
    pub fn against(&self, what: &Selector) -> Vec<InForce> {
        self.in_force().into_iter().filter(|one| one.what == *what).collect()
    }

    /// When `key` was revoked.
    pub fn of_key(&self, key: &Key) -> Option<Timestamp> {
        let credential = Credential::Key(key.id.clone());
        let found = self.find(&key.agent, key.subject.as_ref(), &credential, Some(key.created));
        found.map(|(_, since)| since.time).or(key.revoked)
    }

    /// Why `agent` would not be served whatever it presents, and since when.
    pub fn of_agent(&self, agent: &AgentName) -> Option<Timestamp> {
        self.agents.get(agent)?.for_good.as_ref().map(|since| since.time)
    }

    fn find(
        &self,
        agent: &AgentName,
        subject: Option<&Subject>,
        credential: &Credential,
        issued: Option<Timestamp>,
    ) -> Option<(Why, &Since)> {
        let until = |before: &IssuedBefore| is_issued_until(credential, issued, before.moment);
        let one = match credential {
            Credential::Key(id) => self.keys.get(id).map(|since| (Why::Key, since)),
            Credential::Token { issuer, id: Some(id) } => {
                self.token(issuer, id).map(|since| (Why::Token, since))
            }
            Credential::Token { id: None, .. }
            | Credential::Certificate(_)
            | Credential::Anonymous
            | Credential::Local => None,
        };
        let of_agent = || Some((Why::Agent, self.agents.get(agent)?.found(until)?));
        let of_subject = || Some((Why::Subject, self.subjects.get(subject?)?.found(until)?));
        let of_all = || {
            let before = self.everything.as_ref().filter(|before| until(before))?;
            Some((Why::Everything, &before.since))
        };
        one.or_else(of_agent).or_else(of_subject).or_else(of_all)
    }

    fn token(&self, issuer: &str, id: &str) -> Option<&Since> {
        let of_this_id = self.tokens.get(id)?;
        let meant =
            |token: &&OneToken| token.issuer.as_ref().is_none_or(|meant| meant.as_str() == issuer);
        of_this_id.iter().find(meant).map(|token| &token.since)
    }

    /// All that is in force, by what it is about.
    pub fn in_force(&self) -> Vec<InForce> {
        let once = |what: Selector, since: &Since| InForce {
            what,
            since: since.time,
            issued_before: None,
            expires: None,
            reason: since.reason.clone(),
        };
        let until = |what: Selector, before: &IssuedBefore| InForce {
            issued_before: Some(before.moment),
            ..once(what, &before.since)
        };
        let cut = |what: Selector, cut: &Cut| {
            let for_good = cut.for_good.as_ref().map(|since| once(what.clone(), since));
            let before = cut.before.as_ref().map(|before| until(what, before));
            for_good.into_iter().chain(before)
        };
        let tokens = self.tokens.iter().flat_map(|(id, tokens)| {
            tokens.iter().map(|token| InForce {
                expires: token.expires,
                ..once(
                    Selector::Token { id: id.clone(), issuer: token.issuer.clone() },
                    &token.since,
                )
            })
        });
        let agents = self.agents.iter();
        let subjects = self.subjects.iter();
        let mut all: Vec<InForce> = self
            .keys
            .iter()
            .map(|(id, since)| once(Selector::Key(id.clone()), since))
            .chain(agents.flat_map(|(name, is)| cut(Selector::Agent(name.clone()), is)))
            .chain(subjects.flat_map(|(name, is)| cut(Selector::Subject(name.clone()), is)))
            .chain(tokens)
            .chain(self.everything.iter().map(|before| until(Selector::Everything, before)))
            .collect();
        all.sort_by(|one, other| (&one.what, one.since).cmp(&(&other.what, other.since)));
        all
    }
}

impl Cut {
    /// Ends what is for good, or else the rest; says whether nothing is left. Whoever is
    /// let in again does not get back what had leaked before.
    fn lift(&mut self) -> bool {
        self.for_good.take().is_none() || self.before.is_none()
    }

    fn deepen(&mut self, issued_before: Option<Timestamp>, since: Since) {
        match issued_before {
            None => {
                self.for_good.get_or_insert(since);
            }
            Some(_) => later(&mut self.before, issued_before, since),
        }
    }

    fn found(&self, until: impl FnOnce(&IssuedBefore) -> bool) -> Option<&Since> {
        let before = || self.before.as_ref().filter(|before| until(before));
        self.for_good.as_ref().or_else(|| before().map(|before| &before.since))
    }
}

/// Moves a moment on; an earlier one says nothing new.
fn later(known: &mut Option<IssuedBefore>, moment: Option<Timestamp>, since: Since) {
    if let Some(moment) = moment
        && known.as_ref().is_none_or(|known| known.moment < moment)
    {
        *known = Some(IssuedBefore { moment, since });
    }
}

/// Whether a credential was issued until `moment`, that moment included.
fn is_issued_until(credential: &Credential, issued: Option<Timestamp>, moment: Timestamp) -> bool {
    match credential {
        Credential::Key(_) | Credential::Token { .. } | Credential::Certificate(_) => {
            issued.is_none_or(|issued| issued <= moment)
        }
        Credential::Anonymous | Credential::Local => false,
    }
}

/// What of an identity was revoked.
#[derive(Clone, Copy, Debug)]
enum Why {
    Key,
    Token,
    Agent,
    Subject,
    Everything,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "the key",
            Self::Token => "the token",
            Self::Agent => "the agent",
            Self::Subject => "the subject",
            Self::Everything => "everything of that age",
        })
    }
}

/// Writes an entry into the journal at `path`. When this returns, it is on the disk, and
/// in force in every server that has read the journal since. Blocks while another process
/// writes.
///
/// # Errors
/// When the journal is damaged, full, open to others than its owner, or cannot be
/// written.
pub fn record(path: &Path, entry: &Entry) -> Result<(), BadJournal> {
    journal::append(path, entry)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::auth::owner_only::tests::Folder;
    use crate::config::{Ceilings, PerAgent};

    fn at(text: &str) -> Timestamp {
        format!("2026-11-28T{text}Z").parse().unwrap()
    }

    /// What lines like `revoke {"agent":"a"}` mean together.
    fn after(lines: &[&str]) -> Revocations {
        let folder = Folder::new();
        let line = |line: &&str| {
            let (word, what) = line.split_once(' ').unwrap();
            format!("{{\"time\":\"2026-11-28T12:00:00Z\",\"{word}\":{what}}}\n")
        };
        let text: String = lines.iter().map(line).collect();
        let path = folder.write("revocations.jsonl", text);
        Revocations::load(&path, at("12:00:00")).unwrap()
    }

    fn identity(credential: Credential, issued: Option<&str>) -> Identity {
        Identity {
            agent: "reporting".parse().unwrap(),
            subject: Some("bob".parse().unwrap()),
            own_subject: None,
            tenant: None,
            scopes: Arc::default(),
            credential,
            per_agent: PerAgent::over_all_tools(&Ceilings::none()),
            per_subject: None,
            reach: None,
            issued: issued.map(at),
            expires: None,
        }
    }

    fn key(issued: &str) -> Identity {
        identity(Credential::Key("k3v9".parse().unwrap()), Some(issued))
    }

    fn token(issuer: &str, id: Option<&str>, issued: Option<&str>) -> Identity {
        identity(Credential::Token { issuer: issuer.into(), id: id.map(Into::into) }, issued)
    }

    const DAY: &str = "10:00:00";

    #[track_caller]
    fn check(lines: &[&str], identity: &Identity, expected: Option<&str>) {
        let why = after(lines).objection(identity);
        let why = why.as_deref().map(|why| why.split_once(',').unwrap().0);
        assert_eq!(why, expected, "{lines:?} {identity:?}");
    }

    #[test]
    fn nothing_is_revoked_by_an_empty_journal() {
        check(&[], &key(DAY), None);
        assert!(after(&[]).in_force().is_empty());
    }

    #[test]
    fn what_was_read_once_stays_revoked() {
        let folder = Folder::new();
        let line = r#"{"time":"2026-11-28T12:00:00Z","revoke":{"agent":"a"}}"#;
        let write =
            |times: usize| folder.write("revocations.jsonl", format!("{line}\n").repeat(times));
        let (path, now) = (write(2), at("12:00:00"));
        let two = Revocations::load(&path, now).unwrap();
        write(1);
        let what = two.load_again(&path, now).unwrap_err().to_string();
        assert!(what.contains("2 entries were here, and not all of them are"), "{what}");
        std::fs::remove_file(&path).unwrap();
        assert!(two.load_again(&path, now).is_err());
        write(2);
        two.load_again(&path, now).unwrap();
        two.load_again(&write(3), now).unwrap();
        let other = format!("{}\n{line}\n{line}\n", line.replace("\"a\"", "\"b\""));
        assert!(two.load_again(&folder.write("revocations.jsonl", other), now).is_err());
    }

    #[test]
    fn one_credential_is_cut_off_alone() {
        check(&[r#"revoke {"key":"k3v9"}"#], &key(DAY), Some("the key"));
        check(&[r#"revoke {"key":"other"}"#], &key(DAY), None);
        let lines = [r#"revoke {"token":"j","issuer":"https://a"}"#];
        check(&lines, &token("https://a", Some("j"), None), Some("the token"));
        check(&lines, &token("https://b", Some("j"), None), None);
        check(&lines, &token("https://a", None, None), None);
        let any = [r#"revoke {"token":"j"}"#];
        check(&any, &token("https://b", Some("j"), None), Some("the token"));
        check(&any, &key(DAY), None);
        let why = after(&any).objection(&token("https://b", Some("j"), None)).unwrap();
        assert_eq!(why, "the token, revoked at 2026-11-28T12:00:00Z");
    }

    #[test]
    fn an_agent_or_a_subject_is_cut_off_for_good_whatever_it_presents() {
        let certificate = identity(Credential::Certificate("f".into()), None);
        for (line, why) in [
            (r#"revoke {"agent":"reporting"}"#, "the agent"),
            (r#"revoke {"subject":"bob"}"#, "the subject"),
        ] {
            for identity in [
                &key("23:00:00"),
                &token("https://a", None, Some("23:00:00")),
                &certificate,
                &identity(Credential::Anonymous, None),
                &identity(Credential::Local, None),
            ] {
                check(&[line], identity, Some(why));
                check(&[&line.replace("reporting", "x").replace("bob", "x")], identity, None);
            }
        }
        let agent = "reporting".parse().unwrap();
        assert!(after(&[r#"revoke {"agent":"reporting"}"#]).of_agent(&agent).is_some());
        assert!(after(&[r#"revoke {"subject":"bob"}"#]).of_agent(&agent).is_none());
    }

    #[test]
    fn who_acts_for_itself_is_cut_off_by_its_subject_too() {
        let itself = Identity {
            subject: None,
            own_subject: Some("service".parse().unwrap()),
            ..token("https://a", None, Some(DAY))
        };
        check(&[r#"revoke {"subject":"service"}"#], &itself, Some("the subject"));
        check(&[r#"revoke {"subject":"bob"}"#], &itself, None);
    }

    #[test]
    fn what_was_issued_until_a_moment_is_cut_off_and_what_came_later_is_not() {
        for (who, why) in [
            (r#""agent":"reporting""#, "the agent"),
            (r#""subject":"bob""#, "the subject"),
            (r#""everything":true"#, "everything of that age"),
        ] {
            let line = format!(r#"revoke {{{who},"issued_before":"2026-11-28T10:00:00Z"}}"#);
            let lines = [line.as_str()];
            check(&lines, &key("09:59:59"), Some(why));
            check(&lines, &key("10:00:00"), Some(why));
            check(&lines, &key("10:00:00.000001"), None);
            check(&lines, &token("https://a", None, Some("09:00:00")), Some(why));
            check(&lines, &token("https://a", None, Some("11:00:00")), None);
            // Unknown: issued before, for all we know.
            check(&lines, &token("https://a", None, None), Some(why));
            check(&lines, &identity(Credential::Certificate("f".into()), None), Some(why));
            // Nothing was issued.
            check(&lines, &identity(Credential::Anonymous, None), None);
            check(&lines, &identity(Credential::Local, None), None);

            // The later moment counts, in whatever order they come.
            let earlier = line.replace("T10", "T08");
            for lines in [[line.as_str(), &earlier], [&earlier, &line]] {
                check(&lines, &key("09:00:00"), Some(why));
            }
        }
    }

    #[test]
    fn a_lift_ends_what_is_for_good_or_else_the_rest() {
        let good = r#"revoke {"agent":"reporting"}"#;
        let before = r#"revoke {"agent":"reporting","issued_before":"2026-11-28T10:00:00Z"}"#;
        let lift = r#"lift {"agent":"reporting"}"#;
        check(&[good, before, lift], &key(DAY), Some("the agent"));
        check(&[good, before, lift], &key("10:00:01"), None);
        check(&[good, before, lift, lift], &key(DAY), None);
        check(&[before, lift], &key(DAY), None);
        check(&[good, lift, before], &key(DAY), Some("the agent"));
        check(&[good, r#"lift {"agent":"other"}"#], &key(DAY), Some("the agent"));
        check(&[good, r#"lift {"subject":"bob"}"#], &key(DAY), Some("the agent"));
        check(&[r#"revoke {"key":"k3v9"}"#, good, lift], &key(DAY), Some("the key"));
        let all = r#"revoke {"everything":true,"issued_before":"2026-11-28T10:00:00Z"}"#;
        check(&[all, lift], &key(DAY), Some("everything of that age"));
        check(&[all, r#"lift {"everything":true}"#], &key(DAY), None);
        let jti = token("https://a", Some("j"), None);
        let one = r#"revoke {"token":"j","issuer":"https://a"}"#;
        check(&[one, r#"lift {"token":"j"}"#], &jti, Some("the token"));
        check(&[one, r#"lift {"token":"j","issuer":"https://a"}"#], &jti, None);
    }

    #[test]
    fn a_token_that_has_expired_is_forgotten() {
        let jti = token("https://a", Some("j"), None);
        let line = |end: &str| format!(r#"revoke {{"token":"j","expires":"2026-11-28T{end}Z"}}"#);
        check(&[&line("12:00:00")], &jti, None);
        check(&[&line("12:00:01")], &jti, Some("the token"));
        assert_eq!(after(&[&line("12:00:01")]).in_force().len(), 1);
    }

    #[test]
    fn what_is_in_force_is_listed() {
        let lines = [
            r#"revoke {"subject":"bob"}"#,
            r#"revoke {"everything":true,"issued_before":"2026-11-28T10:00:00Z"}"#,
            r#"revoke {"agent":"a","issued_before":"2026-11-28T10:00:00Z"}"#,
            r#"revoke {"agent":"a"}"#,
            r#"revoke {"token":"j"}"#,
            r#"revoke {"key":"k3v9"}"#,
            r#"revoke {"key":"k3v9"}"#,
            r#"revoke {"agent":"b"}"#,
            r#"lift {"agent":"b"}"#,
        ];
        let listed = after(&lines).in_force();
        let listed: Vec<_> = listed.iter().map(|one| one.what.to_string()).collect();
        let expected = ["key k3v9", "agent a", "agent a", "subject bob", "token j", "everything"];
        assert_eq!(listed, expected);
    }
}
