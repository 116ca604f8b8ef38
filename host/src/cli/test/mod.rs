//! `bulkhead test`: builds a plugin, and makes the calls of its `examples.toml`, and others
//! that are generated from its schemas, through the whole pipeline.

mod compare;
mod examples;
mod generate;
mod leaks;
mod mutate;
mod properties;
mod report;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

use clap::Args;
use serde_json::Value;
use tracing_subscriber::filter::LevelFilter;

use self::compare::Came;
use self::examples::{EXAMPLES, Example};
use self::report::{Generated, Outcome};
use super::build::{MANIFEST, sidecar_of};
use super::call::called;
use super::failure::{self, Failure};
use super::lifecycle;
use super::serve::LOCAL_AGENT;
use super::shared;
use super::temporary::TemporaryFolder;
use crate::catalog::Tool;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, PerAgent, Sidecar};
use crate::pipeline::Host;
use crate::plugins::Change;

#[derive(Debug, Args)]
pub(super) struct Test {
    /// The plugin's source folder.
    ///
    /// Its `examples.toml` has a table for each call:
    ///
    ///   [[call]]
    ///   tool = "greet"
    ///   arguments = { name = "Ada" }
    ///   result = { greeting = "Hello, Ada!" }   # each key named must be equal
    ///
    /// or, instead of `result`, `text = "a part of the text"` or `error = "CODE"`.
    /// BULKHEAD__TELEMETRY__LOG=debug shows what the plugin logs and prints.
    ///
    /// Then each tool gets calls that are generated from its input schema: valid ones, ones
    /// that are wrong in one place, and hostile ones. It may refuse any of them, and must not
    /// crash, break its output schema, or tell about its insides; and a call that was refused
    /// must become valid when it is changed as the answer says.
    #[arg(default_value = ".", verbatim_doc_comment)]
    source: PathBuf,
    /// How many calls are generated for each tool; none with 0.
    #[arg(long, value_name = "N", default_value_t = 80, value_parser = clap::value_parser!(u32).range(..=100_000))]
    cases: u32,
    /// Generate the calls of this seed again: it is printed with what was found. Without it,
    /// others each time.
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Print what was found as JSON.
    #[arg(long)]
    json: bool,
}

impl Test {
    pub(super) fn run(self, config: Config) -> Result<ExitCode, Failure> {
        let source = self.source.canonicalize().map_err(|error| {
            Failure::new(failure::DATA, format!("{}: {error}", self.source.display()))
        })?;
        if !source.join(MANIFEST).is_file() {
            let source = source.display();
            let why = format!("{source} is no plugin's source: it has no {MANIFEST}");
            return Err(Failure::new(failure::DATA, why));
        }
        let examples = read_examples(&source)?;
        let temporary = TemporaryFolder::new().map_err(|error| Failure::new(failure::IO, error))?;
        let config = alone(config, temporary.path())?;
        let component = match build(&source, &config.plugins.dir)? {
            Ok(component) => component,
            Err(code) => return Ok(code),
        };
        if let Some(sidecar) = sidecar_of(&source, &component) {
            let failed = |error| Failure::new(failure::IO, error);
            let text = std::fs::read_to_string(&sidecar).map_err(failed)?;
            let text = match Sidecar::parse("", &text, &config.ceilings) {
                Ok(_) => without_rates(text),
                // As it is, so that what is wrong with it is told with its place.
                Err(_) => text,
            };
            std::fs::write(component.with_extension("toml"), text).map_err(failed)?;
        }
        shared::contain(&config)?;
        shared::run(async {
            let host = shared::host(&config)?;
            load(&host).await?;
            know_every_tool(&host, &source, &examples)?;
            let mut outcomes = Vec::with_capacity(examples.len());
            for example in &examples {
                outcomes.push(outcome(&host, example).await?);
            }
            let snapshot = host.plugins.snapshot();
            let tools = snapshot.catalog().tools();
            let generated = self.generate(&host, tools).await?;
            lifecycle::finish_records(&host).await;
            match self.json {
                true => println!("{:#}", report::json(&outcomes, tools, &generated)),
                false => report::print(&outcomes, tools, &generated),
            }
            Ok(ExitCode::from(u8::from(!outcomes.iter().all(Outcome::is_ok) || !generated.is_ok())))
        })
    }
}

impl Test {
    async fn generate(&self, host: &Arc<Host>, tools: &[Arc<Tool>]) -> Result<Generated, Failure> {
        // Any number: it only has to be told.
        let seed = self
            .seed
            .unwrap_or_else(|| u64::from(SystemClock.utc().subsec_nanosecond().unsigned_abs()));
        let mut generated = Generated { seed, tools: Vec::new() };
        for tool in tools.iter().filter(|_| self.cases > 0) {
            generated.tools.push(properties::try_tool(host, tool, seed, self.cases).await?);
        }
        Ok(generated)
    }
}

/// A sidecar without its rates: how often a tool may be called is not what is tested, and
/// calls that were refused would say nothing.
fn without_rates(text: String) -> String {
    fn remove(table: &mut toml::Table) {
        table.retain(|key, value| value.is_table() || !matches!(key, "rate" | "burst"));
        table.iter_mut().filter_map(|(_, value)| value.as_table_mut()).for_each(remove);
    }
    match text.parse::<toml::Table>() {
        Ok(mut table) => {
            remove(&mut table);
            table.to_string()
        }
        Err(_) => text,
    }
}

fn read_examples(source: &Path) -> Result<Vec<Example>, Failure> {
    let path = source.join(EXAMPLES);
    let failed = |why: String| Failure::new(failure::DATA, why);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        failed(format!(
            "{}: {error}. It says what to call and what has to come back:\n\n    [[call]]\n    \
             tool = \"NAME\"\n    arguments = {{ }}\n    text = \"a part of the text\"\n\n\
             or, instead of `text`, `result = {{ … }}` (each key named must be equal in the \
             structured result) or `error = \"CODE\"`",
            path.display()
        ))
    })?;
    examples::parse(&path, &text).map_err(failed)
}

/// The configuration of a host that serves this plugin to this process, and whose
/// records nobody keeps. Compiled code is kept, since compiling takes longest.
fn alone(mut config: Config, folder: &Path) -> Result<Config, Failure> {
    let made = |name: &str| {
        let path = folder.join(name);
        std::fs::create_dir(&path).map(|()| path).map_err(|error| Failure::new(failure::IO, error))
    };
    config.plugins.dir = made("plugins")?;
    config.audit.path = made("audit")?.join("audit.jsonl");
    // What an agent may do, and how often, is not what is tested.
    config.agents.clear();
    config.per_agent = PerAgent::default();
    // Of an ordinary run, what is told belongs to a server.
    if config.telemetry.log == LevelFilter::INFO {
        config.telemetry.log = LevelFilter::WARN;
    }
    Ok(config)
}

/// Builds in a process of its own: a compiler needs what this process gives up before it
/// starts the sandbox. Returns the code that it ended with, if it told of an error.
fn build(source: &Path, out: &Path) -> Result<Result<PathBuf, ExitCode>, Failure> {
    let failed = |error: std::io::Error| Failure::new(failure::SOFTWARE, error);
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command.arg("build").arg(source).arg("--out").arg(out).stderr(Stdio::inherit());
    let built = command.output().map_err(failed)?;
    if !built.status.success() {
        let code = built.status.code().and_then(|code| u8::try_from(code).ok());
        return Ok(Err(code.map_or(ExitCode::FAILURE, ExitCode::from)));
    }
    let printed = String::from_utf8_lossy(&built.stdout);
    Ok(Ok(PathBuf::from(printed.trim_end_matches('\n'))))
}

async fn load(host: &Host) -> Result<(), Failure> {
    let tell = |change: &Change| tracing::debug!("{change}");
    shared::load_plugins(host, &tell).await;
    match host.plugins.refused().await.as_slice() {
        [] => Ok(()),
        [(file, why), ..] => Err(Failure::new(failure::DATA, format!("{file}: {why}"))),
    }
}

fn know_every_tool(host: &Host, source: &Path, examples: &[Example]) -> Result<(), Failure> {
    let snapshot = host.plugins.snapshot();
    let names = || snapshot.catalog().tools().iter().map(|tool| tool.name.as_str());
    match examples.iter().find(|example| !names().any(|name| name == example.tool)) {
        None => Ok(()),
        Some(Example { line, tool, .. }) => {
            let path = source.join(EXAMPLES);
            let hint = match crate::config::nearest(tool, names()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("it has {}", names().collect::<Vec<_>>().join(", ")),
            };
            Err(Failure::new(
                failure::DATA,
                format!("{}:{line}: the plugin has no tool `{tool}`; {hint}", path.display()),
            ))
        }
    }
}

async fn outcome(host: &Arc<Host>, example: &Example) -> Result<Outcome, Failure> {
    // An agent of its own for each: how often one may call is not what is tested.
    let agent = format!("{LOCAL_AGENT}-{}", example.line);
    let arguments = Value::Object(example.arguments.clone());
    let (reply, head) = properties::reply(host, &agent, &example.tool, &arguments).await?;
    let called = called(reply)?;
    let came = match &called.result {
        Err(error) => {
            Came::Error { code: error.code().to_string(), message: error.message().to_owned() }
        }
        Ok(_) => Came::Result(properties::result_of(&called, &head)?),
    };
    Ok(Outcome {
        line: example.line,
        tool: example.tool.clone(),
        spent: called.cost,
        output_bytes: called.result.as_ref().map_or(0, |output| output.bytes() as u64),
        differences: compare::differences(&example.expected, &came),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sidecar_loses_its_rates_and_nothing_else() {
        let text = "[per_plugin]\nrate = '1/min'\nburst = 1\nqueue = 3\n[tools.rate]\n\
                    per_agent.rate = '1/h'\nper_call.fuel = '5M'\n";
        let kept = without_rates(text.to_owned()).parse::<toml::Table>().unwrap();
        let expected =
            "[per_plugin]\nqueue = 3\n[tools.rate]\nper_agent = {}\nper_call.fuel = '5M'";
        assert_eq!(kept, expected.parse::<toml::Table>().unwrap());
        assert_eq!(without_rates("[".to_owned()), "[");
    }
}
