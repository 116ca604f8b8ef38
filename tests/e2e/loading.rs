//! The drop folder: what is broken is named, and everything else keeps serving.

use bulkhead_tests::{Host, component, until};
use serde_json::json;

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(component(name)).unwrap()
}

fn hello() -> serde_json::Value {
    json!({ "message": "hello" })
}

#[tokio::test]
async fn each_broken_file_is_named_with_its_reason() {
    let echo = bytes("echo");
    let half = &echo[..echo.len() / 2];
    let mut damaged = echo.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 64].fill(0xff);
    let mut setup = Host::test().plugin("counter").agent("alice", &["*"]);
    let broken: [(&str, &[u8], &str, &str); 13] = [
        ("truncated", half, "", "cut short"),
        ("damaged", &damaged, "", "was not loaded: it "),
        ("empty", b"", "", "not WebAssembly"),
        ("prose", b"this is a plugin, honestly", "", "not WebAssembly"),
        ("core", b"\0asm\x01\0\0\0", "", "core module"),
        ("hollow", b"\0asm\x0d\0\x01\0", "", "exports nothing"),
        ("typo", &echo, "[per_call]\nfule = '1M'", "fuel"),
        ("no_toml", &echo, "[per_call", "no_toml.toml:1"),
        ("wrong_unit", &echo, "[per_call]\nfuel = 'lots'", "fuel is a whole number"),
        ("out_of_range", &echo, "[per_call]\nmemory = '1TiB'", "memory"),
        ("ghost_rule", &echo, "[tools.ecko]\nrequires = ['x']", "did you mean `echo`"),
        ("granted", &echo, "[grant]\nhttp = ['GET https://example.com/*']", "grant"),
        ("bad.name!", &echo, "", "plugin name"),
    ];
    for (file, bytes, sidecar, _) in broken {
        setup = setup.file(&format!("{file}.wasm"), bytes);
        if !sidecar.is_empty() {
            setup = setup.file(&format!("{file}.toml"), sidecar);
        }
    }
    let host = setup.start().await;
    for (file, _, _, reason) in broken {
        let told = host.until_told(file).await;
        assert!(told.contains("was not loaded") && told.contains(reason), "{file}: {told}");
    }
    let alice = host.client("alice").await;
    assert_eq!(alice.tool_names().await, ["counter"]);
    alice.call("counter", json!({})).await.expect_ok();
    assert_eq!(host.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn a_dropped_file_is_served_on_the_next_call() {
    let host = Host::test().agent("alice", &["*"]).start().await;
    let alice = host.client("alice").await;
    assert_eq!(alice.tool_names().await, [""; 0]);
    alice.call("echo", hello()).await.expect_code("TOOL_NOT_FOUND");
    host.drop_component("echo");
    host.log.line("echo 0.0.0 is served").await;
    alice.call("echo", hello()).await.expect_ok();
    assert_eq!(alice.tool_names().await, ["echo"]);

    let mark = host.log.mark();
    std::fs::remove_file(host.plugin("echo.wasm")).unwrap();
    host.log.line_after(mark, "echo: gone").await;
    alice.call("echo", hello()).await.expect_code("TOOL_NOT_FOUND");
}

#[tokio::test]
async fn a_folder_that_comes_later_is_watched_too() {
    let setup = Host::test().agent("alice", &["*"]);
    let folder = setup.folder();
    std::fs::remove_dir(folder.plugin("")).unwrap();
    let host = Host::start(folder).await;
    let alice = host.client("alice").await;
    std::fs::create_dir(host.plugin("")).unwrap();
    host.drop_component("echo");
    host.log.line("echo 0.0.0 is served").await;
    alice.call("echo", hello()).await.expect_ok();
}

#[tokio::test]
async fn a_replacement_takes_over_and_a_broken_one_does_not() {
    let host = Host::test().plugin("echo").agent("alice", &["*"]).start().await;
    let alice = host.client("alice").await;
    let echo = bytes("echo");
    host.drop_in("echo.wasm", &echo[..echo.len() / 2]);
    let told = host.log.line("The version from before is still served").await;
    assert!(told.contains("cut short"), "{told}");
    alice.call("echo", hello()).await.expect_ok();

    let mark = host.log.mark();
    host.drop_in("echo.wasm", bytes("counter"));
    host.log.line_after(mark, "is served").await;
    alice.call("counter", json!({})).await.expect_ok();
    assert_eq!(alice.tool_names().await, ["counter"], "the old tool went with the old component");
    let record = host.audit().pop().unwrap();
    assert_eq!(record["digest"], bulkhead_tests::sha256(&bytes("counter")));
}

#[tokio::test]
async fn a_call_in_flight_ends_with_the_plugin_that_it_began_with() {
    let host = Host::test().plugin("slow").agent("alice", &["*"]).start().await;
    let alice = host.client("alice").await;
    let mut nap = alice.open("slow", json!({ "ms": 1_500 })).await;
    nap.next().await.unwrap();
    let mark = host.log.mark();
    host.drop_in("slow.wasm", bytes("echo"));
    host.log.line_after(mark, "is served").await;
    alice.call("echo", hello()).await.expect_ok();
    alice.call("slow", json!({ "ms": 1 })).await.expect_code("TOOL_NOT_FOUND");
    assert_eq!(nap.finish().await.block(), "waited 1500 ms");
}

#[tokio::test]
async fn a_sidecar_takes_effect_on_the_next_call_and_a_broken_one_does_not() {
    let host = Host::test().plugin("echo").agent("alice", &["*"]).start().await;
    let alice = host.client("alice").await;
    let mark = host.log.mark();
    host.drop_in("echo.toml", "per_call.max_input = '64B'");
    host.log.line_after(mark, "is served").await;
    let long = json!({ "message": "x".repeat(100) });
    alice.call("echo", long.clone()).await.expect_code("INVALID_ARGUMENTS");

    let mark = host.log.mark();
    host.drop_in("echo.toml", "per_call.max_imput = '64B'");
    let told = host.log.line_after(mark, "still served").await;
    assert!(told.contains("max_input"), "it says what was meant: {told}");
    alice.call("echo", long.clone()).await.expect_code("INVALID_ARGUMENTS");

    let mark = host.log.mark();
    std::fs::remove_file(host.plugin("echo.toml")).unwrap();
    host.log.line_after(mark, "is served").await;
    alice.call("echo", long).await.expect_ok();
}

#[tokio::test]
async fn a_name_that_two_plugins_offer_is_served_by_neither() {
    let setup = Host::test().plugin("echo").plugin("counter").agent("alice", &["*"]);
    let host = setup.file("other.wasm", bytes("echo")).start().await;
    let alice = host.client("alice").await;
    let told = host.log.line("`echo` is offered by").await;
    assert!(told.contains("echo and other"), "{told}");
    assert_eq!(alice.tool_names().await, ["counter"]);
    alice.call("echo", hello()).await.expect_code("TOOL_NOT_FOUND");

    host.drop_in("other.toml", "prefix = 'other_'");
    until("both names", async || {
        (alice.tool_names().await == ["counter", "echo", "other_echo"]).then_some(())
    })
    .await;
    alice.call("echo", hello()).await.expect_ok();
    let prefixed = alice.call("other_echo", hello()).await;
    assert_eq!(prefixed.structured(), &hello());
    assert_eq!(host.record(prefixed.request_id()).await["plugin"], "other");
}

#[tokio::test]
async fn compiled_code_is_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let host = Host::test().plugin("echo").start().await;
    let cache = host.state("compiled");
    assert_eq!(std::fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o700);
    let entries = std::fs::read_dir(&cache).unwrap().count();
    assert!(entries > 0, "a second start does not compile again");
}
