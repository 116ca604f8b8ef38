//! From a WASI Preview 1 module to a component.
//!
//! The module is a stranger's, and what adapts it was made for toolchains: it sees
//! only valid modules that import nothing but Preview 1 and carry no types of
//! components, and if it panics, that is a refusal.

use std::panic::catch_unwind;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
};
use wasmparser::{Parser, Payload, Validator};
use wit_component::ComponentEncoder;

use crate::runtime::inspection::Source;
use crate::runtime::prepare::LoadError;

/// What toolchains put the types of a component into, for `wit-component` to find.
const COMPONENT_TYPES: &str = "component-type";

/// The component that does what a Preview 1 command does.
pub(in crate::runtime) fn adapt(module: &Source) -> Result<Source, LoadError> {
    let bytes = module.bytes();
    for import in &module.inspection().imports {
        if import != WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME {
            let shown = crate::config::shown(import);
            return Err(LoadError::new(format!(
                "it is a module that imports from `{shown}`; of modules, only those that import \
                 nothing but `{WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME}` are served"
            )));
        }
    }
    let invalid = |error: wasmparser::BinaryReaderError| {
        LoadError::new(format!("it is no valid module: {error}"))
    };
    Validator::new().validate_all(bytes).map_err(invalid)?;
    for payload in Parser::new(0).parse_all(bytes) {
        if let Payload::CustomSection(section) = payload.map_err(invalid)?
            && section.name().starts_with(COMPONENT_TYPES)
        {
            return Err(LoadError::new(
                "it is a module with the types of a component; build it for WASI 0.2",
            ));
        }
    }
    let encode = || -> Result<Vec<u8>, String> {
        let encoder = ComponentEncoder::default().module(bytes);
        let adapter = WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER;
        let encoder = encoder
            .and_then(|encoder| encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter));
        // What it makes is validated when it is compiled.
        let encoded = encoder.and_then(|encoder| encoder.validate(false).encode());
        encoded.map_err(|error| format!("{error:#}"))
    };
    let adapted = catch_unwind(encode).unwrap_or_else(|_| Err("it is too strange".to_owned()));
    let refuse =
        |why: String| LoadError::new(format!("it cannot be adapted from WASI Preview 1: {why}"));
    Source::new(adapted.map_err(refuse)?)
}
