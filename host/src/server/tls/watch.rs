//! Notices that files have changed, by looking.
//!
//! Looked at and not listened to: certificates are often links into folders that are
//! replaced as a whole, or on file systems that tell nobody.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::Tls;
use super::files::BadTls;

/// How often the files are looked at. One that has stayed the same from one look to the
/// next is read, so that nobody reads half of a file, or a certificate before its key.
const LOOK: Duration = Duration::from_secs(1);

/// Reads the files anew when they have changed, for as long as it is polled.
pub(super) async fn follow(tls: &Arc<Tls>) {
    let mut watch = Watch::begin(tls);
    loop {
        tokio::time::sleep(LOOK).await;
        let tls = Arc::clone(tls);
        let looking = tokio::task::spawn_blocking(move || {
            let reloaded = watch.look(&tls);
            (watch, reloaded)
        });
        // Only a runtime that is shutting down does not answer.
        let Ok((looked, reloaded)) = looking.await else { return };
        watch = looked;
        match reloaded {
            None => {}
            Some(Ok(())) => tracing::info!("the files of [server.tls] were read anew"),
            Some(Err(error)) => tracing::error!(
                "{error}; what [server.tls] named before is served on, until this is mended"
            ),
        }
    }
}

/// What the files looked like.
pub(super) struct Watch {
    /// When they were read.
    read: Look,
    /// At the last look.
    seen: Look,
}

/// How each file looked; nothing where there was none.
pub(super) type Look = Vec<Option<Mark>>;

impl Watch {
    pub(super) fn begin(tls: &Tls) -> Self {
        // What came between the first reading and this is noticed as a change.
        let read = tls.first_look.clone();
        Self { seen: read.clone(), read }
    }

    /// Reads the files if they have changed since they were read, and not since the last
    /// look.
    pub(super) fn look(&mut self, tls: &Tls) -> Option<Result<(), BadTls>> {
        let now = look(tls.files.files());
        let settled = now == self.seen;
        self.seen = now;
        if !settled || self.seen == self.read {
            return None;
        }
        self.read = self.seen.clone();
        Some(tls.reload())
    }
}

/// What the files look like now.
pub(super) fn look<'p>(files: impl Iterator<Item = &'p Path>) -> Look {
    files.map(mark).collect()
}

/// What changes when a file's content does: which file it is, when it was changed, how
/// long it is.
pub(super) type Mark = (u64, u64, i64, i64, u64);

#[cfg(unix)]
fn mark(path: &Path) -> Option<Mark> {
    use std::os::unix::fs::MetadataExt;

    let file = std::fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.ctime(), file.ctime_nsec(), file.len()))
}

#[cfg(not(unix))]
fn mark(path: &Path) -> Option<Mark> {
    let file = std::fs::metadata(path).ok()?;
    let modified = file.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    let seconds = i64::try_from(modified.as_secs()).ok()?;
    Some((0, 0, seconds, modified.subsec_nanos().into(), file.len()))
}
