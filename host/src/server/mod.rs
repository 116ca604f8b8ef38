//! The ways in: the public listener, the health listener, the admin socket, stdio.
//!
//! What is a call is decided elsewhere; here it is carried. Every connection is
//! bounded in number, in the time its header, its body and its silence may take,
//! and ends when it is told to, after the answer that it is waiting for.

mod admin;
mod connections;
mod events;
mod health;
mod mcp;
mod stalled;
mod stdio;
mod tls;

use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use self::admin::{
    AdminSocket, Confirmed, ask_to_reload_keys, ask_to_reload_revocations, ask_to_write_last_use,
};
pub use self::tls::{BadTls, Tls};
use crate::config::Config;
use crate::names::ByteCount;
use crate::pipeline::{self, Host};
use crate::respond::{Challenges, Reply};
use crate::transport::{Body, Edge, Head, Presented, Progress};

/// How many reports of progress may wait for a slow client; more are dropped, by
/// whoever sends them.
const PROGRESS_QUEUE: usize = 64;

/// How many connections the health listener holds: a few probes and scrapers.
const HEALTH_CONNECTIONS: u32 = 64;

/// What answers requests, as a value, so that the ways in are tested without
/// plugins, keys and a log behind them.
type Answering = Arc<
    dyn Fn(Head, Body, mpsc::Sender<Progress>, CancellationToken) -> PendingReply + Send + Sync,
>;

/// A reply that is being made. Dropping it does not end the call; its token does.
type PendingReply = Pin<Box<dyn Future<Output = Reply> + Send>>;

fn answering(host: &Arc<Host>) -> Answering {
    let host = Arc::clone(host);
    Arc::new(move |head, body, progress, cancel| {
        let host = Arc::clone(&host);
        Box::pin(async move { pipeline::answer(&host, head, body, progress, cancel).await })
    })
}

/// Serves `POST /mcp` until `stop`; returns when every answer that was begun before
/// is written. Calls are bounded by their deadlines and by whoever drains them. With
/// `tls`, what its files say is served as soon as they say it.
pub fn public(
    listener: TcpListener,
    tls: Option<Tls>,
    host: Arc<Host>,
    config: &Config,
    stop: CancellationToken,
) -> impl Future<Output = ()> + Send + use<> {
    let server = &config.server;
    let router = mcp::router(Edge::new(server), Challenges::new(config), answering(&host));
    let tls = tls.map(Arc::new);
    let serving = connections::serve(listener, server.max_connections, router, tls.clone(), stop);
    async move {
        let following = async {
            if let Some(tls) = &tls {
                tls.follow().await;
            }
            std::future::pending().await
        };
        tokio::select! {
            () = serving => {}
            never = following => never,
        }
    }
}

/// Serves `/healthz`, `/readyz` and `/metrics` until `stop`.
pub fn health(
    listener: TcpListener,
    host: Arc<Host>,
    stop: CancellationToken,
) -> impl Future<Output = ()> + Send {
    connections::serve(listener, HEALTH_CONNECTIONS, health::router(host), None, stop)
}

/// Serves live control on its Unix socket, for this user and root, until `stop`; the
/// socket is gone when the future ends or is dropped. Must be called within a runtime.
///
/// # Errors
/// What the system says.
pub fn admin(
    socket: AdminSocket,
    host: Arc<Host>,
    stop: CancellationToken,
) -> std::io::Result<impl Future<Output = ()> + Send + use<>> {
    admin::serve(socket, admin::router(host), stop)
}

/// Serves one client over a pair of streams, one message a line, until its input
/// ends or `stop`. Returns when the answers to what was begun before are written:
/// after `stop`, when the calls are done; at the end of the input, when whoever
/// started this process is gone, calls have five seconds before they are cancelled.
///
/// Lines of more than `max_line` are answered with `PAYLOAD_TOO_LARGE`.
pub async fn serve_stdio<R, W>(
    host: &Arc<Host>,
    reader: R,
    writer: W,
    presented: Presented,
    max_line: ByteCount,
    stop: CancellationToken,
) where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    stdio::serve(answering(host), reader, writer, presented, max_line, stop).await;
}
