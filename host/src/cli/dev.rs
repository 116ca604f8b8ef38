//! `bulkhead dev`: build, serve, watch, rebuild.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::build;
use super::failure::{self, Failure};
use super::lifecycle::{self, Listeners};
use super::shared;
use crate::auth::{self, NewKey};
use crate::catalog::Tool;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::names::{AgentName, Scope, Secret};
use crate::pipeline::Host;
use crate::plugins::{self, Change};
use crate::transport::{Channel, Head, Presented};

/// The development key, under the state folder, for its owner only.
const DEV_KEY: &str = "dev.key";

/// Who calls with it.
const DEV_AGENT: &str = "dev";

pub(super) fn run(config: Config, config_file: Option<&Path>) -> Result<ExitCode, Failure> {
    shared::run(async {
        let listeners = Listeners::bind(&config)?;
        let address = listeners.public_address()?;
        let sources = Sources::under(&config.plugins.dir);
        sources.build_changed().await;
        let host = shared::host(&config)?;
        let key = dev_key(&host, &config)?;
        host.reload_keys().map_err(|error| {
            Failure::new(failure::CONFIG, error.cause().unwrap_or(error.message()))
        })?;
        shared::load_plugins(&host, &tell).await;
        introduce(&host, &config, config_file, address, &key).await;
        let serving = lifecycle::serve(&host, &config, listeners);
        lifecycle::while_following(follow(&host, &sources), serving).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Builds and loads what changes, for as long as it is polled.
async fn follow(host: &Host, sources: &Sources) {
    let changed = async || {
        sources.build_changed().await;
        host.plugins.refresh(&tell).await;
    };
    plugins::follow(&sources.dir, is_source, changed).await;
}

fn tell(change: &Change) {
    match change {
        Change::Loading { .. } => {}
        Change::Compiling { .. } => eprintln!("… {change}"),
        Change::Served { .. } | Change::Gone { .. } => eprintln!("✓ {change}"),
        Change::Refused { .. } | Change::Contested { .. } => eprintln!("✗ {change}"),
    }
}

/// Whether a changed path can change what is served.
fn is_source(path: &Path) -> bool {
    let ours = |part: &std::ffi::OsStr| {
        let part = part.to_string_lossy();
        !(part == "target" || part.starts_with('.') || part.ends_with('~'))
    };
    path.file_name().is_some_and(ours) && !path.iter().any(|part| part == "target")
}

/// The plugin sources of the drop folder: its folders with a `plugin.toml`.
struct Sources {
    dir: PathBuf,
    /// When each was last changed before it was last built.
    built: Mutex<BTreeMap<PathBuf, SystemTime>>,
}

impl Sources {
    fn under(dir: &Path) -> Self {
        Self { dir: dir.to_path_buf(), built: Mutex::default() }
    }

    /// Builds what changed since it was last built. What does not build is told, and
    /// what it made before stays served.
    async fn build_changed(&self) {
        for source in self.changed() {
            let out = self.dir.clone();
            let built = tokio::task::spawn_blocking(move || {
                build::build(&source, &out)
            });
            match built.await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => eprintln!("✗ {error}"),
                Err(error) => eprintln!("✗ {error}"),
            }
        }
    }

    fn changed(&self) -> Vec<PathBuf> {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        let present = self.present();
        let changed = present.iter().filter(|(source, at)| built.get(source) != Some(at));
        let changed = changed.map(|(source, _)| source.clone()).collect();
        *built = present.into_iter().collect();
        changed
    }

    fn present(&self) -> Vec<(PathBuf, SystemTime)> {
        let Ok(listing) = std::fs::read_dir(&self.dir) else {
            return Vec::new();
        };
        let mut sources: Vec<_> = listing
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.join("plugin.toml").is_file() && path.join("Cargo.toml").is_file())
            .map(|path| (path.clone(), last_change(&path)))
            .collect();
        sources.sort();
        sources
    }
}

/// When the newest file below a folder was changed.
fn last_change(dir: &Path) -> SystemTime {
    let Ok(listing) = std::fs::read_dir(dir) else {
        return SystemTime::UNIX_EPOCH;
    };
    let changes = listing.filter_map(|entry| {
        let path = entry.ok()?.path();
        match is_source(&path) {
            true if path.is_dir() => Some(last_change(&path)),
            true => path.metadata().ok()?.modified().ok(),
            false => None,
        }
    });
    changes.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The development key: the one from before while it is good, else a new one.
fn dev_key(host: &Host, config: &Config) -> Result<Secret, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(failure::IO, error);
    let path = config.state.dir.join(DEV_KEY);
    let now = SystemClock.utc();
    if let Ok(key) = std::fs::read_to_string(&path) {
        let key = Secret::new(key.trim());
        let presented = Presented::Bearer(key.clone());
        let head = Head::without_headers(Channel::Http, presented, None);
        if auth::authenticate(&host.identities.load(), &head, now).is_ok() {
            return Ok(key);
        }
    }
    let agent: AgentName = DEV_AGENT.parse().map_err(|error| failed(&error))?;
    let everything: Scope = "*".parse().map_err(|error| failed(&error))?;
    let new = NewKey { agent, subject: None, scopes: Some(vec![everything]), expires: None };
    let (_, key) = auth::create(&config.auth.keys, new, now).map_err(|error| failed(&error))?;
    write_owner_only(&path, key.expose()).map_err(|error| failed(&error))?;
    Ok(key)
}

fn write_owner_only(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    // An older file keeps its mode when it is opened.
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    file.write_all(text.as_bytes())
}

/// Tells what is served and how to reach it.
async fn introduce(
    host: &Host,
    config: &Config,
    config_file: Option<&Path>,
    address: SocketAddr,
    key: &Secret,
) {
    let url = format!("http://{address}/mcp");
    let snapshot = host.plugins.snapshot();
    println!("\nBulkhead serves {} tools on {url}\n", snapshot.catalog().tools().len());
    for summary in host.plugins.summaries().await {
        let quota = summary.per_call;
        println!("{} {}", summary.plugin, summary.version);
        for tool in
            snapshot.catalog().tools().iter().filter(|tool| tool.plugin.name == summary.plugin)
        {
            println!("  {:<20} {}", tool.name.as_str(), shared::gist(&tool.description));
        }
        println!(
            "  each call may spend {} fuel, {} memory, {} ms; it was granted nothing",
            quota.fuel,
            quota.memory,
            quota.deadline.as_millis()
        );
        for want in summary.wants {
            println!("  it wants {want}");
        }
        println!();
    }
    if let Some(tool) = easiest(snapshot.catalog().tools()) {
        println!("Try it:\n\n{}\n", curl(&url, key, tool));
    }
    println!("For an MCP client over HTTP:\n\n{:#}\n", http_client(&url, key));
    println!("For one over stdio:\n\n{:#}\n", stdio_client(config, config_file));
    println!("The folder {} is watched. Ctrl-C ends.", config.plugins.dir.display());
}

/// A tool that answers without arguments, for a first try; one that only reads, if
/// there is one.
fn easiest(tools: &[Arc<Tool>]) -> Option<&Arc<Tool>> {
    let needs_nothing = |tool: &&Arc<Tool>| {
        serde_json::from_str::<Value>(tool.input_schema.get()).is_ok_and(|schema| {
            schema.get("required").and_then(Value::as_array).is_none_or(Vec::is_empty)
        })
    };
    let only_reads = |tool: &&Arc<Tool>| {
        tool.annotations.is_some_and(|annotations| annotations.read_only_hint == Some(true))
    };
    let mut candidates = tools.iter().filter(needs_nothing);
    candidates.clone().find(only_reads).or_else(|| candidates.next())
}

fn curl(url: &str, key: &Secret, tool: &Tool) -> String {
    let request = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": tool.name, "arguments": {} },
    });
    format!(
        "curl -s {url} \\\n  -H 'Authorization: Bearer {}' \\\n  -H 'Content-Type: application/json' \\\n  -H 'MCP-Protocol-Version: 2025-11-25' \\\n  -d '{request}'",
        key.expose()
    )
}

fn http_client(url: &str, key: &Secret) -> Value {
    let authorization = format!("Bearer {}", key.expose());
    json!({ "mcpServers": { "bulkhead": {
        "type": "http", "url": url, "headers": { "Authorization": authorization },
    } } })
}

/// A client starts the server in a folder of its own, so every path is absolute.
fn stdio_client(config: &Config, config_file: Option<&Path>) -> Value {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let program = std::env::current_exe().unwrap_or_else(|_| "bulkhead".into());
    let mut env = Map::new();
    env.insert("BULKHEAD__PLUGINS__DIR".to_owned(), json!(absolute(&config.plugins.dir)));
    env.insert("BULKHEAD__STATE__DIR".to_owned(), json!(absolute(&config.state.dir)));
    // Where there is a configuration, its agents and limits hold over stdio too.
    if let Some(file) = config_file {
        env.insert("BULKHEAD_CONFIG".to_owned(), json!(absolute(file)));
    }
    json!({ "mcpServers": { "bulkhead": {
        "command": program, "args": ["serve", "--stdio"], "env": env,
    } } })
}
