//! What each served tool declares, and the rules that its operator set for it.
//!
//! Deliberately absent: compiled validators and anything of the engine. A
//! snapshot of the plugins holds those beside a catalog, under the same
//! [`ToolId`]s, and all of it changes at once.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::config::{Hints, OnDenied, Output, PerAgent, PerCall, PerPlugin};
use crate::names::{PluginName, Scope, ToolName};

/// A tool's place in the catalog that it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ToolId(pub usize);

/// A plugin as far as a call and its record need to know it.
#[derive(Debug)]
pub struct Plugin {
    /// Its identity.
    pub name: PluginName,
    /// Its version, as its manifest says.
    pub version: Box<str>,
    /// SHA-256 of the component, in lower-case hexadecimal.
    pub digest: Box<str>,
    /// What all of its calls together may spend.
    pub per_plugin: PerPlugin,
    /// What each agent may do with it.
    pub per_agent: PerAgent,
}

/// A tool as clients see it and as the operator bounds it.
#[derive(Debug)]
pub struct Tool {
    /// Its place in the catalog.
    pub id: ToolId,
    /// The name that clients call.
    pub name: ToolName,
    /// The name that its plugin knows it by; differs where a prefix is set.
    pub guest_name: Box<str>,
    /// Whose tool it is.
    pub plugin: Arc<Plugin>,
    /// A name for people.
    pub title: Option<Box<str>>,
    /// What a model reads.
    pub description: Box<str>,
    /// JSON Schema of the arguments, the author's bytes.
    pub input_schema: Box<RawValue>,
    /// JSON Schema of the structured result, the author's bytes.
    pub output_schema: Option<OutputSchema>,
    /// Hints about its effects.
    pub annotations: Option<Annotations>,
    /// All of these scopes are needed to call it.
    pub requires: Vec<Scope>,
    /// What a principal without them is told.
    pub on_denied: OnDenied,
    /// What one call may spend.
    pub per_call: PerCall,
    /// How its result is made fit for a model.
    pub output: Arc<Output>,
    /// What all calls of this tool together may spend, where the operator says so.
    pub per_plugin: Option<PerPlugin>,
    /// What each agent may do with this tool, where the operator says so.
    pub per_agent: Option<PerAgent>,
}

/// An output schema, and whether clients of the older protocol can take it.
#[derive(Debug)]
pub struct OutputSchema {
    /// The author's bytes.
    pub text: Box<RawValue>,
    /// Its root says `"type": "object"`; before 2026-07-28 it has to.
    pub is_object: bool,
}

/// MCP's `ToolAnnotations`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Annotations {
    /// Changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only_hint: Option<bool>,
    /// May delete or overwrite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destructive_hint: Option<bool>,
    /// A second call with the same arguments changes nothing more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotent_hint: Option<bool>,
    /// Reaches beyond the plugin's own data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_world_hint: Option<bool>,
}

impl From<Hints> for Annotations {
    fn from(hints: Hints) -> Self {
        Self {
            read_only_hint: hints.read_only,
            destructive_hint: hints.destructive,
            idempotent_hint: hints.idempotent,
            open_world_hint: hints.open_world,
        }
    }
}

/// The served tools, in the order of their names.
#[derive(Debug, Default)]
pub struct Catalog {
    tools: Vec<Arc<Tool>>,
    by_name: HashMap<ToolName, ToolId>,
}

impl Catalog {
    /// A catalog of `tools`, whose ids are their places in it and whose names differ.
    pub fn new(tools: Vec<Tool>) -> Self {
        let by_name = tools.iter().map(|tool| (tool.name.clone(), tool.id)).collect();
        Self { tools: tools.into_iter().map(Arc::new).collect(), by_name }
    }

    /// The tool of this name.
    pub fn find(&self, name: &str) -> Option<&Arc<Tool>> {
        self.tools.get(self.by_name.get(name)?.0)
    }

    /// All tools, by name.
    pub fn tools(&self) -> &[Arc<Tool>] {
        &self.tools
    }
}
