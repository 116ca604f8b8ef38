//! What authors wrote about their functions and types, which a component's own format has
//! no place for: it comes in a custom section, `package-docs`, or as WIT beside it.
//!
//! Both are hostile: their size is bounded, and their text is cleaned before a schema
//! takes it over.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use wasmtime::component::types::Type;

use super::derive::MAX_PARTS;
use super::section::{Described, Function, Interface, Package, World};
use super::wit;
use crate::text::clean_text;

/// The most documentation that is read of one plugin, in bytes.
pub(in crate::runtime) const MAX_BYTES: usize = 256 << 10;

/// The longest description of a type, a field or a case, in characters: a schema repeats
/// it wherever the type is used.
const MAX_CHARS: usize = 1_000;

/// The most names of fields and cases that are compared to find which type is which.
const MAX_COMPARED: usize = 50_000;

/// Descriptions of functions and types, by where they are.
#[derive(Clone, Debug, Default)]
pub(in crate::runtime) struct Docs {
    /// What stands in the worlds themselves.
    world: Scope,
    /// By the interface's own name: `words` of `example:text/words@0.1.0`.
    interfaces: BTreeMap<String, Scope>,
    /// The types of all interfaces: one that uses another's describes none of its types.
    types: BTreeMap<String, Arc<TypeDocs>>,
}

#[derive(Clone, Debug, Default)]
struct Scope {
    functions: BTreeMap<String, String>,
    types: BTreeMap<String, Arc<TypeDocs>>,
}

/// What was written about a type, and about its fields or cases.
#[derive(Debug)]
pub(super) struct TypeDocs {
    pub(super) doc: Option<Arc<str>>,
    items: BTreeMap<String, Arc<str>>,
}

impl TypeDocs {
    /// What was written about a field or a case.
    pub(super) fn item(&self, name: &str) -> Option<Arc<str>> {
        self.items.get(name).cloned()
    }
}

impl Docs {
    /// Reads the bytes of a `package-docs` section.
    ///
    /// # Errors
    /// When they are too many, or not such a section's.
    pub(in crate::runtime) fn from_section(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MAX_BYTES {
            return Err(format!("its documentation is larger than {} KiB", MAX_BYTES >> 10));
        }
        let (Some(0 | 1), Some(json)) = (bytes.first(), bytes.get(1..)) else {
            return Err("its documentation has a format that is not known".to_owned());
        };
        let written: Package = serde_json::from_slice(json)
            .map_err(|error| format!("its documentation cannot be read: {error}"))?;
        Ok(written.into())
    }

    /// Reads a WIT text.
    ///
    /// # Errors
    /// When it is too long, or is not a WIT package with all that it refers to.
    pub(in crate::runtime) fn from_wit(text: &str) -> Result<Self, String> {
        Self::from_section(&wit::docs_of_text(text)?)
    }

    /// Takes over from `other` what it does not say itself.
    pub(in crate::runtime) fn merge(mut self, other: Self) -> Self {
        self.world.merge(other.world);
        for (name, scope) in other.interfaces {
            self.interfaces.entry(name).or_default().merge(scope);
        }
        for (name, docs) in other.types {
            self.types.entry(name).or_insert(docs);
        }
        self
    }

    /// What was written about a function of an interface, or of the world.
    pub(super) fn of_function(&self, interface: Option<&str>, name: &str) -> Option<&str> {
        self.scope(interface)?.functions.get(name).map(String::as_str)
    }

    fn scope(&self, interface: Option<&str>) -> Option<&Scope> {
        match interface {
            Some(interface) => self.interfaces.get(own_name(interface)),
            None => Some(&self.world),
        }
    }

    /// What was written about a type.
    fn of_type(&self, interface: Option<&str>, name: &str) -> Option<&Arc<TypeDocs>> {
        let own = self.scope(interface).and_then(|scope| scope.types.get(name));
        own.or_else(|| self.types.get(name))
    }
}

impl Scope {
    fn merge(&mut self, other: Self) {
        for (name, doc) in other.functions {
            self.functions.entry(name).or_insert(doc);
        }
        for (name, docs) in other.types {
            self.types.entry(name).or_insert(docs);
        }
    }
}

/// `words` of `example:text/words@0.1.0`.
fn own_name(interface: &str) -> &str {
    let name = interface.split_once('@').map_or(interface, |(name, _)| name);
    name.rsplit_once('/').map_or(name, |(_, name)| name)
}

/// The described types that a function can use, found by the names of their fields or
/// cases: a type's own name is not part of it.
#[derive(Debug, Default)]
pub(super) struct Types(HashMap<(Kind, Vec<String>), Arc<TypeDocs>>);

#[derive(Debug, PartialEq, Eq, Hash)]
enum Kind {
    Record,
    Variant,
    Enum,
    Flags,
}

impl Types {
    /// What was written about a type.
    pub(super) fn of(&self, ty: &Type) -> Option<&TypeDocs> {
        match self.0.is_empty() {
            true => None,
            false => self.0.get(&key(ty)?).map(|docs| &**docs),
        }
    }

    /// Adds a type that an interface, or the world, names. `compared` counts what adding
    /// all types costs.
    pub(super) fn add(
        &mut self,
        docs: &Docs,
        interface: Option<&str>,
        name: &str,
        ty: &Type,
        compared: &mut usize,
    ) {
        let Some(found) = docs.of_type(interface, name) else { return };
        let Some(key) = key(ty) else { return };
        *compared = compared.saturating_add(key.1.len());
        if *compared <= MAX_COMPARED {
            self.0.entry(key).or_insert_with(|| Arc::clone(found));
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the rest has no names")]
fn key(ty: &Type) -> Option<(Kind, Vec<String>)> {
    fn few<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> Option<Vec<String>> {
        (names.len() <= MAX_PARTS).then(|| names.map(str::to_owned).collect())
    }
    Some(match ty {
        Type::Record(record) => (Kind::Record, few(record.fields().map(|field| field.name))?),
        Type::Variant(variant) => (Kind::Variant, few(variant.cases().map(|case| case.name))?),
        Type::Enum(names) => (Kind::Enum, few(names.names())?),
        Type::Flags(names) => (Kind::Flags, few(names.names())?),
        _ => return None,
    })
}

impl From<Package> for Docs {
    fn from(package: Package) -> Self {
        let mut docs = Self::default();
        for world in package.worlds.into_values() {
            let World { interfaces, interface_exports, funcs, func_exports, types } = world;
            docs.world.merge(Scope::new(func_exports, types));
            docs.world.merge(Scope::new(funcs, BTreeMap::new()));
            docs.add(interface_exports);
            docs.add(interfaces);
        }
        docs.add(package.interfaces);
        docs
    }
}

impl Docs {
    fn add(&mut self, interfaces: BTreeMap<String, Interface>) {
        for (name, Interface { funcs, types }) in interfaces {
            let scope = Scope::new(funcs, types);
            for (name, docs) in &scope.types {
                self.types.entry(name.clone()).or_insert_with(|| Arc::clone(docs));
            }
            self.interfaces.entry(name).or_default().merge(scope);
        }
    }
}

impl Scope {
    fn new(functions: BTreeMap<String, Function>, types: BTreeMap<String, Described>) -> Self {
        let functions = functions.into_iter().filter_map(|(name, function)| {
            let (Function::Docs(docs) | Function::WithStability { docs }) = function;
            Some((name, clean(&docs?)?))
        });
        let types = types.into_iter().map(|(name, Described { docs, items })| {
            let items = items.into_iter().filter_map(|(name, doc)| Some((name, short(&doc)?)));
            let doc = docs.as_deref().and_then(short);
            (name, Arc::new(TypeDocs { doc, items: items.collect() }))
        });
        Self { functions: functions.collect(), types: types.collect() }
    }
}

/// A description, unless nothing is left of it.
fn clean(doc: &str) -> Option<String> {
    let clean = clean_text(doc);
    let clean = clean.trim();
    (!clean.is_empty()).then(|| clean.to_owned())
}

fn short(doc: &str) -> Option<Arc<str>> {
    let doc = clean(doc)?;
    let end = doc.char_indices().nth(MAX_CHARS).map_or(doc.len(), |(end, _)| end);
    doc.get(..end).map(Arc::from)
}
