//! What a file says about itself, without running or compiling any of it.

use std::borrow::Cow;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use wasm_encoder::{ComponentSection, CustomSection};
use wasmparser::{CanonicalFunction, CanonicalOption, Encoding, Parser, Payload};

use super::capabilities::LINKED;
use super::engine::EngineKind;
use super::functions::MAX_DOCS_BYTES;
use super::nesting::{Nesting, Unfit};
use super::prepare::LoadError;
use crate::config::Manifest;

/// The custom section that holds an author's manifest, `plugin.toml` as it is.
pub const MANIFEST_SECTION: &str = "bulkhead:manifest";

/// The custom section that holds the doc comments of a component's WIT.
pub const DOCS_SECTION: &str = "package-docs";

/// The export that makes a component a plugin.
const TOOLS: &str = "bulkhead:plugin/tools";

/// Which way a file could be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComponentKind {
    /// It exports `bulkhead:plugin/tools`.
    Tools,
    /// A component with a `main`: it exports `wasi:cli/run`.
    Command,
    /// A core module with a `main`, of WASI Preview 1: it exports `_start`.
    CommandModule,
    /// It exports functions or interfaces of its own.
    Functions,
    /// It exports nothing.
    Nothing,
    /// A core module without `_start`.
    CoreModule,
}

/// What a file says about itself.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Which way it could be served.
    pub kind: ComponentKind,
    /// What it imports, as `namespace:package/interface@version`.
    pub imports: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
    /// Its manifest's text, where it carries one; cut where it is longer than any
    /// manifest may be.
    pub manifest: Option<String>,
    /// What `wit-component` calls `package-docs`: the doc comments of its WIT, where it
    /// carries them; cut where they are longer than is read.
    pub docs: Option<Vec<u8>>,
    /// Which engine it needs.
    pub engine: EngineKind,
}

impl Inspection {
    /// The imports that are not linked without a grant.
    pub fn ungranted(&self) -> Vec<&str> {
        let linked = |import: &&str| LINKED.contains(&without_version(import));
        self.imports.iter().map(String::as_str).filter(|import| !linked(import)).collect()
    }
}

/// A file's bytes with what they say about themselves.
#[derive(Clone, Debug)]
pub struct Source {
    bytes: Bytes,
    digest: Box<str>,
    inspection: Inspection,
}

impl Source {
    /// Looks at the bytes.
    ///
    /// # Errors
    /// See [`inspect`].
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, LoadError> {
        let bytes = bytes.into();
        let inspection = inspect(&bytes)?;
        let digest = hex(digest(&SHA256, &bytes).as_ref()).into();
        Ok(Self { bytes, digest, inspection })
    }

    /// The file.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Its SHA-256, in lower-case hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What it says about itself.
    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn without_version(name: &str) -> &str {
    name.split_once('@').map_or(name, |(name, _)| name)
}

/// Reads the outermost level of a module or component.
///
/// # Errors
/// When the bytes are not WebAssembly, or are cut short, or come to more than is worth
/// compiling.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, LoadError> {
    read(bytes).map(Found::into_inspection).map_err(|unfit| match unfit {
        Unfit::Malformed(error) => {
            LoadError::new(format!("it is not WebAssembly, or was cut short: {error}"))
        }
        Unfit::TooLarge(why) => LoadError::new(format!("it {why}")),
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "most sections say nothing of interest")]
fn read(bytes: &[u8]) -> Result<Found, Unfit> {
    let mut found = Found::default();
    let mut nesting = Nesting::default();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        nesting.read(&payload)?;
        match &payload {
            // At any depth: a component is compiled with all that it contains.
            Payload::ComponentCanonicalSection(section) => {
                for function in section.clone() {
                    found.is_concurrent |= is_concurrent(&function?);
                }
            }
            _ if nesting.is_inside() => {}
            _ => found.read(payload)?,
        }
    }
    Ok(found)
}

/// Whether a function belongs to component-model-async: anything but plain calls in
/// either direction and plain resources.
#[expect(clippy::wildcard_enum_match_arm, reason = "what comes later is no plain call either")]
fn is_concurrent(function: &CanonicalFunction) -> bool {
    match function {
        CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. } => {
            options.contains(&CanonicalOption::Async)
        }
        CanonicalFunction::ResourceNew { .. }
        | CanonicalFunction::ResourceDrop { .. }
        | CanonicalFunction::ResourceRep { .. } => false,
        _ => true,
    }
}

#[derive(Default)]
struct Found {
    is_component: bool,
    is_concurrent: bool,
    imports: Vec<String>,
    exports: Vec<String>,
    manifest: Option<String>,
    docs: Option<Vec<u8>>,
}

impl Found {
    #[expect(clippy::wildcard_enum_match_arm, reason = "most sections say nothing of interest")]
    fn read(&mut self, payload: Payload<'_>) -> Result<(), wasmparser::BinaryReaderError> {
        match payload {
            Payload::Version { encoding, .. } => {
                self.is_component = encoding == Encoding::Component
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    self.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    self.imports.push(import?.module.to_owned());
                }
                self.imports.dedup();
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    self.exports.push(export?.name.name.to_owned());
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    self.exports.push(export?.name.to_owned());
                }
            }
            Payload::CustomSection(section) if section.name() == MANIFEST_SECTION => {
                // Of one that is too large, enough for its parser to say so: replacing
                // what is not UTF-8 would make three times as much of it.
                let data = section.data();
                let data = data.get(..=Manifest::LONGEST.as_usize()).unwrap_or(data);
                self.manifest = Some(String::from_utf8_lossy(data).into_owned());
            }
            Payload::CustomSection(section) if section.name() == DOCS_SECTION => {
                // Of one that is too long, enough for its reader to say so.
                let data = section.data();
                self.docs = Some(data.get(..=MAX_DOCS_BYTES).unwrap_or(data).to_vec());
            }
            _ => {}
        }
        Ok(())
    }

    fn into_inspection(self) -> Inspection {
        let exports =
            |wanted: &str| self.exports.iter().any(|name| without_version(name) == wanted);
        let kind = match self.is_component {
            true if exports(TOOLS) => ComponentKind::Tools,
            true if exports("wasi:cli/run") => ComponentKind::Command,
            true if self.exports.iter().all(|name| name.starts_with("wasi:")) => {
                ComponentKind::Nothing
            }
            true => ComponentKind::Functions,
            false if self.exports.iter().any(|name| name == "_start") => {
                ComponentKind::CommandModule
            }
            false => ComponentKind::CoreModule,
        };
        let engine = if self.is_concurrent { EngineKind::Concurrent } else { EngineKind::Plain };
        let Self { imports, exports, manifest, docs, .. } = self;
        Inspection { kind, imports, exports, manifest, docs, engine }
    }
}

/// Appends an author's manifest to a component, replacing none: a file that has one
/// already is refused.
///
/// # Errors
/// When the bytes are not WebAssembly, or carry a manifest.
pub fn embed_manifest(component: &[u8], manifest: &str) -> Result<Vec<u8>, LoadError> {
    if inspect(component)?.manifest.is_some() {
        return Err(LoadError::new("it carries a manifest already"));
    }
    let section = CustomSection {
        name: Cow::Borrowed(MANIFEST_SECTION),
        data: Cow::Borrowed(manifest.as_bytes()),
    };
    let mut bytes = component.to_vec();
    section.append_to_component(&mut bytes);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
    const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn kinds_are_told_apart() {
        assert_eq!(inspect(EMPTY_COMPONENT).unwrap().kind, ComponentKind::Nothing);
        assert_eq!(inspect(EMPTY_MODULE).unwrap().kind, ComponentKind::CoreModule);
        for broken in [&b""[..], b"\0as", b"#!/bin/sh\n", &EMPTY_COMPONENT[..6]] {
            assert!(inspect(broken).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn a_manifest_goes_in_once_and_comes_out() {
        let with = embed_manifest(EMPTY_COMPONENT, "name = \"wc\"").unwrap();
        assert_eq!(inspect(&with).unwrap().manifest.as_deref(), Some("name = \"wc\""));
        assert!(embed_manifest(&with, "").is_err());
    }

    #[test]
    fn no_more_is_kept_of_a_manifest_than_it_takes_to_refuse_it() {
        let longest = Manifest::LONGEST.as_usize();
        for (length, kept) in
            [(longest, longest), (longest + 1, longest + 1), (8 << 20, longest + 1)]
        {
            let text = "#".repeat(length);
            let with = embed_manifest(EMPTY_COMPONENT, &text).unwrap();
            let manifest = inspect(&with).unwrap().manifest.unwrap();
            assert_eq!(manifest.len(), kept, "{length}");
            let too_large =
                |text| Manifest::parse("m", text).unwrap_err().to_string().contains("larger");
            assert_eq!(too_large(&manifest), length > longest, "{length}");
        }
    }
}
