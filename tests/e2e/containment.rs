//! What holds the process itself, as the kernel tells it.

use bulkhead_tests::{Host, component};
use serde_json::json;

const ALL_OFF: &str = "[containment]\nwithout = ['no-new-privileges', 'seccomp', 'landlock']";

/// The value of a line of `/proc/PID/status`, of the process and of all its threads.
fn status(host: &Host, field: &str) -> String {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", host.pid())).unwrap();
    let mut values: Vec<String> = tasks
        .map(|task| {
            let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
            line.trim_start_matches(':').trim().to_owned()
        })
        .collect();
    assert!(values.len() > 1, "a server has threads");
    values.sort();
    values.dedup();
    values.join(" and ")
}

#[tokio::test]
async fn every_thread_of_a_server_is_contained_and_the_log_says_so() {
    let host = Host::test().plugin("echo").agent("alice", &["*"]).start().await;
    let told = host.log.line("contained: ").await;
    for part in ["no new privileges", "seccomp, ", " system calls", "landlock ABI "] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!host.log.text().contains("not contained by"), "{:?}", host.log);
    assert_eq!(status(&host, "NoNewPrivs"), "1");
    assert_eq!(status(&host, "Seccomp"), "2");
    let alice = host.client("alice").await;
    alice.call("echo", json!({ "message": "hi" })).await.expect_ok();
}

#[tokio::test]
async fn what_is_switched_off_by_name_is_off_and_told() {
    let host = Host::test().plugin("echo").config(ALL_OFF).start().await;
    host.log.line("contained by nothing").await;
    let told = host.log.line("the process is not contained by").await;
    for name in ["no-new-privileges", "seccomp", "landlock"] {
        assert!(told.contains(&format!("{name} (switched off")), "{name}: {told}");
    }
    assert_eq!(status(&host, "NoNewPrivs"), "0");
    assert_eq!(status(&host, "Seccomp"), "0");
}

#[tokio::test]
async fn a_plugin_that_links_outside_is_refused_with_what_to_do() {
    let link = |host: &bulkhead_tests::Folder| {
        std::os::unix::fs::symlink(component("echo"), host.plugin("echo.wasm")).unwrap();
    };
    let setup = Host::test().plugin("counter").agent("alice", &["*"]);
    let folder = setup.folder();
    link(&folder);
    let host = Host::start(folder).await;
    let told = host.until_told("echo").await;
    let target = component("echo").canonicalize().unwrap();
    for part in ["was not loaded", target.to_str().unwrap(), "copy it in", "[containment]"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let alice = host.client("alice").await;
    alice.call("counter", json!({})).await.expect_ok();

    let setup = Host::test().agent("alice", &["*"]);
    let folder = setup.config("[containment]\nwithout = ['landlock']").folder();
    link(&folder);
    let host = Host::start(folder).await;
    let alice = host.client("alice").await;
    alice.call("echo", json!({ "message": "hi" })).await.expect_ok();
    assert_eq!(status(&host, "Seccomp"), "2", "the others stay on");
}

#[tokio::test]
async fn a_link_within_the_folder_is_followed() {
    let folder = Host::test().plugin("echo").agent("alice", &["*"]).folder();
    std::fs::create_dir(folder.plugin("releases")).unwrap();
    std::fs::rename(folder.plugin("echo.wasm"), folder.plugin("releases/echo.wasm")).unwrap();
    std::os::unix::fs::symlink("releases/echo.wasm", folder.plugin("echo.wasm")).unwrap();
    let host = Host::start(folder).await;
    let alice = host.client("alice").await;
    alice.call("echo", json!({ "message": "hi" })).await.expect_ok();
}

#[tokio::test]
async fn a_server_over_stdio_and_one_call_are_contained_too() {
    let mut server = Host::test().plugin("echo").stdio(None).await;
    server.log.line("contained: no new privileges; landlock").await;
    assert!(server.close().await.success());
    let folder = Host::test().plugin("echo").folder();
    let output = folder.cli(&["call", "echo", r#"{"message":"hi"}"#]).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("contained: no new privileges"), "{said}");
}

#[tokio::test]
async fn a_word_that_is_no_protection_is_a_configuration_error() {
    let folder = Host::test().config("[containment]\nwithout = ['landlok']").folder();
    let output = folder.cli(&["serve"]).await;
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8(output.stderr).unwrap();
    for word in ["`no-new-privileges`", "`seccomp`", "did you mean `landlock`?"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}
