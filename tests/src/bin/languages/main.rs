//! Builds tools in every language from source, with the toolchains that their authors
//! use, and runs them in a real server: one shared test of `wordstats`, the two plugins
//! that run code, what the pages of the SDKs show, and what `bulkhead new` writes. Prints
//! tables, and ends with 1 if anything is not as it has to be.
//!
//!     languages OUT_DIR
//!
//! The toolchains are on the PATH (`tests/languages` sees to that).

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]
#![allow(clippy::disallowed_methods, reason = "times are what it tells")]

mod agents;
mod authors;
mod cost;
mod pages;
mod wordstats;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What is not as it has to be, each with where.
type Failures = Vec<String>;

#[tokio::main]
async fn main() -> ExitCode {
    let out = std::env::args_os().nth(1).expect("usage: languages OUT_DIR");
    let out = PathBuf::from(out);
    let mut failures = Failures::new();
    failures.extend(wordstats::run(&out).await);
    failures.extend(agents::run(&out).await);
    failures.extend(authors::run().await);
    failures.extend(pages::run().await);
    println!("\n{} things not as expected", failures.len());
    failures.iter().for_each(|failure| println!("{failure}"));
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs `bulkhead` in a folder to its end; what it said where it failed.
async fn bulkhead(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = tokio::process::Command::new(bulkhead_tests::bulkhead());
    command.args(arguments).current_dir(folder).kill_on_drop(true);
    let output = command.output().await.expect("the binary can be run");
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    match output.status.success() {
        true => Ok(stdout.into_owned()),
        false => Err(format!("bulkhead {}: {stdout}{stderr}", arguments.join(" "))),
    }
}

/// Builds a plugin of this repository into a folder of its own.
async fn built(source: &str, out: &Path) -> PathBuf {
    std::fs::create_dir_all(out).expect("the target folder can be written");
    let out = out.to_str().expect("a path in UTF-8");
    let path = bulkhead(bulkhead_tests::workspace(), &["build", source, "--out", out]).await;
    PathBuf::from(path.unwrap_or_else(|said| panic!("{said}")).trim())
}
