//! What belongs to one call: the data of its store.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use wasmtime::component::{HasData, ResourceTable};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::capabilities;
use super::command::Program;
use super::console::{Console, Stream};
use super::invocation::MAX_RESOURCES;
use super::memory::{MemoryMeter, TotalMemory};
use crate::auth::Principal;
use crate::clock::Clock;
use crate::config::PerCall;
use crate::names::{ByteCount, Fuel, RequestId};

/// How much a line of a guest's log matters (RFC 5424).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of RFC 5424")]
pub enum Level {
    Debug,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    Alert,
    Emergency,
}

/// Something that a guest says while its call runs. Its texts are the guest's own:
/// hostile until they are cleaned.
#[derive(Clone, Copy, Debug)]
pub enum GuestEvent<'a> {
    /// A report of progress; grows from one to the next.
    Progress {
        /// How far the call is.
        progress: f64,
        /// Where it ends, if the guest knows.
        total: Option<f64>,
        /// What it does.
        message: Option<&'a str>,
    },
    /// A line for the operator's log.
    Log {
        /// How much it matters.
        level: Level,
        /// What it says.
        message: &'a str,
    },
    /// What it printed to standard output and standard error, told once, at its end.
    Printed {
        /// All of it, or as much as is kept.
        text: &'a str,
        /// How many lines of it may go to the operator's log.
        lines: u32,
    },
}

/// Hears what a guest says.
pub type Events = Arc<dyn Fn(GuestEvent<'_>) + Send + Sync>;

/// What the host knows about a call besides who makes it.
#[derive(Clone)]
pub struct CallContext {
    /// Our name for it.
    pub request_id: RequestId,
    /// The W3C `traceparent`, where the client sent one.
    pub traceparent: Option<Arc<str>>,
    /// The W3C `tracestate`, where the client sent one.
    pub tracestate: Option<Arc<str>>,
    /// The client's own metadata, a JSON object.
    pub client_metadata: Arc<str>,
    /// Who hears what the guest says.
    pub events: Events,
    /// Ends the call early.
    pub cancel: CancellationToken,
}

impl fmt::Debug for CallContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallContext").field("request_id", &self.request_id).finish_non_exhaustive()
    }
}

/// The data of a call's store.
pub(super) struct CallState {
    /// Made when a guest asks for anything of WASI: most calls never do, and making it
    /// costs as much as a small one.
    wasi: Option<Box<WasiCtx>>,
    /// The same, where the guest is a module of WASI Preview 1.
    preview1: Option<Box<WasiP1Ctx>>,
    /// What is left of a command's standard input, where the guest is a module.
    stdin: Bytes,
    /// What the guest does there; `None` while it has asked for nothing.
    console: Option<Console>,
    /// What a command is run with; `None` for every other component.
    pub(super) program: Option<Program>,
    pub(super) resources: ResourceTable,
    pub(super) memory: MemoryMeter,
    /// `None` while the host asks for the plugin's tools.
    pub(super) call: Option<(Principal, CallContext)>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) started: Instant,
    pub(super) deadline: Instant,
    /// The quota of fuel.
    pub(super) fuel: Fuel,
    /// Calls of imports, those of inert WASI included.
    pub(super) imports: u64,
    pub(super) host_calls: u32,
    pub(super) max_host_calls: u32,
    pub(super) max_output: ByteCount,
    pub(super) log_lines: u32,
    pub(super) max_log_lines: u32,
    pub(super) last_progress: Option<f64>,
}

/// The fuel that a call of an import costs: about what the host works for it. The
/// engine's meter stands still meanwhile.
const IMPORT_FUEL: u64 = 1_000;

/// The fuel that a random byte costs besides.
const RANDOM_BYTE_FUEL: u64 = 20;

impl CallState {
    /// The state of a call that begins now; `None` while a plugin is asked for its tools.
    pub(super) fn new(
        quota: &PerCall,
        total: &Arc<TotalMemory>,
        clock: &Arc<dyn Clock>,
        call: Option<(Principal, CallContext)>,
    ) -> Self {
        let mut resources = ResourceTable::new();
        resources.set_max_capacity(MAX_RESOURCES);
        let started = clock.now();
        Self {
            wasi: None,
            preview1: None,
            stdin: Bytes::new(),
            console: None,
            program: None,
            resources,
            memory: MemoryMeter::new(quota.memory, Arc::clone(total)),
            call,
            clock: Arc::clone(clock),
            started,
            deadline: started + quota.deadline,
            fuel: quota.fuel,
            imports: 0,
            host_calls: 0,
            max_host_calls: quota.host_calls,
            max_output: quota.max_output,
            log_lines: 0,
            max_log_lines: quota.log_lines,
            last_progress: None,
        }
    }

    /// Counts a call of an import, and passes the state on to it.
    pub(super) fn imported(&mut self) -> &mut Self {
        self.imports = self.imports.saturating_add(1);
        self
    }

    /// All that it has printed, up to a bound.
    pub(super) fn printed(&self) -> Option<String> {
        self.console.as_ref().and_then(Console::text)
    }

    /// What a command wrote to standard output and standard error.
    pub(super) fn console(&self) -> (Vec<u8>, String) {
        let console = self.console.as_ref();
        let told = |console: &Console| (console.output(), console.text().unwrap_or_default());
        console.map(told).unwrap_or_default()
    }

    /// WASI Preview 1 in its inert form: every function of it gets at its state through
    /// this.
    pub(super) fn preview1(&mut self) -> &mut WasiP1Ctx {
        self.imported();
        let preview1 = self.preview1.take();
        let preview1 = preview1.unwrap_or_else(|| Box::new(self.inert_wasi().build_p1()));
        self.preview1.insert(preview1)
    }

    /// Where a module writes to, of these two.
    pub(super) fn output(&mut self, fd: i32) -> Option<Stream> {
        self.preview1();
        let console = self.console.as_ref()?;
        match fd {
            1 => Some(console.stdout()),
            2 => Some(console.stderr()),
            _ => None,
        }
    }

    /// What a module reads, of its standard input alone.
    pub(super) fn input(&mut self, fd: i32) -> Option<&mut Bytes> {
        self.preview1();
        (fd == 0).then_some(&mut self.stdin)
    }

    fn inert_wasi(&mut self) -> WasiCtxBuilder {
        let program = self.program.take();
        let console = match program {
            Some(_) => Console::apart(self.max_output),
            None => Console::default(),
        };
        self.stdin = program.as_ref().map(|program| program.stdin.clone()).unwrap_or_default();
        let frozen = self.call.is_none();
        capabilities::inert(self.console.insert(console), program, frozen)
    }

    /// What the calls of imports have cost so far.
    pub(super) fn imports_cost(&self) -> Fuel {
        let drawn = self.console.as_ref().map_or(0, Console::drawn);
        let drawn = drawn.saturating_mul(RANDOM_BYTE_FUEL);
        Fuel(self.imports.saturating_mul(IMPORT_FUEL).saturating_add(drawn))
    }
}

/// Tells the engine that `call`'s functions work on the whole [`CallState`].
pub(super) struct Calls;

impl HasData for Calls {
    type Data<'a> = &'a mut CallState;
}

impl WasiView for CallState {
    /// Every function of WASI gets at its state through this.
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.imported();
        let wasi = self.wasi.take();
        let wasi = wasi.unwrap_or_else(|| Box::new(self.inert_wasi().build()));
        WasiCtxView { ctx: self.wasi.insert(wasi), table: &mut self.resources }
    }
}
