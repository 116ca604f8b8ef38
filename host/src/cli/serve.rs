//! `bulkhead serve`: production. Nothing is built, and everybody needs a key.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::failure::{self, Failure};
use super::lifecycle::{self, Listeners, Signals};
use super::shared;
use crate::auth;
use crate::boot;
use crate::config::{Config, REVOCATIONS};
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
    let serving = lifecycle::serve(&host, config, listeners);
    let served = lifecycle::while_following(loading, serving).await;
    shared::write_last_use(&host).await;
    served
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
    lifecycle::while_following(follow(&host, config), serving).await?;
    shared::write_last_use(&host).await;
    lifecycle::finish_calls(&host, config.server.drain_timeout).await;
    lifecycle::finish_records(&host).await;
    Ok(())
}

fn presented() -> Result<Presented, Failure> {
    match std::env::var(KEY_VARIABLE) {
        Ok(key) => intact(Secret::new(key)).map(Presented::Bearer),
        Err(std::env::VarError::NotPresent) => Ok(Presented::Local(local_agent(LOCAL_AGENT)?)),
        Err(std::env::VarError::NotUnicode(_)) => Err(Failure::new(
            failure::USAGE,
            format!("{KEY_VARIABLE} is not a key: it is not text"),
        )),
    }
}

/// Tells a typo before the server does, which would only say that it is not accepted.
fn intact(key: Secret) -> Result<Secret, Failure> {
    if auth::is_mistyped(&key) {
        return Err(Failure::new(failure::USAGE, format!("{KEY_VARIABLE}: {}", auth::MISTYPED)));
    }
    Ok(key)
}

pub(super) fn local_agent(name: &str) -> Result<AgentName, Failure> {
    name.parse().map_err(|rule| {
        Failure::new(failure::USAGE, format!("`{name}` is no agent: a name is {rule}"))
    })
}

/// How often it is written when keys were last used: what a crash may lose.
const LAST_USE_PERIOD: Duration = Duration::from_secs(60);

/// Serves what changes in the drop folder, and reads keys and revocations anew when their
/// files change: no command can tell a server without an admin socket.
async fn follow(host: &Arc<Host>, config: &Config) {
    let refresh = async || host.plugins.refresh(&shared::log_change).await;
    let reload = async || {
        let host = Arc::clone(host);
        // Of many keys, that takes long enough to hold up calls.
        let reloaded = tokio::task::spawn_blocking(move || host.reload_keys()).await;
        if let Ok(Err(error)) = reloaded {
            let cause = error.cause().unwrap_or_default();
            tracing::error!("what cannot be read stays as it was before: {cause}");
        }
    };
    let write_last_use = async {
        loop {
            tokio::time::sleep(LAST_USE_PERIOD).await;
            shared::write_last_use(host).await;
        }
    };
    let state = &config.state.dir;
    let keys = folder_of_keys(&config.auth.keys).unwrap_or(state);
    let elsewhere = async {
        if keys != state {
            plugins::follow(keys, is_toml, reload).await;
        }
    };
    tokio::join!(
        plugins::follow(host.plugins.dir(), is_served, refresh),
        plugins::follow(state, says_who_may_call, reload),
        elsewhere,
        write_last_use,
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
            let rules = policy.rules().unwrap_or(0);
            host.policy.store(Arc::new(policy));
            // When it is told, it is in force.
            tracing::info!("the policy has changed; rules: {rules}");
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

/// The folder to watch for changes of the keys.
fn folder_of_keys(keys: &Path) -> Option<&Path> {
    if keys.is_dir() { Some(keys) } else { keys.parent() }
}

/// Whether a path of the state folder is the journal of revocations, or may hold keys.
fn says_who_may_call(path: &Path) -> bool {
    is_toml(path) || path == Path::new(REVOCATIONS)
}

fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "toml")
}

/// Whether a path is a component, or says something about one.
fn is_served(path: &Path) -> bool {
    is_toml(path) || path.extension().is_some_and(|ending| ending == "wasm")
}
