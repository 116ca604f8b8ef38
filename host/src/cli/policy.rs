//! `bulkhead policy`: check the policy on arguments, and try a decision.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::failure::{self, Failure};
use super::shared;
use crate::boot;
use crate::catalog::Tool;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, nearest};
use crate::json;
use crate::names::{AgentName, PluginName, Scope, Subject, ToolName};
use crate::policy::{BadPolicy, Effects, Policy, Question, Rule, Verdict};

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Read the policy as the server would, and list every problem at once.
    Check {
        /// The policy, instead of the one that the configuration names.
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
    },
    /// Try one decision, and say why it is what it is. Nothing is called.
    ///
    /// Ends with 0 when the call would be allowed, with 1 when scopes or the policy deny
    /// it.
    Test(Box<Test>),
}

#[derive(Debug, Args)]
pub(super) struct Test {
    /// Which program would call.
    #[arg(long)]
    agent: AgentName,
    /// On whose behalf.
    #[arg(long)]
    subject: Option<Subject>,
    /// The organization that it belongs to.
    #[arg(long)]
    tenant: Option<String>,
    /// What its credential may be used for; may be repeated. Without one, what the agent's
    /// entry in the configuration allows.
    #[arg(long = "scope")]
    scopes: Vec<Scope>,
    /// What proves who it is.
    #[arg(
        long,
        default_value = "key",
        value_parser = PossibleValuesParser::new(["key", "token", "certificate", "anonymous", "local"])
    )]
    credential: String,
    /// The tool.
    #[arg(long)]
    tool: ToolName,
    /// Its arguments, one JSON object.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    arguments: String,
    /// When, as `2026-11-28T22:30:00Z`. Without it, now.
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// The policy, instead of the one that the configuration names.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Whose tool it is. With it, nothing is loaded: the tool is as these options say.
    #[arg(long)]
    plugin: Option<PluginName>,
    /// Whether it changes nothing, instead of what its author says.
    #[arg(long, value_name = "BOOL")]
    read_only: Option<bool>,
    /// Whether it may delete or overwrite, instead of what its author says.
    #[arg(long, value_name = "BOOL")]
    destructive: Option<bool>,
    /// Whether a second call changes nothing more, instead of what its author says.
    #[arg(long, value_name = "BOOL")]
    idempotent: Option<bool>,
    /// Whether it reaches beyond its plugin's data, instead of what its author says.
    #[arg(long, value_name = "BOOL")]
    open_world: Option<bool>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl PolicyCommand {
    pub(super) fn run(self, config: &Config) -> Result<ExitCode, Failure> {
        match self {
            Self::Check { policy } => check(config, policy),
            Self::Test(test) => test.run(config),
        }
    }
}

fn check(config: &Config, file: Option<PathBuf>) -> Result<ExitCode, Failure> {
    let policy = load(config, file.as_ref())?;
    let Some(rules) = policy.rules() else { return Err(no_policy()) };
    let file = file.as_ref().or(config.auth.policy.as_ref());
    let file = file.map(|file| file.display().to_string()).unwrap_or_default();
    println!("{file}: good. It has {rules} rules.");
    if rules == 0 {
        eprintln!("No rule permits anything, so every call is denied.");
    }
    Ok(ExitCode::SUCCESS)
}

fn load(config: &Config, file: Option<&PathBuf>) -> Result<Policy, Failure> {
    let bad =
        |bad: BadPolicy| Failure::new(failure::CONFIG, format!("the policy has problems\n{bad}"));
    match file {
        Some(file) => Policy::load(file, &config.agents).map_err(bad),
        None => boot::policy(config).map_err(bad),
    }
}

fn no_policy() -> Failure {
    let next = "set `policy` in [auth] to a file, or name one with --policy";
    Failure::new(failure::USAGE, format!("there is no policy: {next}"))
}

/// What of a tool decides.
struct Asked {
    plugin: PluginName,
    effects: Effects,
    requires: Vec<Scope>,
    schema: String,
}

impl Asked {
    fn of(tool: &Tool) -> Self {
        Self {
            plugin: tool.plugin.name.clone(),
            effects: tool.annotations.into(),
            requires: tool.requires.clone(),
            schema: tool.input_schema.get().to_owned(),
        }
    }
}

impl Test {
    fn run(self, config: &Config) -> Result<ExitCode, Failure> {
        json::check(self.arguments.as_bytes(), json::MAX_DEPTH)
            .map_err(|fault| Failure::new(failure::USAGE, format!("the arguments are {fault}")))?;
        let policy = load(config, self.policy.as_ref())?;
        if policy.rules().is_none() {
            return Err(no_policy());
        }
        let scopes = self.scopes(config)?;
        let tool = self.tool(config)?;
        let missing: Vec<&Scope> = tool
            .requires
            .iter()
            .filter(|wanted| !scopes.iter().any(|scope| scope.covers(wanted)))
            .collect();
        let verdict = policy.decide(&Question {
            agent: &self.agent,
            subject: self.subject.as_ref(),
            tenant: self.tenant.as_deref(),
            scopes: &scopes,
            credential: &self.credential,
            tool: self.tool.as_str(),
            plugin: tool.plugin.as_str(),
            effects: tool.effects,
            schema: &tool.schema,
            arguments: &self.arguments,
            at: self.at.unwrap_or_else(|| SystemClock.utc()),
        });
        let allowed = verdict.allowed && missing.is_empty();
        if self.json {
            println!("{}", shown(allowed, &missing, &verdict));
        } else {
            self.print(allowed, &missing, &verdict);
        }
        Ok(ExitCode::from(u8::from(!allowed)))
    }

    fn scopes(&self, config: &Config) -> Result<Vec<Scope>, Failure> {
        if !self.scopes.is_empty() {
            return Ok(self.scopes.clone());
        }
        let entry = config.agents.get(&self.agent);
        entry.map(|agent| agent.scopes.clone()).ok_or_else(|| {
            let agent = &self.agent;
            let why = format!("the configuration has no entry [agents.{agent}]");
            Failure::new(failure::USAGE, format!("{why}: say with --scope what its credential has"))
        })
    }

    fn tool(&self, config: &Config) -> Result<Asked, Failure> {
        let mut asked = match &self.plugin {
            Some(plugin) => Asked {
                plugin: plugin.clone(),
                effects: None.into(),
                requires: vec![Scope::of_tool(plugin, &self.tool)],
                schema: "{}".to_owned(),
            },
            None => self.served(config)?,
        };
        let effects = &mut asked.effects;
        let said = [
            (self.read_only, &mut effects.read_only),
            (self.destructive, &mut effects.destructive),
            (self.idempotent, &mut effects.idempotent),
            (self.open_world, &mut effects.open_world),
        ];
        for (said, told) in said {
            *told = said.unwrap_or(*told);
        }
        Ok(asked)
    }

    fn served(&self, config: &Config) -> Result<Asked, Failure> {
        let snapshot = shared::served(config)?;
        let catalog = snapshot.catalog();
        catalog.find(self.tool.as_str()).map(|tool| Asked::of(tool)).ok_or_else(|| {
            let names = catalog.tools().iter().map(|tool| tool.name.as_str());
            let meant = nearest(self.tool.as_str(), names);
            let meant = meant.map(|meant| format!("did you mean `{meant}`? If not, "));
            let next = "describe it: --plugin NAME, and --destructive and the like";
            let dir = config.plugins.dir.display();
            let (tool, meant) = (&self.tool, meant.unwrap_or_default());
            Failure::new(failure::DATA, format!("no `{tool}` is served from {dir}: {meant}{next}"))
        })
    }

    fn print(&self, allowed: bool, missing: &[&Scope], verdict: &Verdict<'_>) {
        let (agent, tool) = (&self.agent, &self.tool);
        println!("{}: {agent} calls {tool}", if allowed { "allow" } else { "deny" });
        let lacks: Vec<_> = missing.iter().map(|scope| scope.as_str()).collect();
        if lacks.is_empty() {
            println!("  scopes: allowed");
        } else {
            let lacks = lacks.join(" ");
            println!("  scopes: denied, and the policy would not be asked; it lacks {lacks}");
        }
        let why = match (verdict.allowed, verdict.deciding.is_empty(), verdict.errors.is_empty()) {
            (true, _, _) => "allowed, permitted by",
            (false, _, false) => "denied, since it failed",
            (false, false, true) => "denied, forbidden by",
            (false, true, true) => "denied, since no rule permits it",
        };
        println!("  policy: {why}");
        for rule in &verdict.deciding {
            let reason = rule.reason.as_ref().map(|reason| format!(": {reason}"));
            println!("    {} {rule}{}", rule.effect, reason.unwrap_or_default());
        }
        for error in &verdict.errors {
            println!("    error {error}");
        }
    }
}

fn shown(allowed: bool, missing: &[&Scope], verdict: &Verdict<'_>) -> Value {
    let rule = |rule: &&Rule| {
        json!({
            "id": rule.id,
            "file": &*rule.file,
            "line": rule.line,
            "effect": rule.effect.to_string(),
            "reason": rule.reason,
        })
    };
    json!({
        "allowed": allowed,
        "scopes": { "allowed": missing.is_empty(), "missing": missing },
        "policy": {
            "allowed": verdict.allowed,
            "deciding": verdict.deciding.iter().map(rule).collect::<Vec<_>>(),
            "errors": verdict.errors,
        },
    })
}
