//! Asks a command what its tools are: runs it in a sandbox of its own, with the variable
//! `BULKHEAD_DESCRIBE=1`.

use super::error::BuildError;
use crate::cli::progress::Progress;
use crate::cli::shared;
use crate::config::Manifest;
use crate::runtime::{Authored, LoadError, Source};

/// What the program prints.
///
/// # Errors
/// When there is no sandbox; within that, what the program did instead.
pub(super) fn describe(
    source: &Source,
    manifest: &Manifest,
) -> Result<Result<String, LoadError>, BuildError> {
    let authored = Authored { manifest: manifest.clone(), wit: None };
    let progress = Progress::begin(&format!("asking {} for its tools", manifest.name));
    shared::run(async {
        let (sandbox, _compiled) = shared::sandbox()?;
        let compiling = || progress.tell("compiling it");
        Ok(sandbox.describe(source, &authored, &compiling).await)
    })
    .map_err(BuildError::new)
}
