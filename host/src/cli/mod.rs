//! The command line: one file per command.
//!
//! Data goes to standard output, everything else to standard error. Exit codes are
//! those of `sysexits.h`, and 1 for a call that ended in an error.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is where people are told things"
)]

mod build;
mod call;
mod compile;
mod config;
mod dev;
mod failure;
mod key;
mod lifecycle;
mod plugin;
mod progress;
mod serve;
mod shared;
mod temporary;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use build::{BuildError, Built, build};
use failure::Failure;

use crate::runtime::COMPILE_COMMAND;

/// An MCP server whose tools are WebAssembly components.
///
/// Every call is authenticated, authorized, rate limited, checked against the
/// tool's schema, run in a fresh sandbox with fuel, memory and time quotas, cleaned,
/// and recorded.
#[derive(Debug, Parser)]
#[command(name = "bulkhead", version, max_term_width = 100)]
struct Arguments {
    /// The configuration file. Without one, every key has its default.
    #[arg(long, global = true, value_name = "FILE", env = "BULKHEAD_CONFIG")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build every plugin source under the folder, serve, and rebuild on change.
    ///
    /// Makes a development key that survives restarts, and prints what to paste into
    /// an MCP client. For an author's machine: it runs compilers, so nothing contains the
    /// process itself. Use `serve` in production.
    Dev,
    /// Serve the plugins of the folder over HTTP. Every request needs a key.
    Serve(serve::Serve),
    /// Call one tool through the whole pipeline, and print its result and what it spent.
    Call(call::Call),
    /// Build a plugin from its source, with its manifest inside.
    Build(build::Build),
    /// Look at plugins.
    #[command(subcommand)]
    Plugin(plugin::Plugin),
    /// Make, list and revoke API keys.
    #[command(subcommand)]
    Key(key::Key),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Compile the component on standard input into a server's cache.
    #[command(hide = true)]
    Compile(compile::Compile),
}

/// Does what a server's compiler does, if that is what this process was started for, and
/// says how it ended. For programs that are not `bulkhead` but load plugins: a sandbox
/// starts its own program to compile.
pub fn compile_if_asked() -> Option<ExitCode> {
    let asked = std::env::args_os().nth(1).is_some_and(|command| command == COMPILE_COMMAND);
    asked.then(|| run(std::env::args_os()))
}

/// Runs the program and says how it ended.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { failure::USAGE.into() } else { ExitCode::SUCCESS };
        }
    };
    match dispatch(arguments) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("bulkhead: {failure}");
            failure.code().into()
        }
    }
}

fn dispatch(Arguments { config, command }: Arguments) -> Result<ExitCode, Failure> {
    let load = || shared::load_config(config.as_deref());
    match command {
        Command::Dev => dev::run(load()?, config.as_deref()),
        Command::Serve(command) => command.run(load()?),
        Command::Call(command) => command.run(load()?),
        Command::Build(command) => command.run(),
        Command::Plugin(command) => command.run(),
        Command::Key(command) => command.run(&load()?),
        Command::Config(command) => command.run(config.as_deref()),
        Command::Compile(command) => Ok(command.run()),
    }
}
