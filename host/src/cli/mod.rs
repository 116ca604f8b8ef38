//! The command line: one file per command.
//!
//! Data goes to standard output, everything else to standard error. Exit codes are
//! those of `sysexits.h`, and 1 for a call that ended in an error.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is where people are told things"
)]

mod access;
mod build;
mod call;
mod compile;
mod config;
mod dev;
mod failure;
mod key;
mod lifecycle;
mod new;
mod plugin;
mod policy;
mod progress;
mod revoke;
mod serve;
mod shared;
mod temporary;
mod test;
mod why;

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
    /// In a folder with a `plugin.toml` and without a `plugins/`, it builds and serves that
    /// plugin alone. A source is in any language that `build` takes; one whose toolchain is
    /// missing is told, and does not keep the others from being served.
    ///
    /// Makes a development key that survives restarts, and prints what to paste into
    /// an MCP client. For an author's machine: it runs compilers, so nothing contains the
    /// process itself. Use `serve` in production.
    Dev,
    /// Serve the plugins of the folder over HTTP. Every request needs a key.
    Serve(serve::Serve),
    /// Call one tool through the whole pipeline, and print its result and what it spent.
    Call(call::Call),
    /// Begin a plugin: write a source folder with a small tool, in any of six languages.
    New(new::New),
    /// Build a plugin from its source, in any language, with its manifest inside.
    Build(build::Build),
    /// Build a plugin, make the calls of its examples.toml, and compare what comes back.
    ///
    /// Each goes through the whole pipeline, under the quotas of its sidecar NAME.toml where
    /// there is one beside the source folder or in it. Shows what each call spent, and how
    /// much of a model's context each tool takes. Ends with 1 when something differs.
    Test(test::Test),
    /// Look at plugins.
    #[command(subcommand)]
    Plugin(plugin::Plugin),
    /// Make, list, replace and revoke API keys.
    #[command(subcommand)]
    Key(key::Key),
    /// Show who may call what, and through which line of the configuration.
    Access(access::Access),
    /// Tell which gate decided a past call, through which line of the configuration, and what
    /// would have had to be different.
    ///
    /// Works from the audit log and from the configuration as it is now, and warns where that
    /// has changed since. For the operator: it shows what no client is told, such as a crashed
    /// tool's own backtrace.
    Why(why::Why),
    /// Check the policy on arguments, and try a decision.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Cut off an agent, a subject, a token, or what was issued until a moment.
    ///
    /// Takes effect on the next call of every server of this state folder, and on calls in
    /// flight. What was revoked is kept in revocations.jsonl there.
    Revoke(revoke::Revoke),
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
    end_with_reader();
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

/// Has the program end, and not complain, when whoever reads its output has read enough, as
/// `head` has.
fn end_with_reader() {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let what = panic.payload_as_str().unwrap_or_default();
        if what.starts_with("failed printing to stdout") && what.contains("Broken pipe") {
            std::process::exit(0);
        }
        told(panic);
    }));
}

fn dispatch(Arguments { config, command }: Arguments) -> Result<ExitCode, Failure> {
    let load = || shared::load_config(config.as_deref());
    match command {
        Command::Dev => dev::run(load()?, config.as_deref()),
        Command::Serve(command) => command.run(load()?),
        Command::Call(command) => command.run(load()?),
        Command::New(command) => command.run(),
        Command::Build(command) => command.run(),
        Command::Test(command) => command.run(load()?),
        Command::Plugin(command) => command.run(),
        Command::Key(command) => command.run(&load()?),
        Command::Access(command) => command.run(&load()?),
        Command::Why(command) => command.run(&load()?, config.as_deref()),
        Command::Policy(command) => command.run(&load()?),
        Command::Revoke(command) => command.run(&load()?),
        Command::Config(command) => command.run(config.as_deref()),
        Command::Compile(command) => Ok(command.run()),
    }
}
