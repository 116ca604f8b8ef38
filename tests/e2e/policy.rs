//! The policy on arguments, and who may call what.

use bulkhead_tests::{Folder, Host};
use serde_json::{Value, json};

const CONFIG: &str = r#"
[auth]
policy = "policy.cedar"
[roles.reader]
scopes = ["records:*"]
[agents.reporting]
roles = ["reader"]
[agents.other]
roles = ["reader"]
scopes = ["crm.write"]
"#;

const OWN_REGION: &str = include_str!("../../host/src/policy/examples/own_region.cedar");

fn with_policy(text: &str) -> Folder {
    let folder = Host::test().plugin("records").config(CONFIG).folder();
    std::fs::write(folder.path("policy.cedar"), text).unwrap();
    folder
}

async fn test(folder: &Folder, more: &[&str]) -> (Option<i32>, Value) {
    let output = folder.cli(&[&["policy", "test", "--json"], more].concat()).await;
    let told = serde_json::from_slice(&output.stdout);
    let told = told.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), told)
}

#[tokio::test]
async fn a_policy_decides_on_the_arguments_of_a_call() {
    let host = Host::start(with_policy(OWN_REGION)).await;
    let reporting = host.client("reporting").await;
    reporting.call("search_records", json!({ "region": "emea" })).await.expect_ok();
    for arguments in [json!({ "region": "apac" }), json!({})] {
        let denied = reporting.call("search_records", arguments).await;
        assert_eq!(denied.status, 200, "in band, so that the model sees it");
        let error = denied.expect_code("PERMISSION_DENIED");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("policy") && message.contains("emea only"), "{message}");
        let record = host.record(denied.request_id()).await;
        assert_eq!(
            (&record["outcome"], &record["code"]),
            (&json!("refused"), &json!("PERMISSION_DENIED"))
        );
        assert_eq!(record["fuel"], Value::Null, "no guest ran");
    }
    let invalid = reporting.call("search_records", json!({ "region": 5 })).await;
    invalid.expect_code("INVALID_ARGUMENTS");
    let other = host.client("other").await;
    other.call("search_records", json!({ "region": "apac" })).await.expect_ok();
}

#[tokio::test]
async fn a_changed_policy_is_in_force_without_a_restart_and_a_broken_one_changes_nothing() {
    const ALL: &str = "permit(principal, action, resource);\n";
    let host = Host::start(with_policy(ALL)).await;
    let other = host.client("other").await;
    let search = async || other.call("search_records", json!({ "region": "apac" })).await;
    search().await.expect_ok();
    let write = |text: &str| {
        // As editors and deployments do it.
        std::fs::write(host.path("policy.new"), text).unwrap();
        std::fs::rename(host.path("policy.new"), host.path("policy.cedar")).unwrap();
        host.log.mark()
    };

    let mark = write(&format!("{ALL}\nforbid(principal == Agent::\"other\", action, resource);"));
    host.log.line_after(mark, "the policy has changed; rules: 2").await;
    search().await.expect_code("PERMISSION_DENIED");

    let mark = write(&format!("{ALL}\nforbid(principal, action, resource) when {{ nowhere }};"));
    let line = host.log.line_after(mark, "the policy stays as it was").await;
    assert!(line.contains("policy.cedar:3:"), "{line}");
    search().await.expect_code("PERMISSION_DENIED");
    std::fs::remove_file(host.path("policy.cedar")).unwrap();
    host.log.line_after(mark, "cannot be read").await;
    search().await.expect_code("PERMISSION_DENIED");

    let mark = write(ALL);
    host.log.line_after(mark, "the policy has changed; rules: 1").await;
    search().await.expect_ok();
}

#[tokio::test]
async fn no_server_starts_with_a_policy_that_it_cannot_understand() {
    let folder = with_policy("permit(principal, action, resource) when { principal.tennant };");
    for arguments in [&["serve"][..], &["call", "get_record", "{}"], &["policy", "check"]] {
        let output = folder.cli(arguments).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{arguments:?}: {said}");
        assert!(said.contains("policy.cedar:1:44: ") && said.contains("`tenant`?"), "{said}");
    }
    std::fs::remove_file(folder.path("policy.cedar")).unwrap();
    assert_eq!(folder.cli(&["serve"]).await.status.code(), Some(78));
}

#[tokio::test]
async fn a_decision_can_be_tried_without_calling_anything() {
    let folder = with_policy(OWN_REGION);
    assert!(folder.cli_ok(&["policy", "check"]).await.contains("3 rules"));

    let reporting = ["--agent", "reporting", "--tool", "search_records"];
    let emea = ["--arguments", r#"{"region":"emea"}"#];
    let (code, told) = test(&folder, &[&reporting[..], &emea].concat()).await;
    assert_eq!((code, &told["allowed"]), (Some(0), &json!(true)), "{told}");
    assert_eq!(told["policy"]["deciding"][0]["id"], "scopes-suffice");
    let (code, told) = test(&folder, &reporting).await;
    assert_eq!((code, &told["allowed"]), (Some(1), &json!(false)), "{told}");
    let rule = &told["policy"]["deciding"][0];
    assert_eq!((&rule["id"], &rule["line"]), (&json!("own-region"), &json!(7)));
    let printed = folder.cli(&[&["policy", "test"], &reporting[..]].concat()).await;
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(printed.starts_with("deny: reporting calls search_records\n"), "{printed}");
    assert!(printed.contains("forbid own-region (") && printed.contains("emea only"), "{printed}");

    // Scopes come first: the policy would not be asked.
    let (code, told) = test(&folder, &["--agent", "reporting", "--tool", "delete_record"]).await;
    assert_eq!((code, &told["policy"]["allowed"]), (Some(1), &json!(true)), "{told}");
    assert_eq!(told["scopes"], json!({ "allowed": false, "missing": ["crm.write"] }));

    let tenant = ["--agent", "stranger", "--scope", "records:*", "--tenant", "acme"];
    let described = ["--tool", "get_record", "--plugin", "records", "--destructive", "false"];
    let (code, told) = test(&folder, &[&tenant[..], &described].concat()).await;
    assert_eq!(code, Some(1), "{told}");
    let acme = ["--arguments", r#"{"tenant":"acme"}"#];
    let (code, told) = test(&folder, &[&tenant[..], &described, &acme].concat()).await;
    assert_eq!(code, Some(0), "{told}");

    let hours = include_str!("../../host/src/policy/examples/working_hours.cedar");
    std::fs::write(folder.path("hours.cedar"), hours).unwrap();
    let file = folder.path("hours.cedar").display().to_string();
    let delete = ["--policy", &file, "--agent", "other", "--tool", "delete_record"];
    for (at, expected) in [("2026-11-27T12:00:00Z", 0), ("2026-11-27T22:00:00Z", 1)] {
        let (code, told) = test(&folder, &[&delete[..], &["--at", at]].concat()).await;
        assert_eq!(code, Some(expected), "{at}: {told}");
    }
    for wrong in [
        &["--agent", "reporting", "--tool", "search_recods"][..],
        &["--agent", "stranger", "--tool", "search_records"],
        &["--agent", "reporting", "--tool", "search_records", "--arguments", "["],
    ] {
        let output = folder.cli(&[&["policy", "test"], wrong].concat()).await;
        assert!(matches!(output.status.code(), Some(64 | 65)), "{wrong:?}");
    }
    assert!(!folder.state("audit.jsonl").exists(), "nothing was called");
}

#[tokio::test]
async fn access_shows_who_may_call_what_and_through_which_line() {
    let folder = with_policy(OWN_REGION);
    folder.key("guest", &["--scope", "records:get_record"]).await;
    let narrow = folder.key("other", &["--scope", "records:search_records"]).await;
    folder.key("reporting", &[]).await;
    let gone = folder.key("ghost", &["--scope", "*"]).await;
    folder.cli_ok(&["key", "revoke", &gone.id]).await;

    let printed = folder.cli_ok(&["access"]).await;
    let line = |start: &[&str]| {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let found = printed.lines().find(|line| {
            words(line)
                .starts_with(&start.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
        });
        found.unwrap_or_else(|| panic!("{start:?} in {printed}")).to_owned()
    };
    let through = line(&["reporting", "get_record"]);
    assert!(through.contains("[roles.reader] scopes \"records:*\" ("), "{through}");
    assert!(through.ends_with("bulkhead.toml:5)"), "{through}");
    let through = line(&["other", "delete_record"]);
    assert!(through.contains("[agents.other] scopes \"crm.write\""), "{through}");
    assert!(through.ends_with("; needs crm.write"), "{through}");
    line(&["guest", "(key"]);
    line(&["other", "(key", &format!("{})", narrow.id), "search_records"]);
    assert!(!printed.contains("ghost"), "{printed}");
    assert!(!printed.contains("reporting  delete_record"), "{printed}");

    let one: Value = serde_json::from_str(
        &folder.cli_ok(&["access", "--agent", "reporting", "--tool", "get_record", "--json"]).await,
    )
    .unwrap();
    assert_eq!(one["access"].as_array().unwrap().len(), 1, "{one}");
    let why = folder.cli_ok(&["access", "--agent", "reporting", "--tool", "delete_record"]).await;
    assert!(why.contains("reporting may not call delete_record: it needs crm.write"), "{why}");
    let typo = folder.cli(&["access", "--agent", "reprting"]).await;
    assert_eq!(typo.status.code(), Some(65));
    assert!(String::from_utf8(typo.stderr).unwrap().contains("`reporting`?"));
}

#[tokio::test]
async fn access_tells_what_a_changed_configuration_would_add_and_take_away() {
    let folder = with_policy(OWN_REGION);
    let path = folder.path("other.toml").display().to_string();
    std::fs::write(&path, CONFIG).unwrap();
    let same = folder.cli(&["access", "--against", &path]).await;
    assert_eq!((same.status.code(), same.stdout.len()), (Some(0), 0));

    let changed = CONFIG.replace("\"crm.write\"", "\"text:*\"")
        + "[agents.billing]\nscopes = [\"records:get_record\"]\n";
    std::fs::write(&path, changed).unwrap();
    let differs = folder.cli(&["access", "--against", &path]).await;
    assert_eq!(differs.status.code(), Some(1));
    let printed = String::from_utf8(differs.stdout).unwrap();
    let lines: Vec<_> = printed.lines().collect();
    let [added, removed] = lines[..] else { panic!("{printed}") };
    assert!(added.starts_with("+ billing  get_record"), "{added}");
    assert!(added.contains("through [agents.billing] scopes \"records:get_record\" ("), "{added}");
    assert!(removed.starts_with("- other    delete_record"), "{removed}");
    let json = folder.cli(&["access", "--against", &path, "--json"]).await;
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["added"][0]["agent"], "billing", "{json}");
    assert_eq!(json["removed"][0]["tool"], "delete_record", "{json}");
}
