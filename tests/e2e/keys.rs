//! The life of API keys, and what a revocation reaches: from the outside, with the real
//! commands.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bulkhead_tests::{Client, Folder, Host, LEGACY, MODERN, until};
use serde_json::{Value, json};

fn hello() -> Value {
    json!({ "message": "hello" })
}

async fn is_refused(client: &Client) {
    assert_eq!(client.call("echo", hello()).await.status, 401);
}

async fn is_served(client: &Client) {
    client.call("echo", hello()).await.expect_ok();
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("JSON: {text}"))
}

/// What `key list` says of a key.
async fn listed(folder: &Folder, id: &str) -> Value {
    let all = parsed(&folder.cli_ok(&["key", "list", "--json"]).await);
    let found = all.as_array().unwrap().iter().find(|key| key["id"] == id);
    found.unwrap_or_else(|| panic!("{id} in {all}")).clone()
}

fn write_private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

async fn alice_and_bob() -> Host {
    Host::test().plugin("echo").agent("alice", &["*"]).agent("bob", &["*"]).start().await
}

#[tokio::test]
async fn a_rotated_key_serves_on_for_the_overlap() {
    let host = alice_and_bob().await;
    let old = host.key("alice", &["--subject", "zoë", "--scope", "echo:*"]).await;
    let made = parsed(&host.cli_ok(&["key", "rotate", &old.id, "--json"]).await);
    for field in ["agent", "subject", "scopes"] {
        assert_eq!(made[field], listed(&host, &old.id).await[field], "{field}");
    }
    let new = host.with_key(made["key"].as_str().unwrap());
    is_served(&new).await;
    is_served(&host.with_key(&old.key)).await;

    let (id, listed_old) = (made["id"].as_str().unwrap(), listed(&host, &old.id).await);
    assert_eq!(listed_old["replaced_by"], id);
    assert_eq!(listed_old["expires"], made["replaced"]["expires"]);
    assert_eq!(listed(&host, id).await["replaces"], json!(old.id));
    let printed = host.cli_ok(&["key", "list"]).await;
    assert!(printed.contains(&format!("replaced by {id}")), "{printed}");

    // Never later than before: a second rotation without an overlap ends it now.
    host.cli_ok(&["key", "rotate", &old.id, "--overlap", "0s"]).await;
    is_refused(&host.with_key(&old.key)).await;
    host.cli_ok(&["key", "rotate", &old.id, "--overlap", "10min"]).await;
    is_refused(&host.with_key(&old.key)).await;
    is_served(&new).await;

    host.cli_ok(&["key", "revoke", id]).await;
    let refused = host.cli(&["key", "rotate", id]).await;
    assert_eq!(refused.status.code(), Some(65));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("was revoked at"));
    let unknown = host.cli(&["key", "rotate", "aaaaaaaaaaaa"]).await;
    assert_eq!(unknown.status.code(), Some(65));
}

#[tokio::test]
async fn whoever_is_cut_off_is_refused_on_the_next_call_until_it_is_lifted() {
    let host = alice_and_bob().await;
    let alice = host.client("alice").await;
    let zoe = host.with_key(&host.key("bob", &["--subject", "zoë"]).await.key);
    let bob = host.client("bob").await;
    for (who, cut_off, others) in
        [(["--agent", "alice"], &alice, [&bob, &zoe]), (["--subject", "zoë"], &zoe, [&alice, &bob])]
    {
        is_served(cut_off).await;
        let told = host.cli_ok(&["revoke", who[0], who[1], "--reason", "it loops", "--json"]).await;
        assert_eq!(parsed(&told)["confirmed"], true, "{told}");
        is_refused(cut_off).await;
        for other in others {
            is_served(other).await;
        }
        let in_force = parsed(&host.cli_ok(&["revoke", "--list", "--json"]).await);
        assert_eq!(in_force[0][&who[0][2..]], who[1], "{in_force}");
        assert_eq!(in_force[0]["reason"], "it loops");
        host.cli_ok(&["revoke", who[0], who[1], "--lift"]).await;
        is_served(cut_off).await;
    }

    // For good means keys of later, too; they are not made in the first place.
    host.cli_ok(&["revoke", "--agent", "alice"]).await;
    let refused = host.cli(&["key", "create", "--agent", "alice"]).await;
    assert_eq!(refused.status.code(), Some(65));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--agent alice --lift"));
    host.cli_ok(&["revoke", "--agent", "alice", "--lift"]).await;

    // What was issued until now, and nothing of later.
    host.cli_ok(&["key", "revoke", "--agent", "alice"]).await;
    is_refused(&alice).await;
    let alice = host.client("alice").await;
    is_served(&alice).await;
    host.cli_ok(&["revoke", "--issued-before", "now"]).await;
    for client in [&alice, &bob, &zoe] {
        is_refused(client).await;
    }
    is_served(&host.client("bob").await).await;
    host.cli_ok(&["revoke", "--everything", "--lift"]).await;
    is_served(&bob).await;
}

#[tokio::test]
async fn what_is_revoked_survives_a_restart_and_an_old_copy_of_the_keys() {
    let host = alice_and_bob().await;
    let (one, other) = (host.key("alice", &[]).await, host.key("bob", &[]).await);
    let copy = std::fs::read_to_string(host.state("keys.toml")).unwrap();
    host.cli_ok(&["key", "revoke", &one.id]).await;
    host.cli_ok(&["key", "revoke", "--agent", "bob"]).await;
    let later = host.key("bob", &[]).await;
    let mode = std::fs::metadata(host.state("revocations.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let folder = host.stop().await;
    write_private(&folder.state("keys.toml"), &copy);
    // As a writer leaves it that was killed in the middle of a line.
    let journal = folder.state("revocations.jsonl");
    let entries = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, format!("{entries}{{\"time\":\"20")).unwrap();

    let host = Host::start(folder).await;
    for key in [&one, &other, &later] {
        is_refused(&host.with_key(&key.key)).await;
    }
    assert!(!listed(&host, &one.id).await["revoked"].is_null());
    assert!(!listed(&host, &other.id).await["revoked"].is_null());
    is_served(&host.client("bob").await).await;
    host.cli_ok(&["revoke", "--agent", "bob"]).await;
    let healed = std::fs::read_to_string(&journal).unwrap();
    assert!(healed.starts_with(&entries) && healed.lines().count() == 3, "{healed}");
}

#[tokio::test]
async fn a_damaged_journal_stops_a_start_and_not_a_server() {
    let host = alice_and_bob().await;
    let (alice, bob) = (host.client("alice").await, host.client("bob").await);
    host.cli_ok(&["revoke", "--agent", "alice"]).await;
    let journal = host.state("revocations.jsonl");
    let good = std::fs::read_to_string(&journal).unwrap();
    let mark = host.log.mark();
    std::fs::write(&journal, format!("{{\"revoke\":\"all\"}}\n{good}")).unwrap();
    host.log.line_after(mark, "revocations.jsonl: line 1: ").await;
    is_refused(&alice).await;
    is_served(&bob).await;
    let refused = host.cli(&["revoke", "--agent", "bob"]).await;
    assert_eq!(refused.status.code(), Some(74));
    is_served(&bob).await;

    let folder = host.stop().await;
    let refused = folder.serve_on("127.0.0.1:0").await;
    assert_eq!(refused.status.code(), Some(78));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("revocations.jsonl: line 1: "), "{said}");
    assert!(said.contains("restore the file from a copy"), "{said}");
    std::fs::write(&journal, good).unwrap();
    let host = Host::start(folder).await;
    is_refused(&host.with_key(alice.key())).await;
}

#[tokio::test]
async fn a_journal_that_is_gone_or_shorter_is_no_empty_one() {
    let host = alice_and_bob().await;
    let (alice, bob) = (host.client("alice").await, host.client("bob").await);
    host.cli_ok(&["revoke", "--agent", "alice"]).await;
    let journal = host.state("revocations.jsonl");
    let good = std::fs::read_to_string(&journal).unwrap();
    let mark = host.log.mark();
    write_private(&journal, "");
    host.log.line_after(mark, "1 entries were here, and not all of them are").await;
    // Nor does a further one make it whole.
    let refused = host.cli(&["revoke", "--agent", "bob"]).await;
    assert_eq!(refused.status.code(), Some(74));
    is_refused(&alice).await;
    let mark = host.log.mark();
    std::fs::remove_file(&journal).unwrap();
    host.log.line_after(mark, "was here and is gone").await;
    is_refused(&alice).await;
    is_served(&bob).await;
    // A change of the keys is heeded all the same.
    let keys = host.state("keys.toml");
    let both = std::fs::read_to_string(&keys).unwrap();
    write_private(&keys, "");
    until("the keys are gone", async || {
        (bob.call("echo", hello()).await.status == 401).then_some(())
    })
    .await;
    write_private(&keys, &both);

    let folder = host.stop().await;
    for text in [None, Some("")] {
        if let Some(text) = text {
            write_private(&journal, text);
        }
        let refused = folder.serve_on("127.0.0.1:0").await;
        assert_eq!(refused.status.code(), Some(78));
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("restore the file from a copy"), "{said}");
    }
    // As an editor leaves it that writes no last line's end.
    write_private(&journal, good.trim_end());
    let host = Host::start(folder).await;
    is_refused(&host.with_key(alice.key())).await;
    is_served(&host.with_key(bob.key())).await;
}

#[tokio::test]
async fn malformed_keys_are_told_and_weaken_nothing() {
    let host = alice_and_bob().await;
    let (alice, bob) = (host.client("alice").await, host.client("bob").await);
    let keys = host.state("keys.toml");
    let good = std::fs::read_to_string(&keys).unwrap();
    let last = good.lines().count();
    for (bad, said) in [
        ("nonsense".to_owned(), "line 1 is not what".to_owned()),
        (format!("{good}[[key]]\nid = \"aaaa\"\n"), format!("line {} is not what", last + 1)),
        (format!("{good}colour = \"red\"\n"), format!("line {} is not what", last + 1)),
        (good.replace("agent = \"bob\"", "agent = \"b b\""), "`agent`: 1 to 64 letters".to_owned()),
        (good.replace("sha256 = \"", "sha256 = \"x"), "`sha256`: expected 64".to_owned()),
        (good.replace("created = \"2", "created = \"x"), "`created`: expected a time".to_owned()),
        (format!("{good}{good}"), "there is another of this id".to_owned()),
        (format!("{good}\u{0}"), "is not what".to_owned()),
    ] {
        let mark = host.log.mark();
        write_private(&keys, &bad);
        let line = host.log.line_after(mark, "keys.toml: ").await;
        assert!(line.contains(&said), "{line} and not {said}");
        is_served(&alice).await;
        let refused = host.cli(&["key", "create", "--agent", "alice"]).await;
        assert_eq!(refused.status.code(), Some(74), "a bad file is not overwritten");
        assert_eq!(std::fs::read_to_string(&keys).unwrap(), bad);
    }
    let mark = host.log.mark();
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(&keys, &good).unwrap();
    host.log.line_after(mark, "others than its owner may use it (mode 644)").await;
    is_served(&bob).await;

    // However bad the keys are, what is revoked is revoked.
    write_private(&keys, &good);
    let second = host.client("alice").await;
    let good = std::fs::read_to_string(&keys).unwrap();
    let id = second.key().split('_').nth(1).unwrap().to_owned();
    write_private(&keys, "nonsense");
    host.cli_ok(&["key", "revoke", &id]).await;
    is_refused(&second).await;
    host.cli_ok(&["revoke", "--agent", "alice"]).await;
    is_refused(&alice).await;
    is_served(&bob).await;
    write_private(&keys, &good);
    host.cli_ok(&["revoke", "--agent", "alice", "--lift"]).await;
    is_served(&alice).await;

    // A key that is gone from the file is refused, too.
    write_private(&keys, "");
    until("the keys' end", async || {
        (alice.call("echo", hello()).await.status == 401).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_list_says_when_a_key_was_last_used() {
    let host = alice_and_bob().await;
    let (used, unused) = (host.key("alice", &[]).await, host.key("bob", &[]).await);
    assert_eq!(listed(&host, &used.id).await["last_used"], Value::Null);
    is_served(&host.with_key(&used.key)).await;
    let key = listed(&host, &used.id).await;
    let (created, last) = (key["created"].as_str().unwrap(), key["last_used"].as_str().unwrap());
    assert!(last[..19] >= created[..19], "{key}");
    assert_eq!(listed(&host, &unused.id).await["last_used"], Value::Null);

    // A refused key is not used.
    host.cli_ok(&["key", "revoke", &unused.id]).await;
    is_refused(&host.with_key(&unused.key)).await;
    assert_eq!(listed(&host, &unused.id).await["last_used"], Value::Null);

    let printed = host.cli_ok(&["key", "list"]).await;
    assert!(printed.contains(&last[..10]) && printed.contains("never"), "{printed}");
    for secret in [&used.key, &unused.key] {
        assert!(!printed.contains(secret.rsplit('_').next().unwrap()));
    }
    // Not lost by the reload that the revocation was, nor by the server's end.
    let again = host.key("bob", &[]).await;
    is_served(&host.with_key(&again.key)).await;
    let folder = host.stop().await;
    assert_eq!(listed(&folder, &used.id).await["last_used"], last);
    assert!(listed(&folder, &again.id).await["last_used"].is_string());
}

#[tokio::test]
async fn keys_may_be_in_a_folder_of_files() {
    let folder = Host::test().plugin("echo").agent("alice", &["*"]).agent("bob", &["*"]).folder();
    std::fs::create_dir_all(folder.path("keys.d")).unwrap();
    let config = std::fs::read_to_string(folder.config()).unwrap();
    let keys = folder.path("keys.d");
    let auth = format!("[auth]\nkeys = {:?}\n", keys.to_str().unwrap());
    std::fs::write(folder.config(), format!("{config}\n{auth}")).unwrap();
    let of_team = folder.key("bob", &[]).await;
    std::fs::rename(keys.join("keys.toml"), keys.join("team.toml")).unwrap();
    let host = Host::start(folder).await;
    let alice = host.client("alice").await;
    let bob = host.with_key(&of_team.key);
    is_served(&alice).await;
    is_served(&bob).await;

    // The same key in two files is one too many, and is told with both.
    let mark = host.log.mark();
    let team = std::fs::read_to_string(keys.join("team.toml")).unwrap();
    write_private(&keys.join("zz.toml"), &team);
    let line = host.log.line_after(mark, "zz.toml: key ").await;
    assert!(line.contains(&of_team.id) && line.contains("team.toml too"), "{line}");
    is_served(&bob).await;
    std::fs::remove_file(keys.join("zz.toml")).unwrap();

    // A key is replaced where it stands; another file is as it was.
    let made = parsed(&host.cli_ok(&["key", "rotate", &of_team.id, "--json"]).await);
    let team = std::fs::read_to_string(keys.join("team.toml")).unwrap();
    assert!(team.contains(made["id"].as_str().unwrap()), "{team}");
    is_served(&host.with_key(made["key"].as_str().unwrap())).await;
    std::fs::remove_file(keys.join("team.toml")).unwrap();
    until("the keys of a file that is gone", async || {
        (bob.call("echo", hello()).await.status == 401).then_some(())
    })
    .await;
    is_served(&alice).await;
}

#[tokio::test]
async fn a_mistyped_key_is_told_from_a_wrong_one() {
    let setup = Host::test().plugin("echo").agent("alice", &["*"]);
    let host = setup.config("[telemetry]\nlog = \"debug\"\n").start().await;
    let key = host.key("alice", &[]).await.key;
    let last = if key.ends_with('a') { "b" } else { "a" };
    let typo = format!("{}{last}", &key[..key.len() - 1]);
    let another = Host::test().folder().key("x", &["--scope", "*"]).await.key;
    for (wrong, cause) in [
        (typo.as_str(), "the checksum does not match: mistyped or cut off"),
        (&key[..40], "the checksum does not match: mistyped or cut off"),
        (&another, ": unknown"),
    ] {
        let mark = host.log.mark();
        is_refused(&host.with_key(wrong)).await;
        host.log.line_after(mark, cause).await;
        assert!(!host.log.text().contains(wrong), "no credential is logged");
    }
    let folder = host.stop().await;
    let mut command = folder.command(["serve", "--stdio"]);
    let output = command.env("BULKHEAD_KEY", &typo).output().await.unwrap();
    assert_eq!(output.status.code(), Some(64));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("BULKHEAD_KEY: the checksum does not match"), "{said}");
    assert!(!said.contains(&typo), "{said}");
}

#[tokio::test]
async fn a_server_without_a_socket_follows_the_journal() {
    let folder = Host::test().plugin("echo").agent("alice", &["*"]).folder();
    let key = folder.key("alice", &[]).await;
    let mut server = bulkhead_tests::Stdio::start(folder, Some(&key.key)).await;
    server.call(MODERN, 1.into(), "echo", hello()).await.expect_ok();
    server.cli_ok(&["revoke", "--agent", "alice"]).await;
    let mut id = 1;
    loop {
        id += 1;
        let answer = server.call(LEGACY, id.into(), "echo", hello()).await;
        if answer.message()["error"]["data"]["code"] == "UNAUTHENTICATED" {
            break;
        }
    }
    server.close().await;
}

#[tokio::test]
async fn an_agent_without_a_credential_is_cut_off_by_its_name() {
    let setup = Host::test().plugin("echo").agent("visitor", &["echo:*"]);
    let host = setup.config("[auth]\nanonymous = \"visitor\"\n").start().await;
    let visitor = host.stranger();
    is_served(&visitor).await;
    // It was issued nothing.
    host.cli_ok(&["revoke", "--issued-before", "now"]).await;
    is_served(&visitor).await;
    host.cli_ok(&["revoke", "--agent", "visitor"]).await;
    is_refused(&visitor).await;
    host.cli_ok(&["revoke", "--agent", "visitor", "--lift"]).await;
    is_served(&visitor).await;
}
