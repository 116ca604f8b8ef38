//! From a configuration to a host that can answer.

use std::fmt;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::{
    BadIssuer, BadJournal, BadKeyFile, Identities, KeyFile, LastUse, Revocations, Tokens,
};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Issuer};
use crate::error::Error;
use crate::limits::{Limits, Slowdown};
use crate::names::Secret;
use crate::pipeline::{Host, Rereading};
use crate::plugins::{Plugins, PluginsConfig};
use crate::policy::{BadPolicy, Policy};
use crate::runtime::{Sandbox, SandboxError};
use crate::sanitize::OwnSecrets;
use crate::telemetry::{AuditLog, CannotOpen, Metrics};

/// The compiled code of plugins, under the state folder.
const CACHE: &str = "compiled";

/// Why a configuration does not make a host.
#[derive(Debug)]
pub enum BootError {
    /// The state folder cannot be made or written.
    State(String),
    /// The sandbox cannot be set up.
    Sandbox(SandboxError),
    /// The keys cannot be read.
    Keys(BadKeyFile),
    /// What was revoked cannot be read.
    Revocations(BadJournal),
    /// The policy cannot be read or understood.
    Policy(BadPolicy),
    /// An issuer's secret or certificates cannot be had.
    Issuers(BadIssuer),
    /// The audit log cannot be opened.
    Audit(CannotOpen),
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(why) => f.write_str(why),
            Self::Sandbox(why) => why.fmt(f),
            Self::Keys(why) => why.fmt(f),
            Self::Revocations(why) => why.fmt(f),
            Self::Policy(why) => write!(f, "the policy has problems\n{why}"),
            Self::Issuers(why) => why.fmt(f),
            Self::Audit(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for BootError {}

/// Makes the host of a configuration. Its plugins are yet to be loaded.
///
/// # Errors
/// When something that the configuration names cannot be had.
pub fn host(config: &Config) -> Result<Arc<Host>, BootError> {
    state_folder(config)?;
    let policy = policy(config).map_err(BootError::Policy)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let plugins = plugins(config, &clock)?;
    let keys = KeyFile::load(&config.auth.keys).map_err(BootError::Keys)?;
    let revocations = Revocations::load_first(&config.auth.revocations, clock.utc())
        .map_err(BootError::Revocations)?;
    let last_use = Arc::new(LastUse::of(&config.state.dir));
    let identities = Identities::new(config, &keys, revocations).remembered_by(&last_use);
    // Of 100,000 keys, some 30 MiB that nothing looks at again.
    drop(keys);
    let metrics = Arc::new(Metrics::new());
    let audit = AuditLog::open_file(
        &config.audit.path,
        config.audit.on_failure,
        &replica(),
        Arc::clone(&clock),
        Arc::clone(&metrics),
    )
    .map_err(BootError::Audit)?;
    Ok(Arc::new(Host {
        identities: ArcSwap::from_pointee(identities),
        slowdown: Slowdown::new(Arc::clone(&clock)),
        tokens: Tokens::new(config, &clock).map_err(BootError::Issuers)?,
        policy: ArcSwap::from_pointee(policy),
        limits: Limits::new(Arc::clone(&clock), config.sandbox.calls),
        plugins: Arc::new(plugins),
        audit,
        secrets: own_secrets(config),
        metrics,
        calls: TaskTracker::new(),
        rereading: Mutex::new(rereading(config, &last_use, &clock)),
        last_use,
        loaded: AtomicBool::new(false),
        ending: AtomicBool::new(false),
        draining: AtomicBool::new(false),
        end_calls: CancellationToken::new(),
        clock,
    }))
}

/// The policy that a configuration names; none where it names none.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn policy(config: &Config) -> Result<Policy, BadPolicy> {
    match &config.auth.policy {
        Some(path) => Policy::load(path, &config.agents),
        None => Ok(Policy::none()),
    }
}

/// The drop folder of a configuration, with a sandbox of its own; nothing of it is loaded
/// yet. The state folder is there already.
///
/// # Errors
/// When the sandbox cannot be set up.
pub fn plugins(config: &Config, clock: &Arc<dyn Clock>) -> Result<Plugins, BootError> {
    let sandbox = Sandbox::new(
        &config.state.dir.join(CACHE),
        Arc::clone(clock),
        &config.sandbox,
        config.compiler,
        &config.containment,
    )
    .map_err(BootError::Sandbox)?;
    tracing::info!("{}", sandbox.room());
    let plugins = PluginsConfig {
        dir: config.plugins.dir.clone(),
        per_call: config.per_call,
        output: config.output.clone(),
        per_plugin: config.per_plugin,
        input: config.input,
        ceilings: config.ceilings,
    };
    Ok(Plugins::new(plugins, Arc::new(sandbox)))
}

fn rereading(config: &Config, last_use: &Arc<LastUse>, clock: &Arc<dyn Clock>) -> Rereading {
    let (journal, clock) = (config.auth.revocations.clone(), Arc::clone(clock));
    let (config, last_use) = (config.clone(), Arc::clone(last_use));
    Rereading {
        revocations: Box::new(move |before| {
            before.load_again(&journal, clock.utc()).map_err(Error::internal)
        }),
        keys: Box::new(move |revoked| {
            let keys = KeyFile::load(&config.auth.keys).map_err(Error::internal)?;
            Ok(Identities::new(&config, &keys, Arc::clone(revoked)).remembered_by(&last_use))
        }),
    }
}

/// The secrets that the configuration names: no output may hold them. Its own keys are
/// known by their form.
fn own_secrets(config: &Config) -> OwnSecrets {
    let names = config.auth.issuers.iter().flat_map(Issuer::secret_variables);
    let secrets: Vec<Secret> =
        names.filter_map(|name| std::env::var(name).ok()).map(Secret::new).collect();
    OwnSecrets::of(&secrets)
}

/// What names this process in its records, among replicas and over restarts.
fn replica() -> String {
    let host = rustix::system::uname();
    format!("{}-{}", host.nodename().to_string_lossy(), std::process::id())
}

/// Makes the state folder where it is missing. It is its owner's alone: it holds keys,
/// records and compiled code.
///
/// # Errors
/// When it cannot be made, or others can write to it.
pub fn state_folder(config: &Config) -> Result<(), BootError> {
    let dir: &Path = &config.state.dir;
    let failed = |error: std::io::Error| {
        let next = "set `dir` in [state] to a folder that can be written";
        BootError::State(format!("{}: {error}; {next}", dir.display()))
    };
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(dir).map_err(failed)?;
        let ours = metadata.uid() == rustix::process::geteuid().as_raw();
        if !ours || metadata.mode() & 0o022 != 0 {
            return Err(BootError::State(format!(
                "{}: others can write to it, and it holds keys and compiled code; \
                 `chmod go-w` it, or set `dir` in [state] to another folder",
                dir.display()
            )));
        }
    }
    Ok(())
}
