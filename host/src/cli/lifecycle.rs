//! From the first listener to the last record: serving, and ending gracefully.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::failure::{self, Failure};
use super::shared;
use crate::boot;
use crate::clock::SystemClock;
use crate::config::{self, Config};
use crate::pipeline::Host;
use crate::server::{self, AdminSocket, Tls};

/// How long cancelled calls have to write their records before the process ends.
const LAST_RECORDS: Duration = Duration::from_secs(2);

/// How long answers that are made may take to reach their clients.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// How many connections may wait to be accepted. The standard library asks for 128,
/// which a burst of agents that start together overruns.
const BACKLOG: i32 = 1_024;

/// The sockets of a server, bound before anything else happens, so that a port
/// that is taken is told at once, and that a contained process need not make any. So is
/// the certificate that is shown on them.
pub(super) struct Listeners {
    public: TcpListener,
    tls: Option<Tls>,
    health: TcpListener,
    admin: AdminSocket,
}

impl Listeners {
    /// Makes the state folder too, which the admin socket is in.
    pub(super) fn bind(config: &Config) -> Result<Self, Failure> {
        let tls = config.server.tls.as_ref().map(tls).transpose()?;
        let public = bind(config.server.listen, "[server] listen")?;
        let health = bind(config.health.listen, "[health] listen")?;
        boot::state_folder(config).map_err(shared::boot_failure)?;
        let socket = &config.admin.socket;
        let admin = AdminSocket::bind(socket)
            .map_err(|error| Failure::new(failure::IO, format!("{}: {error}", socket.display())))?;
        Ok(Self { public, tls, health, admin })
    }

    /// Says where it listens, for people and for scripts that wait for it.
    pub(super) fn announce(&self) -> Result<(), Failure> {
        let health = self.health.local_addr().map_err(|error| Failure::new(failure::IO, error))?;
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        tracing::info!("listening on {scheme}://{}/mcp", self.public_address()?);
        tracing::info!("health on http://{health}");
        if let Some(tls) = &self.tls {
            tls.tell_until_when();
        }
        Ok(())
    }

    /// Where clients connect to; differs from the configuration for port 0.
    pub(super) fn public_address(&self) -> Result<SocketAddr, Failure> {
        self.public.local_addr().map_err(|error| Failure::new(failure::IO, error))
    }
}

fn tls(files: &config::Tls) -> Result<Tls, Failure> {
    Tls::load(files, Arc::new(SystemClock)).map_err(|bad| Failure::new(failure::CONFIG, bad))
}

fn bind(address: SocketAddr, key: &str) -> Result<TcpListener, Failure> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        rustix::net::listen(&listener, BACKLOG)?;
        Ok(listener)
    });
    bound.map_err(|error| {
        let taken = error.kind() == std::io::ErrorKind::AddrInUse;
        let end = if taken { "end the process that uses it, or " } else { "" };
        let next = format!("{end}choose another address");
        Failure::new(
            failure::UNAVAILABLE,
            format!("{address} cannot be listened on ({error}); {next} in `{key}`"),
        )
    })
}

/// Serves until a signal asks the process to end, then ends gracefully: not ready
/// at once, serving on for `shutdown_delay`, then finishing calls for at most
/// `drain_timeout`. A second signal ends the process where it is.
pub(super) async fn serve(
    host: &Arc<Host>,
    config: &Config,
    listeners: Listeners,
) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let (stop, stop_health) = (CancellationToken::new(), CancellationToken::new());
    let failed = |error: std::io::Error| Failure::new(failure::IO, error);
    let polled = |listener| tokio::net::TcpListener::from_std(listener).map_err(failed);
    let (public, health) = (polled(listeners.public)?, polled(listeners.health)?);
    let admin = server::admin(listeners.admin, Arc::clone(host), stop_health.clone());
    let admin = admin.map_err(failed)?;
    let servers = TaskTracker::new();
    servers.spawn(admin);
    servers.spawn(server::health(health, Arc::clone(host), stop_health.clone()));
    // A key that was revoked before there was a socket to tell of it.
    let keys = host.reload_keys();
    keys.map_err(|error| Failure::new(failure::CONFIG, error.cause().unwrap_or(error.message())))?;
    let public = server::public(public, listeners.tls, Arc::clone(host), config, stop.clone());
    let public = servers.spawn(public);
    servers.close();

    signals.next().await;
    tracing::info!("ending: no longer ready; a second signal ends at once");
    let gracefully = async {
        host.ending.store(true, Ordering::Relaxed);
        tokio::time::sleep(config.server.shutdown_delay).await;
        host.draining.store(true, Ordering::Relaxed);
        stop.cancel();
        finish_calls(host, config.server.drain_timeout).await;
        let _ = tokio::time::timeout(LAST_ANSWERS, public).await;
        stop_health.cancel();
        let _ = tokio::time::timeout(LAST_ANSWERS, servers.wait()).await;
        finish_records(host).await;
        tracing::info!("ended");
    };
    signals.unless_again(gracefully).await;
    Ok(())
}

/// Serves, and follows what changes for as long.
pub(super) async fn while_following(
    following: impl Future<Output = ()>,
    serving: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let follow_forever = async {
        following.await;
        std::future::pending().await
    };
    tokio::select! {
        result = serving => result,
        never = follow_forever => never,
    }
}

/// Waits for the calls in flight, and cancels those that take too long.
pub(super) async fn finish_calls(host: &Host, drain_timeout: Duration) {
    host.calls.close();
    if tokio::time::timeout(drain_timeout, host.calls.wait()).await.is_err() {
        tracing::warn!(calls = host.calls.len(), "cancelled: not done within the drain timeout");
        host.end_calls.cancel();
        let _ = tokio::time::timeout(LAST_RECORDS, host.calls.wait()).await;
    }
}

/// Writes the last records. A guest that cannot be stopped must not keep the process.
pub(super) async fn finish_records(host: &Host) {
    if tokio::time::timeout(LAST_RECORDS, host.audit.finish()).await.is_err() {
        tracing::error!("ended with calls that did not stop; their records are missing");
    }
}

/// SIGTERM and SIGINT, none of which is missed once this is made.
pub(super) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    pub(super) fn new() -> Result<Self, Failure> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let failed = |error: std::io::Error| Failure::new(failure::SOFTWARE, error);
            Ok(Self {
                terminate: signal(SignalKind::terminate()).map_err(failed)?,
                interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// Ends the process at the next one, unless `ending` is done before.
    pub(super) async fn unless_again<T>(&mut self, ending: impl Future<Output = T>) -> T {
        tokio::select! {
            output = ending => output,
            () = self.next() => {
                tracing::warn!("ended at once");
                std::process::exit(failure::AT_ONCE)
            }
        }
    }

    /// Returns at the next one.
    pub(super) async fn next(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    }
}
