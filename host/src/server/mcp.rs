//! `POST /mcp`: Streamable HTTP around the pipeline.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{any, get};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use http::{Method, StatusCode, Uri};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::connections::LocalAddress;
use super::events::{End, EventStream, event};
use super::{Answering, PROGRESS_QUEUE};
use crate::error::Error;
use crate::names::RequestId;
use crate::respond::{self, Asked, Challenges, Reply, WELL_KNOWN};
use crate::transport::{Accepts, Edge, Head, Inbound, Presented, Version};

/// What a page may send along.
const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, accept, mcp-protocol-version, mcp-method, mcp-name, \
     mcp-session-id, last-event-id, traceparent, tracestate",
);

/// What a page may ask with. All but POST are then refused, visibly.
const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("POST, GET, DELETE");

/// What a page may read of an answer.
const EXPOSED_HEADERS: HeaderValue =
    HeaderValue::from_static("www-authenticate, retry-after, x-request-id");

/// How long a browser may remember what it may do, in seconds: an origin that is
/// taken off the list is refused by every request all the same.
const PREFLIGHT_MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// How long clients may remember where tokens are to be had.
const METADATA_MAX_AGE: HeaderValue = HeaderValue::from_static("public, max-age=300");

const NOT_FOUND: &str = r#"{"error":"There is nothing here. MCP is served at POST /mcp."}"#;

struct Endpoint {
    edge: Edge,
    challenges: Challenges,
    answering: Answering,
}

/// The public routes.
pub(super) fn router(edge: Edge, challenges: Challenges, answering: Answering) -> Router {
    let endpoint = Arc::new(Endpoint { edge, challenges, answering });
    Router::new()
        .route("/mcp", any(serve))
        .route(WELL_KNOWN, get(metadata).options(may_ask))
        .route(&format!("{WELL_KNOWN}/{{*path}}"), get(metadata).options(may_ask))
        .with_state(endpoint)
        .fallback(not_found)
}

/// Lets every page ask for the document, with whatever headers its client library sends.
async fn may_ask() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET"));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE);
    response
}

/// Where tokens are to be had (RFC 9728), for everybody and every page: it holds
/// nothing that depends on who asks.
async fn metadata(State(endpoint): State<Arc<Endpoint>>, uri: Uri) -> Response {
    let Some(document) = endpoint.challenges.document(uri.path()) else {
        return not_found().await;
    };
    let mut response = Response::new(Body::from(document));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(CACHE_CONTROL, METADATA_MAX_AGE);
    response
}

async fn not_found() -> Response {
    let mut response = Response::new(Body::from(NOT_FOUND));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn serve(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response {
    let Some(LocalAddress(local)) = request.extensions().get().copied() else {
        return endpoint
            .refuse(Error::internal("a request without the address that it came in on"));
    };
    let (parts, body) = request.into_parts();
    let origin = match endpoint.edge.origin(&parts, local) {
        Ok(origin) => origin,
        Err(refused) => return endpoint.refuse(refused),
    };
    let asks_first = parts.method == Method::OPTIONS
        && parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if asks_first && origin.is_some() {
        preflight()
    } else {
        match endpoint.edge.admit(Request::from_parts(parts, body)) {
            Ok(inbound) => endpoint.answer(inbound).await,
            Err(refused) => endpoint.refuse(refused),
        }
    };
    if let Some(origin) = origin {
        allow(response.headers_mut(), origin);
    }
    response
}

/// The answer to a browser that asks whether it may ask (Fetch, "CORS-preflight").
fn preflight() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
    headers.insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE);
    response
}

/// Lets a page of this origin read the answer. No cookies are served, so none are
/// allowed.
fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
    headers.insert(VARY, HeaderValue::from_name(ORIGIN));
}

impl Endpoint {
    /// Refuses what has no head yet.
    fn refuse(&self, error: Error) -> Response {
        let request_id = RequestId::generate();
        let (code, cause) = (error.code(), error.cause());
        tracing::debug!(%request_id, %code, cause, "a request was refused at the edge");
        let asked = Asked { request_id, presented: true, challenges: &self.challenges };
        respond::http(&Reply::Gate(error), asked).map(Body::from)
    }

    /// Answers with one JSON object, or with an event stream once there is progress
    /// to tell to a client that takes one.
    async fn answer(&self, inbound: Inbound) -> Response {
        let Inbound { head, body, accepts } = inbound;
        let request_id = head.request_id;
        let presented = !matches!(head.presented, Presented::None);
        let asked = Asked { request_id, presented, challenges: &self.challenges };
        let cancel = CancellationToken::new();
        // Hanging up cancels since 2026-07-28, and does not before (Streamable HTTP,
        // "Cancellation"). The header says which: it has to equal the body's.
        let hang_up = is_modern(&head).then(|| cancel.clone().drop_guard());
        let (progress, mut reports) = mpsc::channel(PROGRESS_QUEUE);
        let mut reply = (self.answering)(head, body, progress, cancel);
        if accepts == Accepts::Json {
            reports.close();
            return respond::http(&reply.await, asked).map(Body::from);
        }
        let (first, end) = tokio::select! {
            biased;
            Some(first) = reports.recv() => (Some(first), End::Awaited(reply)),
            reply = &mut reply => (reports.try_recv().ok(), End::Known(reply)),
        };
        if let (None, End::Known(reply)) = (&first, &end) {
            return whole(reply, asked, accepts);
        }
        EventStream::new(request_id, first, reports, end, hang_up).into_response()
    }
}

/// A reply without progress: as a stream of one event only for who takes nothing
/// else, and then only what is no refusal.
fn whole(reply: &Reply, asked: Asked<'_>, accepts: Accepts) -> Response {
    let response = respond::http(reply, asked);
    if accepts != Accepts::Stream || response.status() != StatusCode::OK {
        return response.map(Body::from);
    }
    let frame = respond::frame(reply, asked.request_id).unwrap_or_default();
    let (mut parts, _) = response.into_parts();
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Response::from_parts(parts, Body::from(event(&frame)))
}

fn is_modern(head: &Head) -> bool {
    head.version.as_deref().and_then(Version::parse).is_some_and(Version::is_modern)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Mutex;
    use std::time::Duration;

    use http_body_util::BodyExt;
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;
    use serde_json::value::RawValue;
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::config::Server;
    use crate::error::Code;
    use crate::names::ByteCount;
    use crate::respond::Answer;
    use crate::server::connections::{connection, with_local_address};
    use crate::transport::{Progress, RpcId};

    const BOTH: &str = "application/json, text/event-stream";

    fn local() -> SocketAddr {
        "127.0.0.1:8080".parse().unwrap()
    }

    fn edge() -> Edge {
        Edge::new(&Server {
            listen: local(),
            public_url: None,
            allowed_origins: vec!["https://app.example.com".to_owned()],
            allowed_hosts: Vec::new(),
            max_body: ByteCount(1 << 20),
            max_connections: 1,
            shutdown_delay: Duration::ZERO,
            drain_timeout: Duration::ZERO,
            tls: None,
            behind_tls_proxy: false,
        })
    }

    fn pong() -> Reply {
        let version = Version::V2025_11_25;
        Reply::Answer { id: RpcId::none(), version, answer: Answer::Pong }
    }

    const PONG: &str = r#"{"jsonrpc":"2.0","id":null,"result":{}}"#;

    fn report(at: f64) -> Progress {
        let token = RawValue::from_string("7".to_owned()).unwrap();
        Progress { token, progress: at, total: None, message: None }
    }

    fn reported(at: &str) -> String {
        format!(
            "event: message\ndata: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{{\"progressToken\":7,\"progress\":{at}}}}}\n\n"
        )
    }

    fn ponged() -> String {
        format!("event: message\ndata: {PONG}\n\n")
    }

    /// Answers every request with what `make` makes of it.
    fn answered_by<F>(
        make: impl Fn(mpsc::Sender<Progress>, CancellationToken) -> F + Send + Sync + 'static,
    ) -> Router
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        router(
            edge(),
            Challenges::of_keys(),
            Arc::new(move |_, _, progress, cancel| Box::pin(make(progress, cancel))),
        )
    }

    fn request(method: Method, headers: &[(&str, &str)]) -> Request {
        let mut request = http::Request::builder()
            .method(method)
            .uri("/mcp")
            .header("host", "127.0.0.1:8080")
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::from("{}")).unwrap();
        request.extensions_mut().insert(LocalAddress(local()));
        request
    }

    async fn respond_to(router: Router, request: Request) -> Response {
        let Ok(response) = TowerToHyperService::new(router).call(request).await;
        response
    }

    async fn text(response: Response) -> String {
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    fn header<'a>(response: &'a Response, name: &str) -> &'a str {
        response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[tokio::test]
    async fn an_answer_is_json_until_there_is_progress() {
        for (accept, kind, body) in [
            (BOTH, "application/json", PONG.to_owned()),
            ("*/*", "application/json", PONG.to_owned()),
            ("text/event-stream", "text/event-stream", ponged()),
        ] {
            let router = answered_by(|_, _| async { pong() });
            let response = respond_to(router, request(Method::POST, &[("accept", accept)])).await;
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(header(&response, "content-type"), kind, "{accept}");
            assert_eq!(header(&response, "x-request-id").len(), 36);
            assert_eq!(text(response).await, body, "{accept}");
        }
    }

    #[tokio::test]
    async fn progress_makes_it_a_stream_that_the_answer_ends() {
        // At once, and with time between: nothing is lost either way.
        for waits in [false, true] {
            let router = answered_by(move |progress, _| async move {
                for at in [0.0, 50.0, 100.0] {
                    progress.try_send(report(at)).unwrap();
                    if waits {
                        tokio::task::yield_now().await;
                    }
                }
                pong()
            });
            let response = respond_to(router, request(Method::POST, &[("accept", BOTH)])).await;
            assert_eq!(header(&response, "content-type"), "text/event-stream");
            assert_eq!(header(&response, "x-accel-buffering"), "no");
            assert_eq!(header(&response, "cache-control"), "no-store");
            assert_eq!(header(&response, "x-request-id").len(), 36);
            let events = [reported("0.0"), reported("50.0"), reported("100.0"), ponged()];
            assert_eq!(text(response).await, events.concat(), "waits: {waits}");
        }
    }

    #[tokio::test]
    async fn who_takes_no_stream_gets_no_progress() {
        let router = answered_by(|progress, _| async move {
            assert!(progress.try_send(report(1.0)).is_err(), "nobody listens");
            pong()
        });
        let json = request(Method::POST, &[("accept", "application/json")]);
        assert_eq!(text(respond_to(router, json).await).await, PONG);
    }

    #[tokio::test]
    async fn a_refusal_is_a_status_whatever_the_client_accepts() {
        for accept in [BOTH, "text/event-stream", "application/json"] {
            let router =
                answered_by(|_, _| async { Reply::Gate(Error::new(Code::Unauthenticated, "x")) });
            let response = respond_to(router, request(Method::POST, &[("accept", accept)])).await;
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            assert_eq!(header(&response, "content-type"), "application/json", "{accept}");
        }
        for accept in [BOTH, "text/event-stream"] {
            let router = answered_by(|_, _| async { Reply::Accepted });
            let response = respond_to(router, request(Method::POST, &[("accept", accept)])).await;
            assert_eq!(response.status(), StatusCode::ACCEPTED);
            assert_eq!(text(response).await, "");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_says_that_it_is_alive() {
        let router = answered_by(|progress, _| async move {
            progress.try_send(report(1.0)).unwrap();
            tokio::time::sleep(Duration::from_secs(40)).await;
            pong()
        });
        let response = respond_to(router, request(Method::POST, &[("accept", BOTH)])).await;
        let expected = [&reported("1.0"), ":\n\n", ":\n\n", &ponged()].concat();
        assert_eq!(text(response).await, expected);
    }

    /// A router whose one answer never comes, and the token of its call.
    fn stuck(reports: bool) -> (Router, Arc<Mutex<Option<CancellationToken>>>) {
        let token = Arc::new(Mutex::new(None));
        let kept = Arc::clone(&token);
        let router = answered_by(move |progress, cancel| {
            *kept.lock().unwrap() = Some(cancel);
            async move {
                if reports {
                    progress.try_send(report(1.0)).unwrap();
                }
                std::future::pending().await
            }
        });
        (router, token)
    }

    #[tokio::test]
    async fn hanging_up_cancels_in_the_era_where_it_means_that() {
        for (version, cancels) in
            [("2026-07-28", true), ("2025-11-25", false), ("2025-06-18", false), ("x", false)]
        {
            let headers = [("accept", BOTH), ("mcp-protocol-version", version)];
            let is_cancelled = |token: &Mutex<Option<CancellationToken>>| {
                token.lock().unwrap().as_ref().unwrap().is_cancelled()
            };

            // Before anything was answered.
            let (router, token) = stuck(false);
            let mut pending = Box::pin(respond_to(router, request(Method::POST, &headers)));
            tokio::select! {
                biased;
                _ = &mut pending => panic!("nothing answers"),
                () = std::future::ready(()) => {}
            }
            assert!(!is_cancelled(&token));
            drop(pending);
            assert_eq!(is_cancelled(&token), cancels, "{version}");

            // On a stream.
            let (router, token) = stuck(true);
            let response = respond_to(router, request(Method::POST, &headers)).await;
            assert!(!is_cancelled(&token));
            drop(response);
            assert_eq!(is_cancelled(&token), cancels, "{version}");
        }
    }

    /// The same, seen from the client's end of a connection.
    #[tokio::test]
    async fn a_closed_connection_is_a_hang_up() {
        let (router, token) = stuck(false);
        let (mut client, server) = tokio::io::duplex(1024);
        let service = with_local_address(router, local());
        let serving = connection(server, service, CancellationToken::new());
        let calling = async {
            let head = "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                mcp-protocol-version: 2026-07-28\r\ncontent-length: 2\r\n\r\n{}";
            client.write_all(head.as_bytes()).await.unwrap();
            let cancel = loop {
                if let Some(cancel) = token.lock().unwrap().clone() {
                    break cancel;
                }
                tokio::task::yield_now().await;
            };
            drop(client);
            cancel.cancelled().await;
        };
        tokio::join!(serving, calling);
    }

    #[tokio::test]
    async fn allowed_pages_may_ask_and_read() {
        let page = ("origin", "https://app.example.com");
        let asks = ("access-control-request-method", "POST");
        let router = || answered_by(|_, _| async { pong() });

        let response = respond_to(router(), request(Method::OPTIONS, &[page, asks])).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert_eq!(header(&response, "access-control-allow-origin"), page.1);
        assert_eq!(header(&response, "access-control-allow-methods"), "POST, GET, DELETE");
        for wanted in ["authorization", "mcp-protocol-version", "mcp-method", "mcp-name"] {
            let allowed = header(&response, "access-control-allow-headers");
            assert!(allowed.split(", ").any(|one| one == wanted), "{wanted}: {allowed}");
        }

        for method in [Method::POST, Method::GET] {
            let response = respond_to(router(), request(method, &[page])).await;
            assert_eq!(header(&response, "access-control-allow-origin"), page.1);
            assert_eq!(header(&response, "vary"), "origin");
            assert!(header(&response, "access-control-expose-headers").contains("retry-after"));
            assert_eq!(header(&response, "access-control-allow-credentials"), "");
        }

        let evil = ("origin", "https://evil.test");
        for method in [Method::OPTIONS, Method::POST] {
            let response = respond_to(router(), request(method, &[evil, asks])).await;
            assert_eq!(response.status(), StatusCode::FORBIDDEN);
            assert_eq!(header(&response, "access-control-allow-origin"), "");
        }
        let response = respond_to(router(), request(Method::POST, &[])).await;
        assert_eq!(header(&response, "access-control-allow-origin"), "");
    }

    #[tokio::test]
    async fn only_posts_to_the_endpoint_are_served() {
        let router = || answered_by(|_, _| async { pong() });
        for method in [Method::GET, Method::DELETE, Method::OPTIONS, Method::PUT] {
            let response = respond_to(router(), request(method.clone(), &[])).await;
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
            assert_eq!(header(&response, "allow"), "POST");
        }
        for path in ["/", "/mcp/", "/mcp/x", "/sse"] {
            let mut request = request(Method::POST, &[]);
            *request.uri_mut() = path.parse().unwrap();
            let response = respond_to(router(), request).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
            assert_eq!(text(response).await, NOT_FOUND);
        }
    }
}
