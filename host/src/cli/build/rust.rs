//! Rust, by cargo: a `cdylib` becomes a component, a `bin` a command.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::error::BuildError;
use super::toolchain::{Project, read};
use crate::cli::progress::Progress;

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
    // Not the functions' names: an operator looks for them in a crashed call's backtrace.
    "profile.plugin.strip=\"debuginfo\"",
    "profile.plugin.debug=false",
];

pub(super) fn compile(project: &Project) -> Result<Vec<u8>, BuildError> {
    install_target(project)?;
    let target = Target::of(project)?;
    read(&run_cargo(project, &target)?)
}

/// Installs the wasm target with rustup, if the toolchain that is in force in the source
/// folder does not have it.
fn install_target(project: &Project) -> Result<(), BuildError> {
    let dir = &project.folder;
    let asked = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(dir)
        .stderr(Stdio::null())
        .output()
        .map_err(|error| no_rust(project, &error))?;
    let libdir = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
    if asked.status.success() && Path::new(&libdir).is_dir() {
        return Ok(());
    }
    let _progress =
        Progress::begin(&format!("installing the {TARGET} target (rustup target add {TARGET})"));
    let failed = |why: &str| {
        BuildError::missing_toolchain(
            format!("the {TARGET} target is missing and could not be installed ({why})"),
            &[format!("rustup target add {TARGET}")],
        )
    };
    let installed = Command::new("rustup")
        .args(["target", "add", TARGET])
        .current_dir(dir)
        .output()
        .map_err(|error| failed(&error.to_string()))?;
    match installed.status.success() {
        true => Ok(()),
        false => Err(failed(String::from_utf8_lossy(&installed.stderr).trim())),
    }
}

fn no_rust(project: &Project, error: &std::io::Error) -> BuildError {
    BuildError::missing_toolchain(
        format!("{} is written in Rust, and rustc could not be run ({error})", project.name),
        &["curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh".to_owned()],
    )
}

/// What of a package is the plugin.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    Library,
    Program(String),
}

impl Target {
    /// The library that cargo makes a `.wasm` of, or else the only program.
    fn of(project: &Project) -> Result<Self, BuildError> {
        let asked = Command::new("cargo")
            .args(["metadata", "--format-version", "1", "--no-deps"])
            .current_dir(&project.folder)
            .output()
            .map_err(|error| no_rust(project, &error))?;
        if !asked.status.success() {
            let said = String::from_utf8_lossy(&asked.stderr);
            return Err(project.does_not_build(&errors_only(&said)));
        }
        let metadata: Metadata = serde_json::from_slice(&asked.stdout).map_err(BuildError::new)?;
        let here = project.folder.join("Cargo.toml");
        let is_here = |package: &Package| {
            package.manifest_path == here
                || package.manifest_path.canonicalize().ok() == here.canonicalize().ok()
        };
        match metadata.packages.into_iter().find(is_here) {
            Some(package) => Self::among(project, package.targets),
            None => Err(project.does_not_build("its Cargo.toml has no [package]")),
        }
    }

    fn among(project: &Project, targets: Vec<PackageTarget>) -> Result<Self, BuildError> {
        let is = |target: &PackageTarget, kind: &str| target.kind.iter().any(|k| k == kind);
        if targets.iter().any(|target| is(target, "cdylib")) {
            return Ok(Self::Library);
        }
        let mut programs: Vec<_> =
            targets.into_iter().filter(|t| is(t, "bin")).map(|t| t.name).collect();
        match (programs.pop(), programs.is_empty()) {
            (Some(program), true) => Ok(Self::Program(program)),
            (Some(_), false) => Err(project.does_not_build(
                "its package has several programs, and a plugin is one; move the others to a \
                 package of their own",
            )),
            (None, _) => Err(project.does_not_build(
                "its package is neither a `cdylib` nor a program; its Cargo.toml needs \
                 `[lib] crate-type = [\"cdylib\"]`",
            )),
        }
    }

    fn arguments(&self) -> Vec<&str> {
        match self {
            Self::Library => vec!["--lib"],
            Self::Program(name) => vec!["--bin", name],
        }
    }
}

/// Runs cargo and returns the path of the component that it made.
fn run_cargo(project: &Project, target: &Target) -> Result<PathBuf, BuildError> {
    let name = &project.name;
    let progress = Progress::begin(&format!("building {name}"));
    let mut cargo = Command::new("cargo");
    cargo
        .arg("build")
        .args(target.arguments())
        .args(["--target", TARGET, "--profile", "plugin"])
        .args(["--message-format", "json-render-diagnostics"])
        .args(PROFILE.iter().flat_map(|setting| ["--config", setting]))
        .current_dir(&project.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = cargo.spawn().map_err(|error| no_rust(project, &error))?;
    let spoken = child.stderr.take();
    let speaking = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = spoken.map(|mut stderr| stderr.read_to_string(&mut text));
        text
    });
    let mut component = None;
    for line in child.stdout.take().into_iter().flat_map(|stdout| BufReader::new(stdout).lines()) {
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
    let status = child.wait().map_err(|error| no_rust(project, &error))?;
    let spoken = speaking.join().unwrap_or_default();
    match component {
        Some(component) if status.success() => Ok(component),
        _ if status.success() => Err(project.does_not_build("cargo made no .wasm of it")),
        _ => Err(project.does_not_build(&errors_only(&spoken))),
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

/// The part of cargo's metadata that is of use here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    manifest_path: PathBuf,
    targets: Vec<PackageTarget>,
}

#[derive(Deserialize)]
struct PackageTarget {
    name: String,
    kind: Vec<String>,
}
