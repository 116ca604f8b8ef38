//! Finds the functions that a component exports.

use std::collections::BTreeMap;

use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::{ComponentFunc, ComponentItem};

use super::docs::{Docs, Types};
use super::shape::Shape;
use super::{Function, derive, schema};
use crate::config::shown;
use crate::runtime::prepare::{DeclaredTool, LoadError, MAX_TOOLS};
use crate::validation::MAX_SCHEMA_BYTES;

/// What componentize-py and componentize-qjs leave behind: their own builds have called
/// it.
const LEFT_BEHIND: (&str, &str) = ("exports", "init");

/// The functions of a component that are tools, by name, and what they declare.
pub(super) fn functions(
    engine: &Engine,
    component: &Component,
    docs: &Docs,
) -> Result<(BTreeMap<String, Function>, Vec<DeclaredTool>), LoadError> {
    let mut found = Found { component, docs, compared: 0, functions: BTreeMap::new() };
    let mut declared = Vec::new();
    found.world(engine, &mut declared)?;
    match found.functions.is_empty() {
        true => Err(LoadError::new("it exports no function that could be a tool")),
        false => Ok((found.functions, declared)),
    }
}

/// The functions that were found so far.
struct Found<'a> {
    component: &'a Component,
    docs: &'a Docs,
    /// What finding the documentation of types has cost.
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
                    for (inner, item) in
                        exports().filter(|(inner, _)| (name, *inner) != LEFT_BEHIND)
                    {
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
    /// Of its arguments, and of its structured result.
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
