//! `bulkhead access`: who may call what, and through which line of the configuration.

mod matrix;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};

use self::matrix::{Holder, Matrix, Row};
use super::failure::{self, Failure};
use super::shared;
use crate::auth::{Identities, Key, KeyFile, Revocations};
use crate::catalog::Tool;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, nearest};
use crate::names::{AgentName, Scope, ToolName};
use crate::plugins::Snapshot;
use crate::text::clean_line;

/// How many rows are printed; of more, nobody reads all.
const MOST_ROWS: usize = 10_000;

/// The widest that a column is made, in characters.
const WIDEST: usize = 64;

#[derive(Debug, Args)]
pub(super) struct Access {
    /// Only this agent.
    #[arg(long)]
    agent: Option<AgentName>,
    /// Only this tool.
    #[arg(long)]
    tool: Option<ToolName>,
    /// Instead, what this configuration would add and take away: `+ agent tool` and
    /// `- agent tool`. Ends with 0 when it is nothing, with 1 when it is something.
    #[arg(long, value_name = "OTHER.toml")]
    against: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// A configuration with all that decides beside it.
struct World<'c> {
    config: &'c Config,
    snapshot: Arc<Snapshot>,
    /// The keys that are accepted now.
    keys: Vec<Key>,
}

impl<'c> World<'c> {
    fn of(config: &'c Config, snapshot: Arc<Snapshot>) -> Result<Self, Failure> {
        let bad = |error: &dyn std::fmt::Display| Failure::new(failure::CONFIG, error);
        let file = KeyFile::load(&config.auth.keys).map_err(|error| bad(&error))?;
        let now = SystemClock.utc();
        let revoked = Revocations::load(&config.auth.revocations, now);
        let identities = Identities::new(config, &file, revoked.map_err(|error| bad(&error))?);
        let good = |key: &&Key| identities.is_good_key(key.id.as_str(), now);
        let keys = file.keys().iter().filter(good).cloned().collect();
        Ok(Self { config, snapshot, keys })
    }

    fn matrix(&self, access: &Access) -> Matrix {
        let wanted = |tool: &&Arc<Tool>| access.tool.as_ref().is_none_or(|name| *name == tool.name);
        let tools = self.snapshot.catalog().tools().iter().filter(wanted);
        let tools: Vec<&Tool> = tools.map(|tool| &**tool).collect();
        let mut matrix = Matrix::of(&self.config.agents, &self.keys, &tools);
        if let Some(agent) = &access.agent {
            matrix.rows.retain(|(holder, _), _| holder.agent == *agent);
        }
        matrix
    }
}

impl Access {
    pub(super) fn run(self, config: &Config) -> Result<ExitCode, Failure> {
        let other = self.against.as_deref().map(|path| shared::load_config(Some(path)));
        let other = other.transpose()?;
        let snapshot = shared::served(config)?;
        let world = World::of(config, Arc::clone(&snapshot))?;
        self.refuse_unknown(&world)?;
        if let Some(other) = &other {
            // The same files give the same tools, unless something that bounds them differs.
            let same = other.plugins.dir == config.plugins.dir
                && other.state == config.state
                && other.ceilings == config.ceilings;
            let snapshot = if same { snapshot } else { shared::served(other)? };
            return Ok(self.compare(&world, &World::of(other, snapshot)?));
        }
        let matrix = world.matrix(&self);
        if self.json {
            println!("{}", self.as_json(&world, &matrix));
        } else {
            self.print(&world, &matrix);
        }
        Ok(ExitCode::SUCCESS)
    }

    /// A name that is misspelled must not read as one that may do nothing.
    fn refuse_unknown(&self, world: &World<'_>) -> Result<(), Failure> {
        let unknown = |what: &str, name: &str, meant: Option<&str>| {
            let meant = meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
            Failure::new(failure::DATA, format!("there is no {what} `{name}`{meant}"))
        };
        // Another configuration may be the one that has it.
        if self.against.is_some() {
            return Ok(());
        }
        if let Some(tool) = &self.tool
            && world.snapshot.catalog().find(tool.as_str()).is_none()
        {
            let tools = world.snapshot.catalog().tools().iter();
            let meant = nearest(tool.as_str(), tools.map(|tool| tool.name.as_str()));
            return Err(unknown("tool", tool.as_str(), meant));
        }
        if let Some(agent) = &self.agent {
            let of_keys = world.keys.iter().map(|key| key.agent.as_str());
            let agents = world.config.agents.keys().map(AgentName::as_str).chain(of_keys);
            let agents: Vec<&str> = agents.collect();
            if !agents.contains(&agent.as_str()) {
                let meant = nearest(agent.as_str(), agents);
                return Err(unknown("agent", agent.as_str(), meant));
            }
        }
        Ok(())
    }

    fn print(&self, world: &World<'_>, matrix: &Matrix) {
        let heading = ("agent".to_owned(), "tool".to_owned(), "through".to_owned());
        let row = |((holder, tool), row): (&(Holder, ToolName), &Row)| {
            (holder.to_string(), tool.to_string(), row.to_string())
        };
        let rows = matrix.rows.iter().take(MOST_ROWS).map(row);
        print_aligned(std::iter::once(heading).chain(rows).collect());
        if matrix.rows.len() > MOST_ROWS {
            let more = matrix.rows.len() - MOST_ROWS;
            eprintln!("There are {more} more: narrow it with --agent or --tool.");
        }
        for tool in &matrix.nobodys {
            let what = requirement(tool);
            let who = if world.config.auth.issuers.is_empty() {
                "nobody"
            } else {
                "no agent with an entry or a key"
            };
            println!("{}", clean_line(&format!("{who} may call {}: {what}", tool.name), 400));
        }
        self.print_why_not(world, matrix);
        for note in notes(world) {
            eprintln!("{note}");
        }
    }

    /// What keeps one agent from one tool, where both were asked for.
    fn print_why_not(&self, world: &World<'_>, matrix: &Matrix) {
        let (Some(agent), Some(tool)) = (&self.agent, &self.tool) else { return };
        let may = matrix.rows.keys().any(|(holder, _)| holder.agent == *agent);
        if let (false, Some(tool)) = (may, world.snapshot.catalog().find(tool.as_str())) {
            let tool = matrix::Needed::from(&**tool);
            println!("{agent} may not call {}: {}", tool.name, requirement(&tool));
        }
    }

    fn as_json(&self, world: &World<'_>, matrix: &Matrix) -> Value {
        let nobodys = matrix.nobodys.iter().map(|tool| {
            json!({ "tool": tool.name, "requires": tool.requires, "concealed": tool.is_concealed })
        });
        json!({
            "access": matrix.rows.iter().map(row_as_json).collect::<Vec<_>>(),
            "nobody": nobodys.collect::<Vec<_>>(),
            "notes": notes(world),
        })
    }

    fn compare(&self, before: &World<'_>, after: &World<'_>) -> ExitCode {
        let (before, after) = (before.matrix(self).rows, after.matrix(self).rows);
        let added: Vec<_> = after.iter().filter(|(key, _)| !before.contains_key(key)).collect();
        let removed: Vec<_> = before.iter().filter(|(key, _)| !after.contains_key(key)).collect();
        let differs = !added.is_empty() || !removed.is_empty();
        if self.json {
            let all = |rows: Vec<_>| rows.into_iter().map(row_as_json).collect::<Vec<_>>();
            println!("{}", json!({ "added": all(added), "removed": all(removed) }));
            return ExitCode::from(u8::from(differs));
        }
        let mut lines: Vec<_> = Vec::new();
        for ((holder, tool), row) in added {
            lines.push((format!("+ {holder}"), tool.to_string(), format!("through {row}")));
        }
        for ((holder, tool), row) in removed {
            lines.push((format!("- {holder}"), tool.to_string(), format!("was through {row}")));
        }
        let more = lines.len().saturating_sub(MOST_ROWS);
        lines.truncate(MOST_ROWS);
        print_aligned(lines);
        if more > 0 {
            eprintln!("There are {more} more: narrow it with --agent or --tool.");
        }
        if !differs {
            eprintln!("Nobody may call more or less.");
        }
        ExitCode::from(u8::from(differs))
    }
}

fn row_as_json(((holder, tool), row): (&(Holder, ToolName), &Row)) -> Value {
    json!({
        "agent": holder.agent,
        "keys": holder.keys,
        "tool": tool,
        "requires": row.requires,
        "concealed": row.is_concealed,
        "through": row.through.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn print_aligned(rows: Vec<(String, String, String)>) {
    let width = |column: fn(&(String, String, String)) -> &String| {
        rows.iter().map(|row| column(row).chars().count()).max().unwrap_or(0).min(WIDEST)
    };
    let (first, second) = (width(|row| &row.0), width(|row| &row.1));
    for (agent, tool, through) in &rows {
        println!("{agent:<first$}  {tool:<second$}  {}", clean_line(through, 400));
    }
}

/// What a call of a tool needs, and what becomes of one without it.
fn requirement(tool: &matrix::Needed) -> String {
    let scopes: Vec<&str> = tool.requires.iter().map(Scope::as_str).collect();
    let what = if tool.is_concealed {
        "without it, there is no such tool"
    } else {
        "without it, callers are told so"
    };
    format!("it needs {}; {what}", scopes.join(" and "))
}

/// What the rows do not say.
fn notes(world: &World<'_>) -> Vec<String> {
    let config = world.config;
    let mut notes = Vec::new();
    if let Some(agent) = &config.auth.anonymous {
        notes.push(format!("Whoever has no credential calls as {agent} (`anonymous` in [auth])."));
    }
    if !config.auth.issuers.is_empty() {
        notes.push(
            "A token holds what its scopes and its agent's entry both allow; without an entry, \
             what its scopes allow."
                .to_owned(),
        );
    }
    let revoked = Revocations::load(&config.auth.revocations, SystemClock.utc());
    if revoked.is_ok_and(|revoked| !revoked.in_force().is_empty()) {
        notes.push(
            "Some of these are revoked, which is not looked at here: see `bulkhead revoke --list`."
                .to_owned(),
        );
    }
    if let Some(policy) = &config.auth.policy {
        let policy = policy.display();
        notes.push(format!("The policy {policy} may refuse more: `bulkhead policy test` tells."));
    }
    if world.snapshot.catalog().tools().is_empty() {
        notes.push(format!("No tool is served from {}.", config.plugins.dir.display()));
    }
    notes
}
