//! Plain components: each function that one exports is a tool.
//!
//! There is no SDK in between, and nothing to ask for the tools: names, schemas and
//! descriptions come from the component's types, and the host reads arguments into the
//! function's parameters and writes its result. What a type is in JSON is in
//! `docs/plain-components.md`.

mod derive;
mod docs;
mod failure;
mod from_json;
mod schema;
mod shape;
#[cfg(test)]
mod tests;
mod to_json;
mod wit;

use std::collections::BTreeMap;
use std::fmt;

use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex, Instance, Val};
use wasmtime::{Engine, Store};

use self::docs::Types;
use self::shape::{Field, Shape};
use self::to_json::Untold;
use super::output::{Block, Produced};
use super::prepare::{DeclaredTool, LoadError};
use crate::config::shown;
use crate::validation::MAX_SCHEMA_BYTES;

pub(super) use self::docs::Docs;
pub use self::wit::package_docs_of;

/// The most functions that are tools, as of a plugin that lists its tools.
const MAX_TOOLS: usize = 256;

/// The text of a result that is none.
const DONE: &str = "Done.";

/// The functions of a component, by their tools' names.
pub(super) struct Functions(BTreeMap<String, Function>);

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

struct Function {
    /// Where it is exported, for whoever reads a refusal.
    place: String,
    index: ComponentExportIndex,
    parameters: Vec<Field>,
    answer: Option<Shape>,
    /// Whether it returns a `result`, and what that holds when it is an error.
    error: Option<Option<Shape>>,
}

impl Functions {
    /// The tools of a component: the functions of its world, and those of the interfaces
    /// that it exports other than WASI's and the host's. The names that come with them
    /// are of tools whose description is only their name as a sentence.
    ///
    /// # Errors
    /// When there are none or too many, two have the same name, or one has a type that a
    /// tool cannot have; names the export.
    pub(super) fn of(
        engine: &Engine,
        component: &Component,
        docs: &Docs,
    ) -> Result<(Self, Vec<DeclaredTool>, Vec<String>), LoadError> {
        let mut found = Found { component, docs, compared: 0, functions: BTreeMap::new() };
        let mut declared = Vec::new();
        let mut undescribed = Vec::new();
        found.world(engine, &mut declared)?;
        if found.functions.is_empty() {
            return Err(LoadError::new("it exports no function that could be a tool"));
        }
        for tool in &mut declared {
            if tool.description.is_empty() {
                tool.description = failure::sentence(&tool.name);
                undescribed.push(tool.name.clone());
            }
        }
        Ok((Self(found.functions), declared, undescribed))
    }

    /// Calls a tool's function in an instance.
    ///
    /// # Errors
    /// The engine's: a trap, or a limit.
    pub(super) async fn call<T: Send>(
        &self,
        store: &mut Store<T>,
        instance: &Instance,
        tool: &str,
        arguments: &str,
    ) -> wasmtime::Result<Produced> {
        let Some(function) = self.0.get(tool) else {
            return Err(wasmtime::Error::msg("a tool without a function"));
        };
        let parameters = match from_json::arguments(&function.parameters, arguments) {
            Ok(parameters) => parameters,
            Err(refused) => return Ok(failure::plain("BAD_ARGUMENTS", refused.sentence())),
        };
        let callee = instance
            .get_func(&mut *store, function.index)
            .ok_or_else(|| wasmtime::Error::msg("an export that is no function"))?;
        let most = store.hostcall_fuel();
        store.set_hostcall_fuel(most.saturating_mul(function.handover()));
        let returns = function.answer.is_some() || function.error.is_some();
        let mut results = vec![Val::Bool(false); usize::from(returns)];
        callee.call_async(&mut *store, &parameters, &mut results).await?;
        Ok(function.produced(results.pop(), most))
    }
}

/// The functions that were found so far.
struct Found<'a> {
    component: &'a Component,
    docs: &'a Docs,
    compared: usize,
    functions: BTreeMap<String, Function>,
}

impl Found<'_> {
    fn world(
        &mut self,
        engine: &Engine,
        declared: &mut Vec<DeclaredTool>,
    ) -> Result<(), LoadError> {
        let world = self.component.component_type();
        let mut types = Types::default();
        for (name, item) in world.imports(engine).chain(world.exports(engine)) {
            if let ComponentItem::Type(ty) = item.ty {
                types.add(self.docs, None, name, &ty, &mut self.compared);
            } else if let ComponentItem::ComponentInstance(interface) = item.ty {
                for (inner, item) in interface.exports(engine) {
                    if let ComponentItem::Type(ty) = item.ty {
                        types.add(self.docs, Some(name), inner, &ty, &mut self.compared);
                    }
                }
            }
        }
        for (name, item) in world.exports(engine) {
            match item.ty {
                ComponentItem::ComponentFunc(function) => {
                    declared.push(self.function(None, name, &function, &types)?);
                }
                ComponentItem::ComponentInstance(interface) if !is_of_the_host(name) => {
                    let mut types = Types::default();
                    let exports = || interface.exports(engine);
                    for (inner, item) in exports() {
                        if let ComponentItem::Type(ty) = item.ty {
                            types.add(self.docs, Some(name), inner, &ty, &mut self.compared);
                        }
                    }
                    for (inner, item) in exports() {
                        if let ComponentItem::ComponentFunc(function) = item.ty {
                            declared.push(self.function(Some(name), inner, &function, &types)?);
                        } else if let ComponentItem::Resource(_) = item.ty {
                            return Err(has_resource(&place(Some(name), inner)));
                        }
                    }
                }
                ComponentItem::Resource(_) => return Err(has_resource(&place(None, name))),
                ComponentItem::ComponentInstance(_)
                | ComponentItem::CoreFunc(_)
                | ComponentItem::Module(_)
                | ComponentItem::Component(_)
                | ComponentItem::Type(_) => {}
            }
        }
        Ok(())
    }

    fn function(
        &mut self,
        interface: Option<&str>,
        name: &str,
        function: &ComponentFunc,
        types: &Types,
    ) -> Result<DeclaredTool, LoadError> {
        let place = place(interface, name);
        let refuse =
            |why: String| LoadError::new(format!("its export `{place}` cannot be a tool: {why}"));
        if let Some(other) = self.functions.get(name) {
            return Err(LoadError::new(format!(
                "its exports `{}` and `{place}` would be two tools of one name; rename one of \
                 them, or export only one",
                other.place
            )));
        }
        if self.functions.len() >= MAX_TOOLS {
            return Err(LoadError::new(format!(
                "it exports more than {MAX_TOOLS} functions; at most as many tools are served"
            )));
        }
        let (parameters, result) = derive::signature(function, types).map_err(refuse)?;
        let index = match interface {
            Some(interface) => self
                .component
                .get_export_index(None, interface)
                .and_then(|interface| self.component.get_export_index(Some(&interface), name)),
            None => self.component.get_export_index(None, name),
        };
        let index = index.ok_or_else(|| refuse("it is not exported".to_owned()))?;
        let (answer, error) = match result {
            Some(Shape::Result(ok, error)) => (ok.map(|ok| *ok), Some(error.map(|error| *error))),
            answer => (answer, None),
        };
        let function = Function { place: place.clone(), index, parameters, answer, error };
        let (input_schema, output_schema) = function.schemas().map_err(refuse)?;
        self.functions.insert(name.to_owned(), function);
        Ok(DeclaredTool {
            name: name.to_owned(),
            title: None,
            description: self.docs.of_function(interface, name).unwrap_or_default().to_owned(),
            input_schema,
            output_schema,
            annotations: None,
        })
    }
}

impl Function {
    fn schemas(&self) -> Result<(String, Option<String>), String> {
        let bounded = |schema: serde_json::Value| {
            let text = schema.to_string();
            match text.len() > MAX_SCHEMA_BYTES {
                true => Err(format!("its schema is longer than {MAX_SCHEMA_BYTES} bytes")),
                false => Ok(text),
            }
        };
        let output = match &self.answer {
            None | Some(Shape::String) => None,
            Some(record @ Shape::Record { .. }) => Some(schema::schema(record)),
            Some(other) => Some(schema::wrapped(other)),
        };
        Ok((bounded(schema::object(&self.parameters))?, output.map(bounded).transpose()?))
    }

    /// How many times more than other guests its function may hand over, counted as the
    /// engine counts: each value is 40 bytes, while its text may be two. Of `list<u8>` each
    /// byte is a value, and its text one byte and a third; where that is not repeated, what
    /// else there is does not count.
    ///
    /// What the engine does not count is the memory around names, two times more than it
    /// does count for a list of records. For flags, of which it counts the names alone, it
    /// is thirty times more.
    fn handover(&self) -> usize {
        let any = |wanted| self.answer.as_ref().is_some_and(|answer| answer.any(wanted));
        let lists = any(|shape| matches!(shape, Shape::List(_)));
        if any(|shape| matches!(shape, Shape::Flags { .. })) {
            1
        } else if any(|shape| matches!(shape, Shape::Bytes)) && !lists {
            24
        } else {
            8
        }
    }

    /// What a call produced. Of a result that is longer than `most` there is no text but
    /// as many bytes: it is refused for its length, by whoever reads results.
    fn produced(&self, returned: Option<Val>, most: usize) -> Produced {
        let value = match (returned, &self.error) {
            (Some(Val::Result(Ok(value))), Some(_)) => value.map(|value| *value),
            (Some(Val::Result(Err(error))), Some(shape)) => {
                return failure::failure(error.as_deref().zip(shape.as_ref()));
            }
            (value, _) => value,
        };
        let (Some(shape), Some(value)) = (&self.answer, value) else {
            return Produced::Done { blocks: vec![Block::Text(DONE.to_owned())], structured: None };
        };
        if let Val::String(text) = value {
            return Produced::Done { blocks: vec![Block::Text(text)], structured: None };
        }
        let structured = match to_json::text(&value, shape, most) {
            Ok(text) if matches!(shape, Shape::Record { .. }) => text,
            Ok(text) => format!("{{\"result\":{text}}}"),
            Err(Untold::TooLong) => " ".repeat(most),
            Err(Untold::NotFinite) => {
                let why = "The tool's result was withheld: it holds a number that is not finite, \
                           for which there is no JSON.";
                return failure::plain("RESULT_NOT_FINITE", why.to_owned());
            }
            Err(Untold::Misshapen) => {
                return failure::plain(
                    "TOOL_FAILED",
                    "The tool's result is not of its type.".to_owned(),
                );
            }
        };
        Produced::Done { blocks: Vec::new(), structured: Some(structured) }
    }
}

fn is_of_the_host(interface: &str) -> bool {
    interface.starts_with("wasi:") || interface.starts_with("bulkhead:")
}

fn has_resource(place: &str) -> LoadError {
    LoadError::new(format!(
        "its export `{place}` is a resource, which plain components cannot have here"
    ))
}

/// An export as a refusal may show it.
fn place(interface: Option<&str>, name: &str) -> String {
    match interface {
        Some(interface) => format!("{}#{}", shown(interface), shown(name)),
        None => shown(name),
    }
}
