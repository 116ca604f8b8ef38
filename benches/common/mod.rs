//! What the benches share: the components, a minimal wasmtime embedding to compare
//! with, and a host.

#![allow(dead_code, reason = "each bench uses what it needs")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bulkhead::config::Config;
use bulkhead::pipeline::Host;
use bulkhead::plugins::Change;
use bulkhead::transport::{Channel, Head, Presented};
use rustix::time::{ClockId, clock_gettime};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{
    Cache, CacheConfig, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store,
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// The contract, in a module of its own because its package is named as our crate is.
mod contract {
    wasmtime::component::bindgen!({
        path: "../wit/0.2",
        world: "tool-plugin",
        exports: { default: async },
    });
}

/// A tool, and a call of it.
pub(crate) struct Case {
    pub(crate) language: &'static str,
    pub(crate) file: &'static str,
    pub(crate) tool: &'static str,
    pub(crate) arguments: &'static str,
    /// How many calls make a measurement.
    pub(crate) calls: u32,
    /// It needs an engine that supports component-model-async.
    pub(crate) concurrent: bool,
}

pub(crate) const CASES: &[Case] = &[
    Case {
        language: "Rust",
        file: "records.wasm",
        tool: "get_record",
        arguments: r#"{"id":"rec_0001"}"#,
        calls: 20_000,
        concurrent: false,
    },
    Case {
        language: "Python",
        file: "echo_py.wasm",
        tool: "echo_py",
        arguments: r#"{"message":"hi"}"#,
        calls: 400,
        concurrent: false,
    },
    Case {
        language: "JavaScript",
        file: "echo_js.wasm",
        tool: "echo_js",
        arguments: r#"{"message":"hi"}"#,
        calls: 4_000,
        concurrent: true,
    },
];

/// The CPU time of this process, all threads together, so far: steadier than latency on
/// a shared machine.
pub(crate) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// The least that runs a component in a fresh instance: no fuel, no epochs, no
/// limits, WASI with nothing in it.
pub(crate) struct Bare {
    engine: Engine,
    pre: contract::ToolPluginPre<State>,
}

/// The functions of the `call` interface. The bench's tools import some, and call none.
const CALL: &[&str] = &[
    "agent",
    "subject",
    "scopes",
    "request-id",
    "traceparent",
    "tracestate",
    "client-metadata",
    "remaining-time-ms",
    "remaining-fuel",
    "input-responses",
    "input-state",
    "can-ask",
    "progress",
    "log",
];

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl Bare {
    /// Compiles a component.
    pub(crate) fn new(path: &Path, case: &Case) -> Self {
        let mut pool = PoolingAllocationConfig::new();
        pool.linear_memory_keep_resident(1 << 20)
            .table_keep_resident(1 << 20)
            .max_core_instances_per_component(64)
            .max_memories_per_component(64)
            .max_tables_per_component(64)
            .table_elements(100_000)
            .pagemap_scan(wasmtime::Enabled::Auto);
        let mut cache = CacheConfig::new();
        cache.with_directory(std::env::temp_dir().join("bulkhead-bench"));
        let mut config = wasmtime::Config::new();
        config
            .concurrency_support(case.concurrent)
            .wasm_component_model_async(case.concurrent)
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
            .cache(Some(Cache::new(cache).expect("a cache")));
        let engine = Engine::new(&config).expect("an engine");
        let component = Component::from_file(&engine, path).expect("a component");
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("WASI");
        let mut call = linker.instance("bulkhead:plugin/call@0.2.0").expect("the call interface");
        for function in CALL {
            let unused = |_: wasmtime::StoreContextMut<'_, State>, _, _: &[_], _: &mut [_]| {
                Err(wasmtime::Error::msg("not for the bench's tools"))
            };
            call.func_new(function, unused).expect("a function");
        }
        let pre = linker
            .instantiate_pre(&component)
            .and_then(contract::ToolPluginPre::new)
            .expect("a plugin");
        Self { engine, pre }
    }

    /// Calls it once, in a fresh instance.
    pub(crate) async fn call(&self, case: &Case) {
        let state = State { wasi: WasiCtx::builder().build(), table: ResourceTable::new() };
        let mut store = Store::new(&self.engine, state);
        let plugin = self.pre.instantiate_async(&mut store).await.expect("an instance");
        let tools = plugin.bulkhead_plugin_tools();
        let outcome = tools.call_call_tool(&mut store, case.tool, case.arguments).await;
        outcome.expect("no trap").expect("a result");
    }
}

/// A host in a folder of its own, without rates: they would end the measurement.
pub(crate) async fn host(plugins: &Path, more: &[(&str, &str)]) -> Arc<Host> {
    let state = std::env::temp_dir().join(format!("bulkhead-bench-{}", std::process::id()));
    let settings = [
        ("BULKHEAD__PLUGINS__DIR", plugins.display().to_string()),
        ("BULKHEAD__STATE__DIR", state.display().to_string()),
        ("BULKHEAD__PER_AGENT__RATE", "1000000/s".to_owned()),
        ("BULKHEAD__PER_AGENT__BURST", "100000".to_owned()),
        ("BULKHEAD__PER_AGENT__CONCURRENCY", "2000".to_owned()),
        ("BULKHEAD__PER_PLUGIN__CONCURRENCY", "2000".to_owned()),
        ("BULKHEAD__PER_CALL__MEMORY", "256MiB".to_owned()),
    ];
    let more = more.iter().map(|(key, value)| (*key, (*value).to_owned()));
    let settings = settings.into_iter().chain(more).map(|(key, value)| (key.to_owned(), value));
    let config = Config::load(None, settings).expect("a configuration");
    let host = bulkhead::boot::host(&config).expect("a host");
    let tell = |change: &Change| match change {
        Change::Refused { .. } | Change::Contested { .. } => println!("{change}"),
        Change::Loading { .. }
        | Change::Compiling { .. }
        | Change::Served { .. }
        | Change::Gone { .. } => {}
    };
    host.plugins.refresh(&tell).await;
    host.loaded.store(true, std::sync::atomic::Ordering::Relaxed);
    println!();
    host
}

/// The head of a call by whoever started this process.
pub(crate) fn head() -> Head {
    Head::without_headers(
        Channel::Local,
        Presented::Local("bench".parse().expect("a name")),
        Some("2025-11-25".to_owned()),
    )
}
