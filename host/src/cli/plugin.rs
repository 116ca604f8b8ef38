//! `bulkhead plugin`: look at plugins.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::Value;
use tracing_subscriber::filter::LevelFilter;

use super::failure::{self, Failure};
use super::progress::Progress;
use super::shared;
use crate::config::{Manifest, PerCall};
use crate::runtime::{Authored, ComponentKind, DeclaredTool, Inspection, LoadError, Source};
use crate::telemetry::log_to_stderr;
use crate::text::{clean_line, clean_text};

#[derive(Debug, Subcommand)]
pub(super) enum Plugin {
    /// Show a component's identity, its tools, what it imports and wants, and what it
    /// would need to be granted.
    Inspect {
        /// The component.
        file: PathBuf,
    },
}

impl Plugin {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let Self::Inspect { file } = self;
        let failed = |why: &dyn std::fmt::Display| {
            Failure::new(failure::DATA, format!("{}: {why}", file.display()))
        };
        let bytes = std::fs::read(&file).map_err(|error| failed(&error))?;
        let source = Source::new(bytes).map_err(|error| failed(&error))?;
        let inspection = source.inspection();
        let manifest = match manifest_text(&file, inspection).map_err(|error| failed(&error))? {
            Some((place, text)) => {
                Some(Manifest::parse(&place, &text).map_err(|problems| failed(&problems))?)
            }
            None => None,
        };
        // What loading it warns of belongs to what an author wants to know.
        log_to_stderr(LevelFilter::WARN);
        identity(&file, manifest.as_ref(), source.bytes().len());
        tools(&file, &source, manifest.as_ref())?;
        imports(inspection);
        if let Some(manifest) = &manifest {
            wants(manifest);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The author's manifest, inside the component or beside it, and where it is.
fn manifest_text(file: &Path, inspection: &Inspection) -> io::Result<Option<(String, String)>> {
    if let Some(text) = &inspection.manifest {
        return Ok(Some(("its manifest".to_owned(), text.clone())));
    }
    let beside = file.with_extension("plugin.toml");
    Ok(text_beside(&beside)?.map(|text| (beside.display().to_string(), text)))
}

fn text_beside(path: &Path) -> io::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        text => text.map(Some),
    }
}

fn identity(file: &Path, manifest: Option<&Manifest>, bytes: usize) {
    match manifest {
        Some(manifest) => {
            println!("{} {}", manifest.name, manifest.version);
            if let Some(description) = &manifest.description {
                println!("  {}", clean_line(description, 200));
            }
        }
        None => {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy();
            println!("{stem} (no manifest; named like its file)");
        }
    }
    println!("  {} KiB", bytes.div_ceil(1024));
}

fn tools(file: &Path, source: &Source, manifest: Option<&Manifest>) -> Result<(), Failure> {
    let inspection = source.inspection();
    let (way, is_served) = match inspection.kind {
        ComponentKind::Tools => ("the contract bulkhead:plugin", true),
        ComponentKind::Functions => ("a plain component: each function is one", true),
        ComponentKind::Command => ("a WASI command, WASI 0.2", true),
        ComponentKind::CommandModule => ("a WASI command, WASI Preview 1", true),
        ComponentKind::Nothing => ("none: it exports nothing", false),
        ComponentKind::CoreModule => ("none: a module without a `main`, no component", false),
    };
    println!("\ntools ({way})");
    if !is_served {
        for export in &inspection.exports {
            println!("  exports {}", clean_line(export, 128));
        }
        return Ok(());
    }
    match list(file, source, manifest)? {
        Err(why) => println!("  cannot be told: {}", clean_text(&why.to_string())),
        Ok(tools) => tools.iter().for_each(show),
    }
    Ok(())
}

/// The tools as the plugin declares them, or why it cannot be loaded.
fn list(
    file: &Path,
    source: &Source,
    manifest: Option<&Manifest>,
) -> Result<Result<Vec<DeclaredTool>, LoadError>, Failure> {
    let failed = |why: &dyn std::fmt::Display| {
        Failure::new(failure::DATA, format!("{}: {why}", file.display()))
    };
    let unnamed = Manifest::named("unnamed".parse().map_err(|rule| failed(&rule))?);
    let wit = text_beside(&file.with_extension("wit")).map_err(|error| failed(&error))?;
    let authored = Authored { manifest: manifest.unwrap_or(&unnamed).clone(), wit };
    shared::run(async {
        let (sandbox, _compiled) = shared::sandbox()?;
        let progress = Progress::begin("loading it");
        let compiling = || progress.tell("compiling it");
        Ok(match sandbox.prepare(source, &authored, &compiling).await {
            Ok(prepared) => sandbox.list_tools(&prepared, &PerCall::default()).await,
            Err(why) => Err(why),
        })
    })
}

fn show(tool: &DeclaredTool) {
    println!("  {:<24} {}", clean_line(&tool.name, 64), shared::gist(&tool.description));
    let arguments = keys(&tool.input_schema);
    let result = match tool.output_schema.as_deref().map(keys) {
        None => String::new(),
        Some(keys) if keys.is_empty() => " -> structured".to_owned(),
        Some(keys) => format!(" -> {{{keys}}}"),
    };
    println!("  {:<24} ({arguments}){result}", "");
}

/// What an object of a schema holds, as `text: string, top?: integer`.
fn keys(schema: &str) -> String {
    let Ok(schema) = serde_json::from_str::<Value>(schema) else { return "?".to_owned() };
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |key: &str| {
        required.is_some_and(|required| required.iter().any(|name| name.as_str() == Some(key)))
    };
    let properties = schema.get("properties").and_then(Value::as_object);
    let key = |(name, schema): (&String, &Value)| {
        let mark = if is_required(name) { "" } else { "?" };
        let of_type = schema.get("type").map(|kind| match kind.as_array() {
            Some(kinds) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("|"),
            None => kind.as_str().unwrap_or_default().to_owned(),
        });
        format!("{name}{mark}{}", of_type.map_or_else(String::new, |kind| format!(": {kind}")))
    };
    let all: Vec<_> = properties.into_iter().flatten().map(key).collect();
    clean_line(&all.join(", "), 200)
}

fn imports(inspection: &Inspection) {
    let ungranted = inspection.ungranted();
    println!("\nimports");
    if inspection.kind == ComponentKind::CommandModule {
        println!("  {:<44} inert", "WASI Preview 1");
    } else if inspection.imports.is_empty() {
        println!("  nothing");
    }
    for import in &inspection.imports {
        // A module imports all of WASI Preview 1 under one name.
        let is_wasi = import.starts_with("wasi:") || import == "wasi_snapshot_preview1";
        let what = if ungranted.contains(&import.as_str()) {
            "needs a grant"
        } else if is_wasi {
            "inert"
        } else {
            "always there"
        };
        println!("  {:<44} {what}", clean_line(import, 128));
    }
}

fn wants(manifest: &Manifest) {
    let wants = manifest.wants.all();
    if !wants.is_empty() {
        println!("\nwants, and would need to be granted in its sidecar");
        for want in wants {
            println!("  {}", clean_line(&want, 200));
        }
    }
    let suggested = manifest.suggests.written();
    if !suggested.is_empty() {
        println!("\nquotas that its author suggests (the operator decides)");
        for (key, value) in suggested {
            println!("  {key} = \"{value}\"");
        }
    }
}
