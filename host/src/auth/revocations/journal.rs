//! The file of revocations, `revocations.jsonl`: written at its end and nowhere else.
//!
//! Each line is on the disk before whoever wrote it is told so. A writer that was
//! killed leaves at most a part of a line at the end, which nobody was told of: it is
//! passed over, and cut off before the next line is written. An entry that lacks only
//! its line's end counts. Anything else that is not an entry means that revocations may
//! be lost, and nothing is read then.
//!
//! Nor is it when entries that were there are not: the file that writers lock holds how
//! many there were and their digest (a [`Mark`]), and a server remembers what it has
//! read. So a journal that is gone, emptied, edited or replaced by an older copy is told
//! from one to which somebody has added.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};

use super::entry::{Entry, MOST_LINE_BYTES};
use crate::auth::owner_only;

/// The largest journal, in bytes: every server reads it whole when it changes.
const MOST_BYTES: u64 = 64 << 20;

/// How many entries it may hold: about what fits into [`MOST_BYTES`]. Each takes some
/// 200 bytes of memory.
const MOST_ENTRIES: usize = 1_000_000;

/// A journal that cannot be read, believed or written, and why.
#[derive(Debug)]
pub struct BadJournal {
    path: PathBuf,
    what: String,
}

impl BadJournal {
    fn new(path: &Path, what: impl fmt::Display) -> Self {
        Self { path: path.to_owned(), what: what.to_string() }
    }

    fn damaged(path: &Path, line: usize, what: &str) -> Self {
        let next = "what was revoked may be lost: restore the file from a copy, or correct that \
                    line, and look at `bulkhead revoke --list`";
        Self::new(path, format!("line {line}: {what}; {next}"))
    }
}

impl BadJournal {
    /// What was in the journal at `path` is not.
    fn lost(path: &Path, what: impl fmt::Display) -> Self {
        let lock = owner_only::lock_file(path);
        Self::new(
            path,
            format!(
                "{what}: what was revoked would be accepted again; restore the file from a copy, \
                 or, to accept it as it is, remove {} and restart the servers",
                lock.display()
            ),
        )
    }
}

impl fmt::Display for BadJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)
    }
}

impl std::error::Error for BadJournal {}

/// How far a journal went: how many entries it had, and the digest of their lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    entries: usize,
    digest: String,
}

impl Mark {
    /// As the lock file holds it: always of one length, so that it is written at once.
    fn render(&self) -> String {
        format!("{:020} {}\n", self.entries, self.digest)
    }

    /// What the lock file of the journal at `path` holds; nothing where there is no mark.
    fn read(path: &Path) -> Option<Self> {
        let mut text = String::new();
        let file = File::open(owner_only::lock_file(path)).ok()?;
        file.take(128).read_to_string(&mut text).ok()?;
        let (entries, digest) = text.strip_suffix('\n')?.split_once(' ')?;
        Some(Self { entries: entries.parse().ok()?, digest: digest.to_owned() })
    }
}

/// What was read of a journal so far.
struct Progress {
    entries: usize,
    lines: Context,
}

impl Progress {
    fn add(&mut self, line: &[u8]) {
        self.entries += 1;
        self.lines.update(line);
        self.lines.update(b"\n");
    }

    fn mark(&self) -> Mark {
        let digest = self.lines.clone().finish();
        let hex = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
        Mark { entries: self.entries, digest: hex.collect() }
    }
}

/// Gives every entry of the journal at `path`, oldest first, to `take` with what it made
/// of those before, and says how far it goes. One that never was holds none; `before` is
/// how far it went.
pub(super) fn read<T: Default>(
    path: &Path,
    before: Option<&Mark>,
    take: impl Fn(&mut T, Entry),
) -> Result<(T, Mark), BadJournal> {
    let read = || {
        let mut taken = T::default();
        let progress = read_at_most(path, MOST_ENTRIES, before, |entry| take(&mut taken, entry))?;
        Ok((taken, progress.mark()))
    };
    match read() {
        Ok(read) => Ok(read),
        // Somebody may have been about to write.
        Err(bad) if owner_only::lock_file(path).exists() => match owner_only::lock(path) {
            Ok(_lock) => read(),
            Err(_) => Err(bad),
        },
        Err(bad) => Err(bad),
    }
}

fn read_at_most(
    path: &Path,
    most_entries: usize,
    before: Option<&Mark>,
    mut take: impl FnMut(Entry),
) -> Result<Progress, BadJournal> {
    let failed = |error: io::Error| BadJournal::new(path, error);
    // The mark first: what is added meanwhile is more than it says, and never less.
    let marks = [before.cloned(), Mark::read(path)];
    let mut progress = Progress { entries: 0, lines: Context::new(&SHA256) };
    let lost = |progress: &Progress, at_end: bool| {
        let mut marks = marks.iter().flatten();
        let lost = marks.find(|mark| {
            (mark.entries == progress.entries && mark.entries > 0 && **mark != progress.mark())
                || (at_end && mark.entries > progress.entries)
        });
        lost.map_or(Ok(()), |mark| {
            let what = format!("{} entries were here, and not all of them are", mark.entries);
            Err(BadJournal::lost(path, what))
        })
    };
    let file = match owner_only::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match was_written(path) || before.is_some_and(|before| before.entries > 0) {
                true => Err(BadJournal::lost(path, "was here and is gone")),
                false => Ok(progress),
            };
        }
        Err(error) => return Err(failed(error)),
    };
    let mut lines = BufReader::new(file.take(MOST_BYTES + 1));
    let (mut line, mut bytes) = (Vec::new(), 0);
    loop {
        line.clear();
        bytes += lines.read_until(b'\n', &mut line).map_err(failed)? as u64;
        if bytes > MOST_BYTES {
            return Err(BadJournal::new(path, format!("is larger than {} MiB", MOST_BYTES >> 20)));
        }
        let (text, is_last) = match line.strip_suffix(b"\n") {
            Some(text) => (text, false),
            None if line.is_empty() => break,
            // An editor's, or what a killed writer left there.
            None if Entry::parse(&line).is_ok() => (line.as_slice(), true),
            None => {
                let path = path.display();
                tracing::warn!("{path}: the part of a line at its end is passed over");
                break;
            }
        };
        progress.add(text);
        if progress.entries > most_entries {
            return Err(BadJournal::new(path, format!("holds more than {most_entries} entries")));
        }
        take(
            Entry::parse(text)
                .map_err(|what| BadJournal::damaged(path, progress.entries, &what))?,
        );
        lost(&progress, false)?;
        if is_last {
            break;
        }
    }
    lost(&progress, true)?;
    Ok(progress)
}

/// Whether there has been a journal at `path`.
fn was_written(path: &Path) -> bool {
    owner_only::lock_file(path).exists()
}

/// Makes the journal at `path` where there has never been one, and marks how far one goes
/// that has no mark.
///
/// # Errors
/// When it cannot be made, or read.
pub(super) fn create(path: &Path) -> Result<(), BadJournal> {
    if was_written(path) {
        return Ok(());
    }
    let failed = |error: io::Error| BadJournal::new(path, format!("cannot be made: {error}"));
    if let Some(folder) = path.parent() {
        owner_only::create_private_folder(folder).map_err(failed)?;
    }
    // First: whoever finds the lock expects the journal.
    owner_only::open_to_append(path).map_err(failed)?;
    let mut lock = owner_only::lock(path).map_err(failed)?;
    let progress = read_at_most(path, MOST_ENTRIES, None, drop)?;
    put_mark(&mut lock, &progress).map_err(failed)
}

/// Writes into the lock file how far the journal goes; the caller holds the lock.
fn put_mark(lock: &mut File, progress: &Progress) -> io::Result<()> {
    lock.seek(SeekFrom::Start(0))?;
    lock.write_all(progress.mark().render().as_bytes())?;
    lock.sync_all()
}

/// Writes an entry at the end of the journal at `path`, which is made where there never
/// was one. When this returns, it is on the disk. Blocks while another process writes.
///
/// # Errors
/// When the journal is damaged, has lost entries, is full, is open to others than its
/// owner, or cannot be written.
pub(super) fn append(path: &Path, entry: &Entry) -> Result<(), BadJournal> {
    let failed = |error: io::Error| BadJournal::new(path, format!("cannot be written: {error}"));
    create(path)?;
    let mut lock = owner_only::lock(path).map_err(failed)?;
    let mut progress = read_at_most(path, MOST_ENTRIES, None, drop)?;
    refuse_if_full(progress.entries).map_err(|what| BadJournal::new(path, what))?;
    let mut file = owner_only::reopen_to_append(path).map_err(failed)?;
    heal(&mut file).map_err(failed)?;
    let line = entry.render();
    if file.metadata().map_err(failed)?.len() + line.len() as u64 + 1 > MOST_BYTES {
        return Err(BadJournal::new(path, full()));
    }
    file.write_all(format!("{line}\n").as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(failed)?;
    progress.add(line.as_bytes());
    // Killed before this, a writer leaves the older mark, which is of no more than there is.
    put_mark(&mut lock, &progress).map_err(failed)
}

fn refuse_if_full(entries: usize) -> Result<(), String> {
    if entries < MOST_ENTRIES { Ok(()) } else { Err(full()) }
}

fn full() -> String {
    format!(
        "is full ({MOST_ENTRIES} entries or {} MiB); stop the servers, and remove lines of tokens \
         that have expired",
        MOST_BYTES >> 20
    )
}

/// Ends the last line, or cuts it off if it is no entry.
fn heal(file: &mut File) -> io::Result<()> {
    let length = file.seek(SeekFrom::End(0))?;
    let begins = length.saturating_sub(MOST_LINE_BYTES as u64 + 1);
    file.seek(SeekFrom::Start(begins))?;
    let mut tail = Vec::new();
    (&mut *file).take(length - begins).read_to_end(&mut tail)?;
    let whole = tail.iter().rposition(|byte| *byte == b'\n').map(|at| at as u64 + 1);
    let whole = match whole {
        Some(whole) => whole,
        None if begins == 0 => 0,
        None => return Err(io::Error::other("ends in more than one line of something else")),
    };
    let rest = tail.get(usize::try_from(whole).unwrap_or(usize::MAX)..).unwrap_or_default();
    if rest.is_empty() {
        Ok(())
    } else if Entry::parse(rest).is_ok() {
        file.write_all(b"\n")
    } else {
        file.set_len(begins + whole)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread;

    use super::*;
    use crate::auth::owner_only::tests::Folder;

    fn entry(agent: &str) -> Entry {
        let line = format!(r#"{{"time":"2026-11-28T09:00:00Z","revoke":{{"agent":"{agent}"}}}}"#);
        Entry::parse(line.as_bytes()).unwrap()
    }

    fn read_all(path: &Path) -> Result<Vec<Entry>, String> {
        let read = read(path, None, |entries: &mut Vec<Entry>, entry| entries.push(entry));
        read.map(|(entries, _)| entries).map_err(|error| error.to_string())
    }

    #[test]
    fn entries_are_read_in_the_order_in_which_they_were_written() {
        let folder = Folder::new();
        let path = folder.file("revocations.jsonl");
        assert_eq!(read_all(&path), Ok(vec![]));
        for agent in ["a", "b", "a"] {
            append(&path, &entry(agent)).unwrap();
        }
        assert_eq!(read_all(&path), Ok(vec![entry("a"), entry("b"), entry("a")]));
    }

    #[test]
    fn a_torn_end_is_passed_over_and_cut_off_by_the_next_writer() {
        let whole = format!("{}\n", entry("a").render());
        for torn in 0..whole.len() - 1 {
            let folder = Folder::new();
            let path = folder.write("revocations.jsonl", format!("{whole}{}", &whole[..torn]));
            assert_eq!(read_all(&path), Ok(vec![entry("a")]), "{torn}");
            append(&path, &entry("b")).unwrap();
            assert_eq!(read_all(&path), Ok(vec![entry("a"), entry("b")]), "{torn}");
        }
        // The first line, and what a file system may leave of a line after a power cut.
        let zeros = "\0".repeat(100);
        for torn in [&whole[..9], &zeros, "\u{fffd}"] {
            let folder = Folder::new();
            let path = folder.write("revocations.jsonl", torn);
            assert_eq!(read_all(&path), Ok(vec![]));
            append(&path, &entry("b")).unwrap();
            assert_eq!(read_all(&path), Ok(vec![entry("b")]));
        }
        let folder = Folder::new();
        let path = folder.write("revocations.jsonl", "\0".repeat(3 * MOST_LINE_BYTES));
        assert!(append(&path, &entry("b")).is_err(), "no writer of ours left that");
    }

    #[test]
    fn an_entry_that_lacks_its_lines_end_counts_and_gets_one() {
        for before in ["", &format!("{}\n", entry("a").render())] {
            let text = format!("{before}{}", entry("c").render());
            let folder = Folder::new();
            let path = folder.write("revocations.jsonl", &text);
            assert_eq!(read_all(&path).unwrap().last(), Some(&entry("c")));
            append(&path, &entry("b")).unwrap();
            let expected = format!("{text}\n{}\n", entry("b").render());
            assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        }
    }

    #[test]
    fn what_was_there_is_missed_by_readers_and_writers() {
        let line = |agent: &str| format!("{}\n", entry(agent).render());
        let lost = |how: Option<&str>| {
            let folder = Folder::new();
            let path = folder.file("revocations.jsonl");
            append(&path, &entry("a")).unwrap();
            append(&path, &entry("b")).unwrap();
            match how {
                Some(text) => drop(folder.write("revocations.jsonl", text)),
                None => fs::remove_file(&path).unwrap(),
            }
            create(&path).unwrap();
            let what = read_all(&path);
            assert_eq!(append(&path, &entry("c")).is_ok(), what.is_ok(), "{how:?}");
            // The operator's word.
            if what.is_err() {
                fs::remove_file(owner_only::lock_file(&path)).unwrap();
                create(&path).unwrap();
                read_all(&path).unwrap();
                append(&path, &entry("c")).unwrap();
            }
            what.map(|_| ())
        };
        let (a, b, c) = (line("a"), line("b"), line("c"));
        assert!(lost(None).unwrap_err().contains("was here and is gone"));
        for text in ["", &a, &b, &format!("{a}{c}"), &format!("{b}{a}"), &format!("{c}{a}{b}")] {
            let what = lost(Some(text)).unwrap_err();
            assert!(what.contains("2 entries were here, and not all of them are"), "{what}");
        }
        for text in [format!("{a}{b}"), format!("{a}{b}{c}"), format!("{a}{}", b.trim_end())] {
            lost(Some(&text)).unwrap();
        }
    }

    #[test]
    fn a_mark_that_was_not_written_is_none() {
        let folder = Folder::new();
        let path = folder.file("revocations.jsonl");
        append(&path, &entry("a")).unwrap();
        // As whoever made the lock file leaves it that was killed then.
        fs::write(owner_only::lock_file(&path), "").unwrap();
        append(&path, &entry("b")).unwrap();
        assert_eq!(Mark::read(&path).unwrap().entries, 2);
        assert_eq!(read_all(&path), Ok(vec![entry("a"), entry("b")]));
    }

    #[test]
    fn a_damaged_line_is_told_and_nothing_is_read_or_written() {
        let good = entry("a").render();
        let unknown = good.replace("agent", "tenant");
        for damaged in ["", " ", "{", "\0\0\0", &good[..9], &unknown, &format!("{good}{good}")] {
            let folder = Folder::new();
            let path = folder.write("revocations.jsonl", format!("{good}\n{damaged}\n{good}\n"));
            let what = read_all(&path).unwrap_err();
            assert!(what.contains("revocations.jsonl: line 2: "), "{what}");
            assert!(what.contains("restore the file from a copy"), "{what}");
            assert!(append(&path, &entry("b")).is_err());
        }
    }

    #[test]
    fn writers_at_once_lose_nothing() {
        let folder = Folder::new();
        let path = folder.file("revocations.jsonl");
        thread::scope(|scope| {
            for writer in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    for at in 0..5 {
                        append(path, &entry(&format!("a{writer}{at}"))).unwrap();
                    }
                });
            }
        });
        let mut found: Vec<_> = read_all(&path).unwrap().iter().map(Entry::render).collect();
        found.sort();
        found.dedup();
        assert_eq!(found.len(), 20);
    }

    #[test]
    fn a_journal_is_bounded() {
        let folder = Folder::new();
        let path = folder.write("revocations.jsonl", "");
        let file = owner_only::private().open(&path).unwrap();
        file.set_len(MOST_BYTES + 1).unwrap();
        assert!(read_all(&path).unwrap_err().ends_with("is larger than 64 MiB"));
        drop(file);
        let line = format!("{}\n", entry("a").render());
        folder.write("revocations.jsonl", line.repeat(11));
        assert_eq!(read_at_most(&path, 11, None, drop).unwrap().entries, 11);
        let what = read_at_most(&path, 10, None, drop).map(|_| ()).unwrap_err().to_string();
        assert!(what.ends_with("holds more than 10 entries"), "{what}");
        assert!(refuse_if_full(MOST_ENTRIES - 1).is_ok());
        let full = refuse_if_full(MOST_ENTRIES).unwrap_err();
        assert!(full.starts_with("is full (1000000 entries or 64 MiB)"), "{full}");
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_use_the_journal() {
        use std::os::unix::fs::PermissionsExt;

        let folder = Folder::new();
        let path = folder.file("revocations.jsonl");
        append(&path, &entry("a")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o620)).unwrap();
        assert!(read_all(&path).unwrap_err().contains("others than its owner"));
        assert!(append(&path, &entry("a")).is_err());
    }
}
