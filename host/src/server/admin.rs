//! Live control over a Unix socket, for the user that runs the server and for root.
//!
//! The threat: another user of the machine. The socket is the owner's alone by its
//! mode, and the kernel is asked who is on the other side of each connection, since
//! not every system heeds a socket's mode and a new socket has its mode only a
//! moment after its name.

use std::io;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use http::StatusCode;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::pipeline::Host;

/// What became of keys that a command changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// The running server serves by the new ones, from the next request on.
    InForce,
    /// No server runs here.
    NoServer,
}

/// Reads keys and revocations, and answers when they are in force.
const RELOAD_KEYS: &str = "/keys/reload";

/// As [`RELOAD_KEYS`], and is content when the revocations are.
const RELOAD_REVOCATIONS: &str = "/revocations/reload";

/// Writes when keys were last used.
const WRITE_LAST_USE: &str = "/keys/last-used";

/// The routes of the admin socket.
pub(super) fn router(host: Arc<Host>) -> Router {
    let cause = |error: Error| error.cause().unwrap_or(error.message()).to_owned();
    let reload_keys = move |host: &Host| host.reload_keys().map_err(cause);
    let reload_revocations = move |host: &Host| host.reload_revocations().map_err(cause);
    let write_last_use = |host: &Host| host.last_use.write().map_err(|error| error.to_string());
    Router::new()
        .route(RELOAD_KEYS, post(move |host| done(host, reload_keys)))
        .route(RELOAD_REVOCATIONS, post(move |host| done(host, reload_revocations)))
        .route(WRITE_LAST_USE, post(move |host| done(host, write_last_use)))
        .with_state(host)
}

/// Answers 200 when it is done, and otherwise says why it is not: only the operator is
/// here, whom causes are for.
async fn done(
    State(host): State<Arc<Host>>,
    what: impl FnOnce(&Host) -> Result<(), String> + Send + 'static,
) -> Response {
    // It reads and writes files, which blocks.
    let failure = match tokio::task::spawn_blocking(move || what(&host)).await {
        Ok(Ok(())) => return Response::new(Body::from("done\n")),
        Ok(Err(failure)) => failure,
        Err(error) => error.to_string(),
    };
    let mut response = Response::new(Body::from(failure));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

/// The socket, listening, and served by nobody yet; gone when this is dropped.
#[derive(Debug)]
pub struct AdminSocket {
    #[cfg(unix)]
    socket: unix::Socket,
    #[cfg(unix)]
    listener: std::os::unix::net::UnixListener,
}

impl AdminSocket {
    /// Makes the socket. What a server left behind that did not end in order is
    /// replaced.
    ///
    /// # Errors
    /// What the system says when the socket cannot be made: another server that holds
    /// it, or a file there that is no socket, included.
    pub fn bind(path: &Path) -> io::Result<Self> {
        #[cfg(unix)]
        {
            let (socket, listener) = unix::Socket::bind(path)?;
            Ok(Self { socket, listener })
        }
        #[cfg(not(unix))]
        {
            let _ = path;
            Ok(Self {})
        }
    }
}

/// Returns what serves the socket.
pub(super) fn serve(
    socket: AdminSocket,
    router: Router,
    stop: CancellationToken,
) -> io::Result<impl Future<Output = ()> + Send + use<>> {
    #[cfg(unix)]
    return unix::serve(socket, router, stop);
    #[cfg(not(unix))]
    {
        let _ = (socket, router);
        Ok(async move { stop.cancelled().await })
    }
}

/// Asks the server whose admin socket is at `path` to read its keys anew, and
/// returns when they are in force.
///
/// # Errors
/// When a server is there and does not confirm it within ten seconds.
pub async fn ask_to_reload_keys(path: &Path) -> io::Result<Confirmed> {
    ask(path, RELOAD_KEYS).await
}

/// Asks the server whose admin socket is at `path` to read what was revoked, and returns
/// when it is in force.
///
/// # Errors
/// When a server is there and does not confirm it within ten seconds.
pub async fn ask_to_reload_revocations(path: &Path) -> io::Result<Confirmed> {
    ask(path, RELOAD_REVOCATIONS).await
}

/// Asks the server whose admin socket is at `path` to write when keys were last used.
///
/// # Errors
/// When a server is there and does not confirm it within ten seconds.
pub async fn ask_to_write_last_use(path: &Path) -> io::Result<Confirmed> {
    ask(path, WRITE_LAST_USE).await
}

async fn ask(path: &Path, command: &str) -> io::Result<Confirmed> {
    #[cfg(unix)]
    return unix::ask(path, command).await;
    #[cfg(not(unix))]
    {
        let _ = (path, command);
        Ok(Confirmed::NoServer)
    }
}

#[cfg(unix)]
mod unix {
    use std::fs::{Metadata, Permissions};
    use std::io;
    use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
    use std::os::unix::net::UnixListener;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use axum::Router;
    use hyper_util::service::TowerToHyperService;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;
    use tokio_util::sync::CancellationToken;

    use super::{AdminSocket, Confirmed};
    use crate::server::connections::{Open, connection};

    /// How many operators' commands may talk to the server at once.
    const CONNECTIONS: u32 = 16;

    /// How long a command waits for the server.
    const ASK_TIMEOUT: Duration = Duration::from_secs(10);

    /// How much of an answer a command reads, in bytes.
    const MAX_ANSWER_BYTES: u64 = 16 << 10;

    pub(super) fn serve(
        AdminSocket { socket, listener }: AdminSocket,
        router: Router,
        stop: CancellationToken,
    ) -> io::Result<impl Future<Output = ()> + Send + use<>> {
        let listener = tokio::net::UnixListener::from_std(listener)?;
        Ok(async move {
            let open = Open::new(CONNECTIONS);
            while let Some(place) = stop.run_until_cancelled(open.place()).await.flatten() {
                match stop.run_until_cancelled(listener.accept()).await {
                    Some(Ok((stream, _))) if is_trusted(&stream) => {
                        let service = TowerToHyperService::new(router.clone());
                        open.begin(place, connection(stream, service, stop.clone()));
                    }
                    Some(Ok(_)) => tracing::warn!("another user was refused at the admin socket"),
                    Some(Err(error)) => {
                        tracing::warn!(%error, "the admin socket ends");
                        break;
                    }
                    None => break,
                }
            }
            drop(listener);
            drop(socket);
            open.finish().await;
        })
    }

    /// Whether this user or root is on the other side.
    fn is_trusted(stream: &UnixStream) -> bool {
        let ours = rustix::process::geteuid().as_raw();
        stream.peer_cred().is_ok_and(|peer| peer.uid() == ours || peer.uid() == 0)
    }

    /// The socket's file; gone with this value, unless another server has taken its
    /// place meanwhile.
    #[derive(Debug)]
    pub(super) struct Socket {
        path: PathBuf,
        file: Option<(u64, u64)>,
    }

    impl Socket {
        pub(super) fn bind(path: &Path) -> io::Result<(Self, UnixListener)> {
            remove_stale(path)?;
            let listener = UnixListener::bind(path)?;
            listener.set_nonblocking(true)?;
            std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
            let file = std::fs::symlink_metadata(path).ok().map(|file| identity(&file));
            Ok((Self { path: path.to_owned(), file }, listener))
        }
    }

    impl Drop for Socket {
        fn drop(&mut self) {
            let found = std::fs::symlink_metadata(&self.path).ok().map(|file| identity(&file));
            if found.is_some() && found == self.file {
                // If it stays, the next server finds that nobody answers there.
                let _ = std::fs::remove_file(&self.path);
            }
        }
    }

    fn identity(file: &Metadata) -> (u64, u64) {
        (file.dev(), file.ino())
    }

    /// Removes a socket that a server left behind which did not end in order.
    fn remove_stale(path: &Path) -> io::Result<()> {
        let file = match std::fs::symlink_metadata(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if !file.file_type().is_socket() {
            let what = format!("{} is there and no socket", path.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
        }
        match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => {
                let what = format!("another server listens on {}", path.display());
                Err(io::Error::new(io::ErrorKind::AddrInUse, what))
            }
            Err(error) if nobody_listens(&error) => std::fs::remove_file(path),
            Err(error) => Err(error),
        }
    }

    fn nobody_listens(error: &io::Error) -> bool {
        matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound)
    }

    /// Sends one command and waits for its answer.
    pub(super) async fn ask(path: &Path, command: &str) -> io::Result<Confirmed> {
        let mut stream = match UnixStream::connect(path).await {
            Ok(stream) => stream,
            Err(error) if nobody_listens(&error) => return Ok(Confirmed::NoServer),
            Err(error) => return Err(error),
        };
        let exchange = async {
            let request = format!(
                "POST {command} HTTP/1.1\r\nhost: admin\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).await?;
            let mut answer = Vec::new();
            stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer).await?;
            Ok::<_, io::Error>(answer)
        };
        let answer = tokio::time::timeout(ASK_TIMEOUT, exchange).await??;
        let answer = String::from_utf8_lossy(&answer);
        if answer.starts_with("HTTP/1.1 200 ") {
            return Ok(Confirmed::InForce);
        }
        let said = answer.split_once("\r\n\r\n").map_or("no answer", |(_, body)| body.trim());
        Err(io::Error::other(said.to_owned()))
    }

    #[cfg(test)]
    mod tests {
        use axum::routing::post;
        use http::StatusCode;

        use super::*;
        use crate::names::RequestId;

        /// A folder of its own, gone with the value.
        struct Folder(PathBuf);

        impl Folder {
            fn new() -> Self {
                let folder =
                    std::env::temp_dir().join(format!("bulkhead-{}", RequestId::generate()));
                std::fs::create_dir(&folder).unwrap();
                Self(folder)
            }

            fn socket(&self) -> PathBuf {
                self.0.join("admin.sock")
            }
        }

        impl Drop for Folder {
            fn drop(&mut self) {
                let _ = std::fs::remove_dir_all(&self.0);
            }
        }

        fn reload(status: StatusCode, said: &'static str) -> Router {
            Router::new().route("/keys/reload", post(async move || (status, said)))
        }

        #[tokio::test]
        async fn a_command_learns_whether_it_took_effect() {
            let folder = Folder::new();
            let path = folder.socket();
            assert_eq!(ask(&path, "/keys/reload").await.unwrap(), Confirmed::NoServer);
            for (status, said) in
                [(StatusCode::OK, "done"), (StatusCode::INTERNAL_SERVER_ERROR, "line 3 is no key")]
            {
                let stop = CancellationToken::new();
                let socket = AdminSocket::bind(&path).unwrap();
                let serving = serve(socket, reload(status, said), stop.clone()).unwrap();
                let asking = async {
                    let answer = ask(&path, "/keys/reload").await;
                    stop.cancel();
                    answer
                };
                match tokio::join!(serving, asking).1 {
                    Ok(confirmed) => {
                        assert_eq!((confirmed, status.as_u16()), (Confirmed::InForce, 200))
                    }
                    Err(error) => assert_eq!(error.to_string(), said),
                }
                assert!(!path.exists(), "the socket goes with its server");
            }
        }

        #[test]
        fn the_socket_is_the_owners_alone() {
            let folder = Folder::new();
            let (socket, _listener) = Socket::bind(&folder.socket()).unwrap();
            let file = std::fs::metadata(&socket.path).unwrap();
            assert_eq!(file.permissions().mode() & 0o777, 0o600);
            assert_eq!(file.uid(), rustix::process::geteuid().as_raw());
        }

        #[test]
        fn only_what_nobody_uses_is_replaced() {
            let folder = Folder::new();
            let path = folder.socket();

            // Left behind by a server that was killed.
            drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
            let (live, _listener) = Socket::bind(&path).unwrap();

            let refused = Socket::bind(&path).err().unwrap();
            assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);

            // Somebody put another file in its place: it is not ours to remove.
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, "notes").unwrap();
            drop(live);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "notes");
            let refused = Socket::bind(&path).err().unwrap();
            assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "notes");
        }
    }
}
