//! What a test found out, for people and for scripts.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::compare::Difference;
use super::properties::{Finding, Tried};
use crate::catalog::Tool;
use crate::cli::shared::{grouped, kibibytes};
use crate::config::MAX_DESCRIPTION_BYTES;
use crate::runtime::Spent;
use crate::text::clean_line;

/// How much of one text is shown, in characters.
const MAX_SHOWN: usize = 600;

/// Bytes of text that models read as one token, roughly.
const BYTES_PER_TOKEN: usize = 4;

/// How one call went.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Where it is in the examples.
    pub(super) line: usize,
    pub(super) tool: String,
    /// What the guest spent; none where none ran.
    pub(super) spent: Option<Spent>,
    /// The size of its result.
    pub(super) output_bytes: u64,
    pub(super) differences: Vec<Difference>,
}

impl Outcome {
    pub(super) fn is_ok(&self) -> bool {
        self.differences.is_empty()
    }
}

/// What became of the generated calls.
#[derive(Debug, Serialize)]
pub(super) struct Generated {
    /// With it, the same calls are made again.
    pub(super) seed: u64,
    pub(super) tools: Vec<Tried>,
}

impl Generated {
    pub(super) fn is_ok(&self) -> bool {
        self.tools.iter().all(Tried::is_ok)
    }

    fn print(&self) {
        println!();
        for tried in &self.tools {
            let endings = tried.endings.iter().map(|(code, calls)| format!("{calls} {code}"));
            let endings = Vec::from_iter(endings).join(", ");
            println!(
                "{}: {} generated calls, {} ran it: {endings}",
                tried.tool, tried.calls, tried.ran
            );
            for note in &tried.notes {
                println!("  note: {}", clean_line(note, MAX_SHOWN));
            }
            for Finding { kind, what, arguments, calls, .. } in &tried.findings {
                println!("  {}, in {calls} calls: {}", kind.as_str(), clean_line(what, MAX_SHOWN));
                println!("    with {}", clean_line(&escaped(arguments), MAX_SHOWN));
            }
        }
        let findings: usize = self.tools.iter().map(|tried| tried.findings.len()).sum();
        let calls: usize = self.tools.iter().map(|tried| tried.calls).sum();
        let seed = self.seed;
        match findings {
            0 => println!("{calls} generated calls (--seed {seed}), nothing found"),
            _ => println!(
                "{calls} generated calls, {findings} findings; --seed {seed} makes them again"
            ),
        }
    }
}

/// JSON in ASCII: what is invisible or turns a line around is what it is about.
fn escaped(value: &Value) -> String {
    let mut text = String::new();
    for c in value.to_string().chars() {
        match c {
            ' '..='~' => text.push(c),
            c => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    text.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    text
}

/// Prints everything for people.
pub(super) fn print(outcomes: &[Outcome], tools: &[Arc<Tool>], generated: &Generated) {
    println!(
        "{:<32} {:<8} {:>16} {:>11} {:>10} {:>8}",
        "call", "", "fuel", "memory", "time", "output"
    );
    for outcome in outcomes {
        let call = format!("{} (line {})", outcome.tool, outcome.line);
        let verdict = if outcome.is_ok() { "ok" } else { "differs" };
        let (fuel, memory, time) = match outcome.spent {
            Some(spent) => (
                grouped(spent.fuel.0),
                kibibytes(spent.peak_memory.0),
                format!("{:.2} ms", spent.run.as_secs_f64() * 1_000.0),
            ),
            // It was answered before the plugin ran.
            None => ("-".to_owned(), "-".to_owned(), "-".to_owned()),
        };
        let output = format!("{} B", outcome.output_bytes);
        println!("{call:<32} {verdict:<8} {fuel:>16} {memory:>11} {time:>10} {output:>8}");
        for Difference { path, expected, got } in &outcome.differences {
            println!("    {path}\n      expected {expected}\n      got      {got}");
        }
    }
    println!();
    for tool in tools {
        print_tool(outcomes, tool, generated);
    }
    let differing = outcomes.iter().filter(|outcome| !outcome.is_ok()).count();
    let calls = outcomes.len();
    match differing {
        0 => println!("{calls} calls, all as expected"),
        _ => println!("{calls} calls, {differing} not as expected"),
    }
    if !generated.tools.is_empty() {
        generated.print();
    }
}

fn print_tool(outcomes: &[Outcome], tool: &Tool, generated: &Generated) {
    let weight = Weight::of(tool);
    println!("{}", tool.name);
    println!(
        "  a model carries {} bytes of it, about {} tokens; its description is {} of at most {} bytes",
        weight.bytes,
        weight.tokens,
        tool.description.len(),
        MAX_DESCRIPTION_BYTES
    );
    match Peak::of(outcomes, tool) {
        Some(peak) => peak.print("a call", tool),
        None => println!("  no example runs it"),
    }
    let tried = generated.tools.iter().find(|tried| tried.tool == tool.name.as_str());
    if let Some(peak) = tried.and_then(|tried| tried.peak.as_ref()) {
        peak.print("a generated call", tool);
    }
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.1} %", part as f64 * 100.0 / whole.max(1) as f64)
}

/// How much of a model's context a tool takes.
#[derive(Serialize)]
struct Weight {
    bytes: usize,
    tokens: usize,
}

impl Weight {
    /// Of its name, its title, its description and its schemas.
    fn of(tool: &Tool) -> Self {
        let output = tool.output_schema.as_ref().map_or(0, |schema| schema.text.get().len());
        let bytes = tool.name.as_str().len()
            + tool.title.as_ref().map_or(0, |title| title.len())
            + tool.description.len()
            + tool.input_schema.get().len()
            + output;
        Self { bytes, tokens: bytes.div_ceil(BYTES_PER_TOKEN) }
    }
}

/// The most that any call of a tool spent.
#[derive(Debug, Serialize)]
pub(super) struct Peak {
    fuel: u64,
    #[serde(rename = "memory_bytes")]
    memory: u64,
    run_ms: f64,
}

impl Peak {
    fn of(outcomes: &[Outcome], tool: &Tool) -> Option<Self> {
        let of_tool = outcomes.iter().filter(|outcome| outcome.tool == tool.name.as_str());
        Self::over(of_tool.filter_map(|outcome| outcome.spent))
    }

    /// Over all of these; none of none.
    pub(super) fn over(spent: impl Iterator<Item = Spent>) -> Option<Self> {
        spent.fold(None, |peak: Option<Self>, spent| {
            let run_ms = spent.run.as_secs_f64() * 1_000.0;
            let peak = peak.unwrap_or(Self { fuel: 0, memory: 0, run_ms: 0.0 });
            Some(Self {
                fuel: peak.fuel.max(spent.fuel.0),
                memory: peak.memory.max(spent.peak_memory.0),
                run_ms: peak.run_ms.max(run_ms),
            })
        })
    }
}

impl Peak {
    fn print(&self, what: &str, tool: &Tool) {
        let quota = tool.per_call;
        println!(
            "  {what} took at most {} of {} fuel ({}), {} of {} memory ({}), {:.1} of {} ms",
            grouped(self.fuel),
            grouped(quota.fuel.0),
            percent(self.fuel, quota.fuel.0),
            kibibytes(self.memory),
            kibibytes(quota.memory.0),
            percent(self.memory, quota.memory.0),
            self.run_ms,
            quota.deadline.as_millis()
        );
    }
}

/// The same for scripts; the keys are a promise.
pub(super) fn json(outcomes: &[Outcome], tools: &[Arc<Tool>], generated: &Generated) -> Value {
    let call = |outcome: &Outcome| {
        let spent = outcome.spent.map(|spent| {
            json!({
                "fuel": spent.fuel.0,
                "peak_memory_bytes": spent.peak_memory.0,
                "run_ms": spent.run.as_secs_f64() * 1_000.0,
            })
        });
        json!({
            "tool": outcome.tool,
            "line": outcome.line,
            "ok": outcome.is_ok(),
            "differences": outcome.differences,
            "spent": spent,
            "output_bytes": outcome.output_bytes,
        })
    };
    let tool = |tool: &Arc<Tool>| {
        json!({
            "name": tool.name,
            "model": Weight::of(tool),
            "description_bytes": tool.description.len(),
            "max_description_bytes": MAX_DESCRIPTION_BYTES,
            "peak": Peak::of(outcomes, tool),
            "per_call": {
                "fuel": tool.per_call.fuel.0,
                "memory_bytes": tool.per_call.memory.0,
                "deadline_ms": tool.per_call.deadline.as_millis() as u64,
            },
        })
    };
    json!({
        "ok": outcomes.iter().all(Outcome::is_ok) && generated.is_ok(),
        "calls": outcomes.iter().map(call).collect::<Vec<_>>(),
        "tools": tools.iter().map(tool).collect::<Vec<_>>(),
        "generated": generated,
    })
}
