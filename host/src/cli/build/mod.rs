//! `bulkhead build`: from a plugin's source, in any language, to a `.wasm` with its
//! manifest inside.
//!
//! Each language has a file here that finds its toolchain and runs it; what comes before
//! and after is the same for all.

mod c;
mod component;
mod describe;
mod error;
mod go;
mod javascript;
mod language;
mod manifest;
mod python;
mod rust;
mod toolchain;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

pub use self::error::BuildError;
pub(super) use self::language::Language;
pub(super) use self::toolchain::is_authored;

use self::toolchain::Project;
use super::failure::{self, Failure};
use super::shared;
use super::temporary::TemporaryFolder;

/// The author's manifest in a plugin's source folder.
pub(super) const MANIFEST: &str = "plugin.toml";

#[derive(Debug, Args)]
pub(super) struct Build {
    /// The plugin's source: a folder with a `plugin.toml` and one of
    ///
    ///   Cargo.toml                    Rust: a cdylib, or a bin, which is a command
    ///   package.json + plugin.js|ts   JavaScript, TypeScript
    ///   go.mod                        Go
    ///   plugin.py                     Python
    ///   *.c                           C
    ///
    /// `bulkhead new` writes one to begin with.
    #[arg(default_value = ".", verbatim_doc_comment)]
    source: PathBuf,
    /// The folder that NAME.wasm goes to. By default the one that holds the source
    /// folder, which is the drop folder when the source is under `plugins/`.
    #[arg(long, short, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Build {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let failed = |path: &Path, error| {
            Failure::new(failure::DATA, format!("{}: {error}", path.display()))
        };
        let source = self.source.canonicalize().map_err(|error| failed(&self.source, error))?;
        let out = match (self.out, source.parent()) {
            (Some(out), _) => {
                std::fs::create_dir_all(&out).map_err(|error| failed(&out, error))?;
                out
            }
            (None, Some(parent)) => parent.to_path_buf(),
            (None, None) => PathBuf::from("."),
        };
        let built = build(&source, &out)?;
        // The path alone is data: scripts read it.
        eprintln!("built {}", built.summary());
        println!("{}", built.path.display());
        Ok(ExitCode::SUCCESS)
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        let code = if error.is_missing_toolchain() { failure::UNAVAILABLE } else { failure::DATA };
        Self::new(code, error)
    }
}

/// A plugin that was built.
#[derive(Clone, Debug)]
pub struct Built {
    /// Its file, which carries its manifest.
    pub path: PathBuf,
    /// Its name and version.
    pub identity: String,
    /// The size of its file, in bytes.
    pub bytes: usize,
    /// Its tools, where a look at the file tells: not those that it tells itself.
    pub tools: Vec<String>,
}

impl Built {
    fn summary(&self) -> String {
        let size = shared::kibibytes(self.bytes as u64);
        let tools = match self.tools.as_slice() {
            [] => String::new(),
            tools => format!(": {}", tools.join(", ")),
        };
        format!("{} ({size}){tools}", self.identity)
    }
}

/// Builds the plugin in `source`, and puts `NAME.wasm` into `out` with the manifest
/// inside. A file that is the same already is left alone, so that a server which
/// watches `out` has nothing to do.
///
/// # Errors
/// When the manifest is wrong, the toolchain is missing, or the source does not compile.
pub fn build(source: &Path, out: &Path) -> Result<Built, BuildError> {
    // Toolchains run in that folder, and what is found beside it is a path from elsewhere.
    let source = &source.canonicalize().map_err(|error| BuildError::of_file(source, error))?;
    let text = manifest::read(source)?;
    let language = Language::of(source)?;
    let manifest = manifest::parse(source, &text)?;
    let project = Project { folder: source.to_path_buf(), name: manifest.name.to_string() };
    let temporary = TemporaryFolder::new()
        .map_err(|error| BuildError::of_file(&std::env::temp_dir(), error))?;
    let made = language.compile(&project, &temporary.path().join("plugin.wasm"))?;
    let identity = format!("{} {}", manifest.name, manifest.version);
    let finished = component::finish(&project, made, manifest, &text)?;
    let path = out.join(format!("{}.wasm", project.name));
    write(&path, &finished.bytes)?;
    Ok(Built { identity, bytes: finished.bytes.len(), tools: finished.tools, path })
}

/// The operator's sidecar for a component that was built from `source`: beside the folder
/// or in it.
pub(super) fn sidecar_of(source: &Path, component: &Path) -> Option<PathBuf> {
    /// What else is called like a plugin's sidecar, were the plugin called so.
    const OTHERS: [&str; 5] =
        [MANIFEST, "bulkhead.toml", "Cargo.toml", "examples.toml", "pyproject.toml"];
    let name = Path::new(component.file_name()?).with_extension("toml");
    if OTHERS.iter().any(|other| name.as_os_str().eq_ignore_ascii_case(other)) {
        return None;
    }
    let places = source.parent().into_iter().chain([source]);
    places.map(|folder| folder.join(&name)).find(|path| path.is_file())
}

/// Replaces a file at once: nobody ever reads half a component.
fn write(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    if std::fs::read(path).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let half = path.with_file_name(format!(".{name}.new"));
    std::fs::write(&half, bytes).map_err(|error| BuildError::of_file(&half, error))?;
    std::fs::rename(&half, path).map_err(|error| BuildError::of_file(path, error))
}
