//! What a server does to a client's bytes before a tool is looked up.
//!
//! The first byte of an input says how the rest came. `h`: a request line, headers, an
//! empty line and a body, to the public listener. `s`: a stream of lines, on standard
//! input; its second byte chooses how long a line may be and in what pieces it arrives.
//! What splits HTTP/1.1 is hyper's; here a line is taken for a header as it stands.
//!
//! What is asserted is read off the bytes once more, by other code.

#![no_main]

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead::config::Server;
use bulkhead::error::{Code, Error};
use bulkhead::json;
use bulkhead::names::{ByteCount, RequestId};
use bulkhead::respond::{self, Answer, Asked, Challenges, Reply, frame, progress_frame};
use bulkhead::transport::{
    Accepts, BadMessage, Channel, Edge, Head, Line, Lines, Message, Meta, Method, Notification,
    Presented, Progress, Request, RpcId, TraceContext, Version, parse,
};
use libfuzzer_sys::fuzz_target;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::runtime::{Builder, Runtime};

/// The largest body over HTTP, small enough for inputs beyond it.
const MAX_BODY: usize = 2_000;

/// Where the listener is reached.
const LOCAL: &str = "192.0.2.7:8080";

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime"));

static EDGE: LazyLock<Edge> = LazyLock::new(|| {
    Edge::new(&Server {
        listen: LOCAL.parse().expect("an address"),
        public_url: Some("https://mcp.example.com/mcp".to_owned()),
        allowed_origins: vec!["https://app.example.com".to_owned()],
        allowed_hosts: vec!["alias.example.com:8443".to_owned()],
        max_body: ByteCount(MAX_BODY as u64),
        max_connections: 1,
        shutdown_delay: Duration::ZERO,
        drain_timeout: Duration::ZERO,
        tls: None,
        behind_tls_proxy: true,
    })
});

fuzz_target!(|data: &[u8]| match data {
    [b'h', rest @ ..] => request(rest),
    [b's', shape, rest @ ..] => stream(*shape, rest),
    _ => {}
});

// Over HTTP.

fn request(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let (mut read, mut builder) = (0, http::Request::builder());
    for (at, line) in lines.by_ref().enumerate() {
        read += line.len() + 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        builder = if at == 0 {
            let mut words = line.split(|byte| *byte == b' ');
            let mut word = || words.next().unwrap_or_default();
            let (method, target) = (word(), word());
            builder.method(method).uri(target)
        } else {
            let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
            let (name, value) = line.split_at(colon);
            let value = value.strip_prefix(b":").unwrap_or_default().trim_ascii();
            builder.header(name, value)
        };
    }
    let body = bytes.get(read..).unwrap_or_default();
    // What the `http` crate refuses, hyper does not let through.
    let Ok(request) = builder.body(axum::body::Body::from(body.to_vec())) else { return };
    let (parts, sent) = request.into_parts();
    let headers = parts.headers.clone();
    match EDGE.origin(&parts, LOCAL.parse().expect("an address")) {
        Ok(origin) => {
            assert!(is_ours(&parts), "{parts:?}");
            assert_eq!(origin.as_ref(), headers.get(http::header::ORIGIN));
            assert!(headers.get_all(http::header::ORIGIN).iter().count() <= 1);
            assert!(origin.is_none_or(|origin| is_known(origin.to_str().expect("ASCII"))));
        }
        Err(error) => refused(error, &[Code::OriginForbidden]),
    }
    let is_post = parts.method == http::Method::POST;
    let tells = |pair: &str| pair.starts_with("access_token=");
    let tells_token = parts.uri.query().is_some_and(|query| query.split(['&', ';']).any(tells));
    let inbound = match EDGE.admit(http::Request::from_parts(parts, sent)) {
        Ok(inbound) => inbound,
        Err(error) => {
            let codes = [
                Code::MethodNotAllowed,
                Code::InvalidRequest,
                Code::NotAcceptable,
                Code::UnsupportedMediaType,
                Code::PayloadTooLarge,
            ];
            return refused(error, &codes);
        }
    };
    assert!(is_post && !tells_token);
    let type_of = headers.get(http::header::CONTENT_TYPE).expect("a type").to_str().expect("ASCII");
    assert!(type_of.trim().to_ascii_lowercase().starts_with("application/json"));
    let head = inbound.head;
    assert_eq!(head.streams, inbound.accepts != Accepts::Json);
    proof(&head, &headers);
    let read = RUNTIME.block_on(inbound.body.read());
    match read {
        Ok(read) => {
            assert!(read[..] == *body && body.len() <= MAX_BODY);
            message(&head, body);
        }
        Err(error) => {
            assert!(body.len() > MAX_BODY, "{error:?}");
            refused(error, &[Code::PayloadTooLarge]);
        }
    }
}

/// Whether the host that a request names is one that a browser cannot be led to by a name of
/// somebody else's.
fn is_ours(parts: &http::request::Parts) -> bool {
    let header = parts.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    let named = parts.uri.authority().map(http::uri::Authority::as_str).or(header);
    let Some(named) = named.map(str::to_ascii_lowercase) else { return false };
    if named == "alias.example.com:8443" {
        return true;
    }
    let digits = |c: char| c.is_ascii_digit();
    let host = named.trim_end_matches(digits).strip_suffix(':').unwrap_or(&named);
    is_loopback(host)
        || matches!(host, "mcp.example.com" | "192.0.2.7" | "[::ffff:192.0.2.7]")
        || inside(host)
            .and_then(|ip| ip.parse::<std::net::Ipv6Addr>().ok())
            .is_some_and(|ip| ip.to_canonical().to_string() == "192.0.2.7")
}

fn inside(host: &str) -> Option<&str> {
    host.strip_prefix('[')?.strip_suffix(']')
}

fn is_loopback(host: &str) -> bool {
    let address = inside(host).unwrap_or(host).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// Whether pages of an origin may call: those of the configuration, and our own.
fn is_known(origin: &str) -> bool {
    let origin = origin.to_ascii_lowercase();
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let digits = |c: char| c.is_ascii_digit();
    let host = authority.trim_end_matches(digits).strip_suffix(':').unwrap_or(authority);
    match scheme {
        "https" => matches!(host, "app.example.com" | "mcp.example.com"),
        "http" => is_loopback(host),
        _ => false,
    }
}

/// A credential is one that was sent, and of nothing but the one header.
fn proof(head: &Head, headers: &http::HeaderMap) {
    let sent: Vec<&[u8]> =
        headers.get_all(http::header::AUTHORIZATION).iter().map(|value| value.as_bytes()).collect();
    match &head.presented {
        Presented::None => assert!(sent.is_empty()),
        Presented::Malformed => assert!(!sent.is_empty()),
        Presented::Bearer(token) => {
            let [one] = sent[..] else { panic!("a token of {} headers", sent.len()) };
            let (scheme, rest) = one.split_at(7);
            assert!(scheme.eq_ignore_ascii_case(b"bearer "));
            assert_eq!(rest.trim_ascii_start(), token.expose().as_bytes());
            assert!(!token.expose().contains(|c: char| !c.is_ascii_graphic() || c == ','));
        }
        Presented::Certificate(_) | Presented::Local(_) => panic!("nobody sent that"),
    }
}

fn refused(error: Error, codes: &[Code]) {
    assert!(codes.contains(error.code()), "{error:?}");
    answer(&Reply::Gate(error));
}

// Over standard input.

fn stream(shape: u8, bytes: &[u8]) {
    let max = [1, 16, 120, 4_096][usize::from(shape % 4)];
    let pieces = [1, 7, 100, usize::MAX][usize::from(shape / 4 % 4)];
    let found = RUNTIME.block_on(async {
        let mut lines = Lines::new(Pieces(bytes, pieces), ByteCount(max as u64));
        let mut found = Vec::new();
        while let Some(line) = lines.next().await.expect("reading succeeds") {
            found.push(line);
        }
        found
    });
    let mut found = found.into_iter();
    // As `initialize` may have settled it.
    let settled = [None, Some("2025-11-25".to_owned())][usize::from(shape / 16 % 2)].clone();
    let head = Head::without_headers(Channel::Stdio, Presented::None, settled);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let message_in = line.trim_ascii();
        if line.len() > max {
            let Some(Line::TooLong(id)) = found.next() else { panic!("{line:?} is too long") };
            is_id(&id);
            let escaped = message_in.windows(2).any(|two| two == b"\\u");
            if let (Ok(Message::Request { id: own, .. }), false) =
                (parse(&head, message_in), escaped)
            {
                assert_eq!(id, own, "nobody is answered");
            }
        } else if !message_in.is_empty() {
            let Some(Line::Message(read)) = found.next() else { panic!("{line:?} is a message") };
            assert_eq!(read, message_in);
            message(&head, message_in);
        }
    }
    assert!(found.next().is_none(), "a line that nobody sent");
}

/// A reader that returns so many bytes at once.
struct Pieces<'a>(&'a [u8], usize);

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (piece, rest) = self.0.split_at(self.1.min(self.0.len()).min(buffer.remaining()));
        buffer.put_slice(piece);
        self.0 = rest;
        Poll::Ready(Ok(()))
    }
}

// Messages, however they came.

fn message(head: &Head, body: &[u8]) {
    let strict = strictly(body);
    assert_eq!(json::check(body, json::MAX_DEPTH).is_ok(), strict, "who reads it how?");
    match parse(head, body) {
        Ok(message) => {
            assert!(strict);
            let sent: Value = serde_json::from_slice(body).expect("JSON");
            assert_eq!(sent["jsonrpc"], "2.0");
            match message {
                Message::Request { id, request } => {
                    assert!(!id.is_none());
                    echoed(&id, body);
                    assert_eq!(
                        serde_json::from_str::<Value>(id.as_json()).expect("JSON"),
                        sent["id"]
                    );
                    asked(head, &request, &sent, body);
                    answer(&Reply::Answer { id, version: request.version, answer: Answer::Pong });
                }
                Message::Notification(notification) => {
                    assert!(sent.get("id").is_none() && sent["method"].is_string());
                    if let Notification::Cancelled { request } = notification {
                        echoed(&request, body);
                        assert!(!request.is_none() && sent["method"] == "notifications/cancelled");
                    }
                }
                Message::Response => assert!(sent.get("method").is_none()),
            }
        }
        Err(BadMessage { id, error, shown }) => {
            echoed(&id, body);
            assert_eq!(error.code() == &Code::ParseError, !strict);
            let codes = [
                Code::ParseError,
                Code::InvalidRequest,
                Code::InvalidParams,
                Code::MethodNotFound,
                Code::HeaderMismatch,
                Code::UnsupportedProtocolVersion,
            ];
            assert!(codes.contains(error.code()), "{error:?}");
            assert!(error.message().len() < 200 && !error.message().contains(char::is_control));
            answer(&Reply::Malformed(BadMessage { id, error, shown }));
        }
    }
}

/// An id that is answered under is one that was sent.
fn echoed(id: &RpcId, body: &[u8]) {
    is_id(id);
    let text = id.as_json().as_bytes();
    assert!(id.is_none() || body.windows(text.len()).any(|part| part == text));
}

/// An id is a string or an integer, and no payload.
fn is_id(id: &RpcId) {
    let text = id.as_json();
    let value: Value = serde_json::from_str(text).expect("an id is JSON");
    let integer = text.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit());
    let fits = text.len() <= 256 && (value.is_string() || (value.is_number() && integer));
    assert!(fits || id.is_none(), "{text}");
}

/// A request says what its body says, and its headers do not say otherwise.
fn asked(head: &Head, request: &Request, sent: &Value, body: &[u8]) {
    let params = &sent["params"];
    let method = match &request.method {
        Method::Initialize { requested } => {
            assert_eq!(params["protocolVersion"], requested.as_str());
            "initialize"
        }
        Method::Discover => "server/discover",
        Method::Ping => "ping",
        Method::ListTools { cursor } => {
            assert_eq!(params.get("cursor"), cursor.as_deref().map(Value::from).as_ref());
            "tools/list"
        }
        Method::CallTool(call) => {
            assert!(call.name.len() <= 128 && params["name"] == call.name.as_str());
            json::check(call.arguments.as_bytes(), json::MAX_DEPTH).expect("strict JSON");
            let arguments: Value = serde_json::from_str(&call.arguments).expect("JSON");
            assert!(arguments.is_object());
            assert_eq!(
                &arguments,
                params.get("arguments").unwrap_or(&Value::Object(Default::default()))
            );
            let as_sent =
                body.windows(call.arguments.len()).any(|part| part == call.arguments.as_bytes());
            assert!(as_sent || params.get("arguments").is_none(), "not the client's bytes");
            "tools/call"
        }
    };
    assert_eq!(sent["method"], method);
    let declared = &params["_meta"]["io.modelcontextprotocol/protocolVersion"];
    if request.version.is_modern() {
        assert_eq!(*declared, request.version.as_str());
        assert!(params["_meta"]["io.modelcontextprotocol/clientCapabilities"].is_object());
        assert!(!matches!(request.method, Method::Ping | Method::Initialize { .. }));
    } else {
        assert!(!matches!(request.method, Method::Discover));
        assert!(declared.is_null() || matches!(request.method, Method::Initialize { .. }));
    }
    if head.channel == Channel::Http {
        let header = head.version.as_deref().and_then(Version::parse);
        let settles = matches!(request.method, Method::Initialize { .. });
        assert!(settles || header.unwrap_or(Version::ASSUMED) == request.version);
        if request.version.is_modern() {
            assert_eq!(head.mcp_method.as_deref(), Some(method));
            if let Method::CallTool(call) = &request.method {
                let encoded = format!("=?base64?{}?=", STANDARD.encode(&call.name));
                let header = head.mcp_name.as_deref().expect("the name once more");
                assert!(header == call.name || header == encoded, "{header}");
            }
        }
    }
    told(&request.meta, params);
}

/// What a request says of itself is bounded, and what is MCP's own is not passed on.
fn told(meta: &Meta, params: &Value) {
    let TraceContext { traceparent, tracestate } = &meta.trace;
    let hexadecimal = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-');
    assert!(
        traceparent.as_deref().is_none_or(|one| one.len() == 55 && one.bytes().all(hexadecimal))
    );
    let printable = |text: &str| !text.is_empty() && text.bytes().all(|b| matches!(b, b' '..=b'~'));
    assert!(
        tracestate.as_deref().is_none_or(|state| {
            traceparent.is_some() && state.len() <= 512 && printable(state)
        })
    );
    let metadata: Value = serde_json::from_str(&meta.client_metadata).expect("JSON");
    for (key, value) in metadata.as_object().expect("an object") {
        assert_eq!(&params["_meta"][key.as_str()], value);
        assert!(!key.starts_with("io.modelcontextprotocol/") && key != "progressToken");
    }
    if let Some(info) = &meta.client_info {
        assert!(info.name.len() <= 128 && info.version.len() <= 128);
        assert!(!info.name.contains(char::is_control) && !info.version.contains(char::is_control));
    }
    if let Some(token) = &meta.progress_token {
        assert!(token.get().len() <= 256);
        let progress = Progress { token: token.clone(), progress: 1.0, total: None, message: None };
        one_line(&progress_frame(&progress));
    }
}

/// An answer is one line of JSON, over either transport.
fn answer(reply: &Reply) {
    static CHALLENGES: LazyLock<Challenges> = LazyLock::new(Challenges::of_keys);
    let request_id = RequestId::generate();
    let line = frame(reply, request_id).expect("an answer");
    one_line(&line);
    let asked = Asked { request_id, presented: true, challenges: &CHALLENGES };
    let response = respond::http(reply, asked);
    json::check(response.body(), 128).expect("an answer is strict JSON");
}

fn one_line(line: &[u8]) {
    json::check(line, 128).expect("a message is strict JSON");
    assert!(!line.iter().any(|byte| *byte < b' '));
}

/// Whether every reader reads the text alike and in bounded depth: JSON, at most 64 deep,
/// without the same key twice in an object. As slow as it is plain.
fn strictly(text: &[u8]) -> bool {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let depth = Depth.deserialize(&mut reader);
    depth.is_ok_and(|depth| depth <= json::MAX_DEPTH) && reader.end().is_ok()
}

/// How deep a value nests.
struct Depth;

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<usize, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Depth {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("strict JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_i64<E>(self, _: i64) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_u64<E>(self, _: u64) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_f64<E>(self, _: f64) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_str<E>(self, _: &str) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_unit<E>(self) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<usize, A::Error> {
        let mut deepest = 0;
        while let Some(depth) = items.next_element_seed(Depth)? {
            deepest = deepest.max(depth);
        }
        Ok(deepest + 1)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<usize, A::Error> {
        let (mut keys, mut deepest) = (Vec::<String>::new(), 0);
        while let Some(key) = members.next_key::<Cow<'_, str>>()? {
            if keys.iter().any(|known| *known == key) {
                return Err(serde::de::Error::custom("the same key twice"));
            }
            keys.push(key.into_owned());
            deepest = deepest.max(members.next_value_seed(Depth)?);
        }
        Ok(deepest + 1)
    }
}
