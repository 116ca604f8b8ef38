//! Files of the state folder that only their owner may use.
//!
//! One that others can read or write is refused and not repaired, since what it says
//! may already be somebody else's. A writer holds the lock file beside it, so that two
//! never lose each other's change; what replaces a file does so by a rename, so that a
//! reader sees the old content or the new one and never a part.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Reads a text of at most `most_bytes` bytes.
///
/// # Errors
/// When it cannot be read, is larger, or is open to others.
pub(super) fn read(path: &Path, most_bytes: u64) -> io::Result<String> {
    let file = open(path)?;
    let mut text = String::new();
    let read = file.take(most_bytes.saturating_add(1)).read_to_string(&mut text)?;
    if read as u64 > most_bytes {
        return Err(io::Error::other(format!("is larger than {} MiB", most_bytes >> 20)));
    }
    Ok(text)
}

/// Opens a file for reading.
///
/// # Errors
/// When it cannot be opened, or is open to others.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    refuse_if_open_to_others(&file)?;
    Ok(file)
}

/// Opens a file for reading and writing at its end; makes it where it is missing.
///
/// # Errors
/// When it cannot be opened, or is open to others.
pub(super) fn open_to_append(path: &Path) -> io::Result<File> {
    let is_new = !path.exists();
    let file = private().read(true).append(true).create(true).open(path)?;
    refuse_if_open_to_others(&file)?;
    if is_new {
        sync_folder(path)?;
    }
    Ok(file)
}

/// As [`open_to_append`], of a file that has to be there.
///
/// # Errors
/// When it is not there, cannot be opened, or is open to others.
pub(super) fn reopen_to_append(path: &Path) -> io::Result<File> {
    let file = private().read(true).append(true).open(path)?;
    refuse_if_open_to_others(&file)?;
    Ok(file)
}

/// Holds the lock file of `path` until dropped; waits for whoever holds it now. Makes
/// the folder where it is missing. The lock is the kernel's, so a writer that was
/// killed leaves none behind.
///
/// # Errors
/// When the folder or the lock file cannot be made.
pub(super) fn lock(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        create_private_folder(folder)?;
    }
    let file = private().create(true).truncate(false).open(lock_file(path))?;
    file.lock()?;
    Ok(file)
}

/// The file that writers of `path` lock. It stays when they are done.
pub(super) fn lock_file(path: &Path) -> PathBuf {
    beside(path, ".lock")
}

/// Puts `text` in the place of the file at `path`: whole, and on the disk. The caller
/// holds the lock.
///
/// # Errors
/// When it cannot be written; the old file is there then.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<()> {
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
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
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

/// Refuses a folder in which others can put files of their own.
///
/// # Errors
/// When others can, or it cannot be asked.
#[cfg(unix)]
pub(super) fn refuse_folder_if_writable_by_others(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;

    let mode = fs::metadata(folder)?.mode() & 0o777;
    if mode & 0o022 != 0 {
        return Err(io::Error::other(format!(
            "others than its owner can put files into it (mode {mode:03o}); `chmod go-w` it, and \
             look for what should not be in it"
        )));
    }
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn refuse_folder_if_writable_by_others(_: &Path) -> io::Result<()> {
    Ok(())
}

/// How to open a file for writing that only its owner may use.
#[cfg(unix)]
pub(super) fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;

    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

#[cfg(not(unix))]
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    options
}

#[cfg(unix)]
pub(super) fn create_private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;

    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
pub(super) fn create_private_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

/// Makes a new name last through a power cut.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// A folder for a test, gone after it.
#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::names::RequestId;

    pub(in crate::auth) struct Folder(PathBuf);

    impl Folder {
        pub(in crate::auth) fn new() -> Self {
            Self(std::env::temp_dir().join(format!("bulkhead-{}", RequestId::generate())))
        }

        /// A file of this name, in a folder that the first writer has to make.
        pub(in crate::auth) fn file(&self, name: &str) -> PathBuf {
            self.0.join("state").join(name)
        }

        /// Writes a file as its owner would have.
        pub(in crate::auth) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
            let path = self.file(name);
            create_private_folder(path.parent().unwrap()).unwrap();
            let mut file = private().create(true).truncate(true).open(&path).unwrap();
            file.write_all(bytes.as_ref()).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}
