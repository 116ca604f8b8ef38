//! `bulkhead config`: look at the configuration.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;

use super::failure::{self, Failure};
use super::shared;
use crate::auth::Tokens;
use crate::boot;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Sidecar};
use crate::server::Tls;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Read the configuration as the server would, and list every problem of it at once;
    /// then the policy, the secrets and the certificates that it names, and the plugins'
    /// sidecars.
    Check,
}

impl ConfigCommand {
    pub(super) fn run(self, path: Option<&Path>) -> Result<ExitCode, Failure> {
        let Self::Check = self;
        let config = shared::load_config(path)?;
        let bad = |what: String| Failure::new(failure::CONFIG, what);
        boot::policy(&config)
            .map_err(|problems| bad(format!("the policy has problems\n{problems}")))?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        Tokens::new(&config, &clock).map_err(|problem| bad(problem.to_string()))?;
        if let Some(tls) = &config.server.tls {
            Tls::load(tls, clock).map_err(|problem| bad(problem.to_string()))?;
        }
        sidecars(&config).map_err(|problems| bad(format!("sidecars have problems\n{problems}")))?;
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

/// Reads the sidecars in the plugins' folder; what is wrong with any of them.
fn sidecars(config: &Config) -> Result<(), String> {
    // A folder that is not there is the server's to tell.
    let files = std::fs::read_dir(&config.plugins.dir).into_iter().flatten().flatten();
    let mut paths: Vec<_> = files.map(|file| file.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let problem = |path: std::path::PathBuf| match std::fs::read_to_string(&path) {
        Ok(text) => Sidecar::parse(&path.display().to_string(), &text, &config.ceilings)
            .err()
            .map(|problems| problems.to_string()),
        Err(error) => Some(format!("{}: {error}", path.display())),
    };
    let problems: Vec<String> = paths.into_iter().filter_map(problem).collect();
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}
