//! Connections: how many, how slow they may be, and how they end.
//!
//! Deliberately absent: `axum::serve`, which sets no timer, so that a silent or
//! half-sent header is never closed.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::stalled::Stalled;
use super::tls::Tls;
use crate::transport::Peer;

/// How long a client may take to send a header, and how long a connection may idle
/// before its next one.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest header, request line included, in bytes. A bearer token and a trace
/// take a few hundred; identity providers that pack groups into tokens, up to 16 KiB.
const MAX_HEADER_BYTES: usize = 32 << 10;

/// How long to leave the system alone when it has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The address on which a request came in, as an extension of the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocalAddress(pub(super) SocketAddr);

/// Serves up to `max` connections at once until `stop`, then lets each finish the
/// answer it is waiting for. While all places are taken, new clients wait in the
/// system's queue. A handshake of `tls` has a place of its own, like what follows it.
pub(super) async fn serve(
    listener: TcpListener,
    max: u32,
    router: Router,
    tls: Option<Arc<Tls>>,
    stop: CancellationToken,
) {
    let open = Open::new(max);
    while let Some(place) = stop.run_until_cancelled(open.place()).await.flatten() {
        let accepted = match stop.run_until_cancelled(accept(&listener)).await {
            Some(Ok(accepted)) => accepted,
            Some(Err(error)) => {
                tracing::warn!(%error, "a connection could not be accepted");
                continue;
            }
            None => break,
        };
        let Accepted { stream, local, from } = accepted;
        let peer = Peer { address: Some(from), certificate: None };
        let (router, stop) = (router.clone(), stop.clone());
        match &tls {
            None => {
                open.begin(place, connection(stream, introduced(router, local, peer), stop));
            }
            Some(tls) => {
                open.begin(place, Arc::clone(tls).connection(stream, local, peer, router, stop));
            }
        }
    }
    drop(listener);
    open.finish().await;
}

/// A connection, between which ends.
struct Accepted {
    stream: TcpStream,
    local: SocketAddr,
    from: IpAddr,
}

/// The next connection. Errors of one client are skipped; what is the system's own
/// is returned after a pause.
async fn accept(listener: &TcpListener) -> io::Result<Accepted> {
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) if is_clients(&error) => continue,
            Err(error) => {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                return Err(error);
            }
        };
        // Answers are whole when they are written: nothing is gained by waiting
        // for more. A client that is gone already fails here.
        if let (Ok(()), Ok(local)) = (stream.set_nodelay(true), stream.local_addr()) {
            // One client is one address, also where it came in by IPv6.
            return Ok(Accepted { stream, local, from: from.ip().to_canonical() });
        }
    }
}

fn is_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// The connections that are open.
pub(super) struct Open {
    places: Arc<Semaphore>,
    tasks: TaskTracker,
}

/// A place among them; free again when dropped.
pub(super) type Place = tokio::sync::OwnedSemaphorePermit;

impl Open {
    pub(super) fn new(max: u32) -> Self {
        let places = usize::try_from(max).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(places)), tasks: TaskTracker::new() }
    }

    /// Waits for a place. Cancel-safe.
    pub(super) async fn place(&self) -> Option<Place> {
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// Holds `place` for as long as the connection lasts.
    pub(super) fn begin(
        &self,
        place: Place,
        connection: impl Future<Output = ()> + Send + 'static,
    ) {
        self.tasks.spawn(async move {
            connection.await;
            drop(place);
        });
    }

    /// Waits until the last connection has ended.
    pub(super) async fn finish(self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// What a connection is served by: a router, with whatever the connection adds to
/// each request.
pub(super) trait Serves:
    Service<
        http::Request<Incoming>,
        Response = http::Response<axum::body::Body>,
        Error = std::convert::Infallible,
        Future: Send,
    > + Send
    + 'static
{
}

impl<S> Serves for S where
    S: Service<
            http::Request<Incoming>,
            Response = http::Response<axum::body::Body>,
            Error = std::convert::Infallible,
            Future: Send,
        > + Send
        + 'static
{
}

/// Lets the router know on which address the connection came in, and from whom.
pub(super) fn introduced(router: Router, local: SocketAddr, peer: Peer) -> impl Serves {
    let router = TowerToHyperService::new(router);
    service_fn(move |mut request: http::Request<Incoming>| {
        let known = request.extensions_mut();
        known.insert(LocalAddress(local));
        known.insert(peer.clone());
        router.call(request)
    })
}

/// The same from nobody in particular, for tests.
#[cfg(test)]
pub(super) fn with_local_address(router: Router, local: SocketAddr) -> impl Serves {
    introduced(router, local, Peer::default())
}

/// Serves one connection; after `stop`, until its answer is written.
pub(super) async fn connection<I>(stream: I, service: impl Serves, stop: CancellationToken)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    until(stop.cancelled_owned(), stream, service).await;
}

/// Serves one connection; after `ends`, until its answer is written.
pub(super) async fn until<I>(ends: impl Future<Output = ()>, stream: I, service: impl Serves)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_header_size(MAX_HEADER_BYTES);
    let stream = TokioIo::new(Stalled::new(stream));
    let mut connection = std::pin::pin!(http.serve_connection(stream, service));
    let ended = tokio::select! {
        biased;
        () = ends => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        ended = connection.as_mut() => ended,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::routing::any;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::sync::Notify;
    use tokio::time::Instant;

    use super::*;

    const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    fn service(router: Router) -> impl Serves {
        with_local_address(router, "127.0.0.1:1".parse().unwrap())
    }

    fn hello() -> Router {
        Router::new().route("/", any(async || "hello"))
    }

    /// A client's end of a connection, and the future that serves the other.
    fn connect(
        router: Router,
        stop: &CancellationToken,
    ) -> (DuplexStream, impl Future<Output = ()> + use<>) {
        let (client, server) = tokio::io::duplex(1 << 16);
        (client, connection(server, service(router), stop.clone()))
    }

    async fn read_answer(client: &mut DuplexStream) -> String {
        let mut answer = String::new();
        while !answer.ends_with("hello") {
            let mut bytes = [0; 1024];
            let read = client.read(&mut bytes).await.unwrap();
            assert_ne!(read, 0, "the connection ended after {answer:?}");
            answer.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        }
        answer
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_no_header_is_given_up() {
        for sent in [&b""[..], b"GET / HTTP/1.1\r\nhost: x\r\n", GET] {
            let (mut client, serving) = connect(hello(), &CancellationToken::new());
            let began = Instant::now();
            let asking = async {
                client.write_all(sent).await.unwrap();
                if sent == GET {
                    read_answer(&mut client).await;
                }
                let mut rest = Vec::new();
                client.read_to_end(&mut rest).await.unwrap();
            };
            tokio::join!(serving, asking);
            let took = began.elapsed();
            assert!(took >= HEADER_TIMEOUT && took < 2 * HEADER_TIMEOUT, "{took:?}");
        }
    }

    #[tokio::test]
    async fn a_header_is_bounded() {
        let (mut client, serving) = connect(hello(), &CancellationToken::new());
        let asking = async {
            let fill = "x".repeat(MAX_HEADER_BYTES);
            let request = format!("GET / HTTP/1.1\r\nhost: x\r\na: {fill}\r\n\r\n");
            let _ = client.write_all(request.as_bytes()).await;
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            assert!(answer.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&answer));
        };
        tokio::join!(serving, asking);
    }

    #[tokio::test]
    async fn an_idle_connection_ends_when_told() {
        let stop = CancellationToken::new();
        let (mut client, serving) = connect(hello(), &stop);
        let asking = async {
            client.write_all(GET).await.unwrap();
            read_answer(&mut client).await;
            stop.cancel();
            assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        };
        tokio::join!(serving, asking);
    }

    #[tokio::test]
    async fn an_answer_in_the_making_is_finished_first() {
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (began, may_go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
        let slow = Router::new().route(
            "/",
            any(async move || {
                began.notify_one();
                may_go_on.notified().await;
                "hello"
            }),
        );
        let stop = CancellationToken::new();
        let (mut client, serving) = connect(slow, &stop);
        let asking = async {
            client.write_all(GET).await.unwrap();
            begun.notified().await;
            stop.cancel();
            tokio::task::yield_now().await;
            go_on.notify_one();
            read_answer(&mut client).await;
            assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        };
        tokio::join!(serving, asking);
    }

    #[tokio::test]
    async fn no_more_connections_than_places() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let order = Mutex::new(Vec::new());
        let serving = serve(listener, 1, hello(), None, stop.clone());
        let asking = async {
            let first = TcpStream::connect(address).await.unwrap();
            let mut second = TcpStream::connect(address).await.unwrap();
            let answered = async {
                second.write_all(GET).await.unwrap();
                assert_ne!(second.read(&mut [0; 64]).await.unwrap(), 0);
                order.lock().unwrap().push("second answered");
            };
            let held = async {
                // Many chances for an answer that must not come yet.
                for _ in 0..1_000 {
                    tokio::task::yield_now().await;
                }
                order.lock().unwrap().push("first gone");
                drop(first);
            };
            tokio::join!(answered, held);
            stop.cancel();
            drop(second);
        };
        tokio::join!(serving, asking);
        assert_eq!(*order.lock().unwrap(), ["first gone", "second answered"]);
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    }
}
