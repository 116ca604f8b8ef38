//! One plugin: its component, its author's manifest and its operator's sidecar,
//! read and checked.
//!
//! Everything that a guest says here is hostile: names have a form, texts are
//! cleaned, schemas are bounded and compiled.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;

use super::folder::PluginsConfig;
use crate::catalog::{Annotations, OutputSchema, Plugin};
use crate::clock::{Clock, SystemClock};
use crate::config::{
    Ceilings, Input, MAX_DESCRIPTION_BYTES, MAX_TITLE_BYTES, Manifest, OnDenied, Output, PerAgent,
    PerCall, PerPlugin, Problems, Sidecar, ToolRules, Wants, nearest,
};
use crate::containment::why_unreadable;
use crate::names::{ByteCount, PluginName, Scope, ToolName};
use crate::runtime::{
    Authored, DeclaredTool, LoadError, MAX_COMPONENT_BYTES, Prepared, Sandbox, Source,
};
use crate::sanitize::{clean_description, read_clean_json};
use crate::text::clean_line;
use crate::validation::Schemas;

/// Mirrors an argument in an HTTP header (MCP 2026-07-28). A server that does not
/// compare the two must not offer such a tool.
const HEADER_KEY: &str = "x-mcp-header";

/// The plugin's name that is taken: scopes that begin with it are the server's own.
const RESERVED: &str = "bulkhead";

/// The largest file beside a component, in bytes.
const MAX_TEXT_BYTES: u64 = 256 << 10;

/// A plugin's files: the component and what stands beside it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Files {
    /// `NAME.wasm`.
    pub(super) component: PathBuf,
    /// `NAME.toml`, the operator's.
    pub(super) sidecar: PathBuf,
    /// `NAME.plugin.toml`, the author's, for a component that carries none.
    pub(super) manifest: PathBuf,
    /// `NAME.wit`, the author's, which describes the functions of a plain component.
    pub(super) wit: PathBuf,
}

impl Files {
    /// The files that belong to a component.
    pub(super) fn of(component: PathBuf) -> Self {
        let sidecar = component.with_extension("toml");
        let manifest = component.with_extension("plugin.toml");
        let wit = component.with_extension("wit");
        Self { component, sidecar, manifest, wit }
    }

    /// `NAME`.
    pub(super) fn stem(&self) -> String {
        self.component.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// A plugin that can be served.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) plugin: Arc<Plugin>,
    pub(super) wants: Wants,
    pub(super) per_call: PerCall,
    pub(super) tools: Vec<LoadedTool>,
    pub(super) prepared: Prepared,
    /// How long it took to load.
    pub(super) took: Duration,
}

/// How arguments are taken and results are made fit, where a tool's rules are silent.
#[derive(Debug, Default)]
pub(super) struct Ways {
    input: Input,
    output: Output,
}

/// A tool that can be served.
#[derive(Debug)]
pub(super) struct LoadedTool {
    pub(super) name: ToolName,
    pub(super) guest_name: Box<str>,
    pub(super) title: Option<Box<str>>,
    pub(super) description: Box<str>,
    pub(super) input_schema: Box<RawValue>,
    pub(super) output_schema: Option<OutputSchema>,
    pub(super) schemas: Arc<Schemas>,
    pub(super) annotations: Option<Annotations>,
    pub(super) requires: Vec<Scope>,
    pub(super) on_denied: OnDenied,
    pub(super) output: Arc<Output>,
    pub(super) per_call: PerCall,
    pub(super) per_plugin: Option<PerPlugin>,
    pub(super) per_agent: Option<PerAgent>,
}

/// Reads, compiles, asks and checks. Calls `compiling` when it has to be compiled.
pub(super) async fn load(
    sandbox: &Arc<Sandbox>,
    files: &Files,
    config: &PluginsConfig,
    compiling: &(dyn Fn() + Send + Sync),
) -> Result<Loaded, LoadError> {
    let begun = SystemClock.now();
    let reading = {
        let files = files.clone();
        let ceilings = config.ceilings;
        tokio::task::spawn_blocking(move || Parts::read(&files, &ceilings))
    };
    let parts = reading.await.map_err(|error| LoadError::new(error.to_string()))??;
    let prepared = sandbox.prepare(&parts.source, &parts.authored, compiling).await?;
    let per_call = parts.sidecar.per_call.over(config.per_call);
    let declared = sandbox.list_tools(&prepared, &per_call).await?;
    let mut loaded = parts.check(prepared, declared, config)?;
    loaded.took = SystemClock.now().saturating_duration_since(begun);
    Ok(loaded)
}

/// The files, each read, none of it yet compared with the others.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) authored: Authored,
    sidecar: Sidecar,
    source: Source,
}

impl Parts {
    pub(super) fn read(files: &Files, ceilings: &Ceilings) -> Result<Self, LoadError> {
        let bytes = read_bounded(&files.component, MAX_COMPONENT_BYTES as u64)?
            .ok_or_else(|| LoadError::new("it is gone"))?;
        let source = Source::new(bytes)?;
        let manifest = read_manifest(files, source.inspection().manifest.clone())?;
        if manifest.name.as_str() == RESERVED {
            return Err(LoadError::new(format!("`{RESERVED}` is the server's own name")));
        }
        let sidecar = match read_text(&files.sidecar)? {
            Some(text) => {
                Sidecar::parse(&file_name(&files.sidecar), &text, ceilings).map_err(listed)?
            }
            None => Sidecar::default(),
        };
        let wit = read_text(&files.wit)?;
        Ok(Self { authored: Authored { manifest, wit }, sidecar, source })
    }

    fn check(
        self,
        prepared: Prepared,
        declared: Vec<DeclaredTool>,
        defaults: &PluginsConfig,
    ) -> Result<Loaded, LoadError> {
        self.know_every_ruled_tool(&declared)?;
        self.fits_its_engine(prepared.calls())?;
        let mut per_plugin = self.sidecar.per_plugin.over(defaults.per_plugin);
        per_plugin.concurrency = per_plugin.concurrency.min(prepared.calls());
        let plugin = Arc::new(Plugin {
            name: self.authored.manifest.name.clone(),
            version: self.authored.manifest.version.clone().into(),
            digest: self.source.digest().into(),
            per_plugin,
            per_agent: self.sidecar.per_agent.over(PerAgent::default()),
        });
        let per_call = self.sidecar.per_call.over(defaults.per_call);
        let ways = Ways {
            input: self.sidecar.input.over(defaults.input),
            output: self.sidecar.output.over(&defaults.output),
        };
        let mut names = BTreeSet::new();
        let mut tools = Vec::with_capacity(declared.len());
        for tool in declared {
            let tool = self.check_tool(tool, &plugin, per_call, &ways)?;
            if !names.insert(tool.name.clone()) {
                return Err(LoadError::new(format!("it lists two tools named `{}`", tool.name)));
            }
            tools.push(tool);
        }
        tools.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Loaded {
            plugin,
            wants: self.authored.manifest.wants,
            per_call,
            tools,
            prepared,
            took: Duration::ZERO,
        })
    }

    /// More calls at once than its engine has room for would be refused one by one.
    fn fits_its_engine(&self, most: u32) -> Result<(), LoadError> {
        let of_tools = self.sidecar.tools.values().filter_map(|rules| rules.per_plugin);
        let all = of_tools.chain([self.sidecar.per_plugin]);
        match all.filter_map(|patch| patch.concurrency).max() {
            Some(concurrency) if concurrency > most => Err(LoadError::new(format!(
                "its sidecar sets `per_plugin.concurrency` to {concurrency}, and there is room for \
                 {most} calls of components that use component-model-async; raise `sandbox.calls`, \
                 of which they get an eighth, or lower it"
            ))),
            Some(_) | None => Ok(()),
        }
    }

    /// A rule for a tool that does not exist is a typo, and a tool without its rule.
    fn know_every_ruled_tool(&self, declared: &[DeclaredTool]) -> Result<(), LoadError> {
        let known = || declared.iter().map(|tool| tool.name.as_str());
        match self.sidecar.tools.keys().find(|ruled| !known().any(|name| name == ruled.as_str())) {
            None => Ok(()),
            Some(ruled) => {
                let hint = nearest(ruled.as_str(), known())
                    .map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"));
                Err(LoadError::new(format!(
                    "its sidecar has rules for `{ruled}`, a tool that it does not have{hint}"
                )))
            }
        }
    }

    pub(super) fn check_tool(
        &self,
        declared: DeclaredTool,
        plugin: &Plugin,
        per_call: PerCall,
        ways: &Ways,
    ) -> Result<LoadedTool, LoadError> {
        let shown = clean_line(&declared.name, 64);
        let refuse =
            |why: String| LoadError::new(format!("its tool `{shown}` cannot be served: {why}"));
        let named = |name: &str| {
            name.parse::<ToolName>().map_err(|rule| refuse(format!("a name is {rule}")))
        };
        let own_name = named(&declared.name)?;
        let name =
            named(&format!("{}{own_name}", self.sidecar.prefix.as_deref().unwrap_or_default()))?;
        if declared.description.len() > MAX_DESCRIPTION_BYTES {
            return Err(refuse(format!(
                "its description is longer than {MAX_DESCRIPTION_BYTES} bytes"
            )));
        }
        if declared.title.as_ref().is_some_and(|title| title.len() > MAX_TITLE_BYTES) {
            return Err(refuse(format!("its title is longer than {MAX_TITLE_BYTES} bytes")));
        }
        let (_, input_schema) = read_schema(&declared.input_schema).map_err(refuse)?;
        let output_schema =
            declared.output_schema.as_deref().map(read_schema).transpose().map_err(refuse)?;
        let none = ToolRules::default();
        let rules = self.sidecar.tools.get(&own_name).unwrap_or(&none);
        let input = rules.input.over(ways.input);
        let output = declared.output_schema.as_deref();
        let schemas = Schemas::compile(&declared.input_schema, output, input).map_err(refuse)?;
        let without_rate = PerPlugin { rate: None, ..plugin.per_plugin };
        Ok(LoadedTool {
            title: declared.title.map(|title| clean_description(&title).into()),
            description: clean_description(&declared.description).into(),
            input_schema,
            output_schema: output_schema.map(|(schema, text)| OutputSchema {
                text,
                is_object: schema.get("type").and_then(Value::as_str) == Some("object"),
            }),
            schemas: Arc::new(schemas),
            annotations: declared.annotations,
            requires: rules
                .requires
                .clone()
                .unwrap_or_else(|| vec![Scope::of_tool(&plugin.name, &own_name)]),
            on_denied: rules.on_denied,
            output: Arc::new(rules.output.over(&ways.output)),
            per_call: rules.per_call.over(per_call),
            per_plugin: rules.per_plugin.map(|patch| patch.over(without_rate)),
            per_agent: rules.per_agent.map(|patch| patch.over(PerAgent::default())),
            guest_name: declared.name.into(),
            name,
        })
    }
}

/// A schema goes to clients byte for byte, so one with anything to clean is refused.
fn read_schema(text: &str) -> Result<(Value, Box<RawValue>), String> {
    let (value, raw, changed) = read_clean_json(text).map_err(|_| {
        "its schema is not JSON that everybody reads alike (a key twice, or too deep)".to_owned()
    })?;
    if has_key(&value, HEADER_KEY) {
        return Err(format!("its schema uses `{HEADER_KEY}`, which this version does not serve"));
    }
    if changed {
        return Err("its schema holds control characters, or such as do not show".to_owned());
    }
    Ok((value, raw))
}

/// Whether an object anywhere in a value, whose depth was bounded, has a key.
fn has_key(value: &Value, key: &str) -> bool {
    match value {
        Value::Object(entries) => {
            entries.contains_key(key) || entries.values().any(|value| has_key(value, key))
        }
        Value::Array(items) => items.iter().any(|item| has_key(item, key)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// The author's manifest: the one inside the component, or the one beside it. A
/// component with neither is named like its file.
fn read_manifest(files: &Files, embedded: Option<String>) -> Result<Manifest, LoadError> {
    let (source, text) = match embedded {
        Some(text) => (format!("{}, its manifest", file_name(&files.component)), Some(text)),
        None => (file_name(&files.manifest), read_text(&files.manifest)?),
    };
    match text {
        Some(text) => Manifest::parse(&source, &text).map_err(listed),
        None => {
            let stem = files.stem();
            let name: PluginName = stem.parse().map_err(|rule| {
                LoadError::new(format!(
                    "it has no manifest, and its file's name is no plugin name ({rule})"
                ))
            })?;
            Ok(Manifest::named(name))
        }
    }
}

fn read_text(path: &Path) -> Result<Option<String>, LoadError> {
    let Some(bytes) = read_bounded(path, MAX_TEXT_BYTES)? else { return Ok(None) };
    let text = String::from_utf8(bytes);
    text.map(Some).map_err(|_| LoadError::new(format!("{} is not UTF-8", file_name(path))))
}

/// Reads a file of at most `most` bytes, if there is one.
///
/// What is no regular file is not opened: a pipe would hold up the load for good, and a
/// device has no end. Of a file that grows meanwhile no more is read.
fn read_bounded(path: &Path, most: u64) -> Result<Option<Vec<u8>>, LoadError> {
    let refuse = |why: String| LoadError::new(format!("{} {why}", file_name(path)));
    let metadata = match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        looked => looked.map_err(|error| unreadable(path, &error))?,
    };
    if !metadata.is_file() {
        return Err(refuse("is no file".to_owned()));
    }
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
    read.map_err(|error| unreadable(path, &error))?;
    if bytes.len() as u64 > most {
        return Err(refuse(format!("is larger than {}", ByteCount(most))));
    }
    Ok(Some(bytes))
}

fn unreadable(path: &Path, error: &std::io::Error) -> LoadError {
    LoadError::new(format!("{}: {}", file_name(path), why_unreadable(path, error)))
}

fn listed(problems: Problems) -> LoadError {
    LoadError::new(problems.to_string())
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
