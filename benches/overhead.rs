//! What the whole pipeline costs over bare wasmtime, in CPU time per call.
//!
//! The same components answer the same calls two ways: instantiated by a minimal
//! wasmtime embedding that bounds nothing, and through [`bulkhead::pipeline`], from
//! a request's bytes to the audit record. CPU time is that of the process, all
//! threads together, which is steadier than latency on a shared machine.
//!
//!     cargo run --release -p benches --bin overhead -- PLUGINS_DIR

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a bench: it prints, and fails loudly"
)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bulkhead::config::Config;
use bulkhead::pipeline::{self, Host};
use bulkhead::respond::{Answer, Reply};
use bulkhead::transport::{Body, Channel, Head, Presented};
use bytes::Bytes;
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{
    Cache, CacheConfig, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store,
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// The contract, in a module of its own because its package is named as our crate is.
mod contract {
    wasmtime::component::bindgen!({
        path: "../wit/0.1",
        world: "tool-plugin",
        exports: { default: async },
    });
}

/// How often each measurement is taken; the least is told, which is what the work
/// costs when the machine leaves it alone.
const ROUNDS: usize = 5;

struct Case {
    file: &'static str,
    tool: &'static str,
    arguments: &'static str,
    calls: u32,
}

const CASES: &[Case] = &[
    Case {
        file: "records.wasm",
        tool: "get_record",
        arguments: r#"{"id":"rec_0001"}"#,
        calls: 20_000,
    },
    Case { file: "echo_py.wasm", tool: "echo_py", arguments: r#"{"message":"hi"}"#, calls: 400 },
];

fn main() -> ExitCode {
    if let Some(compiled) = bulkhead::cli::compile_if_asked() {
        return compiled;
    }
    let dir: PathBuf = std::env::args_os().nth(1).map_or_else(|| "plugins".into(), Into::into);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    println!("CPU time per call, least of {ROUNDS} rounds\n");
    println!(
        "{:<24} {:>8} {:>12} {:>12} {:>7}",
        "tool", "calls", "bare µs", "pipeline µs", "ratio"
    );
    runtime.block_on(async {
        let host = host(&dir).await;
        for case in CASES {
            let path = dir.join(case.file);
            if !path.is_file() {
                println!("{:<24} not measured: {} is missing", case.tool, path.display());
                continue;
            }
            let bare = Bare::new(&path);
            bare.call(case).await;
            through_pipeline(&host, case).await;
            let (mut least_bare, mut least_whole) = (Duration::MAX, Duration::MAX);
            for _ in 0..ROUNDS {
                least_bare = least_bare.min(per_call(case, async || bare.call(case).await).await);
                least_whole = least_whole
                    .min(per_call(case, async || through_pipeline(&host, case).await).await);
            }
            let micros = |time: Duration| time.as_secs_f64() * 1e6;
            println!(
                "{:<24} {:>8} {:>12.1} {:>12.1} {:>7.2}",
                case.tool,
                case.calls,
                micros(least_bare),
                micros(least_whole),
                micros(least_whole) / micros(least_bare)
            );
        }
        host.audit.finish().await;
    });
    ExitCode::SUCCESS
}

async fn per_call(case: &Case, call: impl AsyncFn()) -> Duration {
    let before = cpu_time();
    for _ in 0..case.calls {
        call().await;
    }
    (cpu_time() - before) / case.calls
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// The least that runs a component in a fresh instance: no fuel, no epochs, no
/// limits, WASI with nothing in it.
struct Bare {
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
    fn new(component: &Path) -> Self {
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
            .concurrency_support(false)
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
            .cache(Some(Cache::new(cache).expect("a cache")));
        let engine = Engine::new(&config).expect("an engine");
        let component = Component::from_file(&engine, component).expect("a component");
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("WASI");
        let mut call = linker.instance("bulkhead:plugin/call@0.1.0").expect("the call interface");
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

    async fn call(&self, case: &Case) {
        let state = State { wasi: WasiCtx::builder().build(), table: ResourceTable::new() };
        let mut store = Store::new(&self.engine, state);
        let plugin = self.pre.instantiate_async(&mut store).await.expect("an instance");
        let tools = plugin.bulkhead_plugin_tools();
        let outcome = tools.call_call_tool(&mut store, case.tool, case.arguments).await;
        outcome.expect("no trap").expect("a result");
    }
}

/// A host in a folder of its own, without rates: they would end the measurement.
async fn host(plugins: &Path) -> Arc<Host> {
    let state = std::env::temp_dir().join(format!("bulkhead-bench-{}", std::process::id()));
    let settings = [
        ("BULKHEAD__PLUGINS__DIR", plugins.display().to_string()),
        ("BULKHEAD__STATE__DIR", state.display().to_string()),
        ("BULKHEAD__PER_AGENT__RATE", "1000000/s".to_owned()),
        ("BULKHEAD__PER_AGENT__BURST", "100000".to_owned()),
        ("BULKHEAD__PER_CALL__MEMORY", "256MiB".to_owned()),
    ];
    let settings = settings.map(|(key, value)| (key.to_owned(), value));
    let config = Config::load(None, settings).expect("a configuration");
    let host = bulkhead::boot::host(&config).expect("a host");
    host.plugins.refresh(&|change| println!("{change}")).await;
    host.loaded.store(true, std::sync::atomic::Ordering::Relaxed);
    println!();
    host
}

async fn through_pipeline(host: &Arc<Host>, case: &Case) {
    let request = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": case.tool, "arguments": serde_json::from_str::<serde_json::Value>(case.arguments).expect("JSON") },
    });
    let head = Head::without_headers(
        Channel::Local,
        Presented::Local("bench".parse().expect("a name")),
        Some("2025-11-25".to_owned()),
    );
    let (progress, _reports) = mpsc::channel(1);
    let body = Body::Read(Bytes::from(request.to_string()));
    let reply = pipeline::answer(host, head, body, progress, CancellationToken::new()).await;
    let Reply::Answer { answer: Answer::Called(called), .. } = reply else {
        unreachable!("a call is answered as one: {reply:?}");
    };
    called.result.expect("a result");
}
