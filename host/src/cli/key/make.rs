//! `bulkhead key create` and `bulkhead key rotate`.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::list::shown;
use super::{failure, from_now, load_keys, load_revocations, shared};
use crate::auth::{self, Key, NewKey, Revocations, Rotation};
use crate::cli::failure::Failure;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::names::{AgentName, KeyId, Scope, Secret, Subject, parse_duration};
use crate::server::{self, Confirmed};

#[derive(Debug, Args)]
pub(in crate::cli) struct Create {
    /// Which program calls with it.
    #[arg(long)]
    agent: AgentName,
    /// On whose behalf.
    #[arg(long)]
    subject: Option<Subject>,
    /// What it may be used for: `PLUGIN:TOOL`, `PLUGIN:*` or `*`; may be repeated.
    /// Without one, whatever the agent's entry in the configuration allows.
    #[arg(long = "scope")]
    scopes: Vec<Scope>,
    /// How long it is good for, as `90d`. Without it, until it is revoked.
    #[arg(long, value_parser = parse_duration)]
    expires: Option<Duration>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Rotate {
    /// The key's id, as `key list` shows it.
    id: KeyId,
    /// How long the old key is still accepted, as `24h`; never longer than it was good for.
    #[arg(long, value_parser = parse_duration, default_value = "24h")]
    overlap: Duration,
    /// How long the new key is good for, as `90d`. Without it, as long as the old one was
    /// made for.
    #[arg(long, value_parser = parse_duration)]
    expires: Option<Duration>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl Create {
    pub(super) fn run(self, config: &Config) -> Result<(), Failure> {
        if self.scopes.is_empty() && !config.agents.contains_key(&self.agent) {
            return Err(Failure::new(
                failure::USAGE,
                format!(
                    "the configuration has no entry [agents.{}], so the key needs scopes of its own: add --scope, as --scope 'records:*'",
                    self.agent
                ),
            ));
        }
        let revocations = load_revocations(config)?;
        refuse_if_cut_off(&revocations, &self.agent)?;
        let now = SystemClock.utc();
        let new = NewKey {
            agent: self.agent,
            subject: self.subject,
            scopes: (!self.scopes.is_empty()).then_some(self.scopes),
            expires: self.expires.map(|good_for| from_now(now, good_for)).transpose()?,
        };
        let (key, secret) = auth::create(&config.auth.keys, new, now)
            .map_err(|error| Failure::new(failure::IO, error))?;
        let confirmed = tell_server(config)?;
        if self.json {
            println!("{}", with_secret(shown_new(&key, config), &secret));
            return Ok(());
        }
        println!("{}", secret.expose());
        eprintln!(
            "This is key {} of {}. It is shown only now; send it as `Authorization: Bearer KEY`.",
            key.id, key.agent
        );
        say_if_nobody_runs(confirmed);
        Ok(())
    }
}

impl Rotate {
    pub(super) fn run(self, config: &Config) -> Result<(), Failure> {
        let revocations = load_revocations(config)?;
        let now = SystemClock.utc();
        let refuse = |key: &Key| {
            let at = revocations.of_key(key)?;
            let next = "make a new key with `bulkhead key create` if its holder may have one";
            Some(format!("key {} was revoked at {at}; {next}", key.id))
        };
        let unknown =
            || Failure::new(failure::DATA, "there is no such key; `bulkhead key list` shows all");
        let keys = load_keys(config)?;
        let old = keys.keys().iter().find(|key| key.id == self.id).ok_or_else(unknown)?;
        if let Some(why) = refuse(old) {
            return Err(Failure::new(failure::DATA, why));
        }
        let expires = self.expires.map(|good_for| from_now(now, good_for)).transpose()?;
        let rotation = Rotation { id: self.id, overlap: self.overlap, expires };
        let rotated = auth::rotate(&config.auth.keys, &rotation, now, refuse)
            .map_err(|error| Failure::new(failure::IO, error))?
            .ok_or_else(unknown)?;
        let confirmed = tell_server(config)?;
        let (old, new) = (&rotated.old, &rotated.new);
        let ends = old.expires.unwrap_or(now);
        if self.json {
            let mut shown = with_secret(shown_new(new, config), &rotated.secret);
            if let Some(shown) = shown.as_object_mut() {
                let ends = ends.to_string();
                shown.insert("replaced".to_owned(), json!({ "id": old.id, "expires": ends }));
            }
            println!("{shown}");
            return Ok(());
        }
        println!("{}", rotated.secret.expose());
        let until = if ends <= now {
            "is not accepted any more".to_owned()
        } else {
            format!("is accepted until {}", ends.strftime("%Y-%m-%d %H:%M:%S UTC"))
        };
        let ends = new.expires.map_or("until it is revoked".to_owned(), |end| {
            format!("until {}", end.strftime("%Y-%m-%d %H:%M:%S UTC"))
        });
        eprintln!(
            "This is key {} of {}, good {ends}. It is shown only now. It takes the place of {}, \
             which {until}.",
            new.id, new.agent, old.id
        );
        say_if_nobody_runs(confirmed);
        Ok(())
    }
}

/// A key that would be refused from its first call on is not made.
fn refuse_if_cut_off(revocations: &Revocations, agent: &AgentName) -> Result<(), Failure> {
    let Some(at) = revocations.of_agent(agent) else { return Ok(()) };
    let next = format!("`bulkhead revoke --agent {agent} --lift` lets it in again");
    Err(Failure::new(failure::DATA, format!("agent {agent} was cut off for good at {at}; {next}")))
}

fn shown_new(key: &Key, config: &Config) -> Value {
    shown(key, None, &Revocations::default(), None, config)
}

fn with_secret(mut shown: Value, secret: &Secret) -> Value {
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("key".to_owned(), json!(secret.expose()));
    }
    shown
}

fn tell_server(config: &Config) -> Result<Confirmed, Failure> {
    shared::run(async {
        server::ask_to_reload_keys(&config.admin.socket).await.map_err(|error| {
            let done = "the key file is changed, but the running server did not confirm it";
            let next = "restart the server to be sure";
            Failure::new(failure::UNAVAILABLE, format!("{done}: {error}; {next}"))
        })
    })
}

fn say_if_nobody_runs(confirmed: Confirmed) {
    match confirmed {
        Confirmed::InForce => {}
        Confirmed::NoServer => {
            eprintln!("No server is running here; the next one will know the key.");
        }
    }
}
