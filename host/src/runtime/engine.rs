//! The engines, their pools of instances, and what they have room for.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Linker;
use wasmtime::{
    Cache, CacheConfig, Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel,
    PoolingAllocationConfig, WasmBacktraceDetails,
};

use super::bindings;
use super::capabilities;
use super::command;
use super::compiler::{Compiler, MAX_CACHED_CODE, code_folder};
use super::execution::Burners;
use super::memory::TotalMemory;
use super::state::CallState;
use super::trace::MAX_FRAMES;
use crate::clock::Clock;
use crate::config::{self, Containment, Totals};
use crate::machine::raise_open_files;
use crate::names::ByteCount;

/// How often running guests compare the clock with their deadline. A call may
/// outlive its deadline by this much; a shorter tick interrupts every guest more
/// often for no visible gain.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// The memory of a slot that stays resident between calls, so that a fresh
/// instance finds its pages mapped. Covers a Rust plugin whole; larger guests
/// fault the rest in.
const RESIDENT_BYTES: usize = 1 << 20;

/// Of so many calls, one can be of a component that needs the engine with concurrency:
/// each engine reserves address space for its own.
const CONCURRENT_SHARE: u32 = 8;

/// The core instances that one component may have. A Python component has a few dozen
/// modules linked into one.
const INSTANCES_PER_COMPONENT: u32 = 64;

/// The memories that one component may have: one for each program that is composed into
/// it. Each takes address space of the pool, which has room for two a call.
const MEMORIES_PER_COMPONENT: u32 = 4;

/// The tables that one component may have: its own, and those of its adapters.
const TABLES_PER_COMPONENT: u32 = 8;

/// The most elements of one table; Python's has some 20,000 functions.
const MAX_TABLE_ELEMENTS: usize = 100_000;

/// The largest memory that any quota may allow: all that 32-bit wasm can address.
const MAX_MEMORY_BYTES: usize = 4 << 30;

/// How deep guests may call, in bytes of the host's stack. Python's own limit of 1,000
/// calls, through functions written in C, takes three quarters of it: a guest that knows a
/// limit should meet its own first. What a call has touched of its stack stays with the
/// slot, outside of the memory meter.
const MAX_STACK_BYTES: usize = 2 << 20;

/// What the host's own functions may take of the same stack besides.
const HOST_STACK_BYTES: usize = 1 << 20;

/// How many uses of cached code may wait to be noted.
const CACHE_EVENTS: u64 = 10_000;

/// What the sandbox has room for.
#[derive(Clone, Debug)]
pub struct Room {
    /// How many calls can be in a sandbox at once; see [`Totals::calls`].
    pub calls: u32,
    /// What all of them together may use of memory.
    pub memory: ByteCount,
    /// Why instances are allocated on demand, where the pool could not be reserved.
    pub no_pool: Option<String>,
    /// Whether the kernel tells which pages a call touched (Linux 6.7), so that
    /// a slot can stay resident.
    pub pagemap_scan: bool,
    /// How many files the process may have open.
    pub open_files: Option<u64>,
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "room for {} calls at once, in {}", self.calls, self.memory)?;
        if let Some(why) = &self.no_pool {
            write!(f, "; no pool ({why}): each call costs some 50 µs more")?;
        }
        if !self.pagemap_scan {
            f.write_str("; no pagemap scan, calls start slower (Linux 6.7 has it)")?;
        }
        if let Some(files) = self.open_files {
            write!(f, "; {files} open files")?;
        }
        Ok(())
    }
}

/// The sandbox could not be set up.
#[derive(Debug)]
pub struct SandboxError(String);

impl fmt::Display for SandboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the sandbox could not be set up: {}", self.0)
    }
}

impl std::error::Error for SandboxError {}

impl From<wasmtime::Error> for SandboxError {
    fn from(error: wasmtime::Error) -> Self {
        Self(format!("{error:#}"))
    }
}

/// Which engine a component needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// The fast one.
    Plain,
    /// One that supports component-model-async, which costs every call some tens of
    /// microseconds: JavaScript components load nowhere else.
    Concurrent,
}

/// An engine, what its guests are linked with, and how many of them fit.
pub(super) struct Stage {
    pub(super) engine: Engine,
    pub(super) linker: Linker<CallState>,
    pub(super) calls: u32,
}

impl Stage {
    fn new(engine: Engine, calls: u32) -> Result<Self, SandboxError> {
        start_ticking(&engine)?;
        let mut linker = Linker::new(&engine);
        capabilities::link_inert(&mut linker)?;
        bindings::call::add_to_linker::<CallState, super::state::Calls>(
            &mut linker,
            CallState::imported,
        )?;
        bindings::v0_1::call::add_to_linker::<CallState, super::state::Calls>(
            &mut linker,
            CallState::imported,
        )?;
        Ok(Self { engine, linker, calls })
    }
}

/// The engines and all that plugins share: threads, pools, compiler, cache, memory.
pub struct Sandbox {
    plain: Stage,
    concurrent: Stage,
    /// For modules of WASI Preview 1, on the plain engine.
    pub(super) preview1: wasmtime::Linker<CallState>,
    pub(super) burners: Burners,
    pub(super) compiler: Compiler,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) memory: Arc<TotalMemory>,
    room: Room,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("room", &self.room).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Sets the sandbox up for `totals`, with compiled code cached in `cache_dir`, and
    /// with these limits of the compiler, which is contained as this process is to be.
    ///
    /// Whoever can write to `cache_dir` can run code in this process: it is
    /// created owner-only, and one that others may write to is refused.
    ///
    /// # Errors
    /// When the engines, their threads or their cache cannot be had.
    pub fn new(
        cache_dir: &Path,
        clock: Arc<dyn Clock>,
        totals: &Totals,
        compiler: config::Compiler,
        containment: &Containment,
    ) -> Result<Self, SandboxError> {
        let cache_dir = &own_folder(cache_dir)?;
        let compiler = Compiler::new(cache_dir, compiler, &containment.without)
            .map_err(|error| SandboxError(format!("{}: {error}", cache_dir.display())))?;
        let cache = cache(&code_folder(cache_dir))?;
        let mut room = Room {
            calls: totals.calls,
            memory: totals.memory,
            no_pool: None,
            pagemap_scan: PoolingAllocationConfig::is_pagemap_scan_available(),
            open_files: raise_open_files(),
        };
        let mut stage = |kind, calls| {
            let config = base_config(cache.clone(), kind);
            let engine = match pooled(config.clone(), calls, room.pagemap_scan) {
                Ok(engine) => engine,
                Err(error) => {
                    room.no_pool = Some(format!("{error:#}"));
                    Engine::new(&config)?
                }
            };
            Stage::new(engine, calls)
        };
        let plain = stage(EngineKind::Plain, totals.calls)?;
        let concurrent = stage(EngineKind::Concurrent, totals.calls.div_ceil(CONCURRENT_SHARE))?;
        let mut preview1 = wasmtime::Linker::new(&plain.engine);
        command::preview1::link(&mut preview1)?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let burners =
            Burners::start(cores, &clock).map_err(|error| SandboxError(error.to_string()))?;
        let memory = Arc::new(TotalMemory::new(totals.memory));
        Ok(Self { plain, concurrent, preview1, burners, compiler, clock, memory, room })
    }

    /// What there is room for.
    pub fn room(&self) -> &Room {
        &self.room
    }

    pub(super) fn stage(&self, kind: EngineKind) -> &Stage {
        match kind {
            EngineKind::Plain => &self.plain,
            EngineKind::Concurrent => &self.concurrent,
        }
    }
}

/// The engine's cache of compiled code.
pub(super) fn cache(dir: &Path) -> wasmtime::Result<Cache> {
    let mut cache = CacheConfig::new();
    cache
        .with_directory(dir)
        .with_files_total_size_soft_limit(MAX_CACHED_CODE)
        // Room for the uses of a whole folder's plugins: what was used last is kept
        // longest, and an event beyond this would be lost.
        .with_worker_event_queue_size(CACHE_EVENTS);
    Cache::new(cache)
}

/// What code of an engine depends on: the same in the server and in its compiler.
pub(super) fn base_config(cache: Cache, kind: EngineKind) -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .epoch_interruption(true)
        .wasm_component_model(true)
        // Growing a 64-bit table by 2^64 - 1 wraps the engine's fuel counter, and fails
        // without having been announced to the memory meter. Pinned by `wide_memory`.
        .wasm_memory64(false)
        .concurrency_support(kind == EngineKind::Concurrent)
        .wasm_component_model_async(kind == EngineKind::Concurrent)
        .max_wasm_stack(MAX_STACK_BYTES)
        .async_stack_size(MAX_STACK_BYTES + HOST_STACK_BYTES)
        .cranelift_opt_level(OptLevel::Speed)
        // Functions by their names, for the operator: it costs a call nothing, a trap some
        // microseconds, and a stack that overflows most of a millisecond. What only debuggers and lines of source need is left out: a
        // seventh of the code, and the registration of each component's frames.
        .wasm_backtrace_max_frames(Some(MAX_FRAMES))
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .native_unwind_info(false)
        .generate_address_map(false)
        .cache(Some(cache));
    config
}

fn pooled(mut config: Config, calls: u32, pagemap_scan: bool) -> wasmtime::Result<Engine> {
    let resident = if pagemap_scan { RESIDENT_BYTES } else { 0 };
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls)
        .total_core_instances(calls.saturating_mul(INSTANCES_PER_COMPONENT))
        .total_memories(calls.saturating_mul(2).max(MEMORIES_PER_COMPONENT))
        .total_tables(calls.saturating_mul(TABLES_PER_COMPONENT))
        .total_stacks(calls)
        .max_core_instances_per_component(INSTANCES_PER_COMPONENT)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .max_memory_size(MAX_MEMORY_BYTES)
        .table_elements(MAX_TABLE_ELEMENTS)
        .max_unused_warm_slots(calls)
        .linear_memory_keep_resident(resident)
        .table_keep_resident(resident)
        .pagemap_scan(if pagemap_scan { Enabled::Yes } else { Enabled::No });
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

/// Advances the engine's epoch for as long as the engine lives.
fn start_ticking(engine: &Engine) -> Result<(), SandboxError> {
    let engine = engine.weak();
    std::thread::Builder::new()
        .name("epoch".to_owned())
        .spawn(move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        })
        .map(|_| ())
        .map_err(|error| SandboxError(error.to_string()))
}

/// Makes sure that only we can write to the folder of compiled code, and returns its
/// absolute path.
fn own_folder(dir: &Path) -> Result<PathBuf, SandboxError> {
    let failed = |error: std::io::Error| SandboxError(format!("{}: {error}", dir.display()));
    std::fs::create_dir_all(dir).map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let metadata = std::fs::metadata(dir).map_err(failed)?;
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(SandboxError(format!(
                "{} belongs to another user; compiled code is trusted, so remove it or choose another [state] dir",
                dir.display()
            )));
        }
        if metadata.mode() & 0o077 != 0 {
            std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))
                .map_err(failed)?;
        }
    }
    dir.canonicalize().map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::hash::{DefaultHasher, Hash, Hasher};

    use wasmtime::component::Component;

    use super::*;

    fn compatibility(engine: &Engine) -> u64 {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn a_pooled_engine_finds_what_the_compilers_engine_has_made() {
        let dir = std::env::temp_dir().join(format!("bulkhead-engine-{}", std::process::id()));
        let cache = cache(&dir).unwrap();
        let compilers = Engine::new(&base_config(cache.clone(), EngineKind::Plain)).unwrap();
        let servers = base_config(cache.clone(), EngineKind::Plain);
        let servers = pooled(servers, 16, false).unwrap();
        let other = Engine::new(&base_config(cache.clone(), EngineKind::Concurrent)).unwrap();
        assert_eq!(compatibility(&compilers), compatibility(&servers));
        assert_ne!(compatibility(&compilers), compatibility(&other));

        let empty = b"\0asm\x0d\0\x01\0";
        let counts = || (cache.cache_misses(), cache.cache_hits());
        for (engine, expected) in [(&compilers, (1, 0)), (&servers, (1, 1)), (&other, (2, 1))] {
            Component::from_binary(engine, empty).unwrap();
            assert_eq!(counts(), expected);
        }
        // The cache notes uses in the background, perhaps at this moment.
        let _ = std::fs::remove_dir_all(dir);
    }
}
