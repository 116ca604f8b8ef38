//! The file of API keys, `keys.toml`: read by the server, written by `bulkhead key`.
//!
//! A writer holds the lock file beside it and replaces the whole file by a
//! rename, so a reader sees the old keys or the new ones and never a part, and two
//! writers never lose each other's change. Only its owner may read the file; one
//! that others can read or write is refused and not repaired, since what it says
//! may already be somebody else's.

use std::collections::HashSet;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::key::{Key, random_id, random_secret};
use crate::names::{AgentName, KeyId, Malformed, Scope, Secret, Subject};

/// How many keys a file may hold, revoked ones included. A reload reads all of
/// them, and each takes about half a KiB of memory.
pub(super) const MOST_KEYS: usize = 100_000;

/// The largest file that is read: [`MOST_KEYS`] of the usual size.
const MOST_BYTES: u64 = 32 << 20;

/// How large a new key may make the file. Each key gains a line of at most 40
/// bytes when it is revoked, and revoking must never fail for want of room.
const MOST_BYTES_WITH_NEW: u64 = MOST_BYTES - 40 * MOST_KEYS as u64;

/// What stands above the keys in a written file.
const HEADER: &str =
    "# Written by `bulkhead key`. Holds SHA-256 digests; no key can be made from it.\n\n";

/// A key file that cannot be read, believed or written, and why. Never shows a
/// digest.
#[derive(Debug)]
pub struct BadKeyFile {
    path: PathBuf,
    what: String,
}

impl BadKeyFile {
    fn new(path: &Path, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), what: what.into() }
    }
}

impl fmt::Display for BadKeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)
    }
}

impl std::error::Error for BadKeyFile {}

/// The keys of one file, as it was when it was read.
#[derive(Clone, Debug, Default)]
pub struct KeyFile {
    keys: Vec<Key>,
}

/// Which keys to revoke.
#[derive(Clone, Debug)]
pub enum Revoke {
    /// One key.
    Key(KeyId),
    /// Every key of an agent.
    Agent(AgentName),
}

/// What a new key shall say.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Which program calls with it.
    pub agent: AgentName,
    /// On whose behalf.
    pub subject: Option<Subject>,
    /// What it may be used for; see [`Key::scopes`].
    pub scopes: Option<Vec<Scope>>,
    /// From when on it is refused.
    pub expires: Option<Timestamp>,
}

impl KeyFile {
    /// Reads the keys at `path`. A file that does not exist holds none.
    ///
    /// # Errors
    /// When it cannot be read, is larger than 32 MiB, holds more than 100,000
    /// keys, is open to others than its owner, or says something that `bulkhead
    /// key` would not write. The server goes on with the keys that it has.
    pub fn load(path: &Path) -> Result<Self, BadKeyFile> {
        match read_private(path) {
            Ok(text) => Self::parse(&text).map_err(|what| BadKeyFile::new(path, what)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(BadKeyFile::new(path, error.to_string())),
        }
    }

    /// The keys, oldest first; revoked and expired ones too.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let file: Stored = toml::from_str(text).map_err(|error| not_ours(text, &error))?;
        if file.key.len() > MOST_KEYS {
            return Err(format!("holds more than {MOST_KEYS} keys"));
        }
        let mut ids = HashSet::with_capacity(file.key.len());
        let mut keys = Vec::with_capacity(file.key.len());
        for (at, entry) in file.key.iter().enumerate() {
            let bad = |what: String| format!("{}: {what}", entry.label(at));
            let key = entry.read().map_err(bad)?;
            if !ids.insert(key.id.clone()) {
                return Err(bad("there is another of this id".to_owned()));
            }
            keys.push(key);
        }
        Ok(Self { keys })
    }

    fn render(&self) -> Result<String, toml::ser::Error> {
        let key = self.keys.iter().map(Entry::of).collect();
        Ok(format!("{HEADER}{}", toml::to_string(&Stored { key })?))
    }
}

/// Says where a text is not a key file. The parser's own words are left out: they
/// repeat what stands there.
fn not_ours(text: &str, error: &toml::de::Error) -> String {
    let at = error.span().map_or(text.len(), |span| span.start);
    let line = text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
    format!("line {line} is not what `bulkhead key` writes")
}

/// Makes a key and adds it to the file, which is made too where it is missing.
///
/// Returns what is kept, and the key's text, which nothing keeps. Blocks while
/// another process writes the file.
///
/// # Errors
/// As [`KeyFile::load`], or when the file cannot be written or is full.
pub fn create(path: &Path, new: NewKey, now: Timestamp) -> Result<(Key, Secret), BadKeyFile> {
    change(path, MOST_BYTES_WITH_NEW, |file| {
        refuse_if_full(file)?;
        let no_random = |_| "the system gives no random numbers".to_owned();
        let id = random_id().map_err(no_random)?;
        let (secret, digest) = random_secret(&id).map_err(no_random)?;
        let NewKey { agent, subject, scopes, expires } = new;
        let created = whole_seconds(now);
        let key = Key { id, agent, subject, scopes, digest, created, expires, revoked: None };
        file.keys.push(key.clone());
        Ok((key, secret))
    })
}

fn refuse_if_full(file: &KeyFile) -> Result<(), String> {
    if file.keys.len() < MOST_KEYS {
        Ok(())
    } else {
        Err(format!("holds {MOST_KEYS} keys already"))
    }
}

/// Revokes keys and returns all that are meant, those revoked earlier too; none
/// when there is no such key. Blocks while another process writes the file.
///
/// # Errors
/// As [`KeyFile::load`], or when the file cannot be written.
pub fn revoke(path: &Path, which: &Revoke, now: Timestamp) -> Result<Vec<Key>, BadKeyFile> {
    let is_meant = |key: &Key| match which {
        Revoke::Key(id) => key.id == *id,
        Revoke::Agent(agent) => key.agent == *agent,
    };
    if !KeyFile::load(path)?.keys.iter().any(is_meant) {
        return Ok(Vec::new());
    }
    change(path, MOST_BYTES, |file| {
        let mut meant = Vec::new();
        for key in file.keys.iter_mut().filter(|key| is_meant(key)) {
            key.revoked.get_or_insert(whole_seconds(now));
            meant.push(key.clone());
        }
        Ok(meant)
    })
}

/// A time as people read it in a list.
fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// Reads, changes and replaces the file under its lock, unless it would become
/// larger than `most_bytes`.
fn change<T>(
    path: &Path,
    most_bytes: u64,
    make: impl FnOnce(&mut KeyFile) -> Result<T, String>,
) -> Result<T, BadKeyFile> {
    let bad = |what: String| BadKeyFile::new(path, what);
    let failed = |error: io::Error| bad(format!("cannot be written: {error}"));
    let _lock = lock(path).map_err(failed)?;
    let mut file = KeyFile::load(path)?;
    let made = make(&mut file).map_err(bad)?;
    let text = file.render().map_err(|error| bad(error.to_string()))?;
    if text.len() as u64 > most_bytes {
        return Err(bad("is full".to_owned()));
    }
    replace(path, &text).map_err(failed)?;
    Ok(made)
}

/// Holds the lock file until dropped. The lock is the kernel's, so a writer that
/// was killed leaves none behind.
fn lock(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        create_private_folder(folder)?;
    }
    let file = private().create(true).truncate(false).open(beside(path, ".lock"))?;
    file.lock()?;
    Ok(file)
}

/// Puts `text` in the place of the file at `path`: whole, and on the disk.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let new = beside(path, ".new");
    // A writer that was killed may have left one; the lock says that none is at work.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = private().create_new(true).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_folder(path)
}

/// `path` with `suffix` after its name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Reads a file that only its owner may read or write.
fn read_private(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    refuse_if_open_to_others(&file)?;
    let mut text = String::new();
    let read = file.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    if read as u64 > MOST_BYTES {
        return Err(io::Error::other(format!("is larger than {} MiB", MOST_BYTES >> 20)));
    }
    Ok(text)
}

/// Asks the open file, and not the path, which could change its meaning meanwhile.
#[cfg(unix)]
fn refuse_if_open_to_others(file: &File) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;

    let mode = file.metadata()?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(io::Error::other(format!(
            "others than its owner may use it (mode {mode:03o}); `chmod 600` it, and revoke what \
             should not be in it"
        )));
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_if_open_to_others(_: &File) -> io::Result<()> {
    Ok(())
}

/// How to open a file for writing that only its owner may use.
#[cfg(unix)]
fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;

    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

#[cfg(not(unix))]
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    options
}

#[cfg(unix)]
fn create_private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;

    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn create_private_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

/// Makes a rename last through a power cut.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The file as it is stored.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    #[serde(default)]
    key: Vec<Entry>,
}

/// A key as it is stored: texts, so that a wrong one can be named without being
/// repeated.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    agent: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<String>>,
    sha256: String,
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<String>,
}

impl Entry {
    fn of(key: &Key) -> Self {
        let texts = |scopes: &Vec<Scope>| scopes.iter().map(Scope::to_string).collect();
        Self {
            id: key.id.to_string(),
            agent: key.agent.to_string(),
            subject: key.subject.as_ref().map(Subject::to_string),
            scopes: key.scopes.as_ref().map(texts),
            sha256: key.digest.to_hex(),
            created: key.created.to_string(),
            expires: key.expires.as_ref().map(Timestamp::to_string),
            revoked: key.revoked.as_ref().map(Timestamp::to_string),
        }
    }

    /// What a person finds it by: its id, or its place in the file where that is none.
    fn label(&self, at: usize) -> String {
        match self.id.parse::<KeyId>() {
            Ok(id) => format!("key `{id}`"),
            Err(_) => format!("key number {}", at + 1),
        }
    }

    fn read(&self) -> Result<Key, String> {
        let scope = |text: &String| named("scopes", text);
        Ok(Key {
            id: named("id", &self.id)?,
            agent: named("agent", &self.agent)?,
            subject: self.subject.as_deref().map(|text| named("subject", text)).transpose()?,
            scopes: self.scopes.as_ref().map(|all| all.iter().map(scope).collect()).transpose()?,
            digest: named("sha256", &self.sha256)?,
            created: time("created", &self.created)?,
            expires: self.expires.as_deref().map(|text| time("expires", text)).transpose()?,
            revoked: self.revoked.as_deref().map(|text| time("revoked", text)).transpose()?,
        })
    }
}

fn named<T: FromStr<Err = Malformed>>(field: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|malformed| format!("`{field}`: {malformed}"))
}

fn time(field: &str, text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| format!("`{field}`: expected a time (RFC 3339)"))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::names::RequestId;

    /// A folder that is gone after the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            Self(std::env::temp_dir().join(format!("bulkhead-{}", RequestId::generate())))
        }

        /// In a folder that the first writer has to make.
        fn keys(&self) -> PathBuf {
            self.0.join("state/keys.toml")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn key_for(agent: &str) -> NewKey {
        NewKey { agent: agent.parse().unwrap(), subject: None, scopes: None, expires: None }
    }

    fn ids(keys: &[Key]) -> Vec<&KeyId> {
        keys.iter().map(|key| &key.id).collect()
    }

    const NOW: &str = "2026-11-23T06:00:00Z";

    #[test]
    fn what_is_created_is_read_back() {
        let folder = Folder::new();
        let new = NewKey {
            agent: "reporting".parse().unwrap(),
            subject: Some("zoë \"z\" o'neil".parse().unwrap()),
            scopes: Some(vec!["records:*".parse().unwrap(), "crm.write".parse().unwrap()]),
            expires: Some(at("2027-01-01T00:00:00Z")),
        };
        let (first, secret) = create(&folder.keys(), new, at("2026-11-23T06:00:00.5Z")).unwrap();
        assert!(secret.expose().starts_with(&format!("bhk_{}_", first.id)));
        let (second, _) = create(&folder.keys(), key_for("billing"), at(NOW)).unwrap();

        let file = KeyFile::load(&folder.keys()).unwrap();
        assert_eq!(ids(file.keys()), [&first.id, &second.id]);
        let read = &file.keys()[0];
        assert_eq!(read.agent, first.agent);
        assert_eq!(read.subject, first.subject);
        assert_eq!(read.scopes, first.scopes);
        assert_eq!(read.expires, first.expires);
        assert_eq!(read.created, at(NOW));
        assert_eq!(read.revoked, None);
        assert!(read.digest.matches(&first.digest));
        assert!(!read.digest.matches(&second.digest));
        let text = fs::read_to_string(folder.keys()).unwrap();
        assert!(!text.contains(secret.expose().rsplit('_').next().unwrap()));
    }

    #[test]
    fn a_file_that_is_not_there_holds_no_keys() {
        assert!(KeyFile::load(&Folder::new().keys()).unwrap().keys().is_empty());
    }

    #[test]
    fn keys_are_revoked_one_by_one_or_by_agent_and_keep_their_first_time() {
        let folder = Folder::new();
        let new = |agent| create(&folder.keys(), key_for(agent), at(NOW)).unwrap().0.id;
        let (first, second, other) = (new("a"), new("a"), new("b"));
        let (one, two) = (at("2026-12-01T00:00:00Z"), at("2026-12-02T00:00:00Z"));

        let revoked = revoke(&folder.keys(), &Revoke::Key(first.clone()), one).unwrap();
        assert_eq!(ids(&revoked), [&first]);
        let revoked = revoke(&folder.keys(), &Revoke::Agent("a".parse().unwrap()), two).unwrap();
        assert_eq!(ids(&revoked), [&first, &second]);
        let unknown = Revoke::Key("nobody".parse().unwrap());
        assert!(revoke(&folder.keys(), &unknown, two).unwrap().is_empty());

        let file = KeyFile::load(&folder.keys()).unwrap();
        let times: Vec<_> = file.keys().iter().map(|key| (&key.id, key.revoked)).collect();
        assert_eq!(times, [(&first, Some(one)), (&second, Some(two)), (&other, None)]);
    }

    #[test]
    fn writers_at_once_lose_nothing() {
        let folder = Folder::new();
        let path = folder.keys();
        let made: Vec<KeyId> = thread::scope(|scope| {
            let write = || {
                let new = |_| create(&path, key_for("a"), at(NOW)).unwrap().0.id;
                (0..5).map(new).collect::<Vec<_>>()
            };
            let writers: Vec<_> = (0..4).map(|_| scope.spawn(write)).collect();
            writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
        });
        let file = KeyFile::load(&path).unwrap();
        let found: HashSet<_> = file.keys().iter().map(|key| key.id.clone()).collect();
        assert_eq!(made.len(), 20);
        assert_eq!(found, made.into_iter().collect());
    }

    #[test]
    fn what_a_killed_writer_left_is_no_obstacle() {
        let folder = Folder::new();
        create(&folder.keys(), key_for("a"), at(NOW)).unwrap();
        fs::write(beside(&folder.keys(), ".new"), "half of a fi").unwrap();
        create(&folder.keys(), key_for("b"), at(NOW)).unwrap();
        assert_eq!(KeyFile::load(&folder.keys()).unwrap().keys().len(), 2);
        assert!(!beside(&folder.keys(), ".new").exists());
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_use_what_is_written_and_what_is_read() {
        use std::os::unix::fs::PermissionsExt;

        let folder = Folder::new();
        let path = folder.keys();
        create(&path, key_for("a"), at(NOW)).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&beside(&path, ".lock")), 0o600);

        for open in [0o640, 0o604, 0o660, 0o602, 0o644] {
            fs::set_permissions(&path, fs::Permissions::from_mode(open)).unwrap();
            let text = KeyFile::load(&path).unwrap_err().to_string();
            assert!(text.contains(&format!("(mode {open:o})")), "{text}");
            assert!(create(&path, key_for("b"), at(NOW)).is_err());
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert_eq!(KeyFile::load(&path).unwrap().keys().len(), 1);
    }

    #[test]
    fn a_bad_file_says_which_entry_and_shows_no_digest() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let entry = |id: &str, agent: &str, digest: &str, more: &str| {
            format!(
                "[[key]]\nid = '{id}'\nagent = '{agent}'\nsha256 = '{digest}'\n\
                 created = '{NOW}'\n{more}\n"
            )
        };
        let good = entry("good", "a", digest, "");
        let short = &digest[..63];
        let cases = [
            (entry("x", "a", digest, ""), "key number 2: `id`: 4 to 32 letters or digits"),
            (
                entry("fine", "a b", digest, ""),
                "key `fine`: `agent`: 1 to 64 letters, digits, `_`, `-` or `.`",
            ),
            (entry("fine", "a", short, ""), "key `fine`: `sha256`: expected 64 hexadecimal digits"),
            (
                entry("fine", "a", digest, "expires = 'soon'"),
                "key `fine`: `expires`: expected a time (RFC 3339)",
            ),
            (good.clone(), "key `good`: there is another of this id"),
            (
                entry("fine", "a", digest, "scope = ['*']"),
                "line 12 is not what `bulkhead key` writes",
            ),
            (format!("[[key]]\nid = {digest}"), "line 8 is not what `bulkhead key` writes"),
            (format!("[[key]]\nid = 'fine'\nscopes = '{digest}'"), "line 9 is not what"),
        ];
        for (second, expected) in cases {
            let what = KeyFile::parse(&format!("{good}{second}")).unwrap_err();
            assert!(what.starts_with(expected), "{what}");
            assert!(!what.contains(&digest[..16]), "{what}");
        }
        assert_eq!(KeyFile::parse(&good).unwrap().keys().len(), 1);
    }

    #[test]
    fn a_file_that_is_too_large_is_not_parsed() {
        let folder = Folder::new();
        create(&folder.keys(), key_for("a"), at(NOW)).unwrap();
        let file = private().open(folder.keys()).unwrap();
        file.set_len(MOST_BYTES + 1).unwrap();
        let text = KeyFile::load(&folder.keys()).unwrap_err().to_string();
        assert!(text.ends_with("keys.toml: is larger than 32 MiB"), "{text}");
    }

    #[test]
    fn a_full_file_takes_no_new_key_and_still_revokes() {
        let folder = Folder::new();
        let (key, _) = create(&folder.keys(), key_for("a"), at(NOW)).unwrap();
        let file = KeyFile { keys: vec![key.clone(); MOST_KEYS] };
        assert_eq!(refuse_if_full(&file), Err("holds 100000 keys already".to_owned()));
        let full = change(&folder.keys(), 10, |_| Ok(())).unwrap_err().to_string();
        assert!(full.ends_with("keys.toml: is full"), "{full}");

        let before = fs::metadata(folder.keys()).unwrap().len();
        revoke(&folder.keys(), &Revoke::Key(key.id), Timestamp::MAX).unwrap();
        let grown = fs::metadata(folder.keys()).unwrap().len() - before;
        assert!(grown <= (MOST_BYTES - MOST_BYTES_WITH_NEW) / MOST_KEYS as u64, "{grown}");
    }
}
