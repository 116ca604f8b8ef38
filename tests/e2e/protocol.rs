//! MCP on the wire, in both eras: statuses, integers, codes, and what a result has.

use bulkhead_tests::{Answer, Client, Host, LEGACY, MODERN, OLDER, request};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

async fn served() -> (Host, Client) {
    let setup = Host::test().plugin("echo").plugin("counter").agent("alice", &["*"]);
    let host = setup.config("[per_agent]\nrate = '6000/s'\nburst = 6000").start().await;
    let alice = host.client("alice").await;
    (host, alice)
}

async fn sent(post: RequestBuilder) -> Answer {
    let response = post.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap();
    let messages = serde_json::from_str(&text).into_iter().collect();
    Answer { status, headers, text, messages }
}

/// Expects a JSON-RPC error: its HTTP status, its integer and our code.
fn expect_error(what: &str, answer: &Answer, status: u16, integer: i64, code: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.text);
    let message = answer.message();
    assert_eq!(message["jsonrpc"], "2.0", "{what}");
    assert_eq!(message["error"]["code"], integer, "{what}: {}", answer.text);
    assert_eq!(message["error"]["data"]["code"], code, "{what}: {}", answer.text);
    assert_eq!(answer.header("content-type"), "application/json", "{what}");
    assert!(!answer.request_id().is_empty(), "{what}");
}

#[tokio::test]
async fn bodies_that_are_no_messages() {
    let (_host, alice) = served().await;
    let deep = |depth| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let in_arguments = |arguments: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{arguments}}}}}"#
        )
    };
    for (what, body, integer, code) in [
        ("nothing", String::new(), -32700, "PARSE_ERROR"),
        ("no JSON", "hello".into(), -32700, "PARSE_ERROR"),
        ("half a message", r#"{"jsonrpc":"2.0","id":1,"#.into(), -32700, "PARSE_ERROR"),
        (
            "two messages",
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"}{}"#.into(),
            -32700,
            "PARSE_ERROR",
        ),
        (
            "a key twice",
            r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#.into(),
            -32700,
            "PARSE_ERROR",
        ),
        (
            "a key twice in arguments",
            in_arguments(r#"{"message":"a","message":"b"}"#),
            -32700,
            "PARSE_ERROR",
        ),
        (
            "a key twice, once escaped",
            in_arguments(r#"{"message":"a","\u006dessage":"b"}"#),
            -32700,
            "PARSE_ERROR",
        ),
        (
            "too deep",
            in_arguments(&format!(r#"{{"message":{}}}"#, deep(100))),
            -32700,
            "PARSE_ERROR",
        ),
        ("far too deep", deep(100_000), -32700, "PARSE_ERROR"),
        ("a number", "1".into(), -32600, "INVALID_REQUEST"),
        (
            "a batch",
            r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#.into(),
            -32600,
            "INVALID_REQUEST",
        ),
        ("an empty batch", "[]".into(), -32600, "INVALID_REQUEST"),
        ("no jsonrpc", r#"{"id":1,"method":"ping"}"#.into(), -32600, "INVALID_REQUEST"),
        (
            "another jsonrpc",
            r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#.into(),
            -32600,
            "INVALID_REQUEST",
        ),
        ("no method", r#"{"jsonrpc":"2.0","id":1}"#.into(), -32600, "INVALID_REQUEST"),
        (
            "a method that is no text",
            r#"{"jsonrpc":"2.0","id":1,"method":1}"#.into(),
            -32600,
            "INVALID_REQUEST",
        ),
        (
            "an id that is null",
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#.into(),
            -32600,
            "INVALID_REQUEST",
        ),
        (
            "an id that is a fraction",
            r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#.into(),
            -32600,
            "INVALID_REQUEST",
        ),
        (
            "an id that is an object",
            r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#.into(),
            -32600,
            "INVALID_REQUEST",
        ),
        (
            "parameters that are a list",
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#.into(),
            -32600,
            "INVALID_REQUEST",
        ),
    ] {
        let answer = sent(alice.bare(body)).await;
        expect_error(what, &answer, 400, integer, code);
    }
    let invalid = alice.bare(vec![b'"', 0xff, 0xfe, b'"']);
    expect_error("no UTF-8", &sent(invalid).await, 400, -32700, "PARSE_ERROR");
}

#[tokio::test]
async fn modern_requests_that_are_wrong() {
    let (_host, alice) = served().await;
    let call =
        |arguments| alice.message("tools/call", json!({ "name": "echo", "arguments": arguments }));
    let good = call(json!({ "message": "hi" }));
    let list = alice.message("tools/list", json!({}));
    let without = |key: &str| {
        let mut message = list.clone();
        message["params"]["_meta"].as_object_mut().unwrap().remove(key);
        message
    };
    let with = |key: &str, value: Value| {
        let mut message = list.clone();
        message["params"]["_meta"][key] = value;
        message
    };
    const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
    const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
    let bare = |message: &Value| alice.bare(message.to_string());
    let future = request("2099-01-01", 1.into(), "tools/list", json!({}));
    let mut no_meta = list.clone();
    no_meta["params"] = json!({});
    let mut odd_meta = list.clone();
    odd_meta["params"]["_meta"] = json!([]);
    let mut no_name = good.clone();
    no_name["params"].as_object_mut().unwrap().remove("name");
    for (what, post, status, integer, code) in [
        ("no _meta", alice.post(&no_meta), 400, -32602, "INVALID_PARAMS"),
        ("_meta is a list", alice.post(&odd_meta), 400, -32602, "INVALID_PARAMS"),
        ("no version in _meta", alice.post(&without(VERSION)), 400, -32602, "INVALID_PARAMS"),
        ("the version is a number", alice.post(&with(VERSION, 1.into())), 400, -32602, "INVALID_PARAMS"),
        ("no capabilities", alice.post(&without(CAPABILITIES)), 400, -32602, "INVALID_PARAMS"),
        ("capabilities are a list", alice.post(&with(CAPABILITIES, json!([]))), 400, -32602, "INVALID_PARAMS"),
        ("no version header", bare(&list).header("Mcp-Method", "tools/list"), 400, -32020, "HEADER_MISMATCH"),
        ("another version header", bare(&list).header("MCP-Protocol-Version", LEGACY).header("Mcp-Method", "tools/list"), 400, -32020, "HEADER_MISMATCH"),
        ("two version headers", alice.post(&list).header("MCP-Protocol-Version", MODERN), 400, -32020, "HEADER_MISMATCH"),
        ("no Mcp-Method", bare(&list).header("MCP-Protocol-Version", MODERN), 400, -32020, "HEADER_MISMATCH"),
        ("another Mcp-Method", bare(&list).header("MCP-Protocol-Version", MODERN).header("Mcp-Method", "tools/call"), 400, -32020, "HEADER_MISMATCH"),
        ("Mcp-Method in capitals", bare(&list).header("MCP-Protocol-Version", MODERN).header("Mcp-Method", "TOOLS/LIST"), 400, -32020, "HEADER_MISMATCH"),
        ("no Mcp-Name", named(&alice, &good, None), 400, -32020, "HEADER_MISMATCH"),
        ("another Mcp-Name", named(&alice, &good, Some("counter")), 400, -32020, "HEADER_MISMATCH"),
        ("Mcp-Name in bad base64", named(&alice, &good, Some("=?base64?ZWNobw=?=")), 400, -32020, "HEADER_MISMATCH"),
        ("an unknown version", bare(&future).header("MCP-Protocol-Version", "2099-01-01").header("Mcp-Method", "tools/list"), 400, -32022, "UNSUPPORTED_PROTOCOL_VERSION"),
        ("an unknown method", alice.post(&alice.message("tools/sing", json!({}))), 404, -32601, "METHOD_NOT_FOUND"),
        ("a method that was removed", alice.post(&alice.message("ping", json!({}))), 404, -32601, "METHOD_NOT_FOUND"),
        ("logging/setLevel", alice.post(&alice.message("logging/setLevel", json!({ "level": "debug" }))), 404, -32601, "METHOD_NOT_FOUND"),
        ("resources/list, which is not advertised", alice.post(&alice.message("resources/list", json!({}))), 404, -32601, "METHOD_NOT_FOUND"),
        ("initialize with an envelope", alice.post(&alice.message("initialize", json!({ "protocolVersion": MODERN, "capabilities": {}, "clientInfo": { "name": "t", "version": "0" } }))), 404, -32601, "METHOD_NOT_FOUND"),
        ("an unknown tool", alice.post(&alice.message("tools/call", json!({ "name": "nothing", "arguments": {} }))), 200, -32602, "TOOL_NOT_FOUND"),
        ("a bad cursor", alice.post(&alice.message("tools/list", json!({ "cursor": "x" }))), 200, -32602, "INVALID_PARAMS"),
        ("arguments are a list", alice.post(&call(json!([]))), 200, -32602, "INVALID_PARAMS"),
        ("arguments are a text", alice.post(&call(json!("hi"))), 200, -32602, "INVALID_PARAMS"),
        ("no name", alice.post(&no_name), 200, -32602, "INVALID_PARAMS"),
    ] {
        let answer = sent(post).await;
        expect_error(what, &answer, status, integer, code);
        assert!(answer.message()["id"].is_u64(), "{what}: under the request's id");
    }
    let encoded = named(&alice, &good, Some("=?base64?ZWNobw==?="));
    assert_eq!(sent(encoded).await.structured()["message"], "hi", "an encoded name is the name");

    let post = bare(&future)
        .header("MCP-Protocol-Version", "2099-01-01")
        .header("Mcp-Method", "tools/list");
    let unsupported = sent(post).await;
    let data = &unsupported.message()["error"]["data"];
    assert_eq!(data["requested"], "2099-01-01", "{data}");
    assert_eq!(data["supported"], json!([MODERN, LEGACY, OLDER]));
}

/// A modern POST with this `Mcp-Name`.
fn named(client: &Client, message: &Value, name: Option<&str>) -> RequestBuilder {
    let post = client.bare(message.to_string());
    let post = post.header("MCP-Protocol-Version", MODERN).header("Mcp-Method", "tools/call");
    match name {
        Some(name) => post.header("Mcp-Name", name),
        None => post,
    }
}

#[tokio::test]
async fn legacy_requests_that_are_wrong() {
    let (_host, alice) = served().await;
    let alice = alice.legacy();
    let list = alice.message("tools/list", json!({}));
    let initialize = alice.message("initialize", initialize_params(LEGACY));
    let header = |message: &Value, version: &str| {
        alice.bare(message.to_string()).header("MCP-Protocol-Version", version)
    };
    for (what, post, status, integer, code) in [
        (
            "an unknown version header",
            header(&list, "2019-01-01"),
            400,
            -32022,
            "UNSUPPORTED_PROTOCOL_VERSION",
        ),
        (
            "initialize under a modern header",
            header(&initialize, MODERN),
            400,
            -32020,
            "HEADER_MISMATCH",
        ),
        (
            "an unknown method",
            alice.post(&alice.message("tools/sing", json!({}))),
            200,
            -32601,
            "METHOD_NOT_FOUND",
        ),
        (
            "discover, which is newer",
            alice.post(&alice.message("server/discover", json!({}))),
            200,
            -32601,
            "METHOD_NOT_FOUND",
        ),
        (
            "an unknown tool",
            alice.post(&alice.message("tools/call", json!({ "name": "nothing" }))),
            200,
            -32602,
            "TOOL_NOT_FOUND",
        ),
        (
            "a bad cursor",
            alice.post(&alice.message("tools/list", json!({ "cursor": "x" }))),
            200,
            -32602,
            "INVALID_PARAMS",
        ),
        (
            "arguments are a list",
            alice.post(&alice.message("tools/call", json!({ "name": "echo", "arguments": [] }))),
            200,
            -32602,
            "INVALID_PARAMS",
        ),
        (
            "no name",
            alice.post(&alice.message("tools/call", json!({ "arguments": {} }))),
            200,
            -32602,
            "INVALID_PARAMS",
        ),
    ] {
        expect_error(what, &sent(post).await, status, integer, code);
    }
}

fn initialize_params(version: &str) -> Value {
    json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": { "name": "t", "version": "0" } })
}

#[tokio::test]
async fn initialize_settles_a_version_and_needs_no_session() {
    let (_host, alice) = served().await;
    for (asked, settled) in [
        (OLDER, OLDER),
        (LEGACY, LEGACY),
        ("2024-11-05", LEGACY),
        ("2099-01-01", LEGACY),
        (MODERN, LEGACY),
    ] {
        let message = alice.legacy().message("initialize", initialize_params(asked));
        let answer = sent(alice.bare(message.to_string())).await;
        let result = answer.expect_ok();
        assert_eq!(result["protocolVersion"], settled, "{asked}");
        assert_eq!(result["serverInfo"]["name"], "bulkhead");
        assert_eq!(result["capabilities"], json!({ "tools": {} }));
        assert_eq!(answer.header("mcp-session-id"), "");
    }
    let alice = alice.legacy();
    assert_eq!(alice.request("ping", json!({})).await.result(), &json!({}));
    let session = alice.post(&alice.message("ping", json!({}))).header("Mcp-Session-Id", "made-up");
    sent(session).await.expect_ok();
    let unversioned =
        alice.message("tools/call", json!({ "name": "echo", "arguments": { "message": "hi" } }));
    let answer = sent(alice.bare(unversioned.to_string())).await;
    assert_eq!(answer.structured()["message"], "hi", "a client that says no version is served");
}

#[tokio::test]
async fn notifications_and_responses_are_taken() {
    let (_host, alice) = served().await;
    for body in [
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/whatever" }),
        json!({ "jsonrpc": "2.0", "id": 1, "result": {} }),
    ] {
        for version in [None, Some(LEGACY), Some(MODERN)] {
            let post = alice.bare(body.to_string());
            let post = version
                .iter()
                .fold(post, |post, version| post.header("MCP-Protocol-Version", *version));
            let answer = sent(post).await;
            assert_eq!((answer.status.as_u16(), &*answer.text), (202, ""), "{body}");
        }
    }
}

#[tokio::test]
async fn an_id_comes_back_as_it_was() {
    let (_host, alice) = served().await;
    for id in [json!(0), json!(-1), json!(9_007_199_254_740_993_u64), json!("é\n\"x"), json!("")] {
        let message = request(MODERN, id.clone(), "tools/list", json!({}));
        assert_eq!(sent(alice.post(&message)).await.message()["id"], id);
        let missing = request(MODERN, id.clone(), "no/such", json!({}));
        assert_eq!(sent(alice.post(&missing)).await.message()["id"], id);
    }
}

#[tokio::test]
async fn modern_results_say_what_that_era_wants() {
    let (_host, alice) = served().await;
    let discovered = alice.request("server/discover", json!({})).await;
    let result = discovered.expect_ok();
    assert_eq!(result["supportedVersions"], json!([MODERN, LEGACY, OLDER]));
    assert_eq!(result["capabilities"], json!({ "tools": {} }));
    let listed = alice.request("tools/list", json!({})).await;
    for cacheable in [&discovered, &listed] {
        let result = cacheable.expect_ok();
        assert!(result["ttlMs"].is_u64(), "{result}");
        assert_eq!(result["cacheScope"], "private", "lists differ by caller");
    }
    let called = alice.call("echo", json!({ "message": "hi" })).await;
    let failed = alice.call("echo", json!({})).await;
    for answer in [&discovered, &listed, &called, &failed] {
        assert_eq!(answer.result()["resultType"], "complete", "{}", answer.text);
        let server = &answer.result()["_meta"]["io.modelcontextprotocol/serverInfo"];
        assert_eq!(server["name"], "bulkhead", "{}", answer.text);
    }
    let legacy = alice.legacy().request("tools/list", json!({})).await;
    for absent in ["resultType", "ttlMs", "cacheScope", "_meta"] {
        assert_eq!(legacy.result()[absent], Value::Null, "{}", legacy.text);
    }
}

#[tokio::test]
async fn the_list_is_ordered_and_whole() {
    let setup = Host::test().plugin("records").plugin("text").plugin("echo").agent("alice", &["*"]);
    let host = setup.start().await;
    let alice = host.client("alice").await;
    let names = alice.tool_names().await;
    assert!(names.is_sorted(), "{names:?}");
    for version in [MODERN, LEGACY, OLDER] {
        let tools = alice.speaking(version).tools().await;
        let record = tools.iter().find(|tool| tool["name"] == "get_record").unwrap();
        assert_eq!(record["title"], "Get a record");
        assert_eq!(record["inputSchema"]["type"], "object");
        assert_eq!(record["outputSchema"]["type"], "object");
        assert_eq!(record["annotations"], json!({ "readOnlyHint": true, "openWorldHint": false }));
        assert!(tools.iter().all(|tool| tool["description"].is_string()));
    }
}

#[tokio::test]
async fn whatever_a_client_accepts_is_served() {
    let (_host, alice) = served().await;
    let message =
        alice.message("tools/call", json!({ "name": "echo", "arguments": { "message": "hi" } }));
    for (accept, content_type) in [
        (None, Some("application/json")),
        (Some("*/*"), Some("application/json")),
        (Some("application/json"), Some("application/json")),
        (Some("application/json, text/event-stream"), Some("application/json")),
        (Some("text/event-stream"), Some("text/event-stream")),
        (Some("text/html"), None),
    ] {
        let mut post = alice.http("POST").bearer_auth(alice.key()).body(message.to_string());
        for (name, value) in [
            ("Content-Type", "application/json"),
            ("MCP-Protocol-Version", MODERN),
            ("Mcp-Method", "tools/call"),
            ("Mcp-Name", "echo"),
        ] {
            post = post.header(name, value);
        }
        if let Some(accept) = accept {
            post = post.header("Accept", accept);
        }
        let answer = sent(post).await;
        match content_type {
            Some(content_type) => {
                assert_eq!(answer.status, 200, "{accept:?}: {}", answer.text);
                assert_eq!(answer.header("content-type"), content_type, "{accept:?}");
                assert!(
                    answer.text.contains(r#""structuredContent":{"message":"hi"}"#),
                    "{accept:?}"
                );
            }
            None => expect_error("not acceptable", &answer, 406, 406, "NOT_ACCEPTABLE"),
        }
    }
}
