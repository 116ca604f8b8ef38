//! TLS in the server itself: what it shows, whom it believes, and when that changes.
//!
//! The threat on the wire is answered by rustls; what is decided here is what a
//! certificate proves, and for how long. A connection that was opened with a client
//! certificate ends, after the answer it is waiting for, when the certificate does, when
//! what certificates are judged by has changed, and in any case after
//! [`LONGEST_CERTIFIED`].
//!
//! Deliberately absent: early data, which can be replayed; renegotiation, which rustls
//! does not have; a choice of certificates by the name that a client asks for.

mod certificate;
mod files;
mod watch;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

pub use self::files::BadTls;
use super::connections::{introduced, until};
use crate::clock::Clock;
use crate::config;
use crate::transport::Peer;

/// How long a handshake may take, from the first byte on. It holds a place among the
/// connections for as long.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection with a client certificate may last. The client's own expiry is
/// kept to the second; this bounds what an authority that expires meanwhile is worth.
const LONGEST_CERTIFIED: Duration = Duration::from_secs(3_600);

/// What a client reads that speaks HTTP where TLS is spoken.
const PLAIN: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 43\r\n\
connection: close\r\n\r\nTLS is spoken here; ask with `https` first.";

/// TLS with what its files say now.
pub struct Tls {
    files: config::Tls,
    clock: Arc<dyn Clock>,
    current: ArcSwap<Terms>,
    /// What the files looked like just before they were read.
    first_look: watch::Look,
}

/// On what connections are opened, for as long as the files stay as they are.
struct Terms {
    config: Arc<ServerConfig>,
    /// What names everything that decides whether a client's certificate is good.
    judged_by: [u8; 32],
    /// Cancelled when something else decides.
    judged_anew: CancellationToken,
    /// When the server's own certificate expires, if that can be read.
    until: Option<Timestamp>,
}

impl Terms {
    fn new(read: files::Read, judged_anew: CancellationToken) -> Self {
        let files::Read { config, judged_by, until } = read;
        Self { config: Arc::new(config), judged_by, judged_anew, until }
    }
}

impl Tls {
    /// Reads the files. They must be there and whole: a server that cannot show its
    /// certificate serves nobody.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn load(files: &config::Tls, clock: Arc<dyn Clock>) -> Result<Self, BadTls> {
        let first_look = watch::look(files.files());
        let terms = Terms::new(files::read(files)?, CancellationToken::new());
        Ok(Self { files: files.clone(), clock, current: ArcSwap::from_pointee(terms), first_look })
    }

    /// Reads the files anew. Connections that are open stay so, but for those whose
    /// certificate somebody else might judge differently now.
    fn reload(&self) -> Result<(), BadTls> {
        let read = files::read(&self.files)?;
        let before = self.current.load_full();
        let same = before.judged_by == read.judged_by;
        let judged_anew = if same { before.judged_anew.clone() } else { CancellationToken::new() };
        self.current.store(Arc::new(Terms::new(read, judged_anew)));
        if !same {
            before.judged_anew.cancel();
        }
        self.tell_until_when();
        Ok(())
    }

    /// Says in the log until when the certificate is good. An expired one is shown all
    /// the same: whether to believe it is for clients to say, and some are told to.
    pub fn tell_until_when(&self) {
        match self.current.load().until {
            Some(until) if until < self.clock.utc() => {
                tracing::warn!("the TLS certificate has expired at {until}; clients refuse it");
            }
            Some(until) => tracing::info!("the TLS certificate is good until {until}"),
            None => {}
        }
    }

    /// Serves what is in the files when they change, for as long as it is polled.
    pub(super) async fn follow(self: &Arc<Self>) {
        watch::follow(self).await;
    }

    /// Serves one connection, whose client connected to `local`: the handshake first.
    pub(super) async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        local: SocketAddr,
        peer: Peer,
        router: Router,
        stop: CancellationToken,
    ) {
        let terms = self.current.load_full();
        let shaken = timeout(HANDSHAKE_TIMEOUT, shake(stream, &terms));
        let stream = match stop.run_until_cancelled(shaken).await {
            Some(Ok(Ok(stream))) => stream,
            Some(Ok(Err(error))) => return tracing::debug!(%error, "no TLS with a client"),
            Some(Err(_)) => return tracing::debug!("a TLS handshake took too long"),
            None => return,
        };
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let ends = self.ends(shown, terms.judged_anew.clone());
        let certificate = shown.and_then(certificate::holder);
        let service = introduced(router, local, Peer { certificate, ..peer });
        let ends = async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = ends => {}
            }
        };
        until(ends, stream, service).await;
    }

    /// Ends when a client's certificate proves nothing any more; never, without one.
    fn ends(
        &self,
        shown: Option<&CertificateDer<'_>>,
        judged_anew: CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<> {
        let lasts = shown.map(|shown| self.lasts(shown));
        async move {
            match lasts {
                None => std::future::pending().await,
                Some(lasts) => {
                    let _ = timeout(lasts, judged_anew.cancelled()).await;
                }
            }
        }
    }

    /// How much longer a connection with this certificate may last.
    fn lasts(&self, shown: &CertificateDer<'_>) -> Duration {
        let left = certificate::last_moment(shown)
            .and_then(|last| Duration::try_from(last.duration_since(self.clock.utc())).ok());
        left.unwrap_or_default().min(LONGEST_CERTIFIED)
    }
}

/// Makes the handshake. A client that speaks HTTP is told what is spoken here.
async fn shake(mut stream: TcpStream, terms: &Terms) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [0];
    let peeked = stream.peek(&mut first).await?;
    let [first] = first;
    // Of a TLS connection it is 22, no letter (RFC 8446 §5.1).
    if peeked == 1 && first.is_ascii_alphabetic() {
        // What is not read would reset the connection, and the client not read why.
        let _ = stream.read(&mut [0; 4 << 10]).await?;
        stream.write_all(PLAIN).await?;
        stream.shutdown().await?;
        return Err(io::Error::other("it speaks HTTP"));
    }
    TlsAcceptor::from(Arc::clone(&terms.config)).accept(stream).await
}

#[cfg(test)]
mod tests;
