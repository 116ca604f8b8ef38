//! A folder of a test's own: configuration, plugins, state; and the command line in it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::artifacts;
use crate::wait::patiently;

/// A folder that is gone when the test ends.
#[derive(Debug)]
pub struct Folder(TempDir);

/// An API key, fresh from `key create`.
#[derive(Clone, Debug)]
pub struct Key {
    /// What names it.
    pub id: String,
    /// What proves it.
    pub key: String,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let dir = TempDir::with_prefix("bulkhead-").expect("a temporary folder can be made");
        std::fs::create_dir(dir.path().join("plugins")).expect("it can be written");
        Self(dir)
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The configuration.
    pub fn config(&self) -> PathBuf {
        self.path("bulkhead.toml")
    }

    /// A path in the drop folder.
    pub fn plugin(&self, file: &str) -> PathBuf {
        self.path("plugins").join(file)
    }

    /// Writes a file into the drop folder, the way a person copies one.
    pub fn drop_in(&self, file: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.plugin(file), bytes).expect("the drop folder can be written");
    }

    /// Copies a guest or a first-party plugin into the drop folder, the latter with
    /// the sidecar that it ships with.
    pub fn drop_component(&self, name: &str) {
        let copy = |from: &Path, to: String| {
            std::fs::copy(from, self.plugin(&to)).expect("the drop folder can be written");
        };
        let sidecar = artifacts::workspace().join(format!("plugins/{name}.toml"));
        if sidecar.exists() {
            copy(&sidecar, format!("{name}.toml"));
        }
        copy(artifacts::component(name), format!("{name}.wasm"));
    }

    /// A command with this folder's configuration. Nothing of the caller's own
    /// environment configures it.
    pub fn command(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(artifacts::bulkhead());
        command.args(arguments).arg("--config").arg(self.config()).current_dir(self.0.path());
        let ours = |name: &String| name.starts_with("BULKHEAD") || name == "STATE_DIRECTORY";
        for (name, _) in std::env::vars().filter(|(name, _)| ours(name)) {
            command.env_remove(name);
        }
        // Any free port: tests run side by side.
        command.env("BULKHEAD__SERVER__LISTEN", "127.0.0.1:0");
        command.env("BULKHEAD__HEALTH__LISTEN", "127.0.0.1:0");
        command.kill_on_drop(true);
        command
    }

    /// Runs `bulkhead` with these arguments to its end.
    pub async fn cli(&self, arguments: &[&str]) -> Output {
        let running = self.command(arguments).output();
        let output = patiently(&format!("the end of {arguments:?}"), running).await;
        output.expect("the binary can be run")
    }

    /// Runs `serve` on this address to its end.
    pub async fn serve_on(&self, address: &str) -> Output {
        let mut command = self.command(["serve"]);
        command.env("BULKHEAD__SERVER__LISTEN", address);
        let output = patiently("the end of `serve`", command.output()).await;
        output.expect("the binary can be run")
    }

    /// Runs `bulkhead` with these arguments, which has to succeed, and returns what
    /// it printed.
    pub async fn cli_ok(&self, arguments: &[&str]) -> String {
        let output = self.cli(arguments).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {}: {said}", output.status);
        String::from_utf8(output.stdout).expect("it prints text")
    }

    /// Makes a key for `agent`, with more arguments of `key create`.
    pub async fn key(&self, agent: &str, more: &[&str]) -> Key {
        let arguments = [&["key", "create", "--json", "--agent", agent], more].concat();
        let made: Value = serde_json::from_str(&self.cli_ok(&arguments).await).expect("JSON");
        assert_eq!(made["agent"], agent, "{made}");
        let text = |field: &str| made[field].as_str().expect("a text").to_owned();
        Key { id: text("id"), key: text("key") }
    }

    /// The records of the audit log, its chain verified.
    pub fn audit(&self) -> Vec<Value> {
        crate::parse_log(&self.state("audit.jsonl"))
    }

    /// A path in the state folder.
    pub fn state(&self, name: &str) -> PathBuf {
        self.path(".bulkhead").join(name)
    }

    /// The processes that compile for this folder's servers, by their ids.
    pub fn compilers(&self) -> Vec<u32> {
        let processes = std::fs::read_dir("/proc").expect("the kernel lists processes");
        let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let here = self.root().as_os_str().as_encoded_bytes();
        let compiles = |id: &u32| {
            // One that has ended by now has no command line.
            let command = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            command.starts_with(b"bulkhead\0compile\0")
                && command.windows(here.len()).any(|part| part == here)
        };
        ids.filter(compiles).collect()
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        self.0.path()
    }
}
