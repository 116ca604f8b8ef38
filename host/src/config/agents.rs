//! `[roles.X]` and `[agents.X]`: an agent is configuration. Keys and tokens only
//! prove which one is calling.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::ceiling::Ceilings;
use super::document::{Node, Place};
use super::problems::{Written, shown, suggestion};
use super::quota::{PerAgent, PerAgentPatch};
use super::walk::{Section, Wrong, parsed, text};
use crate::names::{AgentName, RoleName, Scope};

/// `[agents.X]`, with its roles and the server's defaults already applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// What its credentials may be used for: its own scopes and its roles',
    /// without repetition, in the order of their text.
    pub scopes: Vec<Scope>,
    /// Where each of those comes from: its own first, then its roles', repetitions
    /// included.
    pub grants: Vec<Grant>,
    /// Its roles, in the order of their names.
    pub roles: Vec<RoleName>,
    /// What it may do over all tools.
    pub per_agent: PerAgent,
    /// The client ids that authorization servers know it by, besides its name.
    pub clients: Vec<String>,
    /// The names in its client certificates: DNS names or URIs (RFC 5280 §4.2.1.6).
    pub certificates: Vec<String>,
}

/// A scope of an agent, and what gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What it allows.
    pub scope: Scope,
    /// The role that it comes with; none where the agent's own entry says it.
    pub role: Option<RoleName>,
    /// Where the scope stands.
    pub written: Written,
}

/// What each role allows.
type Roles = BTreeMap<RoleName, Vec<(Scope, Written)>>;

/// Reads the roles and the agents; `defaults` is what each agent may do unless its
/// entry says otherwise.
pub(super) fn read(
    root: &mut Section<'_>,
    defaults: PerAgent,
    ceilings: &Ceilings,
) -> BTreeMap<AgentName, Agent> {
    let roles: Roles = root.tables("roles", scopes);
    let claims = Claims::new(root.names_of_tables("agents"));
    root.tables("agents", |section| Agent::read(section, &roles, &claims, defaults, ceilings))
}

fn scopes(section: &mut Section<'_>) -> Vec<(Scope, Written)> {
    let read = |node: &Node| Ok((parsed(node)?, node.place.clone()));
    let scopes: Vec<(Scope, Place)> = section.list("scopes", read).unwrap_or_default();
    scopes.into_iter().map(|(scope, place)| (scope, section.written(&place))).collect()
}

impl Agent {
    fn read(
        section: &mut Section<'_>,
        roles: &Roles,
        claims: &Claims<'_>,
        defaults: PerAgent,
        ceilings: &Ceilings,
    ) -> Self {
        let own = scopes(section).into_iter();
        let mut grants: Vec<Grant> =
            own.map(|(scope, written)| Grant { scope, role: None, written }).collect();
        let of_roles = section.list("roles", |node| role(node, roles)).unwrap_or_default();
        let of_roles: BTreeMap<_, _> = of_roles.into_iter().collect();
        for (name, scopes) in &of_roles {
            grants.extend(scopes.iter().map(|(scope, written)| Grant {
                scope: scope.clone(),
                role: Some((*name).clone()),
                written: written.clone(),
            }));
        }
        let all: BTreeSet<&Scope> = grants.iter().map(|grant| &grant.scope).collect();
        let entry = section.path().to_owned();
        Self {
            scopes: all.into_iter().cloned().collect(),
            grants,
            roles: of_roles.into_keys().cloned().collect(),
            per_agent: section
                .table("per_agent", |section| PerAgentPatch::read(section, ceilings))
                .over(defaults),
            clients: section
                .list("clients", |node| claims.client(&entry, node))
                .unwrap_or_default(),
            certificates: section
                .list("certificates", |node| claims.certificate(&entry, node))
                .unwrap_or_default(),
        }
    }
}

/// What the agents say that they are known by. No two may say the same: whoever comes
/// with it would be one or the other by accident.
struct Claims<'n> {
    agents: BTreeSet<&'n str>,
    clients: RefCell<BTreeMap<String, String>>,
    certificates: RefCell<BTreeMap<String, String>>,
}

impl<'n> Claims<'n> {
    fn new(agents: BTreeSet<&'n str>) -> Self {
        Self { agents, clients: RefCell::default(), certificates: RefCell::default() }
    }

    fn client(&self, entry: &str, node: &Node) -> Result<String, Wrong> {
        let client = text(node)?;
        // An agent's own name is a client id of it.
        let other = format!("agents.{client}");
        if self.agents.contains(client) && other != entry {
            return Err(taken(client, &other));
        }
        claim(&self.clients, entry, client)
    }

    fn certificate(&self, entry: &str, node: &Node) -> Result<String, Wrong> {
        claim(&self.certificates, entry, text(node)?)
    }
}

fn claim(
    all: &RefCell<BTreeMap<String, String>>,
    entry: &str,
    name: &str,
) -> Result<String, Wrong> {
    if name.is_empty() {
        return Err(Wrong::new("a name cannot be empty"));
    }
    let mut all = all.borrow_mut();
    match all.get(name) {
        Some(other) if other != entry => Err(taken(name, other)),
        Some(_) | None => {
            all.insert(name.to_owned(), entry.to_owned());
            Ok(name.to_owned())
        }
    }
}

fn taken(name: &str, by: &str) -> Wrong {
    Wrong::new(format!("`{}` is [{by}]; one name stands for one agent", shown(name)))
}

type OfRole<'r> = (&'r RoleName, &'r [(Scope, Written)]);

fn role<'r>(node: &Node, roles: &'r Roles) -> Result<OfRole<'r>, Wrong> {
    let name = text(node)?;
    let found = roles.get_key_value(name).map(|(name, scopes)| (name, scopes.as_slice()));
    found.ok_or_else(|| Wrong {
        message: format!("there is no role `{}`", shown(name)),
        help: suggestion(name, roles.keys().map(RoleName::as_str)),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{Config, Problems};

    fn parse(text: &str) -> Result<Config, Problems> {
        Config::parse("b.toml", text, Path::new(""), [])
    }

    #[test]
    fn every_scope_knows_where_it_was_written() {
        let text = "[roles.reader]\nscopes = [\n  'text:*',\n  'records:get',\n]\n\
                    [agents.a]\nroles = ['reader']\nscopes = ['text:*', 'crm']\n";
        let agents = parse(text).unwrap().agents;
        let agent = &agents["a"];
        let grants: Vec<_> = agent
            .grants
            .iter()
            .map(|grant| {
                let role = grant.role.as_ref().map(|role| role.as_str());
                (grant.scope.as_str(), role, grant.written.to_string())
            })
            .collect();
        let expected = [
            ("text:*", None, "b.toml:8"),
            ("crm", None, "b.toml:8"),
            ("text:*", Some("reader"), "b.toml:3"),
            ("records:get", Some("reader"), "b.toml:4"),
        ];
        assert_eq!(grants, expected.map(|(scope, role, at)| (scope, role, at.to_owned())));
        let scopes: Vec<_> = agent.scopes.iter().map(|scope| scope.as_str()).collect();
        assert_eq!(scopes, ["crm", "records:get", "text:*"]);
    }

    #[test]
    fn what_a_variable_grants_names_the_variable() {
        let variable = ("BULKHEAD__AGENTS__A__SCOPES".to_owned(), "['crm']".to_owned());
        let config = Config::parse("b.toml", "", Path::new(""), [variable]).unwrap();
        let written = &config.agents["a"].grants[0].written;
        assert_eq!(written.to_string(), "BULKHEAD__AGENTS__A__SCOPES");
    }

    #[test]
    fn one_name_stands_for_one_agent() {
        let cases = [
            (
                "clients = ['x']",
                "clients = ['y', 'x']",
                "b.toml:4:17: `agents.b.clients`: `x` is [agents.a]",
            ),
            ("", "clients = ['a']", "b.toml:4:12: `agents.b.clients`: `a` is [agents.a]"),
            ("clients = ['b']", "", "b.toml:2:12: `agents.a.clients`: `b` is [agents.b]"),
            (
                "certificates = ['x']",
                "certificates = ['x']",
                "b.toml:4:17: `agents.b.certificates`: `x` is [agents.a]",
            ),
            ("clients = ['']", "", "b.toml:2:12: `agents.a.clients`: a name cannot be empty"),
        ];
        for (a, b, expected) in cases {
            let listed = parse(&format!("[agents.a]\n{a}\n[agents.b]\n{b}\n")).unwrap_err();
            assert!(listed.to_string().starts_with(expected), "{listed}");
        }
        let good = "[agents.a]\nclients = ['a', 'x', 'x']\n[agents.b]\ncertificates = ['x']\n";
        assert!(parse(good).is_ok());
    }
}
