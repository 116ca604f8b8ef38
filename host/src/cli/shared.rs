//! What commands share: the configuration, the runtime, the host.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing_subscriber::filter::LevelFilter;

use super::failure::{self, Failure};
use super::progress::Progress;
use super::temporary::TemporaryFolder;
use crate::boot::{self, BootError};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config, Containment, PerCall, Totals};
use crate::containment::{self, Plan};
use crate::pipeline::Host;
use crate::plugins::{Change, Plugins, Snapshot};
use crate::runtime::Sandbox;
use crate::telemetry::log_to_stderr;
use crate::text::clean_line;

/// Reads the configuration: the file, then the environment.
pub(super) fn load_config(path: Option<&Path>) -> Result<Config, Failure> {
    let readable = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    Config::load(path, std::env::vars_os().filter_map(readable)).map_err(|problems| {
        Failure::new(failure::CONFIG, format!("the configuration has problems\n{problems}"))
    })
}

/// Contains this process for good, and tells of it. Comes before [`run`], which starts
/// threads, and after everything that a server may not do, such as listening.
pub(super) fn contain(config: &Config) -> Result<(), Failure> {
    log_to_stderr(config.telemetry.log);
    boot::state_folder(config).map_err(boot_failure)?;
    let report = containment::apply(&Plan::of_server(config))
        .map_err(|error| Failure::new(failure::UNAVAILABLE, error))?;
    tracing::info!("{report}");
    if let Some(warning) = report.warning() {
        tracing::warn!("{warning}");
    }
    Ok(())
}

/// Runs a command to its end, on the runtime that everything but computing guests
/// runs on.
pub(super) fn run<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(failure::UNAVAILABLE, error))?;
    let result = runtime.block_on(command);
    // Not waited for: a read of standard input ends when somebody types.
    runtime.shutdown_background();
    result
}

/// Starts the log, and makes the host of a configuration.
pub(super) fn host(config: &Config) -> Result<Arc<Host>, Failure> {
    log_to_stderr(config.telemetry.log);
    boot::host(config).map_err(boot_failure)
}

/// A sandbox for a look at one plugin. What it compiles is in the folder, and gone with it.
pub(super) fn sandbox() -> Result<(Arc<Sandbox>, TemporaryFolder), Failure> {
    let folder = TemporaryFolder::new().map_err(|error| Failure::new(failure::IO, error))?;
    let totals = Totals { calls: 1, memory: PerCall::default().memory };
    let (limits, all) = (config::Compiler::default(), Containment::default());
    let sandbox = Sandbox::new(folder.path(), Arc::new(SystemClock), &totals, limits, &all)
        .map_err(|error| Failure::new(failure::UNAVAILABLE, error))?;
    Ok((Arc::new(sandbox), folder))
}

pub(super) fn boot_failure(error: BootError) -> Failure {
    let code = match error {
        BootError::State(_) | BootError::Audit(_) => failure::IO,
        BootError::Sandbox(_) => failure::UNAVAILABLE,
        BootError::Keys(_)
        | BootError::Revocations(_)
        | BootError::Issuers(_)
        | BootError::Policy(_) => failure::CONFIG,
    };
    Failure::new(code, error)
}

/// Loads the plugins for the first time, telling `observe` of each.
pub(super) async fn load_plugins(host: &Host, observe: &(dyn Fn(&Change) + Send + Sync)) {
    load(&host.plugins, observe).await;
    host.loaded.store(true, Ordering::Relaxed);
}

async fn load(plugins: &Plugins, observe: &(dyn Fn(&Change) + Send + Sync)) {
    let progress = Progress::begin("loading plugins");
    let compiling = AtomicBool::new(false);
    let tell = |change: &Change| {
        // What takes longest stays on display beside what is done in a moment.
        if matches!(change, Change::Compiling { .. }) {
            compiling.store(true, Ordering::Relaxed);
            progress.start_over(&change.to_string());
        } else if !compiling.load(Ordering::Relaxed) {
            progress.tell(&change.to_string());
        }
        progress.aside(|| observe(change));
    };
    plugins.refresh(&tell).await;
}

/// What a configuration's drop folder serves, for a command that only looks: no call is
/// made, and nothing is recorded. What cannot be loaded is told as a warning.
pub(super) fn served(config: &Config) -> Result<Arc<Snapshot>, Failure> {
    log_to_stderr(LevelFilter::WARN);
    boot::state_folder(config).map_err(boot_failure)?;
    run(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let plugins = boot::plugins(config, &clock).map_err(boot_failure)?;
        load(&plugins, &log_change).await;
        Ok(plugins.snapshot())
    })
}

/// Writes when keys were last used, for `key list`. A failure is told and no reason to stop.
pub(super) async fn write_last_use(host: &Host) {
    let last_use = Arc::clone(&host.last_use);
    // It waits for the disk.
    let written = tokio::task::spawn_blocking(move || last_use.write()).await;
    if let Ok(Err(error)) = written {
        tracing::warn!("when keys were last used is not written: {error}");
    }
}

/// Writes a change to the log.
pub(super) fn log_change(change: &Change) {
    match change {
        Change::Loading { .. } => tracing::debug!("{change}"),
        Change::Compiling { .. } | Change::Served { .. } | Change::Gone { .. } => {
            tracing::info!("{change}");
        }
        Change::Refused { .. } | Change::Contested { .. } => tracing::warn!("{change}"),
    }
}

/// The first sentence of a description, on one line of a terminal.
pub(super) fn gist(description: &str) -> String {
    const CHARS: usize = 100;
    let paragraph = description.split("\n\n").next().unwrap_or_default();
    let sentence = paragraph.split_once(". ").map_or(paragraph, |(sentence, _)| sentence);
    clean_line(sentence.trim_end_matches('.'), CHARS)
}

/// A size, for people.
pub(super) fn kibibytes(bytes: u64) -> String {
    format!("{} KiB", bytes.div_ceil(1024))
}

/// Digits in groups of three, as `12_345`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('_');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1_000"), (12_345_678, "12_345_678")]
        {
            assert_eq!(grouped(number), text);
        }
    }
}
