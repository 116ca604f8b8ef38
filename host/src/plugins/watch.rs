//! Notices changes of a folder, and waits until they are complete.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// How long a folder must stay quiet before it is looked at: a file that is being
/// copied, or a build that replaces several, makes events until it is done.
const SETTLE: Duration = Duration::from_millis(150);

/// The longest that constant change may put off a look.
const AT_LATEST: Duration = Duration::from_secs(2);

/// The folder cannot be watched.
#[derive(Debug)]
pub struct WatchError(notify::Error);

impl fmt::Display for WatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "changes of the folder are not noticed: {}", self.0)
    }
}

impl std::error::Error for WatchError {}

/// The changes of a folder. Watching ends when this is dropped.
#[derive(Debug)]
pub struct Changes {
    arrived: mpsc::Receiver<()>,
    _watcher: RecommendedWatcher,
}

impl Changes {
    /// Returns after the next burst of changes. Cancel-safe.
    pub async fn settled(&mut self) {
        if self.arrived.recv().await.is_none() {
            // The watcher has ended: nothing will ever change.
            return std::future::pending().await;
        }
        let quiet = async {
            while let Ok(Some(())) = tokio::time::timeout(SETTLE, self.arrived.recv()).await {}
        };
        let _ = tokio::time::timeout(AT_LATEST, quiet).await;
    }
}

/// Watches `dir` and all below it for changes of paths that are `relevant`.
///
/// # Errors
/// When the folder cannot be watched.
pub fn watch(
    dir: &Path,
    relevant: impl Fn(&Path) -> bool + Send + 'static,
) -> Result<Changes, WatchError> {
    let (events, arrived) = mpsc::channel::<()>(1);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        let Ok(event) = event else { return };
        let written = !matches!(event.kind, EventKind::Access(_));
        if written && event.paths.iter().any(|path| relevant(path)) {
            // A full queue means that a look is due already.
            let _ = events.try_send(());
        }
    })
    .map_err(WatchError)?;
    watcher
        .watch(dir, RecursiveMode::Recursive)
        .map_err(WatchError)?;
    Ok(Changes {
        arrived,
        _watcher: watcher,
    })
}
