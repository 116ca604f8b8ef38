//! `bulkhead plugin`: look at plugins.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;

use super::failure::{self, Failure};
use super::progress::Progress;
use super::shared;
use crate::clock::SystemClock;
use crate::config::{self, Containment, Manifest, PerCall, Totals};
use crate::runtime::{Authored, ComponentKind, Inspection, Sandbox, Source};
use crate::sanitize::{clean_line, clean_text};

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
        let manifest = inspection
            .manifest
            .as_deref()
            .map(|text| Manifest::parse("its manifest", text))
            .transpose()
            .map_err(|problems| failed(&problems))?;
        identity(&file, manifest.as_ref(), source.bytes().len());
        tools(&source, manifest.as_ref())?;
        imports(inspection);
        if let Some(manifest) = &manifest {
            wants(manifest);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn identity(file: &std::path::Path, manifest: Option<&Manifest>, bytes: usize) {
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

fn tools(source: &Source, manifest: Option<&Manifest>) -> Result<(), Failure> {
    let inspection = source.inspection();
    println!("\ntools");
    let why_not = match inspection.kind {
        ComponentKind::Tools | ComponentKind::Functions => None,
        ComponentKind::Command | ComponentKind::CommandModule => None,
        ComponentKind::Nothing => Some("none: it exports nothing"),
        ComponentKind::CoreModule => Some("none: a core module, not a component"),
    };
    if let Some(why_not) = why_not {
        println!("  {why_not}");
        for export in &inspection.exports {
            println!("  exports {}", clean_line(export, 128));
        }
        return Ok(());
    }
    let unnamed =
        Manifest::named("unnamed".parse().map_err(|rule| Failure::new(failure::DATA, rule))?);
    let authored = Authored { manifest: manifest.unwrap_or(&unnamed).clone(), wit: None };
    let listed = shared::run(async {
        let cache = std::env::temp_dir().join(format!("bulkhead-{}", std::process::id()));
        let quota = PerCall::default();
        let totals = Totals { calls: 1, memory: quota.memory };
        let limits = config::Compiler::default();
        let all = Containment::default();
        let sandbox = Sandbox::new(&cache, Arc::new(SystemClock), &totals, limits, &all)
            .map_err(|error| Failure::new(failure::UNAVAILABLE, error))?;
        let sandbox = Arc::new(sandbox);
        // What this compiled is of no further use.
        let _removed = RemovedAtEnd(cache);
        let progress = Progress::begin("loading it");
        let compiling = || progress.tell("compiling it");
        let prepared = match sandbox.prepare(source, &authored, &compiling).await {
            Ok(prepared) => prepared,
            Err(why) => return Ok(Err(why)),
        };
        Ok::<_, Failure>(sandbox.list_tools(&prepared, &quota).await)
    })?;
    match listed {
        Err(why) => println!("  cannot be told: {}", clean_text(&why.to_string())),
        Ok(tools) => {
            for tool in tools {
                let gist = shared::gist(&tool.description);
                println!("  {:<24} {gist}", clean_line(&tool.name, 64));
            }
        }
    }
    Ok(())
}

/// A folder that is removed when this is dropped.
struct RemovedAtEnd(PathBuf);

impl Drop for RemovedAtEnd {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn imports(inspection: &Inspection) {
    let ungranted = inspection.ungranted();
    println!("\nimports");
    if inspection.imports.is_empty() {
        println!("  nothing");
    }
    for import in &inspection.imports {
        let what = if ungranted.contains(&import.as_str()) {
            "needs a grant"
        } else if import.starts_with("wasi:") {
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
