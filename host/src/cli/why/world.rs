//! The configuration as it is now: which line says what, and whether it has changed since a
//! call.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;

use super::record::Record;
use crate::config::{Config, Found, Manifest, Places};
use crate::runtime::Source;

/// A plugin of the drop folder. Its code is not run, and not compiled.
pub(super) struct Plugin {
    pub(super) component: PathBuf,
    digest: String,
    pub(super) sidecar: PathBuf,
    places: Places,
}

/// What decides now.
pub(super) struct World<'c> {
    pub(super) config: &'c Config,
    file: Option<&'c Path>,
    places: Places,
    /// Whose tool the record is about.
    pub(super) plugin: Option<Plugin>,
}

/// Which file a key is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum In {
    /// `bulkhead.toml`, or the environment.
    Config,
    /// The plugin's sidecar.
    Sidecar,
}

impl<'c> World<'c> {
    pub(super) fn of(config: &'c Config, file: Option<&'c Path>, record: &Record) -> Self {
        let readable = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let places = Places::of_config(file, std::env::vars_os().filter_map(readable));
        let told = record.why.as_ref().and_then(|why| why.plugin.as_deref());
        let name = record.plugin.as_deref().or(told);
        let plugin = name.and_then(|name| Plugin::find(&config.plugins.dir, name));
        Self { config, file, places, plugin }
    }

    /// A key, if it is written there.
    pub(super) fn find(&self, place: In, levels: &[&str]) -> Option<Found> {
        match place {
            In::Config => self.places.find(levels),
            In::Sidecar => self.plugin.as_ref()?.places.find(levels),
        }
    }

    /// What the plugin calls a tool, without the prefix that its sidecar sets.
    pub(super) fn own_name<'t>(&self, tool: &'t str) -> &'t str {
        let prefix = self.plugin.as_ref().and_then(|plugin| plugin.places.text(&["prefix"]));
        prefix.and_then(|prefix| tool.strip_prefix(prefix)).unwrap_or(tool)
    }

    /// What is not as it was when the call was made.
    pub(super) fn changes(&self, record: &Record) -> Vec<String> {
        let mut changes = Vec::new();
        match (&record.plugin, &record.digest, &self.plugin) {
            (Some(name), _, None) => {
                let dir = self.config.plugins.dir.display();
                changes.push(format!("the plugin {name} is not in {dir} any longer"));
            }
            (Some(name), Some(digest), Some(now)) if *digest != now.digest => {
                let file = now.component.display();
                changes.push(format!("{file} is another build of {name} than the one called"));
            }
            _ => {}
        }
        if record.server_version != env!("CARGO_PKG_VERSION") {
            changes.push(format!("a server of version {} answered", record.server_version));
        }
        let sidecar = self.plugin.as_ref().map(|plugin| plugin.sidecar.as_path());
        let files = [self.file, sidecar, self.config.auth.policy.as_deref()];
        let called: Option<Timestamp> = record.time.parse().ok();
        for file in files.into_iter().flatten() {
            if let (Some(called), Some(written)) = (called, written(file))
                && written > called
            {
                changes.push(format!("{} was written after the call", file.display()));
            }
        }
        changes
    }
}

/// When a file was last written; a server may have read it later.
fn written(file: &Path) -> Option<Timestamp> {
    let written: SystemTime = std::fs::metadata(file).ok()?.modified().ok()?;
    written.try_into().ok()
}

impl Plugin {
    /// The component in `dir` whose name this is.
    fn find(dir: &Path, name: &str) -> Option<Self> {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(dir).ok()?.flatten().map(|entry| entry.path()).collect();
        files.sort();
        // Most are called like their files.
        files.sort_by_key(|file| file.file_stem().is_none_or(|stem| stem != name));
        let components =
            files.into_iter().filter(|file| file.extension().is_some_and(|e| e == "wasm"));
        components.into_iter().find_map(|component| {
            let source = Source::new(std::fs::read(&component).ok()?).ok()?;
            (name_of(&component, &source).as_deref() == Some(name)).then(|| {
                let sidecar = component.with_extension("toml");
                let places = Places::of_file(&sidecar);
                Self { digest: source.digest().to_owned(), component, sidecar, places }
            })
        })
    }
}

/// What a component is called: as its manifest says, inside or beside it, or as its file.
fn name_of(component: &Path, source: &Source) -> Option<String> {
    let beside = || std::fs::read_to_string(component.with_extension("plugin.toml")).ok();
    match source.inspection().manifest.clone().or_else(beside) {
        Some(text) => Some(Manifest::parse("", &text).ok()?.name.to_string()),
        None => Some(component.file_stem()?.to_str()?.to_owned()),
    }
}
