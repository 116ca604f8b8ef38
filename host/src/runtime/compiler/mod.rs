//! Compiling: in a process of its own, with limits.
//!
//! The compiler reads a stranger's bytes, takes as long and as much memory as it takes,
//! and cannot be stopped. A component that makes it run for hours (a compile bomb) must
//! end a child, not the server, and nothing that the compiler leaves behind in memory
//! may stay in a process that lives for months.
//!
//! The child fills the engine's cache, and the server reads the code from there. A
//! marker says of a component that a child has compiled it within the limits; where
//! there is one, no child is started. Should the cache have lost the entry since, the
//! server compiles that component itself, which is no risk: it is known to be within
//! limits that the operator accepted.
//!
//! Deliberately absent: a way to compile bytes in the server's own process that no child
//! has compiled before.

mod child;
mod ending;
mod known;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStderr, ChildStdin, Command};
use tokio::sync::Semaphore;

pub use child::{CannotCompile, Order, compile_here};
use ending::Ending;
use known::Known;
pub(super) use known::MAX_CACHED_CODE;

use super::engine::EngineKind;
use super::inspection::Source;
use super::prepare::LoadError;
use crate::config::{self, Protection};
use crate::machine::Machine;

/// The hidden command that compiles.
pub const COMMAND: &str = "compile";

/// The most compilers at once; fewer where there are fewer cores, or little memory.
/// Each may take the whole of `compiler.memory`.
const MAX_AT_ONCE: usize = 4;

/// The most threads of one compiler: each needs memory of its own, which the same limit
/// bounds on a machine with any number of cores.
const MAX_THREADS: usize = 8;

/// How much of what a compiler says is read: a sentence, or the report of a panic.
const MAX_SAID: u64 = 4 << 10;

/// Starts compilers, and remembers what they have compiled.
#[derive(Debug)]
pub(super) struct Compiler {
    limits: config::Compiler,
    without: Vec<Protection>,
    code: PathBuf,
    known: Known,
    turns: Semaphore,
    threads: usize,
}

impl Compiler {
    /// Compilers that keep what they make in `folder`, and do without these protections.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(super) fn new(
        folder: &Path,
        limits: config::Compiler,
        without: &[Protection],
    ) -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let code = code_folder(folder);
        Ok(Self {
            limits,
            without: without.to_vec(),
            known: Known::open(&folder.join("known"), &code)?,
            code,
            turns: Semaphore::new(at_once(cores, &limits)),
            threads: cores.min(MAX_THREADS),
        })
    }

    /// Sees to it that the cache has a component's code for an engine, whose
    /// compatibility hash is `engine`. Calls `starting` when a compiler is started for
    /// it; without one, this returns at once.
    ///
    /// Dropping this future ends the compiler.
    ///
    /// # Errors
    /// When the component does not compile within the limits, or its code cannot be kept.
    pub(super) async fn compile(
        &self,
        source: &Source,
        kind: EngineKind,
        engine: u64,
        starting: &(dyn Fn() + Send + Sync),
    ) -> Result<(), LoadError> {
        let marker = self.known.marker(source.digest(), engine);
        if self.known.has(&marker) {
            return Ok(());
        }
        let failed = |why: &dyn std::fmt::Display| {
            LoadError::new(format!("the compiler could not be run: {why}"))
        };
        let _turn = self.turns.acquire().await.map_err(|error| failed(&error))?;
        starting();
        let ending = self.run(source.bytes(), kind).await.map_err(|error| failed(&error))?;
        ending.judge(&self.limits).map_err(LoadError::new)?;
        self.known.remember(&marker).map_err(|error| {
            LoadError::new(format!("{}: {error}; compiled code is kept there", marker.display()))
        })
    }

    /// Runs one compiler to its end, or to the end of its time.
    async fn run(&self, component: &Bytes, kind: EngineKind) -> std::io::Result<Ending> {
        let mut child = self.command(component.len(), kind)?.spawn()?;
        let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
        let running = async {
            let (_open, said, status) =
                tokio::join!(hand_over(stdin, component), listen(stderr), child.wait());
            Ok(Ending::Ended { status: status?, said })
        };
        match tokio::time::timeout(self.limits.timeout, running).await {
            Ok(ended) => ended,
            Err(_) => {
                // It may have ended in this moment.
                let _ = child.kill().await;
                Ok(Ending::TooLate)
            }
        }
    }

    /// This program as a compiler. It inherits nothing: no variables, no files, no
    /// input but the component's bytes.
    fn command(&self, length: usize, kind: EngineKind) -> std::io::Result<Command> {
        let mut command = Command::new(own_program()?);
        command
            .arg0("bulkhead")
            .arg(COMMAND)
            .arg("--code")
            .arg(&self.code)
            .arg("--cpu-seconds")
            .arg(self.limits.cpu.as_millis().div_ceil(1_000).to_string())
            .arg("--memory-bytes")
            .arg(self.limits.memory.0.to_string())
            .arg("--length")
            .arg(length.to_string());
        match kind {
            EngineKind::Plain => {}
            EngineKind::Concurrent => {
                command.arg("--concurrent");
            }
        }
        for protection in &self.without {
            command.arg("--without").arg(protection.name());
        }
        command
            .env_clear()
            .env("RAYON_NUM_THREADS", self.threads.to_string())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Ok(command)
    }
}

/// How many compilers may run at once: together they may take half of the machine's
/// memory, beside the half that is the calls'.
fn at_once(cores: usize, limits: &config::Compiler) -> usize {
    let fit = Machine::look().memory.0 / 2 / limits.memory.0.max(1);
    usize::try_from(fit).unwrap_or(MAX_AT_ONCE).clamp(1, cores.min(MAX_AT_ONCE))
}

/// Where the engines keep compiled code, in the folder that is theirs and the markers'.
pub(super) fn code_folder(folder: &Path) -> PathBuf {
    folder.join("code")
}

/// The program of this process. By its process where that is possible: an upgrade
/// replaces the file, and the new one would fill the cache for another engine.
fn own_program() -> std::io::Result<PathBuf> {
    let running = Path::new("/proc/self/exe");
    if running.exists() { Ok(running.to_path_buf()) } else { std::env::current_exe() }
}

/// Writes the component, and returns the pipe: the compiler ends when it is closed. One
/// that has ended early does not read it all, and says why elsewhere.
async fn hand_over(stdin: Option<ChildStdin>, component: &[u8]) -> Option<ChildStdin> {
    let mut stdin = stdin?;
    let _ = stdin.write_all(component).await;
    Some(stdin)
}

/// The beginning of what a compiler says, read until it is closed.
async fn listen(stderr: Option<ChildStderr>) -> String {
    let mut said = Vec::new();
    if let Some(stderr) = stderr {
        let _ = stderr.take(MAX_SAID).read_to_end(&mut said).await;
    }
    String::from_utf8_lossy(&said).into_owned()
}
