//! Who may call what: keys, scopes, concealment, revocation.

use bulkhead_tests::{Answer, Host, until};
use serde_json::{Value, json};

const SCOPED: &str = r#"
[tools.echo]
requires = ["special"]
on_denied = "explain"
"#;

const CONCEALED: &str = r#"
[tools.echo]
requires = ["special"]
on_denied = "conceal"
"#;

fn hello() -> Value {
    json!({ "message": "hello" })
}

#[tokio::test]
async fn without_a_good_key_nobody_is_served() {
    let host = Host::test().plugin("echo").agent("alice", &["*"]).start().await;
    let good = host.key("alice", &[]).await;
    let expired = host.key("alice", &["--expires", "1ms"]).await;
    let (id, other) = (&good.id, host.key("alice", &[]).await);
    let secret_of_other = other.key.rsplit('_').next().unwrap();
    for (what, authorization) in [
        ("none", None),
        ("empty", Some(String::new())),
        ("another scheme", Some(format!("Basic {}", good.key))),
        ("no scheme", Some(good.key.clone())),
        ("no key", Some("Bearer hunter2".to_owned())),
        ("an unknown id", Some("Bearer bhk_aaaaaaaaaaaa_bbbbbbbbbbbbbbbb".to_owned())),
        ("another key's secret", Some(format!("Bearer bhk_{id}_{secret_of_other}"))),
        ("a shortened secret", Some(format!("Bearer {}", &good.key[..good.key.len() - 1]))),
        ("an expired key", Some(format!("Bearer {}", expired.key))),
    ] {
        let stranger = host.stranger();
        for message in [
            stranger.message("tools/call", json!({ "name": "echo", "arguments": hello() })),
            stranger.message("tools/list", json!({})),
            stranger.message("server/discover", json!({})),
        ] {
            let mut post = stranger.post(&message);
            if let Some(authorization) = &authorization {
                post = post.header("Authorization", authorization);
            }
            let answer = post.send().await.unwrap();
            assert_eq!(answer.status(), 401, "{what}");
            let challenge = answer.headers()["www-authenticate"].to_str().unwrap().to_owned();
            assert!(challenge.starts_with("Bearer"), "{what}: {challenge}");
            let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
            let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
            assert_eq!(body["error"]["data"]["code"], "UNAUTHENTICATED", "{what}");
            let record = host.record(&id).await;
            assert_eq!(
                (&record["outcome"], &record["code"]),
                (&json!("refused"), &json!("UNAUTHENTICATED"))
            );
            assert_eq!(record["agent"], Value::Null, "{what}");
        }
    }
    host.with_key(&good.key).call("echo", hello()).await.expect_ok();
}

#[tokio::test]
async fn a_stranger_is_refused_before_anything_is_read() {
    let host = Host::test().plugin("echo").start().await;
    for body in ["", "not json", "[]", r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#] {
        let answer = host.stranger().bare(body).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{body:?}");
    }
}

#[tokio::test]
async fn a_scope_decides_what_is_listed_and_what_is_called() {
    let setup = Host::test().plugin("echo").plugin("counter").sidecar("echo", SCOPED);
    let setup = setup.agent("alice", &["echo:*", "counter:counter"]);
    let host = setup.agent("bob", &["special"]).start().await;
    let (alice, bob) = (host.client("alice").await, host.client("bob").await);
    assert_eq!(alice.tool_names().await, ["counter"]);
    assert_eq!(bob.tool_names().await, ["echo"]);

    for alice in [alice.clone(), alice.legacy()] {
        let answer = alice.call("echo", hello()).await;
        assert_eq!(answer.status, 200, "in band, so that the model sees it");
        let error = answer.expect_code("PERMISSION_DENIED");
        assert_eq!(error["details"]["scope"], "special");
        assert!(error["message"].as_str().unwrap().contains("`special`"), "{error}");
        let record = host.record(answer.request_id()).await;
        assert_eq!((&record["outcome"], &record["tool"]), (&json!("refused"), &json!("echo")));
        assert_eq!(record["fuel"], Value::Null, "no guest ran");
    }
    bob.call("echo", hello()).await.expect_ok();
    bob.call("counter", json!({})).await.expect_code("PERMISSION_DENIED");
}

#[tokio::test]
async fn a_key_may_hold_less_than_its_agent_and_never_more() {
    let host =
        Host::test().plugin("echo").plugin("counter").agent("alice", &["echo:*"]).start().await;
    let whole = host.client("alice").await;
    let narrow = host.key("alice", &["--scope", "counter:*"]).await;
    let unknown = host.key("guest", &["--scope", "counter:*"]).await;
    assert_eq!(whole.tool_names().await, ["echo"]);
    assert_eq!(host.with_key(&narrow.key).tool_names().await, [""; 0]);
    assert_eq!(host.with_key(&unknown.key).tool_names().await, ["counter"]);
    let refused = host.cli(&["key", "create", "--agent", "nobody", "--json"]).await;
    assert_eq!(refused.status.code(), Some(64), "neither an entry nor scopes");
}

#[tokio::test]
async fn a_concealed_tool_is_answered_as_one_that_does_not_exist() {
    let setup = Host::test().plugin("echo").sidecar("echo", CONCEALED);
    let host = setup.agent("alice", &["echo:*"]).agent("bob", &["special"]).start().await;
    let alice = host.client("alice").await;
    assert_eq!(alice.tool_names().await, [""; 0]);
    for alice in [alice.clone(), alice.legacy()] {
        for arguments in [hello(), json!({}), json!({ "message": 1 })] {
            let concealed = alice.call("echo", arguments.clone()).await;
            let unknown = alice.call("ohce", arguments).await;
            concealed.expect_code("TOOL_NOT_FOUND");
            assert_eq!(concealed.message()["error"]["code"], -32602);
            assert_eq!(essence(&concealed, "echo"), essence(&unknown, "ohce"));
            let records = [&concealed, &unknown]
                .map(async |answer| host.record(answer.request_id()).await["code"].clone());
            for record in records {
                assert_eq!(record.await, "TOOL_NOT_FOUND");
            }
        }
    }
    host.client("bob").await.call("echo", hello()).await.expect_ok();
}

/// All of an answer but what differs from one request to the next, and the name that
/// was asked for.
fn essence(answer: &Answer, name: &str) -> (u16, Vec<(String, String)>, String) {
    let differs = |header: &str| header == "date" || header == "x-request-id";
    let headers = answer.headers.iter().filter(|(header, _)| !differs(header.as_str()));
    let headers =
        headers.map(|(header, value)| (header.to_string(), value.to_str().unwrap().to_owned()));
    let id = answer.message()["id"].to_string();
    let text =
        answer.text.replace(answer.request_id(), "ID").replace(&format!("`{name}`"), "`NAME`");
    (answer.status.as_u16(), headers.collect(), text.replace(&format!(r#""id":{id}"#), r#""id":0"#))
}

#[tokio::test]
async fn a_revoked_key_is_refused_on_the_next_call_and_nobody_else_notices() {
    let host =
        Host::test().plugin("echo").agent("alice", &["*"]).agent("bob", &["*"]).start().await;
    let (first, second) = (host.key("alice", &[]).await, host.key("alice", &[]).await);
    let bob = host.client("bob").await;
    let clients = [&first, &second].map(|key| host.with_key(&key.key));
    for client in &clients {
        client.call("echo", hello()).await.expect_ok();
    }

    host.cli_ok(&["key", "revoke", &first.id]).await;
    assert_eq!(clients[0].call("echo", hello()).await.status, 401);
    clients[1].call("echo", hello()).await.expect_ok();
    bob.call("echo", hello()).await.expect_ok();

    host.cli_ok(&["key", "revoke", "--agent", "alice"]).await;
    assert_eq!(clients[1].call("echo", hello()).await.status, 401);
    bob.call("echo", hello()).await.expect_ok();

    let listed: Value =
        serde_json::from_str(&host.cli_ok(&["key", "list", "--json"]).await).unwrap();
    let revoked = |key: &&Value| !key["revoked"].is_null();
    assert_eq!(listed.as_array().unwrap().iter().filter(revoked).count(), 2, "{listed}");
    assert!(!listed.to_string().contains(&first.key), "{listed}");
    host.cli_ok(&["key", "revoke", &first.id]).await;
    let unknown = host.cli(&["key", "revoke", "aaaaaaaaaaaa"]).await;
    assert!(!unknown.status.success(), "a mistyped id is told");
}

#[tokio::test]
async fn keys_are_kept_as_hashes_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let host = Host::test().plugin("echo").agent("alice", &["*"]).start().await;
    let key = host.key("alice", &[]).await;
    let secret = key.key.rsplit('_').next().unwrap();
    let file = host.state("keys.toml");
    assert!(!std::fs::read_to_string(&file).unwrap().contains(secret));
    for (path, mode) in [(file, 0o600), (host.state(""), 0o700), (host.state("admin.sock"), 0o600)]
    {
        let permissions = std::fs::metadata(&path).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, mode, "{}", path.display());
    }
    assert!(!host.log.text().contains(secret));
}

#[tokio::test]
async fn an_expiring_key_ends_by_itself() {
    let host = Host::test().plugin("echo").agent("alice", &["*"]).start().await;
    let brief = host.key("alice", &["--expires", "3s"]).await;
    let client = host.with_key(&brief.key);
    client.call("echo", hello()).await.expect_ok();
    until("the key's end", async || {
        let refused = client.call("echo", hello()).await;
        (refused.status == 401).then_some(())
    })
    .await;
}

#[tokio::test]
async fn strangers_cannot_fill_the_audit_log() {
    const BURST: usize = 100;
    const KNOCKS: usize = 600;
    let host = Host::test().plugin("echo").agent("alice", &["*"]).start().await;
    let stranger = host.stranger();
    let message = stranger.message("tools/list", json!({}));
    for _ in 0..KNOCKS {
        assert_eq!(stranger.post(&message).send().await.unwrap().status(), 401);
    }
    host.client("alice").await.call("echo", hello()).await.expect_ok();
    let records = host.audit();
    let refused = records.iter().filter(|record| record["code"] == "UNAUTHENTICATED").count();
    assert!((BURST..KNOCKS).contains(&refused), "{refused}");
    assert_eq!(records.last().unwrap()["outcome"], "ok");
}
