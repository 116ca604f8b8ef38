//! Making keys, and keys that take the place of others.
//!
//! A writer holds one lock for all files, reads them, and replaces the one that it
//! changes by a rename: a reader sees the old keys or the new ones and never a part,
//! and two writers never lose each other's change.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::form::render;
use super::key::Key;
use super::store::{BadKeyFile, MOST_BYTES, MOST_KEYS, OneFile, load_files, written};
use super::text::{random_id, random_secret};
use crate::auth::owner_only;
use crate::names::{AgentName, KeyId, Scope, Secret, Subject};

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

/// Makes a key and adds it to the file, which is made too where it is missing; in a
/// folder, to its `keys.toml`.
///
/// Returns what is kept, and the key's text, which nothing keeps. Blocks while
/// another process writes.
///
/// # Errors
/// As [`super::KeyFile::load`], or when the file cannot be written or is full.
pub fn create(path: &Path, new: NewKey, now: Timestamp) -> Result<(Key, Secret), BadKeyFile> {
    let target = written(path);
    change(path, |files| {
        let NewKey { agent, subject, scopes, expires } = new;
        let scopes = scopes.map(Into::into);
        let (key, secret) = make(Maker { agent, subject, scopes, expires, replaces: None }, now)?;
        let at = match files.iter().position(|file| file.path == target) {
            Some(at) => at,
            None => {
                files.push(OneFile { path: target, keys: Vec::new() });
                files.len().saturating_sub(1)
            }
        };
        if let Some(file) = files.get_mut(at) {
            file.keys.push(key.clone());
        }
        Ok((at, (key, secret)))
    })
}

/// How a key is to be replaced.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The key that is replaced.
    pub id: KeyId,
    /// How long it is still accepted.
    pub overlap: Duration,
    /// When the new one ends; without it, it lasts as long as the old one was made for.
    pub expires: Option<Timestamp>,
}

/// A key that was replaced, and what took its place.
#[derive(Clone, Debug)]
pub struct Rotated {
    /// The old key as it is kept now.
    pub old: Key,
    /// What is kept of the new one.
    pub new: Key,
    /// The new one's text, which nothing keeps.
    pub secret: Secret,
}

/// Makes a key of the same agent, subject and scopes, in the same file, and ends the old
/// one after the overlap, never later than it would have. None when there is no such key.
/// `refuse` says why the old one is not to be replaced, where something speaks against it.
///
/// # Errors
/// As [`create`], or what `refuse` says.
pub fn rotate(
    path: &Path,
    rotation: &Rotation,
    now: Timestamp,
    refuse: impl FnOnce(&Key) -> Option<String>,
) -> Result<Option<Rotated>, BadKeyFile> {
    let is_meant = |key: &Key| key.id == rotation.id;
    if !load_files(path)?.iter().any(|file| file.keys.iter().any(is_meant)) {
        return Ok(None);
    }
    change(path, |files| {
        // Rotated before, it ends sooner than it was made for: its successor tells.
        let all = files.iter().flat_map(|file| &file.keys);
        let lifetime = |key: &Key| Some(key.expires?.duration_since(key.created));
        let made_for =
            all.filter(|key| key.replaces.as_ref() == Some(&rotation.id)).map(lifetime).next_back();
        let holds_it = |file: &OneFile| file.keys.iter().any(is_meant);
        let gone = || "the key is gone".to_owned();
        let at = files.iter().position(holds_it).ok_or_else(gone)?;
        let file = files.get_mut(at).ok_or_else(gone)?;
        let old = file.keys.iter_mut().find(|key| is_meant(key)).ok_or_else(gone)?;
        if let Some(why) = refuse(old) {
            return Err(why);
        }
        let too_far = |_| "that time is too far away".to_owned();
        let ends = now.checked_add(rotation.overlap).map_err(too_far)?;
        let expires = match (rotation.expires, made_for.unwrap_or_else(|| lifetime(old))) {
            (Some(wanted), _) => Some(wanted),
            (None, Some(lifetime)) => Some(now.checked_add(lifetime).map_err(too_far)?),
            (None, None) => None,
        };
        let maker = Maker {
            agent: old.agent.clone(),
            subject: old.subject.clone(),
            scopes: old.scopes.clone(),
            expires,
            replaces: Some(old.id.clone()),
        };
        let (new, secret) = make(maker, now)?;
        old.expires = Some(old.expires.map_or(ends, |end| end.min(ends)));
        let old = old.clone();
        file.keys.push(new.clone());
        Ok((at, Some(Rotated { old, new, secret })))
    })
}

/// What a key is made of.
struct Maker {
    agent: AgentName,
    subject: Option<Subject>,
    scopes: Option<Arc<[Scope]>>,
    expires: Option<Timestamp>,
    replaces: Option<KeyId>,
}

fn make(of: Maker, now: Timestamp) -> Result<(Key, Secret), String> {
    let no_random = |_| "the system gives no random numbers".to_owned();
    let id = random_id().map_err(no_random)?;
    let (secret, digest) = random_secret(&id).map_err(no_random)?;
    let Maker { agent, subject, scopes, expires, replaces } = of;
    // To the microsecond: a key that is made right after its agent's others were revoked
    // is not one of them.
    let created = Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now);
    let key = Key { id, agent, subject, scopes, digest, created, expires, replaces, revoked: None };
    Ok((key, secret))
}

/// Reads all files under the lock, and writes the one that `make` says it has changed.
fn change<T>(
    path: &Path,
    make: impl FnOnce(&mut Vec<OneFile>) -> Result<(usize, T), String>,
) -> Result<T, BadKeyFile> {
    let target = written(path);
    let failed = |error: io::Error| BadKeyFile::new(&target, format!("cannot be written: {error}"));
    let _lock = owner_only::lock(&target).map_err(failed)?;
    let mut files = load_files(path)?;
    let (at, made) = make(&mut files).map_err(|what| BadKeyFile::new(&target, what))?;
    let others = files.iter().map(|file| file.keys.len()).sum();
    refuse_if_full(others).map_err(|what| BadKeyFile::new(&target, what))?;
    if let Some(file) = files.get(at) {
        write(file)?;
    }
    Ok(made)
}

fn refuse_if_full(keys: usize) -> Result<(), String> {
    if keys <= MOST_KEYS {
        Ok(())
    } else {
        Err(format!("there are {MOST_KEYS} keys already; remove what expired from the file"))
    }
}

fn write(file: &OneFile) -> Result<(), BadKeyFile> {
    let failed = |what: String| BadKeyFile::new(&file.path, what);
    let text = render(&file.keys);
    if text.len() as u64 > MOST_BYTES {
        return Err(failed("is full; remove what expired from it".to_owned()));
    }
    owner_only::replace(&file.path, &text)
        .map_err(|error| failed(format!("cannot be written: {error}")))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fs;
    use std::path::PathBuf;
    use std::thread;

    use super::*;
    use crate::auth::KeyFile;
    use crate::auth::owner_only::beside;
    use crate::auth::owner_only::tests::Folder;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn key_for(agent: &str) -> NewKey {
        NewKey { agent: agent.parse().unwrap(), subject: None, scopes: None, expires: None }
    }

    fn ids(keys: &[Key]) -> Vec<&KeyId> {
        keys.iter().map(|key| &key.id).collect()
    }

    fn keys(folder: &Folder) -> PathBuf {
        folder.file("keys.toml")
    }

    const NOW: &str = "2026-11-23T06:00:00.25Z";

    #[test]
    fn what_is_created_is_read_back() {
        let folder = Folder::new();
        let new = NewKey {
            agent: "reporting".parse().unwrap(),
            subject: Some("zoë \"z\" o'neil \\".parse().unwrap()),
            scopes: Some(vec!["records:*".parse().unwrap(), "crm.write".parse().unwrap()]),
            expires: Some(at("2027-01-01T00:00:00.5Z")),
        };
        let (first, secret) = create(&keys(&folder), new, at(NOW)).unwrap();
        assert!(secret.expose().starts_with(&format!("bhk_{}_", first.id)));
        let (second, _) = create(&keys(&folder), key_for("billing"), at(NOW)).unwrap();

        let file = KeyFile::load(&keys(&folder)).unwrap();
        assert_eq!(ids(file.keys()), [&first.id, &second.id]);
        let read = &file.keys()[0];
        assert_eq!(read.agent, first.agent);
        assert_eq!(read.subject, first.subject);
        assert_eq!(read.scopes, first.scopes);
        assert_eq!(read.expires, Some(at("2027-01-01T00:00:00.5Z")));
        assert_eq!(read.created, at(NOW));
        assert_eq!(read.revoked, None);
        assert!(read.digest.matches(&first.digest));
        assert!(!read.digest.matches(&second.digest));
        let text = fs::read_to_string(keys(&folder)).unwrap();
        assert!(!text.contains(secret.expose().rsplit('_').next().unwrap()));
    }

    #[test]
    fn in_a_folder_new_keys_have_a_file_of_their_own() {
        let folder = Folder::new();
        let other = create(&folder.file("team.toml"), key_for("a"), at(NOW)).unwrap().0;
        let before = fs::read_to_string(folder.file("team.toml")).unwrap();
        let new = create(&folder.file(""), key_for("b"), at(NOW)).unwrap().0;
        assert_eq!(fs::read_to_string(folder.file("team.toml")).unwrap(), before);
        assert_eq!(ids(KeyFile::load(&keys(&folder)).unwrap().keys()), [&new.id]);

        // A key is replaced where it stands.
        let rotation = Rotation { id: other.id, overlap: Duration::ZERO, expires: None };
        let rotated = rotate(&folder.file(""), &rotation, at(NOW), |_| None).unwrap().unwrap();
        let team = KeyFile::load(&folder.file("team.toml")).unwrap();
        assert_eq!(ids(team.keys()), [&rotated.old.id, &rotated.new.id]);
    }

    #[test]
    fn a_replacement_is_like_the_old_key_which_ends_after_the_overlap() {
        let folder = Folder::new();
        let path = keys(&folder);
        let (forever, brief) = (key_for("a"), at("2026-11-23T08:00:00Z"));
        let brief = NewKey {
            subject: Some("bob".parse().unwrap()),
            scopes: Some(vec!["x:*".parse().unwrap()]),
            expires: Some(brief),
            ..key_for("a")
        };
        let forever = create(&path, forever, at(NOW)).unwrap().0;
        let brief = create(&path, brief, at(NOW)).unwrap().0;
        let later = at("2026-11-23T07:30:00Z");
        let replace = |id: &KeyId, hours, expires| {
            let overlap = Duration::from_hours(hours);
            let rotation = Rotation { id: id.clone(), overlap, expires };
            rotate(&path, &rotation, later, |_| None).unwrap().unwrap()
        };

        let made = replace(&forever.id, 24, None);
        assert_eq!(made.old.expires, Some(at("2026-11-24T07:30:00Z")));
        assert_eq!((made.new.expires, made.new.replaces), (None, Some(forever.id.clone())));
        assert_eq!(made.new.created, later);

        // Never later than before, and the new one for as long as the old one was made.
        let made = replace(&brief.id, 24, None);
        assert_eq!(made.old.expires, brief.expires);
        assert_eq!(made.new.expires, Some(at("2026-11-23T09:29:59.75Z")));
        assert_eq!((made.new.subject, made.new.scopes), (brief.subject, brief.scopes));
        let wanted = Some(at("2030-01-01T00:00:00Z"));
        let again = replace(&made.new.id, 0, wanted);
        assert_eq!((again.old.expires, again.new.expires), (Some(later), wanted));

        let kept = KeyFile::load(&path).unwrap();
        assert_eq!(kept.keys().len(), 5);
        assert_eq!(kept.keys()[0].expires, Some(at("2026-11-24T07:30:00Z")));

        let unknown =
            Rotation { id: "nobody".parse().unwrap(), overlap: Duration::ZERO, expires: None };
        assert!(rotate(&path, &unknown, later, |_| None).unwrap().is_none());
        let known = Rotation { id: forever.id.clone(), ..unknown };
        let refused = rotate(&path, &known, later, |_| Some("it is revoked".to_owned()));
        assert!(refused.unwrap_err().to_string().ends_with("it is revoked"));
        let endless = Rotation { overlap: Duration::MAX, ..known };
        assert!(rotate(&path, &endless, later, |_| None).is_err());
        assert_eq!(KeyFile::load(&path).unwrap().keys().len(), 5);
    }

    #[test]
    fn writers_at_once_lose_nothing() {
        let folder = Folder::new();
        let path = keys(&folder);
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
        create(&keys(&folder), key_for("a"), at(NOW)).unwrap();
        folder.write("keys.toml.new", "half of a fi");
        create(&keys(&folder), key_for("b"), at(NOW)).unwrap();
        assert_eq!(KeyFile::load(&keys(&folder)).unwrap().keys().len(), 2);
        assert!(!beside(&keys(&folder), ".new").exists());
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_use_what_is_written() {
        use std::os::unix::fs::PermissionsExt;

        let folder = Folder::new();
        let path = keys(&folder);
        create(&path, key_for("a"), at(NOW)).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&beside(&path, ".lock")), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(create(&path, key_for("b"), at(NOW)).is_err());
    }

    #[test]
    fn a_full_file_takes_no_new_key() {
        assert!(refuse_if_full(MOST_KEYS).is_ok());
        let full = refuse_if_full(MOST_KEYS + 1).unwrap_err();
        assert!(full.starts_with("there are 100000 keys already"), "{full}");
        let key = make(
            Maker {
                agent: "a".parse().unwrap(),
                subject: None,
                scopes: Some(vec!["a".repeat(128).parse().unwrap(); 4_000].into()),
                expires: None,
                replaces: None,
            },
            at(NOW),
        );
        let folder = Folder::new();
        let file = OneFile { path: keys(&folder), keys: vec![key.unwrap().0; 130] };
        let full = write(&file).unwrap_err().to_string();
        assert!(full.ends_with("keys.toml: is full; remove what expired from it"), "{full}");
        assert!(!keys(&folder).exists());
    }
}
