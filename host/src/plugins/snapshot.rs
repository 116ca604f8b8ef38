//! What is served at one moment: catalog, validators and prepared instances, which
//! change together or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::load::Loaded;
use crate::catalog::{Catalog, OutputSchema, Tool, ToolId};
use crate::names::ToolName;
use crate::runtime::Prepared;
use crate::sanitize::ToolNames;
use crate::validation::Validators;

/// One consistent view of all plugins.
#[derive(Debug, Default)]
pub struct Snapshot {
    catalog: Catalog,
    validators: Validators,
    names: ToolNames,
    prepared: Vec<Prepared>,
}

impl Snapshot {
    /// What is served, by name.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The compiled schemas of the catalog's tools.
    pub fn validators(&self) -> &Validators {
        &self.validators
    }

    /// The names of the catalog's tools, to be found in outputs.
    pub fn names(&self) -> &ToolNames {
        &self.names
    }

    /// What runs a tool of this snapshot's catalog.
    pub fn prepared(&self, tool: ToolId) -> Option<&Prepared> {
        self.prepared.get(tool.0)
    }

    /// Puts the plugins together. A name that two of them offer is served by
    /// neither, and is returned with the plugins that claim it: choosing one would
    /// let a new plugin take over the tool of another.
    pub(super) fn assemble<'a>(
        plugins: impl Iterator<Item = &'a Arc<Loaded>>,
    ) -> (Self, Vec<(ToolName, Vec<String>)>) {
        let mut claims: BTreeMap<&ToolName, Vec<(&Loaded, usize)>> = BTreeMap::new();
        for loaded in plugins {
            for (at, tool) in loaded.tools.iter().enumerate() {
                claims.entry(&tool.name).or_default().push((loaded, at));
            }
        }
        let mut tools = Vec::new();
        let mut schemas = Vec::new();
        let mut prepared = Vec::new();
        let mut contested = Vec::new();
        for (name, claimants) in claims {
            match claimants.as_slice() {
                [(loaded, at)] => {
                    let Some(tool) = tool_of(loaded, *at, ToolId(tools.len())) else {
                        continue;
                    };
                    schemas.extend(loaded.tools.get(*at).map(|tool| Arc::clone(&tool.schemas)));
                    prepared.push(loaded.prepared.clone());
                    tools.push(tool);
                }
                several => {
                    let plugins = several.iter().map(|(loaded, _)| loaded.plugin.name.to_string());
                    contested.push((name.clone(), plugins.collect()));
                }
            }
        }
        let names = ToolNames::of(tools.iter().map(|tool| &tool.name));
        let catalog = Catalog::new(tools);
        (Self { catalog, validators: Validators::new(schemas), names, prepared }, contested)
    }
}

fn tool_of(loaded: &Loaded, at: usize, id: ToolId) -> Option<Tool> {
    let tool = loaded.tools.get(at)?;
    Some(Tool {
        id,
        name: tool.name.clone(),
        guest_name: tool.guest_name.clone(),
        plugin: Arc::clone(&loaded.plugin),
        title: tool.title.clone(),
        description: tool.description.clone(),
        input_schema: tool.input_schema.clone(),
        output_schema: tool
            .output_schema
            .as_ref()
            .map(|schema| OutputSchema { text: schema.text.clone(), is_object: schema.is_object }),
        annotations: tool.annotations,
        requires: tool.requires.clone(),
        on_denied: tool.on_denied,
        output: Arc::clone(&tool.output),
        per_call: tool.per_call,
        per_plugin: tool.per_plugin,
        per_agent: tool.per_agent,
    })
}
