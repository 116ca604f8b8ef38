//! The JSON of a `package-docs` section: what we use of it. Its own names are from
//! `wit-parser`, which keeps its types to itself.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The whole.
#[derive(Deserialize)]
pub(super) struct Package {
    #[serde(default)]
    pub(super) worlds: BTreeMap<String, World>,
    #[serde(default)]
    pub(super) interfaces: BTreeMap<String, Interface>,
}

#[derive(Deserialize)]
pub(super) struct World {
    /// Inline interfaces, imported or exported.
    #[serde(default)]
    pub(super) interfaces: BTreeMap<String, Interface>,
    /// Those that are exported, where one of the same name is imported.
    #[serde(default)]
    pub(super) interface_exports: BTreeMap<String, Interface>,
    #[serde(default)]
    pub(super) funcs: BTreeMap<String, Function>,
    #[serde(default)]
    pub(super) func_exports: BTreeMap<String, Function>,
    #[serde(default)]
    pub(super) types: BTreeMap<String, Described>,
}

#[derive(Deserialize)]
pub(super) struct Interface {
    #[serde(default)]
    pub(super) funcs: BTreeMap<String, Function>,
    #[serde(default)]
    pub(super) types: BTreeMap<String, Described>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Function {
    /// Of the section's first version.
    Docs(Option<String>),
    WithStability {
        #[serde(default)]
        docs: Option<String>,
    },
}

#[derive(Deserialize)]
pub(super) struct Described {
    #[serde(default)]
    pub(super) docs: Option<String>,
    #[serde(default)]
    pub(super) items: BTreeMap<String, String>,
}
