//! Calls that nobody wrote: generated from a tool's schema, made through the whole
//! pipeline, and judged by what holds for every tool.
//!
//! A tool may refuse anything. It may not crash, return what its output schema does not
//! allow, or tell a caller about its own insides; and whoever is told what is wrong with a
//! call must be able to put it right.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::generate::{Generator, Random};
use super::leaks::leak;
use super::mutate::{self, Sort};
use super::report::Peak;
use crate::catalog::Tool;
use crate::cli::call::{PROGRESS_QUEUE, called};
use crate::cli::failure::{self, Failure};
use crate::cli::serve::local_agent;
use crate::clock::{Clock, SystemClock};
use crate::error::{Code, Error};
use crate::pipeline::{self, Host};
use crate::respond::{self, Called, Reply};
use crate::runtime::Spent;
use crate::transport::{Body, Channel, Head, Presented, Version};

/// Who makes these calls.
const AGENT: &str = "generated";

/// How long one tool's calls may take in all: somebody waits for the whole.
const MOST_TIME: Duration = Duration::from_secs(20);

/// How many calls are spent on making one example smaller.
const MOST_SHRINKING: usize = 150;

/// How often a call is put right before it is given up: each answer lists only so much.
const MOST_REPAIRS: usize = 6;

/// How much of a schema's texts a caller has to be told to follow them, in characters.
const MOST_COMPARED: usize = 400;

/// What is wrong with a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// It crashed.
    Crash,
    /// Its result is not what it declares, or its failure has no code.
    Output,
    /// What it says tells about its insides.
    Leak,
    /// Whoever follows what an answer says is wrong does not come to a valid call.
    Hint,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Crash => "it crashes",
            Self::Output => "its result is not what it declares",
            Self::Leak => "it tells about its insides",
            Self::Hint => "the answer does not help to put the call right",
        }
    }
}

/// Something that holds for no tool, shown by the smallest call that was found.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) kind: Kind,
    /// What came back.
    pub(super) what: String,
    pub(super) arguments: Value,
    /// How many of the calls showed it.
    pub(super) calls: usize,
    #[serde(skip)]
    sort: Sort,
}

/// What became of one tool's generated calls.
#[derive(Debug, Serialize)]
pub(super) struct Tried {
    pub(super) tool: String,
    pub(super) calls: usize,
    /// How many of them reached the tool.
    pub(super) ran: usize,
    /// How they ended, by code; `OK` for a result.
    pub(super) endings: BTreeMap<String, usize>,
    pub(super) findings: Vec<Finding>,
    pub(super) peak: Option<Peak>,
    /// What was not done, and why.
    pub(super) notes: Vec<String>,
}

impl Tried {
    pub(super) fn is_ok(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Makes so many calls of a tool.
pub(super) async fn try_tool(
    host: &Arc<Host>,
    tool: &Tool,
    seed: u64,
    cases: u32,
) -> Result<Tried, Failure> {
    let schema: Value = serde_json::from_str(tool.input_schema.get())
        .map_err(|error| Failure::new(failure::SOFTWARE, error))?;
    // The order of the tools does not matter to what each is called with.
    let of_name = tool.name.as_str().bytes().fold(seed, |seed, byte| {
        seed.rotate_left(7).wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    let generator = Generator::new(&schema, Random::of_seed(of_name));
    let mut trial = Trial { host, tool, generator, spent: Vec::new(), endings: BTreeMap::new() };
    let begun = SystemClock.now();
    let mut findings: BTreeMap<Kind, Finding> = BTreeMap::new();
    let (mut calls, mut unfit, mut notes) = (0, 0, Vec::new());
    for case in 0..cases {
        if SystemClock.now().saturating_duration_since(begun) > MOST_TIME {
            notes.push(format!("after {MOST_TIME:?}, {calls} of {cases} calls had been made"));
            break;
        }
        calls += 1;
        let sort = match case % 4 {
            0 => Sort::Valid,
            1 => Sort::Nearly,
            _ => Sort::Hostile,
        };
        let arguments = mutate::call(sort, &mut trial.generator);
        let answer = trial.call(&arguments).await?;
        trial.count(&answer);
        if sort == Sort::Valid && answer.code == "INVALID_ARGUMENTS" {
            unfit += 1;
        }
        if let Some((kind, what)) = trial.judge(sort, &arguments, answer).await? {
            let new = Finding { kind, what, arguments, calls: 0, sort };
            findings.entry(kind).or_insert(new).calls += 1;
        }
    }
    for finding in findings.values_mut() {
        trial.shrink(finding).await?;
    }
    if unfit > 0 {
        let not_followed: BTreeSet<String> = trial.generator.notes.clone();
        let why = Vec::from_iter(not_followed).join(", ");
        let why = if why.is_empty() { "what its schema asks for".to_owned() } else { why };
        notes.push(format!("{unfit} calls were to be valid and are not: {why} is not followed"));
    }
    Ok(Tried {
        tool: tool.name.to_string(),
        calls,
        ran: trial.spent.len(),
        endings: trial.endings,
        findings: findings.into_values().collect(),
        peak: Peak::over(trial.spent.into_iter()),
        notes,
    })
}

/// What came back from one call.
struct Came {
    code: String,
    /// What the caller is told of a failure.
    told: Option<String>,
    /// The text of a result.
    text: String,
    violations: Vec<Value>,
    spent: Option<Spent>,
}

impl Came {
    fn of_error(error: &Error, spent: Option<Spent>) -> Self {
        let details = error.details().cloned().unwrap_or_default();
        let violations = match details.get("violations") {
            Some(Value::Array(all)) => all.clone(),
            Some(_) | None => Vec::new(),
        };
        Self {
            code: error.code().to_string(),
            told: Some(match (details.is_empty(), error.notes()) {
                (false, _) => format!("{} {}", error.message(), Value::Object(details)),
                (true, Some(notes)) => {
                    format!("{} {}", error.message(), Value::Object(notes.clone()))
                }
                (true, None) => error.message().to_owned(),
            }),
            text: String::new(),
            violations,
            spent,
        }
    }
}

struct Trial<'t> {
    host: &'t Arc<Host>,
    tool: &'t Tool,
    generator: Generator<'t>,
    spent: Vec<Spent>,
    endings: BTreeMap<String, usize>,
}

impl Trial<'_> {
    async fn call(&self, arguments: &Value) -> Result<Came, Failure> {
        let (reply, head) = reply(self.host, AGENT, self.tool.name.as_str(), arguments).await?;
        let called = match reply {
            Reply::Gate(error) => return Ok(Came::of_error(&error, None)),
            Reply::Malformed(bad) => return Ok(Came::of_error(&bad.error, None)),
            answered @ (Reply::Accepted | Reply::Answer { .. }) => called(answered)?,
        };
        match &called.result {
            Err(error) => Ok(Came::of_error(error, called.cost)),
            Ok(_) => Ok(Came {
                code: "OK".to_owned(),
                told: None,
                text: result_of(&called, &head)?.to_string(),
                violations: Vec::new(),
                spent: called.cost,
            }),
        }
    }

    fn count(&mut self, came: &Came) {
        *self.endings.entry(came.code.clone()).or_default() += 1;
        self.spent.extend(came.spent);
    }

    /// What is wrong with the answer to a call.
    async fn judge(
        &mut self,
        sort: Sort,
        arguments: &Value,
        came: Came,
    ) -> Result<Option<(Kind, String)>, Failure> {
        let is = |code: Code| came.code == code.as_str();
        let told = came.told.clone().unwrap_or_default();
        if is(Code::ToolCrashed) {
            return Ok(Some((Kind::Crash, "TOOL_CRASHED".to_owned())));
        }
        if is(Code::OutputRejected) || is(Code::ToolError) {
            return Ok(Some((Kind::Output, format!("{}: {told}", came.code))));
        }
        if is(Code::InvalidArguments) {
            let hint = match sort {
                Sort::Nearly => self.repair(arguments, came.violations).await?.err(),
                Sort::Valid | Sort::Hostile => None,
            };
            return Ok(hint.map(|why| (Kind::Hint, why)));
        }
        let leaked = match &came.told {
            Some(told) => leak(told, arguments, true),
            None => leak(&came.text, arguments, false),
        };
        Ok(leaked.map(|what| (Kind::Leak, format!("{}: {what}", came.code))))
    }

    /// Puts a call right by what its answers say, and by nothing else.
    async fn repair(
        &mut self,
        arguments: &Value,
        mut violations: Vec<Value>,
    ) -> Result<Result<(), String>, Failure> {
        let mut repaired = arguments.clone();
        for _ in 0..MOST_REPAIRS {
            for violation in &violations {
                if let Err(why) = self.follow(&mut repaired, violation) {
                    return Ok(Err(format!("{why}: {violation}")));
                }
            }
            let came = self.call(&repaired).await?;
            if came.code != Code::InvalidArguments.as_str() {
                return Ok(Ok(()));
            }
            violations = came.violations;
        }
        let last = violations.first().cloned().unwrap_or_default();
        Ok(Err(format!("after {MOST_REPAIRS} repairs it is still refused: {last}")))
    }

    /// Does what one violation says.
    fn follow(&mut self, arguments: &mut Value, violation: &Value) -> Result<(), &'static str> {
        let text = |key: &str| violation.get(key).and_then(Value::as_str).unwrap_or_default();
        let (path, rule) = (text("path").to_owned(), text("rule").to_owned());
        // An earlier repair of the same answer may have taken it away.
        let Some(value) = arguments.pointer(&path).cloned() else { return Ok(()) };
        let parts = self.generator.parts(arguments);
        let found = parts.into_iter().find(|(at, _)| *at == path);
        let keywords = found.map(|(_, keywords)| keywords).unwrap_or_default();
        let told = texts(violation);
        if !says_what(&rule, &keywords, &told) {
            return Err("the answer does not say what is wanted");
        }
        let members = value.as_object();
        let mended = match (rule.as_str(), members) {
            ("required", Some(members)) => self.with_missing(members, &keywords, &told)?,
            ("additionalProperties" | "unevaluatedProperties", Some(members)) => {
                let known = keywords.get("properties").and_then(Value::as_object);
                let unknown = |name: &String| known.is_none_or(|known| !known.contains_key(name));
                let named = |name: &String| unknown(name) && told.contains(name.as_str());
                if !members.keys().any(named) {
                    return Err("the answer does not name what is unknown");
                }
                members.iter().filter(|(name, _)| !named(name)).map(owned).collect()
            }
            _ => self.generator.value(&Value::Object(keywords), 0),
        };
        if let Some(place) = arguments.pointer_mut(&path) {
            *place = mended;
        }
        Ok(())
    }

    /// An object with what its schema requires and the answer names.
    fn with_missing(
        &mut self,
        members: &Map<String, Value>,
        keywords: &Map<String, Value>,
        told: &str,
    ) -> Result<Value, &'static str> {
        let required = super::generate::strings(keywords.get("required")).into_iter();
        let missing: Vec<&str> = required.filter(|name| !members.contains_key(*name)).collect();
        let named: Vec<&str> =
            missing.iter().filter(|name| told.contains(**name)).copied().collect();
        // What an earlier violation of the same answer named is there by now.
        if named.is_empty() && !missing.is_empty() {
            return Err("the answer does not name what is missing");
        }
        let mut members = members.clone();
        for name in named {
            let schema = keywords.get("properties").and_then(|all| all.get(name));
            let value = self.generator.value(schema.unwrap_or(&json!({})), 1);
            members.insert(name.to_owned(), value);
        }
        Ok(members.into())
    }

    /// Makes a finding's example smaller for as long as it shows the same.
    async fn shrink(&mut self, finding: &mut Finding) -> Result<(), Failure> {
        let mut left = MOST_SHRINKING;
        'smaller: loop {
            for small in mutate::smaller(&finding.arguments) {
                let Some(rest) = left.checked_sub(1) else { return Ok(()) };
                left = rest;
                let came = self.call(&small).await?;
                match self.judge(finding.sort, &small, came).await? {
                    Some((kind, what)) if kind == finding.kind => {
                        (finding.arguments, finding.what) = (small, what);
                        continue 'smaller;
                    }
                    Some(_) | None => {}
                }
            }
            return Ok(());
        }
    }
}

fn owned((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}

/// Every text in a value, one after the other.
fn texts(value: &Value) -> String {
    match value {
        Value::Object(members) => members.values().map(texts).collect::<Vec<_>>().join("\n"),
        Value::Array(items) => items.iter().map(texts).collect::<Vec<_>>().join("\n"),
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// Whether a violation of a rule says what the schema wants there.
fn says_what(rule: &str, keywords: &Map<String, Value>, told: &str) -> bool {
    let Some(wanted) = keywords.get(rule) else { return true };
    let said = |value: &Value| match value {
        Value::String(text) => told.contains(text.as_str()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            told.contains(&value.to_string())
        }
    };
    match (rule, wanted) {
        // One that can be read whole suffices to go on.
        ("enum", Value::Array(options)) => options.iter().any(said),
        ("pattern", Value::String(pattern)) if pattern.len() > MOST_COMPARED => false,
        ("const" | "pattern" | "type", Value::String(_)) => said(wanted),
        // Of a whole number, some write 5 and some 5.0.
        (_, Value::Number(number)) => {
            let whole = number.as_f64().filter(|number| number.fract() == 0.0);
            said(wanted) || whole.is_some_and(|whole| told.contains(&format!("{whole:.0}")))
        }
        _ => true,
    }
}

/// The answer to a call of a tool by whoever started this process, as `agent`.
pub(super) async fn reply(
    host: &Arc<Host>,
    agent: &str,
    tool: &str,
    arguments: &Value,
) -> Result<(Reply, Head), Failure> {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": tool, "arguments": arguments } });
    let presented = Presented::Local(local_agent(agent)?);
    let version = Some(Version::LATEST_HANDSHAKE.as_str().to_owned());
    let head = Head::without_headers(Channel::Local, presented, version);
    // Nobody looks at reports of progress.
    let (progress, _reports) = mpsc::channel(PROGRESS_QUEUE);
    let body = Body::Read(request.to_string().into());
    let cancel = CancellationToken::new();
    let reply = pipeline::answer(host, head.clone(), body, progress, cancel).await;
    Ok((reply, head))
}

/// MCP's `CallToolResult` of a call.
pub(super) fn result_of(called: &Called, head: &Head) -> Result<Value, Failure> {
    let result = respond::tool_result(called, Version::LATEST, head.request_id)
        .map_err(|error| Failure::new(failure::SOFTWARE, error.message()))?;
    serde_json::from_str(result.get()).map_err(|error| Failure::new(failure::SOFTWARE, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_has_to_say_what_is_wanted() {
        let long = "[a-z]".repeat(100);
        let keywords = json!({
            "enum": ["red", 7], "maximum": 5.0, "type": "string", "pattern": "^a$", "minLength": 2
        });
        for (rule, told, says) in [
            ("enum", "must be one of [\"red\",", true),
            ("enum", "must be one of 7", true),
            ("enum", "must be one of …", false),
            ("maximum", "must be at most 5", true),
            ("maximum", "must be less", false),
            ("type", "must be of type string", true),
            ("pattern", "must match ^a$", true),
            ("pattern", "must match …", false),
            ("minLength", "is too short", false),
            ("anyOf", "must match one form", true),
        ] {
            assert_eq!(
                says_what(rule, keywords.as_object().unwrap(), told),
                says,
                "{rule}: {told}"
            );
        }
        let keywords = json!({ "pattern": long });
        assert!(!says_what("pattern", keywords.as_object().unwrap(), &long));
    }
}
