//! `[auth]`: how callers prove who they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::agents::Agent;
use super::issuers::{self, Issuer};
use super::server::{Server, State};
use super::walk::{Section, parsed, path};
use crate::names::{AgentName, Scope};

/// The journal of what was revoked, in the state folder.
pub const REVOCATIONS: &str = "revocations.jsonl";

/// `[auth]`: how callers prove who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// The file of hashed API keys, or a folder of such files. Relative to the state
    /// folder; default `keys.toml`.
    pub keys: PathBuf,
    /// What was revoked: `revocations.jsonl` in the state folder.
    pub revocations: PathBuf,
    /// The authorization servers whose tokens are accepted: `[[auth.issuers]]`.
    pub issuers: Vec<Issuer>,
    /// The scopes that clients are told to ask an authorization server for (RFC 9728
    /// §2, `scopes_supported`). None by default: what a call needs is told when it is
    /// made.
    pub scopes_supported: Vec<Scope>,
    /// Who calls without any credential; there is an `[agents.X]` for it. Nobody by
    /// default.
    pub anonymous: Option<AgentName>,
    /// A Cedar policy on calls and their arguments. Relative to the configuration's
    /// folder; none by default.
    pub policy: Option<PathBuf>,
}

impl Auth {
    pub(super) fn read(
        section: &mut Section<'_>,
        state: &State,
        base: &Path,
        server: &Server,
        agents: &BTreeMap<AgentName, Agent>,
    ) -> Self {
        let issuers = issuers::read(section, base);
        if !issuers.is_empty() && server.resource().is_none() {
            let why = "tokens are issued for a resource: set `server.public_url` to the URL that clients use";
            section.refuse("issuers", why);
        }
        let anonymous = section.get("anonymous", parsed);
        if let Some(agent) = &anonymous
            && !agents.contains_key(agent)
        {
            let why = format!("says what everybody may call: add [agents.{agent}] with its scopes");
            section.refuse("anonymous", &why);
        }
        Self {
            keys: state.under(section, "keys", "keys.toml"),
            revocations: state.dir.join(REVOCATIONS),
            issuers,
            scopes_supported: section.list("scopes_supported", parsed).unwrap_or_default(),
            anonymous,
            policy: section.get("policy", path).map(|path| base.join(path)),
        }
    }
}
