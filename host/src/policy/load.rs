//! A policy file, read into rules.
//!
//! Whoever writes it is trusted with what it says and not with its form: a broken file
//! must not take the server down, and a name that is misspelled must not make a rule that
//! silently never applies.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use cedar_policy::ffi::DetailedError;
use cedar_policy::{
    ActionConstraint, Authorizer, Effect as CedarEffect, EntityTypeName, EntityUid, PolicyId,
    PolicySet, PrincipalConstraint, ResourceConstraint,
};

use super::Policy;
use super::reads::{self, Reads, Unknown};
use super::request::{Question, World};
use super::split::{self, Statement, Wrong};
use super::verdict::{Effect, Rule, Verdict};
use crate::config::{Agent, Position, Problem, shown};
use crate::names::AgentName;
use crate::text::clean_line;

/// The largest policy file, in bytes: `split::MOST_STATEMENTS` long ones.
pub const MOST_BYTES: usize = 1 << 20;

/// The stack on which a file is parsed. Cedar's parser recurses, and frees what it made by
/// recursion: a chain of `||` as long as a statement may be takes a tenth of this. It is
/// address space; pages that are not touched are not there.
const PARSING_STACK: usize = 256 << 20;

/// How many problems are told at once.
const MOST_PROBLEMS: usize = 20;

/// How many characters of Cedar's own words are told.
const LONGEST_MESSAGE: usize = 300;

/// A policy file that cannot be read or understood, and why: at least one problem.
///
/// Prints one line each: `FILE:LINE:COLUMN: what is wrong; what would be right`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPolicy(Vec<Problem>);

impl BadPolicy {
    /// What is wrong.
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }

    fn whole(file: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(vec![Problem { source: file.into(), position: None, message, help: None }])
    }
}

impl fmt::Display for BadPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if at == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for BadPolicy {}

/// The rules of a file, ready to decide.
#[derive(Debug)]
pub(super) struct Rules {
    text: Box<str>,
    authorizer: Authorizer,
    /// The rules that may be about any tool, and what they read.
    general: Slice,
    /// The rules whose scope names one tool, and what they and the general ones read. A
    /// call pays for no rule about another tool.
    about: HashMap<Box<str>, Slice>,
    rules: HashMap<PolicyId, Rule>,
    world: World,
}

/// Some rules, and what has to be known to decide by them.
#[derive(Debug, Default)]
struct Slice {
    set: PolicySet,
    reads: Reads,
}

impl Policy {
    /// Reads the policy at `path`, for the agents of a configuration.
    ///
    /// # Errors
    /// Everything that is wrong with the file.
    pub fn load(path: &Path, agents: &BTreeMap<AgentName, Agent>) -> Result<Self, BadPolicy> {
        let file = path.display().to_string();
        let read = |path: &Path| {
            let mut text = String::new();
            File::open(path)?.take(MOST_BYTES as u64 + 1).read_to_string(&mut text)?;
            Ok(text)
        };
        let text = read(path).map_err(|error: std::io::Error| {
            BadPolicy::whole(&file, format!("cannot be read: {error}"))
        })?;
        Self::parse(&file, &text, agents)
    }

    /// Reads the policy that `file` holds.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(
        file: &str,
        text: &str,
        agents: &BTreeMap<AgentName, Agent>,
    ) -> Result<Self, BadPolicy> {
        if text.len() > MOST_BYTES {
            return Err(BadPolicy::whole(file, "is larger than 1MiB"));
        }
        // Everything that recurses begins and ends on this thread.
        let rules = std::thread::scope(|scope| {
            let builder = std::thread::Builder::new().stack_size(PARSING_STACK);
            let parsing = builder.spawn_scoped(scope, || Rules::parse(file, text, agents))?;
            parsing.join().map_err(|_| std::io::Error::other("the parser failed"))
        });
        let rules = rules
            .map_err(|error| BadPolicy::whole(file, format!("cannot be parsed: {error}")))??;
        Ok(Self(Some(Box::new(rules))))
    }
}

impl Rules {
    pub(super) fn count(&self) -> usize {
        self.rules.len()
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.text == other.text
    }

    pub(super) fn decide(&self, question: &Question<'_>) -> Verdict<'_> {
        let about = self.about.get(question.tool);
        let reads = about.map_or(&self.general.reads, |slice| &slice.reads);
        let request = self.world.request(question, reads);
        let asked =
            request.and_then(|request| Ok((request, self.world.entities(question, reads)?)));
        let (request, entities) = match asked {
            Ok(asked) => asked,
            Err(why) => return Verdict::unfit(why),
        };
        let mut deciding: Vec<&Rule> = Vec::new();
        let (mut errors, mut failing) = (Vec::new(), Vec::new());
        for slice in std::iter::once(&self.general).chain(about) {
            let response = self.authorizer.is_authorized(&request, &slice.set, &entities);
            let diagnostics = response.diagnostics();
            deciding.extend(diagnostics.reason().filter_map(|id| self.rules.get(id)));
            errors.extend(diagnostics.errors().map(|error| self.told(error)));
            failing.extend(diagnostics.errors().filter_map(|error| self.failed(error)));
        }
        deciding.sort_by_key(|rule| rule.line);
        errors.sort();
        // Each slice names what forbids, or else what permits.
        let forbidden = deciding.iter().any(|rule| rule.effect == Effect::Forbid);
        let allowed = !forbidden && !deciding.is_empty() && errors.is_empty();
        let decided = if allowed { Effect::Permit } else { Effect::Forbid };
        deciding.retain(|rule| rule.effect == decided);
        Verdict { allowed, deciding, errors, failing, unfit: None }
    }

    fn failed(&self, error: &cedar_policy::AuthorizationError) -> Option<&Rule> {
        let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
        self.rules.get(error.policy_id())
    }

    fn told(&self, error: &cedar_policy::AuthorizationError) -> String {
        let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
        let why = clean_line(&error.inner().to_string(), LONGEST_MESSAGE);
        match self.rules.get(error.policy_id()) {
            Some(rule) => format!("{rule}: {why}"),
            None => why,
        }
    }

    fn parse(
        file: &str,
        text: &str,
        agents: &BTreeMap<AgentName, Agent>,
    ) -> Result<Self, BadPolicy> {
        let mut reader = Reader::new(file, text);
        let statements = match split::statements(text) {
            Ok(statements) => statements,
            Err(wrong) => {
                reader.report(&wrong, None);
                return Err(BadPolicy(reader.problems));
            }
        };
        statements.iter().for_each(|statement| reader.statement(statement));
        let world = World::new(agents.iter())
            .map_err(|error| BadPolicy::whole(file, format!("cannot be set up: {error}")))?;
        let Reader { rules, general, mut about, problems, .. } = reader;
        if !problems.is_empty() {
            return Err(BadPolicy(problems));
        }
        about.values_mut().for_each(|slice| slice.reads.add(&general.reads));
        let authorizer = Authorizer::new();
        Ok(Self { text: text.into(), authorizer, general, about, rules, world })
    }
}

/// Reads one statement after the other.
struct Reader<'t> {
    file: Arc<str>,
    text: &'t str,
    rules: HashMap<PolicyId, Rule>,
    general: Slice,
    about: HashMap<Box<str>, Slice>,
    problems: Vec<Problem>,
}

impl<'t> Reader<'t> {
    fn new(file: &str, text: &'t str) -> Self {
        Self {
            file: file.into(),
            text,
            rules: HashMap::new(),
            general: Slice::default(),
            about: HashMap::new(),
            problems: Vec::new(),
        }
    }

    fn report(&mut self, wrong: &Wrong, help: Option<String>) {
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(Problem {
                source: Arc::clone(&self.file),
                position: Some(position(self.text, wrong.at)),
                message: wrong.message.clone(),
                help,
            });
        }
    }

    fn statement(&mut self, statement: &Statement<'t>) {
        let line = position(self.text, statement.start).line;
        // Unique, whatever `@id`s there are: a statement has its place to itself.
        let id = PolicyId::new(format!("{}", statement.start));
        let policy = match cedar_policy::Policy::parse(Some(id.clone()), statement.text) {
            Ok(policy) => policy,
            Err(errors) => return self.not_cedar(statement, &(&errors).into()),
        };
        let (reads, mut unknown) = match policy.to_json() {
            Err(error) => return self.wrong(statement, error.to_string()),
            Ok(json) => match reads::of_policy(&json) {
                Ok(read) => read,
                Err(why) => return self.wrong(statement, why),
            },
        };
        unknown.extend(never_matches(&policy));
        for unknown in unknown {
            self.unknown(statement, unknown);
        }
        let name = policy.annotation("id").filter(|id| !id.is_empty()).map(shown);
        if let Some(name) = &name
            && self.rules.values().any(|rule| rule.id.as_deref() == Some(name))
        {
            self.wrong(statement, format!("there is another policy with `@id(\"{name}\")`"));
        }
        let rule = Rule {
            id: name.map(Into::into),
            reason: policy.annotation("reason").map(Rule::reason).filter(|text| !text.is_empty()),
            effect: match policy.effect() {
                CedarEffect::Permit => Effect::Permit,
                CedarEffect::Forbid => Effect::Forbid,
            },
            file: Arc::clone(&self.file),
            line,
        };
        self.rules.insert(id, rule);
        let slice = match one_tool(&policy) {
            Some(tool) => self.about.entry(tool).or_default(),
            None => &mut self.general,
        };
        slice.reads.add(&reads);
        if let Err(error) = slice.set.add(policy) {
            self.wrong(statement, error.to_string());
        }
    }

    fn wrong(&mut self, statement: &Statement<'_>, message: String) {
        self.report(&Wrong::new(statement.start, message), None);
    }

    /// Cedar's own words, at the place that they are about.
    fn not_cedar(&mut self, statement: &Statement<'_>, error: &DetailedError) {
        let all = std::iter::once(error).chain(&error.related);
        for error in all {
            let label = error.source_locations.first();
            let at = label.map_or(statement.text.len(), |label| label.loc.start);
            let expected = label.and_then(|label| label.label.as_deref());
            let help = error.help.as_deref().or(expected);
            self.report(
                &Wrong::new(statement.start + at, clean_line(&error.message, LONGEST_MESSAGE)),
                help.map(|help| clean_line(help, LONGEST_MESSAGE)),
            );
        }
    }

    fn unknown(&mut self, statement: &Statement<'_>, unknown: Unknown) {
        let at = statement.text.find(&unknown.written).unwrap_or(0);
        let help = unknown.meant.map(|meant| format!("did you mean `{meant}`?"));
        self.report(&Wrong::new(statement.start + at, unknown.message), help);
    }
}

/// The tool that a policy is about, where its scope names one.
fn one_tool(policy: &cedar_policy::Policy) -> Option<Box<str>> {
    match policy.resource_constraint() {
        ResourceConstraint::Eq(tool) => Some(tool.id().unescaped().into()),
        ResourceConstraint::Any
        | ResourceConstraint::In(_)
        | ResourceConstraint::Is(_)
        | ResourceConstraint::IsIn(_, _) => None,
    }
}

/// What in a policy keeps it from ever matching a call, or names what there is not.
fn never_matches(policy: &cedar_policy::Policy) -> Vec<Unknown> {
    let mut unknown: Vec<Unknown> =
        policy.entity_literals().iter().filter_map(unknown_entity).collect();
    let (same, inside) = match policy.principal_constraint() {
        PrincipalConstraint::Any => (None, None),
        PrincipalConstraint::Eq(uid) => (Some(uid), None),
        PrincipalConstraint::In(uid) => (None, Some(uid)),
        PrincipalConstraint::Is(of) => (Some(any_of(&of)), None),
        PrincipalConstraint::IsIn(of, uid) => (Some(any_of(&of)), Some(uid)),
    };
    unknown.extend(misfit("principal", "Agent", "Role", same.as_ref(), inside.as_ref()));
    let (same, inside) = match policy.resource_constraint() {
        ResourceConstraint::Any => (None, None),
        ResourceConstraint::Eq(uid) => (Some(uid), None),
        ResourceConstraint::In(uid) => (None, Some(uid)),
        ResourceConstraint::Is(of) => (Some(any_of(&of)), None),
        ResourceConstraint::IsIn(of, uid) => (Some(any_of(&of)), Some(uid)),
    };
    unknown.extend(misfit("resource", "Tool", "Plugin", same.as_ref(), inside.as_ref()));
    let actions = match policy.action_constraint() {
        ActionConstraint::Any => Vec::new(),
        ActionConstraint::Eq(uid) => vec![uid],
        ActionConstraint::In(uids) => uids,
    };
    for action in actions.iter().filter(|action| action.type_name().basename() != "Action") {
        unknown.push(Unknown {
            written: action.to_string(),
            message: format!(
                "`{}` is no action; the one there is is `Action::\"call\"`",
                shown(&action.to_string())
            ),
            meant: None,
        });
    }
    // A name that stands in a scope is a literal too.
    unknown.dedup();
    unknown
}

/// An entity of a type, to be told by its type alone.
fn any_of(of: &EntityTypeName) -> EntityUid {
    EntityUid::from_type_name_and_id(of.clone(), cedar_policy::EntityId::new("…"))
}

fn unknown_entity(uid: &EntityUid) -> Option<Unknown> {
    let of = uid.type_name().to_string();
    if let Some(unknown) = reads::unknown_type(&of) {
        return Some(unknown);
    }
    (of == "Action" && uid.id().unescaped() != "call").then(|| Unknown {
        written: uid.to_string(),
        message: format!(
            "there is no `{}`; the one action is `Action::\"call\"`",
            shown(&uid.to_string())
        ),
        meant: None,
    })
}

/// What is wrong with a scope in which `variable`, which is one of `own` in some of
/// `group`, is the same as, or in, something else.
fn misfit(
    variable: &'static str,
    own: &'static str,
    group: &'static str,
    same: Option<&EntityUid>,
    inside: Option<&EntityUid>,
) -> Option<Unknown> {
    let of = |uid: &EntityUid| uid.type_name().to_string();
    let known = |uid: &&EntityUid| reads::TYPES.contains(&of(uid).as_str());
    let never = |uid: &EntityUid, what: String| Unknown {
        written: uid.to_string(),
        message: format!("this never matches: `{variable}` {what}"),
        meant: None,
    };
    let same = same.filter(known).filter(|uid| of(uid) != own);
    let inside = inside.filter(known).filter(|uid| ![own, group].contains(&of(uid).as_str()));
    match (same, inside) {
        (Some(uid), _) if of(uid) == group => {
            Some(never(uid, format!("is never a {group}, but may be in one: write `in`")))
        }
        (Some(uid), _) => Some(never(uid, format!("is a `{own}`, and no `{}`", of(uid)))),
        (None, Some(uid)) => {
            Some(never(uid, format!("is in a `{group}`, and in no `{}`", of(uid))))
        }
        (None, None) => None,
    }
}

/// The line and column of a byte.
fn position(text: &str, at: usize) -> Position {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Position {
        line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
        column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
    }
}
