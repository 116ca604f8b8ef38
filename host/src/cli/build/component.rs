//! From what a compiler made to what is served: with its docs, and with its manifest.

use std::borrow::Cow;

use wasm_encoder::{ComponentSection, CustomSection};

use super::describe;
use super::error::BuildError;
use super::manifest;
use super::toolchain::Project;
use crate::config::Manifest;
use crate::runtime::{ComponentKind, DOCS_SECTION, Source, embed_manifest, package_docs_of};

/// A file that can be served.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) bytes: Vec<u8>,
    /// Its tools, where its manifest tells.
    pub(super) tools: Vec<String>,
}

/// Puts into a component what it does not carry by itself. `text` is that of the author's
/// manifest, self-contained.
pub(super) fn finish(
    project: &Project,
    made: Vec<u8>,
    mut manifest: Manifest,
    text: &str,
) -> Result<Finished, BuildError> {
    let refused = |why| project.does_not_build(&format!("what was made is no plugin: {why}"));
    let source = Source::new(made).map_err(|why| refused(why.to_string()))?;
    let mut text = text.to_owned();
    let mut bytes = source.bytes().to_vec();
    match source.inspection().kind {
        ComponentKind::Tools => {}
        ComponentKind::Functions => {
            if source.inspection().docs.is_none() {
                append_docs(project, &mut bytes)?;
            }
        }
        ComponentKind::Command | ComponentKind::CommandModule => {
            if manifest.commands.is_empty() {
                text = described(project, &source, &manifest, &text)?;
                manifest = manifest::parse(&project.folder, &text).map_err(|problems| {
                    project.does_not_build(&format!(
                        "what the program says of its tools is wrong (the lines are those of \
                         the manifest with it appended):\n{problems}"
                    ))
                })?;
            }
        }
        ComponentKind::Nothing => return Err(refused("it exports nothing".to_owned())),
        ComponentKind::CoreModule => {
            return Err(refused("it is a module without a `main`".to_owned()));
        }
    }
    let bytes = embed_manifest(&bytes, &text).map_err(|why| refused(why.to_string()))?;
    let tools = manifest.commands.iter().map(|command| command.name.to_string()).collect();
    Ok(Finished { bytes, tools })
}

/// The manifest with what the program says of its tools.
fn described(
    project: &Project,
    source: &Source,
    manifest: &Manifest,
    text: &str,
) -> Result<String, BuildError> {
    let described = describe::describe(source, manifest)?.map_err(|why| {
        project.does_not_build(&format!(
            "plugin.toml has no [[command]] that says what its tool is, and the program does not \
             describe itself: {why}"
        ))
    })?;
    manifest::with_described(text, &described)
}

/// Puts the doc comments of the source's WIT into a plain component: compilers leave them
/// out, and a model reads them.
fn append_docs(project: &Project, component: &mut Vec<u8>) -> Result<(), BuildError> {
    let wit = project.folder.join("wit");
    if wit.is_dir() {
        let docs = package_docs_of(&wit).map_err(|why| BuildError::of_file(&wit, why))?;
        let section =
            CustomSection { name: Cow::Borrowed(DOCS_SECTION), data: Cow::Borrowed(&docs) };
        section.append_to_component(component);
    }
    Ok(())
}
