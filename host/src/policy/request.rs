//! One call as Cedar sees it: who, which tool, and with what.
//!
//! Only what the policy reads is built: a decision about one argument costs a fraction of
//! one about everything.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, ParseErrors, Request,
    RestrictedExpression,
};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use quick_cache::sync::Cache;

use super::arguments;
use super::reads::Reads;
use crate::auth::Credential;
use crate::catalog::Annotations;
use crate::config::Agent;
use crate::names::{AgentName, Scope, Subject};

/// A call that the policy is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Question<'q> {
    /// Which program calls.
    pub agent: &'q AgentName,
    /// On whose behalf.
    pub subject: Option<&'q Subject>,
    /// The organization that it belongs to.
    pub tenant: Option<&'q str>,
    /// What it may use.
    pub scopes: &'q [Scope],
    /// What proved it: `key`, `token`, `certificate`, `anonymous` or `local`.
    pub credential: &'q str,
    /// What is called.
    pub tool: &'q str,
    /// Whose tool it is.
    pub plugin: &'q str,
    /// What it does.
    pub effects: Effects,
    /// The tool's input schema.
    pub schema: &'q str,
    /// A JSON object.
    pub arguments: &'q str,
    /// When.
    pub at: Timestamp,
}

/// What a tool does, as far as its author says; MCP's defaults where not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effects {
    /// Changes nothing.
    pub read_only: bool,
    /// May delete or overwrite.
    pub destructive: bool,
    /// A second call with the same arguments changes nothing more.
    pub idempotent: bool,
    /// Reaches beyond the plugin's own data.
    pub open_world: bool,
}

impl From<Option<Annotations>> for Effects {
    fn from(annotations: Option<Annotations>) -> Self {
        let told = annotations.unwrap_or_default();
        let read_only = told.read_only_hint.unwrap_or(false);
        Self {
            read_only,
            // Meaningful only for a tool that changes something (MCP, `ToolAnnotations`).
            destructive: !read_only && told.destructive_hint.unwrap_or(true),
            idempotent: told.idempotent_hint.unwrap_or(false),
            open_world: told.open_world_hint.unwrap_or(true),
        }
    }
}

/// What a credential is called in a policy.
pub(super) fn kind(credential: &Credential) -> &'static str {
    match credential {
        Credential::Key(_) => "key",
        Credential::Token { .. } => "token",
        Credential::Certificate(_) => "certificate",
        Credential::Anonymous => "anonymous",
        Credential::Local => "local",
    }
}

/// How many pairs of an agent and a tool are kept as Cedar has them, of about two KiB
/// each. Making them anew costs as much as the rest of a decision.
const MOST_KEPT: usize = 1_024;

/// The longest description of a pair that is kept, in bytes: of whoever has hundreds of
/// scopes that the policy reads, nothing is.
const LONGEST_KEPT: usize = 1_024;

/// The types of entities, and what never differs from call to call.
#[derive(Debug)]
pub(super) struct World {
    kept: Cache<Box<str>, Arc<Entities>>,
    /// The second that it was last, and its expression: Cedar reads a time slowly.
    now: ArcSwapOption<(i64, RestrictedExpression)>,
    agent: EntityTypeName,
    tool: EntityTypeName,
    plugin: EntityTypeName,
    call: EntityUid,
    /// The roles of each agent that has some.
    roles: HashMap<AgentName, HashSet<EntityUid>>,
}

impl World {
    pub(super) fn new<'a>(
        agents: impl Iterator<Item = (&'a AgentName, &'a Agent)>,
    ) -> Result<Self, Box<ParseErrors>> {
        let role: EntityTypeName = "Role".parse()?;
        let roles = |agent: &Agent| {
            let uid = |name: &crate::names::RoleName| uid(&role, name.as_str());
            agent.roles.iter().map(uid).collect::<HashSet<_>>()
        };
        let roles = agents.map(|(name, agent)| (name.clone(), roles(agent)));
        Ok(Self {
            kept: Cache::new(MOST_KEPT),
            now: ArcSwapOption::empty(),
            agent: "Agent".parse()?,
            tool: "Tool".parse()?,
            plugin: "Plugin".parse()?,
            call: r#"Action::"call""#.parse()?,
            roles: roles.filter(|(_, roles)| !roles.is_empty()).collect(),
        })
    }

    /// What is asked, with those arguments and times that are read.
    ///
    /// # Errors
    /// Why something of it cannot be told to Cedar.
    pub(super) fn request(
        &self,
        question: &Question<'_>,
        reads: &Reads,
    ) -> Result<Request, String> {
        let agent = uid(&self.agent, question.agent.as_str());
        let tool = uid(&self.tool, question.tool);
        let context = self.context(question, reads)?;
        Request::new(agent, self.call.clone(), tool, context, None).map_err(told)
    }

    /// The agent and the tool, with those attributes that are read.
    ///
    /// # Errors
    /// As [`World::request`].
    pub(super) fn entities(
        &self,
        question: &Question<'_>,
        reads: &Reads,
    ) -> Result<Arc<Entities>, String> {
        let pair = pair(question, reads);
        if pair.len() > LONGEST_KEPT {
            return self.make_entities(question, reads).map(Arc::new);
        }
        if let Some(entities) = self.kept.get(pair.as_str()) {
            return Ok(entities);
        }
        let entities = Arc::new(self.make_entities(question, reads)?);
        self.kept.insert(pair.into(), Arc::clone(&entities));
        Ok(entities)
    }

    fn make_entities(&self, question: &Question<'_>, reads: &Reads) -> Result<Entities, String> {
        let agent = uid(&self.agent, question.agent.as_str());
        let tool = uid(&self.tool, question.tool);
        let roles = self.roles.get(question.agent).cloned().unwrap_or_default();
        let plugin = HashSet::from([uid(&self.plugin, question.plugin)]);
        let of_agent = reads.principal.iter().filter_map(|name| of_agent(question, name));
        let of_tool = reads.resource.iter().filter_map(|name| of_tool(question, name));
        let agent = Entity::new(agent, of_agent.collect(), roles).map_err(told)?;
        let tool = Entity::new(tool, of_tool.collect(), plugin).map_err(told)?;
        Entities::from_entities([agent, tool], None).map_err(told)
    }

    fn context(&self, question: &Question<'_>, reads: &Reads) -> Result<Context, String> {
        if reads.context.is_empty() {
            return Ok(Context::empty());
        }
        let utc = Offset::UTC.to_datetime(question.at);
        let long = |number: i8| RestrictedExpression::new_long(number.into());
        let mut fields = Vec::with_capacity(reads.context.len());
        for name in &reads.context {
            let value = match *name {
                "arguments" => {
                    let names = &reads.arguments;
                    arguments::record(question.arguments, names, question.schema).map_err(told)?
                }
                "now" => self.now(question.at.as_second(), utc),
                "hour" => long(utc.hour()),
                "minute" => long(utc.minute()),
                "weekday" => long(utc.weekday().to_monday_one_offset()),
                _ => continue,
            };
            fields.push(((*name).to_owned(), value));
        }
        Context::from_pairs(fields).map_err(told)
    }

    fn now(&self, second: i64, utc: DateTime) -> RestrictedExpression {
        if let Some(now) = &*self.now.load()
            && now.0 == second
        {
            return now.1.clone();
        }
        let now = RestrictedExpression::new_datetime(format!("{utc:.0}Z"));
        self.now.store(Some(Arc::new((second, now.clone()))));
        now
    }
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// All that entities are made of: equal for two questions only if their entities are.
fn pair(question: &Question<'_>, reads: &Reads) -> String {
    let Effects { read_only, destructive, idempotent, open_world } = question.effects;
    let mut pair = format!("{} {} {}", question.agent, question.tool, question.plugin);
    for yes in [read_only, destructive, idempotent, open_world] {
        pair.push(if yes { '+' } else { '-' });
    }
    // Names have no spaces; what strangers choose comes with its length, and after how
    // many of it there are.
    let mut add = |name: &str, values: &mut dyn ExactSizeIterator<Item = &str>| {
        let _ = write!(pair, " {name} {}", values.len());
        for value in values {
            let _ = write!(pair, " {} {value}", value.len());
        }
    };
    for name in &reads.principal {
        match *name {
            "subject" => add(name, &mut question.subject.iter().map(|subject| subject.as_str())),
            "tenant" => add(name, &mut question.tenant.into_iter()),
            "credential" => add(name, &mut std::iter::once(question.credential)),
            "scopes" => add(name, &mut question.scopes.iter().map(Scope::as_str)),
            _ => {}
        }
    }
    pair
}

fn uid(of: &EntityTypeName, name: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(of.clone(), EntityId::new(name))
}

fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn of_agent(question: &Question<'_>, name: &'static str) -> Option<(String, RestrictedExpression)> {
    let value = match name {
        "subject" => text(question.subject?.as_str()),
        "tenant" => text(question.tenant?),
        "credential" => text(question.credential),
        "scopes" => {
            RestrictedExpression::new_set(question.scopes.iter().map(|scope| text(scope.as_str())))
        }
        _ => return None,
    };
    Some((name.to_owned(), value))
}

fn of_tool(question: &Question<'_>, name: &'static str) -> Option<(String, RestrictedExpression)> {
    let effects = question.effects;
    let value = match name {
        "plugin" => text(question.plugin),
        "read_only" => RestrictedExpression::new_bool(effects.read_only),
        "destructive" => RestrictedExpression::new_bool(effects.destructive),
        "idempotent" => RestrictedExpression::new_bool(effects.idempotent),
        "open_world" => RestrictedExpression::new_bool(effects.open_world),
        _ => return None,
    };
    Some((name.to_owned(), value))
}
