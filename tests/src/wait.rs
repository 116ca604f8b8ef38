//! Waiting for what is sure to come.

use std::time::Duration;

/// How long a test waits before it gives up. Far more than anything takes on a busy
/// machine; nothing that succeeds waits so long.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// How often a condition is looked at that has no event: a file, a scrape.
const LOOK: Duration = Duration::from_millis(10);

/// Looks until there is something, and returns it.
///
/// # Panics
/// After [`PATIENCE`], with `what` was waited for.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            match look().await {
                Some(found) => return found,
                None => tokio::time::sleep(LOOK).await,
            }
        }
    };
    patiently(what, found).await
}

/// Waits for a future that is sure to end.
pub(crate) async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("it never came: {what}"),
    }
}
