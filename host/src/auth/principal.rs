//! Who asks: the evidence that [`super::authenticate`] gives.

use std::fmt;
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;

use crate::config::{PerAgent, RateLimit};
use crate::limits::{Meter, MeterKey, Metered};
use crate::names::{AgentName, KeyId, Scope, Subject};

/// The authenticated identity behind one request.
///
/// Its one constructor is private to `auth`, so whoever holds one knows that
/// [`super::authenticate`] said yes.
#[derive(Clone, Debug)]
pub struct Principal(Arc<Identity>);

/// What a credential needs to be told what its calls spent. No plugin may be named
/// `bulkhead`, so that no tool's scope is this one.
static SEES_SPENDING: LazyLock<Option<Scope>> = LazyLock::new(|| "bulkhead:spent".parse().ok());

/// What a credential stands for. Shared by all requests that present it.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) agent: AgentName,
    pub(super) subject: Option<Subject>,
    /// What it is called as a subject, where it acts for itself: it can be revoked by that.
    pub(super) own_subject: Option<Subject>,
    pub(super) tenant: Option<Box<str>>,
    pub(super) scopes: Arc<[Scope]>,
    pub(super) credential: Credential,
    pub(super) per_agent: PerAgent,
    /// How often its subject may call, whatever calls for it.
    pub(super) per_subject: Option<RateLimit>,
    /// What the authorization server could yet issue a token for; none where the
    /// credential cannot be stepped up.
    pub(super) reach: Option<Arc<[Scope]>>,
    /// When the credential was issued, where that is known.
    pub(super) issued: Option<Timestamp>,
    /// From when on it is refused.
    pub(super) expires: Option<Timestamp>,
}

/// Which credential proved it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// An API key.
    Key(KeyId),
    /// An authorization server's token, and its `jti` where it has one (RFC 7519 §4.1.7).
    Token {
        /// The authorization server.
        issuer: Arc<str>,
        /// Which of its tokens.
        id: Option<Arc<str>>,
    },
    /// A client certificate, by its SHA-256 fingerprint.
    Certificate(Box<str>),
    /// None, where the configuration lets everybody in.
    Anonymous,
    /// None: the request comes from whoever started this process.
    Local,
}

impl fmt::Display for Credential {
    /// The key's id, `token:JTI`, `certificate:FINGERPRINT`, `anonymous` or `local`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(id) => id.fmt(f),
            Self::Token { id: Some(id), .. } => write!(f, "token:{id}"),
            Self::Token { id: None, .. } => f.write_str("token"),
            Self::Certificate(fingerprint) => write!(f, "certificate:{fingerprint}"),
            Self::Anonymous => f.write_str("anonymous"),
            Self::Local => f.write_str("local"),
        }
    }
}

impl Principal {
    pub(super) fn new(identity: Arc<Identity>) -> Self {
        Self(identity)
    }

    /// Which program calls.
    pub fn agent(&self) -> &AgentName {
        &self.0.agent
    }

    /// On whose behalf.
    pub fn subject(&self) -> Option<&Subject> {
        self.0.subject.as_ref()
    }

    /// The organization that it belongs to, where a claim says so.
    pub fn tenant(&self) -> Option<&str> {
        self.0.tenant.as_deref()
    }

    /// What it may use; `*` and `PLUGIN:*` stand for many.
    pub fn scopes(&self) -> &[Scope] {
        &self.0.scopes
    }

    /// What proved it.
    pub fn credential(&self) -> &Credential {
        &self.0.credential
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.0
    }

    /// Whether `wanted` can be had for the asking: an authorization server's token can
    /// be stepped up to what its agent may have; all else is the operator's to grant.
    pub(super) fn could_have(&self, wanted: &[Scope]) -> bool {
        let reach = self.0.reach.as_ref();
        reach.is_some_and(|reach| wanted.iter().all(|wanted| covers(reach, wanted)))
    }

    /// What its agent may do over all tools.
    pub(super) fn per_agent(&self) -> &PerAgent {
        &self.0.per_agent
    }

    /// Whether it may be told what its calls spent: whoever has the scope
    /// `bulkhead:spent`.
    pub fn sees_spending(&self) -> bool {
        SEES_SPENDING.as_ref().is_some_and(|wanted| covers(&self.0.scopes, wanted))
    }

    /// Those of `wanted` that none of its scopes covers.
    pub(super) fn lacks<'s>(&self, wanted: &'s [Scope]) -> impl Iterator<Item = &'s Scope> {
        wanted.iter().filter(|wanted| !covers(&self.0.scopes, wanted))
    }
}

/// Whether one of `granted` covers `wanted`.
pub(super) fn covers(granted: &[Scope], wanted: &Scope) -> bool {
    granted.iter().any(|scope| scope.covers(wanted))
}

impl Metered for Principal {
    /// The agent's rate over all tools, and its subject's over all agents.
    fn meters(&self) -> impl Iterator<Item = Meter> {
        let of_agent = self.0.per_agent.rate.map(|rate| Meter {
            limit: "per_agent.rate",
            key: MeterKey::agent(&self.0.agent),
            rate,
        });
        let of_subject = self.0.per_subject.zip(self.0.subject.as_ref());
        let of_subject = of_subject.map(|(rate, subject)| Meter {
            limit: "per_subject.rate",
            key: MeterKey::subject(subject),
            rate,
        });
        of_agent.into_iter().chain(of_subject)
    }
}
