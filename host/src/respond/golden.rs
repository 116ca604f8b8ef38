//! Every code has a transcript in `tests/golden/errors` and a row in `docs/errors.md`,
//! and both say what the tables of this server say.
//!
//! The transcripts are provoked for real by the end-to-end test `errors`, but for
//! those that [`source`] names: they are rendered here. `BULKHEAD_BLESS=1` writes
//! those anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::codes::{Form, form, rpc_code, status};
use super::*;
use crate::error::PluginCode;
use crate::transport::{Channel, Head, parse};

/// Where a code's transcript comes from.
enum Source {
    /// From a real server, by the end-to-end test.
    Provoked,
    /// From here, since nothing outside leads to it, and why.
    Rendered(&'static str, Error),
}

fn source(code: &Code) -> Source {
    match code {
        Code::Unauthenticated
        | Code::InsufficientScope
        | Code::OriginForbidden
        | Code::MethodNotAllowed
        | Code::NotAcceptable
        | Code::PayloadTooLarge
        | Code::UnsupportedMediaType
        | Code::ParseError
        | Code::InvalidRequest
        | Code::InvalidParams
        | Code::MethodNotFound
        | Code::HeaderMismatch
        | Code::UnsupportedProtocolVersion
        | Code::ToolNotFound
        | Code::InvalidArguments
        | Code::RateLimited
        | Code::PermissionDenied
        | Code::FuelExhausted
        | Code::MemoryExceeded
        | Code::ToolCrashed
        | Code::DeadlineExceeded
        | Code::Unavailable
        | Code::OutputTooLarge
        | Code::OutputRejected
        | Code::ToolError
        | Code::Plugin(_) => Source::Provoked,
        Code::MissingClientCapability => {
            let error = Error::new(code.clone(), "The client has to declare `sampling` for this.")
                .detail("requiredCapabilities", json!({ "sampling": {} }));
            Source::Rendered("no method of this server needs a capability of the client", error)
        }
        Code::Internal => {
            Source::Rendered("it takes a mistake of the server's own", Error::internal("a mistake"))
        }
        Code::UpstreamUnavailable => {
            let text = "What this tool reaches through its host did not answer.";
            let why = "no capability of plugins reaches anything yet";
            Source::Rendered(why, Error::new(code.clone(), text))
        }
        Code::Cancelled => {
            let why = "whoever cancels a call is not answered";
            Source::Rendered(why, Error::new(code.clone(), "The call was cancelled."))
        }
    }
}

/// Every code of the host, and one of a plugin.
fn codes() -> Vec<Code> {
    let plugin = Code::Plugin(PluginCode::parse("RECORD_NOT_FOUND").unwrap());
    Code::HOST.iter().cloned().chain([plugin]).collect()
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn folder() -> PathBuf {
    workspace().join("tests/golden/errors")
}

/// The eras by the names of files, and a version of each.
const ERAS: [(&str, Version); 2] =
    [("legacy", Version::V2025_11_25), ("modern", Version::V2026_07_28)];

fn id() -> RpcId {
    let body = br#"{"jsonrpc":"2.0","id":1,"method":"notifications/x/y"}"#;
    let head = Head::without_headers(Channel::Stdio, crate::transport::Presented::None, None);
    parse(&head, body).unwrap_err().id
}

/// The answer to a call that ended so, laid out as the end-to-end test does it.
fn rendered(why: &str, error: Error, version: Version) -> String {
    let called = Called::refused(error);
    let reply = Reply::Answer { id: id(), version, answer: Answer::Called(called.into()) };
    let request_id = RequestId::generate();
    let challenges = Challenges::of_keys();
    let response = http(&reply, Asked { request_id, presented: true, challenges: &challenges });
    let headers = response.headers().iter();
    let mut headers: Vec<String> =
        headers.map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap())).collect();
    headers.sort();
    let status = response.status().as_u16();
    let body = pretty(response.body());
    let answer = format!("HTTP/1.1 {status}\n{}\n{body}", headers.concat());
    let answer = answer.replace(&request_id.to_string(), "REQUEST_ID");
    let version = format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION"));
    let answer = answer.replace(&version, "\"version\": \"VERSION\"");
    format!("Not provoked from outside: {why}.\n\n{answer}")
}

fn pretty(body: &[u8]) -> String {
    let Ok(mut value) = serde_json::from_slice::<Value>(body) else { return String::new() };
    if let Some(block) = value.pointer_mut("/result/content/0/text") {
        let text = serde_json::from_str(block.as_str().unwrap()).unwrap();
        *block = sorted(text).to_string().into();
    }
    serde_json::to_string_pretty(&sorted(value)).unwrap() + "\n"
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

#[test]
fn what_cannot_be_provoked_is_rendered() {
    for code in codes() {
        let Source::Rendered(why, error) = source(&code) else { continue };
        for (era, version) in ERAS {
            let found = rendered(why, error.clone(), version);
            let path = folder().join(format!("{code}.{era}.http"));
            if std::env::var_os("BULKHEAD_BLESS").is_some() {
                std::fs::write(&path, &found).unwrap();
            }
            let expected = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(expected, found, "{}", path.display());
        }
    }
}

/// The status of a transcript, and its body.
fn answered(transcript: &str) -> (u16, Value) {
    // The one number that is different each time.
    let transcript = transcript.replace("MILLISECONDS", "1");
    let (_, answer) = transcript.split_once("\nHTTP/1.1 ").unwrap();
    let (status, answer) = answer.split_once('\n').unwrap();
    let (_, body) = answer.split_once("\n\n").unwrap_or_default();
    let body = if body.is_empty() { Value::Null } else { serde_json::from_str(body).unwrap() };
    (status.parse().unwrap(), body)
}

#[test]
fn every_code_has_a_transcript_in_each_era_that_the_tables_allow() {
    for code in codes() {
        for (era, version) in ERAS {
            let path = folder().join(format!("{code}.{era}.http"));
            let transcript = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(!transcript.is_empty(), "{code} has no transcript: {}", path.display());
            let (found, body) = answered(&transcript);
            check(&code, version, found, &body);
        }
    }
}

fn check(code: &Code, version: Version, found: u16, body: &Value) {
    let error = match form(code) {
        Form::Silence => {
            assert_eq!((found, body), (202, &Value::Null), "{code}");
            return;
        }
        Form::ToolResult => {
            assert_eq!((found, &body["result"]["isError"]), (200, &json!(true)), "{code}");
            let error = &body["result"]["_meta"]["io.bulkhead/error"];
            let text = body["result"]["content"][0]["text"].as_str().unwrap();
            assert_eq!(&serde_json::from_str::<Value>(text).unwrap(), error, "{code}");
            error
        }
        Form::Error(shown) => {
            assert_eq!(body["error"]["code"], rpc_code(code), "{code}");
            // An unknown method is in the status in the stateless era alone.
            let by_status = match (code, shown) {
                (Code::MethodNotFound, _) => version.is_modern(),
                (_, Shown::AsStatus) => true,
                (_, Shown::InBand) => false,
            };
            let expected = if by_status { status(code).as_u16() } else { 200 };
            assert_eq!(found, expected, "{code}");
            &body["error"]["data"]
        }
    };
    assert_eq!(error["code"], code.as_str());
    let (retryable, waits) = (&error["retryable"], !error["retryAfterMs"].is_null());
    match (code, code.usual_retry()) {
        (Code::Plugin(_), _) | (_, Retry::No) => {
            assert_eq!((retryable, waits), (&json!(false), false), "{code}")
        }
        (_, Retry::Maybe) => assert_eq!((retryable, waits), (&json!(true), false), "{code}"),
        (_, Retry::After(_)) => assert_eq!((retryable, waits), (&json!(true), true), "{code}"),
    }
}

/// A row's cells without their ticks, where a line is a row that begins with a code.
fn row(line: &str) -> Option<Vec<String>> {
    let cells: Vec<String> = line
        .strip_prefix("| `")?
        .trim_end_matches(" |")
        .split(" | ")
        .map(|cell| cell.replace('`', ""))
        .collect();
    Some(cells)
}

/// Where a code appears, as the page for users says it.
fn place(code: &Code) -> String {
    let (status, integer) = (status(code).as_u16(), rpc_code(code));
    match (form(code), code) {
        // Shown in the status where floods of anything but calls are refused.
        (Form::ToolResult, Code::RateLimited | Code::Unavailable | Code::DeadlineExceeded) => {
            format!("tool result; HTTP {status}, {integer}")
        }
        (Form::ToolResult, _) => "tool result".to_owned(),
        (Form::Error(_), Code::MethodNotFound | Code::InvalidParams) => {
            format!("HTTP 200 or {status}, {integer}")
        }
        (Form::Error(Shown::AsStatus), _) => format!("HTTP {status}, {integer}"),
        (Form::Error(Shown::InBand), _) => format!("HTTP 200, {integer}"),
        (Form::Silence, _) => "never sent".to_owned(),
    }
}

#[test]
fn the_page_for_users_says_what_the_code_does() {
    let page = std::fs::read_to_string(workspace().join("docs/errors.md")).unwrap();
    let (_, codes) = page.split_once("\n## Codes\n").unwrap();
    let rows: Vec<Vec<String>> = codes.lines().filter_map(row).collect();
    let named: Vec<&str> = rows.iter().filter_map(|row| row.first().map(String::as_str)).collect();
    let unique: BTreeSet<&str> = named.iter().copied().collect();
    let ours: BTreeSet<&str> = Code::HOST.iter().map(Code::as_str).collect();
    assert_eq!((unique.len(), unique), (named.len(), ours), "each code once, and no other");
    for row in &rows {
        let [name, shown, retry, what] = row.as_slice() else { panic!("four cells: {row:?}") };
        let code = Code::HOST.iter().find(|code| code.as_str() == name).unwrap();
        let expected = match code.usual_retry() {
            Retry::No => "no",
            Retry::Maybe => "perhaps",
            Retry::After(_) => "after the wait",
        };
        assert_eq!((shown, retry.as_str()), (&place(code), expected), "{name}");
        assert!(what.ends_with('.'), "{name}: {what}");
    }
    let readme = std::fs::read_to_string(workspace().join("README.md")).unwrap();
    assert!(readme.contains("(docs/errors.md)"));
}

#[test]
fn no_transcript_is_of_a_code_that_is_none() {
    for file in std::fs::read_dir(folder()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let code = name.split('.').next().unwrap();
        let ours = Code::HOST.iter().any(|own| own.as_str() == code);
        assert!(ours || PluginCode::parse(code).is_some(), "{name}");
        assert!(ERAS.iter().any(|(era, _)| name.ends_with(&format!(".{era}.http"))), "{name}");
    }
}
