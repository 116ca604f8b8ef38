//! The files of API keys: read by the server, written by `bulkhead key`.
//!
//! One file, or a folder of which every `*.toml` is one, as some deployments keep a
//! file for each team. Only their owner may read them ([`crate::auth::owner_only`]).

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::form;
use super::key::Key;
use crate::auth::owner_only;
use crate::names::KeyId;

/// How many keys there may be, expired ones included. A reload reads all of them, and
/// each takes about half a KiB of memory.
pub(in crate::auth) const MOST_KEYS: usize = 100_000;

/// How large all files may be together: [`MOST_KEYS`] of twice the usual size. An
/// agent's name, a subject and scopes of the largest size would take more.
pub(super) const MOST_BYTES: u64 = 64 << 20;

/// How many files a folder may hold. Each is opened at every reload.
const MOST_FILES: usize = 256;

/// The file of a folder that `bulkhead key create` writes.
const WRITTEN: &str = "keys.toml";

/// A key file that cannot be read, believed or written, and why. Never shows a
/// digest.
#[derive(Debug)]
pub struct BadKeyFile {
    path: PathBuf,
    what: String,
}

impl BadKeyFile {
    pub(super) fn new(path: &Path, what: impl fmt::Display) -> Self {
        Self { path: path.to_owned(), what: what.to_string() }
    }
}

impl fmt::Display for BadKeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)
    }
}

impl std::error::Error for BadKeyFile {}

/// All keys, as they were when they were read.
#[derive(Clone, Debug, Default)]
pub struct KeyFile {
    keys: Vec<Key>,
}

impl KeyFile {
    /// Reads the keys at `path`, a file or a folder. What does not exist holds none.
    ///
    /// # Errors
    /// When something there cannot be read, is open to others than its owner, or says
    /// something that `bulkhead key` would not write; when there are more than 100,000
    /// keys, 64 MiB or 256 files, or two keys of one id. The server goes on with the
    /// keys that it has.
    pub fn load(path: &Path) -> Result<Self, BadKeyFile> {
        let keys = load_files(path)?.into_iter().flat_map(|file| file.keys);
        Ok(Self { keys: keys.collect() })
    }

    /// The keys, in the order in which they stand there; expired ones too.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    #[cfg(test)]
    pub(in crate::auth) fn parse(text: &str) -> Result<Self, String> {
        form::parse(text).map(|keys| Self { keys })
    }
}

/// One file, and what it holds.
pub(super) struct OneFile {
    pub(super) path: PathBuf,
    pub(super) keys: Vec<Key>,
}

/// The file that new keys are written to.
pub(super) fn written(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(WRITTEN) } else { path.to_owned() }
}

/// Reads each file of `path`. What does not exist is none.
pub(super) fn load_files(path: &Path) -> Result<Vec<OneFile>, BadKeyFile> {
    let mut room = MOST_BYTES;
    let mut files = Vec::new();
    let mut found: HashMap<KeyId, usize> = HashMap::new();
    for path in paths(path).map_err(|error| BadKeyFile::new(path, error))? {
        let Some(text) = read(&path, room)? else { continue };
        room = room.saturating_sub(text.len() as u64);
        let keys = form::parse(&text).map_err(|what| BadKeyFile::new(&path, what))?;
        for key in &keys {
            if let Some(other) = found.insert(key.id.clone(), files.len()) {
                return Err(in_two(&path, &key.id, files.get(other)));
            }
        }
        if found.len() > MOST_KEYS {
            return Err(BadKeyFile::new(&path, format!("there are more than {MOST_KEYS} keys")));
        }
        files.push(OneFile { path, keys });
    }
    Ok(files)
}

fn read(path: &Path, room: u64) -> Result<Option<String>, BadKeyFile> {
    match owner_only::read(path, room) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(BadKeyFile::new(path, error)),
    }
}

fn in_two(path: &Path, id: &KeyId, other: Option<&OneFile>) -> BadKeyFile {
    let other = other.map_or(path, |other| &other.path).display();
    BadKeyFile::new(path, format!("key `{id}` is in {other} too; remove one of the two"))
}

/// The files at `path`, in the order of their names.
fn paths(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    owner_only::refuse_folder_if_writable_by_others(path)?;
    let mut paths = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|ending| ending == "toml") {
            paths.push(path);
        }
        if paths.len() > MOST_FILES {
            return Err(io::Error::other(format!("holds more than {MOST_FILES} files")));
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::owner_only::tests::Folder;

    fn entries(ids: &[&str]) -> String {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let entry = |id: &&str| {
            format!(
                "[[key]]\nid = '{id}'\nagent = 'a'\nsha256 = '{digest}'\n\
                 created = '2026-11-23T06:00:00Z'\n"
            )
        };
        ids.iter().map(entry).collect()
    }

    fn refused(path: &Path) -> String {
        KeyFile::load(path).unwrap_err().to_string()
    }

    #[test]
    fn what_is_not_there_holds_no_keys() {
        assert!(KeyFile::load(&Folder::new().file("keys.toml")).unwrap().keys().is_empty());
    }

    #[test]
    fn a_folder_holds_the_keys_of_its_files() {
        let folder = Folder::new();
        folder.write("b.toml", entries(&["bbbb", "cccc"]));
        folder.write("a.toml", entries(&["aaaa"]));
        folder.write("notes.txt", "not keys");
        folder.write(".a.toml", "an editor's");
        let keys = KeyFile::load(&folder.file("")).unwrap();
        let ids: Vec<_> = keys.keys().iter().map(|key| key.id.as_str()).collect();
        assert_eq!(ids, ["aaaa", "bbbb", "cccc"]);

        folder.write("c.toml", entries(&["dddd", "aaaa"]));
        let what = refused(&folder.file(""));
        assert!(
            what.contains("c.toml: key `aaaa` is in ") && what.contains("a.toml too"),
            "{what}"
        );

        folder.write("c.toml", "nonsense");
        let what = refused(&folder.file(""));
        assert!(what.ends_with("c.toml: line 1 is not what `bulkhead key` writes"), "{what}");
    }

    #[test]
    fn a_folder_of_too_many_files_is_refused() {
        let folder = Folder::new();
        for at in 0..MOST_FILES {
            folder.write(&format!("{at}.toml"), "");
        }
        assert!(KeyFile::load(&folder.file("")).is_ok());
        folder.write("more.toml", "");
        assert!(refused(&folder.file("")).ends_with("holds more than 256 files"));
    }

    #[test]
    fn too_many_keys_are_refused() {
        let folder = Folder::new();
        let ids: Vec<String> = (0..=MOST_KEYS).map(|at| format!("k{at:06}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let path = folder.write("a.toml", entries(&ids[..MOST_KEYS]));
        assert_eq!(KeyFile::load(&path).unwrap().keys().len(), MOST_KEYS);
        folder.write("b.toml", entries(&ids[MOST_KEYS..]));
        let what = refused(&folder.file(""));
        assert!(what.ends_with("b.toml: there are more than 100000 keys"), "{what}");
    }

    #[test]
    fn files_that_are_too_large_together_are_not_parsed() {
        let folder = Folder::new();
        let path = folder.write("a.toml", "");
        let file = owner_only::private().open(&path).unwrap();
        file.set_len(MOST_BYTES + 1).unwrap();
        assert!(refused(&path).ends_with("a.toml: is larger than 64 MiB"), "{}", refused(&path));
        drop(file);
        folder.write("a.toml", "#".repeat(MOST_BYTES as usize));
        folder.write("b.toml", "#");
        assert!(refused(&folder.file("")).contains("b.toml: is larger than"));
    }

    #[cfg(unix)]
    #[test]
    fn what_others_could_have_written_is_not_believed() {
        use std::os::unix::fs::PermissionsExt;

        let folder = Folder::new();
        let path = folder.write("a.toml", entries(&["aaaa"]));
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        for open in [0o640, 0o604, 0o660, 0o602, 0o644] {
            mode(&path, open);
            let what = refused(&path);
            assert!(what.contains(&format!("(mode {open:o})")), "{what}");
            assert!(refused(&folder.file("")).contains("a.toml: others"));
        }
        mode(&path, 0o400);
        assert_eq!(KeyFile::load(&path).unwrap().keys().len(), 1);
        for open in [0o770, 0o702] {
            mode(&folder.file(""), open);
            assert!(refused(&folder.file("")).contains("can put files into it"));
        }
        mode(&folder.file(""), 0o755);
        assert_eq!(KeyFile::load(&folder.file("")).unwrap().keys().len(), 1);
    }
}
