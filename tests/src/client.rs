//! An MCP client over HTTP that does exactly what it is told, the wrong thing
//! included.

use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use crate::Answer;
use crate::message::{LEGACY, MODERN, call_params, request};
use crate::wait::patiently;

/// A client with one credential, speaking one version.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    key: Option<String>,
    version: &'static str,
    next_id: AtomicU64,
}

impl Clone for Client {
    fn clone(&self) -> Self {
        Self { version: self.version, ..Self::new(&self.url, self.key.clone()) }
    }
}

impl Client {
    pub(crate) fn new(url: &str, key: Option<String>) -> Self {
        Self {
            // A connection for each request: dropping one must close it.
            http: reqwest::Client::builder().pool_max_idle_per_host(0).build().expect("a client"),
            url: url.to_owned(),
            key,
            version: MODERN,
            next_id: AtomicU64::new(1),
        }
    }

    /// The same client, speaking this version.
    #[must_use]
    pub fn speaking(&self, version: &'static str) -> Self {
        Self { version, ..self.clone() }
    }

    /// The same client, in the era that opens with `initialize`.
    #[must_use]
    pub fn legacy(&self) -> Self {
        self.speaking(LEGACY)
    }

    /// The key that it presents.
    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap_or_default()
    }

    /// Calls a tool.
    pub async fn call(&self, tool: &str, arguments: Value) -> Answer {
        self.request("tools/call", call_params(tool, arguments, None)).await
    }

    /// Calls a tool and asks for its progress; returns when the answer begins, which
    /// is when the guest has begun, if it reports progress at all.
    pub async fn open(&self, tool: &str, arguments: Value) -> Stream {
        let params = call_params(tool, arguments, Some("token-1"));
        let message = self.message("tools/call", params);
        Stream::new(send(self.post(&message)).await)
    }

    /// The tools that it is shown.
    pub async fn tools(&self) -> Vec<Value> {
        let answer = self.request("tools/list", json!({})).await;
        answer.expect_ok()["tools"].as_array().expect("tools are a list").clone()
    }

    /// The names of the tools that it is shown.
    pub async fn tool_names(&self) -> Vec<String> {
        let name = |tool: &Value| tool["name"].as_str().expect("a tool has a name").to_owned();
        self.tools().await.iter().map(name).collect()
    }

    /// Sends a request.
    pub async fn request(&self, method: &str, params: Value) -> Answer {
        let message = self.message(method, params);
        answer(self.post(&message)).await
    }

    /// A request that is well formed, not sent yet.
    pub fn message(&self, method: &str, params: Value) -> Value {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        request(self.version, id.into(), method, params)
    }

    /// A POST of this message with every header that it needs, not sent yet.
    pub fn post(&self, message: &Value) -> RequestBuilder {
        let mut post = self.bare(message.to_string()).header("MCP-Protocol-Version", self.version);
        if self.version >= MODERN {
            post = post.header("Mcp-Method", message["method"].as_str().unwrap_or_default());
            if let Some(name) = message["params"]["name"].as_str() {
                post = post.header("Mcp-Name", name);
            }
        }
        post
    }

    /// A POST of this body with its credential and content headers only.
    pub fn bare(&self, body: impl Into<reqwest::Body>) -> RequestBuilder {
        let post = self.http.post(&self.url).body(body);
        let post = post.header("Content-Type", "application/json");
        let post = post.header("Accept", "application/json, text/event-stream");
        match &self.key {
            Some(key) => post.bearer_auth(key),
            None => post,
        }
    }

    /// A request of any HTTP method without any header, not sent yet.
    pub fn http(&self, method: &str) -> RequestBuilder {
        let method = method.parse().expect("an HTTP method");
        self.http.request(method, &self.url)
    }
}

async fn send(request: RequestBuilder) -> Response {
    patiently("the head of an answer", request.send()).await.expect("the server answers")
}

/// Sends a request and reads its whole answer.
pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    Stream::new(send(request).await).finish().await
}

/// An answer that is read as it comes. Dropping it closes the connection.
#[derive(Debug)]
pub struct Stream {
    response: Response,
    bytes: Vec<u8>,
    messages: Vec<Value>,
    /// How much has been read as events.
    read: usize,
}

impl Stream {
    fn new(response: Response) -> Self {
        Self { response, bytes: Vec::new(), messages: Vec::new(), read: 0 }
    }

    /// The next message of an event stream; nothing at its end.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(message) = self.buffered() {
                self.messages.push(message.clone());
                return Some(message);
            }
            self.more().await.then_some(())?;
        }
    }

    /// The whole answer.
    pub async fn finish(mut self) -> Answer {
        let content_type = self.response.headers().get("content-type");
        if content_type.is_some_and(|content| content == "text/event-stream") {
            while self.next().await.is_some() {}
        } else {
            while self.more().await {}
            self.messages.extend(serde_json::from_slice::<Value>(&self.bytes).ok());
        }
        Answer {
            status: self.response.status(),
            headers: self.response.headers().clone(),
            text: String::from_utf8(self.bytes).expect("an answer is UTF-8"),
            messages: self.messages,
        }
    }

    async fn more(&mut self) -> bool {
        let chunk = patiently("more of an answer", self.response.chunk()).await;
        let chunk = chunk.expect("the answer does not break off");
        self.bytes.extend(chunk.iter().flatten());
        chunk.is_some()
    }

    /// The next event's message, where all of it has come. Comments keep a stream
    /// alive and say nothing.
    fn buffered(&mut self) -> Option<Value> {
        loop {
            let unread = &self.bytes[self.read..];
            let end = unread.windows(2).position(|pair| pair == b"\n\n")?;
            let event = str::from_utf8(&unread[..end]).expect("an event is UTF-8");
            let data: String =
                event.lines().filter_map(|line| line.strip_prefix("data:")).collect();
            self.read += end + 2;
            if !data.is_empty() {
                return Some(serde_json::from_str(&data).expect("an event holds a message"));
            }
        }
    }
}
