//! Tokens of an authorization server: what they bring, and everything that is tried
//! with them. The real one is in `tests/identity`; this one also does what no real one
//! would.

use std::time::Duration;

use bulkhead_tests::{Answer, Host, Issuer, Manner, RESOURCE, Setup, base64url, now, until};
use serde_json::{Value, json};

const SCOPED: &str = "[tools.echo]\nrequires = ['special', 'echo:echo']\n";

fn hello() -> Value {
    json!({ "message": "hello" })
}

fn setup(issuer: &Issuer) -> Setup {
    Host::test().plugin("echo").config(&issuer.config())
}

async fn served() -> (Issuer, Host) {
    let issuer = Issuer::start().await;
    let host = setup(&issuer).agent("alice", &["*"]).agent("bob", &["*"]).start().await;
    (issuer, host)
}

#[track_caller]
fn expect_refused(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 401, "{what}: {answer:?}");
    let challenge = answer.header("www-authenticate");
    assert!(challenge.starts_with("Bearer resource_metadata=\""), "{what}: {challenge}");
    assert!(challenge.contains("error=\"invalid_token\""), "{what}: {challenge}");
    let error = answer.expect_code("UNAUTHENTICATED");
    assert_eq!(error["message"], "The credential is not accepted.", "{what}");
    assert_eq!(error["details"], Value::Null, "{what}");
}

#[tokio::test]
async fn a_token_brings_its_agent_its_subject_and_its_scopes() {
    let issuer = Issuer::start().await;
    let host = setup(&issuer).plugin("counter").agent("alice", &["echo:*"]).start().await;
    let alice = host.with_key(&issuer.token("alice", "echo:* counter:*"));
    for client in [alice.clone(), alice.legacy()] {
        let answer = client.call("echo", hello()).await;
        answer.expect_ok();
        let record = host.record(answer.request_id()).await;
        assert_eq!(record["agent"], "alice");
        assert_eq!(record["subject"], "ada");
        assert!(record["credential"].as_str().unwrap().starts_with("token:alice-"), "{record}");
    }
    alice.call("counter", json!({})).await.expect_code("PERMISSION_DENIED");
    assert_eq!(alice.tool_names().await, ["echo"]);

    // Without an entry, what the token says is all there is.
    let guest = host.with_key(&issuer.token("guest", "counter:*"));
    guest.call("counter", json!({})).await.expect_ok();
    assert_eq!(issuer.asked(), 2, "the keys are fetched once: where they are, and they");
}

#[tokio::test]
async fn a_client_without_a_token_is_led_to_where_it_gets_one() {
    let (issuer, host) = served().await;
    let answer = host.stranger().call("echo", hello()).await;
    assert_eq!(answer.status, 401);
    let url = "https://tools.example.com/.well-known/oauth-protected-resource/mcp";
    let challenge = format!("Bearer resource_metadata=\"{url}\"");
    assert_eq!(answer.header("www-authenticate"), challenge);

    let documents = ["", "/mcp"].map(async |suffix| {
        let url = host.url().replace("/mcp", "/.well-known/oauth-protected-resource") + suffix;
        let answer = reqwest::get(url).await.unwrap();
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
        assert_eq!(answer.headers()["content-type"], "application/json");
        serde_json::from_str::<Value>(&answer.text().await.unwrap()).unwrap()
    });
    for document in documents {
        let document = document.await;
        assert_eq!(document["resource"], RESOURCE);
        assert_eq!(document["authorization_servers"], json!([issuer.url()]));
        assert_eq!(document["bearer_methods_supported"], json!(["header"]));
        assert_eq!(document["scopes_supported"], Value::Null);
    }
    let other = host.url().replace("/mcp", "/.well-known/oauth-protected-resource/x");
    assert_eq!(reqwest::get(other).await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_server_of_keys_alone_leads_nowhere() {
    let host = Host::test().plugin("echo").start().await;
    let answer = host.stranger().call("echo", hello()).await;
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"bulkhead\"");
    let document = host.url().replace("/mcp", "/.well-known/oauth-protected-resource");
    assert_eq!(reqwest::get(document).await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_token_without_the_scope_is_told_once_all_that_it_needs() {
    let issuer = Issuer::start().await;
    let setup = setup(&issuer).plugin("counter").sidecar("echo", SCOPED);
    let setup = setup.agent("alice", &["special", "echo:*"]).agent("bob", &["echo:*"]);
    let host = setup.start().await;
    let alice = host.with_key(&issuer.token("alice", "special"));
    for client in [alice.clone(), alice.legacy()] {
        let answer = client.call("echo", hello()).await;
        assert_eq!(answer.status, 403);
        assert_eq!(
            answer.header("www-authenticate"),
            "Bearer error=\"insufficient_scope\", scope=\"special echo:echo\", \
             resource_metadata=\"https://tools.example.com/.well-known/oauth-protected-resource/mcp\", \
             error_description=\"Calling echo needs a token with these scopes: special echo:echo.\""
        );
        let error = answer.expect_code("INSUFFICIENT_SCOPE");
        assert_eq!(error["details"]["scope"], "special echo:echo");
        let record = host.record(answer.request_id()).await;
        assert_eq!((&record["outcome"], &record["agent"]), (&json!("refused"), &json!("alice")));
    }
    assert_eq!(alice.tool_names().await, ["echo"], "it may know what it could step up to");
    let wider = host.with_key(&issuer.token("alice", "special echo:echo"));
    wider.call("echo", hello()).await.expect_ok();

    // What its operator does not give it, no other token can bring.
    let bob = host.with_key(&issuer.token("bob", "special echo:echo"));
    let answer = bob.call("echo", hello()).await;
    assert_eq!(answer.status, 200);
    answer.expect_code("PERMISSION_DENIED");
    assert_eq!(bob.tool_names().await, [""; 0]);
    // A key cannot be stepped up.
    let key = host.key("alice", &["--scope", "special"]).await;
    host.with_key(&key.key).call("echo", hello()).await.expect_code("PERMISSION_DENIED");
}

#[tokio::test]
async fn a_concealed_tool_is_no_reason_to_step_up() {
    let issuer = Issuer::start().await;
    let sidecar = format!("{SCOPED}on_denied = 'conceal'\n");
    let host = setup(&issuer).sidecar("echo", &sidecar).agent("alice", &["*"]).start().await;
    let alice = host.with_key(&issuer.token("alice", "special"));
    let answer = alice.call("echo", hello()).await;
    assert_eq!(answer.status, 200);
    answer.expect_code("TOOL_NOT_FOUND");
    assert_eq!(alice.tool_names().await, [""; 0]);
    let wider = host.with_key(&issuer.token("alice", "special echo:echo"));
    wider.call("echo", hello()).await.expect_ok();
}

/// One row per attack. What each is refused for is in the host's own tests; here, that
/// every one of them ends in the same 401, and that the server goes on.
#[tokio::test]
async fn every_forged_token_gets_one_answer() {
    let (issuer, host) = served().await;
    let other = Issuer::start().await;
    let good = issuer.token("alice", "*");
    let claims = |change: &[(&str, Value)]| {
        let mut claims = issuer.claims("alice", "*");
        for (name, value) in change {
            claims[*name] = value.clone();
        }
        claims
    };
    let signed = |change: &[(&str, Value)]| issuer.sign(&claims(change));
    let header = |header: Value| issuer.sign_with("ec", &header, &claims(&[]));
    let parts: Vec<&str> = good.split('.').collect();
    let none = base64url(br#"{"alg":"none","typ":"at+jwt"}"#);
    let hs256 = base64url(br#"{"alg":"HS256","typ":"at+jwt","kid":"rsa"}"#);
    let twice = format!(r#"{{"iss":"{0}","iss":"{0}","exp":1}}"#, issuer.url());
    let es256 = |more: Value| {
        let mut header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": "ec" });
        for (name, value) in more.as_object().unwrap() {
            header[name] = value.clone();
        }
        header
    };
    let mallory = other.url().to_owned();
    let attacks: Vec<(&str, String)> = vec![
        ("alg none, no signature", format!("{none}.{}.", parts[1])),
        ("alg none, with a signature", format!("{none}.{}.{}", parts[1], parts[2])),
        ("HS256 with an asymmetric key's id", format!("{hs256}.{}.{}", parts[1], parts[2])),
        ("another's signature", format!("{}.{}.{}", parts[0], parts[1], base64url(&[7; 64]))),
        ("other claims under a good signature", {
            let claims = base64url(claims(&[("client_id", json!("bob"))]).to_string().as_bytes());
            format!("{}.{claims}.{}", parts[0], parts[2])
        }),
        ("a kid that is a path", header(es256(json!({ "kid": "../../../../dev/null" })))),
        ("a kid that is SQL", header(es256(json!({ "kid": "x' UNION SELECT 'a" })))),
        ("a kid of 8 KB", header(es256(json!({ "kid": "k".repeat(8_000) })))),
        ("the RSA key's id, signed by the other", header(es256(json!({ "kid": "rsa" })))),
        ("RS256 with the P-256 key", header(json!({ "alg": "RS256", "kid": "ec" }))),
        ("a key of its own, by jku", {
            let header = json!({ "alg": "ES256", "kid": "mine", "jku": format!("{mallory}/keys") });
            other.sign_with("ec", &header, &claims(&[]))
        }),
        ("a key of its own, embedded", {
            let jwk = json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" });
            other.sign_with("ec", &json!({ "alg": "ES256", "jwk": jwk }), &claims(&[]))
        }),
        ("a critical extension", header(es256(json!({ "crit": ["exp"] })))),
        ("an ID token's type", header(es256(json!({ "typ": "oauth-id-jag+jwt" })))),
        ("a wrong audience", signed(&[("aud", json!("https://other.example/mcp"))])),
        ("no audience", signed(&[("aud", Value::Null)])),
        ("an issuer that is not configured", other.token("alice", "*")),
        ("a wrong issuer with our key", signed(&[("iss", json!("https://idp.example.com"))])),
        ("our issuer with another's key", other.sign(&claims(&[]))),
        ("not valid yet", signed(&[("nbf", json!(now() + 3_600))])),
        ("expired", signed(&[("exp", json!(now() - 61))])),
        ("no end", signed(&[("exp", Value::Null)])),
        ("an end that is a text", signed(&[("exp", json!("tomorrow"))])),
        ("an end beyond numbers", signed(&[("exp", json!(1e300))])),
        ("issued in the future", signed(&[("iat", json!(now() + 3_600))])),
        ("claims said twice", format!("{}.{}.{}", parts[0], base64url(twice.as_bytes()), parts[2])),
        ("claims that are no object", format!("{}.{}.{}", parts[0], base64url(b"[]"), parts[2])),
        ("no agent", signed(&[("client_id", Value::Null), ("sub", Value::Null)])),
        ("cut off", good[..good.len() - 10].to_owned()),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("four parts", format!("{good}.{}", parts[2])),
        ("a padded part", format!("{}=.{}.{}", parts[0], parts[1], parts[2])),
        ("20 KB", format!("{}.{}.{}", parts[0], "A".repeat(20_000), parts[2])),
        ("opaque", "2YotnFZFEjr1zCsicMWpAA".to_owned()),
        ("dots", "..".to_owned()),
    ];
    for (attack, token) in &attacks {
        let answer = host.with_key(token).call("echo", hello()).await;
        if answer.status == 401 {
            expect_refused(&answer, attack);
        } else {
            assert_eq!(answer.status, 429, "{attack}: {answer:?}");
        }
        // Two dots are in any log.
        let shown = token != ".." && host.log.text().contains(token.as_str());
        assert!(!shown, "{attack}: the log shows it");
    }
    host.with_key(&good).call("echo", hello()).await.expect_ok();
    let first = issuer.sign_with("rsa", &json!({ "alg": "RS256", "kid": "rsa" }), &claims(&[]));
    host.with_key(&first).call("echo", hello()).await.expect_ok();
}

#[tokio::test]
async fn a_token_in_the_url_is_refused() {
    let (issuer, host) = served().await;
    let token = issuer.token("alice", "*");
    let alice = host.with_key(&token);
    let body = alice.message("tools/call", json!({ "name": "echo", "arguments": hello() }));
    for query in [format!("access_token={token}"), format!("a=b&access%5Ftoken={token}")] {
        let url = format!("{}?{query}", host.url());
        let post = reqwest::Client::new().post(url).body(body.to_string());
        let post = post.header("content-type", "application/json").bearer_auth(&token);
        let answer = post.send().await.unwrap();
        assert_eq!(answer.status(), 400);
        assert!(answer.text().await.unwrap().contains("in the URL"));
    }
    assert!(!host.log.text().contains(&token));
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_stops_nobody_else() {
    let issuer = Issuer::start().await;
    for manner in [Manner::Down, Manner::Garbage, Manner::Huge, Manner::Elsewhere, Manner::Silent] {
        issuer.answers(manner);
        let host = setup(&issuer).agent("alice", &["*"]).start().await;
        let by_key = host.client("alice").await;
        let by_token = host.with_key(&issuer.token("alice", "*"));
        let (refused, served) =
            tokio::join!(by_token.call("echo", hello()), by_key.call("echo", hello()));
        served.expect_ok();
        assert_eq!(refused.status, 503, "{manner:?}: {refused:?}");
        assert!(refused.headers.contains_key("retry-after"));
        refused.expect_code("UNAVAILABLE");
        assert!(!refused.text.contains("127.0.0.1"), "nothing internal: {}", refused.text);

        issuer.answers(Manner::Well);
        until("the issuer's keys", async || {
            let answer = by_token.call("echo", hello()).await;
            (answer.status == 200).then(|| answer.expect_ok().clone())
        })
        .await;
        // What is known serves on without it.
        issuer.answers(manner);
        host.with_key(&issuer.token("alice", "* x")).call("echo", hello()).await.expect_ok();
    }
}

#[tokio::test]
async fn unknown_key_ids_do_not_make_us_hammer_the_issuer() {
    let (issuer, host) = served().await;
    host.with_key(&issuer.token("alice", "*")).call("echo", hello()).await.expect_ok();
    let before = issuer.asked();
    let claims = issuer.claims("alice", "*");
    let forged = (0..60).map(|n| {
        let header = json!({ "alg": "ES256", "kid": format!("no-{n}"), "typ": "at+jwt" });
        host.with_key(&issuer.sign_with("ec", &header, &claims))
    });
    let calls = forged.map(|client| {
        tokio::spawn(async move { client.call("echo", hello()).await.status.as_u16() })
    });
    for call in calls.collect::<Vec<_>>() {
        let status = call.await.unwrap();
        assert!(matches!(status, 401 | 429 | 503), "{status}");
    }
    assert!(issuer.asked() - before <= 4, "{} requests", issuer.asked() - before);
}

#[tokio::test]
async fn a_new_key_is_found_when_a_token_names_it() {
    let (issuer, host) = served().await;
    let old = host.with_key(&issuer.token("alice", "*"));
    old.call("echo", hello()).await.expect_ok();
    issuer.rotate("next");
    let new = host.with_key(&issuer.token("alice", "* next"));
    until("the new key", async || {
        let answer = new.call("echo", hello()).await;
        (answer.status == 200).then_some(())
    })
    .await;
    // Its key is withdrawn: what it signed is no proof any more, seen before or not.
    expect_refused(&old.call("echo", hello()).await, "signed with a withdrawn key");
}

#[tokio::test]
async fn a_token_ends_when_it_says() {
    let (issuer, host) = served().await;
    let mut claims = issuer.claims("alice", "*");
    claims["exp"] = (now() + 2).into();
    let brief = host.with_key(&issuer.sign(&claims));
    brief.call("echo", hello()).await.expect_ok();
    until("its end", async || {
        let answer = brief.call("echo", hello()).await;
        (answer.status == 401).then(|| expect_refused(&answer, "expired"))
    })
    .await;
}

#[tokio::test]
async fn what_is_revoked_is_refused_on_the_next_call_and_after_a_restart() {
    let (issuer, host) = served().await;
    let token = |client: &str, subject: &str, id: &str| {
        let mut claims = issuer.claims(client, "*");
        claims["sub"] = subject.into();
        claims["jti"] = id.into();
        issuer.sign(&claims)
    };
    let (one, two, three, four) = (
        token("alice", "ada", "t-1"),
        token("alice", "ada", "t-2"),
        token("alice", "grace", "t-3"),
        token("bob", "alan", "t-4"),
    );
    let statuses = async |host: &Host| {
        let mut statuses = Vec::new();
        for token in [&one, &two, &three, &four] {
            statuses.push(host.with_key(token).call("echo", hello()).await.status.as_u16());
        }
        statuses
    };
    assert_eq!(statuses(&host).await, [200; 4]);
    host.cli_ok(&["revoke", "--token", "t-1", "--issuer", issuer.url()]).await;
    assert_eq!(statuses(&host).await, [401, 200, 200, 200]);
    host.cli_ok(&["revoke", "--subject", "ada"]).await;
    assert_eq!(statuses(&host).await, [401, 401, 200, 200]);
    host.cli_ok(&["revoke", "--agent", "alice"]).await;
    assert_eq!(statuses(&host).await, [401, 401, 401, 200]);

    let folder = host.stop().await;
    let host = Host::start(folder).await;
    assert_eq!(statuses(&host).await, [401, 401, 401, 200]);
    host.cli_ok(&["revoke", "--agent", "alice", "--lift"]).await;
    assert_eq!(statuses(&host).await, [401, 401, 200, 200]);
    host.cli_ok(&["revoke", "--issued-before", "now"]).await;
    assert_eq!(statuses(&host).await, [401; 4]);
    let mut later = issuer.claims("bob", "*");
    later["sub"] = "alan".into();
    // Its issuer's clock may be ahead by the leeway.
    later["iat"] = (now() + 5).into();
    let token = issuer.sign(&later);
    assert_eq!(host.with_key(&token).call("echo", hello()).await.status, 401);
    until("a token of later", async || {
        later["iat"] = (now() + 10).into();
        let token = issuer.sign(&later);
        (host.with_key(&token).call("echo", hello()).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_call_in_flight_ends_within_a_second_of_its_revocation() {
    let issuer = Issuer::start().await;
    let setup = setup(&issuer).plugin("slow").sidecar("slow", "per_call.deadline = '10min'");
    let host = setup.agent("alice", &["*"]).agent("bob", &["*"]).start().await;
    let of_key = host.client("alice").await;
    let of_token = host.with_key(&issuer.token("alice", "*"));
    let bob = host.client("bob").await;
    let mut streams = Vec::new();
    for client in [&of_key, &of_token, &of_key.legacy(), &bob] {
        let mut stream = client.open("slow", json!({ "ms": 300_000 })).await;
        assert_eq!(stream.next().await.unwrap()["method"], "notifications/progress");
        streams.push(stream);
    }
    let revoked = std::time::Instant::now();
    host.cli_ok(&["revoke", "--agent", "alice"]).await;
    let mut others = streams.split_off(3);
    for mut stream in streams {
        let end = loop {
            let message = stream.next().await.expect("an end is told");
            if message["method"].is_null() {
                break message;
            }
        };
        assert_eq!(end["error"]["data"]["code"], "UNAUTHENTICATED", "{end}");
    }
    let took = revoked.elapsed();
    assert!(took < Duration::from_secs(5), "with starting the command: {took:?}");
    host.until_in_flight(1).await;
    drop(others.pop());
    let records = host.audit();
    let refused = records.iter().filter(|record| record["code"] == "UNAUTHENTICATED");
    assert_eq!(refused.filter(|record| record["agent"] == "alice").count(), 3, "{records:?}");
}

#[tokio::test]
async fn a_token_is_not_shown_to_a_plugin() {
    let issuer = Issuer::start().await;
    let setup = Host::test().plugin("context").config(&issuer.config());
    let host = setup.agent("alice", &["*"]).start().await;
    let token = issuer.token("alice", "*");
    let answer = host.with_key(&token).call("context", json!({})).await;
    assert!(answer.expect_ok().to_string().contains("alice"), "{}", answer.text);
    for part in token.split('.') {
        assert!(!answer.text.contains(part), "{}", answer.text);
    }
}

#[tokio::test]
async fn everybody_is_served_only_where_the_configuration_says_so() {
    let config = "[auth]\nanonymous = 'visitor'\n[agents.visitor]\nscopes = ['echo:*']\nper_agent.rate = '2/min'\nper_agent.burst = 2\n";
    let setup = Host::test().plugin("echo").plugin("counter").config(config);
    let host = setup.agent("alice", &["*"]).start().await;
    let visitor = host.stranger();
    assert_eq!(visitor.tool_names().await, ["echo"]);
    let answer = visitor.call("echo", hello()).await;
    answer.expect_ok();
    let record = host.record(answer.request_id()).await;
    assert_eq!((&record["agent"], &record["credential"]), (&json!("visitor"), &json!("anonymous")));
    visitor.call("echo", hello()).await.expect_code("RATE_LIMITED");
    host.client("alice").await.call("counter", json!({})).await.expect_ok();
    // Whoever shows a credential is not a visitor.
    assert_eq!(host.with_key("bhk_nobody_secret").call("echo", hello()).await.status, 401);

    let broken = Host::test().config("[auth]\nanonymous = 'visitor'\n").folder();
    let output = broken.cli(&["config", "check"]).await;
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stderr).contains("[agents.visitor]"));
}

#[tokio::test]
async fn guessing_is_slow_and_locks_nobody_out() {
    let host = Host::test().plugin("echo").agent("alice", &["*"]).start().await;
    let alice = host.client("alice").await;
    let guess = |n: usize| host.with_key(&format!("bhk_aaaaaaaaaaaa_{n}"));
    let guesses = (0..24).map(guess).map(|client| {
        tokio::spawn(async move {
            let began = std::time::Instant::now();
            let status = client.call("echo", hello()).await.status;
            assert_eq!(status, 401);
            began.elapsed()
        })
    });
    let guesses: Vec<_> = guesses.collect();
    // From the same address, at the same time.
    for _ in 0..20 {
        let began = std::time::Instant::now();
        alice.call("echo", hello()).await.expect_ok();
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
    let mut waited = Vec::new();
    for guess in guesses {
        waited.push(guess.await.unwrap());
    }
    waited.sort();
    assert!(waited[23] >= Duration::from_millis(4_500), "{waited:?}");
    assert!(waited[5] < Duration::from_secs(2), "the first are free: {waited:?}");
    let failures = r#"bulkhead_authentication_failures_total{reason="not_accepted"}"#;
    assert_eq!(host.metric(failures).await, 24.0);
    // Whoever presents nothing does not hide who guesses.
    for _ in 0..200 {
        assert_eq!(host.stranger().call("echo", hello()).await.status, 401);
    }
    let mark = host.log.mark();
    let refused = host.with_key("bhk_aaaaaaaaaaaa_0").call("echo", hello()).await;
    let told = host.log.line_after(mark, "a credential was not accepted").await;
    assert!(told.contains("127.0.0.1") && told.contains("mistyped or cut off"), "{told}");
    let id = &refused.messages[0]["error"]["data"]["requestId"];
    let records = host.audit();
    let record = records.iter().find(|record| record["request_id"] == *id).unwrap();
    assert_eq!(
        (&record["source"], &record["code"]),
        (&json!("127.0.0.1"), &json!("UNAUTHENTICATED"))
    );
    assert_eq!(host.metric(failures).await, 25.0);
}
