//! `bulkhead key list`.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{load_keys, load_revocations, shared};
use crate::auth::{Key, KeyFile, LastUse, Revocations};
use crate::cli::failure::Failure;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::names::{KeyId, Scope};
use crate::server;

/// Prints every key, with what the journal says of it and when it was last used.
pub(super) fn list(config: &Config, as_json: bool) -> Result<(), Failure> {
    let keys = load_keys(config)?;
    let revocations = load_revocations(config)?;
    let used = last_uses(config)?;
    let successors = Successors::of(&keys);
    if as_json {
        let shown = |key: &Key| {
            shown(key, successors.of_key(key), &revocations, used.get(&key.id).copied(), config)
        };
        println!("{}", Value::from(keys.keys().iter().map(shown).collect::<Vec<_>>()));
        return Ok(());
    }
    if keys.keys().is_empty() {
        eprintln!("There is no key yet; `bulkhead key create --agent NAME` makes one.");
        return Ok(());
    }
    println!(
        "{:<14} {:<20} {:<16} {:<11} {:<18} {:<17} SCOPES",
        "ID", "AGENT", "SUBJECT", "CREATED", "STATE", "LAST USED"
    );
    let now = SystemClock.utc();
    for key in keys.keys() {
        let used = used.get(&key.id).map_or_else(|| "never".to_owned(), minute);
        println!(
            "{:<14} {:<20} {:<16} {:<11} {:<18} {used:<17} {}{}",
            key.id,
            key.agent,
            key.subject.as_ref().map_or("-", |subject| subject.as_str()),
            day(&key.created),
            state(key, &revocations, now),
            scopes(key, config).join(" "),
            lineage(key, successors.of_key(key)),
        );
    }
    Ok(())
}

/// When the keys were last used; as of this moment, where a server runs here.
fn last_uses(config: &Config) -> Result<HashMap<KeyId, Timestamp>, Failure> {
    shared::run(async {
        if let Err(error) = server::ask_to_write_last_use(&config.admin.socket).await {
            eprintln!("The running server did not say when keys were last used: {error}");
        }
        Ok(LastUse::read(&config.state.dir))
    })
}

/// Which key takes the place of which.
struct Successors<'k>(HashMap<&'k KeyId, &'k KeyId>);

impl<'k> Successors<'k> {
    fn of(keys: &'k KeyFile) -> Self {
        let replaces = |key: &'k Key| Some((key.replaces.as_ref()?, &key.id));
        Self(keys.keys().iter().filter_map(replaces).collect())
    }

    fn of_key(&self, key: &Key) -> Option<&'k KeyId> {
        self.0.get(&key.id).copied()
    }
}

fn state(key: &Key, revocations: &Revocations, now: Timestamp) -> String {
    match (revocations.of_key(key), key.expires) {
        (Some(at), _) => format!("revoked {}", day(&at)),
        (None, Some(expires)) if expires <= now => format!("expired {}", day(&expires)),
        (None, Some(expires)) => format!("until {}", day(&expires)),
        (None, None) => "good".to_owned(),
    }
}

fn lineage(key: &Key, successor: Option<&KeyId>) -> String {
    let of_old = key.replaces.as_ref().map(|old| format!("  replaces {old}"));
    let of_new = successor.map(|new| format!("  replaced by {new}"));
    of_old.into_iter().chain(of_new).collect()
}

fn day(time: &Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

fn minute(time: &Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M").to_string()
}

fn scopes(key: &Key, config: &Config) -> Vec<String> {
    let of_agent = || config.agents.get(&key.agent).map(|agent| agent.scopes.as_slice());
    let scopes = key.scopes.as_deref().or_else(of_agent);
    scopes.into_iter().flatten().map(Scope::to_string).collect()
}

/// A key for scripts. Fields may be added, and none taken away.
pub(super) fn shown(
    key: &Key,
    successor: Option<&KeyId>,
    revocations: &Revocations,
    used: Option<Timestamp>,
    config: &Config,
) -> Value {
    let text = |time: Timestamp| time.to_string();
    json!({
        "id": key.id,
        "agent": key.agent,
        "subject": key.subject,
        "scopes": scopes(key, config),
        "created": key.created.to_string(),
        "expires": key.expires.map(text),
        "revoked": revocations.of_key(key).map(text),
        "last_used": used.map(text),
        "replaces": key.replaces,
        "replaced_by": successor,
    })
}
