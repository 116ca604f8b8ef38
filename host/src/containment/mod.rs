//! What the process itself may do, should a guest break out of its sandbox.
//!
//! Three protections of the Linux kernel, each for what is started from the process
//! too: no new privileges (`prctl(2)`), an allow-list of system calls (`seccomp(2)`),
//! and the folders that may be read and written (`landlock(7)`). None can be undone.
//!
//! The order matters: what makes sockets, and everything that asks for more than
//! serving does, comes before [`apply`]; threads come after it, since landlock holds
//! only the thread that asks for it and what that thread starts.
//!
//! Deliberately absent: a way to make a socket, unless the configuration names an
//! authorization server to ask. The listeners are bound before. With `auth.issuers`
//! there are TCP connections to their ports and to that of name servers, and datagrams
//! to anywhere, since names are asked for by them and no kernel of today can bound them
//! (see `outgoing`).

#[cfg(target_os = "linux")]
mod files;
mod outgoing;
#[cfg(target_os = "linux")]
mod system_calls;

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::{Config, Protection, Tls};

/// What a process needs, and which protections its operator switched off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    role: Role,
    without: Vec<Protection>,
    /// Files and folders, with all that is below them.
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
    /// Folders whose files may be removed.
    remove: Vec<PathBuf>,
    /// The TCP ports that may be connected to. Without any, no socket can be made.
    connect: BTreeSet<u16>,
}

/// What a process does for a living.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Answers calls, on sockets that are there already, and starts compilers.
    Server,
    /// Turns one component into machine code.
    Compiler,
}

impl Plan {
    /// For a process that serves calls. The state folder is there already.
    ///
    /// A drop folder that is not there yet is to work when it comes: then everything
    /// in its nearest folder that exists may be read.
    pub fn of_server(config: &Config) -> Self {
        let mut read = vec![existing(&config.plugins.dir), of_keys(&config.auth.keys)];
        // What is read anew is replaced by a rename, so its folder has to be told.
        read.extend(config.auth.policy.iter().flat_map(|policy| places_of(policy)));
        read.extend(config.server.tls.iter().flat_map(Tls::files).flat_map(places_of));
        let connect = outgoing::ports(&config.auth.issuers);
        if !connect.is_empty() {
            read.extend(outgoing::files());
        }
        for issuer in &config.auth.issuers {
            read.extend(issuer.ca.iter().flat_map(|ca| places_of(ca)));
        }
        let mut write = vec![config.state.dir.clone()];
        write.extend(folder_of(&config.audit.path).map(Path::to_path_buf));
        let remove = folder_of(&config.admin.socket).map(Path::to_path_buf);
        Self {
            role: Role::Server,
            without: config.containment.without.clone(),
            read,
            write,
            remove: remove.into_iter().collect(),
            connect,
        }
    }

    /// For a process that compiles into the folder `code`, and is started by a server
    /// with these protections switched off.
    pub fn of_compiler(code: &Path, without: &[Protection]) -> Self {
        Self {
            role: Role::Compiler,
            without: without.to_vec(),
            read: Vec::new(),
            write: vec![code.to_path_buf()],
            remove: Vec::new(),
            connect: BTreeSet::new(),
        }
    }

    fn wants(&self, protection: Protection) -> bool {
        !self.without.contains(&protection)
    }
}

/// The folder of keys, or the folder that the file of keys is in.
fn of_keys(keys: &Path) -> PathBuf {
    match folder_of(keys) {
        Some(folder) if !keys.is_dir() => existing(folder),
        Some(_) | None => existing(keys),
    }
}

/// The folder that a file is in, and the one that it is in behind all links: those who
/// issue certificates and configurations like to link to the newest.
fn places_of(file: &Path) -> impl Iterator<Item = PathBuf> {
    let behind = file.canonicalize().ok().and_then(|file| folder_of(&file).map(Path::to_path_buf));
    let folder = folder_of(file).map(existing);
    let behind = behind.filter(|behind| {
        let known = folder.as_ref().and_then(|folder| folder.canonicalize().ok());
        known.as_ref() != Some(behind)
    });
    folder.into_iter().chain(behind)
}

/// The folder that a file is in; for a relative path of one name, the working folder.
fn folder_of(file: &Path) -> Option<&Path> {
    file.parent().map(or_here)
}

/// The path itself, or its nearest ancestor that exists.
fn existing(path: &Path) -> PathBuf {
    path.ancestors().map(or_here).find(|path| path.exists()).unwrap_or(Path::new("/")).to_path_buf()
}

fn or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

/// What holds the process now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    in_force: Vec<String>,
    lacking: Vec<String>,
}

impl Report {
    /// What does not hold it, and why; nothing where all does.
    pub fn warning(&self) -> Option<String> {
        let named = self.lacking.join("; ");
        (!named.is_empty()).then(|| format!("the process is not contained by {named}"))
    }

    #[cfg(target_os = "linux")]
    fn add(&mut self, protection: Protection, applied: Applied) {
        let name = protection.name();
        match applied {
            Applied::Whole(what) => self.in_force.push(what),
            Applied::Partly(what, missing) => {
                self.in_force.push(what);
                self.lacking.push(missing);
            }
            Applied::KernelLacks => self.lacking.push(format!("{name} (the kernel lacks it)")),
            Applied::SwitchedOff => {
                self.lacking.push(format!("{name} (switched off in [containment])"));
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.in_force.as_slice() {
            [] => f.write_str("contained by nothing"),
            in_force => write!(f, "contained: {}", in_force.join("; ")),
        }
    }
}

/// What became of one protection.
#[cfg(target_os = "linux")]
enum Applied {
    /// It is in force, as this describes.
    Whole(String),
    /// It is in force as the first describes, without what the second names.
    Partly(String, String),
    /// This kernel was built or started without it.
    KernelLacks,
    /// The operator does not want it.
    SwitchedOff,
}

/// A protection that the kernel has could not be had.
#[derive(Debug)]
pub struct NotContained {
    protection: Protection,
    why: String,
}

impl NotContained {
    #[cfg(target_os = "linux")]
    fn new(protection: Protection, why: impl fmt::Display) -> Self {
        Self { protection, why: why.to_string() }
    }
}

impl fmt::Display for NotContained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.protection.name();
        write!(
            f,
            "the process cannot be contained by {name}: {}; `without = [\"{name}\"]` in \
             [containment] does without it",
            self.why
        )
    }
}

impl std::error::Error for NotContained {}

/// Contains this process, for good. Must come before its second thread.
///
/// # Errors
/// When a protection that the kernel has cannot be had, or the process has threads.
#[cfg(target_os = "linux")]
pub fn apply(plan: &Plan) -> Result<Report, NotContained> {
    // A task beside ours would go on without landlock, and could do what it liked in
    // the memory that we share.
    let tasks = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if tasks > 1 {
        let why = format!("{tasks} threads are there already");
        return Err(NotContained::new(Protection::Landlock, why));
    }
    apply_to_thread(plan)
}

/// Contains the calling thread, and what it starts from now on.
#[cfg(target_os = "linux")]
fn apply_to_thread(plan: &Plan) -> Result<Report, NotContained> {
    type Step = fn(&Plan) -> Result<Applied, NotContained>;
    // The filter of system calls last: the others make some.
    const STEPS: [(Protection, Step); 3] = [
        (Protection::NoNewPrivileges, no_new_privileges),
        (Protection::Landlock, files::restrict),
        (Protection::Seccomp, system_calls::restrict),
    ];
    let mut report = Report::default();
    for (protection, step) in STEPS {
        let applied = if plan.wants(protection) { step(plan)? } else { Applied::SwitchedOff };
        report.add(protection, applied);
    }
    Ok(report)
}

#[cfg(target_os = "linux")]
fn no_new_privileges(_: &Plan) -> Result<Applied, NotContained> {
    rustix::thread::set_no_new_privs(true)
        .map_err(|error| NotContained::new(Protection::NoNewPrivileges, error))?;
    Ok(Applied::Whole("no new privileges".to_owned()))
}

/// Does nothing: only Linux has what it takes.
///
/// # Errors
/// Never.
#[cfg(not(target_os = "linux"))]
pub fn apply(_: &Plan) -> Result<Report, NotContained> {
    let lacking = vec!["seccomp and landlock (only Linux has them)".to_owned()];
    Ok(Report { in_force: Vec::new(), lacking })
}

/// Why a file cannot be read, in words that tell what to do where it is a link out of
/// its folder: there, landlock lets the process read nothing.
pub fn why_unreadable(file: &Path, error: &io::Error) -> String {
    let outside = || {
        let folder = folder_of(file)?.canonicalize().ok()?;
        let target = file.canonicalize().ok()?;
        (!target.starts_with(&folder)).then_some(target)
    };
    let denied = error.kind() == io::ErrorKind::PermissionDenied;
    match denied.then(outside).flatten() {
        None => error.to_string(),
        Some(target) => format!(
            "it is a link to {}, and nothing outside of its folder may be read; copy it in, or \
             set `without = [\"landlock\"]` in [containment]",
            target.display()
        ),
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests;
