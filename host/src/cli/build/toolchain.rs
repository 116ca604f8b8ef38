//! What all languages share: where programs are found, how they are run, what of a
//! folder its author wrote.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::BuildError;
use crate::cli::progress::Progress;

/// Folders of programs that an author installs beside a source, as `python -m venv`
/// makes them.
const ENVIRONMENTS: [&str; 2] = [".venv", "venv"];

/// Folders that tools fill, and no author.
const TOOLS_OWN: [&str; 4] = ["target", "node_modules", "venv", "__pycache__"];

/// A source that is being built.
#[derive(Clone, Debug)]
pub(super) struct Project {
    /// The source folder.
    pub(super) folder: PathBuf,
    /// The plugin's name.
    pub(super) name: String,
}

/// A program, and the virtual environment that it is of.
#[derive(Clone, Debug)]
pub(super) struct Program {
    path: PathBuf,
    environment: Option<PathBuf>,
}

impl Program {
    /// A command that runs it in the source folder.
    pub(super) fn command(&self, project: &Project) -> Command {
        let mut command = Command::new(&self.path);
        command.current_dir(&project.folder);
        if let Some(environment) = &self.environment {
            // As `activate` does: it is where tools look for packages.
            command.env("VIRTUAL_ENV", environment);
        }
        command
    }
}

impl Project {
    /// Finds a program: in a virtual environment of the source folder or of a folder
    /// above it, in the one that is active, on the PATH.
    pub(super) fn find(&self, program: &str) -> Option<Program> {
        let beside =
            self.own_ancestors().flat_map(|folder| ENVIRONMENTS.map(|name| folder.join(name)));
        let active = std::env::var_os("VIRTUAL_ENV").map(PathBuf::from);
        let in_environment = |environment: PathBuf| {
            let path = environment.join("bin").join(program);
            path.is_file().then_some(Program { path, environment: Some(environment) })
        };
        beside.chain(active).find_map(in_environment).or_else(|| {
            let paths = std::env::var_os("PATH")?;
            let path =
                std::env::split_paths(&paths).map(|dir| dir.join(program)).find(|p| p.is_file())?;
            Some(Program { path, environment: None })
        })
    }

    /// The folder, and those above it as long as nobody else can write to them: what is
    /// found there is run.
    fn own_ancestors(&self) -> impl Iterator<Item = &Path> {
        let mut ancestors = self.folder.ancestors();
        let own = ancestors.next().into_iter();
        own.chain(ancestors.take_while(|folder| is_own(folder)))
    }

    /// Every Python that [`Project::find`] would look at, the nearest first.
    pub(super) fn pythons(&self) -> impl Iterator<Item = Program> {
        ["python3", "python"].into_iter().filter_map(|name| self.find(name))
    }

    /// Finds a file of an npm package, where node would.
    pub(super) fn find_in_node_modules(&self, file: &str) -> Option<PathBuf> {
        self.own_ancestors()
            .map(|folder| folder.join("node_modules").join(file))
            .find(|path| path.is_file())
    }

    /// The folder, as a person would name it in a command.
    pub(super) fn shown(&self) -> String {
        let here = std::env::current_dir().unwrap_or_default();
        match self.folder.strip_prefix(here) {
            Ok(below) if below.as_os_str().is_empty() => ".".to_owned(),
            Ok(below) => below.display().to_string(),
            Err(_) => self.folder.display().to_string(),
        }
    }

    /// The line that installs Python packages beside the source.
    pub(super) fn pip_install(&self, package: &str) -> String {
        let folder = quoted(&self.folder.join(ENVIRONMENTS[0]).display().to_string());
        format!("python3 -m venv {folder} && {folder}/bin/pip install {package}")
    }

    /// Runs a toolchain, and shows what it says only if it fails: of that, what `telling`
    /// takes out.
    pub(super) fn run(
        &self,
        mut command: Command,
        telling: fn(&str) -> &str,
    ) -> Result<(), BuildError> {
        let _progress = Progress::begin(&format!("building {}", self.name));
        let ran = command.stdin(Stdio::null()).output().map_err(|error| {
            BuildError::new(format!("{} could not be run: {error}", shown(command.get_program())))
        })?;
        if ran.status.success() {
            return Ok(());
        }
        let said =
            [&ran.stderr, &ran.stdout].map(|text| String::from_utf8_lossy(text).into_owned());
        let said = said.iter().map(|text| telling(text).trim()).find(|text| !text.is_empty());
        Err(self.does_not_build(said.unwrap_or(&ran.status.to_string())))
    }

    /// The refusal of a source that its toolchain refused, in its words.
    pub(super) fn does_not_build(&self, said: &str) -> BuildError {
        BuildError::new(format!("{} does not build:\n{}", self.name, said.trim_end()))
    }

    /// The refusal of a source that no toolchain could make work here: found before
    /// any is asked.
    pub(super) fn cannot_work(&self, why: &str) -> BuildError {
        BuildError::new(format!("{} cannot work as a plugin: {why}", self.name))
    }

    /// Every file below the folder that its author may have written, with an extension.
    pub(super) fn files(&self, extension: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        collect(&self.folder, extension, &mut found);
        found.sort();
        found
    }

    /// A file's path within the source folder.
    pub(super) fn within<'a>(&self, file: &'a Path) -> &'a Path {
        file.strip_prefix(&self.folder).unwrap_or(file)
    }
}

#[cfg(unix)]
fn is_own(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    folder.metadata().is_ok_and(|folder| {
        folder.uid() == rustix::process::geteuid().as_raw() && folder.mode() & 0o002 == 0
    })
}

#[cfg(not(unix))]
fn is_own(_: &Path) -> bool {
    true
}

fn collect(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for name in names(folder) {
        let path = folder.join(&name);
        match is_authored(Path::new(&name)) {
            // A link may lead around in a circle.
            true if path.is_dir() && !path.is_symlink() => collect(&path, extension, found),
            true if has_extension(&name, extension) => found.push(path),
            true | false => {}
        }
    }
}

/// Whether a path, relative to a source folder, is one that its author may have
/// written: nothing hidden, no editor's copy, and nothing that tools make.
pub(in crate::cli) fn is_authored(path: &Path) -> bool {
    let authored = |part: &OsStr| {
        let part = part.to_string_lossy();
        !(part.starts_with('.') || part.ends_with('~') || TOOLS_OWN.contains(&part.as_ref()))
    };
    path.file_name().is_some() && path.iter().all(authored)
}

/// The names in a folder; none where it cannot be listed.
pub(super) fn names(folder: &Path) -> Vec<String> {
    let listing = std::fs::read_dir(folder).into_iter().flatten();
    listing.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

pub(super) fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found == extension)
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    std::fs::read(path).map_err(|error| BuildError::of_file(path, error))
}

/// A word of a shell's command line.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn shown(program: &OsStr) -> String {
    program.to_string_lossy().into_owned()
}
