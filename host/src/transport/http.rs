//! An HTTP request to a [`Head`] and a bounded [`Body`].
//!
//! The threat: a web page, in a browser that can reach this server, that talks to
//! it in its user's place, with DNS rebinding even as if from the same origin
//! (MCP 2026-07-28, Streamable HTTP, "Security & Endpoint"). So `Host` and `Origin`
//! are checked before anything else, whether or not a credential came along.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, ORIGIN,
};
use http::request::Parts;
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::head::{Channel, ClientCertificate, Head, Peer, Presented};
use crate::config::Server;
use crate::error::{Code, Error, Retry};
use crate::names::{ByteCount, RequestId, Secret};

/// How long a body may take to arrive. hyper closes a connection that is silent
/// before the header; a body that stops halfway is closed by this alone. Long
/// enough for 1 MiB at 300 kbit/s.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// What the public listener lets in.
#[derive(Clone, Debug)]
pub struct Edge {
    /// What it is reached by.
    scheme: Scheme,
    allowed_origins: Vec<String>,
    public: Option<Site>,
    allowed_hosts: Vec<Authority>,
    max_body: ByteCount,
}

/// A request that may go on.
#[derive(Debug)]
pub struct Inbound {
    /// All but its body.
    pub head: Head,
    /// Its body, not read yet.
    pub body: Body,
    /// The form of the answer.
    pub accepts: Accepts,
}

/// The forms of an answer that a client takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepts {
    /// One JSON object. Also where the client does not care: people's `curl`
    /// reads it best.
    Json,
    /// An event stream, even for an answer without progress.
    Stream,
    /// Both, as MCP wants it.
    Either,
}

impl Edge {
    /// What this configuration lets in. Entries that are no host are ignored; the
    /// configuration has refused them.
    pub fn new(server: &Server) -> Self {
        Self {
            scheme: if server.tls.is_some() { Scheme::Https } else { Scheme::Http },
            allowed_origins: server.allowed_origins.clone(),
            public: server.public_url.as_deref().and_then(Site::of_url),
            allowed_hosts: server
                .allowed_hosts
                .iter()
                .filter_map(|host| Authority::parse(host))
                .collect(),
            max_body: server.max_body,
        }
    }

    /// Checks `Host` and `Origin` of a request that came in on the address
    /// `local`. Returns the origin that CORS headers may name, where there is one.
    ///
    /// # Errors
    /// `ORIGIN_FORBIDDEN`.
    pub fn origin(&self, parts: &Parts, local: SocketAddr) -> Result<Option<HeaderValue>, Error> {
        let host = self.host(&parts.headers, &parts.uri, local).ok_or_else(|| {
            let what = "This `Host` is not served here; `server.allowed_hosts` can allow it.";
            Error::new(Code::OriginForbidden, what)
        })?;
        let mut origins = parts.headers.get_all(ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) => Ok(None),
            (Some(origin), None) if self.is_allowed(origin, &host, local) => {
                Ok(Some(origin.clone()))
            }
            (Some(_), _) => {
                let what =
                    "This `Origin` may not call here; `server.allowed_origins` can allow it.";
                Err(Error::new(Code::OriginForbidden, what))
            }
        }
    }

    /// The host that the request names, where it is ours. A target in absolute form
    /// counts before the header (RFC 9112 §3.2.2).
    fn host(&self, headers: &HeaderMap, target: &Uri, local: SocketAddr) -> Option<Authority> {
        let mut named = headers.get_all(HOST).iter();
        let (header, None) = (named.next()?.to_str().ok()?, named.next()) else {
            return None;
        };
        let host = Authority::parse(target.authority().map_or(header, |target| target.as_str()))?;
        let ours = host.is_loopback()
            || host.address() == Some(local.ip().to_canonical())
            || self.public.as_ref().is_some_and(|site| site.authority.host == host.host)
            || self.allowed_hosts.iter().any(|allowed| allowed.covers(&host));
        ours.then_some(host)
    }

    /// Whether a page of this origin may call: a listed one, `public_url`'s own, or
    /// one that this server would have served itself on loopback.
    fn is_allowed(&self, origin: &HeaderValue, host: &Authority, local: SocketAddr) -> bool {
        let Some(site) = origin.to_str().ok().and_then(Site::of_origin) else {
            return false;
        };
        let port = site.port();
        let named = host.port.unwrap_or(self.scheme.default_port());
        let own = site.scheme == self.scheme
            && site.authority.is_loopback()
            && (port == local.port() || host.is_loopback() && port == named);
        own || self.public.as_ref().is_some_and(|public| public.is_same(&site))
            || self
                .allowed_origins
                .iter()
                .filter_map(|one| Site::of_origin(one))
                .any(|one| one.is_same(&site))
    }

    /// Takes a request whose origin was checked, without reading its body.
    ///
    /// # Errors
    /// `METHOD_NOT_ALLOWED`, `INVALID_REQUEST` for a token in the URL, `NOT_ACCEPTABLE`,
    /// `UNSUPPORTED_MEDIA_TYPE`, or `PAYLOAD_TOO_LARGE` where the declared length already says so.
    pub fn admit(&self, request: Request<axum::body::Body>) -> Result<Inbound, Error> {
        let (parts, body) = request.into_parts();
        if parts.method != Method::POST {
            // Without sessions there is no stream to open and none to end.
            return Err(Error::new(Code::MethodNotAllowed, "Only POST is served here."));
        }
        if holds_token(&parts.uri) {
            // It is in logs and histories now, whether it is good or not.
            let what = "A token in the URL is not accepted; send `Authorization: Bearer TOKEN`, and \
                        replace the token.";
            return Err(Error::new(Code::InvalidRequest, what));
        }
        let accepts = accepts(&parts.headers).ok_or_else(|| {
            let what = "The answer is `application/json` or `text/event-stream`, and `Accept` admits neither.";
            Error::new(Code::NotAcceptable, what)
        })?;
        if !is_json(&parts.headers) {
            let what = "The body has to be `application/json`.";
            return Err(Error::new(Code::UnsupportedMediaType, what));
        }
        let declared =
            parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if declared.is_some_and(|bytes: u64| bytes > self.max_body.0) {
            return Err(too_large(self.max_body));
        }
        let peer = parts.extensions.get().cloned().unwrap_or_default();
        let head = head(&parts.headers, accepts, peer);
        let body = Body::Incoming(Incoming { body, max: self.max_body });
        Ok(Inbound { head, body, accepts })
    }
}

/// RFC 6750 §2.3, which MCP forbids. The name may be encoded.
fn holds_token(uri: &Uri) -> bool {
    let is_token = |pair: &str| {
        let name =
            pair.split('=').next().unwrap_or_default().replace("%5F", "_").replace("%5f", "_");
        name.eq_ignore_ascii_case("access_token")
    };
    uri.query().is_some_and(|query| query.split(['&', ';']).any(is_token))
}

fn head(headers: &HeaderMap, accepts: Accepts, peer: Peer) -> Head {
    Head {
        request_id: RequestId::generate(),
        presented: presented(headers, peer.certificate),
        channel: Channel::Http,
        source: peer.address,
        version: text(headers, "mcp-protocol-version"),
        mcp_method: text(headers, "mcp-method"),
        mcp_name: text(headers, "mcp-name"),
        traceparent: text(headers, "traceparent"),
        tracestate: text(headers, "tracestate"),
        streams: accepts != Accepts::Json,
    }
}

/// A header as one text. Repeated ones are joined (RFC 9110 §5.3) and bytes that
/// are not UTF-8 are replaced: both then differ from everything they are compared
/// with, and the refusal can echo the id that is in the body.
fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let values =
        headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    values.map(std::borrow::Cow::into_owned).reduce(|all, next| all + ", " + &next)
}

/// An `Authorization` decides alone; a certificate speaks where there is none.
fn presented(headers: &HeaderMap, certificate: Option<Arc<ClientCertificate>>) -> Presented {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => certificate.map_or(Presented::None, Presented::Certificate),
        (Some(value), None) => {
            value.to_str().ok().and_then(bearer).map_or(Presented::Malformed, Presented::Bearer)
        }
        (Some(_), Some(_)) => Presented::Malformed,
    }
}

/// RFC 6750 §2.1: `Bearer`, spaces, and a `b64token`.
fn bearer(value: &str) -> Option<Secret> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    let body = token.trim_end_matches('=');
    let well_formed = !body.is_empty()
        && body.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b));
    (scheme.eq_ignore_ascii_case("bearer") && well_formed).then(|| Secret::new(token))
}

/// RFC 9110 §12.5.1: for each of our two forms the most specific range decides. An
/// event stream has to be asked for by name, unless nothing else is left.
fn accepts(headers: &HeaderMap) -> Option<Accepts> {
    if !headers.contains_key(ACCEPT) {
        return Some(Accepts::Json);
    }
    let ranges: Vec<(String, bool)> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(media_range)
        .collect();
    let admits = |names: &[&str]| {
        let decides = |name: &&str| ranges.iter().find(|(range, _)| range == name);
        names.iter().find_map(decides).is_some_and(|(_, wanted)| *wanted)
    };
    let json = admits(&["application/json", "application/*", "*/*"]);
    let stream_by_name = admits(&["text/event-stream", "text/*"]);
    let stream = admits(&["text/event-stream", "text/*", "*/*"]);
    match (json, stream_by_name, stream) {
        (true, true, _) => Some(Accepts::Either),
        (true, false, _) => Some(Accepts::Json),
        (false, _, true) => Some(Accepts::Stream),
        (false, _, false) => None,
    }
}

/// One range of an `Accept` in lower case, and whether its weight is not zero.
fn media_range(range: &str) -> (String, bool) {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let zero = weight.is_some_and(|weight| weight.parse::<f32>().is_ok_and(|weight| weight == 0.0));
    (name, !zero)
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    let essence = value.to_str().ok().and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// The schemes that a page can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A web origin (RFC 6454).
#[derive(Clone, Debug)]
struct Site {
    scheme: Scheme,
    authority: Authority,
}

impl Site {
    /// Reads an origin and nothing more: no path, no `null`.
    fn of_origin(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return None,
        };
        Some(Self { scheme, authority: Authority::parse(authority)? })
    }

    /// The origin of a URL.
    fn of_url(url: &str) -> Option<Self> {
        let url: Uri = url.parse().ok()?;
        Self::of_origin(&format!("{}://{}", url.scheme_str()?, url.authority()?))
    }

    fn port(&self) -> u16 {
        self.authority.port.unwrap_or(self.scheme.default_port())
    }

    fn is_same(&self, other: &Self) -> bool {
        let same_place = self.authority.host == other.authority.host && self.port() == other.port();
        self.scheme == other.scheme && same_place
    }
}

/// `HOST` or `HOST:PORT`, the host in lower case, an IPv6 address in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Authority {
    host: String,
    port: Option<u16>,
}

impl Authority {
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, digits)) if !digits.ends_with(']') => (host, Some(port(digits)?)),
            _ => (text, None),
        };
        let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let well_formed = match inner {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => {
                !host.is_empty()
                    && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
            }
        };
        well_formed.then(|| Self { host: host.to_ascii_lowercase(), port })
    }

    /// The address that the host is, where it is no name.
    fn address(&self) -> Option<IpAddr> {
        match self.host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(address) => address.parse::<Ipv6Addr>().ok().map(|ip| ip.to_canonical()),
            None => self.host.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        }
    }

    fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.address().is_some_and(|ip| ip.is_loopback())
    }

    /// Whether an entry of `allowed_hosts` means `named`; without a port, any.
    fn covers(&self, named: &Self) -> bool {
        self.host == named.host && (self.port.is_none() || self.port == named.port)
    }
}

fn port(text: &str) -> Option<u16> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// A request's body, read only when somebody who may send it was recognized.
#[derive(Debug)]
pub enum Body {
    /// Already in memory, and bounded by whoever read it.
    Read(Bytes),
    /// Still to come.
    Incoming(Incoming),
}

/// A body that is still to come over HTTP.
#[derive(Debug)]
pub struct Incoming {
    body: axum::body::Body,
    max: ByteCount,
}

impl Body {
    /// Reads all of it. Not cancel-safe: what was read is dropped with the future.
    ///
    /// # Errors
    /// `PAYLOAD_TOO_LARGE` past the configured size; `DEADLINE_EXCEEDED` when it
    /// does not arrive within 30 seconds; `INVALID_REQUEST` when it breaks off.
    pub async fn read(self) -> Result<Bytes, Error> {
        let Incoming { body, max } = match self {
            Self::Read(bytes) => return Ok(bytes),
            Self::Incoming(incoming) => incoming,
        };
        let all = Limited::new(body, max.as_usize()).collect();
        match tokio::time::timeout(BODY_TIMEOUT, all).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(max)),
            Ok(Err(error)) => {
                Err(Error::new(Code::InvalidRequest, "The body broke off.").because(error))
            }
            Err(_) => {
                let what = "The body did not arrive in time.";
                Err(Error::new(Code::DeadlineExceeded, what).retry(Retry::Maybe))
            }
        }
    }
}

fn too_large(max: ByteCount) -> Error {
    Error::new(Code::PayloadTooLarge, format!("The body is larger than {max}."))
        .detail("maxBytes", max.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), 8080);

    fn edge() -> Edge {
        Edge::new(&Server {
            listen: LOCAL,
            public_url: Some("https://tools.example.com/mcp".to_owned()),
            allowed_origins: vec![
                "https://app.example.com".to_owned(),
                "http://dev.test:3000".to_owned(),
            ],
            allowed_hosts: vec!["inner.example.com".to_owned(), "[2001:db8::1]:90".to_owned()],
            max_body: ByteCount(16),
            max_connections: 1,
            shutdown_delay: Duration::ZERO,
            drain_timeout: Duration::ZERO,
            tls: None,
            behind_tls_proxy: false,
        })
    }

    fn request(headers: &[(&str, &str)]) -> Request<axum::body::Body> {
        let mut request = Request::post("/mcp");
        for (name, value) in headers {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            request = request.header(*name, value);
        }
        request.body(axum::body::Body::empty()).unwrap()
    }

    fn origin(request: Request<axum::body::Body>) -> Result<Option<String>, Code> {
        edge()
            .origin(&request.into_parts().0, LOCAL)
            .map(|origin| origin.map(|origin| origin.to_str().unwrap().to_owned()))
            .map_err(|error| error.code().clone())
    }

    #[test]
    fn only_our_own_hosts_are_served() {
        for host in [
            "127.0.0.1:8080",
            "127.9.9.9",
            "localhost",
            "LOCALHOST:1",
            "[::1]:8080",
            "[::ffff:127.0.0.1]",
            "192.0.2.7",
            "192.0.2.7:8080",
            "tools.example.com",
            "Tools.Example.Com:443",
            "inner.example.com:9",
            "[2001:db8::1]:90",
        ] {
            assert_eq!(origin(request(&[("host", host)])), Ok(None), "{host}");
        }
        for host in [
            "evil.example.com",
            "evil.example.com:8080",
            "tools.example.com.evil.test",
            "localhost.evil.test",
            "localhost.",
            "192.0.2.8:8080",
            "[2001:db8::1]",
            "[2001:db8::1]:91",
            "::1",
            "127.1",
            "localhost:",
            "localhost:99999",
            "localhost:+80",
            "user@localhost",
            "localhost/x",
            "localhost, evil.test",
            "",
            "[",
            "[]",
            "[::1",
            "ü",
        ] {
            assert_eq!(origin(request(&[("host", host)])), Err(Code::OriginForbidden), "{host}");
        }
        assert_eq!(origin(request(&[])), Err(Code::OriginForbidden));
        let twice = request(&[("host", "localhost"), ("host", "localhost")]);
        assert_eq!(origin(twice), Err(Code::OriginForbidden));
    }

    #[test]
    fn a_target_in_absolute_form_names_the_host() {
        for (target, allowed) in [("http://localhost/mcp", true), ("http://evil.test/mcp", false)] {
            let mut request = request(&[("host", "localhost")]);
            *request.uri_mut() = target.parse().unwrap();
            assert_eq!(origin(request).is_ok(), allowed, "{target}");
        }
    }

    #[test]
    fn only_allowed_pages_may_call() {
        for (host, page) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("127.0.0.1:8080", "http://localhost:8080"),
            ("localhost:8080", "http://[::1]:8080"),
            // Behind a port mapping the browser sees another port than we do.
            ("localhost:3000", "http://localhost:3000"),
            ("localhost", "http://localhost"),
            ("tools.example.com", "https://tools.example.com"),
            ("tools.example.com", "https://tools.example.com:443"),
            ("tools.example.com", "https://app.example.com"),
            ("localhost:8080", "http://dev.test:3000"),
            ("localhost:8080", "HTTP://DEV.test:3000"),
        ] {
            let request = request(&[("host", host), ("origin", page)]);
            assert_eq!(origin(request), Ok(Some(page.to_owned())), "{host} {page}");
        }
        for (host, page) in [
            ("localhost:8080", "null"),
            ("localhost:8080", ""),
            ("localhost:8080", "http://evil.test"),
            ("localhost:8080", "http://localhost:3000"),
            ("localhost:8080", "http://localhost"),
            ("localhost:8080", "https://localhost:8080"),
            ("localhost:8080", "http://localhost.evil.test:8080"),
            ("localhost:8080", "http://localhost:8080/"),
            ("localhost:8080", "http://localhost:8080@evil.test"),
            ("localhost:8080", "file://"),
            ("localhost:8080", "http://dev.test:3001"),
            ("localhost:8080", "http://dev.test"),
            ("tools.example.com:3000", "http://localhost:3000"),
            ("tools.example.com", "http://tools.example.com"),
            ("tools.example.com", "https://tools.example.com:8443"),
            ("tools.example.com", "https://example.com"),
            ("192.0.2.7:8080", "http://192.0.2.7:8080"),
            ("inner.example.com", "http://inner.example.com"),
        ] {
            let request = request(&[("host", host), ("origin", page)]);
            assert_eq!(origin(request), Err(Code::OriginForbidden), "{host} {page}");
        }
        let own = ("origin", "http://localhost:8080");
        let twice = request(&[("host", "localhost:8080"), own, own]);
        assert_eq!(origin(twice), Err(Code::OriginForbidden));
    }

    fn refusal(request: Request<axum::body::Body>) -> Option<Code> {
        edge().admit(request).err().map(|error| error.code().clone())
    }

    const JSON: (&str, &str) = ("content-type", "application/json");

    #[test]
    fn only_posted_json_is_taken() {
        for kind in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json ;x",
        ] {
            assert_eq!(refusal(request(&[("content-type", kind)])), None, "{kind}");
        }
        for kind in [
            "",
            "text/plain",
            "application/json-rpc",
            "application/jsonx",
            "application/xml, application/json",
            "ü",
        ] {
            let code = refusal(request(&[("content-type", kind)]));
            assert_eq!(code, Some(Code::UnsupportedMediaType), "{kind}");
        }
        assert_eq!(refusal(request(&[])), Some(Code::UnsupportedMediaType));
        assert_eq!(refusal(request(&[JSON, JSON])), Some(Code::UnsupportedMediaType));
        for method in [Method::GET, Method::DELETE, Method::PUT, Method::OPTIONS, Method::HEAD] {
            let mut request = request(&[JSON]);
            *request.method_mut() = method.clone();
            assert_eq!(refusal(request), Some(Code::MethodNotAllowed), "{method}");
        }
    }

    #[test]
    fn the_answer_has_a_form_that_the_client_takes() {
        for (accept, expected) in [
            ("application/json, text/event-stream", Some(Accepts::Either)),
            ("text/event-stream,APPLICATION/json;q=0.5", Some(Accepts::Either)),
            ("text/*, application/*", Some(Accepts::Either)),
            ("*/*", Some(Accepts::Json)),
            ("application/*;q=0.1", Some(Accepts::Json)),
            ("application/json", Some(Accepts::Json)),
            ("text/html, */*;q=0.8", Some(Accepts::Json)),
            ("*/*, text/event-stream;q=0", Some(Accepts::Json)),
            ("text/event-stream", Some(Accepts::Stream)),
            ("*/*, application/json;q=0", Some(Accepts::Stream)),
            ("*/*, application/json;q=0.000", Some(Accepts::Stream)),
            ("text/html", None),
            ("*/*;q=0", None),
            ("application/json;q=0", None),
            ("application/jsonl", None),
            ("", None),
            (",;,", None),
            ("ü", None),
        ] {
            let found = edge().admit(request(&[JSON, ("accept", accept)])).ok();
            assert_eq!(found.as_ref().map(|found| found.accepts), expected, "{accept}");
            if let Some(found) = found {
                assert_eq!(found.head.streams, found.accepts != Accepts::Json, "{accept}");
            }
        }
        assert_eq!(edge().admit(request(&[JSON])).unwrap().accepts, Accepts::Json);
        let split =
            request(&[JSON, ("accept", "application/json"), ("accept", "text/event-stream")]);
        assert_eq!(edge().admit(split).unwrap().accepts, Accepts::Either);
        assert_eq!(refusal(request(&[JSON, ("accept", "text/html")])), Some(Code::NotAcceptable));
    }

    #[test]
    fn a_credential_is_one_bearer_token() {
        let presented = |values: &[&str]| {
            let mut headers = vec![JSON];
            headers.extend(values.iter().map(|value| ("authorization", *value)));
            match edge().admit(request(&headers)).unwrap().head.presented {
                Presented::None => "none".to_owned(),
                Presented::Bearer(token) => token.expose().to_owned(),
                Presented::Malformed => "malformed".to_owned(),
                Presented::Certificate(_) => panic!("there is no TLS"),
                Presented::Local(_) => panic!("nobody is local over HTTP"),
            }
        };
        assert_eq!(presented(&[]), "none");
        for value in ["Bearer aB9-._~+/==", "bearer  aB9-._~+/=="] {
            assert_eq!(presented(&[value]), "aB9-._~+/==", "{value}");
        }
        for value in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer =",
            "Bearer a b",
            "Bearer a,b",
            "Bearer a=b",
            "Basic YTpi",
            "Bearerx",
            "Bearer ü",
        ] {
            assert_eq!(presented(&[value]), "malformed", "{value}");
        }
        assert_eq!(presented(&["Bearer a", "Bearer a"]), "malformed");
    }

    #[test]
    fn repeated_or_broken_headers_match_nothing() {
        let found = edge().admit(request(&[
            JSON,
            ("mcp-method", "tools/call"),
            ("mcp-method", "tools/list"),
            ("MCP-Protocol-Version", "2026-07-28"),
        ]));
        let head = found.unwrap().head;
        assert_eq!(head.mcp_method.as_deref(), Some("tools/call, tools/list"));
        assert_eq!(head.version.as_deref(), Some("2026-07-28"));
        assert_eq!(head.mcp_name, None);
        let mut broken = request(&[JSON]);
        let value = HeaderValue::from_bytes(b"echo\xff").unwrap();
        broken.headers_mut().insert("mcp-name", value);
        assert_eq!(edge().admit(broken).unwrap().head.mcp_name.as_deref(), Some("echo\u{fffd}"));
    }

    async fn read(body: axum::body::Body) -> Result<Bytes, Code> {
        let incoming = Incoming { body, max: ByteCount(16) };
        Body::Incoming(incoming).read().await.map_err(|error| error.code().clone())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_bounded_in_size_and_time() {
        use futures_util::stream;
        type Chunk = Result<&'static str, std::io::Error>;

        let full: Vec<Chunk> = vec![Ok("12345678"), Ok("12345678")];
        let body = axum::body::Body::from_stream(stream::iter(full));
        assert_eq!(read(body).await, Ok(Bytes::from_static(b"1234567812345678")));

        let over: Vec<Chunk> = vec![Ok("12345678"), Ok("123456789")];
        let body = axum::body::Body::from_stream(stream::iter(over));
        assert_eq!(read(body).await, Err(Code::PayloadTooLarge));

        let broken: Vec<Chunk> = vec![Ok("1"), Err(std::io::Error::other("gone"))];
        let body = axum::body::Body::from_stream(stream::iter(broken));
        assert_eq!(read(body).await, Err(Code::InvalidRequest));

        let body = axum::body::Body::from_stream(stream::pending::<Chunk>());
        assert_eq!(read(body).await, Err(Code::DeadlineExceeded));

        let declared = |bytes: &str| refusal(request(&[JSON, ("content-length", bytes)]));
        assert_eq!(declared("16"), None);
        assert_eq!(declared("17"), Some(Code::PayloadTooLarge));
        assert_eq!(declared("18446744073709551615"), Some(Code::PayloadTooLarge));
    }

    proptest::proptest! {
        #[test]
        fn any_header_gets_an_answer(
            host in "[\\[\\]:a0.@ü]{0,8}",
            page in "(https?://)?[\\[\\]:a0.@/ü]{0,8}",
            accept in "[a*/;q=0., ü]{0,12}",
        ) {
            let headers = [("host", host.as_str()), ("origin", &page), ("accept", &accept), JSON];
            let _ = origin(request(&headers));
            let _ = edge().admit(request(&headers));
        }
    }
}
