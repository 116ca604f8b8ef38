//! `bulkhead key`: make, list and revoke API keys.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::failure::{self, Failure};
use super::shared;
use crate::auth::{self, KeyFile, NewKey, Revoke as Revoked};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::names::{AgentName, KeyId, Scope, Subject, parse_duration};
use crate::server::{self, Confirmed};

#[derive(Debug, Subcommand)]
pub(super) enum Key {
    /// Make a key. Its secret is shown once and stored nowhere.
    Create(Create),
    /// List the keys, without their secrets.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key, or every key of an agent. Returns when the running server has
    /// confirmed it: the next call with that key is refused.
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub(super) struct Create {
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
    expires: Option<std::time::Duration>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// The key's id, as `key list` shows it.
    #[arg(required_unless_present = "agent")]
    id: Option<KeyId>,
    /// Every key of this agent.
    #[arg(long, conflicts_with = "id")]
    agent: Option<AgentName>,
}

impl Key {
    pub(super) fn run(self, config: &Config) -> Result<ExitCode, Failure> {
        match self {
            Self::Create(create) => create.run(config)?,
            Self::List { json } => list(config, json)?,
            Self::Revoke(revoke) => revoke.run(config)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Create {
    fn run(self, config: &Config) -> Result<(), Failure> {
        if self.scopes.is_empty() && !config.agents.contains_key(&self.agent) {
            return Err(Failure::new(
                failure::USAGE,
                format!(
                    "the configuration has no entry [agents.{}], so the key needs scopes of its own: add --scope, as --scope 'records:*'",
                    self.agent
                ),
            ));
        }
        let now = SystemClock.utc();
        let new = NewKey {
            agent: self.agent,
            subject: self.subject,
            scopes: (!self.scopes.is_empty()).then_some(self.scopes),
            expires: self.expires.map(|valid_for| now + valid_for),
        };
        let (entry, secret) = auth::create(&config.auth.keys, new, now)
            .map_err(|error| Failure::new(failure::IO, error))?;
        let confirmed = tell_server(config)?;
        if self.json {
            let mut shown = shown(&entry, config);
            if let Some(shown) = shown.as_object_mut() {
                shown.insert("key".to_owned(), json!(secret.expose()));
            }
            println!("{shown}");
            return Ok(());
        }
        println!("{}", secret.expose());
        eprintln!(
            "This is key {} of {}. It is shown only now; send it as `Authorization: Bearer KEY`.",
            entry.id, entry.agent
        );
        if let Confirmed::NoServer = confirmed {
            eprintln!("No server is running here; the next one will know the key.");
        }
        Ok(())
    }
}

fn list(config: &Config, as_json: bool) -> Result<(), Failure> {
    let keys =
        KeyFile::load(&config.auth.keys).map_err(|error| Failure::new(failure::CONFIG, error))?;
    if as_json {
        let keys: Vec<_> = keys.keys().iter().map(|entry| shown(entry, config)).collect();
        println!("{}", serde_json::Value::from(keys));
        return Ok(());
    }
    if keys.keys().is_empty() {
        eprintln!("There is no key yet; `bulkhead key create --agent NAME` makes one.");
        return Ok(());
    }
    println!("{:<14} {:<20} {:<22} SCOPES", "ID", "AGENT", "STATE");
    let now = SystemClock.utc();
    for entry in keys.keys() {
        let state = match (entry.revoked, entry.expires) {
            (Some(_), _) => "revoked".to_owned(),
            (None, Some(expires)) if expires <= now => "expired".to_owned(),
            (None, Some(expires)) => format!("until {}", expires.strftime("%Y-%m-%d")),
            (None, None) => "good".to_owned(),
        };
        println!(
            "{:<14} {:<20} {state:<22} {}",
            entry.id,
            entry.agent,
            scopes(entry, config).join(" ")
        );
    }
    Ok(())
}

impl Revoke {
    fn run(self, config: &Config) -> Result<(), Failure> {
        let which = match (self.id, self.agent) {
            (Some(id), _) => Revoked::Key(id),
            (None, Some(agent)) => Revoked::Agent(agent),
            (None, None) => {
                return Err(Failure::new(failure::USAGE, "name a key's id, or --agent"));
            }
        };
        let revoked = auth::revoke(&config.auth.keys, &which, SystemClock.utc())
            .map_err(|error| Failure::new(failure::IO, error))?;
        if revoked.is_empty() {
            return Err(Failure::new(
                failure::DATA,
                "there is no such key; `bulkhead key list` shows all",
            ));
        }
        let confirmed = tell_server(config)?;
        for entry in &revoked {
            println!("{} of {} is revoked", entry.id, entry.agent);
        }
        match confirmed {
            Confirmed::InForce => eprintln!("The running server has confirmed it."),
            Confirmed::NoServer => eprintln!("No server is running here."),
        }
        Ok(())
    }
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

fn scopes(entry: &auth::Key, config: &Config) -> Vec<String> {
    let of_agent = config.agents.get(&entry.agent).map(|agent| &agent.scopes);
    let scopes = entry.scopes.as_ref().or(of_agent);
    scopes.into_iter().flatten().map(Scope::to_string).collect()
}

fn shown(entry: &auth::Key, config: &Config) -> serde_json::Value {
    json!({
        "id": entry.id,
        "agent": entry.agent,
        "subject": entry.subject,
        "scopes": scopes(entry, config),
        "expires": entry.expires.map(|expires| expires.to_string()),
        "revoked": entry.revoked.map(|revoked| revoked.to_string()),
    })
}
