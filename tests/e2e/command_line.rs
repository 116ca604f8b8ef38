//! The commands that need no server: what they print, and how they end.

use bulkhead_tests::{Host, component};
use serde_json::{Value, json};

#[tokio::test]
async fn call_goes_through_the_whole_pipeline() {
    let folder = Host::test().plugin("echo").plugin("panics").folder();
    let printed = folder.cli_ok(&["call", "echo", r#"{"message":"hi"}"#, "--json"]).await;
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed["result"]["structuredContent"], json!({ "message": "hi" }));
    let spent = &printed["spent"];
    for meter in ["fuel", "peak_memory_bytes", "run_ms"] {
        assert!(spent[meter].as_f64() > Some(0.0), "{meter}: {spent}");
    }
    assert!(spent["queue_ms"].is_number(), "{spent}");

    let crashed = folder.cli(&["call", "panics", "--json"]).await;
    assert_eq!(crashed.status.code(), Some(1));
    let printed: Value = serde_json::from_slice(&crashed.stdout).unwrap();
    assert_eq!(printed["result"]["isError"], true);
    assert_eq!(printed["result"]["structuredContent"]["error"]["code"], "TOOL_CRASHED");
    assert!(printed["spent"]["fuel"].as_u64() > Some(0), "{printed}");

    let records = folder.audit();
    assert_eq!(records.len(), 2);
    assert_eq!(
        (&records[0]["fuel"], &records[1]["code"]),
        (&spent["fuel"], &json!("TOOL_CRASHED"))
    );
}

#[tokio::test]
async fn call_for_people_prints_the_result_and_what_it_spent() {
    let folder = Host::test().plugin("echo").folder();
    let output = folder.cli(&["call", "echo", r#"{"message":"hi"}"#]).await;
    assert_eq!(output.status.code(), Some(0));
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed, json!({ "message": "hi" }));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("fuel") && said.contains("KiB") && said.contains("ms"), "{said}");
}

#[tokio::test]
async fn call_as_an_agent_has_its_scopes() {
    let folder = Host::test().plugin("echo").agent("alice", &["nothing:*"]).folder();
    let denied =
        folder.cli(&["call", "echo", r#"{"message":"hi"}"#, "--as", "alice", "--json"]).await;
    assert_eq!(denied.status.code(), Some(1));
    let printed: Value = serde_json::from_slice(&denied.stdout).unwrap();
    assert_eq!(printed["result"]["structuredContent"]["error"]["code"], "PERMISSION_DENIED");
}

#[tokio::test]
async fn call_says_what_is_wrong_with_it() {
    let folder = Host::test().plugin("echo").folder();
    for (arguments, said) in [(["call", "ecko", "{}"], "`echo`"), (["call", "echo", "{"], "JSON")] {
        let output = folder.cli(&arguments).await;
        assert!(!output.status.success() && output.status.code() != Some(1), "{arguments:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(said), "{arguments:?}: {text}");
        assert!(output.stdout.is_empty(), "data only");
    }
}

#[tokio::test]
async fn a_configuration_is_checked_as_a_whole() {
    let good = Host::test().agent("alice", &["echo:*"]).folder();
    good.cli_ok(&["config", "check"]).await;

    let config = "[server]\nlisten = 'here'\nmax_bodi = '1MiB'\n[agents.alice]\nroles = ['reeder']\n[roles.reader]\nscopes = ['a:*']\n[per_call]\nfuel = '1'";
    let bad = Host::test().config(config).folder();
    // What the environment says about `listen` would hide the file's mistake.
    for arguments in [&["config", "check"][..], &["serve"], &["key", "list"]] {
        let output = bad.cli(arguments).await;
        assert_eq!(output.status.code(), Some(78), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        for problem in ["max_body", "reader", "fuel"] {
            assert!(said.contains(problem), "{arguments:?}: {problem}: {said}");
        }
        assert!(said.contains("bulkhead.toml:3"), "where it is: {said}");
    }

    let sidecars =
        Host::test().plugin("echo").sidecar("echo", "[output]\nlinks = 'allow'\n").folder();
    let output = sidecars.cli(&["config", "check"]).await;
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("echo.toml:2") && said.contains("links"), "{said}");
}

#[tokio::test]
async fn inspect_tells_what_a_component_is() {
    let folder = Host::test().folder();
    let inspect = async |name: &str| {
        let path = component(name).display().to_string();
        folder.cli_ok(&["plugin", "inspect", &path]).await
    };
    let records = inspect("records").await;
    for told in ["records 0.1.0", "get_record", "delete_record", "inert", "fuel"] {
        assert!(records.contains(told), "{told}: {records}");
    }
    let probe = inspect("probe").await;
    assert!(probe.contains("wasi:sockets/tcp") && probe.contains("inert"), "{probe}");
    let broken = folder.path("broken.wasm");
    std::fs::write(&broken, "prose").unwrap();
    let output = folder.cli(&["plugin", "inspect", &broken.display().to_string()]).await;
    assert_eq!(output.status.code(), Some(65));
}

#[tokio::test]
async fn the_command_line_explains_itself() {
    let folder = Host::test().folder();
    for arguments in [&["--help"][..], &["serve", "--help"], &["--version"]] {
        assert!(!folder.cli_ok(arguments).await.is_empty(), "{arguments:?}");
    }
    assert_eq!(folder.cli(&["sevre"]).await.status.code(), Some(64));
}
