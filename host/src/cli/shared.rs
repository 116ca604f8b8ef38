//! What commands share: the configuration, the runtime, the host.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::runtime::Runtime;

use super::failure::{self, Failure};
use super::progress::Progress;
use crate::boot::{self, BootError};
use crate::config::Config;
use crate::pipeline::Host;
use crate::plugins::Change;
use crate::telemetry::log_to_stderr;

/// Reads the configuration: the file, then the environment.
pub(super) fn load_config(path: Option<&Path>) -> Result<Config, Failure> {
    let readable = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    Config::load(path, std::env::vars_os().filter_map(readable)).map_err(|problems| {
        Failure::new(
            failure::CONFIG,
            format!("the configuration has problems\n{problems}"),
        )
    })
}

/// The runtime that everything but computing guests runs on.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(failure::UNAVAILABLE, error))
}

/// Starts the log, and makes the host of a configuration.
pub(super) fn host(config: &Config) -> Result<Arc<Host>, Failure> {
    log_to_stderr(config.telemetry.log);
    boot::host(config).map_err(|error| {
        let code = match error {
            BootError::State(_) | BootError::Audit(_) => failure::IO,
            BootError::Sandbox(_) => failure::UNAVAILABLE,
            BootError::Keys(_) => failure::CONFIG,
        };
        Failure::new(code, error)
    })
}

/// Loads the plugins for the first time, telling `observe` of each.
pub(super) async fn load_plugins(host: &Host, observe: &(dyn Fn(&Change) + Send + Sync)) {
    let progress = Progress::begin("loading plugins");
    let tell = |change: &Change| {
        progress.tell(&change.to_string());
        observe(change);
    };
    host.plugins.refresh(&tell).await;
    host.loaded.store(true, Ordering::Relaxed);
}

/// Writes a change to the log.
pub(super) fn log_change(change: &Change) {
    match change {
        Change::Loading { .. } => tracing::debug!("{change}"),
        Change::Served { .. } | Change::Gone { .. } => tracing::info!("{change}"),
        Change::Refused { .. } | Change::Contested { .. } => tracing::warn!("{change}"),
    }
}
