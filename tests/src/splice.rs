//! Components that no compiler makes: a finished one with more sections at its end.
//!
//! A component's parts are made in the order of its sections, each time that it is
//! instantiated: what is added here runs before any call, and the rest of the
//! component neither knows nor cares.

use std::path::Path;

use wasm_encoder::{
    Component, ComponentExportKind, ComponentInstanceSection, ComponentSection, ComponentSectionId,
    InstanceSection, ModuleArg, NestedComponentSection, RawSection,
};
use wasmparser::{Validator, WasmFeatures};

/// A component that can be added to.
#[derive(Clone, Debug)]
pub struct Splice(Vec<u8>);

impl Splice {
    /// A guest or a first-party plugin, as it was compiled.
    pub fn of(component: &str) -> Self {
        Self(std::fs::read(crate::component(component)).expect("it was built"))
    }

    /// Adds a module of `guests/modules` and instantiates it so many times.
    #[must_use]
    pub fn module(mut self, name: &str, instances: u32) -> Self {
        let added = self.counts().0;
        self.append(&module_section(&module(name)));
        self.append(&instantiations(added, instances));
        self
    }

    /// Adds a component that has two instances of a component that has two of another,
    /// so many levels deep, with an instance of a module of `guests/modules` in each of
    /// the innermost.
    #[must_use]
    pub fn doubled(mut self, name: &str, levels: u32) -> Self {
        let mut nested = Component::new();
        nested.section(&module_section(&module(name)));
        nested.section(&instantiations(0, 1));
        for _ in 0..levels {
            let mut outer = Component::new();
            outer.section(&NestedComponentSection(&nested));
            let mut both = ComponentInstanceSection::new();
            for _ in 0..2 {
                both.instantiate(0, NOTHING);
            }
            outer.section(&both);
            nested = outer;
        }
        let added = self.counts().1;
        self.append(&NestedComponentSection(&nested));
        let mut once = ComponentInstanceSection::new();
        once.instantiate(added, NOTHING);
        self.append(&once);
        self
    }

    /// Fills it up to this size with a section that says nothing.
    ///
    /// # Panics
    /// When it is larger already.
    #[must_use]
    pub fn padded_to(mut self, bytes: usize) -> Self {
        // The section's number, five bytes for its length, one for that of its name.
        let header = [0, 0, 0, 0, 0, 0, 0];
        let rest = bytes.checked_sub(self.0.len() + header.len()).expect("it is small");
        let mut length = (rest + 1) as u32;
        self.0.push(0);
        for _ in 0..4 {
            self.0.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        self.0.extend([length as u8, 0]);
        self.0.resize(bytes, 0);
        self
    }

    /// Replaces a text in it by another one of the same length.
    ///
    /// # Panics
    /// When the text is not in it.
    #[must_use]
    pub fn rewritten(mut self, from: &str, to: &str) -> Self {
        assert_eq!(from.len(), to.len(), "everything stays where it is");
        let at = self.0.windows(from.len()).position(|bytes| bytes == from.as_bytes());
        let at = at.unwrap_or_else(|| panic!("{from:?} is not in it"));
        self.0[at..at + to.len()].copy_from_slice(to.as_bytes());
        self
    }

    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// How many modules and how many components it has at its outermost level.
    fn counts(&self) -> (u32, u32) {
        let mut validator = Validator::new_with_features(WasmFeatures::all());
        let types = validator.validate_all(&self.0).expect("it is valid so far");
        let types = types.as_ref();
        (types.module_count(), types.component_count())
    }

    fn append(&mut self, section: &impl ComponentSection) {
        section.append_to_component(&mut self.0);
    }
}

/// The arguments of what imports nothing.
const NOTHING: [(&str, ComponentExportKind, u32); 0] = [];

/// The bytes of a module of `guests/modules`.
/// A module of `guests/modules`.
pub fn module(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("guests/modules/{name}.wat"));
    wat::parse_file(path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A module, written as text.
pub fn assembled(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

fn module_section(data: &[u8]) -> RawSection<'_> {
    RawSection { id: ComponentSectionId::CoreModule.into(), data }
}

fn instantiations(module: u32, count: u32) -> InstanceSection {
    let mut instances = InstanceSection::new();
    for _ in 0..count {
        let nothing: [(&str, ModuleArg); 0] = [];
        instances.instantiate(module, nothing);
    }
    instances
}
