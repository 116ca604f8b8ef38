//! `bulkhead serve`: production. Nothing is built, and everybody needs a key.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::failure::{self, Failure};
use super::lifecycle::{self, Listeners, Signals};
use super::shared;
use crate::boot;
use crate::config::Config;
use crate::names::{AgentName, Secret};
use crate::pipeline::Host;
use crate::plugins;
use crate::server;
use crate::transport::Presented;

/// The variable that holds the key of a stdio client. Clients pass variables on, and
/// a key among the arguments would be seen by every process of the machine.
const KEY_VARIABLE: &str = "BULKHEAD_KEY";

/// Who calls over stdio without a key: whoever started the process.
pub(super) const LOCAL_AGENT: &str = "local";

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Serve one client over standard input and output instead of HTTP.
    ///
    /// It acts as the agent of the key in BULKHEAD_KEY; without one, as `local`, who
    /// may call everything unless the configuration has an entry for it.
    #[arg(long)]
    stdio: bool,
}

impl Serve {
    pub(super) fn run(self, config: Config) -> Result<ExitCode, Failure> {
        let listeners = (!self.stdio).then(|| Listeners::bind(&config)).transpose()?;
        shared::contain(&config)?;
        shared::run(async {
            match listeners {
                Some(listeners) => over_http(&config, listeners).await,
                None => over_stdio(&config).await,
            }
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn over_http(config: &Config, listeners: Listeners) -> Result<(), Failure> {
    let host = shared::host(config)?;
    listeners.announce()?;
    let loading = async {
        shared::load_plugins(&host, &shared::log_change).await;
        follow(&host, config).await;
    };
    lifecycle::while_following(&host, loading, lifecycle::serve(&host, config, listeners)).await
}

async fn over_stdio(config: &Config) -> Result<(), Failure> {
    let host = shared::host(config)?;
    shared::load_plugins(&host, &shared::log_change).await;
    let presented = presented()?;
    let (input, output) = (tokio::io::stdin(), tokio::io::stdout());
    let mut signals = Signals::new()?;
    let stop = CancellationToken::new();
    let max_line = config.server.max_body;
    let serving = server::serve_stdio(&host, input, output, presented, max_line, stop.clone());
    let serving = async {
        let mut serving = std::pin::pin!(serving);
        tokio::select! {
            () = &mut serving => return Ok(()),
            () = signals.next() => {}
        }
        stop.cancel();
        let drained = tokio::time::timeout(config.server.drain_timeout, serving);
        let _ = signals.unless_again(drained).await;
        Ok(())
    };
    lifecycle::while_following(&host, follow(&host, config), serving).await?;
    lifecycle::finish_calls(&host, config.server.drain_timeout).await;
    lifecycle::finish_records(&host).await;
    Ok(())
}

fn presented() -> Result<Presented, Failure> {
    match std::env::var(KEY_VARIABLE) {
        Ok(key) => Ok(Presented::Bearer(Secret::new(key))),
        Err(std::env::VarError::NotPresent) => Ok(Presented::Local(local_agent(LOCAL_AGENT)?)),
        Err(std::env::VarError::NotUnicode(_)) => Err(Failure::new(
            failure::USAGE,
            format!("{KEY_VARIABLE} is not a key: it is not text"),
        )),
    }
}

pub(super) fn local_agent(name: &str) -> Result<AgentName, Failure> {
    name.parse().map_err(|rule| {
        Failure::new(failure::USAGE, format!("`{name}` is no agent: a name is {rule}"))
    })
}

/// Serves what changes in the drop folder, and reads keys anew when their file changes:
/// no command can tell a server without an admin socket.
async fn follow(host: &Host, config: &Config) {
    let refresh = async || host.plugins.refresh(&shared::log_change).await;
    let reload = async || {
        if let Err(error) = host.reload_keys() {
            tracing::error!("the keys stay as they were: {}", error.cause().unwrap_or_default());
        }
    };
    let keys = config.auth.keys.parent().unwrap_or(&config.state.dir);
    tokio::join!(
        plugins::follow(host.plugins.dir(), is_served, refresh),
        plugins::follow(keys, is_toml, reload),
        follow_policy(host, config),
    );
}

/// Reads the policy anew when its file changes. One that cannot be understood changes
/// nothing, and neither does a file that is gone: no mistake makes a policy wider.
async fn follow_policy(host: &Host, config: &Config) {
    let Some(path) = &config.auth.policy else { return };
    let mut told = String::new();
    let reload = async || match boot::policy(config) {
        Ok(policy) if policy.is_same(&host.policy.load()) => told.clear(),
        Ok(policy) => {
            told.clear();
            tracing::info!("the policy has changed; rules: {}", policy.rules().unwrap_or(0));
            host.policy.store(Arc::new(policy));
        }
        Err(bad) => {
            let problems = bad.to_string();
            if problems != told {
                tracing::error!("the policy stays as it was: {}", problems.replace('\n', "; "));
                told = problems;
            }
        }
    };
    plugins::follow_file(path, reload).await;
}

fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "toml")
}

/// Whether a path is a component, or says something about one.
fn is_served(path: &Path) -> bool {
    is_toml(path) || path.extension().is_some_and(|ending| ending == "wasm")
}
