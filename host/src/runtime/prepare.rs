//! From a file's bytes to a plugin that can be called.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;
use wasmtime::component::Component;
use wasmtime::{Engine, Store};

use super::bindings::{ToolPlugin, ToolPluginPre, types};
use super::engine::{EngineKind, Sandbox};
use super::inspection::{ComponentKind, Source};
use super::invocation::{bounded, new_store};
use super::state::CallState;
use crate::config::{PerCall, shown};
use crate::names::ByteCount;

/// The largest file that is loaded, in bytes; a Python component has 18 MB.
pub const MAX_COMPONENT_BYTES: usize = 64 << 20;

/// How many imports a refusal names. A stranger decides how many there are.
const MAX_NAMED: usize = 16;

/// The most tools that one plugin may offer. A model that reads more descriptions
/// than this chooses badly.
const MAX_TOOLS: usize = 256;

/// Why a plugin was not loaded: one sentence that tells its operator what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError(String);

impl LoadError {
    /// An explanation that completes "PLUGIN was not loaded: ".
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LoadError {}

/// A tool as its plugin declares it: hostile text until it is checked.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of the contract's record")]
pub struct DeclaredTool {
    pub name: String,
    pub title: Option<String>,
    pub description: String,
    pub input_schema: String,
    pub output_schema: Option<String>,
    pub annotations: Option<crate::catalog::Annotations>,
}

/// A plugin that is compiled, linked and ready to be instantiated. Cheap to clone.
#[derive(Clone)]
pub struct Prepared(Arc<Ready>);

struct Ready {
    linked: ToolPluginPre<CallState>,
    /// How many of its calls its engine has room for.
    calls: u32,
    /// What an instance takes of memory before any of its code was called; unknown
    /// until the first one was made.
    first_memory: OnceLock<ByteCount>,
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prepared")
    }
}

impl Prepared {
    /// How many of its calls can run at once.
    pub fn calls(&self) -> u32 {
        self.0.calls
    }

    pub(super) fn engine(&self) -> &Engine {
        self.0.linked.engine()
    }

    /// What an instance takes at least, as far as that is known.
    pub(super) fn first_memory(&self) -> ByteCount {
        self.0.first_memory.get().copied().unwrap_or_default()
    }

    pub(super) async fn instantiate(
        &self,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<ToolPlugin> {
        let instance = self.0.linked.instantiate_async(&mut *store).await?;
        self.0.first_memory.get_or_init(|| store.data().memory.peak());
        Ok(instance)
    }
}

impl Sandbox {
    /// Compiles a component, unless the cache has it, and links it with what it was
    /// granted: nothing. Calls `compiling` when it has to be compiled, which takes from
    /// a tenth of a second to a minute.
    ///
    /// Dropping this future ends the compiler.
    ///
    /// # Errors
    /// When it is no component, exports no tools, imports what is not linked, or does
    /// not compile within the limits.
    pub async fn prepare(
        self: &Arc<Self>,
        source: &Source,
        compiling: &(dyn Fn() + Send + Sync),
    ) -> Result<Prepared, LoadError> {
        // Cheap refusals first: a typo must not wait for the compiler.
        servable(source)?;
        let kind = source.inspection().engine;
        let engine = compatibility(&self.stage(kind).engine);
        self.compiler.compile(source, kind, engine, compiling).await?;
        let (sandbox, bytes) = (Arc::clone(self), source.bytes().clone());
        let linking = tokio::task::spawn_blocking(move || sandbox.link(&bytes, kind));
        linking.await.map_err(|error| LoadError::new(error.to_string()))?
    }

    /// Takes the code of a component from the cache, which the compiler has filled.
    fn link(&self, bytes: &[u8], kind: EngineKind) -> Result<Prepared, LoadError> {
        let stage = self.stage(kind);
        let component = Component::from_binary(&stage.engine, bytes)
            .map_err(|error| LoadError::new(format!("it does not compile: {error:#}")))?;
        let linked = stage.linker.instantiate_pre(&component).and_then(ToolPluginPre::new);
        let linked = linked.map_err(|error| {
            LoadError::new(format!("it does not fit this version's contract: {error:#}"))
        })?;
        let first_memory = OnceLock::new();
        Ok(Prepared(Arc::new(Ready { linked, calls: stage.calls, first_memory })))
    }

    /// Asks a plugin for its tools, twice, each time in a fresh instance that was
    /// granted nothing, with a frozen clock and a fixed random seed.
    ///
    /// # Errors
    /// When asking fails or costs more than `quota`, or when the answers differ.
    pub async fn list_tools(
        &self,
        prepared: &Prepared,
        quota: &PerCall,
    ) -> Result<Vec<DeclaredTool>, LoadError> {
        let first = self.ask_for_tools(prepared, quota).await?;
        let second = self.ask_for_tools(prepared, quota).await?;
        // Compared as text, so that no field can differ unseen.
        if format!("{first:?}") != format!("{second:?}") {
            return Err(LoadError::new("it lists different tools each time it is asked"));
        }
        if first.is_empty() {
            return Err(LoadError::new("it lists no tools"));
        }
        if first.len() > MAX_TOOLS {
            return Err(LoadError::new(format!(
                "it lists {} tools; at most {MAX_TOOLS} are served",
                first.len()
            )));
        }
        Ok(first.into_iter().map(DeclaredTool::from).collect())
    }

    async fn ask_for_tools(
        &self,
        prepared: &Prepared,
        quota: &PerCall,
    ) -> Result<Vec<types::Tool>, LoadError> {
        let store = new_store(self, prepared, quota, None)
            .map_err(|error| LoadError::new(format!("{error:#}")))?;
        let quota = *quota;
        let prepared = prepared.clone();
        let asked = async move {
            bounded(store, &quota, CancellationToken::new(), async |store| {
                let instance = prepared.instantiate(store).await?;
                instance.bulkhead_plugin_tools().call_list_tools(store).await
            })
            .await
        };
        let ended = self.burners.run(None, asked).await.map_err(LoadError::new)?;
        ended.result.map_err(|fault| {
            let error = fault.into_error(&quota);
            let mut why = format!("asked for its tools, it failed with {}", error.code());
            for more in error.cause().into_iter().chain(ended.printed.as_deref()) {
                why.push_str(": ");
                why.push_str(more.trim());
            }
            LoadError::new(why)
        })
    }
}

/// Tells apart the engines that code is compiled for.
fn compatibility(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

/// Whether a component is of the kind that is served, and imports only what is linked.
fn servable(source: &Source) -> Result<(), LoadError> {
    if source.bytes().len() > MAX_COMPONENT_BYTES {
        return Err(LoadError::new(format!("it is larger than {} MiB", MAX_COMPONENT_BYTES >> 20)));
    }
    let inspection = source.inspection();
    match inspection.kind {
        ComponentKind::Tools => {}
        ComponentKind::Command => {
            return Err(LoadError::new(
                "it is a WASI command; this version serves components that export `bulkhead:plugin/tools`",
            ));
        }
        ComponentKind::Functions => {
            return Err(LoadError::new(
                "it exports plain functions; this version serves components that export `bulkhead:plugin/tools`",
            ));
        }
        ComponentKind::Nothing => {
            return Err(LoadError::new("it exports nothing that could be a tool"));
        }
        ComponentKind::CoreModule => {
            return Err(LoadError::new(
                "it is a core module, not a component, and has no `_start`",
            ));
        }
    }
    let missing = inspection.ungranted();
    if !missing.is_empty() {
        let named: Vec<String> = missing.iter().take(MAX_NAMED).map(|name| shown(name)).collect();
        let more = match missing.len().saturating_sub(MAX_NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let named = named.join(", ");
        return Err(LoadError::new(format!("it imports what it was not granted: {named}{more}")));
    }
    Ok(())
}

impl From<types::Tool> for DeclaredTool {
    fn from(tool: types::Tool) -> Self {
        let annotations = tool.annotations.map(|declared| crate::catalog::Annotations {
            read_only_hint: declared.read_only,
            destructive_hint: declared.destructive,
            idempotent_hint: declared.idempotent,
            open_world_hint: declared.open_world,
        });
        Self {
            name: tool.name,
            title: tool.title,
            description: tool.description,
            input_schema: tool.input_schema,
            output_schema: tool.output_schema,
            annotations,
        }
    }
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{
        Component, ComponentExportKind, ComponentExportSection, ComponentImportSection,
        ComponentInstanceSection, ComponentTypeRef,
    };

    use super::*;

    /// A component that exports the tools' interface, and imports instances.
    fn importing(names: impl IntoIterator<Item = String>) -> Source {
        let mut component = Component::new();
        let mut imports = ComponentImportSection::new();
        for name in names {
            imports.import(name.as_str(), ComponentTypeRef::Instance(0));
        }
        component.section(&imports);
        let mut instances = ComponentInstanceSection::new();
        instances.export_items::<&str, _>([]);
        component.section(&instances);
        let mut exports = ComponentExportSection::new();
        exports.export("bulkhead:plugin/tools@0.1.0", ComponentExportKind::Instance, 0, None);
        component.section(&exports);
        Source::new(component.finish()).unwrap()
    }

    #[test]
    fn a_refusal_is_one_short_line_whatever_is_imported() {
        assert_eq!(servable(&importing([])), Ok(()));
        let forged = importing(["a\nINFO evil is served\u{1b}[2J".to_owned()]);
        let why = "it imports what it was not granted: a\\nINFO evil is served\\u{1b}[2J";
        assert_eq!(servable(&forged).unwrap_err().to_string(), why);

        let many = importing((0..17).map(|at| format!("{at}{}", "x".repeat(90_000))));
        let why = servable(&many).unwrap_err().to_string();
        assert!(why.len() < 2_000 && why.ends_with("… and 1 more"), "{why}");
        let sixteen = importing((0..16).map(|at| format!("i{at}")));
        assert!(servable(&sixteen).unwrap_err().to_string().ends_with(", i14, i15"));
    }
}
