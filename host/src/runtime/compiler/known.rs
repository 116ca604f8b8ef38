//! What was compiled within the limits before, and what is kept of it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

/// How much compiled code is kept, compressed, in bytes; beyond it, what was not used
/// for longest goes. 10,000 Rust plugins have some 1 GB.
pub(in crate::runtime) const MAX_CACHED_CODE: u64 = 4 << 30;

/// How many components are remembered: some ten versions of every plugin that a folder
/// may hold.
const MAX_MARKERS: usize = 100_000;

/// A look at everything that is kept costs milliseconds, so only one in so many
/// compilations is followed by one; the first of a process is.
const SWEEP_EVERY: u32 = 64;

/// Markers: empty files, each named after a component and an engine.
#[derive(Debug)]
pub(super) struct Known {
    markers: PathBuf,
    code: PathBuf,
    compiled: AtomicU32,
}

impl Known {
    /// Makes the folders where they are missing.
    pub(super) fn open(markers: &Path, code: &Path) -> io::Result<Self> {
        fs::create_dir_all(markers)?;
        fs::create_dir_all(code)?;
        Ok(Self {
            markers: markers.to_path_buf(),
            code: code.to_path_buf(),
            compiled: AtomicU32::new(0),
        })
    }

    /// The marker of a component, by its digest, for an engine, by its hash.
    pub(super) fn marker(&self, digest: &str, engine: u64) -> PathBuf {
        self.markers.join(format!("{digest}-{engine:016x}"))
    }

    /// Whether a component was compiled before.
    pub(super) fn has(&self, marker: &Path) -> bool {
        marker.exists()
    }

    /// Remembers that a component was compiled, and now and then forgets the oldest.
    pub(super) fn remember(&self, marker: &Path) -> io::Result<()> {
        fs::File::create(marker)?;
        if self.compiled.fetch_add(1, Ordering::Relaxed).is_multiple_of(SWEEP_EVERY) {
            // The engine's own cleaning works in the background of a process that lives
            // on; a compiler does not.
            sweep(&self.code, usize::MAX, MAX_CACHED_CODE)?;
            sweep(&self.markers, MAX_MARKERS, u64::MAX)?;
        }
        Ok(())
    }
}

/// Files that belong together: `NAME`, `NAME.stats`.
#[derive(Default)]
struct Entry {
    files: Vec<PathBuf>,
    bytes: u64,
    /// When one of them was last written. The engine writes statistics at each use.
    used: Option<SystemTime>,
}

/// Removes entries below a folder, those that were not used for longest first, until no
/// more are left than so many, of so many bytes together.
fn sweep(folder: &Path, max_entries: usize, max_bytes: u64) -> io::Result<()> {
    let mut entries = BTreeMap::new();
    list(folder, &mut entries)?;
    let mut entries: Vec<Entry> = entries.into_values().collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.used));
    let mut bytes = 0_u64;
    for (at, entry) in entries.iter().enumerate() {
        bytes = bytes.saturating_add(entry.bytes);
        if at >= max_entries || bytes > max_bytes {
            for file in &entry.files {
                // Another server that shares the folder may have been faster.
                let _ = fs::remove_file(file);
            }
        }
    }
    Ok(())
}

fn list(folder: &Path, entries: &mut BTreeMap<PathBuf, Entry>) -> io::Result<()> {
    for listed in fs::read_dir(folder)? {
        let path = listed?.path();
        // What is gone by now needs no cleaning.
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if metadata.is_dir() {
            list(&path, entries)?;
            continue;
        }
        let entry = entries.entry(path.with_extension("")).or_default();
        entry.bytes = entry.bytes.saturating_add(metadata.len());
        entry.used = entry.used.max(metadata.modified().ok());
        entry.files.push(path);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A folder of the test's own, with files below it, each with its age in seconds.
    fn folder(name: &str, files: &[(&str, usize, u64)]) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("bulkhead-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        for (file, bytes, age) in files {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, vec![0; *bytes]).unwrap();
            let used = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - age);
            fs::File::options().append(true).open(&path).unwrap().set_modified(used).unwrap();
        }
        folder
    }

    fn left(folder: &Path) -> Vec<String> {
        let mut entries = BTreeMap::new();
        list(folder, &mut entries).unwrap();
        let files = entries.into_values().flat_map(|entry| entry.files);
        let name = |path: PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        let mut names: Vec<String> = files.map(name).collect();
        names.sort();
        fs::remove_dir_all(folder).unwrap();
        names
    }

    const CODE: &[(&str, usize, u64)] = &[
        ("m/v48/old", 100, 90),
        // Made long ago, used a moment ago.
        ("m/v48/used", 100, 99),
        ("m/v48/used.stats", 10, 1),
        ("m/v47/new", 100, 5),
    ];

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let swept = folder("sweep-bytes", CODE);
        sweep(&swept, usize::MAX, 310).unwrap();
        assert_eq!(left(&swept).len(), 4, "all of it fits");
        let swept = folder("sweep-bytes", CODE);
        sweep(&swept, usize::MAX, 309).unwrap();
        assert_eq!(left(&swept), ["new", "used", "used.stats"]);
        let swept = folder("sweep-count", CODE);
        sweep(&swept, 1, u64::MAX).unwrap();
        assert_eq!(left(&swept), ["used", "used.stats"]);
    }

    #[test]
    fn a_component_is_known_for_the_engine_that_it_was_compiled_for() {
        let folder = folder("known", &[]);
        let known = Known::open(&folder.join("known"), &folder.join("code")).unwrap();
        let marker = known.marker("aa", 1);
        assert!(!known.has(&marker));
        known.remember(&marker).unwrap();
        assert!(known.has(&marker));
        assert!(!known.has(&known.marker("aa", 2)));
        assert!(!known.has(&known.marker("ab", 1)));
        fs::remove_dir_all(folder).unwrap();
    }
}
