//! `[roles.X]` and `[agents.X]`: an agent is configuration. Keys and tokens only
//! prove which one is calling.

use std::collections::{BTreeMap, BTreeSet};

use super::ceiling::Ceilings;
use super::document::Node;
use super::problems::{shown, suggestion};
use super::quota::{PerAgent, PerAgentPatch};
use super::walk::{Section, Wrong, parsed, text};
use crate::names::{AgentName, RoleName, Scope};

/// `[agents.X]`, with its roles and the server's defaults already applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// What its credentials may be used for: its own scopes and its roles',
    /// without repetition, in the order of their text.
    pub scopes: Vec<Scope>,
    /// What it may do over all tools.
    pub per_agent: PerAgent,
    /// The client ids that authorization servers know it by, besides its name.
    pub clients: Vec<String>,
    /// The names in its client certificates: DNS names or URIs (RFC 5280 §4.2.1.6).
    pub certificates: Vec<String>,
}

/// What each role allows.
type Roles = BTreeMap<RoleName, Vec<Scope>>;

/// Reads the roles and the agents; `defaults` is what each agent may do unless its
/// entry says otherwise.
pub(super) fn read(
    root: &mut Section<'_>,
    defaults: PerAgent,
    ceilings: &Ceilings,
) -> BTreeMap<AgentName, Agent> {
    let roles: Roles = root.tables("roles", scopes);
    root.tables("agents", |section| Agent::read(section, &roles, defaults, ceilings))
}

fn scopes(section: &mut Section<'_>) -> Vec<Scope> {
    section.list("scopes", parsed).unwrap_or_default()
}

impl Agent {
    fn read(
        section: &mut Section<'_>,
        roles: &Roles,
        defaults: PerAgent,
        ceilings: &Ceilings,
    ) -> Self {
        let mut all: BTreeSet<Scope> = scopes(section).into_iter().collect();
        let of_roles = section.list("roles", |node| role(node, roles)).unwrap_or_default();
        all.extend(of_roles.into_iter().flatten().cloned());
        Self {
            scopes: all.into_iter().collect(),
            per_agent: section
                .table("per_agent", |section| PerAgentPatch::read(section, ceilings))
                .over(defaults),
            clients: section.list("clients", own_text).unwrap_or_default(),
            certificates: section.list("certificates", own_text).unwrap_or_default(),
        }
    }
}

fn own_text(node: &Node) -> Result<String, Wrong> {
    text(node).map(str::to_owned)
}

fn role<'r>(node: &Node, roles: &'r Roles) -> Result<&'r [Scope], Wrong> {
    let name = text(node)?;
    roles.get(name).map(Vec::as_slice).ok_or_else(|| Wrong {
        message: format!("there is no role `{}`", shown(name)),
        help: suggestion(name, roles.keys().map(RoleName::as_str)),
    })
}
