//! Everybody who may call, as one immutable snapshot: the configuration's agents
//! and the key file's keys. A change of either makes a new snapshot.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::key::{Key, SecretDigest};
use super::key_file::KeyFile;
use super::principal::{Credential, Identity, covers};
use crate::config::{Agent, Config, PerAgent};
use crate::names::{AgentName, KeyId, Scope};

/// Everybody who may call.
#[derive(Debug)]
pub struct Identities {
    keys: HashMap<KeyId, Known>,
    agents: Agents,
}

/// A key that is known, whether it is still good or not.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) digest: SecretDigest,
    pub(super) identity: Arc<Identity>,
    pub(super) expires: Option<Timestamp>,
    pub(super) revoked: Option<Timestamp>,
}

impl Identities {
    /// The agents of `config` with the keys of `file`.
    pub fn new(config: &Config, file: &KeyFile) -> Self {
        let agents = Agents::new(&config.agents, config.per_agent);
        let known = |key: &Key| {
            let known = Known {
                digest: key.digest,
                identity: Arc::new(agents.identity_of_key(key)),
                expires: key.expires,
                revoked: key.revoked,
            };
            (key.id.clone(), known)
        };
        Self { keys: file.keys().iter().map(known).collect(), agents }
    }

    /// The key of this id.
    pub(super) fn key(&self, id: &str) -> Option<&Known> {
        self.keys.get(id)
    }

    /// Whoever started this process, calling as `agent`: what its entry allows,
    /// and everything where there is none.
    pub(super) fn local(&self, agent: &AgentName) -> Identity {
        let (scopes, per_agent) = match self.agents.entries.get(agent) {
            Some(entry) => (Arc::clone(&entry.scopes), entry.per_agent),
            None => (everything(), self.agents.per_agent),
        };
        Identity {
            agent: agent.clone(),
            subject: None,
            scopes,
            credential: Credential::Local,
            per_agent,
        }
    }
}

/// The scope that covers all others.
fn everything() -> Arc<[Scope]> {
    "*".parse().into_iter().collect()
}

/// The configuration's agents, with scopes that their keys share.
#[derive(Debug)]
struct Agents {
    entries: BTreeMap<AgentName, Entry>,
    /// What holds for an agent without an entry.
    per_agent: PerAgent,
}

#[derive(Debug)]
struct Entry {
    scopes: Arc<[Scope]>,
    per_agent: PerAgent,
}

impl Agents {
    fn new(agents: &BTreeMap<AgentName, Agent>, per_agent: PerAgent) -> Self {
        let entry = |(name, agent): (&AgentName, &Agent)| {
            let scopes = agent.scopes.as_slice().into();
            (name.clone(), Entry { scopes, per_agent: agent.per_agent })
        };
        Self { entries: agents.iter().map(entry).collect(), per_agent }
    }

    /// The identity behind `key`. A key of an agent without an entry brings its
    /// own scopes; one that brings none either may call nothing.
    fn identity_of_key(&self, key: &Key) -> Identity {
        let entry = self.entries.get(&key.agent);
        let scopes = match (entry, &key.scopes) {
            (Some(entry), None) => Arc::clone(&entry.scopes),
            (Some(entry), Some(narrower)) => in_both(&entry.scopes, narrower),
            (None, own) => own.as_deref().unwrap_or_default().into(),
        };
        Identity {
            agent: key.agent.clone(),
            subject: key.subject.clone(),
            scopes,
            credential: Credential::Key(key.id.clone()),
            per_agent: entry.map_or(self.per_agent, |entry| entry.per_agent),
        }
    }
}

/// The scopes that cover exactly what `left` and `right` both cover. Two scopes
/// are disjoint or one covers the other, so it is the narrower of each pair.
fn in_both(left: &[Scope], right: &[Scope]) -> Arc<[Scope]> {
    let of_right = right.iter().filter(|scope| covers(left, scope));
    let of_left = left.iter().filter(|scope| covers(right, scope) && !right.contains(scope));
    of_right.chain(of_left).cloned().collect()
}
