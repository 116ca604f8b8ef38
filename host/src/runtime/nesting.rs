//! What a component comes to when everything that it nests is laid out, counted
//! without laying it out.
//!
//! A component may contain others and instantiate each as often as it likes, and so may
//! those: twenty that each instantiate the one before twice are 430 bytes and a million
//! instances. The compiler lays them out one by one, a process of ours then holds what
//! became of them, and neither is worth starting for a component like that.

use wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentInstance,
    ComponentOuterAliasKind, ComponentTypeRef, Encoding, Instance, Payload,
};

/// The deepest that components and modules may be nested. Composed components have
/// three levels; each one takes memory while it is read.
const MAX_DEPTH: usize = 32;

/// The most parts of a component that is laid out: instances, what they are given and
/// what they hand on, functions, types. A Python component has some 3,000.
const MAX_PARTS: u64 = 100_000;

/// Why a component is not looked at further.
#[derive(Debug)]
pub(super) enum Unfit {
    /// It is not WebAssembly.
    Malformed(BinaryReaderError),
    /// What is wrong with it, to complete "it ".
    TooLarge(String),
}

impl From<BinaryReaderError> for Unfit {
    fn from(error: BinaryReaderError) -> Self {
        Self::Malformed(error)
    }
}

/// One component or module that is being read, inside the one before it.
#[derive(Debug)]
struct Level {
    encoding: Encoding,
    /// How many parts each component in its index space comes to. `None` for one that
    /// somebody else decides: it is imported, or an instance exports it.
    components: Vec<Option<u64>>,
    /// How many parts it comes to itself, as far as it was read.
    parts: u64,
}

/// The levels that are being read, the innermost last.
#[derive(Debug, Default)]
pub(super) struct Nesting(Vec<Level>);

impl Nesting {
    /// Whether what is read next belongs to a component or module inside the file's own.
    pub(super) fn is_inside(&self) -> bool {
        self.0.len() > 1
    }

    /// Takes the next of a file's payloads in.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the rest holds no parts")]
    pub(super) fn read(&mut self, payload: &Payload<'_>) -> Result<(), Unfit> {
        match payload {
            Payload::Version { .. } if self.0.len() >= MAX_DEPTH => {
                return Err(Unfit::TooLarge(format!("nests more than {MAX_DEPTH} levels deep")));
            }
            Payload::Version { encoding, .. } => {
                self.0.push(Level { encoding: *encoding, components: Vec::new(), parts: 0 });
            }
            Payload::End(_) => self.end(),
            Payload::ComponentTypeSection(section) => self.add(section.count().into()),
            Payload::ComponentCanonicalSection(section) => self.add(section.count().into()),
            Payload::InstanceSection(section) => {
                for instance in section.clone() {
                    self.add(1 + named(&instance?));
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section.clone() {
                    self.instance(&instance?)?;
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section.clone() {
                    self.alias(&alias?);
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section.clone() {
                    self.add(1);
                    if let ComponentTypeRef::Component(_) = import?.ty {
                        self.define(None);
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section.clone() {
                    let export = export?;
                    self.add(1);
                    if export.kind == ComponentExternalKind::Component {
                        self.define(self.component(0, export.index));
                    }
                }
            }
            _ => {}
        }
        match self.0.last() {
            Some(level) if level.parts > MAX_PARTS => Err(Unfit::TooLarge(format!(
                "comes to more than {MAX_PARTS} parts once all that it nests is laid out"
            ))),
            Some(_) | None => Ok(()),
        }
    }

    fn instance(&mut self, instance: &ComponentInstance<'_>) -> Result<(), Unfit> {
        match instance {
            ComponentInstance::FromExports(exports) => self.add(1 + exports.len() as u64),
            ComponentInstance::Instantiate { component_index, args } => {
                let Some(parts) = self.component(0, *component_index) else {
                    let why = "instantiates a component that it does not contain";
                    return Err(Unfit::TooLarge(why.to_owned()));
                };
                self.add(parts.saturating_add(1 + args.len() as u64));
            }
        }
        Ok(())
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) {
        self.add(1);
        match alias {
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } => {
                self.define(None);
            }
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, count, index } => {
                self.define(self.component(*count, *index));
            }
            ComponentAlias::InstanceExport { .. }
            | ComponentAlias::CoreInstanceExport { .. }
            | ComponentAlias::Outer { .. } => {}
        }
    }

    /// Ends the innermost level. A component can be instantiated by its parent from now
    /// on; modules are counted by what is instantiated of them.
    fn end(&mut self) {
        match self.0.pop() {
            Some(Level { encoding: Encoding::Component, parts, .. }) => self.define(Some(parts)),
            Some(Level { encoding: Encoding::Module, .. }) | None => {}
        }
    }

    /// What a component of the level `outwards` from the innermost comes to.
    fn component(&self, outwards: u32, index: u32) -> Option<u64> {
        let level = self.0.iter().nth_back(outwards as usize)?;
        level.components.get(index as usize).copied().flatten()
    }

    fn define(&mut self, parts: Option<u64>) {
        if let Some(level) = self.0.last_mut() {
            level.components.push(parts);
        }
    }

    fn add(&mut self, parts: u64) {
        if let Some(level) = self.0.last_mut() {
            level.parts = level.parts.saturating_add(parts);
        }
    }
}

/// How many names an instance of a core module is given, or hands on.
fn named(instance: &Instance<'_>) -> u64 {
    match instance {
        Instance::Instantiate { args, .. } => args.len() as u64,
        Instance::FromExports(exports) => exports.len() as u64,
    }
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{
        Alias, Component, ComponentAliasSection, ComponentInstanceSection, ComponentOuterAliasKind,
        Module, ModuleSection, NestedComponentSection,
    };

    use crate::runtime::inspect;

    const NO_ARGS: [(&str, wasm_encoder::ComponentExportKind, u32); 0] = [];

    /// Instantiates component `index` so many times.
    fn instantiate(component: &mut Component, index: u32, times: u32) {
        let mut instances = ComponentInstanceSection::new();
        for _ in 0..times {
            instances.instantiate(index, NO_ARGS);
        }
        component.section(&instances);
    }

    /// A component that reaches the one before it, in its parent, and instantiates it
    /// twice; so many of them beside each other.
    fn doubling(times: u32) -> Vec<u8> {
        let mut all = Component::new();
        all.section(&NestedComponentSection(&Component::new()));
        for at in 0..times {
            let mut next = Component::new();
            let mut aliases = ComponentAliasSection::new();
            aliases.alias(Alias::Outer {
                kind: ComponentOuterAliasKind::Component,
                count: 1,
                index: at,
            });
            next.section(&aliases);
            instantiate(&mut next, 0, 2);
            all.section(&NestedComponentSection(&next));
        }
        instantiate(&mut all, times, 1);
        all.finish()
    }

    fn nested(levels: usize) -> Vec<u8> {
        let mut component = Component::new();
        component.section(&ModuleSection(&Module::new()));
        for _ in 2..levels {
            let mut outer = Component::new();
            outer.section(&NestedComponentSection(&component));
            instantiate(&mut outer, 0, 1);
            component = outer;
        }
        component.finish()
    }

    #[test]
    fn a_component_that_doubles_is_refused_without_being_laid_out() {
        // An alias and two instances: P(n) = 1 + 2 (1 + P(n-1)) = 3 (2^n - 1).
        assert!(inspect(&doubling(15)).is_ok(), "98,302 parts");
        for times in [16, 64, 1_000] {
            let refused = inspect(&doubling(times)).unwrap_err().to_string();
            assert_eq!(
                refused, "it comes to more than 100000 parts once all that it nests is laid out",
                "{times}"
            );
        }
    }

    #[test]
    fn depth_is_bounded() {
        assert!(inspect(&nested(32)).is_ok());
        let refused = inspect(&nested(33)).unwrap_err().to_string();
        assert_eq!(refused, "it nests more than 32 levels deep");
    }

    #[test]
    fn a_component_from_elsewhere_is_not_instantiated() {
        let mut component = Component::new();
        component.section(&ModuleSection(&Module::new()));
        instantiate(&mut component, 0, 1);
        let refused = inspect(&component.finish()).unwrap_err().to_string();
        assert_eq!(refused, "it instantiates a component that it does not contain");
    }
}
