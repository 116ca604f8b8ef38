//! The compiler: in a process of its own, within its limits, and only when it has to.

use std::borrow::Cow;

use bulkhead_tests::{Client, Folder, Host, component, until};
use rustix::process::Signal;
use serde_json::json;
use wasm_encoder::{
    BlockType, CodeSection, ComponentSection, CustomSection, Function, FunctionSection, Module,
    ModuleSection, TypeSection, ValType,
};

/// How many functions the bomb has: together they take a compiler a minute or two of CPU
/// time, and more than ten seconds on eight fast cores. One alone takes it 100 MiB.
const FUNCTIONS: u32 = 120;

/// How often each function repeats what is costly to compile.
const ROUNDS: u32 = 10_000;

/// The local variables of each function: more than there are registers.
const LOCALS: u32 = 50;

/// `echo`, with a module inside that takes long to compile.
fn bomb() -> Vec<u8> {
    let mut function = Function::new([(LOCALS, ValType::I64)]);
    for round in 0..ROUNDS {
        let [a, b, c] = [1, 7, 3].map(|step| round * step % LOCALS);
        let mut code = function.instructions();
        code.local_get(a).local_get(b).i64_mul().local_set(c);
        code.block(BlockType::Empty).local_get(a).i32_wrap_i64().br_if(0);
        code.local_get(b).local_set(c).end();
    }
    function.instructions().end();
    let (mut types, mut functions, mut code) =
        (TypeSection::new(), FunctionSection::new(), CodeSection::new());
    types.ty().function([], []);
    for _ in 0..FUNCTIONS {
        functions.function(0);
        code.function(&function);
    }
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&code);
    let mut bytes = std::fs::read(component("echo")).unwrap();
    ModuleSection(&module).append_to_component(&mut bytes);
    bytes
}

async fn echoes(client: &Client) {
    let message = json!({ "message": "hi" });
    assert_eq!(client.call("echo", message.clone()).await.structured(), &message);
}

/// Under these limits, `echo` is served, a bomb that is dropped in is refused for this
/// reason, and `echo` is served all the time.
async fn refused(limits: &str, why: &str) {
    let setup = Host::test().plugin("echo").agent("alice", &["*"]);
    let host = setup.config(&format!("[compiler]\n{limits}")).start().await;
    let alice = host.client("alice").await;
    echoes(&alice).await;
    host.drop_in("bomb.wasm", bomb());
    host.log.line("bomb: compiling").await;
    echoes(&alice).await;
    let told = host.log.line("bomb was not loaded").await;
    assert!(told.contains(why), "{told}");
    assert_eq!(host.compilers(), [] as [u32; 0]);
    echoes(&alice).await;
    assert_eq!(alice.tool_names().await, ["echo"]);

    // It was not its being large, and refusing it left nothing behind.
    let mark = host.log.mark();
    host.drop_component("counter");
    host.log.line_after(mark, "counter: counter 0.0.0 is served").await;
    alice.call("counter", json!({})).await.expect_ok();
}

#[tokio::test]
async fn a_component_that_takes_too_much_cpu_time_is_refused() {
    refused("cpu = '1s'", "it took the compiler more than 1s of CPU time (`compiler.cpu`)").await;
}

#[tokio::test]
async fn a_component_that_takes_too_much_memory_is_refused() {
    let why = "it took the compiler more than 64MiB of memory (`compiler.memory`)";
    refused("memory = '64MiB'", why).await;
}

#[tokio::test]
async fn a_component_that_takes_too_long_is_refused() {
    refused("timeout = '5s'", "it took the compiler longer than 5s (`compiler.timeout`)").await;
}

/// A server that compiles a bomb, within limits that it will not reach for long.
async fn compiling() -> Host {
    let host = Host::test().plugin("echo").start().await;
    host.drop_in("bomb.wasm", bomb());
    until("a compiler", async || (!host.compilers().is_empty()).then_some(())).await;
    host
}

async fn until_no_compiler(folder: &Folder) {
    until("no compiler", async || folder.compilers().is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_compiler_ends_with_its_server() {
    let folder = compiling().await.stop().await;
    until_no_compiler(&folder).await;
}

#[tokio::test]
async fn a_compiler_ends_with_a_server_that_is_killed() {
    let host = compiling().await;
    host.signal(Signal::KILL);
    assert_eq!(host.ended().await.code(), None);
    until_no_compiler(&host).await;
}

/// How many components the cache has code of.
fn cached(folder: &Folder) -> usize {
    let engines = std::fs::read_dir(folder.state("compiled/code/modules")).unwrap();
    let files = engines.flat_map(|engine| std::fs::read_dir(engine.unwrap().path()).unwrap());
    files.filter(|file| file.as_ref().unwrap().path().extension().is_none()).count()
}

#[tokio::test]
async fn what_was_compiled_is_not_compiled_again() {
    let host = Host::test().plugin("echo").agent("alice", &["*"]).start().await;
    echoes(&host.client("alice").await).await;
    assert!(host.log.text().contains("echo: compiling"), "{:?}", host.log);
    assert_eq!(cached(&host), 1, "the server found what its compiler had made");

    let host = Host::start(host.stop().await).await;
    let alice = host.client("alice").await;
    echoes(&alice).await;
    assert!(!host.log.text().contains("compiling"), "{:?}", host.log);
    assert_eq!(cached(&host), 1);

    // Other bytes are another component, whatever its file is called.
    let mut other = std::fs::read(component("echo")).unwrap();
    let note = CustomSection { name: Cow::Borrowed("note"), data: Cow::Borrowed(b"other") };
    note.append_to_component(&mut other);
    let mark = host.log.mark();
    host.drop_in("echo.wasm", other);
    host.log.line_after(mark, "echo: compiling").await;
    host.log.line_after(mark, "is served").await;
    echoes(&alice).await;
    assert_eq!(cached(&host), 2);
}

#[tokio::test]
async fn code_that_the_cache_has_lost_is_made_again() {
    let host = Host::test().plugin("echo").agent("alice", &["*"]).start().await;
    let folder = host.stop().await;
    std::fs::remove_dir_all(folder.state("compiled/code")).unwrap();
    let host = Host::start(folder).await;
    echoes(&host.client("alice").await).await;
    assert_eq!(cached(&host), 1);
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_is_told() {
    let folder = Host::test().plugin("echo").folder();
    std::fs::create_dir_all(folder.state("compiled/code")).unwrap();
    std::fs::write(folder.state("compiled/code/modules"), "in the way").unwrap();
    let host = Host::start(folder).await;
    let told = host.log.line("echo was not loaded").await;
    let code = host.state("compiled/code");
    let why = format!("its compiled code cannot be kept: {} cannot be written", code.display());
    assert!(told.contains(&why), "{told}");

    let folder = host.stop().await;
    std::fs::remove_dir_all(folder.state("compiled")).unwrap();
    std::fs::write(folder.state("compiled"), "in the way").unwrap();
    let output = folder.serve_on("127.0.0.1:0").await;
    assert_eq!(output.status.code(), Some(69));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&*folder.state("compiled").to_string_lossy()), "{said}");
}
