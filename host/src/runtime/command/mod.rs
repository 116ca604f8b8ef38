//! The third way in: a WASI command, one run of its `main` for each call.
//!
//! Standard input and the command line are made of the call's arguments as the author's
//! manifest says; standard output is the result, and the exit code says whether it is
//! one. A command sees nothing else: no variables, no files, no sockets.

mod arguments;
mod ending;
pub(super) mod preview1;

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use wasmtime::Store;
use wasmtime::component::{Component, ComponentExportIndex};
use wasmtime_wasi::I32Exit;

use super::engine::Sandbox;
use super::inspection::Source;
use super::invocation::{bounded, new_store};
use super::output::Produced;
use super::prepare::{Authored, DeclaredTool, Instantiated, LoadError, Prepared};
use super::state::CallState;
use crate::config::{Argument, Command, Manifest, PerCall, Stdin, Stdout, nearest, shown};
use crate::text::clean_line;

/// Asks a command to describe itself, when it is built.
const DESCRIBE: (&str, &str) = ("BULKHEAD_DESCRIBE", "1");

/// How much of what it says instead is shown, in characters.
const MAX_SHOWN_CHARS: usize = 800;

/// What a run of a command sees: the arguments of `main`, and standard input.
#[derive(Clone, Debug)]
pub(super) struct Program {
    /// The program's name first.
    pub(super) args: Vec<String>,
    pub(super) stdin: Bytes,
    /// The one variable of a command that is asked to describe itself.
    pub(super) variable: Option<(&'static str, &'static str)>,
}

/// A command and its tools.
pub(super) struct Commands {
    name: String,
    /// `None` of a module, whose `main` is `_start`.
    run: Option<ComponentExportIndex>,
    tools: BTreeMap<String, Command>,
}

impl Commands {
    /// The tools that the manifest says a component, or else a module, has.
    pub(super) fn of(
        component: Option<&Component>,
        manifest: &Manifest,
    ) -> Result<Self, LoadError> {
        for command in &manifest.commands {
            know_every_argument(command)?;
        }
        let by_name = |command: &Command| (command.name.to_string(), command.clone());
        Ok(Self {
            name: manifest.name.to_string(),
            run: component.map(run_of).transpose()?,
            tools: manifest.commands.iter().map(by_name).collect(),
        })
    }

    /// The tools as the manifest declares them.
    pub(super) fn declared(manifest: &Manifest) -> Vec<DeclaredTool> {
        let declared = |command: &Command| DeclaredTool {
            name: command.name.to_string(),
            title: command.title.clone(),
            description: command.description.clone(),
            input_schema: command.input_schema.clone(),
            output_schema: command.output_schema.clone(),
            annotations: Some(command.hints.into()),
        };
        manifest.commands.iter().map(declared).collect()
    }

    pub(super) async fn call(
        &self,
        prepared: &Prepared,
        store: &mut Store<CallState>,
        tool: &str,
        arguments: &str,
    ) -> wasmtime::Result<Produced> {
        let command = self.tools.get(tool);
        let command = command.ok_or_else(|| wasmtime::format_err!("a tool without its command"))?;
        let run = match arguments::lay_out(command, arguments) {
            Ok(run) => run,
            Err(zero) => return Ok(zero_byte(&zero.name)),
        };
        let mut args = vec![self.name.clone()];
        args.extend(run.args);
        let program = Program { args, stdin: run.stdin, variable: None };
        let ended = self.run(prepared, store, program).await?;
        let produced = ending::produced(ended.status, ended.stdout, command.stdout, &ended.stderr);
        // A program that gives up after it was refused memory says so in its own way, which
        // is as good as a trap.
        match store.data().memory.refused() {
            Some(_) if ending::is_untold(&produced, &ended.stderr) => {
                Err(I32Exit(ended.status).into())
            }
            Some(_) | None => Ok(produced),
        }
    }

    async fn run(
        &self,
        prepared: &Prepared,
        store: &mut Store<CallState>,
        program: Program,
    ) -> wasmtime::Result<Ended> {
        store.data_mut().program = Some(program);
        let status = match self.main(prepared, store).await {
            Ok(status) => status,
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(exit) => exit.0,
                None => return Err(error),
            },
        };
        let (stdout, stderr) = store.data().console();
        Ok(Ended { status, stdout, stderr })
    }

    /// Runs `main` in an instance of its own; one that calls `exit` ends in an error.
    async fn main(
        &self,
        prepared: &Prepared,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<i32> {
        match (prepared.instantiate_either(store).await?, self.run) {
            (Instantiated::Component(instance), Some(run)) => {
                let main = instance.get_typed_func::<(), (Result<(), ()>,)>(&mut *store, run)?;
                let (ended,) = main.call_async(store, ()).await?;
                Ok(i32::from(ended.is_err()))
            }
            (Instantiated::Module(instance), None) => {
                let main = instance.get_typed_func::<(), ()>(&mut *store, "_start")?;
                main.call_async(store, ()).await?;
                Ok(0)
            }
            (Instantiated::Component(_), None) | (Instantiated::Module(_), Some(_)) => {
                Err(wasmtime::format_err!("a command without its `main`"))
            }
        }
    }
}

/// Where a component has its `main`.
fn run_of(component: &Component) -> Result<ComponentExportIndex, LoadError> {
    let interfaces = component.component_type();
    let mut interfaces = interfaces.exports(component.engine());
    let found = interfaces.find(|(name, _)| name.starts_with("wasi:cli/run@0.2."));
    found
        .and_then(|(name, _)| component.get_export_index(None, name))
        .and_then(|interface| component.get_export_index(Some(&interface), "run"))
        .ok_or_else(|| LoadError::new("it has no `wasi:cli/run` of WASI 0.2"))
}

/// An argument that no call can have is a typo, and a run without what was meant. Only a
/// closed schema tells.
fn know_every_argument(command: &Command) -> Result<(), LoadError> {
    let schema: Value = serde_json::from_str(&command.input_schema).unwrap_or_default();
    if schema.get("additionalProperties") != Some(&Value::Bool(false)) {
        return Ok(());
    }
    let known = schema.get("properties").and_then(Value::as_object);
    let from_args = command.args.iter().filter_map(|argument| match argument {
        Argument::Fixed(_) => None,
        Argument::From(from) | Argument::Flag { from, .. } => Some(from),
    });
    let from_stdin = match &command.stdin {
        Stdin::From(from) => Some(from),
        Stdin::Json | Stdin::None => None,
    };
    let is_known = |from: &&String| known.is_some_and(|known| known.contains_key(*from));
    match from_args.chain(from_stdin).find(|from| !is_known(from)) {
        None => Ok(()),
        Some(from) => {
            let names = known.into_iter().flatten().map(|(name, _)| name.as_str());
            let hint = nearest(from, names)
                .map_or_else(String::new, |meant| format!("; did you mean `{}`?", shown(meant)));
            Err(LoadError::new(format!(
                "its tool `{}` passes on an argument `{}`, which its input schema does not have{hint}",
                command.name,
                shown(from)
            )))
        }
    }
}

/// How a run ended that was not ended by the host.
struct Ended {
    status: i32,
    stdout: Vec<u8>,
    stderr: String,
}

fn zero_byte(name: &str) -> Produced {
    Produced::Failed {
        code: "ZERO_BYTE".to_owned(),
        message: format!(
            "The argument `{name}` holds a zero byte, which a command line cannot. Leave it out."
        ),
        retryable: false,
        retry_after_ms: None,
        details: None,
    }
}

impl Sandbox {
    /// Runs a command as it is built, in a sandbox that was granted nothing, so that it
    /// describes its tools; returns what it prints.
    ///
    /// # Errors
    /// When it is no command, or does not end with exit code 0 within the default quotas.
    pub async fn describe(
        self: &std::sync::Arc<Self>,
        source: &Source,
        authored: &Authored,
        compiling: &(dyn Fn() + Send + Sync),
    ) -> Result<String, LoadError> {
        let prepared = self.prepare_undescribed(source, authored, compiling).await?;
        let quota = PerCall::default();
        let store = new_store(self, &prepared, &quota, None)
            .map_err(|error| LoadError::new(format!("{error:#}")))?;
        let asked = async move {
            bounded(store, &quota, CancellationToken::new(), async |store| {
                let Some(commands) = prepared.commands() else {
                    return Err(wasmtime::format_err!("it is no command"));
                };
                let args = vec![commands.name.clone()];
                let program = Program { args, stdin: Bytes::new(), variable: Some(DESCRIBE) };
                commands.run(&prepared, store, program).await
            })
            .await
        };
        let (name, value) = DESCRIBE;
        let refuse = |why: &str| LoadError::new(format!("run with {name}={value}, {why}"));
        let ended = self.burners.run(None, asked).await.map_err(LoadError::new)?;
        let ended = ended.result.map_err(|fault| {
            let error = fault.into_error(&quota);
            refuse(&format!("it failed with {}", error.code()))
        })?;
        match ending::produced(ended.status, ended.stdout, Stdout::Json, &ended.stderr) {
            Produced::Done { structured: Some(text), .. } => Ok(text),
            Produced::Failed { message, .. } => {
                let message = clean_line(&message, MAX_SHOWN_CHARS);
                Err(refuse(&format!("it failed: {message}")))
            }
            Produced::Done { .. } | Produced::InputRequired => Err(refuse("it printed nothing")),
        }
    }
}
