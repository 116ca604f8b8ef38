//! From a file's bytes to a plugin that can be called.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};

use wasmtime::component::{Component, Instance, InstancePre};
use wasmtime::{Engine, Module, Store};

use super::command::Commands;
use super::contract::Contract;
use super::engine::{EngineKind, Sandbox};
use super::functions::{Docs, Functions};
use super::inspection::{ComponentKind, Source};
use super::output::Produced;
use super::state::CallState;
use crate::config::{Manifest, PerCall, nearest, shown};
use crate::names::ByteCount;

/// The largest file that is loaded, in bytes; a Python component has 18 MB.
pub const MAX_COMPONENT_BYTES: usize = 64 << 20;

/// How many imports a refusal names. A stranger decides how many there are.
const MAX_NAMED: usize = 16;

/// The most tools that one plugin may offer. A model that reads more descriptions
/// than this chooses badly.
pub(super) const MAX_TOOLS: usize = 256;

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

/// What a plugin's author says about it beside its code.
#[derive(Clone, Debug)]
pub struct Authored {
    /// `plugin.toml`.
    pub manifest: Manifest,
    /// The text of `NAME.wit`, which describes the functions of a plain component.
    pub wit: Option<String>,
}

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
    linked: Linked,
    way: Way,
    /// How many of its calls its engine has room for.
    calls: u32,
    /// What an instance takes of memory before any of its code was called; unknown
    /// until the first one was made.
    first_memory: OnceLock<ByteCount>,
}

/// Compiled code with its imports.
enum Linked {
    Component(InstancePre<CallState>),
    /// Of WASI Preview 1.
    Module(wasmtime::InstancePre<CallState>),
}

/// What an instance was made of.
pub(super) enum Instantiated {
    Component(Instance),
    Module(wasmtime::Instance),
}

/// How a component's tools are called.
enum Way {
    /// It exports `bulkhead:plugin/tools`.
    Contract(Contract),
    /// Its functions are tools.
    Functions(Functions, Vec<DeclaredTool>),
    /// It has a `main`, and its tools are declared.
    Command(Commands, Vec<DeclaredTool>),
}

impl Way {
    /// That of a command: a component, or else a module.
    fn command(component: Option<&Component>, manifest: &Manifest) -> Result<Self, LoadError> {
        Ok(Self::Command(Commands::of(component, manifest)?, Commands::declared(manifest)))
    }
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
        match &self.0.linked {
            Linked::Component(linked) => linked.engine(),
            Linked::Module(linked) => linked.module().engine(),
        }
    }

    /// What an instance takes at least, as far as that is known.
    pub(super) fn first_memory(&self) -> ByteCount {
        self.0.first_memory.get().copied().unwrap_or_default()
    }

    /// Makes an instance of a component.
    pub(super) async fn instantiate(
        &self,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<Instance> {
        match self.instantiate_either(store).await? {
            Instantiated::Component(instance) => Ok(instance),
            Instantiated::Module(_) => Err(wasmtime::format_err!("a module is no component")),
        }
    }

    /// Makes an instance of a component, or of a module, whose `start` function runs.
    pub(super) async fn instantiate_either(
        &self,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<Instantiated> {
        let instance = match &self.0.linked {
            Linked::Component(linked) => {
                Instantiated::Component(linked.instantiate_async(&mut *store).await?)
            }
            Linked::Module(linked) => {
                Instantiated::Module(linked.instantiate_async(&mut *store).await?)
            }
        };
        self.0.first_memory.get_or_init(|| store.data().memory.peak());
        Ok(instance)
    }

    /// Makes an instance in the store, and calls one of its tools.
    pub(super) async fn call(
        &self,
        store: &mut Store<CallState>,
        tool: &str,
        arguments: &str,
    ) -> wasmtime::Result<Produced> {
        match &self.0.way {
            Way::Contract(contract) => {
                let instance = self.instantiate(store).await?;
                contract.call(store, &instance, tool, arguments).await
            }
            Way::Functions(functions, _) => {
                let instance = self.instantiate(store).await?;
                let take = |state: &mut CallState, bytes| state.memory.take(bytes);
                functions.call(store, &instance, tool, arguments, take).await
            }
            Way::Command(commands, _) => commands.call(self, store, tool, arguments).await,
        }
    }

    /// Whether it is a module, and no component.
    pub(super) fn is_module(&self) -> bool {
        matches!(self.0.linked, Linked::Module(_))
    }

    pub(super) fn contract(&self) -> Option<&Contract> {
        match &self.0.way {
            Way::Contract(contract) => Some(contract),
            Way::Functions(..) | Way::Command(..) => None,
        }
    }

    pub(super) fn commands(&self) -> Option<&Commands> {
        match &self.0.way {
            Way::Command(commands, _) => Some(commands),
            Way::Contract(_) | Way::Functions(..) => None,
        }
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
    /// When it is nothing that has tools, imports what is not linked, or does not compile
    /// within the limits.
    pub async fn prepare(
        self: &Arc<Self>,
        source: &Source,
        authored: &Authored,
        compiling: &(dyn Fn() + Send + Sync),
    ) -> Result<Prepared, LoadError> {
        // Cheap refusals first: a typo must not wait for the compiler.
        let kind = source.inspection().kind;
        let Authored { manifest, wit } = authored;
        if kind != ComponentKind::Functions && !manifest.tools.is_empty() {
            return Err(LoadError::new(
                "its manifest has `[tools]`, which describe the functions of a plain component; \
                 it is none",
            ));
        }
        if kind != ComponentKind::Functions && wit.is_some() {
            return Err(LoadError::new(
                "a WIT file stands beside it, which describes a plain component; it is none",
            ));
        }
        let is_command = matches!(kind, ComponentKind::Command | ComponentKind::CommandModule);
        if is_command && manifest.commands.is_empty() {
            return Err(LoadError::new(
                "it is a WASI command, and its manifest has no `[[command]]` that says what tool \
                 it is",
            ));
        }
        if !is_command && !manifest.commands.is_empty() {
            return Err(LoadError::new(
                "its manifest has `[[command]]`, and it is no WASI command: it has no `main`",
            ));
        }
        self.prepare_undescribed(source, authored, compiling).await
    }

    /// The same, of a command that need not have any tools yet.
    pub(super) async fn prepare_undescribed(
        self: &Arc<Self>,
        source: &Source,
        authored: &Authored,
        compiling: &(dyn Fn() + Send + Sync),
    ) -> Result<Prepared, LoadError> {
        servable(source)?;
        only_linked(source)?;
        let kind = source.inspection().engine;
        let engine = compatibility(&self.stage(kind).engine);
        self.compiler.compile(source, kind, engine, compiling).await?;
        let (sandbox, source, authored) = (Arc::clone(self), source.clone(), authored.clone());
        let linking = tokio::task::spawn_blocking(move || sandbox.link(&source, kind, &authored));
        linking.await.map_err(|error| LoadError::new(error.to_string()))?
    }

    /// Takes the code of a component from the cache, which the compiler has filled.
    fn link(
        &self,
        source: &Source,
        kind: EngineKind,
        authored: &Authored,
    ) -> Result<Prepared, LoadError> {
        let stage = self.stage(kind);
        let uncompiled =
            |error: wasmtime::Error| LoadError::new(format!("it does not compile: {error:#}"));
        let unlinked = |error: wasmtime::Error| {
            LoadError::new(format!("it does not fit this version's contract: {error:#}"))
        };
        let (linked, way) = if source.inspection().kind == ComponentKind::CommandModule {
            let module = Module::from_binary(&stage.engine, source.bytes()).map_err(uncompiled)?;
            main_of(&module)?;
            let linked = self.preview1.instantiate_pre(&module).map_err(unlinked)?;
            (Linked::Module(linked), Way::command(None, &authored.manifest)?)
        } else {
            let component =
                Component::from_binary(&stage.engine, source.bytes()).map_err(uncompiled)?;
            let linked = stage.linker.instantiate_pre(&component).map_err(unlinked)?;
            (Linked::Component(linked), self.way(source, &component, authored)?)
        };
        let first_memory = OnceLock::new();
        Ok(Prepared(Arc::new(Ready { linked, way, calls: stage.calls, first_memory })))
    }

    /// How a component's tools are called.
    fn way(
        &self,
        source: &Source,
        component: &Component,
        authored: &Authored,
    ) -> Result<Way, LoadError> {
        match source.inspection().kind {
            ComponentKind::Command => Way::command(Some(component), &authored.manifest),
            ComponentKind::Functions => {
                let docs = docs(source, authored);
                let (functions, mut declared, undescribed) =
                    Functions::of(component.engine(), component, &docs)?;
                describe(&mut declared, &undescribed, &authored.manifest)?;
                Ok(Way::Functions(functions, declared))
            }
            ComponentKind::Tools
            | ComponentKind::CommandModule
            | ComponentKind::Nothing
            | ComponentKind::CoreModule => Contract::of(component).map(Way::Contract),
        }
    }

    /// The tools of a plugin: declared, or asked for.
    ///
    /// # Errors
    /// When asking fails or costs more than `quota`, when the answers differ, or when
    /// there are none or too many.
    pub async fn list_tools(
        &self,
        prepared: &Prepared,
        quota: &PerCall,
    ) -> Result<Vec<DeclaredTool>, LoadError> {
        let tools = match &prepared.0.way {
            Way::Contract(_) => self.ask_twice(prepared, quota).await?,
            Way::Functions(_, declared) | Way::Command(_, declared) => declared.clone(),
        };
        match tools.len() {
            0 => Err(LoadError::new("it lists no tools")),
            1..=MAX_TOOLS => Ok(tools),
            many => Err(LoadError::new(format!(
                "it lists {many} tools; at most {MAX_TOOLS} are served"
            ))),
        }
    }
}

/// Tells apart the engines that code is compiled for.
fn compatibility(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

/// Whether a module's `_start` can be called as a `main`.
fn main_of(module: &Module) -> Result<(), LoadError> {
    let main = module.get_export("_start");
    match main.as_ref().and_then(|main| main.func()) {
        Some(main) if main.params().len() == 0 && main.results().len() == 0 => Ok(()),
        Some(_) | None => {
            Err(LoadError::new("its `_start` is no function without arguments and results"))
        }
    }
}

/// What is known of a plain component's doc comments: a file beside it goes first.
fn docs(source: &Source, authored: &Authored) -> Docs {
    let name = &authored.manifest.name;
    let known = |what: &str, read: Option<Result<Docs, String>>| match read {
        None => Docs::default(),
        Some(Ok(docs)) => docs,
        Some(Err(why)) => {
            let why = shown(&why);
            tracing::warn!("{name}: {what} says nothing about its functions: {why}");
            Docs::default()
        }
    };
    let beside = known("the WIT beside it", authored.wit.as_deref().map(Docs::from_wit));
    let section = source.inspection().docs.as_deref().map(Docs::from_section);
    beside.merge(known("its `package-docs`", section))
}

/// Lays over the tools of a plain component what the manifest says about them.
fn describe(
    tools: &mut [DeclaredTool],
    undescribed: &[String],
    manifest: &Manifest,
) -> Result<(), LoadError> {
    for (name, about) in &manifest.tools {
        let Some(tool) = tools.iter_mut().find(|tool| tool.name == name.as_str()) else {
            let known = tools.iter().map(|tool| tool.name.as_str());
            let hint = nearest(name.as_str(), known)
                .map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"));
            return Err(LoadError::new(format!(
                "its manifest describes `{name}`, a function that it does not export{hint}"
            )));
        };
        tool.title.clone_from(&about.title);
        if let Some(description) = &about.description {
            tool.description.clone_from(description);
        }
        tool.annotations = Some(about.hints.into());
    }
    let described = |name: &str| {
        manifest
            .tools
            .iter()
            .any(|(known, about)| known.as_str() == name && about.description.is_some())
    };
    let undescribed: Vec<_> =
        undescribed.iter().filter(|name| !described(name)).map(|name| shown(name)).collect();
    if !undescribed.is_empty() {
        tracing::warn!(
            "{}: nothing says what these tools are for, so models see their names alone: {}. \
             Describe them in its WIT, or as `[tools.X] description` in its manifest.",
            manifest.name,
            undescribed.join(", ")
        );
    }
    Ok(())
}

/// Whether a file is of a kind that is served.
fn servable(source: &Source) -> Result<(), LoadError> {
    if source.bytes().len() > MAX_COMPONENT_BYTES {
        return Err(LoadError::new(format!("it is larger than {} MiB", MAX_COMPONENT_BYTES >> 20)));
    }
    match source.inspection().kind {
        ComponentKind::Tools
        | ComponentKind::Functions
        | ComponentKind::Command
        | ComponentKind::CommandModule => Ok(()),
        ComponentKind::Nothing => Err(LoadError::new("it exports nothing that could be a tool")),
        ComponentKind::CoreModule => {
            Err(LoadError::new("it is a core module, not a component, and has no `_start`"))
        }
    }
}

/// Whether a component imports only what is linked.
fn only_linked(source: &Source) -> Result<(), LoadError> {
    let missing = source.inspection().ungranted();
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
        assert_eq!(only_linked(&importing([])), Ok(()));
        let forged = importing(["a\nINFO evil is served\u{1b}[2J".to_owned()]);
        let why = "it imports what it was not granted: a\\nINFO evil is served\\u{1b}[2J";
        assert_eq!(only_linked(&forged).unwrap_err().to_string(), why);

        let many = importing((0..17).map(|at| format!("{at}{}", "x".repeat(90_000))));
        let why = only_linked(&many).unwrap_err().to_string();
        assert!(why.len() < 2_000 && why.ends_with("… and 1 more"), "{why}");
        let sixteen = importing((0..16).map(|at| format!("i{at}")));
        assert!(only_linked(&sixteen).unwrap_err().to_string().ends_with(", i14, i15"));
    }
}
