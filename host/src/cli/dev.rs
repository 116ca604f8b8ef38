//! `bulkhead dev`: build, serve, watch, rebuild.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::build::{self, Language, MANIFEST, is_authored};
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

/// The development key, under the state folder, for its owner only.
const DEV_KEY: &str = "dev.key";

/// What is built of the folder that an author works in, under the state folder.
const DEV_FOLDER: &str = "dev";

/// Who calls with it.
const DEV_AGENT: &str = "dev";

pub(super) fn run(mut config: Config, config_file: Option<&Path>) -> Result<ExitCode, Failure> {
    let sources = Sources::of(&mut config).map_err(|error| Failure::new(failure::IO, error))?;
    shared::run(async {
        let listeners = Listeners::bind(&config)?;
        let address = listeners.public_address()?;
        sources.prepare().map_err(|error| Failure::new(failure::IO, error))?;
        sources.build_changed().await;
        let host = shared::host(&config)?;
        let key = dev_key(&host, &config)?;
        host.reload_keys().map_err(|error| {
            Failure::new(failure::CONFIG, error.cause().unwrap_or(error.message()))
        })?;
        shared::load_plugins(&host, &tell).await;
        sources.tell_if_none();
        introduce(&host, &config, config_file, address, &key).await;
        println!("The folder {} is watched. Ctrl-C ends.", sources.watched().display());
        let serving = lifecycle::serve(&host, &config, listeners);
        let served = lifecycle::while_following(follow(&host, &sources), serving).await;
        shared::write_last_use(&host).await;
        served
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Builds and loads what changes, for as long as it is polled.
async fn follow(host: &Host, sources: &Sources) {
    let changed = async || {
        sources.build_changed().await;
        host.plugins.refresh(&tell).await;
    };
    plugins::follow(sources.watched(), is_authored, changed).await;
}

fn tell(change: &Change) {
    match change {
        Change::Loading { .. } => {}
        Change::Compiling { .. } => eprintln!("… {change}"),
        Change::Served { .. } | Change::Gone { .. } => eprintln!("✓ {change}"),
        Change::Refused { .. } | Change::Contested { .. } => eprintln!("✗ {change}"),
    }
}

/// Where the sources are.
#[derive(Debug)]
enum Place {
    /// In the drop folder: its folders with a manifest. What is built goes beside them.
    Under(PathBuf),
    /// The working folder is itself a source. What is built goes to a folder of ours.
    Here { source: PathBuf, out: PathBuf },
}

/// The sources that are built, and what is known of each.
struct Sources {
    place: Place,
    /// When each was last changed before it was last built.
    built: Mutex<BTreeMap<PathBuf, SystemTime>>,
    /// The languages whose toolchain is missing, which was told.
    missing: Mutex<BTreeSet<Language>>,
}

impl Sources {
    /// Looks where an author works: without a drop folder, and with a manifest in the
    /// working folder, that folder alone is built and served.
    fn of(config: &mut Config) -> std::io::Result<Self> {
        let here = std::env::current_dir()?;
        let dir = &mut config.plugins.dir;
        let place = if !dir.is_dir() && here.join(MANIFEST).is_file() {
            let out = config.state.dir.join(DEV_FOLDER);
            dir.clone_from(&out);
            Place::Here { source: here, out }
        } else {
            Place::Under(dir.clone())
        };
        Ok(Self { place, built: Mutex::default(), missing: Mutex::default() })
    }

    /// Says where sources are looked for, where that folder is not there.
    fn tell_if_none(&self) {
        if let Place::Under(dir) = &self.place
            && !dir.is_dir()
        {
            eprintln!(
                "✗ there is no folder {}, in which plugins' sources would be; make it, or run \
                 this in a source folder, which has a {MANIFEST}",
                dir.display()
            );
        }
    }

    /// Makes the folder of ours. The state folder is there already, and its owner's alone.
    fn prepare(&self) -> std::io::Result<()> {
        match &self.place {
            Place::Under(_) => Ok(()),
            Place::Here { out, .. } => std::fs::create_dir_all(out),
        }
    }

    /// The folder whose changes matter.
    fn watched(&self) -> &Path {
        match &self.place {
            Place::Under(dir) => dir,
            Place::Here { source, .. } => source,
        }
    }

    /// Builds what changed since it was last built. What does not build is told, and
    /// what it made before stays served.
    async fn build_changed(&self) {
        for (source, changed) in self.changed() {
            let out = match &self.place {
                Place::Under(dir) => dir.clone(),
                Place::Here { out, .. } => out.clone(),
            };
            let building = source.clone();
            let built = tokio::task::spawn_blocking(move || build::build(&building, &out));
            let is_done = match built.await {
                Ok(Ok(built)) => {
                    if let Place::Here { out, .. } = &self.place {
                        alone(out, &source, &built.path);
                    }
                    true
                }
                Ok(Err(error)) => {
                    let missing = error.is_missing_toolchain();
                    if !missing || self.is_new(&source) {
                        eprintln!("✗ {error}");
                    }
                    // It may be there at the next change.
                    !missing
                }
                Err(error) => {
                    eprintln!("✗ {error}");
                    true
                }
            };
            if is_done {
                let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
                built.insert(source, changed);
            }
        }
    }

    /// Whether it was not told yet that the toolchain of a source's language is missing.
    fn is_new(&self, source: &Path) -> bool {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        Language::of(source).is_ok_and(|language| missing.insert(language))
    }

    fn changed(&self) -> Vec<(PathBuf, SystemTime)> {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        let mut present = self.present();
        built.retain(|source, _| present.iter().any(|(path, _)| path == source));
        present.retain(|(source, at)| built.get(source) != Some(at));
        present
    }

    fn present(&self) -> Vec<(PathBuf, SystemTime)> {
        let folders = match &self.place {
            Place::Here { source, .. } => vec![source.clone()],
            Place::Under(dir) => {
                let listing = std::fs::read_dir(dir).into_iter().flatten();
                listing.filter_map(|entry| Some(entry.ok()?.path())).collect()
            }
        };
        let mut sources: Vec<_> = folders
            .into_iter()
            .filter(|path| path.join(MANIFEST).is_file())
            .map(|path| (path.clone(), last_change(&path)))
            .collect();
        sources.sort();
        sources
    }
}

/// Makes a component the only one in a folder of ours, under its operator's sidecar.
fn alone(folder: &Path, source: &Path, component: &Path) {
    let sidecar = component.with_extension("toml");
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        // Another is what this one was called before its manifest changed.
        if entry.path() != component && entry.path() != sidecar {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    let placed = match build::sidecar_of(source, component) {
        Some(theirs) => std::fs::copy(theirs, sidecar).map(drop),
        None if sidecar.exists() => std::fs::remove_file(sidecar),
        None => Ok(()),
    };
    if let Err(error) = placed {
        eprintln!("✗ {}: its sidecar does not hold: {error}", component.display());
    }
}

/// When the newest file below a folder was changed that its author may have written.
fn last_change(dir: &Path) -> SystemTime {
    let changes = std::fs::read_dir(dir).into_iter().flatten().filter_map(|entry| {
        let entry = entry.ok()?;
        let path = entry.path();
        if !is_authored(Path::new(&entry.file_name())) {
            None
        } else if path.is_dir() {
            // A link may lead around in a circle.
            (!path.is_symlink()).then(|| last_change(&path))
        } else {
            path.metadata().ok()?.modified().ok()
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
        if host.identities.load().accepts_key(&key, now) {
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
    let url = format!("{}://{address}/mcp", config.server.scheme());
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
