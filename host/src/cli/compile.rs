//! `bulkhead compile`: what a server starts to compile a component. Not for people.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::config::Protection;
use crate::containment::{self, Plan};
use crate::names::ByteCount;
use crate::runtime::{CannotCompile, EngineKind, Order, compile_here};

/// The longest sentence, in characters: the server reads no more than 4 KiB.
const MAX_SAID: usize = 1_000;

#[derive(Debug, Args)]
pub(super) struct Compile {
    /// The folder of compiled code.
    #[arg(long)]
    code: PathBuf,
    /// CPU time of all threads together.
    #[arg(long)]
    cpu_seconds: u64,
    /// Memory that may be written.
    #[arg(long)]
    memory_bytes: u64,
    /// How many bytes of standard input are the component.
    #[arg(long)]
    length: u64,
    /// Compile for the engine that supports component-model-async.
    #[arg(long)]
    concurrent: bool,
    /// A protection of the process that the operator switched off.
    #[arg(long, value_parser = protection)]
    without: Vec<Protection>,
}

fn protection(name: &str) -> Result<Protection, String> {
    let named = Protection::ALL.into_iter().find(|protection| protection.name() == name);
    named.ok_or_else(|| "no such protection".to_owned())
}

impl Compile {
    pub(super) fn run(self) -> ExitCode {
        let order = Order {
            code: self.code,
            engine: if self.concurrent { EngineKind::Concurrent } else { EngineKind::Plain },
            cpu: Duration::from_secs(self.cpu_seconds),
            memory: ByteCount(self.memory_bytes),
            length: self.length,
        };
        // First of all, and before there is a second thread: it reads a stranger's bytes.
        let contained = containment::apply(&Plan::of_compiler(&order.code, &self.without))
            .map_err(|error| CannotCompile::System(error.to_string()));
        match contained.and_then(|_| compile_here(&order)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(cannot) => {
                let said: String = cannot.to_string().chars().take(MAX_SAID).collect();
                eprintln!("{said}");
                cannot.exit_code().into()
            }
        }
    }
}
