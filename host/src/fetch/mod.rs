//! The server's only way out: one bounded request to a URL that the operator, or an
//! issuer that the operator trusts, has named.
//!
//! The threats: an answer without an end, or after an hour; a redirect to a place that
//! nobody named; a name that resolves to another machine when it was to be this one.
//! So the whole exchange has one deadline, head and body are capped, redirects are
//! errors, and `http` is spoken only with the loopback address that was checked.
//!
//! Deliberately absent: proxies, redirects, cookies, compression, connections that are
//! kept. It is called for keys and introspection, never by a call with a warm token.

mod form;
mod trust;

use std::fmt;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::config::{Url, shown};
use crate::names::{ByteCount, Secret};

pub use trust::{NoRoots, Roots};

/// What one exchange may take.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// From the first look at the name to the last byte of the answer. A caller may be
    /// waiting: longer than this, and their client gives up first.
    total: Duration,
    /// The body: a key set of a hundred keys with their certificates is half of it.
    body: ByteCount,
    /// The answer's head. `http1` allocates as it reads, never more than this.
    head: ByteCount,
}

const LIMITS: Limits =
    Limits { total: Duration::from_secs(5), body: ByteCount(256 << 10), head: ByteCount(16 << 10) };

/// How many headers an answer may have.
const MOST_HEADERS: usize = 64;

/// How many of a name's addresses are tried, one after the other.
const MOST_ADDRESSES: usize = 4;

/// The longest wait for one address, so that one which swallows packets leaves time
/// for the next.
const CONNECT: Duration = Duration::from_secs(2);

/// Why there is no answer to work with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// Nobody there answers, or not in time.
    Unreachable(String),
    /// The answer is an error, or larger than allowed.
    Answer(String),
    /// The answer is that this question makes no sense to whoever is asked: status 400.
    Refused(String),
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) | Self::Answer(why) | Self::Refused(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for FetchError {}

/// Who is asked, and how they prove it is them.
#[derive(Clone)]
pub struct Client {
    tls: Arc<ClientConfig>,
    limits: Limits,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Client {
    /// Believes servers with a certificate from one of `roots`.
    ///
    /// # Errors
    /// When TLS cannot be had.
    pub fn new(roots: &Roots) -> Result<Self, NoRoots> {
        Ok(Self { tls: roots.client_config()?, limits: LIMITS })
    }

    /// What `url` answers to GET. Safe to cancel.
    ///
    /// # Errors
    /// When there is no answer with a status of 2xx within the limits.
    pub async fn get(&self, url: &Url) -> Result<Bytes, FetchError> {
        self.ask(url, request(Method::GET, url, Bytes::new())?).await
    }

    /// What `url` answers to a form of `fields`, from the client `id` with `secret`
    /// (RFC 6749 §2.3.1, `client_secret_basic`). Safe to cancel.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post_form(
        &self,
        url: &Url,
        fields: &[(&str, &str)],
        id: &str,
        secret: &Secret,
    ) -> Result<Bytes, FetchError> {
        let mut request = request(Method::POST, url, form::encode(fields).into())?;
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, form);
        request.headers_mut().insert(AUTHORIZATION, form::basic(id, secret)?);
        self.ask(url, request).await
    }

    async fn ask(&self, url: &Url, request: Request<Full<Bytes>>) -> Result<Bytes, FetchError> {
        let exchange = async {
            let stream = connect(url).await?;
            if !url.is_tls() {
                return self.exchange(stream, request).await;
            }
            let name = ServerName::try_from(url.host().to_owned())
                .map_err(|_| FetchError::Unreachable("no name for TLS".to_owned()))?;
            let connector = TlsConnector::from(Arc::clone(&self.tls));
            let stream = connector.connect(name, stream).await.map_err(unreachable)?;
            self.exchange(stream, request).await
        };
        let total = self.limits.total;
        let answer = tokio::time::timeout(total, exchange).await.unwrap_or_else(|_| {
            Err(FetchError::Unreachable(format!("no whole answer within {total:?}")))
        });
        answer.map_err(|error| error.of(url))
    }

    /// One request and its answer, on a connection that ends with it.
    async fn exchange<S>(
        &self,
        stream: S,
        request: Request<Full<Bytes>>,
    ) -> Result<Bytes, FetchError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut builder = http1::Builder::new();
        builder.max_headers(MOST_HEADERS).max_header_size(self.limits.head.as_usize());
        let handshake = builder.handshake(TokioIo::new(stream)).await.map_err(unreachable);
        let (mut sender, connection) = handshake?;
        let asked = async {
            let answer = sender.send_request(request).await.map_err(unreachable)?;
            let status = answer.status();
            if status.is_redirection() {
                let what = format!("it answers {} and redirects are not followed", status.as_u16());
                return Err(FetchError::Answer(what));
            }
            if status.as_u16() == 400 {
                return Err(FetchError::Refused("it answers 400".to_owned()));
            }
            if !status.is_success() {
                return Err(FetchError::Answer(format!("it answers {}", status.as_u16())));
            }
            let body = Limited::new(answer.into_body(), self.limits.body.as_usize());
            body.collect().await.map(|body| body.to_bytes()).map_err(|error| self.broken(&*error))
        };
        let (mut asked, mut connection) = (pin!(asked), pin!(connection));
        let mut connected = true;
        // The connection has to be driven; what it ends with, `asked` gets to know.
        loop {
            tokio::select! {
                biased;
                answer = &mut asked => return answer,
                _ = &mut connection, if connected => connected = false,
            }
        }
    }

    fn broken(&self, error: &(dyn std::error::Error + 'static)) -> FetchError {
        if error.is::<LengthLimitError>() {
            FetchError::Answer(format!("it answers more than {}", self.limits.body))
        } else {
            unreachable(error)
        }
    }
}

impl FetchError {
    fn of(self, url: &Url) -> Self {
        let place = shown(url.as_str());
        match self {
            Self::Unreachable(why) => Self::Unreachable(format!("{place}: {why}")),
            Self::Answer(why) => Self::Answer(format!("{place}: {why}")),
            Self::Refused(why) => Self::Refused(format!("{place}: {why}")),
        }
    }
}

/// A failure with its causes, on one line: the other side may have chosen some of it.
fn unreachable(error: impl fmt::Display) -> FetchError {
    FetchError::Unreachable(crate::text::clean_line(&error.to_string(), 200))
}

fn request(method: Method, url: &Url, body: Bytes) -> Result<Request<Full<Bytes>>, FetchError> {
    Request::builder()
        .method(method)
        .uri(url.target())
        .header(HOST, url.authority())
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, "bulkhead")
        .header(CONNECTION, "close")
        .body(Full::new(body))
        .map_err(|error| FetchError::Unreachable(error.to_string()))
}

/// A connection to the first of the host's addresses that takes one. The address that
/// is checked is the one that is connected to: a name can change its mind in between.
async fn connect(url: &Url) -> Result<TcpStream, FetchError> {
    let addresses = tokio::net::lookup_host((url.host(), url.port())).await.map_err(unreachable)?;
    let mut last = FetchError::Unreachable("it has no address".to_owned());
    for address in addresses.take(MOST_ADDRESSES) {
        if !url.is_tls() && !is_loopback(address) {
            last = FetchError::Unreachable(format!(
                "{} is another machine, and http is for this one alone: use https",
                address.ip()
            ));
            continue;
        }
        match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = unreachable(error),
            Err(_) => last = unreachable(format_args!("{address} does not answer")),
        }
    }
    Err(last)
}

fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

#[cfg(test)]
mod tests;
