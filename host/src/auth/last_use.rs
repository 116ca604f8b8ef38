//! When each key was last used, for `bulkhead key list`.
//!
//! A call writes one number in memory, and only in the first of a second's calls with
//! its key. About once a minute, and whenever `key list` asks, the numbers are written
//! to a file of the state folder. Servers share that file: each adds what it knows, and
//! the later time counts. Losing the file loses nothing but the times.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::keys::MOST_KEYS;
use super::owner_only;
use crate::names::KeyId;

/// The file, in the state folder.
const FILE: &str = "last_used.json";

/// The largest file that is read: twice [`MOST_TIMES`] of the usual size.
const MOST_BYTES: u64 = 16 << 20;

/// How many times are kept, the latest: those of keys that are gone leave in the end.
const MOST_TIMES: usize = 2 * MOST_KEYS;

/// The second of a key's last use; zero before the first.
#[derive(Debug, Default)]
pub(super) struct Used(AtomicI64);

impl Used {
    /// The key is used at `now`. Whoever counts on an exact order uses something else.
    pub(super) fn mark(&self, now: Timestamp) {
        let now = now.as_second();
        if self.0.load(Ordering::Relaxed) < now {
            self.0.store(now, Ordering::Relaxed);
        }
    }
}

/// When the keys of a state folder were last used.
#[derive(Debug)]
pub struct LastUse {
    path: PathBuf,
    keys: Mutex<HashMap<KeyId, Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    used: Arc<Used>,
    /// What of it is in the file.
    written: i64,
}

impl Kept {
    /// The time, where it is not in the file.
    fn is_new(&self) -> Option<i64> {
        let now = self.used.0.load(Ordering::Relaxed);
        (now > self.written).then_some(now)
    }
}

impl LastUse {
    /// Those of this state folder. Nothing is read before something is written.
    pub fn of(state: &Path) -> Self {
        Self { path: state.join(FILE), keys: Mutex::default() }
    }

    /// Where the keys' uses are marked, one for each id, the same as ever.
    pub(super) fn of_keys<'k>(&self, ids: impl Iterator<Item = &'k KeyId>) -> Vec<Arc<Used>> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let used = ids.map(|id| Arc::clone(&keys.entry(id.clone()).or_default().used)).collect();
        if keys.len() > MOST_TIMES {
            // Keys that are gone, unless a call of theirs is yet to be written.
            keys.retain(|_, kept| Arc::strong_count(&kept.used) > 1 || kept.is_new().is_some());
        }
        used
    }

    /// Writes what changed since it was last written. Blocks.
    ///
    /// # Errors
    /// When the file cannot be written; it is tried again with the next change.
    pub fn write(&self) -> io::Result<()> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let changed: Vec<_> =
            keys.iter().filter_map(|(id, kept)| Some((id.clone(), kept.is_new()?))).collect();
        if changed.is_empty() {
            return Ok(());
        }
        let _lock = owner_only::lock(&self.path)?;
        let mut times = stored(&self.path);
        for (id, time) in &changed {
            let known = times.entry(id.to_string()).or_default();
            *known = (*known).max(*time);
        }
        forget_oldest(&mut times, MOST_TIMES);
        owner_only::replace(&self.path, &serde_json::to_string(&times)?)?;
        for (id, time) in changed {
            if let Some(kept) = keys.get_mut(&id) {
                kept.written = time;
            }
        }
        Ok(())
    }

    /// What the file of a state folder says, by the keys' ids.
    pub fn read(state: &Path) -> HashMap<KeyId, Timestamp> {
        let known = |(id, time): (String, i64)| {
            Some((id.parse().ok()?, Timestamp::from_second(time).ok()?))
        };
        stored(&state.join(FILE)).into_iter().filter_map(known).collect()
    }
}

/// What a file holds. One that is damaged holds nothing worth stopping for, and is
/// replaced by the next writer.
fn stored(path: &Path) -> BTreeMap<String, i64> {
    let text = match owner_only::read(path, MOST_BYTES) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return BTreeMap::new(),
        Err(error) => {
            tracing::warn!("{}: {error}; when keys were last used is not known", path.display());
            return BTreeMap::new();
        }
    };
    serde_json::from_str(&text).unwrap_or_else(|error| {
        tracing::warn!("{}: {error}; when keys were last used is not known", path.display());
        BTreeMap::new()
    })
}

fn forget_oldest(times: &mut BTreeMap<String, i64>, most: usize) {
    let Some(over) = times.len().checked_sub(most).filter(|over| *over > 0) else { return };
    let mut all: Vec<i64> = times.values().copied().collect();
    let (_, oldest_kept, _) = all.select_nth_unstable(over);
    let oldest_kept = *oldest_kept;
    times.retain(|_, time| *time >= oldest_kept);
    while times.len() > most {
        times.pop_first();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::owner_only::tests::Folder;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn id(text: &str) -> KeyId {
        text.parse().unwrap()
    }

    fn mark(last_use: &LastUse, key: &str, second: i64) {
        last_use.of_keys([id(key)].iter())[0].mark(at(second));
    }

    fn state(folder: &Folder) -> PathBuf {
        folder.file("")
    }

    #[test]
    fn what_was_marked_is_read_back_and_later_times_count() {
        let folder = Folder::new();
        let last_use = LastUse::of(&state(&folder));
        last_use.write().unwrap();
        assert!(!folder.file(FILE).exists(), "nothing to write");
        mark(&last_use, "aaaa", 100);
        mark(&last_use, "aaaa", 99);
        last_use.write().unwrap();
        assert_eq!(LastUse::read(&state(&folder)), HashMap::from([(id("aaaa"), at(100))]));
        mark(&last_use, "aaaa", 101);
        last_use.write().unwrap();
        assert_eq!(LastUse::read(&state(&folder))[&id("aaaa")], at(101));
    }

    #[test]
    fn servers_of_one_folder_lose_none_of_each_others() {
        let folder = Folder::new();
        let (one, two) = (LastUse::of(&state(&folder)), LastUse::of(&state(&folder)));
        mark(&one, "aaaa", 100);
        mark(&one, "bbbb", 100);
        mark(&two, "bbbb", 200);
        mark(&two, "cccc", 50);
        two.write().unwrap();
        one.write().unwrap();
        let expected = [(id("aaaa"), at(100)), (id("bbbb"), at(200)), (id("cccc"), at(50))];
        assert_eq!(LastUse::read(&state(&folder)), HashMap::from(expected));
    }

    #[test]
    fn a_damaged_file_is_replaced() {
        let folder = Folder::new();
        for damaged in ["", "{", "[]", r#"{"aaaa":"x"}"#, "\0"] {
            folder.write(FILE, damaged);
            assert!(LastUse::read(&state(&folder)).is_empty());
            let last_use = LastUse::of(&state(&folder));
            mark(&last_use, "aaaa", 100);
            last_use.write().unwrap();
            assert_eq!(LastUse::read(&state(&folder)).len(), 1);
        }
        // What is no id or no time is passed over.
        folder.write(FILE, format!(r#"{{"a":1,"bbbb":{},"cccc":1}}"#, i64::MAX));
        assert_eq!(LastUse::read(&state(&folder)).len(), 1);
    }

    #[test]
    fn the_oldest_are_forgotten_where_there_are_too_many() {
        let mut times: BTreeMap<String, i64> =
            (0..10).map(|at| (format!("k{at}"), i64::from(at / 2))).collect();
        forget_oldest(&mut times, 10);
        assert_eq!(times.len(), 10);
        forget_oldest(&mut times, 5);
        assert_eq!(
            times.keys().map(String::as_str).collect::<Vec<_>>(),
            ["k5", "k6", "k7", "k8", "k9"]
        );
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_its_owners() {
        use std::os::unix::fs::PermissionsExt;

        let folder = Folder::new();
        let last_use = LastUse::of(&state(&folder));
        mark(&last_use, "aaaa", 100);
        last_use.write().unwrap();
        let mode = std::fs::metadata(folder.file(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
