//! `bulkhead revoke`: cut off an agent, a subject, a token, or what was issued until a
//! moment, and let in again what can be.

use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::{ArgGroup, Args};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::failure::{self, Failure};
use super::shared;
use crate::auth::{
    self, Change, Entry, InForce, KeyFile, Reason, Revocations, Selector, TokenText,
};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::names::{AgentName, Malformed, Subject, parse_duration};
use crate::server::{self, Confirmed};

/// What is no token.
const OTHERS: [&str; 4] = ["agent", "subject", "everything", "issued_before"];

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").multiple(false))]
#[command(group = ArgGroup::new("asked").required(true).multiple(true)
    .args(["agent", "subject", "token", "everything", "issued_before", "list"]))]
pub(super) struct Revoke {
    /// Whatever calls as this agent, from now on and for good: keys, tokens, certificates,
    /// and calls without a credential.
    #[arg(long, group = "what")]
    agent: Option<AgentName>,
    /// Whatever calls on this subject's behalf, from now on and for good, whichever issuer
    /// names it.
    #[arg(long, group = "what")]
    subject: Option<Subject>,
    /// The token with this id (`jti`).
    #[arg(long, group = "what", value_name = "JTI")]
    token: Option<TokenText>,
    /// Every credential; with --issued-before or --lift.
    #[arg(long, group = "what")]
    everything: bool,
    /// The issuer of the token, where two may use the same id.
    #[arg(long, requires = "token", conflicts_with_all = OTHERS, value_name = "URL")]
    issuer: Option<TokenText>,
    /// How long the token is good for at most, as `12h`: then this is forgotten.
    #[arg(long, requires = "token", conflicts_with_all = OTHERS, value_parser = parse_duration)]
    expires: Option<Duration>,
    /// Only what was issued until then, of the agent, of the subject, or of everybody: an
    /// RFC 3339 time, or `now`. What does not tell when it was issued counts as before.
    #[arg(long, value_name = "TIME", conflicts_with = "token")]
    issued_before: Option<Moment>,
    /// Let in again: end the revocation for good of this agent or subject, or that of this
    /// token or of everything. What was revoked by when it was issued stays so, until this
    /// is said again.
    #[arg(long, conflicts_with_all = ["issued_before", "expires"])]
    lift: bool,
    /// Why, for whoever reads the journal: one line.
    #[arg(long)]
    reason: Option<Reason>,
    /// List what is in force.
    #[arg(long, conflicts_with_all = ["what", "issued_before", "lift", "reason"])]
    list: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// A time that somebody names.
#[derive(Clone, Copy, Debug)]
enum Moment {
    Now,
    At(Timestamp),
}

impl FromStr for Moment {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let wrong = |_| Malformed::new("`now`, or a time as `2026-11-28T09:00:00Z`");
        if text == "now" { Ok(Self::Now) } else { text.parse().map(Self::At).map_err(wrong) }
    }
}

impl Revoke {
    pub(super) fn run(self, config: &Config) -> Result<ExitCode, Failure> {
        if self.list {
            list(config, self.json)?;
            return Ok(ExitCode::SUCCESS);
        }
        let now = SystemClock.utc();
        let (json, reason) = (self.json, self.reason.clone());
        let change = self.change(now)?;
        let before = revocations(config)?;
        if let (Change::Lift(what), false) = (&change, json)
            && before.against(what).is_empty()
        {
            eprintln!(
                "Nothing is in force against {what}; `bulkhead revoke --list` shows what is."
            );
        }
        let confirmed = record(config, change.clone(), reason, now)?;
        if json {
            println!("{}", told(&change, confirmed));
            return Ok(ExitCode::SUCCESS);
        }
        match &change {
            Change::Revoke { what, issued_before: Some(moment), .. } => {
                println!("{what}: what was issued until {moment} is revoked");
            }
            Change::Revoke { what, issued_before: None, .. } => println!("{what} is revoked"),
            Change::Lift(what) => {
                println!("{what} is let in again");
                for left in revocations(config)?.against(what) {
                    if let Some(moment) = left.issued_before {
                        eprintln!(
                            "What was issued until {moment} stays revoked; --lift once more ends \
                             that too."
                        );
                    }
                }
            }
        }
        if let Change::Revoke { what: Selector::Agent(agent), .. } = &change
            && !is_known(config, agent)
        {
            eprintln!(
                "No entry of the configuration and no key has the name {agent}: check it, unless \
                 an authorization server or an expected key has."
            );
        }
        say_confirmed(confirmed);
        Ok(ExitCode::SUCCESS)
    }

    fn change(self, now: Timestamp) -> Result<Change, Failure> {
        let wrong = |what: &str| Err(Failure::new(failure::USAGE, what));
        let issued_before = match self.issued_before {
            None => None,
            Some(Moment::Now) => Some(now),
            Some(Moment::At(moment)) if moment <= now => Some(moment),
            Some(Moment::At(_)) => {
                return wrong(
                    "--issued-before is in the future: it would cut off what is issued \
                              until then; without it, an agent or a subject is cut off for good",
                );
            }
        };
        let what = match (self.agent, self.subject, self.token) {
            (Some(agent), _, _) => Selector::Agent(agent),
            (None, Some(subject), _) => Selector::Subject(subject),
            (None, None, Some(id)) => Selector::Token { id, issuer: self.issuer },
            (None, None, None) => Selector::Everything,
        };
        if self.lift {
            return Ok(Change::Lift(what));
        }
        if what == Selector::Everything && issued_before.is_none() {
            return wrong("--everything needs --issued-before TIME, or --lift");
        }
        let expires = match self.expires {
            Some(good_for) => match now.checked_add(good_for) {
                Ok(end) => Some(end),
                Err(_) => return wrong("--expires is too far away for a date"),
            },
            None => None,
        };
        Ok(Change::Revoke { what, issued_before, expires })
    }
}

/// Writes a change into the journal, and returns when the running server heeds it.
pub(super) fn record(
    config: &Config,
    change: Change,
    reason: Option<Reason>,
    now: Timestamp,
) -> Result<Confirmed, Failure> {
    // Nobody reads nanoseconds, and `key create` writes none.
    let time = Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now);
    auth::record(&config.auth.revocations, &Entry { time, change, reason })
        .map_err(|error| Failure::new(failure::IO, error))?;
    shared::run(async {
        server::ask_to_reload_revocations(&config.admin.socket).await.map_err(|error| {
            let done = "the journal is written, but the running server did not confirm it";
            let next = "restart the server to be sure";
            Failure::new(failure::UNAVAILABLE, format!("{done}: {error}; {next}"))
        })
    })
}

pub(super) fn say_confirmed(confirmed: Confirmed) {
    match confirmed {
        Confirmed::InForce => eprintln!("The running server has confirmed it."),
        Confirmed::NoServer => eprintln!("No server is running here."),
    }
}

fn revocations(config: &Config) -> Result<Revocations, Failure> {
    Revocations::load(&config.auth.revocations, SystemClock.utc())
        .map_err(|error| Failure::new(failure::IO, error))
}

/// Whether an agent has an entry or a key; yes when nobody can say.
fn is_known(config: &Config, agent: &AgentName) -> bool {
    let of_keys = |keys: &KeyFile| keys.keys().iter().any(|key| key.agent == *agent);
    config.agents.contains_key(agent)
        || KeyFile::load(&config.auth.keys).as_ref().map_or(true, of_keys)
}

fn list(config: &Config, as_json: bool) -> Result<(), Failure> {
    let in_force = revocations(config)?.in_force();
    if as_json {
        println!("{}", Value::from(in_force.iter().map(shown).collect::<Vec<_>>()));
        return Ok(());
    }
    if in_force.is_empty() {
        eprintln!("Nothing is revoked.");
        return Ok(());
    }
    for InForce { what, since, issued_before, expires, reason } in &in_force {
        let part = |what: &str, time: Option<Timestamp>| {
            time.map(|time| format!("  {what} {time}")).unwrap_or_default()
        };
        let reason = reason.as_ref().map(|reason| format!("  ({})", reason.as_str()));
        println!(
            "{what}{}  since {since}{}{}",
            part("issued until", *issued_before),
            part("forgotten at", *expires),
            reason.unwrap_or_default()
        );
    }
    Ok(())
}

/// A revocation for scripts. Fields may be added, and none taken away.
fn shown(one: &InForce) -> Value {
    let text = |time: Timestamp| time.to_string();
    let mut shown = selector(&one.what);
    let times = json!({
        "since": text(one.since),
        "issued_before": one.issued_before.map(text),
        "expires": one.expires.map(text),
        "reason": one.reason.as_ref().map(Reason::as_str),
    });
    if let (Some(shown), Value::Object(times)) = (shown.as_object_mut(), times) {
        shown.extend(times);
    }
    shown
}

fn selector(what: &Selector) -> Value {
    match what {
        Selector::Key(id) => json!({ "key": id }),
        Selector::Agent(agent) => json!({ "agent": agent }),
        Selector::Subject(subject) => json!({ "subject": subject }),
        Selector::Token { id, issuer } => {
            json!({ "token": id.as_str(), "issuer": issuer.as_ref().map(TokenText::as_str) })
        }
        Selector::Everything => json!({ "everything": true }),
    }
}

/// What was done, for scripts.
fn told(change: &Change, confirmed: Confirmed) -> Value {
    let confirmed = confirmed == Confirmed::InForce;
    match change {
        Change::Revoke { what, issued_before, .. } => json!({
            "revoked": selector(what),
            "issued_before": issued_before.map(|time| time.to_string()),
            "confirmed": confirmed,
        }),
        Change::Lift(what) => json!({ "lifted": selector(what), "confirmed": confirmed }),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        revoke: Revoke,
    }

    fn change(arguments: &str) -> Result<Change, String> {
        let arguments = std::iter::once("revoke").chain(arguments.split_whitespace());
        let line = Line::try_parse_from(arguments).map_err(|error| error.to_string())?;
        let now = "2026-11-28T09:00:00Z".parse().unwrap();
        line.revoke.change(now).map_err(|failure| failure.to_string())
    }

    #[test]
    fn the_command_line_says_what_is_meant() {
        let agent = || Selector::Agent("a".parse().unwrap());
        let revoke = |what, before: Option<&str>, expires: Option<&str>| Change::Revoke {
            what,
            issued_before: before.map(|time| time.parse().unwrap()),
            expires: expires.map(|time| time.parse().unwrap()),
        };
        let (now, earlier) = (Some("2026-11-28T09:00:00Z"), Some("2026-11-28T08:00:00Z"));
        let token = Selector::Token {
            id: "j".parse().unwrap(),
            issuer: Some("https://i".parse().unwrap()),
        };
        for (arguments, expected) in [
            ("--agent a", revoke(agent(), None, None)),
            ("--agent a --issued-before now", revoke(agent(), now, None)),
            ("--subject b", revoke(Selector::Subject("b".parse().unwrap()), None, None)),
            ("--issued-before 2026-11-28T08:00:00Z", revoke(Selector::Everything, earlier, None)),
            ("--everything --issued-before now", revoke(Selector::Everything, now, None)),
            (
                "--token j --issuer https://i --expires 1h",
                revoke(token, None, Some("2026-11-28T10:00:00Z")),
            ),
            ("--agent a --lift", Change::Lift(agent())),
            ("--everything --lift", Change::Lift(Selector::Everything)),
        ] {
            assert_eq!(change(arguments), Ok(expected), "{arguments}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for arguments in [
            "",
            "--lift",
            "--json",
            "--everything",
            "--agent a --subject b",
            "--agent a --everything",
            "--token j --issued-before now",
            "--issuer https://i",
            "--agent a --expires 1h",
            "--agent a --issuer https://i",
            "--agent a --lift --issued-before now",
            "--agent a --issued-before tomorrow",
            "--agent a --issued-before 2026-11-28T09:00:01Z",
            "--token j --expires 99999999999d",
            "--list --agent a",
            "--list --lift",
        ] {
            assert!(change(arguments).is_err(), "{arguments}");
        }
    }
}
