//! From a component's types to shapes.
//!
//! A type may use another one twice, and that one another: forty such types are a few
//! hundred bytes, and 2^40 parts when laid out. So parts are counted, and depth is bounded.

use std::sync::Arc;

use wasmtime::component::types::{ComponentFunc, Type};

use super::docs::Types;
use super::shape::{Case, Field, Integer, Shape};
use crate::config::shown;

/// The most parts that the types of one function come to: fields, cases, elements. A
/// model reads all of them.
pub(super) const MAX_PARTS: usize = 1_000;

/// The deepest that types may nest. The schema of a variant nests four levels deep, and
/// what reads schemas stops at 64. Pinned by `the_deepest_types_have_schemas_that_are_read`.
pub(super) const MAX_DEPTH: usize = 14;

/// The longest name of a parameter, field or case, in bytes: a list of 10,000 records
/// repeats it as often.
const MAX_NAME_BYTES: usize = 128;

/// The parameters of a function, and its result.
pub(super) fn signature(
    function: &ComponentFunc,
    types: &Types,
) -> Result<(Vec<Field>, Option<Shape>), String> {
    let mut deriver = Deriver { types, left: MAX_PARTS };
    let mut parameters = Vec::new();
    for (name, ty) in function.params() {
        let name = deriver.name(name)?;
        parameters.push(Field { name, doc: None, shape: deriver.shape(&ty, MAX_DEPTH)? });
    }
    let mut results = function.results();
    let result = results.next().map(|ty| deriver.shape(&ty, MAX_DEPTH)).transpose()?;
    match results.next() {
        Some(_) => Err("it has several results".to_owned()),
        None => Ok((parameters, result)),
    }
}

struct Deriver<'a> {
    types: &'a Types,
    left: usize,
}

impl Deriver<'_> {
    fn shape(&mut self, ty: &Type, depth: usize) -> Result<Shape, String> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(format!("its types nest more than {MAX_DEPTH} levels deep"));
        };
        self.count()?;
        let unsupported = |what: &str| {
            Err(format!("it uses {what}, which functions that are tools cannot have here"))
        };
        Ok(match ty {
            Type::Bool => Shape::Bool,
            Type::S8 => Shape::Integer(Integer::S8),
            Type::U8 => Shape::Integer(Integer::U8),
            Type::S16 => Shape::Integer(Integer::S16),
            Type::U16 => Shape::Integer(Integer::U16),
            Type::S32 => Shape::Integer(Integer::S32),
            Type::U32 => Shape::Integer(Integer::U32),
            Type::S64 => Shape::Integer(Integer::S64),
            Type::U64 => Shape::Integer(Integer::U64),
            Type::Float32 => Shape::Float32,
            Type::Float64 => Shape::Float64,
            Type::Char => Shape::Char,
            Type::String => Shape::String,
            Type::List(list) if matches!(list.ty(), Type::U8) => Shape::Bytes,
            Type::List(list) => Shape::List(Box::new(self.shape(&list.ty(), depth)?)),
            Type::Tuple(tuple) => {
                let items = tuple.types().map(|item| self.shape(&item, depth));
                Shape::Tuple(items.collect::<Result<_, _>>()?)
            }
            Type::Record(record) => {
                let mut fields = Vec::new();
                for field in record.fields() {
                    let name = self.name(field.name)?;
                    fields.push(Field { name, doc: None, shape: self.shape(&field.ty, depth)? });
                }
                let docs = self.types.of(ty);
                for field in &mut fields {
                    field.doc = docs.and_then(|docs| docs.item(&field.name));
                }
                Shape::Record { doc: docs.and_then(|docs| docs.doc.clone()), fields }
            }
            Type::Variant(variant) => {
                let mut cases = Vec::new();
                for case in variant.cases() {
                    let name = self.name(case.name)?;
                    let payload = case.ty.map(|ty| self.shape(&ty, depth)).transpose()?;
                    cases.push(Case { name, doc: None, payload });
                }
                let (doc, cases) = self.documented(ty, cases);
                Shape::Variant { doc, cases }
            }
            Type::Enum(names) => {
                let (doc, cases) = self.cases(ty, names.names())?;
                Shape::Enum { doc, cases }
            }
            Type::Flags(names) => {
                let (doc, cases) = self.cases(ty, names.names())?;
                Shape::Flags { doc, cases }
            }
            Type::Option(option) => Shape::Option(Box::new(self.shape(&option.ty(), depth)?)),
            Type::Result(result) => {
                let mut arm = |ty: Option<Type>| {
                    ty.map(|ty| self.shape(&ty, depth).map(Box::new)).transpose()
                };
                Shape::Result(arm(result.ok())?, arm(result.err())?)
            }
            Type::Own(_) | Type::Borrow(_) => return unsupported("resources"),
            Type::Future(_) => return unsupported("a `future`"),
            Type::Stream(_) => return unsupported("a `stream`"),
            Type::ErrorContext => return unsupported("an `error-context`"),
            Type::Map(_) => return unsupported("a `map`"),
            Type::FixedLengthList(_) => return unsupported("a list of fixed length"),
        })
    }

    /// The cases of an enum, or some flags.
    fn cases<'b>(
        &mut self,
        ty: &Type,
        names: impl Iterator<Item = &'b str>,
    ) -> Result<(Option<Arc<str>>, Vec<Case>), String> {
        let mut cases = Vec::new();
        for name in names {
            cases.push(Case { name: self.name(name)?, doc: None, payload: None });
        }
        Ok(self.documented(ty, cases))
    }

    fn documented(&self, ty: &Type, mut cases: Vec<Case>) -> (Option<Arc<str>>, Vec<Case>) {
        let docs = self.types.of(ty);
        for case in &mut cases {
            case.doc = docs.and_then(|docs| docs.item(&case.name));
        }
        (docs.and_then(|docs| docs.doc.clone()), cases)
    }

    fn name(&mut self, name: &str) -> Result<String, String> {
        self.count()?;
        if name.len() > MAX_NAME_BYTES {
            return Err(format!(
                "it has a name of more than {MAX_NAME_BYTES} bytes, {}",
                shown(name)
            ));
        }
        Ok(name.to_owned())
    }

    fn count(&mut self) -> Result<(), String> {
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => {
                return Err(format!("its types come to more than {MAX_PARTS} parts"));
            }
        }
        Ok(())
    }
}
