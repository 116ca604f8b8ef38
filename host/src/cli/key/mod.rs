//! `bulkhead key`: make, list, replace and revoke API keys.

mod list;
mod make;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::failure::{self, Failure};
use super::revoke::{record, say_confirmed};
use super::shared;
use crate::auth::{Change, Key as Kept, KeyFile, Revocations, Selector};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::names::{AgentName, KeyId};

#[derive(Debug, Subcommand)]
pub(super) enum Key {
    /// Make a key. Its secret is shown once and stored nowhere.
    ///
    /// Secret scanners find keys by the regular expression
    /// bhk_[a-km-np-z2-9]{12}_[a-km-np-z2-9]{58} and tell them from other texts by their
    /// last six symbols, a checksum of the rest.
    Create(make::Create),
    /// List the keys and when each was last used, without their secrets.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Replace a key: make one of the same agent, subject and scopes, and end the old one
    /// after a while.
    Rotate(make::Rotate),
    /// Revoke a key, or all that was issued to an agent until now: keys, tokens and
    /// certificates. Returns when the running server has confirmed it: the next call is
    /// refused.
    ///
    /// To cut off an agent for good, or a subject or a token, see `bulkhead revoke`.
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// The key's id, as `key list` shows it.
    #[arg(required_unless_present = "agent")]
    id: Option<KeyId>,
    /// Whatever was issued to this agent until now.
    #[arg(long, conflicts_with = "id")]
    agent: Option<AgentName>,
}

impl Key {
    pub(super) fn run(self, config: &Config) -> Result<ExitCode, Failure> {
        match self {
            Self::Create(create) => create.run(config)?,
            Self::List { json } => list::list(config, json)?,
            Self::Rotate(rotate) => rotate.run(config)?,
            Self::Revoke(revoke) => revoke.run(config)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Revoke {
    fn run(self, config: &Config) -> Result<(), Failure> {
        let now = SystemClock.utc();
        // A file that cannot be read must not keep anybody from being cut off.
        let (keys, readable) = match KeyFile::load(&config.auth.keys) {
            Ok(keys) => (keys, true),
            Err(error) => {
                eprintln!("Not checked whether there is such a key: {error}");
                (KeyFile::default(), false)
            }
        };
        let is_meant = |key: &&Kept| match (&self.id, &self.agent) {
            (Some(id), _) => key.id == *id,
            (None, Some(agent)) => key.agent == *agent,
            (None, None) => false,
        };
        let meant: Vec<_> = keys.keys().iter().filter(is_meant).collect();
        let is_known = !readable || !meant.is_empty();
        let (what, issued_before) = match (self.id, self.agent) {
            (Some(id), _) if is_known => (Selector::Key(id), None),
            (None, Some(agent)) if is_known || config.agents.contains_key(&agent) => {
                (Selector::Agent(agent), Some(now))
            }
            (Some(_), _) => {
                let what = "there is no such key; `bulkhead key list` shows all";
                return Err(Failure::new(failure::DATA, what));
            }
            (None, Some(agent)) => {
                let what = format!(
                    "agent {agent} has neither a key nor an entry in the configuration; `bulkhead \
                     revoke --agent {agent}` cuts it off all the same"
                );
                return Err(Failure::new(failure::DATA, what));
            }
            (None, None) => {
                return Err(Failure::new(failure::USAGE, "name a key's id, or --agent"));
            }
        };
        let told = match &what {
            Selector::Agent(agent) => Some(format!("what was issued to {agent} until now")),
            Selector::Key(id) if meant.is_empty() => Some(format!("key {id}")),
            Selector::Key(_)
            | Selector::Subject(_)
            | Selector::Token { .. }
            | Selector::Everything => None,
        };
        let change = Change::Revoke { what, issued_before, expires: None };
        let confirmed = record(config, change, None, now)?;
        for key in &meant {
            println!("{} of {} is revoked", key.id, key.agent);
        }
        if let Some(told) = told {
            println!("{told} is revoked");
        }
        say_confirmed(confirmed);
        Ok(())
    }
}

fn load_keys(config: &Config) -> Result<KeyFile, Failure> {
    KeyFile::load(&config.auth.keys).map_err(|error| Failure::new(failure::CONFIG, error))
}

fn load_revocations(config: &Config) -> Result<Revocations, Failure> {
    Revocations::load(&config.auth.revocations, SystemClock.utc())
        .map_err(|error| Failure::new(failure::CONFIG, error))
}

/// The time that is so far from now.
fn from_now(now: Timestamp, distance: Duration) -> Result<Timestamp, Failure> {
    now.checked_add(distance)
        .map_err(|_| Failure::new(failure::USAGE, "--expires is too far away for a date"))
}
