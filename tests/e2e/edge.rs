//! The edge of HTTP: methods, sizes, content types, browsers.

use bulkhead_tests::{Client, Host};
use reqwest::Response;
use serde_json::{Value, json};

async fn served(config: &str) -> (Host, Client) {
    let setup = Host::test().plugin("echo").agent("alice", &["*"]).config(config);
    let host = setup.start().await;
    let alice = host.client("alice").await;
    (host, alice)
}

async fn code(response: Response) -> String {
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    body["error"]["data"]["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn only_post_is_served() {
    let (_host, alice) = served("").await;
    for method in ["GET", "DELETE", "PUT", "PATCH", "OPTIONS"] {
        let response = alice.http(method).bearer_auth(alice.key()).send().await.unwrap();
        assert_eq!(response.status(), 405, "{method}");
        assert_eq!(response.headers()["allow"], "POST", "{method}");
        assert_eq!(code(response).await, "METHOD_NOT_ALLOWED", "{method}");
    }
    let head = alice.http("HEAD").bearer_auth(alice.key()).send().await.unwrap();
    assert_eq!(head.status(), 405);
}

#[tokio::test]
async fn only_json_is_read() {
    let (_host, alice) = served("").await;
    let message = alice.message("tools/list", json!({}));
    for (content_type, status) in [
        (None, 415),
        (Some("text/plain"), 415),
        (Some("application/x-www-form-urlencoded"), 415),
        (Some("application/json"), 200),
        (Some("application/json; charset=utf-8"), 200),
    ] {
        let mut post = alice.http("POST").bearer_auth(alice.key()).body(message.to_string());
        post = post.header("MCP-Protocol-Version", "2026-07-28").header("Mcp-Method", "tools/list");
        if let Some(content_type) = content_type {
            post = post.header("Content-Type", content_type);
        }
        let response = post.send().await.unwrap();
        assert_eq!(response.status(), status, "{content_type:?}");
        if status == 415 {
            assert_eq!(code(response).await, "UNSUPPORTED_MEDIA_TYPE");
        }
    }
}

#[tokio::test]
async fn a_body_is_bounded_with_and_without_its_length() {
    let (host, alice) = served("[server]\nmax_body = '16KiB'").await;
    let fits = alice.call("echo", json!({ "message": "x".repeat(12 << 10) })).await;
    assert_eq!(fits.structured()["message"].as_str().unwrap().len(), 12 << 10);
    let message = alice.message(
        "tools/call",
        json!({ "name": "echo", "arguments": { "message": "x".repeat(32 << 10) } }),
    );
    let response = alice.post(&message).send().await.unwrap();
    assert_eq!(response.status(), 413);
    assert_eq!(code(response).await, "PAYLOAD_TOO_LARGE");

    let chunk = "x".repeat(1_024);
    let chunks = format!("{:x}\r\n{chunk}\r\n", chunk.len()).repeat(64);
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        host.authority(),
        alice.key()
    );
    let answer = host.raw(format!("{head}{chunks}0\r\n\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    alice.call("echo", json!({ "message": "still here" })).await.expect_ok();
}

#[tokio::test]
async fn a_header_is_bounded() {
    let (host, alice) = served("").await;
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nX: {}\r\n\r\n",
        host.authority(),
        "x".repeat(1 << 20)
    );
    let answer = host.raw(request.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    alice.call("echo", json!({ "message": "still here" })).await.expect_ok();
}

#[tokio::test]
async fn hosts_and_origins_are_checked() {
    let config = "[server]\nallowed_origins = ['https://app.example.com']\nallowed_hosts = ['tools.example.com']";
    let (host, alice) = served(config).await;
    let port = host.authority().rsplit(':').next().unwrap();
    let own = format!("http://{}", host.authority());
    let own_by_name = format!("http://localhost:{port}");
    for (name, origin, served) in [
        (None, None, true),
        (None, Some(own.as_str()), true),
        (None, Some(own_by_name.as_str()), true),
        (None, Some("https://app.example.com"), true),
        (None, Some("http://app.example.com"), false),
        (None, Some("https://app.example.com.evil.example"), false),
        (None, Some("https://evil.example"), false),
        (None, Some("null"), false),
        (Some("localhost"), None, true),
        (Some("tools.example.com"), None, true),
        (Some("evil.example"), None, false),
        (Some("evil.example"), Some("http://evil.example"), false),
        (Some("127.0.0.1.evil.example"), None, false),
    ] {
        let what = format!("Host {name:?}, Origin {origin:?}");
        let mut post = alice.post(&alice.message("tools/list", json!({})));
        post = name.iter().fold(post, |post, name| post.header("Host", *name));
        post = origin.iter().fold(post, |post, origin| post.header("Origin", *origin));
        let response = post.send().await.unwrap();
        let allowed = response.headers().get("access-control-allow-origin").cloned();
        if served {
            assert_eq!(response.status(), 200, "{what}");
            assert_eq!(allowed.as_ref().map(|origin| origin.to_str().unwrap()), origin, "{what}");
        } else {
            assert_eq!(response.status(), 403, "{what}");
            assert_eq!(allowed, None, "{what}");
            assert_eq!(code(response).await, "ORIGIN_FORBIDDEN", "{what}");
        }
    }
}

#[tokio::test]
async fn a_browser_may_ask_first() {
    let (_host, alice) = served("[server]\nallowed_origins = ['https://app.example.com']").await;
    let ask = |origin: &str| {
        let ask = alice.http("OPTIONS").header("Origin", origin);
        let ask = ask.header("Access-Control-Request-Method", "POST");
        ask.header(
            "Access-Control-Request-Headers",
            "authorization,content-type,mcp-protocol-version",
        )
    };
    let allowed = ask("https://app.example.com").send().await.unwrap();
    assert_eq!(allowed.status(), 204, "without a credential: browsers send none");
    let header = |name: &str| allowed.headers()[name].to_str().unwrap().to_ascii_lowercase();
    assert_eq!(header("access-control-allow-origin"), "https://app.example.com");
    assert!(header("access-control-allow-methods").contains("post"));
    for needed in
        ["authorization", "content-type", "mcp-protocol-version", "mcp-method", "mcp-name"]
    {
        assert!(header("access-control-allow-headers").contains(needed), "{needed}");
    }
    assert!(header("vary").contains("origin"));
    let refused = ask("https://evil.example").send().await.unwrap();
    assert_eq!(refused.status(), 403);
    assert!(!refused.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn connections_are_bounded_and_queue() {
    let setup = Host::test().plugin("slow").plugin("echo").agent("alice", &["*"]);
    let host = setup.config("[server]\nmax_connections = 1").start().await;
    let alice = host.client("alice").await;
    let nap = alice.message("tools/call", json!({ "name": "slow", "arguments": { "ms": 500 } }));
    let first = tokio::task::spawn(alice.post(&nap).send());
    host.until_in_flight(1).await;
    // It finds the one place taken, and waits for it.
    let second = alice.call("echo", json!({ "message": "hi" })).await;
    assert_eq!(second.structured()["message"], "hi");
    assert_eq!(first.await.unwrap().unwrap().status(), 200);
    let tools: Vec<Value> = host.audit().iter().map(|record| record["tool"].clone()).collect();
    assert_eq!(tools, ["slow", "echo"], "one after the other");
}

#[tokio::test]
async fn silence_is_not_waited_for_without_end() {
    let (host, alice) = served("").await;
    let half = format!("POST /mcp HTTP/1.1\r\nHost: {}\r\n", host.authority());
    let (silent, half) = tokio::join!(host.raw(b""), host.raw(half.as_bytes()));
    for answer in [silent, half] {
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    alice.call("echo", json!({ "message": "still here" })).await.expect_ok();
}
