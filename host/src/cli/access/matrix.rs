//! Agent by tool: who may call, and what lets them.

use std::collections::BTreeMap;
use std::fmt;

use crate::auth::Key;
use crate::catalog::Tool;
use crate::config::{Agent, Grant, OnDenied};
use crate::names::{AgentName, KeyId, Scope, ToolName};

/// Who holds a right: an agent with any of its credentials, or with these keys only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Holder {
    pub(super) agent: AgentName,
    /// None for every credential of the agent.
    pub(super) keys: Option<Vec<KeyId>>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.agent)?;
        match self.keys.as_deref() {
            None | Some([]) => Ok(()),
            Some([key]) => write!(f, " (key {key})"),
            Some([key, more @ ..]) => write!(f, " (key {key} and {} more)", more.len()),
        }
    }
}

/// What lets a holder call a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) requires: Vec<Scope>,
    pub(super) is_concealed: bool,
    pub(super) through: Vec<Line>,
    /// The tool needs something else than its own scope.
    is_unusual: bool,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, line) in self.through.iter().enumerate() {
            write!(f, "{}{line}", if at == 0 { "" } else { " and " })?;
        }
        if self.is_unusual {
            let requires: Vec<&str> = self.requires.iter().map(Scope::as_str).collect();
            write!(f, "; needs {}", requires.join(" and "))?;
        }
        f.write_str(if self.is_concealed { "; concealed from others" } else { "" })
    }
}

/// A scope, and where it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    table: String,
    scope: Scope,
    place: Option<String>,
}

impl fmt::Display for Line {
    /// `[roles.reader] scopes "records:*" (bulkhead.toml:14)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} scopes \"{}\"", self.table, self.scope)?;
        self.place.iter().try_for_each(|place| write!(f, " ({place})"))
    }
}

/// A tool that nobody may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Needed {
    pub(super) name: ToolName,
    pub(super) requires: Vec<Scope>,
    pub(super) is_concealed: bool,
}

impl From<&Tool> for Needed {
    fn from(tool: &Tool) -> Self {
        Self {
            name: tool.name.clone(),
            requires: tool.requires.clone(),
            is_concealed: is_concealed(tool),
        }
    }
}

fn is_concealed(tool: &Tool) -> bool {
    match tool.on_denied {
        OnDenied::Conceal => true,
        OnDenied::Explain => false,
    }
}

/// Everybody's rights.
#[derive(Debug, Default)]
pub(super) struct Matrix {
    pub(super) rows: BTreeMap<(Holder, ToolName), Row>,
    pub(super) nobodys: Vec<Needed>,
}

impl Matrix {
    /// What the configured agents and the keys may do with `tools`. A key that may do what
    /// its agent may has no row of its own.
    pub(super) fn of(agents: &BTreeMap<AgentName, Agent>, keys: &[Key], tools: &[&Tool]) -> Self {
        let mut matrix = Self::default();
        for (name, agent) in agents {
            let holder = Holder { agent: name.clone(), keys: None };
            let lines: Vec<Line> = agent.grants.iter().map(|grant| of_entry(name, grant)).collect();
            matrix.add(&holder, tools, |wanted| covering(&lines, wanted));
        }
        for ((name, scopes), ids) in by_scopes(keys) {
            let entry = agents.get(name);
            let own: Vec<Line> = scopes.iter().map(|scope| of_keys(&ids, scope)).collect();
            let lines: Option<Vec<Line>> =
                entry.map(|agent| agent.grants.iter().map(|grant| of_entry(name, grant)).collect());
            let through = |wanted: &Scope| {
                let mut through = covering(&own, wanted)?;
                if let Some(lines) = &lines {
                    through.extend(covering(lines, wanted)?);
                }
                Some(through)
            };
            let may = |lines: &[Line], tool: &Tool| {
                tool.requires.iter().all(|wanted| covering(lines, wanted).is_some())
            };
            let narrower = lines
                .as_ref()
                .is_none_or(|lines| tools.iter().any(|tool| may(lines, tool) && !may(&own, tool)));
            if narrower {
                let holder = Holder { agent: name.clone(), keys: Some(ids.clone()) };
                matrix.add(&holder, tools, through);
            }
        }
        let callable = |tool: &&&Tool| matrix.rows.keys().any(|(_, name)| *name == tool.name);
        let nobodys = tools.iter().filter(|tool| !callable(tool));
        matrix.nobodys = nobodys.map(|tool| Needed::from(*tool)).collect();
        matrix
    }

    fn add(
        &mut self,
        holder: &Holder,
        tools: &[&Tool],
        through: impl Fn(&Scope) -> Option<Vec<Line>>,
    ) {
        for tool in tools {
            let lines: Option<Vec<Vec<Line>>> = tool.requires.iter().map(&through).collect();
            let Some(lines) = lines else { continue };
            let mut distinct: Vec<Line> = Vec::new();
            for line in lines.into_iter().flatten() {
                if !distinct.contains(&line) {
                    distinct.push(line);
                }
            }
            let usual = Scope::of_tool(&tool.plugin.name, &tool.name);
            let row = Row {
                requires: tool.requires.clone(),
                is_concealed: is_concealed(tool),
                through: distinct,
                is_unusual: tool.requires != [usual],
            };
            self.rows.insert((holder.clone(), tool.name.clone()), row);
        }
    }
}

/// The keys with scopes of their own, those of one agent with the same scopes together:
/// there may be 100,000.
fn by_scopes(keys: &[Key]) -> BTreeMap<(&AgentName, &[Scope]), Vec<KeyId>> {
    let mut together: BTreeMap<_, Vec<KeyId>> = BTreeMap::new();
    for key in keys {
        if let Some(scopes) = &key.scopes {
            together.entry((&key.agent, &**scopes)).or_default().push(key.id.clone());
        }
    }
    together
}

/// The first line that covers `wanted`.
fn covering(lines: &[Line], wanted: &Scope) -> Option<Vec<Line>> {
    lines.iter().find(|line| line.scope.covers(wanted)).map(|line| vec![line.clone()])
}

fn of_entry(agent: &AgentName, grant: &Grant) -> Line {
    let table = match &grant.role {
        Some(role) => format!("[roles.{role}]"),
        None => format!("[agents.{agent}]"),
    };
    Line { table, scope: grant.scope.clone(), place: Some(grant.written.to_string()) }
}

fn of_keys(ids: &[KeyId], scope: &Scope) -> Line {
    let table = match ids {
        [key] => format!("key {key}"),
        _ => "their keys".to_owned(),
    };
    Line { table, scope: scope.clone(), place: None }
}
