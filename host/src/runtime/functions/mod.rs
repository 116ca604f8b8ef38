//! Plain components: each function that one exports is a tool.
//!
//! There is no SDK in between, and nothing to ask for the tools: names, schemas and
//! descriptions come from the component's types, and the host reads arguments into the
//! function's parameters and writes its result. What a type is in JSON is in
//! `docs/plain-components.md`.

mod derive;
mod docs;
mod failure;
mod find;
mod from_json;
mod numbers;
mod schema;
mod section;
mod shape;
#[cfg(test)]
mod tests;
mod to_json;
mod wit;

use std::collections::BTreeMap;
use std::fmt;

use wasmtime::component::{Component, ComponentExportIndex, Instance, Val};
use wasmtime::{Engine, Store};

use self::shape::{Field, Shape};
use self::to_json::Untold;
use super::fault::Broke;
use super::output::{Block, Produced};
use super::prepare::{DeclaredTool, LoadError};

pub(super) use self::docs::{Docs, MAX_BYTES as MAX_DOCS_BYTES};
pub use self::wit::package_docs_of;

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
        let (functions, mut declared) = find::functions(engine, component, docs)?;
        let mut undescribed = Vec::new();
        for tool in &mut declared {
            if tool.description.is_empty() {
                tool.description = failure::sentence(&tool.name);
                undescribed.push(tool.name.clone());
            }
        }
        Ok((Self(functions), declared, undescribed))
    }

    /// Calls a tool's function in an instance. `take` accounts for the memory that the
    /// arguments take for as long as the call runs, in bytes.
    ///
    /// # Errors
    /// The engine's: a trap, or a limit; `take`'s; [`Broke::Output`] where the result is
    /// longer than any that could be sent.
    pub(super) async fn call<T: Send>(
        &self,
        store: &mut Store<T>,
        instance: &Instance,
        tool: &str,
        arguments: &str,
        take: fn(&mut T, u64) -> wasmtime::Result<()>,
    ) -> wasmtime::Result<Produced> {
        let Some(function) = self.0.get(tool) else {
            return Err(wasmtime::Error::msg("a tool without a function"));
        };
        let (parameters, bytes) = match from_json::arguments(&function.parameters, arguments) {
            Ok(parameters) => parameters,
            Err(refused) => return Ok(failure::plain("BAD_ARGUMENTS", refused.sentence())),
        };
        take(store.data_mut(), bytes)?;
        let callee = instance
            .get_func(&mut *store, function.index)
            .ok_or_else(|| wasmtime::Error::msg("an export that is no function"))?;
        let most = store.hostcall_fuel();
        store.set_hostcall_fuel(most.saturating_mul(function.handover()));
        let returns = function.answer.is_some() || function.error.is_some();
        let mut results = vec![Val::Bool(false); usize::from(returns)];
        callee.call_async(&mut *store, &parameters, &mut results).await?;
        function.produced(results.pop(), most)
    }
}

impl Function {
    /// How many times more than other guests its function may hand over, counted as the
    /// engine counts: each value is 40 bytes, while its text may be two. Of `list<u8>` each
    /// byte is a value, and its text one byte and a third; where that is not repeated, what
    /// else there is does not count.
    ///
    /// What the engine does not count is the memory around names, two times more than it
    /// does count for a list of records. For a list of flags, of which it counts the names
    /// alone, it is thirty times more.
    fn handover(&self) -> usize {
        let error = self.error.as_ref().and_then(Option::as_ref);
        let any = |wanted| self.answer.iter().chain(error).any(|shape| shape.any(wanted));
        let lists = any(|shape| matches!(shape, Shape::List(_)));
        if lists && any(|shape| matches!(shape, Shape::Flags { .. })) {
            1
        } else if any(|shape| matches!(shape, Shape::Bytes)) && !lists {
            24
        } else {
            8
        }
    }

    /// What a call produced, whose text may have `most` bytes.
    fn produced(&self, returned: Option<Val>, most: usize) -> wasmtime::Result<Produced> {
        let value = match (returned, &self.error) {
            (Some(Val::Result(Ok(value))), Some(_)) => value.map(|value| *value),
            (Some(Val::Result(Err(error))), Some(shape)) => {
                return Ok(failure::failure(error.as_deref().zip(shape.as_ref())));
            }
            (value, _) => value,
        };
        let (Some(shape), Some(value)) = (&self.answer, value) else {
            let blocks = vec![Block::Text(DONE.to_owned())];
            return Ok(Produced::Done { blocks, structured: None, untrusted: false });
        };
        if let Val::String(text) = value {
            return Ok(Produced::Done {
                blocks: vec![Block::Text(text)],
                structured: None,
                untrusted: false,
            });
        }
        let structured = match to_json::text(&value, shape, most) {
            Ok(text) if matches!(shape, Shape::Record { .. }) => text,
            Ok(text) => format!("{{\"result\":{text}}}"),
            Err(Untold::TooLong) => return Err(Broke::Output.into()),
            Err(Untold::NotFinite) => {
                let why = "The tool's result was withheld: it holds a number that is not finite, \
                           for which there is no JSON.";
                return Ok(failure::plain("RESULT_NOT_FINITE", why.to_owned()));
            }
            Err(Untold::Misshapen) => {
                let why = "The tool's result is not of its type.";
                return Ok(failure::plain("TOOL_FAILED", why.to_owned()));
            }
        };
        Ok(Produced::Done { blocks: Vec::new(), structured: Some(structured), untrusted: false })
    }
}
