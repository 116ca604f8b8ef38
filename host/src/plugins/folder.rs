//! The drop folder, and what of it is loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::load::{Files, Loaded, load};
use super::snapshot::Snapshot;
use crate::config::{Ceilings, Input, Output, PerCall, PerPlugin};
use crate::names::{PluginName, ToolName};
use crate::runtime::{LoadError, Sandbox};
use crate::text::clean_text;

/// The most plugins that are loaded from one folder.
const MAX_PLUGINS: usize = 10_000;

/// The most plugins that are loaded at once, on a machine with more cores than this.
const MAX_LOADING: usize = 16;

/// What the configuration says about plugins.
#[derive(Clone, Debug)]
pub struct PluginsConfig {
    /// The drop folder.
    pub dir: PathBuf,
    /// What one call may spend where a sidecar is silent.
    pub per_call: PerCall,
    /// How results are made fit for a model, unless a sidecar says otherwise.
    pub output: Output,
    /// What a plugin may spend where its sidecar is silent.
    pub per_plugin: PerPlugin,
    /// How arguments are taken where a sidecar is silent.
    pub input: Input,
    /// The most that a sidecar may set.
    pub ceilings: Ceilings,
}

/// Something that a look at the folder found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A plugin is being read.
    Loading {
        /// Its file's name without the ending.
        file: String,
    },
    /// A compiler was started for a plugin: this takes a while.
    Compiling {
        /// Its file's name without the ending.
        file: String,
    },
    /// A new or changed plugin is served.
    Served {
        /// Its file's name without the ending.
        file: String,
        /// Its identity and version.
        plugin: PluginName,
        /// The version that its manifest states.
        version: String,
        /// How many tools it offers.
        tools: usize,
        /// How long loading took, compiling included.
        took: Duration,
    },
    /// A new or changed plugin could not be loaded.
    Refused {
        /// Its file's name without the ending.
        file: String,
        /// What its operator, or its author, has to change.
        why: LoadError,
        /// Whether its earlier version is still served.
        still_served: bool,
    },
    /// A plugin's file is gone, and so are its tools.
    Gone {
        /// Its file's name without the ending.
        file: String,
    },
    /// Several plugins offer one name, and none is served under it.
    Contested {
        /// The name.
        tool: ToolName,
        /// Who offers it.
        plugins: Vec<String>,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loading { file } => write!(f, "{file}: loading"),
            Self::Compiling { file } => write!(f, "{file}: compiling"),
            Self::Served { file, plugin, version, tools, took } => {
                let tools = match tools {
                    1 => "1 tool".to_owned(),
                    several => format!("{several} tools"),
                };
                let took = took.as_millis();
                write!(f, "{file}: {plugin} {version} is served, with {tools}; loaded in {took} ms")
            }
            Self::Refused { file, why, still_served } => {
                // A plugin's own words may be among it: none of its lines may look like
                // one of the log's.
                let why = clean_text(&why.to_string()).replace('\n', "\n  ");
                write!(f, "{file} was not loaded: {why}")?;
                match still_served {
                    true => f.write_str("\n  The version from before is still served."),
                    false => Ok(()),
                }
            }
            Self::Gone { file } => write!(f, "{file}: gone, its tools with it"),
            Self::Contested { tool, plugins } => write!(
                f,
                "`{tool}` is offered by {}, and served by none of them; set `prefix` in a sidecar to tell them apart",
                plugins.join(" and ")
            ),
        }
    }
}

/// The plugins of one folder.
pub struct Plugins {
    config: PluginsConfig,
    sandbox: Arc<Sandbox>,
    current: ArcSwap<Snapshot>,
    entries: Mutex<Entries>,
}

impl fmt::Debug for Plugins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugins").field("config", &self.config).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Entries {
    by_file: BTreeMap<PathBuf, Entry>,
    contested: Vec<(ToolName, Vec<String>)>,
}

struct Entry {
    /// What was on disk when it was last tried, served or not.
    seen: Fingerprint,
    served: Option<Arc<Loaded>>,
    refused: Option<LoadError>,
}

/// A plugin's files, and what was on disk before they were read.
struct Candidate {
    files: Files,
    seen: Fingerprint,
}

impl Candidate {
    fn look(component: PathBuf) -> Self {
        let files = Files::of(component);
        Self { seen: fingerprint(&files), files }
    }
}

/// Tells whether any of a plugin's files changed, without reading them.
type Fingerprint = [Option<(u64, SystemTime)>; 3];

fn fingerprint(files: &Files) -> Fingerprint {
    [&files.component, &files.sidecar, &files.manifest].map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    })
}

impl Plugins {
    /// No plugins yet: [`Plugins::refresh`] looks for them.
    pub fn new(config: PluginsConfig, sandbox: Arc<Sandbox>) -> Self {
        Self { config, sandbox, current: ArcSwap::default(), entries: Mutex::default() }
    }

    /// What is served now. A call keeps what it got to its end.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// The sandbox that runs them.
    pub fn sandbox(&self) -> &Arc<Sandbox> {
        &self.sandbox
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.config.dir
    }

    /// The plugins that could not be loaded, with the reason.
    pub async fn refused(&self) -> Vec<(String, LoadError)> {
        let entries = self.entries.lock().await;
        let refused = |(path, entry): (&PathBuf, &Entry)| {
            Some((Files::of(path.clone()).stem(), entry.refused.clone()?))
        };
        entries.by_file.iter().filter_map(refused).collect()
    }

    /// What each served plugin may spend on a call, and what it wants but was not
    /// granted; in the order of their files.
    pub async fn summaries(&self) -> Vec<Summary> {
        let entries = self.entries.lock().await;
        let served = entries.by_file.values().filter_map(|entry| entry.served.as_ref());
        served.map(|loaded| Summary::of(loaded)).collect()
    }

    /// Looks at the folder and brings what is served up to date with it. Tells
    /// `observe` of each change: of one that is served, when it is. A missing folder
    /// is an empty one.
    pub async fn refresh(&self, observe: &(dyn Fn(&Change) + Send + Sync)) {
        let mut entries = self.entries.lock().await;
        let present = match self.components() {
            Ok(present) => present,
            Err(error) => {
                // To landlock, a folder that took this one's place is another.
                let denied = error.kind() == io::ErrorKind::PermissionDenied;
                let replaced = if denied { " (a new folder needs a restart)" } else { "" };
                let dir = self.config.dir.display();
                tracing::warn!("{dir}: {error}{replaced}; what was served stays");
                return;
            }
        };
        let mut changes = Vec::new();
        let gone = |path: &PathBuf, _: &mut Entry| !present.contains(path);
        for (path, _) in entries.by_file.extract_if(.., gone) {
            changes.push(Change::Gone { file: Files::of(path).stem() });
        }
        if !changes.is_empty() {
            // What is gone may be why another was refused.
            let refused = entries.by_file.values_mut().filter(|entry| entry.refused.is_some());
            refused.for_each(|entry| entry.seen = Fingerprint::default());
            // At once: what comes next may take a compiler's time.
            changes.extend(self.publish(&mut entries));
        }
        let changed = present.into_iter().map(Candidate::look);
        let changed: Vec<_> = changed.filter(|found| !entries.has_tried(found)).collect();
        let loaded = self.load_all(changed.iter().map(|found| &found.files), observe).await;
        // In their order again: it decides which of two plugins of one name is served.
        for (candidate, loaded) in changed.into_iter().zip(loaded) {
            changes.push(entries.settle(candidate, loaded));
        }
        let served = |change: &Change| !matches!(change, Change::Refused { .. });
        if changes.iter().any(served) {
            changes.extend(self.publish(&mut entries));
        }
        changes.iter().for_each(observe);
    }

    /// The components of the folder. One that is not there holds none; one that cannot
    /// be read says nothing about what it holds.
    fn components(&self) -> io::Result<BTreeSet<PathBuf>> {
        let listing = match std::fs::read_dir(&self.config.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            listing => listing?,
        };
        let paths = listing.map(|entry| Ok(entry?.path()));
        let is_component = |path: &io::Result<PathBuf>| match path {
            Ok(path) => path.extension().is_some_and(|ending| ending == "wasm") && !path.is_dir(),
            Err(_) => true,
        };
        paths.filter(is_component).take(MAX_PLUGINS).collect()
    }

    /// Loads plugins, several at once, and returns what came of each in their order.
    async fn load_all(
        &self,
        all: impl ExactSizeIterator<Item = &Files>,
        observe: &(dyn Fn(&Change) + Send + Sync),
    ) -> Vec<Result<Loaded, LoadError>> {
        // Each that is being loaded keeps its file in memory.
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let at_once = cores.min(MAX_LOADING);
        let mut results: BTreeMap<usize, Result<Loaded, LoadError>> = BTreeMap::new();
        let count = all.len();
        let mut waiting = all.cloned().enumerate();
        let mut loading = JoinSet::new();
        let (compiling, mut told) = mpsc::unbounded_channel();
        loop {
            while loading.len() < at_once
                && let Some((at, files)) = waiting.next()
            {
                observe(&Change::Loading { file: files.stem() });
                loading.spawn(self.load_one(at, files, compiling.clone()));
            }
            tokio::select! {
                biased;
                Some(change) = told.recv() => observe(&change),
                ended = loading.join_next() => match ended {
                    Some(ended) => results.extend(ended),
                    None => break,
                },
            }
        }
        let failed = || Err(LoadError::new("loading it failed for a reason of our own"));
        (0..count).map(|at| results.remove(&at).unwrap_or_else(failed)).collect()
    }

    /// Loads one plugin, in a task of its own.
    fn load_one(
        &self,
        at: usize,
        files: Files,
        told: mpsc::UnboundedSender<Change>,
    ) -> impl Future<Output = (usize, Result<Loaded, LoadError>)> + Send + use<> {
        let (sandbox, config) = (Arc::clone(&self.sandbox), self.config.clone());
        async move {
            let compiling = || {
                // Nobody listens any more when loading was given up.
                let _ = told.send(Change::Compiling { file: files.stem() });
            };
            (at, load(&sandbox, &files, &config, &compiling).await)
        }
    }

    /// Makes what is loaded what is served, and returns which names are contested that
    /// were not before.
    fn publish(&self, entries: &mut Entries) -> Vec<Change> {
        let served = entries.by_file.values().filter_map(|entry| entry.served.as_ref());
        let (snapshot, contested) = Snapshot::assemble(served);
        self.current.store(Arc::new(snapshot));
        if contested == entries.contested {
            return Vec::new();
        }
        entries.contested.clone_from(&contested);
        let told = |(tool, plugins)| Change::Contested { tool, plugins };
        contested.into_iter().map(told).collect()
    }
}

impl Entries {
    fn has_tried(&self, candidate: &Candidate) -> bool {
        let entry = self.by_file.get(&candidate.files.component);
        entry.is_some_and(|entry| entry.seen == candidate.seen)
    }

    /// Takes what came of a plugin's load in, and says so.
    fn settle(&mut self, candidate: Candidate, loaded: Result<Loaded, LoadError>) -> Change {
        let Candidate { files, seen } = candidate;
        let (file, path) = (files.stem(), files.component);
        let loaded = loaded.and_then(|loaded| self.is_the_only_one(&path, loaded));
        let before = self.by_file.remove(&path).and_then(|entry| entry.served);
        let (entry, change) = match loaded {
            Ok(loaded) => {
                let change = Change::Served {
                    file,
                    plugin: loaded.plugin.name.clone(),
                    version: loaded.plugin.version.to_string(),
                    tools: loaded.tools.len(),
                    took: loaded.took,
                };
                (Entry { seen, served: Some(Arc::new(loaded)), refused: None }, change)
            }
            Err(why) => {
                let still_served = before.is_some();
                let change = Change::Refused { file, why: why.clone(), still_served };
                (Entry { seen, served: before, refused: Some(why) }, change)
            }
        };
        self.by_file.insert(path, entry);
        change
    }

    /// Two files may not claim one identity: scopes and grants go by it.
    fn is_the_only_one(&self, path: &Path, loaded: Loaded) -> Result<Loaded, LoadError> {
        let same = |(other, entry): (&PathBuf, &Entry)| {
            let served = entry.served.as_ref()?;
            (other != path && served.plugin.name == loaded.plugin.name)
                .then(|| Files::of(other.clone()).stem())
        };
        match self.by_file.iter().find_map(same) {
            None => Ok(loaded),
            Some(other) => Err(LoadError::new(format!(
                "its name, `{}`, is that of the plugin in {other}.wasm",
                loaded.plugin.name
            ))),
        }
    }
}

/// A served plugin, as a person wants to see it.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Its identity.
    pub plugin: PluginName,
    /// Its version.
    pub version: String,
    /// Its tools' names.
    pub tools: Vec<ToolName>,
    /// What one call may spend.
    pub per_call: PerCall,
    /// What its author wants and nobody granted.
    pub wants: Vec<String>,
}

impl Summary {
    fn of(loaded: &Loaded) -> Self {
        Self {
            plugin: loaded.plugin.name.clone(),
            version: loaded.plugin.version.to_string(),
            tools: loaded.tools.iter().map(|tool| tool.name.clone()).collect(),
            per_call: loaded.per_call,
            wants: loaded.wants.all(),
        }
    }
}
