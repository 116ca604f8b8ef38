//! The other side: compiling in this process, which does nothing else.

use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};
use wasmparser::Parser;
use wasmtime::component::Component;
use wasmtime::{Engine, Module};

use super::ending;
use crate::names::ByteCount;
use crate::runtime::engine::{EngineKind, base_config, cache};
use crate::runtime::prepare::MAX_COMPONENT_BYTES;

/// The largest file that a compiler may write, in bytes: the code of one component,
/// compressed.
pub(super) const MAX_FILE: ByteCount = ByteCount(256 << 20);

/// The most machine code of one component, in bytes. The server will hold all of it in
/// memory, and code that repeats itself compresses a thousandfold. A Python component
/// has some 50 MB.
const MAX_CODE: ByteCount = ByteCount(512 << 20);

/// How much nicer than the server a compiler is (`nice(2)`): as nice as guests that
/// compute, so that calls go first and compilers get a share.
const NICENESS: i32 = 19;

/// What a compiler is told.
#[derive(Clone, Debug)]
pub struct Order {
    /// The engine's cache.
    pub code: PathBuf,
    /// Which engine the code is for.
    pub engine: EngineKind,
    /// The CPU time of all threads together, in whole seconds.
    pub cpu: Duration,
    /// The memory that may be written.
    pub memory: ByteCount,
    /// How many bytes of standard input are the component.
    pub length: u64,
}

/// Why there is no compiled code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CannotCompile {
    /// The component is not what it should be.
    Invalid(String),
    /// There is not enough memory.
    Memory,
    /// The machine code is more than a server should hold.
    TooMuchCode,
    /// The cache does not take it.
    Cache(String),
    /// The limits cannot be set, or the component cannot be read.
    System(String),
}

impl CannotCompile {
    /// What the process exits with, of `sysexits.h`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Invalid(_) | Self::TooMuchCode => ending::INVALID,
            Self::Memory => ending::MEMORY,
            Self::Cache(_) => ending::CACHE,
            Self::System(_) => ending::SYSTEM,
        }
    }
}

impl fmt::Display for CannotCompile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(why) | Self::Cache(why) | Self::System(why) => f.write_str(why),
            Self::Memory => f.write_str("not enough memory"),
            Self::TooMuchCode => write!(f, "its machine code is larger than {MAX_CODE}"),
        }
    }
}

impl std::error::Error for CannotCompile {}

/// Compiles the component on standard input, so that the cache has its code. Limits this
/// process first, for good: it is to end when this returns.
///
/// # Errors
/// When there is no code then. Where a limit of the process is reached, a signal ends it
/// instead.
pub fn compile_here(order: &Order) -> Result<(), CannotCompile> {
    let system = |error: &dyn fmt::Display| CannotCompile::System(error.to_string());
    limit(order).map_err(|error| system(&error))?;
    let component = read(order.length).map_err(|error| system(&error))?;
    end_with_the_server().map_err(|error| system(&error))?;

    let in_cache = |error: wasmtime::Error| CannotCompile::Cache(format!("{error:#}"));
    let cache = cache(&order.code).map_err(in_cache)?;
    let engine = Engine::new(&base_config(cache.clone(), order.engine)).map_err(in_cache)?;
    let compiled = match Parser::is_core_wasm(&component) {
        true => Module::from_binary(&engine, &component).map(|module| module.image_range()),
        false => Component::from_binary(&engine, &component).map(|made| made.image_range()),
    };
    let code = compiled.map_err(|error| {
        let no_memory = |cause: &(dyn std::error::Error + 'static)| {
            cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error)
                == Some(rustix::io::Errno::NOMEM.raw_os_error())
                || cause.downcast_ref() == Some(&rustix::io::Errno::NOMEM)
        };
        match error.chain().any(no_memory) {
            true => CannotCompile::Memory,
            false => CannotCompile::Invalid(format!("{error:#}")),
        }
    })?;
    if (code.end.addr() - code.start.addr()) as u64 > MAX_CODE.0 {
        return Err(CannotCompile::TooMuchCode);
    }
    // An entry that cannot be written is no error to the engine.
    match cache.cache_hits() + cache.cache_misses() > 0 {
        true => Ok(()),
        false => Err(CannotCompile::Cache(format!("{} cannot be written", order.code.display()))),
    }
}

fn limit(order: &Order) -> rustix::io::Result<()> {
    // At the first, the process gets SIGXCPU, which tells the server why it ended; at
    // the second, it is killed.
    let cpu = order.cpu.as_secs();
    lower(Resource::Cpu, cpu, cpu.saturating_add(1))?;
    // What is private and can be written: heap, stacks, code. Not the address space,
    // of which malloc and the engine reserve much that they never use.
    lower(Resource::Data, order.memory.0, order.memory.0)?;
    lower(Resource::Fsize, MAX_FILE.0, MAX_FILE.0)?;
    lower(Resource::Core, 0, 0)?;
    nice(NICENESS).map(|_| ())
}

/// Limits a resource, or leaves a limit that is lower already.
fn lower(resource: Resource, current: u64, maximum: u64) -> rustix::io::Result<()> {
    let before = getrlimit(resource);
    let least = |limit: u64, before: Option<u64>| Some(before.map_or(limit, |b| b.min(limit)));
    let limit =
        Rlimit { current: least(current, before.current), maximum: least(maximum, before.maximum) };
    setrlimit(resource, limit)
}

fn read(length: u64) -> std::io::Result<Vec<u8>> {
    if length > MAX_COMPONENT_BYTES as u64 {
        return Err(std::io::Error::other("the component is too large"));
    }
    let mut component = Vec::new();
    std::io::stdin().lock().take(length).read_to_end(&mut component)?;
    if component.len() as u64 != length {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(component)
}

/// Ends this process when the server closes standard input: when it has lost interest,
/// or has ended itself, in whatever way.
fn end_with_the_server() -> std::io::Result<()> {
    let watch = || {
        let _ = std::io::stdin().lock().read(&mut [0]);
        std::process::exit(i32::from(ending::SYSTEM));
    };
    std::thread::Builder::new().name("server".to_owned()).spawn(watch).map(|_| ())
}
