//! `bulkhead build`: from a plugin's source to a `.wasm` with its manifest inside.

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use clap::Args;
use serde::Deserialize;

use super::failure::{self, Failure};
use super::progress::Progress;
use crate::config::Manifest;
use crate::runtime::embed_manifest;

/// What rustc calls WASI 0.2.
const TARGET: &str = "wasm32-wasip2";

/// How plugins are compiled, wherever their source is: small, and a panic ends the
/// instance. The profile is a plugin's own, because `abort` must not reach a host in
/// the same workspace, which catches panics.
const PROFILE: &[&str] = &[
    "profile.plugin.inherits=\"release\"",
    "profile.plugin.opt-level=\"s\"",
    "profile.plugin.lto=true",
    "profile.plugin.codegen-units=1",
    "profile.plugin.panic=\"abort\"",
    "profile.plugin.strip=true",
    "profile.plugin.debug=false",
];

#[derive(Debug, Args)]
pub(super) struct Build {
    /// The plugin's source: a folder with a `plugin.toml` and a `Cargo.toml`.
    #[arg(default_value = ".")]
    source: PathBuf,
    /// Where the `.wasm` goes. By default beside the source folder, which is the
    /// drop folder when the source is under `plugins/`.
    #[arg(long, short)]
    out: Option<PathBuf>,
}

impl Build {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let failed = |error: BuildError| Failure::new(failure::DATA, error);
        let source = self.source.canonicalize().map_err(|error| {
            Failure::new(failure::DATA, format!("{}: {error}", self.source.display()))
        })?;
        let out = match (self.out, source.parent()) {
            (Some(out), _) => out,
            (None, Some(parent)) => parent.to_path_buf(),
            (None, None) => PathBuf::from("."),
        };
        let builder = Builder::new();
        builder.install_target(&source).map_err(failed)?;
        let built = builder.build(&source, &out).map_err(failed)?;
        println!("{}", built.display());
        Ok(ExitCode::SUCCESS)
    }
}

/// Why a plugin was not built; the compiler's own words where it spoke.
#[derive(Debug)]
pub struct BuildError(String);

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BuildError {}

/// Builds plugins with the installed Rust toolchain.
#[derive(Clone, Copy, Debug, Default)]
pub struct Builder(());

impl Builder {
    /// A builder.
    pub fn new() -> Self {
        Self(())
    }

    /// Installs the wasm target with rustup, if the toolchain that is in force in
    /// `dir` does not have it.
    ///
    /// # Errors
    /// When there is no Rust, or the target is missing and cannot be installed.
    pub fn install_target(self, dir: &Path) -> Result<(), BuildError> {
        let asked = Command::new("rustc")
            .args(["--print", "target-libdir", "--target", TARGET])
            .current_dir(dir)
            .stderr(Stdio::null())
            .output()
            .map_err(|error| BuildError(format!("rustc could not be run ({error}); plugins written in Rust need a toolchain, see https://rustup.rs")))?;
        let libdir = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
        if asked.status.success() && Path::new(&libdir).is_dir() {
            return Ok(());
        }
        let _progress = Progress::begin(&format!(
            "installing the {TARGET} target (rustup target add {TARGET})"
        ));
        let failed = |why: String| {
            BuildError(format!("the {TARGET} target is missing and could not be installed: {why}"))
        };
        let installed = Command::new("rustup")
            .args(["target", "add", TARGET])
            .current_dir(dir)
            .output()
            .map_err(|error| failed(error.to_string()))?;
        match installed.status.success() {
            true => Ok(()),
            false => Err(failed(String::from_utf8_lossy(&installed.stderr).trim().to_owned())),
        }
    }

    /// Builds the plugin in `source`, and puts `NAME.wasm` into `out` with the
    /// manifest inside. A file that is the same already is left alone, so that a
    /// server which watches `out` has nothing to do.
    ///
    /// # Errors
    /// When the manifest is wrong or the source does not compile.
    pub fn build(self, source: &Path, out: &Path) -> Result<PathBuf, BuildError> {
        let manifest_path = source.join("plugin.toml");
        let text = std::fs::read_to_string(&manifest_path).map_err(|error| {
            BuildError(format!(
                "{}: {error}; a plugin's source has a manifest beside its Cargo.toml",
                manifest_path.display()
            ))
        })?;
        let manifest = Manifest::parse(&manifest_path.display().to_string(), &text)
            .map_err(|problems| BuildError(problems.to_string()))?;
        let compiled = self.compile(source, manifest.name.as_str())?;
        let failed = |path: &Path| {
            let path = path.display().to_string();
            move |error: std::io::Error| BuildError(format!("{path}: {error}"))
        };
        let component = std::fs::read(&compiled).map_err(failed(&compiled))?;
        let component = embed_manifest(&component, &text)
            .map_err(|error| BuildError(format!("{}: {error}", compiled.display())))?;
        let target = out.join(format!("{}.wasm", manifest.name));
        if std::fs::read(&target).is_ok_and(|present| present == component) {
            return Ok(target);
        }
        // Replaced at once: nobody ever reads half a component.
        let half = out.join(format!(".{}.wasm.new", manifest.name));
        std::fs::write(&half, &component).map_err(failed(&half))?;
        std::fs::rename(&half, &target).map_err(failed(&target))?;
        Ok(target)
    }

    /// Runs cargo and returns the path of the component that it made.
    fn compile(self, source: &Path, name: &str) -> Result<PathBuf, BuildError> {
        let progress = Progress::begin(&format!("building {name}"));
        let mut cargo = Command::new("cargo");
        cargo
            .args(["build", "--lib", "--target", TARGET, "--profile", "plugin"])
            .args(["--message-format", "json-render-diagnostics"])
            .args(PROFILE.iter().flat_map(|setting| ["--config", setting]))
            .current_dir(source)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let failed = |error: std::io::Error| BuildError(format!("cargo could not be run: {error}"));
        let mut child = cargo.spawn().map_err(failed)?;
        let spoken = child.stderr.take();
        let speaking = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = spoken.map(|mut stderr| stderr.read_to_string(&mut text));
            text
        });
        let mut component = None;
        for line in
            child.stdout.take().into_iter().flat_map(|stdout| BufReader::new(stdout).lines())
        {
            let Ok(line) = line else { break };
            let Ok(message) = serde_json::from_str::<CargoMessage>(&line) else {
                continue;
            };
            if let Some(target) = &message.target {
                progress.tell(&format!("building {name}: {}", target.name));
            }
            let made = message.filenames.into_iter().rfind(|file| file.ends_with(".wasm"));
            component = made.map(PathBuf::from).or(component);
        }
        let status = child.wait().map_err(failed)?;
        let spoken = speaking.join().unwrap_or_default();
        match component {
            Some(component) if status.success() => Ok(component),
            _ if status.success() => Err(BuildError(format!(
                "{name}: cargo made no .wasm; its Cargo.toml needs `[lib] crate-type = [\"cdylib\"]`"
            ))),
            _ => Err(BuildError(format!("{name} does not build:\n{}", errors_only(&spoken)))),
        }
    }
}

/// What cargo says without the lines that tell of its progress.
fn errors_only(spoken: &str) -> String {
    let progress = [
        "Compiling ",
        "Downloaded ",
        "Downloading ",
        "Blocking ",
        "Updating ",
        "Locking ",
        "Adding ",
    ];
    let chatter = |line: &&str| progress.iter().any(|word| line.trim_start().starts_with(word));
    spoken.lines().filter(|line| !chatter(line)).collect::<Vec<_>>().join("\n")
}

/// The part of cargo's messages that is of use here.
#[derive(Deserialize)]
struct CargoMessage {
    #[serde(default)]
    filenames: Vec<String>,
    target: Option<CargoTarget>,
}

#[derive(Deserialize)]
struct CargoTarget {
    name: String,
}
