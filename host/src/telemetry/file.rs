//! The audit log's file: one per running process, owner-only, continued over restarts.
//!
//! The file is held under an exclusive lock while its process runs. A second process
//! (a stdio server, the command line) that finds it held takes the next name:
//! `audit.jsonl`, `audit.1.jsonl`, `audit.2.jsonl` … Each is a chain of its own.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tracing::warn;

use super::chain::{Chain, MAX_LINE_BYTES};

/// How many processes can have a log of one name. More than run side by side on one
/// machine; a bound, so that a folder that always seems held cannot loop us.
pub(super) const MAX_FILES: u32 = 1_000;

/// How much of a file's end is read to find its last line: that line, and as much
/// of one that was torn.
const TAIL_BYTES: u64 = 2 * MAX_LINE_BYTES as u64;

/// Why there is no audit log.
#[derive(Debug)]
pub enum CannotOpen {
    /// The operating system said no.
    Io {
        /// To which file.
        path: PathBuf,
        /// Its words.
        error: io::Error,
    },
    /// There is something else of that name.
    NoFile {
        /// Which one.
        path: PathBuf,
    },
    /// Its last line cannot be continued.
    NoChain {
        /// Which file.
        path: PathBuf,
        /// What is wrong with the line.
        what: &'static str,
    },
    /// Every file of that name is held by another process.
    AllHeld {
        /// The first one.
        path: PathBuf,
    },
}

impl fmt::Display for CannotOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, error } => write!(f, "{}: {error}", path.display()),
            Self::NoFile { path } => write!(f, "{}: not a regular file", path.display()),
            Self::NoChain { path, what } => write!(
                f,
                "{}: the last line cannot be continued: {what}; move the file to a safe place, \
                 and a new one will be begun",
                path.display(),
            ),
            Self::AllHeld { path } => {
                write!(f, "{}: held by other processes, and so are its siblings", path.display())
            }
        }
    }
}

impl std::error::Error for CannotOpen {}

/// A log to append to, held until it is dropped.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) path: PathBuf,
    pub(super) file: File,
    /// How long it is: whole lines only.
    pub(super) length: u64,
    pub(super) chain: Chain,
}

/// Opens the first file of this name that nobody holds, and finds its chain's end.
///
/// A last line without an end is cut off: its process died while it wrote, before it
/// acknowledged the record.
pub(super) fn open(path: &Path) -> Result<Log, CannotOpen> {
    for number in 0..MAX_FILES {
        let path = numbered(path, number);
        if let Some(log) = try_open(&path)? {
            return Ok(log);
        }
    }
    Err(CannotOpen::AllHeld { path: path.to_owned() })
}

pub(super) fn numbered(path: &Path, number: u32) -> PathBuf {
    let suffix = match (number, path.extension()) {
        (0, _) => return path.to_owned(),
        (_, Some(extension)) => format!("{number}.{}", extension.to_string_lossy()),
        (_, None) => number.to_string(),
    };
    path.with_extension(suffix)
}

/// Opens one file; `None` when somebody else holds it.
fn try_open(path: &Path) -> Result<Option<Log>, CannotOpen> {
    let cannot = |error| CannotOpen::Io { path: path.to_owned(), error };
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600);
    let mut file = options.open(path).map_err(cannot)?;
    if !file.metadata().map_err(cannot)?.is_file() {
        return Err(CannotOpen::NoFile { path: path.to_owned() });
    }
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(cannot(error)),
    }
    // Only now: until it was locked, its length was another process's business.
    let (tail, start) = read_tail(&mut file).map_err(cannot)?;
    let end = find_end(&tail, start == 0)
        .map_err(|what| CannotOpen::NoChain { path: path.to_owned(), what })?;
    let length = start + end.whole as u64;
    let torn = tail.len() - end.whole;
    if torn > 0 {
        warn!(path = %path.display(), bytes = torn, "cut an unfinished line off the audit log");
        file.set_len(length).map_err(cannot)?;
    }
    Ok(Some(Log { path: path.to_owned(), file, length, chain: end.chain }))
}

/// The end of a file, and where in the file it starts.
fn read_tail(file: &mut File) -> io::Result<(Vec<u8>, u64)> {
    let length = file.seek(SeekFrom::End(0))?;
    let start = file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut tail = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut tail)?;
    Ok((tail, start))
}

/// The end of the whole lines in a tail, and of their chain.
struct End {
    whole: usize,
    chain: Chain,
}

/// Looks for the last whole line in `tail`, which may be all there is of the file.
fn find_end(tail: &[u8], is_all: bool) -> Result<End, &'static str> {
    const TOO_LONG: &str = "it is too long to be an audit record";
    let mut lines = tail.rsplitn(3, |byte| *byte == b'\n');
    let unfinished = lines.next().unwrap_or_default();
    let whole = tail.len() - unfinished.len();
    let chain = match (lines.next(), lines.next()) {
        (None, _) if is_all => Chain::default(),
        // A line that starts before the tail is longer than any of ours.
        (None, _) => return Err(TOO_LONG),
        (Some(_), None) if !is_all => return Err(TOO_LONG),
        (Some(last), _) => Chain::ending_with(last)?,
    };
    Ok(End { whole, chain })
}

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::names::RequestId;
    use crate::telemetry::chain;

    /// A folder that goes when it is dropped.
    pub(in crate::telemetry) struct Folder(PathBuf);

    impl Folder {
        pub(in crate::telemetry) fn new() -> Self {
            let name = format!("bulkhead-test-{}", RequestId::generate());
            let folder = std::env::temp_dir().join(name);
            std::fs::create_dir(&folder).unwrap();
            Self(folder)
        }

        pub(in crate::telemetry) fn path(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn lines(count: usize) -> (Vec<u8>, Chain) {
        chain::tests::log(&vec!["x".repeat(100).as_str(); count])
    }

    #[test]
    fn a_new_file_is_the_owners_alone() {
        let folder = Folder::new();
        let log = open(&folder.path("audit.jsonl")).unwrap();
        assert_eq!(log.file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!((log.length, log.chain), (0, Chain::default()));
    }

    #[test]
    fn who_comes_second_takes_the_next_name() {
        let folder = Folder::new();
        for (name, second, third) in
            [("audit.jsonl", "audit.1.jsonl", "audit.2.jsonl"), ("audit", "audit.1", "audit.2")]
        {
            let first = open(&folder.path(name)).unwrap();
            let held = open(&folder.path(name)).unwrap();
            assert_eq!(first.path, folder.path(name));
            assert_eq!(held.path, folder.path(second));
            assert_eq!(open(&folder.path(name)).unwrap().path, folder.path(third));
            drop(first);
            assert_eq!(open(&folder.path(name)).unwrap().path, folder.path(name));
        }
    }

    #[test]
    fn a_file_is_continued_and_a_torn_line_is_cut_off() {
        let folder = Folder::new();
        let path = folder.path("audit.jsonl");
        // One line, a few, and more than are read.
        for count in [0, 1, 3, 2_000] {
            let (whole, chain) = lines(count);
            for torn in [&b""[..], b"{", b"{\"seq\":1}", &vec![b'x'; MAX_LINE_BYTES - 1]] {
                std::fs::write(&path, [&whole, torn].concat()).unwrap();
                let log = open(&path).unwrap();
                assert_eq!((log.length, &log.chain), (whole.len() as u64, &chain), "{count}");
                assert_eq!(std::fs::read(&path).unwrap(), whole, "{count}");
            }
        }
    }

    #[test]
    fn what_is_no_log_is_left_as_it_is() {
        let folder = Folder::new();
        let path = folder.path("audit.jsonl");
        let (good, _) = lines(2);
        let changed = String::from_utf8(good.clone()).unwrap().replace('x', "y").into_bytes();
        let endless = vec![b'x'; TAIL_BYTES as usize + 1];
        let long_line = [&good, &endless[..], b"\n"].concat();
        for bytes in [&b"hello\n"[..], b"\n", b"\xff\n", &changed, &endless, &long_line] {
            std::fs::write(&path, bytes).unwrap();
            let error = open(&path).unwrap_err();
            assert!(error.to_string().contains("move the file"), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        }
        let error = open(Path::new("/dev/null")).unwrap_err();
        assert!(error.to_string().contains("not a regular file"), "{error}");
        assert!(matches!(open(&folder.path("none/audit.jsonl")), Err(CannotOpen::Io { .. })));
    }
}
