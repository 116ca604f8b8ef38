//! The engine, its pool of instances, and what the machine allows.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Linker;
use wasmtime::{
    Cache, CacheConfig, Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel,
    PoolingAllocationConfig,
};

use super::bindings;
use super::capabilities;
use super::compiler::{Compiler, MAX_CACHED_CODE, code_folder};
use super::execution::Burners;
use super::state::CallState;
use crate::clock::Clock;
use crate::config;

/// How often running guests compare the clock with their deadline. A call may
/// outlive its deadline by this much; a shorter tick interrupts every guest more
/// often for no visible gain.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// The memory of a slot that stays resident between calls, so that a fresh
/// instance finds its pages mapped. Covers a Rust plugin whole; larger guests
/// fault the rest in.
const RESIDENT_BYTES: usize = 1 << 20;

/// The most slots worth reserving: each call in flight needs one, and other limits
/// are reached long before.
const MAX_SLOTS: u32 = 2_048;

/// Memory mappings of one slot with a running call, measured: memory, image, stack
/// and their guards. Doubled, because components may have several memories.
const MAPPINGS_PER_SLOT: u64 = 12;

/// Mappings left to everything else in the process.
const MAPPINGS_RESERVED: u64 = 8_192;

/// Linux's default of `vm.max_map_count`, where it cannot be read.
const DEFAULT_MAX_MAPPINGS: u64 = 65_530;

/// The memories, tables and core instances that one component may have. A Python
/// component has a few dozen modules linked into one.
const PARTS_PER_COMPONENT: u32 = 64;

/// The most elements of one table; Python's has some 20,000 functions.
const MAX_TABLE_ELEMENTS: usize = 100_000;

/// The largest memory that any quota may allow: all that 32-bit wasm can address.
const MAX_MEMORY_BYTES: usize = 4 << 30;

/// How many uses of cached code may wait to be noted.
const CACHE_EVENTS: u64 = 10_000;

/// The open files to ask for where the hard limit cannot be had: what macOS allows.
const MANY_FILES: u64 = 10_240;

/// What this machine allows the sandbox.
#[derive(Clone, Debug)]
pub struct Machine {
    /// How many calls can be in a sandbox at once; `None` where instances are
    /// allocated on demand because the pool could not be reserved.
    pub slots: Option<u32>,
    /// Why there is no pool.
    pub no_pool: Option<String>,
    /// Whether the kernel tells which pages a call touched (Linux 6.7), so that
    /// a slot can stay resident.
    pub pagemap_scan: bool,
    /// The kernel's limit of memory mappings.
    pub max_mappings: u64,
    /// How many files the process may have open.
    pub open_files: Option<u64>,
}

impl Machine {
    fn look() -> Self {
        let max_mappings = std::fs::read_to_string("/proc/sys/vm/max_map_count")
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(DEFAULT_MAX_MAPPINGS);
        Self {
            slots: None,
            no_pool: None,
            pagemap_scan: PoolingAllocationConfig::is_pagemap_scan_available(),
            max_mappings,
            open_files: raise_open_files(),
        }
    }

    fn affordable_slots(&self) -> u32 {
        let affordable = self.max_mappings.saturating_sub(MAPPINGS_RESERVED) / MAPPINGS_PER_SLOT;
        u32::try_from(affordable).unwrap_or(MAX_SLOTS).clamp(16, MAX_SLOTS)
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.slots, &self.no_pool) {
            (Some(slots), _) => write!(
                f,
                "room for {slots} calls at once (vm.max_map_count {})",
                self.max_mappings
            )?,
            (None, why) => write!(
                f,
                "no pool, instances are made on demand ({}): each call costs some 50 µs more",
                why.as_deref().unwrap_or("not tried")
            )?,
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

/// Raises the soft limit of open files to the hard one: each plugin keeps an image
/// open, and each client a connection.
fn raise_open_files() -> Option<u64> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        // macOS takes no "unlimited" here, but its own bound.
        let enough = Rlimit { current: Some(MANY_FILES), maximum: limit.maximum };
        let raised = setrlimit(Resource::Nofile, raised).is_ok()
            || (limit.current < Some(MANY_FILES) && setrlimit(Resource::Nofile, enough).is_ok());
        if raised { getrlimit(Resource::Nofile).current } else { limit.current }
    }
    #[cfg(not(unix))]
    None
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

/// The engine and all that plugins share: threads, linker, pool, compiler, cache.
pub struct Sandbox {
    pub(super) engine: Engine,
    pub(super) linker: Linker<CallState>,
    pub(super) burners: Arc<Burners>,
    pub(super) compiler: Compiler,
    pub(super) clock: Arc<dyn Clock>,
    machine: Machine,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("machine", &self.machine).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Sets the sandbox up, with compiled code cached in `cache_dir`, and with these
    /// limits of the compiler.
    ///
    /// Whoever can write to `cache_dir` can run code in this process: it is
    /// created owner-only, and one that others may write to is refused.
    ///
    /// # Errors
    /// When the engine, its threads or its cache cannot be had.
    pub fn new(
        cache_dir: &Path,
        clock: Arc<dyn Clock>,
        compiler: config::Compiler,
    ) -> Result<Self, SandboxError> {
        let cache_dir = &own_folder(cache_dir)?;
        let compiler = Compiler::new(cache_dir, compiler)
            .map_err(|error| SandboxError(format!("{}: {error}", cache_dir.display())))?;
        let cache = cache(&code_folder(cache_dir))?;
        let mut machine = Machine::look();
        let slots = machine.affordable_slots();
        let engine = match pooled(cache.clone(), slots, machine.pagemap_scan) {
            Ok(engine) => {
                machine.slots = Some(slots);
                engine
            }
            Err(error) => {
                machine.no_pool = Some(format!("{error:#}"));
                Engine::new(&base_config(cache, EngineKind::Plain))?
            }
        };
        start_ticking(&engine)?;

        let mut linker = Linker::new(&engine);
        capabilities::link_inert(&mut linker)?;
        bindings::call::add_to_linker::<CallState, super::state::Calls>(&mut linker, |state| {
            state
        })?;

        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let burners = Burners::start(cores).map_err(|error| SandboxError(error.to_string()))?;
        Ok(Self { engine, linker, burners: Arc::new(burners), compiler, clock, machine })
    }

    /// What the machine allows.
    pub fn machine(&self) -> &Machine {
        &self.machine
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
        .concurrency_support(kind == EngineKind::Concurrent)
        .wasm_component_model_async(kind == EngineKind::Concurrent)
        .cranelift_opt_level(OptLevel::Speed)
        // A trap's backtrace is text that no caller may see, and it costs more
        // than the call. What only backtraces and debuggers read is left out: a
        // seventh of the code, and the registration of each component's frames.
        .wasm_backtrace_max_frames(None)
        .native_unwind_info(false)
        .generate_address_map(false)
        .cache(Some(cache));
    config
}

fn pooled(cache: Cache, slots: u32, pagemap_scan: bool) -> wasmtime::Result<Engine> {
    let resident = if pagemap_scan { RESIDENT_BYTES } else { 0 };
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(8))
        .total_memories(slots.saturating_mul(2))
        .total_tables(slots.saturating_mul(4))
        .total_stacks(slots)
        .max_core_instances_per_component(PARTS_PER_COMPONENT)
        .max_memories_per_component(PARTS_PER_COMPONENT)
        .max_tables_per_component(PARTS_PER_COMPONENT)
        .max_memory_size(MAX_MEMORY_BYTES)
        .table_elements(MAX_TABLE_ELEMENTS)
        .max_unused_warm_slots(slots)
        .linear_memory_keep_resident(resident)
        .table_keep_resident(resident)
        .pagemap_scan(if pagemap_scan { Enabled::Yes } else { Enabled::No });
    let mut config = base_config(cache, EngineKind::Plain);
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
        let servers = pooled(cache.clone(), 16, false).unwrap();
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
