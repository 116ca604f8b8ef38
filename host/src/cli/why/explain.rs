//! What decided a call, through which line, and what would have had to be different.

use serde::Serialize;

use super::record::{Ending, Record, Violation, Why};
use super::world::{In, World};
use crate::auth::KeyFile;
use crate::cli::shared::{grouped, kibibytes};
use crate::config::{Agent, Grant};
use crate::error::Code;
use crate::names::Scope;
use crate::telemetry::Gate;

/// What a record and the configuration say together.
#[derive(Debug, Default, Serialize)]
pub(super) struct Explanation {
    /// What happened.
    pub(super) what: String,
    /// The lines that decided, as they are now.
    pub(super) lines: Vec<Line>,
    /// What would have had to be different.
    pub(super) otherwise: Vec<String>,
}

/// A line of a file that decides.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    /// `FILE:LINE`, or a variable; none for a default.
    pub(super) place: Option<String>,
    /// The key, as `[agents.reporting] scopes`.
    pub(super) key: String,
    /// What is written there, in short.
    pub(super) value: String,
}

impl Explanation {
    fn of(what: impl Into<String>) -> Self {
        Self { what: what.into(), ..Self::default() }
    }

    fn line(mut self, line: impl IntoIterator<Item = Line>) -> Self {
        self.lines.extend(line);
        self
    }

    fn otherwise(mut self, otherwise: impl Into<String>) -> Self {
        self.otherwise.push(otherwise.into());
        self
    }
}

/// Explains a record by the configuration as it is now.
pub(super) fn explain(record: &Record, world: &World<'_>) -> Explanation {
    let case = Case { record, world, why: record.why.as_ref() };
    match record.ending() {
        Ending::Well => Explanation::of("Every gate let it pass, and the tool returned a result."),
        Ending::Plugin(code) => case.own_failure(code),
        Ending::Host(code) => case.by_code(code),
    }
}

struct Case<'r> {
    record: &'r Record,
    world: &'r World<'r>,
    why: Option<&'r Why>,
}

impl Case<'_> {
    fn by_code(&self, code: &Code) -> Explanation {
        match code {
            Code::Unauthenticated => self.credential(),
            Code::RateLimited => self.rate(),
            Code::InsufficientScope => self.scopes(),
            Code::ToolNotFound => self.tool(),
            Code::PermissionDenied => match self.record.decider() {
                Some(Gate::Approve) => self.policy(),
                Some(_) | None => self.scopes(),
            },
            Code::InvalidArguments => self.arguments(),
            Code::Unavailable => self.unavailable(),
            Code::FuelExhausted
            | Code::MemoryExceeded
            | Code::DeadlineExceeded
            | Code::OutputTooLarge => self.quota(),
            Code::ToolCrashed => self.crash(),
            Code::OutputRejected => self.withheld(),
            Code::ToolError => self.own_failure("TOOL_ERROR").otherwise(
                "The tool's author has to fail with a code of capitals, digits and `_` that is none \
                 of the server's own (docs/errors.md), and may not ask the client for input, which \
                 this server does not pass on",
            ),
            Code::UpstreamUnavailable => {
                Explanation::of("What the tool reaches through the host did not answer.")
            }
            Code::Cancelled => {
                let place = self.record.last_gate();
                let place = place.map(|gate| format!(" It was at {gate}.")).unwrap_or_default();
                Explanation::of(format!(
                    "Nobody at a gate decided: its client stopped waiting, or the server ended.{place}"
                ))
            }
            Code::Internal => Explanation::of(
                "The server failed. Its log says how, at level ERROR, under this request id.",
            ),
            Code::Plugin(code) => self.own_failure(code.as_str()),
            Code::OriginForbidden
            | Code::MethodNotAllowed
            | Code::NotAcceptable
            | Code::PayloadTooLarge
            | Code::UnsupportedMediaType
            | Code::ParseError
            | Code::InvalidRequest
            | Code::InvalidParams
            | Code::MethodNotFound
            | Code::HeaderMismatch
            | Code::MissingClientCapability
            | Code::UnsupportedProtocolVersion => {
                Explanation::of("The request was refused before it was a call.")
            }
        }
    }

    fn cause(&self) -> Option<&str> {
        self.why.and_then(|why| why.cause.as_deref())
    }

    fn agent(&self) -> &str {
        self.record.agent.as_deref().unwrap_or("?")
    }

    fn tool_name(&self) -> &str {
        self.record.tool.as_deref().unwrap_or("?")
    }

    /// The first of these keys that is written down, or the default.
    fn first(&self, keys: &[(In, Vec<&str>)]) -> Line {
        let found = keys.iter().find_map(|(place, levels)| {
            let found = self.world.find(*place, levels)?;
            Some(Line {
                place: Some(found.written.to_string()),
                key: key(levels),
                value: found.value,
            })
        });
        let default = || {
            let levels = keys.last().map(|(_, levels)| key(levels));
            Line { place: None, key: levels.unwrap_or_default(), value: String::new() }
        };
        found.unwrap_or_else(default)
    }

    /// Where a limit or a quota is set, by the name that errors give it.
    fn set_at(&self, limit: &str) -> Option<Line> {
        let tool = self.world.own_name(self.tool_name());
        let agent = self.agent();
        let levels: Vec<&str> = limit.split('.').collect();
        let of_tool = |rest: &[&'static str]| [&["tools", tool], rest].concat();
        let keys = match levels.as_slice() {
            ["per_agent", what] => vec![
                (In::Config, vec!["agents", agent, "per_agent", what]),
                (In::Config, vec!["per_agent", what]),
            ],
            ["plugin", "per_agent", what] => vec![(In::Sidecar, vec!["per_agent", what])],
            ["tool", "per_agent", what] => {
                vec![(In::Sidecar, [of_tool(&["per_agent"]), vec![what]].concat())]
            }
            ["tool", "per_plugin", what] => {
                let mut keys =
                    vec![(In::Sidecar, [of_tool(&["per_plugin"]), vec![*what]].concat())];
                // A rate of the plugin's is not each tool's own.
                if *what != "rate" {
                    keys.push((In::Sidecar, vec!["per_plugin", what]));
                    keys.push((In::Config, vec!["per_plugin", what]));
                }
                keys
            }
            ["per_plugin", what] => vec![
                (In::Sidecar, vec!["per_plugin", what]),
                (In::Config, vec!["per_plugin", what]),
            ],
            ["per_call", what] => vec![
                (In::Sidecar, [of_tool(&["per_call"]), vec![what]].concat()),
                (In::Sidecar, vec!["per_call", what]),
                (In::Config, vec!["per_call", what]),
            ],
            ["input" | "output", what] => {
                let table = if levels.first() == Some(&"input") { "input" } else { "output" };
                vec![
                    (In::Sidecar, vec!["tools", tool, table, what]),
                    (In::Sidecar, vec![table, what]),
                    (In::Config, vec![table, what]),
                ]
            }
            ["per_subject" | "sandbox" | "server", _] => vec![(In::Config, levels.clone())],
            _ => return None,
        };
        Some(self.first(&keys))
    }

    fn credential(&self) -> Explanation {
        let cause = self.cause().map(|cause| format!(": {cause}")).unwrap_or_default();
        match self.record.last_gate() {
            None | Some(Gate::Authenticate) => {
                let config = &self.world.config.auth;
                Explanation::of(format!("The credential was not accepted{cause}."))
                    .line([Line {
                        place: Some(config.keys.display().to_string()),
                        key: "the keys".to_owned(),
                        value: String::new(),
                    }])
                    .line(
                        (!config.issuers.is_empty())
                            .then(|| self.first(&[(In::Config, vec!["auth", "issuers"])])),
                    )
                    .otherwise(
                        "`bulkhead key list` shows which keys there are, and what became of them",
                    )
            }
            Some(gate) => Explanation::of(format!(
                "The credential was not accepted any longer when the call was at {gate}{cause}."
            ))
            .line([Line {
                place: Some(self.world.config.auth.revocations.display().to_string()),
                key: "what was revoked".to_owned(),
                value: String::new(),
            }])
            .otherwise(
                "`bulkhead revoke --list` and `bulkhead key list` show what was revoked, and when",
            ),
        }
    }

    fn rate(&self) -> Explanation {
        let Some((why, limit)) = self.why.and_then(|why| Some((why, why.limit.as_deref()?))) else {
            return Explanation::of("A rate was exceeded; this record does not tell which.");
        };
        let mut what = format!("The rate `{limit}` was exceeded");
        if let Some(rate) = &why.rate {
            what = format!("{what}: it was {rate}");
            if let Some(burst) = why.burst {
                what = format!("{what}, at most {burst} at once");
            }
        }
        what.push('.');
        if let Some(wait) = why.wait_ms {
            what = format!("{what} The call came {} ms too early.", wait.ceil());
        }
        let line = self.set_at(limit);
        let fixed = line.is_none();
        let explained = Explanation::of(what).line(line);
        match fixed {
            true => explained.otherwise("It is a bound of the server's own"),
            false => explained.otherwise("A later call, or a higher rate there"),
        }
    }

    fn scopes(&self) -> Explanation {
        let (agent, tool) = (self.agent(), self.tool_name());
        let missing = self.why.map(|why| why.missing.as_slice()).unwrap_or_default();
        if missing.is_empty() {
            let next = format!("`bulkhead access --agent {agent} --tool {tool}` tells what is now");
            return Explanation::of(format!(
                "The agent `{agent}` lacked a scope for {tool}; this record does not tell which."
            ))
            .otherwise(next);
        }
        let mut explained = Explanation::of(format!(
            "The agent `{agent}` called {tool} without the scope `{}`.",
            missing.join("`, `")
        ));
        let own = self.world.own_name(tool);
        let requires = ["tools", own, "requires"];
        if let Some(found) = self.world.find(In::Sidecar, &requires) {
            let place = Some(found.written.to_string());
            explained.lines.push(Line { place, key: key(&requires), value: found.value });
        }
        for scope in missing {
            self.one_scope(scope, &mut explained);
        }
        explained
    }

    /// What gives one scope, or would.
    fn one_scope(&self, missing: &str, explained: &mut Explanation) {
        let agent = self.agent();
        let credential = self.record.credential.as_deref().unwrap_or_default();
        let entry = self.world.config.agents.iter().find(|(name, _)| name.as_str() == agent);
        let Some((_, entry)) = entry else {
            explained.otherwise.push(format!(
                "There is no [agents.{agent}], so the credential's own scopes count: give \
                 `{missing}` to {}, or a new key (`bulkhead key create --agent {agent} --scope {missing}`)",
                of_credential(credential)
            ));
            return;
        };
        if let Some(grant) = covering(entry, missing) {
            // The entry would do, so that it is the credential which is narrower.
            explained.lines.push(line_of(agent, grant));
            explained.otherwise.push(match self.narrower_key(credential, missing) {
                true => format!(
                    "The agent has it, and the key {credential} was made with fewer scopes: make \
                     one with it (`bulkhead key create --agent {agent} --scope …`)"
                ),
                false => format!(
                    "The agent has it now: what it did not have was {}",
                    of_credential(credential)
                ),
            });
            return;
        }
        let line = self.first(&[
            (In::Config, vec!["agents", agent, "scopes"]),
            (In::Config, vec!["agents", agent]),
        ]);
        let at = line.place.as_ref().map(|place| format!(" at {place}")).unwrap_or_default();
        explained.lines.push(line);
        let mut roles = Vec::new();
        for role in &entry.roles {
            let line = self.first(&[(In::Config, vec!["roles", role.as_str(), "scopes"])]);
            let at = line.place.as_ref().map(|place| format!(" at {place}")).unwrap_or_default();
            roles.push(format!("[roles.{role}]{at}"));
            explained.lines.push(line);
        }
        let or_role = match roles.as_slice() {
            [] => ", or to a role of it".to_owned(),
            roles => format!(", or to {}", roles.join(" or ")),
        };
        explained.otherwise.push(format!(
            "The agent `{agent}` needs the scope `{missing}`: add it to `[agents.{agent}] scopes`\
             {at}{or_role}"
        ));
    }

    /// Whether this is a key that has scopes of its own, none of which covers `missing`.
    fn narrower_key(&self, credential: &str, missing: &str) -> bool {
        let Ok(keys) = KeyFile::load(&self.world.config.auth.keys) else { return false };
        let Ok(missing) = missing.parse::<Scope>() else { return false };
        let key = keys.keys().iter().find(|key| key.id.as_str() == credential);
        let own = key.and_then(|key| key.scopes.as_ref());
        own.is_some_and(|own| !own.iter().any(|scope| scope.covers(&missing)))
    }

    fn tool(&self) -> Explanation {
        let tool = self.tool_name();
        match self.why {
            Some(why) if !why.missing.is_empty() => {
                let mut explained = self.scopes();
                let on_denied = ["tools", self.world.own_name(tool), "on_denied"];
                explained.lines.push(self.first(&[(In::Sidecar, on_denied.to_vec())]));
                explained
                    .what
                    .push_str(" It is concealed, so it was told that there is no such tool.");
                explained
            }
            Some(_) | None => Explanation::of(format!("No plugin served a tool `{tool}`."))
                .line([Line {
                    place: Some(self.world.config.plugins.dir.display().to_string()),
                    key: "the plugins".to_owned(),
                    value: String::new(),
                }])
                .otherwise("`bulkhead access` lists the tools that there are"),
        }
    }

    fn arguments(&self) -> Explanation {
        let of = self.record.plugin.as_deref().unwrap_or("?");
        let tool = self.tool_name();
        let violations = self.why.map(|why| why.violations.as_slice()).unwrap_or_default();
        if violations.is_empty() {
            return Explanation::of(format!("The arguments do not match the schema of {tool}."));
        }
        let max_input = violations.iter().any(|one| one.rule.as_deref() == Some("max_input"));
        if max_input {
            let bytes = self.record.input_bytes.unwrap_or_default();
            return Explanation::of(format!("The arguments had {bytes} bytes, more than may be."))
                .line(self.set_at("per_call.max_input"))
                .otherwise("Shorter arguments, or a higher quota there");
        }
        let component = self.world.plugin.as_ref().map(|plugin| Line {
            place: Some(plugin.component.display().to_string()),
            key: format!("the input schema of {tool}"),
            value: String::new(),
        });
        let of_unknown = ["additionalProperties", "unevaluatedProperties", "falseSchema"];
        let unknown = violations.iter().filter_map(|violation| violation.rule.as_deref());
        let is_unknown = unknown.into_iter().any(|rule| of_unknown.contains(&rule));
        let setting = self.set_at("input.unknown_properties").filter(|_| is_unknown);
        let setting = setting.filter(|line| line.value.contains("refuse"));
        let mut explanation = Explanation::of(format!("In the arguments, {}.", self.violations()))
            .line(component)
            .otherwise(format!("Arguments as the schema of {tool} says, which {of} declares"));
        if let Some(setting) = setting {
            explanation = explanation.line([setting]).otherwise(
                "Only properties that the schema describes, or `unknown_properties = \"as-schema\"` there",
            );
        }
        explanation
    }

    fn policy(&self) -> Explanation {
        let file = self.world.config.auth.policy.as_ref();
        let file = file.map(|file| Line {
            place: Some(file.display().to_string()),
            key: "the policy".to_owned(),
            value: String::new(),
        });
        let policy = self.first(&[(In::Config, vec!["auth", "policy"])]);
        let Some(why) = self.why else {
            return Explanation::of("The policy did not allow the call.").line(file);
        };
        let rule = |rule: &String| {
            let place = rule.rsplit_once(" (").and_then(|(_, place)| place.strip_suffix(')'));
            let id = rule.rsplit_once(" (").map_or("a rule", |(id, _)| id);
            Line {
                place: Some(place.unwrap_or(rule).to_owned()),
                key: id.to_owned(),
                value: String::new(),
            }
        };
        let explained = match (why.failing.as_slice(), why.rules.as_slice()) {
            _ if why.unfit => Explanation::of(
                "The policy could not judge the arguments: a number is none that a policy can hold.",
            ),
            ([], []) => Explanation::of("No rule of the policy permitted the call.").line(file),
            ([], forbidding) => Explanation::of("A rule of the policy forbade the call.")
                .line(forbidding.iter().map(rule)),
            (failing, _) => Explanation::of(
                "A rule of the policy failed, as one does that reads an argument which is not there.",
            )
            .line(failing.iter().map(rule)),
        };
        explained.line([policy]).otherwise(format!(
            "`bulkhead policy test --agent {} --tool {} --arguments JSON` tries other arguments, \
             and other rules",
            self.agent(),
            self.tool_name()
        ))
    }

    fn unavailable(&self) -> Explanation {
        let Some(gate) = self.record.last_gate() else {
            return Explanation::of(
                "The server took no call: it was loading its plugins, or about to end.",
            );
        };
        let cause = self.cause().unwrap_or("The server could not take the call at that moment.");
        if gate == Gate::Authenticate {
            return Explanation::of(format!(
                "An authorization server could not be asked: {cause}."
            ))
            .line([self.first(&[(In::Config, vec!["auth", "issuers"])])]);
        }
        let Some(limit) = self.why.and_then(|why| why.limit.as_deref()) else {
            return Explanation::of(cause);
        };
        let mut what = format!("The limit `{limit}` was reached. {cause}");
        if let Some(Why {
            concurrency: Some(seats), queue: Some(queue), queue_timeout_ms, ..
        }) = self.why
        {
            let timeout = queue_timeout_ms.unwrap_or_default();
            what = format!(
                "{what} There were {seats} places; {queue} calls could wait, for {timeout} ms."
            );
        }
        if let Some(waited) = self.record.queue_ms.filter(|waited| *waited > 0.0) {
            what = format!("{what} The call waited for {waited} ms.");
        }
        let mut explained = Explanation::of(what).line(self.set_at(limit));
        if let Some(base) = limit.strip_suffix(".concurrency") {
            // An agent's own seats have the queue of the plugin.
            let base = if base.ends_with("per_agent") { "per_plugin" } else { base };
            for key in ["queue", "queue_timeout"] {
                explained.lines.extend(self.set_at(&format!("{base}.{key}")));
            }
        }
        explained.otherwise("A call when less is going on, or more room there")
    }

    fn quota(&self) -> Explanation {
        let Some((why, quota)) = self.why.and_then(|why| Some((why, why.quota.as_deref()?))) else {
            let code = self.record.code.as_deref().unwrap_or_default();
            return Explanation::of(format!(
                "A quota of the call was spent ({code}); this record does not tell which. {}",
                self.spent()
            ));
        };
        let limit = why.limit.as_deref().unwrap_or("?");
        let line = self.set_at(quota);
        let from = match &line {
            Some(Line { place: Some(place), .. }) => format!("from {place}"),
            Some(Line { place: None, .. }) => "from the default".to_owned(),
            None => "a bound of the server's own".to_owned(),
        };
        let mut what = format!("The quota `{quota}` was spent: {limit}, {from}. {}", self.spent());
        if self.record.last_gate() == Some(Gate::Clean) {
            what.push_str(" It had returned its result by then.");
        }
        let otherwise = match &line {
            Some(Line { place: Some(_), .. }) => {
                "A call that asks for less, or a higher quota there".to_owned()
            }
            Some(Line { place: None, key, .. }) => {
                let plugin = self.world.plugin.as_ref();
                let sidecar = plugin.map(|plugin| plugin.sidecar.display().to_string());
                let file = sidecar.unwrap_or_else(|| "the plugin's sidecar".to_owned());
                format!("A call that asks for less, or `{key}` in {file}")
            }
            None => "A call that asks for less".to_owned(),
        };
        Explanation::of(what).line(line).otherwise(otherwise)
    }

    /// A result that was not passed on.
    fn withheld(&self) -> Explanation {
        let mut what = self.cause().unwrap_or("The tool's result was withheld.").to_owned();
        if let Some(found) = self.why.and_then(|why| why.found.as_deref()) {
            what.push_str(&format!(" It was about: {found}."));
        }
        if let Some(setting) = self.why.and_then(|why| why.setting.as_deref()) {
            let (_, key) = setting.rsplit_once('.').unwrap_or(("", setting));
            return Explanation::of(what).line(self.set_at(setting)).otherwise(format!(
                "A result without it, or another `{key}` under `[output]` of the tool, its plugin or all tools"
            ));
        }
        let violations = self.violations();
        if !violations.is_empty() {
            what.push_str(&format!(" {violations}."));
        }
        Explanation::of(what).otherwise(
            "The tool's author has to return what it declares: `bulkhead test` finds such results",
        )
    }

    /// Which rules were violated where.
    fn violations(&self) -> String {
        let violations = self.why.map(|why| why.violations.as_slice()).unwrap_or_default();
        let told = |violation: &Violation| {
            let path = violation.path.as_deref().filter(|path| !path.is_empty());
            let rule = violation.rule.as_deref().unwrap_or("?");
            format!("`{}` violated the rule `{rule}`", path.unwrap_or("the whole of it"))
        };
        violations.iter().map(told).collect::<Vec<_>>().join(", ")
    }

    /// What the guest had spent.
    fn spent(&self) -> String {
        let Record { fuel, peak_memory_bytes, run_ms, host_calls, .. } = self.record;
        match (fuel, peak_memory_bytes, run_ms) {
            (Some(fuel), Some(memory), Some(run)) => format!(
                "The call had burned {} fuel, {} memory and {run} ms, with {} host calls.",
                grouped(*fuel),
                kibibytes(*memory),
                host_calls.unwrap_or_default()
            ),
            _ => String::new(),
        }
    }

    fn crash(&self) -> Explanation {
        let trap = self.why.and_then(|why| why.trap.as_deref());
        let trap = trap.map(|trap| format!(": {trap}")).unwrap_or_default();
        let id = &self.record.request_id;
        Explanation::of(format!("The tool crashed{trap}. {}", self.spent())).otherwise(format!(
            "The tool's author has to repair it. What it printed, such as a panic's message, is in \
             the server's log under request_id {id}"
        ))
    }

    fn own_failure(&self, code: &str) -> Explanation {
        Explanation::of(format!(
            "Every gate let it pass, and the tool itself failed with {code}. What it said is not \
             recorded: it may quote the arguments. The server's log has what it said to the operator, \
             under this request id. {}",
            self.spent()
        ))
    }
}

fn key(levels: &[&str]) -> String {
    match levels {
        [] => String::new(),
        [key] => (*key).to_owned(),
        ["agents" | "roles", _] => format!("[{}]", levels.join(".")),
        ["agents" | "roles", name, rest @ ..] => {
            let table = levels.first().copied().unwrap_or_default();
            format!("[{table}.{name}] {}", rest.join("."))
        }
        ["tools", name, rest @ ..] => format!("[tools.{name}] {}", rest.join(".")),
        [table, rest @ ..] => format!("[{table}] {}", rest.join(".")),
    }
}

/// The grant through which an agent has a scope.
fn covering<'a>(agent: &'a Agent, wanted: &str) -> Option<&'a Grant> {
    let wanted: Scope = wanted.parse().ok()?;
    agent.grants.iter().find(|grant| grant.scope.covers(&wanted))
}

fn line_of(agent: &str, grant: &Grant) -> Line {
    let table = match &grant.role {
        Some(role) => format!("[roles.{role}] scopes"),
        None => format!("[agents.{agent}] scopes"),
    };
    let place = Some(grant.written.to_string());
    Line { place, key: table, value: format!("\"{}\"", grant.scope) }
}

fn of_credential(credential: &str) -> String {
    match credential {
        "" => "the credential".to_owned(),
        "anonymous" | "local" => format!("the {credential} caller"),
        token if token.starts_with("token") => "the token, which its issuer makes".to_owned(),
        certificate if certificate.starts_with("certificate:") => "the certificate".to_owned(),
        key => format!("the key {key}"),
    }
}
