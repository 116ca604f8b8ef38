//! `bulkhead config`: look at the configuration.

use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;

use super::failure::Failure;
use super::shared;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Read the configuration as the server would, and list every problem at once.
    Check,
}

impl ConfigCommand {
    pub(super) fn run(self, path: Option<&Path>) -> Result<ExitCode, Failure> {
        let Self::Check = self;
        let config = shared::load_config(path)?;
        let source = path.map_or("the defaults".to_owned(), |path| path.display().to_string());
        println!(
            "{source}: good. It serves {} on {}, to {} configured agents.",
            config.plugins.dir.display(),
            config.server.listen,
            config.agents.len()
        );
        Ok(ExitCode::SUCCESS)
    }
}
