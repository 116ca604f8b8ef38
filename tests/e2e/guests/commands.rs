//! WASI commands: a `main` for each call.

use bulkhead_tests::{Client, Host};
use serde_json::{Value, json};

use super::attack;

/// A manifest with one tool for each way that the guest `command` ends.
fn manifest(tools: &[(&str, &str)]) -> String {
    let mut manifest = "name = 'command'\nversion = '1.0.0'\n".to_owned();
    for (name, more) in tools {
        manifest.push_str(&format!(
            "[[command]]\nname = '{name}'\ndescription = 'Ends.'\n\
             input_schema = {{ type = 'object' }}\n{more}\n"
        ));
    }
    manifest
}

/// A server with the guest, of WASI 0.2 or of Preview 1.
async fn serving(guest: &str, tools: &[(&str, &str)]) -> (Host, Client) {
    let component = std::fs::read(bulkhead_tests::component(guest)).unwrap();
    serving_file(component, tools).await
}

async fn serving_file(component: Vec<u8>, tools: &[(&str, &str)]) -> (Host, Client) {
    let setup = Host::test()
        .plugin("echo")
        .file("command.wasm", component)
        .file("command.plugin.toml", manifest(tools))
        .sidecar("command", "per_call.max_output = '64KiB'")
        .agent("alice", &["*"])
        .config(super::QUOTA);
    let host = setup.start().await;
    let alice = host.client("alice").await;
    (host, alice)
}

#[tokio::test]
pub(super) async fn command() {
    // WASI 0.2 knows no exit code but 0 and 1.
    ends_in_every_way("command", 1).await;
}

#[tokio::test]
async fn a_command_of_preview1_ends_as_well() {
    ends_in_every_way("command-preview1", 2).await;
}

async fn ends_in_every_way(guest: &str, two: i32) {
    let ends = [
        "nothing",
        "silent",
        "prose",
        "error",
        "contradiction",
        "not_utf8",
        "megabytes",
        "at_once",
        "reads_at_once",
        "status_255",
        "noise",
        "fork",
        "forever",
        "panic",
    ];
    let args: Vec<(&str, String)> =
        ends.iter().map(|name| (*name, format!("args = ['{name}']"))).collect();
    let mut tools: Vec<(&str, &str)> =
        args.iter().map(|(name, args)| (*name, args.as_str())).collect();
    tools.push(("nothing_json", "args = ['nothing']\nstdout = 'json'"));
    tools.push(("text_json", "args = ['fork']\nstdout = 'json'"));
    let (host, alice) = serving(guest, &tools).await;
    let call = async |name: &str| alice.call(name, json!({})).await;

    assert_eq!(call("nothing").await.block(), "");
    assert_eq!(call("not_utf8").await.block(), "caf\u{fffd}");
    assert_eq!(call("fork").await.block(), "no process\n");
    let long = alice.call("reads_at_once", json!({ "text": "x".repeat(100) })).await;
    let told = long.block();
    assert_eq!(told, format!("read {} bytes\n", r#"{"text":""}"#.len() + 100));
    let prose =
        format!("The command ended with exit code {two}: wc: no such option usage: wc FILE");
    for (tool, code, message) in [
        ("silent", "TOOL_FAILED", "The command ended with exit code 1, and said nothing."),
        ("prose", "TOOL_FAILED", prose.as_str()),
        ("noise", "NOISY", "After four megabytes."),
        ("status_255", "TOO_COLD", "Not below 0."),
    ] {
        let ended = attack(&host, &alice, tool, json!({}), code).await;
        assert_eq!(ended.answer.expect_code(code)["message"], message);
    }
    let untold = call("prose").await;
    assert_eq!(untold.expect_code("TOOL_FAILED")["details"], json!({ "exitCode": two }));
    let failed = call("error").await;
    let error = failed.expect_code("EMPTY_TEXT");
    assert_eq!((&error["retryable"], &error["retryAfterMs"]), (&json!(true), &json!(1_500)));
    assert_eq!(error["details"], json!({ "n": 3 }));
    let gone = call("contradiction").await;
    let error = gone.expect_code("GONE");
    assert_eq!((&error["retryable"], &error["retryAfterMs"]), (&json!(false), &Value::Null));
    for flood in ["megabytes", "at_once"] {
        attack(&host, &alice, flood, json!({}), "OUTPUT_TOO_LARGE").await;
    }
    attack(&host, &alice, "forever", json!({}), "FUEL_EXHAUSTED").await;
    attack(&host, &alice, "panic", json!({}), "TOOL_CRASHED").await;
    for tool in ["nothing_json", "text_json"] {
        attack(&host, &alice, tool, json!({}), "OUTPUT_REJECTED").await;
    }
}

#[tokio::test]
pub(super) async fn polls() {
    let (host, alice) = serving_file(bulkhead_tests::module("polls"), &[("polls", "")]).await;
    attack(&host, &alice, "polls", json!({}), "FUEL_EXHAUSTED").await;
}

#[tokio::test]
pub(super) async fn buffers() {
    let (host, alice) = serving_file(bulkhead_tests::module("buffers"), &[("buffers", "")]).await;
    attack(&host, &alice, "buffers", json!({}), "FUEL_EXHAUSTED").await;
}

#[tokio::test]
async fn a_command_sees_its_calls_arguments_and_nothing_else() {
    for guest in ["command", "command-preview1"] {
        sees_its_arguments(guest).await;
    }
}

async fn sees_its_arguments(guest: &str) {
    let tools = [
        (
            "whole",
            "stdout = 'json'\nargs = ['tell', { from = 'mode' }, { flag = '--lines', from = 'lines' }]",
        ),
        ("raw", "stdout = 'json'\nargs = ['tell']\nstdin = { from = 'text' }"),
        ("none", "stdout = 'json'\nargs = ['tell']\nstdin = 'none'"),
    ];
    let (_host, alice) = serving(guest, &tools).await;
    let told = async |tool: &str, arguments: Value| {
        let told = alice.call(tool, arguments).await.structured().clone();
        assert_eq!(
            (&told["program"], &told["variables"], &told["files"]),
            (&json!("command"), &json!(0), &json!(0)),
            "{told}"
        );
        (told["args"].clone(), told["input"].clone())
    };
    let hostile = "a b; $(rm -rf /) 'é\n";
    let arguments = json!({ "mode": hostile, "lines": 3 });
    let (args, input) = told("whole", arguments.clone()).await;
    assert_eq!(args, json!([hostile, "--lines", "3"]));
    assert_eq!(serde_json::from_str::<Value>(input.as_str().unwrap()).unwrap(), arguments);
    assert_eq!(told("whole", json!({})).await, (json!([]), json!("{}")));
    assert_eq!(told("raw", json!({ "text": "x\ty" })).await, (json!([]), json!("x\ty")));
    assert_eq!(told("none", json!({ "text": "x" })).await, (json!([]), json!("")));

    let zero = alice.call("whole", json!({ "mode": "a\0b" })).await;
    zero.expect_code("ZERO_BYTE");
    let many: Vec<String> = (0..5_000).map(|at| at.to_string()).collect();
    let long = alice.call("whole", json!({ "mode": many.join(" ") })).await;
    assert!(long.structured()["args"][0].as_str().is_some_and(|arg| arg.len() > 20_000));
}

#[tokio::test]
pub(super) async fn preview1() {
    let module = bulkhead_tests::module("preview1");
    let setup = Host::test()
        .plugin("echo")
        .file("hello.wasm", &module)
        .file("hello.plugin.toml", manifest(&[("hello", "")]).replace("'command'", "'hello'"))
        .file("undeclared.wasm", &module)
        .file("broken.wasm", module.get(..module.len() - 3).unwrap())
        .agent("alice", &["*"]);
    let host = setup.start().await;
    let alice = host.client("alice").await;
    let answer = alice.call("hello", json!({})).await;
    assert_eq!(answer.block(), "hello\n");
    let record = host.record(answer.request_id()).await;
    assert_eq!((&record["outcome"], &record["plugin"]), (&json!("ok"), &json!("hello")));
    let why = host.until_told("undeclared").await;
    assert!(why.contains("no `[[command]]`"), "{why}");
    let why = host.until_told("broken").await;
    assert!(why.contains("not WebAssembly, or was cut short"), "{why}");
}

#[tokio::test]
async fn a_manifest_that_does_not_fit_its_schema_is_refused() {
    let closed = "input_schema = { type = 'object', properties.text.type = 'string', additionalProperties = false }";
    let manifest = format!(
        "name = 'hello'\nversion = '1'\n[[command]]\nname = 'hello'\ndescription = 'Says hello.'\n\
         {closed}\nstdin = {{ from = 'txet' }}"
    );
    let setup = Host::test()
        .file("hello.wasm", bulkhead_tests::module("preview1"))
        .file("hello.plugin.toml", manifest);
    let why = setup.start().await.until_told("hello").await;
    assert!(why.contains("`txet`") && why.contains("did you mean `text`?"), "{why}");
}

#[tokio::test]
async fn a_module_of_something_else_is_refused() {
    let importing = bulkhead_tests::assembled(
        r#"(module (import "env" "f" (func)) (memory (export "memory") 1) (func (export "_start")))"#,
    );
    let manifest = manifest(&[("a", "")]);
    let setup = Host::test().file("command.wasm", importing).file("command.plugin.toml", manifest);
    let why = setup.start().await.until_told("command").await;
    assert!(why.contains("imports what it was not granted: env"), "{why}");
}
