//! The author's loop outside of this repository: new, build, test, served, in every
//! language; and the examples of the repository.

use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use super::{Failures, bulkhead, wordstats};

const LANGUAGES: &[&str] = &["rust", "python", "js", "ts", "go", "c"];

/// Folders of this repository with an `examples.toml`.
const EXAMPLES: &[&str] = &[
    "plugins/wordstats",
    "plugins/python",
    "plugins/js",
    "sdk/plain/examples/wordstats",
    "sdk/python/examples/wordstats",
    "sdk/javascript/examples/wordstats",
    "sdk/go/examples/wordstats",
    "sdk/c/examples/wordstats",
];

pub(crate) async fn run() -> Failures {
    let mut failures = Failures::new();
    let dir = TempDir::with_prefix("bulkhead-authors-").expect("a temporary folder can be made");
    println!("\nnew, build, test, served");
    for language in LANGUAGES {
        let told = project(dir.path(), language).await;
        println!("  {language}: {}", if told.is_ok() { "ok" } else { "FAILED" });
        failures.extend(told.err());
    }
    println!("\nexamples");
    for example in EXAMPLES {
        // To run what a caller wrote is to tell where it failed: what is a leak elsewhere.
        let own_calls = ["plugins/python", "plugins/js"].contains(example);
        let cases: &[&str] = if own_calls { &["--cases", "0"] } else { &[] };
        let arguments = [&["test", example], cases].concat();
        let told = bulkhead(bulkhead_tests::workspace(), &arguments).await;
        println!("  {example}: {}", if told.is_ok() { "ok" } else { "FAILED" });
        failures.extend(told.err());
    }
    failures.extend(existing_tool(dir.path()).await.err());
    failures
}

async fn project(dir: &Path, language: &str) -> Result<(), String> {
    let name = format!("hello-{language}");
    bulkhead(dir, &["new", &name, "--lang", language]).await?;
    let folder = dir.join(&name);
    prepare(&folder).await?;
    bulkhead(&folder, &["build"]).await?;
    bulkhead(&folder, &["test"]).await?;
    let component = std::fs::read(dir.join(format!("{name}.wasm"))).expect("it was built");
    let host = wordstats::setup(&name, component).start().await;
    let alice = host.client("alice").await;
    match alice.tool_names().await.is_empty() {
        true => Err(format!("{name}: it serves no tool: {:?}", host.log)),
        false => Ok(()),
    }
}

/// What a person runs once in a new folder.
pub(crate) async fn prepare(folder: &Path) -> Result<(), String> {
    if !folder.join("package.json").exists() {
        return Ok(());
    }
    let mut npm = tokio::process::Command::new("npm");
    npm.args(["install", "--silent", "--no-audit", "--no-fund"]).current_dir(folder);
    let output = npm.output().await.map_err(|error| format!("npm: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("npm install: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// A command-line program that knows nothing of us, with a manifest of ten lines.
async fn existing_tool(dir: &Path) -> Result<(), String> {
    let out = dir.join("jaq");
    std::fs::create_dir(&out).expect("the folder can be written");
    let script: PathBuf = bulkhead_tests::workspace().join("sdk/command/examples/jaq/build");
    let output = tokio::process::Command::new(script).arg(&out).output().await;
    let output = output.map_err(|error| format!("jaq: {error}"))?;
    if !output.status.success() {
        return Err(format!("jaq: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let manifest = std::fs::read_to_string(out.join("jaq.plugin.toml")).expect("it was built");
    let component = std::fs::read(out.join("jaq.wasm")).expect("it was built");
    let host = wordstats::setup("jaq", component).file("jaq.plugin.toml", manifest).start().await;
    let alice = host.client("alice").await;
    let tool = alice.tool_names().await.pop().unwrap_or_default();
    let arguments = json!({ "filter": "[.[] | .n] | add", "input": [{ "n": 1 }, { "n": 41 }] });
    let answer = alice.call(&tool, arguments).await;
    println!("  {tool}, as it is on its registry: {}", answer.text.contains("42"));
    match answer.text.contains("42") {
        true => Ok(()),
        false => Err(format!("jaq: {}", answer.text)),
    }
}
