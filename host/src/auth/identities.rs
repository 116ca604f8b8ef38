//! Everybody who may call, as one immutable snapshot: the configuration's agents
//! the key file's keys, and what was revoked. A change of any makes a new snapshot.
//!
//! What many keys have in common (names, scopes) they share, so that 100,000 of them
//! take some 40 MiB.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::authenticate::by_key;
use super::keys::{Key, KeyFile, SecretDigest};
use super::last_use::{LastUse, Used};
use super::principal::{Credential, Identity, Principal, covers};
use super::revocations::Revocations;
use super::tokens::Verified;
use crate::config::{Agent, Config, PerAgent, RateLimit};
use crate::names::{AgentName, KeyId, Malformed, Scope, Secret};
use crate::text::clean_line;
use crate::transport::ClientCertificate;

/// Everybody who may call.
#[derive(Debug)]
pub struct Identities {
    keys: Arc<HashMap<KeyId, Known>>,
    agents: Arc<Agents>,
    anonymous: Option<Arc<Identity>>,
    revocations: Arc<Revocations>,
    superseded: CancellationToken,
}

/// A key that is known, whether it is still good or not.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) digest: SecretDigest,
    pub(super) identity: Arc<Identity>,
    /// As its file says; the journal is in [`Revocations`].
    pub(super) revoked: Option<Timestamp>,
    used: Arc<Used>,
}

impl Identities {
    /// The agents of `config` with the keys of `file`, without what was revoked.
    pub fn new(config: &Config, file: &KeyFile, revocations: impl Into<Arc<Revocations>>) -> Self {
        let agents = Agents::new(config);
        let mut shared = SharedScopes::default();
        let known = |key: &Key| {
            let known = Known {
                digest: key.digest,
                identity: Arc::new(agents.identity_of_key(key, &mut shared)),
                revoked: key.revoked,
                used: Arc::default(),
            };
            (key.id.clone(), known)
        };
        let keys = Arc::new(file.keys().iter().map(known).collect());
        let anonymous = config.auth.anonymous.as_ref();
        Self {
            keys,
            anonymous: anonymous.map(|agent| Arc::new(agents.anonymous(agent))),
            agents: Arc::new(agents),
            revocations: revocations.into(),
            superseded: CancellationToken::new(),
        }
    }

    /// The same, with keys that tell `last_use` when they are used.
    #[must_use]
    pub fn remembered_by(mut self, last_use: &LastUse) -> Self {
        if let Some(keys) = Arc::get_mut(&mut self.keys) {
            let used = last_use.of_keys(keys.keys());
            for (key, used) in keys.values_mut().zip(used) {
                key.used = used;
            }
        }
        self
    }

    /// The same keys and agents, with other revocations.
    #[must_use]
    pub fn with(&self, revocations: Arc<Revocations>) -> Self {
        Self {
            keys: Arc::clone(&self.keys),
            agents: Arc::clone(&self.agents),
            anonymous: self.anonymous.clone(),
            revocations,
            superseded: CancellationToken::new(),
        }
    }

    /// Whoever was let in at `now` used a key, if it was one that let them in.
    pub(super) fn mark_use(&self, principal: &Principal, now: Timestamp) {
        if let Credential::Key(id) = principal.credential()
            && let Some(key) = self.keys.get(id)
        {
            key.used.mark(now);
        }
    }

    /// What was revoked.
    pub fn revocations(&self) -> &Arc<Revocations> {
        &self.revocations
    }

    /// Why `identity` is not accepted any more; nothing while it is.
    pub(super) fn objection(&self, identity: &Identity) -> Option<String> {
        self.revocations.objection(identity)
    }

    /// Whether `key` is an API key that is accepted now.
    pub fn accepts_key(&self, key: &Secret, now: Timestamp) -> bool {
        let identity = by_key(self, key, now);
        identity.is_ok_and(|identity| self.objection(&identity).is_none())
    }

    /// Whether the key of this id is accepted now, from whoever has its secret.
    pub fn is_good_key(&self, id: &str, now: Timestamp) -> bool {
        self.key(id).is_some_and(|known| {
            known.revoked.is_none()
                && known.identity.expires.is_none_or(|expires| expires > now)
                && self.objection(&known.identity).is_none()
        })
    }

    /// Whether whoever was let in is still welcome: nothing of it was revoked, and its
    /// key is still there. One that expires during a call may finish it.
    pub fn accepts(&self, principal: &Principal) -> bool {
        let identity = principal.identity();
        let key = match &identity.credential {
            Credential::Key(id) => self.keys.get(id).is_some_and(|key| key.revoked.is_none()),
            Credential::Token { .. }
            | Credential::Certificate(_)
            | Credential::Anonymous
            | Credential::Local => true,
        };
        key && self.objection(identity).is_none()
    }

    /// Cancelled when a newer snapshot has taken this one's place.
    pub fn superseded(&self) -> &CancellationToken {
        &self.superseded
    }

    /// Whoever calls without a credential, where that is allowed.
    pub(super) fn anonymous(&self) -> Option<&Arc<Identity>> {
        self.anonymous.as_ref()
    }

    /// The agent that a client certificate with these names belongs to.
    pub(super) fn certificate(&self, certificate: &ClientCertificate) -> Option<Identity> {
        self.agents.identity_of_certificate(certificate)
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
            own_subject: None,
            tenant: None,
            scopes,
            credential: Credential::Local,
            per_agent,
            per_subject: self.agents.per_subject,
            reach: None,
            issued: None,
            expires: None,
        }
    }
}

/// The scope that covers all others.
fn everything() -> Arc<[Scope]> {
    "*".parse().into_iter().collect()
}

/// The configuration's agents, with scopes that their keys share.
#[derive(Debug)]
pub(super) struct Agents {
    entries: BTreeMap<AgentName, Entry>,
    /// Whose certificate has this name.
    by_certificate: BTreeMap<Box<str>, AgentName>,
    /// Which agent an authorization server knows by this client id.
    by_client: BTreeMap<Box<str>, AgentName>,
    /// What holds for an agent without an entry.
    per_agent: PerAgent,
    /// What holds for each subject.
    per_subject: Option<RateLimit>,
}

#[derive(Debug)]
struct Entry {
    scopes: Arc<[Scope]>,
    per_agent: PerAgent,
}

impl Agents {
    pub(super) fn new(config: &Config) -> Self {
        let (agents, per_agent, per_subject) =
            (&config.agents, config.per_agent, config.per_subject);
        let entry = |(name, agent): (&AgentName, &Agent)| {
            let scopes = agent.scopes.as_slice().into();
            (name.clone(), Entry { scopes, per_agent: agent.per_agent })
        };
        let of_certificates = |(name, agent): (&AgentName, &Agent)| {
            let name = name.clone();
            agent.certificates.clone().into_iter().map(move |known| (known.into(), name.clone()))
        };
        let by_certificate = agents.iter().flat_map(of_certificates).collect();
        let of_clients = |(name, agent): (&AgentName, &Agent)| {
            let name = name.clone();
            agent.clients.clone().into_iter().map(move |known| (known.into(), name.clone()))
        };
        let by_client = agents.iter().flat_map(of_clients).collect();
        let entries = agents.iter().map(entry).collect();
        Self { entries, by_certificate, by_client, per_agent, per_subject }
    }

    /// The identity behind `key`. A key of an agent without an entry brings its
    /// own scopes; one that brings none either may call nothing.
    fn identity_of_key(&self, key: &Key, shared: &mut SharedScopes) -> Identity {
        let entry = self.entries.get(&key.agent);
        let scopes = match (entry, &key.scopes) {
            (Some(entry), None) => Arc::clone(&entry.scopes),
            (Some(entry), Some(narrower)) => shared.in_both(&entry.scopes, narrower),
            (None, own) => own.clone().unwrap_or_default(),
        };
        Identity {
            agent: key.agent.clone(),
            subject: key.subject.clone(),
            own_subject: None,
            tenant: None,
            scopes,
            credential: Credential::Key(key.id.clone()),
            per_agent: entry.map_or(self.per_agent, |entry| entry.per_agent),
            per_subject: self.per_subject,
            reach: None,
            issued: Some(key.created),
            expires: key.expires,
        }
    }

    /// Everybody without a credential, calling as `agent`: what its entry allows.
    fn anonymous(&self, agent: &AgentName) -> Identity {
        self.of_entry(agent, Credential::Anonymous)
    }

    fn identity_of_certificate(&self, certificate: &ClientCertificate) -> Option<Identity> {
        let mut names = certificate.names.iter();
        let (agent, name) = names.find_map(|name| Some((self.by_certificate.get(name)?, name)))?;
        let credential = Credential::Certificate(certificate.fingerprint.clone());
        let identity = self.of_entry(agent, credential);
        Some(Identity { subject: name.parse().ok(), issued: certificate.issued, ..identity })
    }

    /// The identity behind a token: what it and its agent's entry both allow. Where the
    /// agent has no entry, the authorization server alone decides.
    ///
    /// # Errors
    /// Never, as long as a name may have hexadecimal digits.
    pub(super) fn identity_of_token(&self, token: Verified) -> Result<Identity, Malformed> {
        let agent = self.agent_of_client(&token.client)?;
        let entry = self.entries.get(&agent);
        let (scopes, reach) = match entry {
            Some(entry) => (in_both(&entry.scopes, &token.scopes), Arc::clone(&entry.scopes)),
            None => (token.scopes.into(), everything()),
        };
        Ok(Identity {
            per_agent: entry.map_or(self.per_agent, |entry| entry.per_agent),
            agent,
            subject: token.subject,
            own_subject: token.own_subject,
            tenant: token.tenant,
            scopes,
            credential: Credential::Token { issuer: token.issuer, id: token.id },
            per_subject: self.per_subject,
            reach: Some(reach),
            issued: token.issued,
            expires: token.expires,
        })
    }

    /// The agent that an authorization server calls `client`: the one that lists it, or
    /// has its name. Any other gets a name made of its digest where its own is no name,
    /// or could be taken for one that was made.
    fn agent_of_client(&self, client: &str) -> Result<AgentName, Malformed> {
        if let Some(listed) = self.by_client.get(client) {
            return Ok(listed.clone());
        }
        match client.parse::<AgentName>() {
            Ok(own) if self.entries.contains_key(&own) || !client.starts_with(MADE_UP) => Ok(own),
            Ok(_) | Err(_) => {
                let agent = made_up(client).parse()?;
                // The only place where both are known.
                tracing::info!("client `{}` is agent {agent}", clean_line(client, 200));
                Ok(agent)
            }
        }
    }

    /// What the entry of `agent` allows; nothing where there is none.
    fn of_entry(&self, agent: &AgentName, credential: Credential) -> Identity {
        let entry = self.entries.get(agent);
        Identity {
            agent: agent.clone(),
            subject: None,
            own_subject: None,
            tenant: None,
            scopes: entry.map(|entry| Arc::clone(&entry.scopes)).unwrap_or_default(),
            credential,
            per_agent: entry.map_or(self.per_agent, |entry| entry.per_agent),
            per_subject: self.per_subject,
            reach: None,
            issued: None,
            expires: None,
        }
    }
}

/// The scopes of the keys that were looked at. Keys of one agent often have the same.
#[derive(Default)]
struct SharedScopes(HashMap<[Arc<[Scope]>; 2], Arc<[Scope]>>);

impl SharedScopes {
    /// [`in_both`], once for each pair.
    fn in_both(&mut self, left: &Arc<[Scope]>, right: &Arc<[Scope]>) -> Arc<[Scope]> {
        let pair = [Arc::clone(left), Arc::clone(right)];
        Arc::clone(self.0.entry(pair).or_insert_with(|| in_both(left, right)))
    }
}

/// How names of agents begin that are made for clients without one.
const MADE_UP: &str = "client-";

/// A name for a client whose own is none: 16 hexadecimal digits of its SHA-256.
fn made_up(client: &str) -> String {
    let digest = SecretDigest::of(client).to_hex();
    let start: String = digest.chars().take(16).collect();
    format!("{MADE_UP}{start}")
}

/// The scopes that cover exactly what `left` and `right` both cover. Two scopes
/// are disjoint or one covers the other, so it is the narrower of each pair.
fn in_both(left: &[Scope], right: &[Scope]) -> Arc<[Scope]> {
    let of_right = right.iter().filter(|scope| covers(left, scope));
    let of_left = left.iter().filter(|scope| covers(right, scope) && !right.contains(scope));
    of_right.chain(of_left).cloned().collect()
}
