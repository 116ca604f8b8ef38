//! Every code as clients of each era see it: one transcript each in `tests/golden/errors`,
//! provoked for real.
//!
//! What cannot be provoked from outside is rendered by the host's own test
//! (`respond::golden`), which also holds that no code is without a transcript; those
//! files begin with why. `BULKHEAD_BLESS=1` writes the files anew.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bulkhead_tests::{Answer, Client, Host, Issuer, LEGACY, MODERN, Manner, OLDER, request};
use reqwest::header::HeaderMap;
use reqwest::{Request, RequestBuilder};
use serde_json::{Map, Value, json};

/// An era's name in the names of files, and its versions: all are answered alike.
const ERAS: [(&str, &[&str]); 2] = [("legacy", &[OLDER, LEGACY]), ("modern", &[MODERN])];

/// How a file begins that the host's own test has written.
const RENDERED: &str = "Not provoked from outside";

/// The largest body that is asked with and taken, and how a larger one is shown.
const BODY: usize = 16 << 10;

/// Headers of HTTP itself, which say nothing of an error.
const PLUMBING: [&str; 4] = ["content-length", "date", "host", "connection"];

fn folder() -> PathBuf {
    bulkhead_tests::workspace().join("tests/golden/errors")
}

/// Compares what is provoked with the files.
#[derive(Default)]
struct Golden {
    provoked: BTreeSet<String>,
    wrong: Vec<String>,
}

impl Golden {
    /// Provokes one transcript in both eras. Asked twice with each version: an error
    /// that a retry does not help is the same error again.
    async fn check(&mut self, name: &str, provoke: impl Fn(&'static str) -> RequestBuilder) {
        for (era, versions) in ERAS {
            let file = format!("{name}.{era}.http");
            for version in versions.iter().flat_map(|version| [*version; 2]) {
                self.compare(&file, &transcript(provoke(version)).await);
            }
            assert!(self.provoked.insert(file.clone()), "{file} is provoked twice");
        }
    }

    fn compare(&mut self, file: &str, found: &str) {
        let path = folder().join(file);
        if std::env::var_os("BULKHEAD_BLESS").is_some() {
            std::fs::write(&path, found).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        if expected != found {
            self.wrong.push(format!("{file} is\n{expected}\nand should be\n{found}"));
        }
    }

    /// Expects that all files are as they should be, and that there are no others.
    fn end(self) {
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
        let listing = std::fs::read_dir(folder()).unwrap().map(|file| file.unwrap());
        let here: BTreeSet<String> = listing
            .filter(|file| !std::fs::read_to_string(file.path()).unwrap().starts_with(RENDERED))
            .map(|file| file.file_name().into_string().unwrap())
            .collect();
        assert_eq!(here, self.provoked);
    }
}

/// Sends a request, and shows it with its answer. What differs from one request to the
/// next is named instead.
async fn transcript(post: RequestBuilder) -> String {
    let (client, asked) = post.build_split();
    let asked = asked.unwrap();
    let request = shown_request(&asked);
    let answer = client.execute(asked).await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = answer.text().await.unwrap();
    let id = headers["x-request-id"].to_str().unwrap().to_owned();
    let answered = format!("HTTP/1.1 {status}\n{}\n{}", shown_headers(&headers), pretty(&body));
    let answered = named(answered.replace(&id, "REQUEST_ID"), &body, &headers);
    format!("{request}\n{answered}")
}

fn shown_request(request: &Request) -> String {
    let body = request.body().and_then(|body| body.as_bytes()).unwrap_or_default();
    let body = pretty(str::from_utf8(body).unwrap());
    let body = body.replace(&"x".repeat(BODY), "(16384 times x)");
    let headers = shown_headers(request.headers());
    let headers = [OLDER, LEGACY].iter().fold(headers, |headers, version| {
        let one = format!("mcp-protocol-version: {version}\n");
        headers.replace(&one, &format!("mcp-protocol-version: {OLDER} or {LEGACY}\n"))
    });
    format!("{} /mcp HTTP/1.1\n{headers}\n{body}", request.method())
}

fn shown_headers(headers: &HeaderMap) -> String {
    let shown = headers.iter().filter(|(name, _)| !PLUMBING.contains(&name.as_str()));
    let mut lines: Vec<String> = shown
        .map(|(name, value)| match name.as_str() {
            "authorization" => "authorization: Bearer CREDENTIAL\n".to_owned(),
            name => format!("{name}: {}\n", value.to_str().unwrap()),
        })
        .collect();
    lines.sort();
    lines.concat()
}

/// Names the wait of a rate, which is shorter each time it is asked for, and the
/// server's version.
fn named(answered: String, body: &str, headers: &HeaderMap) -> String {
    let version = format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION"));
    let answered = answered.replace(&version, "\"version\": \"VERSION\"");
    let Some((_, wait)) = body.split_once("The next is allowed in ") else { return answered };
    let wait = &wait[..wait.find(' ').unwrap()];
    let seconds = headers["retry-after"].to_str().unwrap();
    let answered = answered.replace(&format!("retry-after: {seconds}"), "retry-after: SECONDS");
    answered.replace(wait, "MILLISECONDS")
}

/// A body, laid out and with its keys in order where it is JSON, that of a block of
/// text too; an empty one is nothing.
fn pretty(body: &str) -> String {
    match serde_json::from_str::<Value>(body) {
        Ok(mut value) => {
            let block = value.pointer_mut("/result/content/0/text");
            if let Some(block) = block
                && let Ok(text) = serde_json::from_str::<Value>(block.as_str().unwrap())
            {
                *block = sorted(text).to_string().into();
            }
            serde_json::to_string_pretty(&sorted(value)).unwrap() + "\n"
        }
        Err(_) if body.is_empty() => String::new(),
        Err(_) => format!("{body}\n"),
    }
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut pairs: Vec<(String, Value)> = map.into_iter().collect();
            pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
            let pairs = pairs.into_iter().map(|(key, value)| (key, sorted(value)));
            Value::Object(pairs.collect::<Map<_, _>>())
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}

/// A request of this client in this version, not sent yet.
fn ask(client: &Client, version: &'static str, method: &str, params: Value) -> RequestBuilder {
    let client = client.speaking(version);
    client.post(&client.message(method, params))
}

/// A call of this client in this version, not sent yet.
fn call(client: &Client, version: &'static str, tool: &str, arguments: Value) -> RequestBuilder {
    ask(client, version, "tools/call", json!({ "name": tool, "arguments": arguments }))
}

/// The headers of a request in this version, with other content headers than usual.
fn odd(client: &Client, version: &'static str, method: &str) -> RequestBuilder {
    client.http(method).bearer_auth(client.key()).header("MCP-Protocol-Version", version)
}

#[tokio::test]
async fn every_code_has_its_transcript_in_both_eras() {
    let mut golden = Golden::default();
    gates(&mut golden).await;
    malformed(&mut golden).await;
    refusals(&mut golden).await;
    faults(&mut golden).await;
    tokens(&mut golden).await;
    taken(&mut golden).await;
    golden.end();
}

fn hello() -> Value {
    json!({ "message": "hello" })
}

async fn gates(golden: &mut Golden) {
    let setup = Host::test().plugin("echo").agent("alice", &["*"]);
    let setup =
        setup.agent("bob", &["*"]).config("[agents.bob.per_agent]\nrate = '1/h'\nburst = 1");
    let host = setup.config("[server]\nmax_body = '16KiB'").start().await;
    let (alice, bob, stranger) =
        (host.client("alice").await, host.client("bob").await, host.stranger());
    let list = |version| ask(&alice, version, "tools/list", json!({}));

    golden.check("UNAUTHENTICATED", |version| call(&stranger, version, "echo", hello())).await;
    golden
        .check("ORIGIN_FORBIDDEN", |version| list(version).header("Origin", "https://evil.example"))
        .await;
    golden.check("METHOD_NOT_ALLOWED", |version| odd(&alice, version, "GET")).await;
    let post = |version| odd(&alice, version, "POST").body("{}");
    golden
        .check("NOT_ACCEPTABLE", |version| {
            post(version).header("Accept", "text/html").header("Content-Type", "application/json")
        })
        .await;
    golden
        .check("UNSUPPORTED_MEDIA_TYPE", |version| {
            post(version).header("Accept", "application/json").header("Content-Type", "text/plain")
        })
        .await;
    let large = json!({ "message": "x".repeat(BODY) });
    golden.check("PAYLOAD_TOO_LARGE", |version| call(&alice, version, "echo", large.clone())).await;
    bob.request("tools/list", json!({})).await.expect_ok();
    golden.check("RATE_LIMITED.gate", |version| ask(&bob, version, "tools/list", json!({}))).await;
}

async fn malformed(golden: &mut Golden) {
    let host = Host::test().plugin("echo").agent("alice", &["*"]).start().await;
    let alice = host.client("alice").await;
    let bare = |version, body: String| alice.bare(body).header("MCP-Protocol-Version", version);
    golden
        .check("PARSE_ERROR", |version| bare(version, r#"{"jsonrpc":"2.0","id":1,"#.into()))
        .await;
    golden.check("INVALID_REQUEST", |version| bare(version, "[]".into())).await;
    golden
        .check("INVALID_PARAMS", |version| {
            ask(&alice, version, "tools/list", json!({ "cursor": "x" }))
        })
        .await;
    golden.check("METHOD_NOT_FOUND", |version| ask(&alice, version, "tools/sing", json!({}))).await;
    golden
        .check("HEADER_MISMATCH", |version| match version {
            MODERN => {
                let message = alice.speaking(MODERN).message("tools/list", json!({}));
                bare(version, message.to_string()).header("Mcp-Method", "tools/call")
            }
            legacy => {
                let params = json!({
                    "protocolVersion": LEGACY, "capabilities": {},
                    "clientInfo": { "name": "t", "version": "0" },
                });
                let message = alice.speaking(legacy).message("initialize", params);
                bare(MODERN, message.to_string())
            }
        })
        .await;
    golden
        .check("UNSUPPORTED_PROTOCOL_VERSION", |version| {
            let version = if version == MODERN { "2099-01-01" } else { "2019-01-01" };
            let message = request(version, 1.into(), "tools/list", json!({}));
            bare(version, message.to_string()).header("Mcp-Method", "tools/list")
        })
        .await;
}

async fn refusals(golden: &mut Golden) {
    let setup = Host::test().plugin("echo").plugin("loud").plugin("records");
    let setup = setup.sidecar("loud", "[tools.loud]\nper_agent.rate = '1/h'");
    let host = setup.agent("alice", &["echo:*", "loud:*", "records:get_record"]).start().await;
    let alice = host.client("alice").await;

    golden.check("TOOL_NOT_FOUND", |version| call(&alice, version, "nothing", json!({}))).await;
    golden
        .check("INVALID_ARGUMENTS", |version| {
            call(&alice, version, "echo", json!({ "massage": 1 }))
        })
        .await;
    golden
        .check("PERMISSION_DENIED", |version| {
            call(&alice, version, "delete_record", json!({ "id": "rec_0001" }))
        })
        .await;
    golden
        .check("RECORD_NOT_FOUND", |version| {
            call(&alice, version, "get_record", json!({ "id": "rec_9999" }))
        })
        .await;
    alice.call("loud", json!({ "bytes": 1 })).await.expect_ok();
    golden
        .check("RATE_LIMITED", |version| call(&alice, version, "loud", json!({ "bytes": 1 })))
        .await;
}

async fn faults(golden: &mut Golden) {
    let quotas = [
        ("spin", "per_call.fuel = '50M'"),
        ("hog", "per_call.memory = '8MiB'"),
        ("slow", "per_call.deadline = '200ms'"),
        ("loud", "per_call.max_output = '64KiB'"),
        ("panics", ""),
        ("fails", ""),
        ("mismatch", ""),
    ];
    let setup = Host::test().config("[per_call]\ndeadline = '60s'");
    let setup = quotas
        .iter()
        .fold(setup, |setup, (guest, quota)| setup.plugin(guest).sidecar(guest, quota));
    // Not `*`, which covers the scope of those who are told what a call spent.
    let scopes: Vec<String> = quotas.iter().map(|(guest, _)| format!("{guest}:*")).collect();
    let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
    let host = setup.agent("alice", &scopes).start().await;
    let alice = host.client("alice").await;
    for (name, tool, arguments) in [
        ("FUEL_EXHAUSTED", "spin", json!({})),
        ("MEMORY_EXCEEDED", "hog", json!({})),
        ("DEADLINE_EXCEEDED", "slow", json!({ "ms": 60_000 })),
        ("OUTPUT_TOO_LARGE", "loud", json!({ "bytes": (64 << 10) + 1 })),
        ("OUTPUT_REJECTED", "mismatch", json!({})),
        ("TOOL_CRASHED", "panics", json!({})),
        ("TOOL_ERROR", "fails", json!({ "code": "nope" })),
        ("STOCK_TOO_LOW", "fails", json!({ "code": "STOCK_TOO_LOW", "retry_after_ms": 1_500 })),
    ] {
        golden.check(name, |version| call(&alice, version, tool, arguments.clone())).await;
    }
}

async fn tokens(golden: &mut Golden) {
    let issuer = Issuer::start().await;
    let setup = Host::test().plugin("echo").config(&issuer.config()).agent("alice", &["*"]);
    let host = setup.start().await;
    let alice = host.with_key(&issuer.token("alice", "other"));
    golden.check("INSUFFICIENT_SCOPE", |version| call(&alice, version, "echo", hello())).await;

    let issuer = Issuer::start().await;
    issuer.answers(Manner::Down);
    let setup = Host::test().plugin("echo").config(&issuer.config()).agent("alice", &["*"]);
    let host = setup.start().await;
    let alice = host.with_key(&issuer.token("alice", "echo:*"));
    golden.check("UNAVAILABLE.gate", |version| call(&alice, version, "echo", hello())).await;
}

async fn taken(golden: &mut Golden) {
    let sidecar = "[per_call]\ndeadline = '10min'\n[per_plugin]\nconcurrency = 1\nqueue = 0";
    let setup = Host::test().plugin("slow").sidecar("slow", sidecar);
    let host = setup.agent("alice", &["slow:*"]).start().await;
    let alice = host.client("alice").await;
    let mut running = alice.open("slow", json!({ "ms": 300_000 })).await;
    running.next().await.unwrap();
    golden.check("UNAVAILABLE", |version| call(&alice, version, "slow", json!({ "ms": 1 }))).await;

    // Who waits as long as it is told is served when the cause has ended.
    drop(running);
    host.until_in_flight(0).await;
    let served = obeying(&alice, "slow", json!({ "ms": 1 })).await;
    served.last().unwrap().expect_ok();
    assert_eq!(served.len(), 1);
}

/// Calls until the call is served, or another try would not help; waits as it is told.
async fn obeying(client: &Client, tool: &str, arguments: Value) -> Vec<Answer> {
    let mut answers = Vec::new();
    loop {
        let answer = client.call(tool, arguments.clone()).await;
        let error = answer.result()["_meta"]["io.bulkhead/error"].clone();
        answers.push(answer);
        if error["retryable"] != true {
            return answers;
        }
        tokio::time::sleep(Duration::from_millis(error["retryAfterMs"].as_u64().unwrap())).await;
    }
}

#[tokio::test]
async fn whoever_waits_as_told_is_served() {
    let setup = Host::test().plugin("echo").agent("alice", &["*"]);
    let host = setup.config("[agents.alice.per_agent]\nrate = '2/s'\nburst = 1").start().await;
    let alice = host.client("alice").await;
    for round in 0..4 {
        let begun = Instant::now();
        let answers = obeying(&alice, "echo", hello()).await;
        answers.last().unwrap().expect_ok();
        assert!(answers.len() <= 2, "one wait is enough, round {round}: {answers:?}");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
    let stopped = obeying(&alice, "echo", json!({})).await;
    assert_eq!(stopped.last().unwrap().expect_code("INVALID_ARGUMENTS")["retryable"], false);
}

#[tokio::test]
async fn a_plugins_hint_is_bounded() {
    let host = Host::test().plugin("fails").agent("alice", &["*"]).start().await;
    let alice = host.client("alice").await;
    for (ms, told) in
        [(0, 0), (3_600_000, 3_600_000), (3_600_001, 3_600_000), (u64::MAX, 3_600_000)]
    {
        let answer = alice.call("fails", json!({ "code": "BUSY", "retry_after_ms": ms })).await;
        let error = answer.expect_code("BUSY");
        assert_eq!((&error["retryable"], &error["retryAfterMs"]), (&json!(true), &json!(told)));
    }
}
