//! What is tested: the binary, the first-party plugins and the guests, built once
//! per process by the same tools as a user's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::Value;

/// The plugins that come with Bulkhead.
const FIRST_PARTY: &[&str] = &["records", "text", "data", "wordstats"];

static ARTIFACTS: LazyLock<Artifacts> = LazyLock::new(Artifacts::build);

struct Artifacts {
    bulkhead: PathBuf,
    components: BTreeMap<String, PathBuf>,
}

/// The server's binary, of the profile that the tests were built with.
pub fn bulkhead() -> &'static Path {
    &ARTIFACTS.bulkhead
}

/// The component of a guest or a first-party plugin.
///
/// # Panics
/// When there is none of this name.
pub fn component(name: &str) -> &'static Path {
    let component = ARTIFACTS.components.get(name);
    component.unwrap_or_else(|| panic!("there is no guest and no plugin `{name}`"))
}

impl Artifacts {
    fn build() -> Self {
        let bulkhead = binary();
        let target =
            bulkhead.parent().and_then(Path::parent).expect("binaries are two levels deep");
        let out = target.join("e2e-plugins");
        std::fs::create_dir_all(&out).expect("the target folder can be written");
        // First, because it installs the wasm target where that is missing.
        let first_party = FIRST_PARTY.iter().map(|name| built(&bulkhead, name, &out));
        let mut components: BTreeMap<String, PathBuf> = first_party.collect();
        components.extend(guests(&["--examples"], "wasm32-wasip2"));
        install("wasm32-wasip1");
        let of_preview1 = guests(&["--example", "command"], "wasm32-wasip1");
        components.extend(of_preview1.map(|(name, path)| (format!("{name}-preview1"), path)));
        Self { bulkhead, components }
    }
}

/// The workspace's folder.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package is in a workspace")
}

fn binary() -> PathBuf {
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let made = cargo(&["build", "--bin", "bulkhead", "--profile", profile]);
    let executable = made.iter().find_map(|message| message["executable"].as_str());
    executable.map(PathBuf::from).expect("cargo names the binary that it made")
}

/// Installs a target, where it is missing.
fn install(target: &str) {
    let mut asked = Command::new("rustc");
    asked.args(["--print", "target-libdir", "--target", target]).current_dir(workspace());
    if !Path::new(run(asked).trim()).is_dir() {
        let mut rustup = Command::new("rustup");
        rustup.args(["target", "add", target]).current_dir(workspace());
        run(rustup);
    }
}

fn guests(which: &[&str], target: &str) -> impl Iterator<Item = (String, PathBuf)> + use<> {
    let built = ["build", "--package", "guests", "--target", target, "--profile", "plugin"];
    let made = cargo(&[&built, which].concat());
    made.into_iter().filter(|message| message["target"]["kind"][0] == "example").map(|message| {
        let name = message["target"]["name"].as_str().unwrap_or_default().to_owned();
        let files = message["filenames"].as_array().into_iter().flatten();
        let wasm = files.filter_map(Value::as_str).find(|file| file.ends_with(".wasm"));
        let wasm = wasm.unwrap_or_else(|| panic!("cargo made no component of {name}"));
        (name, PathBuf::from(wasm))
    })
}

/// Builds a first-party plugin the way its author does.
fn built(bulkhead: &Path, name: &str, out: &Path) -> (String, PathBuf) {
    let mut command = Command::new(bulkhead);
    command.arg("build").arg(workspace().join("plugins").join(name)).arg("--out").arg(out);
    let printed = run(command);
    (name.to_owned(), PathBuf::from(printed.trim()))
}

/// Runs cargo and returns the artifacts that it tells of.
fn cargo(arguments: &[&str]) -> Vec<Value> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).args(["--message-format", "json-render-diagnostics"]);
    command.current_dir(workspace());
    run(command).lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Runs a command that has to succeed; what it says besides its output is shown.
fn run(mut command: Command) -> String {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?} could not be run: {error}"));
    assert!(output.status.success(), "{command:?} failed: {}", output.status);
    String::from_utf8(output.stdout).expect("a tool prints text")
}
