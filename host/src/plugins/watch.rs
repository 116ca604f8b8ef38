//! Notices changes of a folder, and waits until they are complete.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long a folder must stay quiet before it is looked at: a file that is being
/// copied, or a build that replaces several, makes events until it is done.
const SETTLE: Duration = Duration::from_millis(150);

/// The longest that constant change may put off a look.
const AT_LATEST: Duration = Duration::from_secs(2);

/// How often a folder that is not there is looked for.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Calls `changed` after each burst of changes of `relevant` paths in or below `dir`,
/// for as long as this future is polled. A folder that is not there yet is waited for.
pub async fn follow(dir: &Path, relevant: fn(&Path) -> bool, changed: impl AsyncFnMut()) {
    follow_below(dir, RecursiveMode::Recursive, relevant, changed).await;
}

/// Calls `changed` when something beside `file` has changed, which may be the file. What
/// a name stands for can change without it, where it is a link to a link.
pub async fn follow_file(file: &Path, changed: impl AsyncFnMut()) {
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    follow_below(dir, RecursiveMode::NonRecursive, |_| true, changed).await;
}

async fn follow_below(
    dir: &Path,
    depth: RecursiveMode,
    relevant: fn(&Path) -> bool,
    mut changed: impl AsyncFnMut(),
) {
    let mut warned = false;
    loop {
        match Changes::of(dir, depth, relevant) {
            Ok(mut changes) => {
                // What came before the watch was there.
                changed().await;
                while dir.is_dir() {
                    changes.settled().await;
                    changed().await;
                }
            }
            Err(error) if !warned => {
                tracing::warn!("{} is not watched yet: {error}", dir.display());
                warned = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// The changes of a folder. Watching ends when this is dropped.
struct Changes {
    arrived: mpsc::Receiver<()>,
    _watcher: RecommendedWatcher,
}

impl Changes {
    fn of(dir: &Path, depth: RecursiveMode, relevant: fn(&Path) -> bool) -> notify::Result<Self> {
        let (events, arrived) = mpsc::channel::<()>(1);
        // Events name canonical paths on some systems.
        let dir = &dir.canonicalize()?;
        let watched = dir.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let Ok(event) = event else { return };
            let written = !matches!(event.kind, EventKind::Access(_));
            let below = |path: &PathBuf| path.strip_prefix(&watched).is_ok_and(relevant);
            let matters = |path: &PathBuf| *path == watched || below(path);
            if written && event.paths.iter().any(matters) {
                // A full queue means that a look is due already.
                let _ = events.try_send(());
            }
        })?;
        watcher.watch(dir, depth)?;
        Ok(Self { arrived, _watcher: watcher })
    }

    /// Returns after the next burst of changes.
    async fn settled(&mut self) {
        if self.arrived.recv().await.is_none() {
            // The watcher has ended: nothing will ever change.
            return std::future::pending().await;
        }
        let quiet =
            async { while let Ok(Some(())) = timeout(SETTLE, self.arrived.recv()).await {} };
        let _ = timeout(AT_LATEST, quiet).await;
    }
}
