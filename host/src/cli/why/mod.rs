//! `bulkhead why`: which gate decided a past call, through which line of the configuration,
//! and what would have had to be different.
//!
//! Only looks: it reads the audit log, the configuration and the drop folder, and runs no
//! guest. What it tells is for the operator; no client is told any of it.

mod explain;
mod record;
mod world;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use self::explain::{Explanation, explain};
use self::record::Record;
use self::world::World;
use super::failure::{self, Failure};
use crate::config::Config;
use crate::telemetry::{FoundRecord, Search, find};
use crate::text::clean_line;

/// The longest line that is printed of what a record holds, in characters.
const WIDEST: usize = 400;

/// How long a request id is: a UUID with its hyphens.
const ID_CHARS: usize = 36;

#[derive(Debug, Args)]
pub(super) struct Why {
    /// The request id: `requestId` in an error, `x-request-id` in an answer, `request_id` in
    /// the log and in the audit log.
    request_id: String,
    /// Look in this audit log, instead of the one that the configuration names: one that
    /// was moved away, for example.
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl Why {
    pub(super) fn run(self, config: &Config, file: Option<&Path>) -> Result<ExitCode, Failure> {
        let id = self.request_id.trim().to_ascii_lowercase();
        if id.len() != ID_CHARS || !id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') {
            let why = "a request id is 36 hexadecimal digits and hyphens, as errors name it";
            return Err(Failure::new(failure::USAGE, why));
        }
        let audit = self.audit.as_ref().unwrap_or(&config.audit.path);
        let search = find(audit, &id)
            .map_err(|error| Failure::new(failure::IO, format!("{}: {error}", audit.display())))?;
        let Search { found: Some(found), .. } = search else {
            return Err(Failure::new(failure::DATA, not_found(&id, audit, &search)));
        };
        let read = |value: &Value| serde_json::from_value::<Record>(value.clone());
        let record = read(&found.record)
            .map_err(|error| Failure::new(failure::DATA, format!("{}: {error}", place(&found))))?;
        let world = World::of(config, file, &record);
        let told = Told { warnings: warnings(&record, &found, &world), record, found };
        let explanation = explain(&told.record, &world);
        match self.json {
            true => println!("{:#}", told.json(&explanation)),
            false => told.print(&explanation),
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn place(found: &FoundRecord) -> String {
    format!("{}:{}", found.file.display(), found.line)
}

/// Where it was looked for, and why a request may have no record.
fn not_found(id: &str, audit: &Path, search: &Search) -> String {
    let (audit, records) = (audit.display(), search.records);
    let looked = match (&search.oldest, search.files.len()) {
        (_, 0) => format!("there is no {audit}"),
        (Some(oldest), 1) => format!("{audit} has {records} records, the oldest of {oldest}"),
        (Some(oldest), files) => {
            format!(
                "{audit} and its siblings, {files} files, have {records} records, the oldest of {oldest}"
            )
        }
        (None, _) => format!("{audit} has no record"),
    };
    format!(
        "there is no record of {id}: {looked}.\nRecords are kept until the operator moves the file \
         away: name that file with --audit. What is no call leaves no record (lists, pings, what \
         is no MCP), nor does most of a flood of credentials that are not accepted: the server's \
         log may know the id"
    )
}

fn warnings(record: &Record, found: &FoundRecord, world: &World<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(what) = found.altered {
        warnings.push(format!("{} was altered: {what}", place(found)));
    }
    if record.why.is_none() && record.code.is_some() {
        let version = &record.server_version;
        warnings.push(format!("a record of version {version} tells less than one of today"));
    }
    let changes = world.changes(record);
    if !changes.is_empty() {
        let changes = changes.join("; ");
        warnings.push(format!("what decides has changed since the call: {changes}"));
    }
    warnings
}

/// All that there is to tell.
struct Told {
    record: Record,
    found: FoundRecord,
    warnings: Vec<String>,
}

impl Told {
    fn backtrace(&self) -> &[String] {
        self.record.why.as_ref().map(|why| why.backtrace.as_slice()).unwrap_or_default()
    }

    fn print(&self, explanation: &Explanation) {
        let Self { record, warnings, .. } = self;
        let line = |text: &str| println!("{}", clean_line(text, WIDEST));
        line(&format!("{} at {}, {}", record.request_id, record.time, self.who()));
        let code = record.code.as_deref().unwrap_or("OK");
        line(&format!("{code}: {} after {} ms", record.outcome, record.duration_ms));
        println!();
        for (gate, verdict) in record.verdicts() {
            println!("  {gate:<13} {}", verdict.as_str());
        }
        println!();
        line(&explanation.what);
        for explain::Line { place, key, value } in &explanation.lines {
            let place = place.as_deref().unwrap_or("by default");
            let value = if value.is_empty() { String::new() } else { format!(" = {value}") };
            println!("  {}", clean_line(&format!("{place}: {key}{value}"), WIDEST));
        }
        if !explanation.otherwise.is_empty() {
            println!("\nTo have it otherwise:");
            for otherwise in &explanation.otherwise {
                println!("  {}", clean_line(otherwise, WIDEST));
            }
        }
        if !self.backtrace().is_empty() {
            println!("\nWhere the tool was, the innermost function first:");
            for (at, frame) in self.backtrace().iter().enumerate() {
                println!("  {at:>3}: {}", clean_line(frame, WIDEST));
            }
        }
        for warning in warnings {
            eprintln!("warning: {}", clean_line(warning, WIDEST));
        }
    }

    fn who(&self) -> String {
        let Record { agent, subject, credential, source, tool, plugin, plugin_version, .. } =
            &self.record;
        let mut who = match (agent, source) {
            (Some(agent), _) => format!("{agent} calls"),
            (None, Some(source)) => format!("somebody at {source} calls"),
            (None, None) => "somebody calls".to_owned(),
        };
        who = format!("{who} {}", tool.as_deref().unwrap_or("(nothing was read)"));
        if let Some(plugin) = plugin {
            who = format!("{who} of {plugin} {}", plugin_version.as_deref().unwrap_or_default());
        }
        if let Some(subject) = subject {
            who = format!("{who}, for {subject}");
        }
        credential.iter().fold(who, |who, credential| format!("{who}, with {credential}"))
    }

    fn json(&self, explanation: &Explanation) -> Value {
        let Self { record, found, warnings } = self;
        let verdicts = record.verdicts();
        let gates = verdicts
            .iter()
            .map(|(gate, verdict)| json!({ "gate": gate.as_str(), "verdict": verdict }));
        json!({
            "request_id": record.request_id,
            "outcome": record.outcome,
            "code": record.code,
            "gates": gates.collect::<Vec<_>>(),
            "decided": record.decider().map(crate::telemetry::Gate::as_str),
            "explanation": explanation,
            "trap": record.why.as_ref().and_then(|why| why.trap.as_deref()),
            "backtrace": self.backtrace(),
            "warnings": warnings,
            "record": found.record,
            "place": place(found),
        })
    }
}
