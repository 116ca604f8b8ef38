//! `bulkhead compile`: what a server starts to compile a component. Not for people.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::names::ByteCount;
use crate::runtime::{EngineKind, Order, compile_here};

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
        match compile_here(&order) {
            Ok(()) => ExitCode::SUCCESS,
            Err(cannot) => {
                let said: String = cannot.to_string().chars().take(MAX_SAID).collect();
                eprintln!("{said}");
                cannot.exit_code().into()
            }
        }
    }
}
