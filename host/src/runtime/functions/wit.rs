//! From WIT, which holds its authors' comments, to the `package-docs` section that
//! components carry them in: JSON behind one byte, as `wit-parser` writes it.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value};
use wit_parser::{PackageId, PackageMetadata, Resolve, WorldItem};

use super::docs::MAX_BYTES;

/// The most interfaces and worlds in one text. `wit-parser` follows what they use from each
/// other by recursion: 6,000 interfaces in a row overflow a thread's stack, and with it
/// end the server. Pinned by `hostile_wit_is_answered`.
const MAX_SCOPES: usize = 500;

/// The section of a folder of WIT: its package, and what is exported of the packages
/// in its `deps`.
///
/// # Errors
/// When the folder is no WIT package, or its documentation is too large.
pub fn package_docs_of(wit_folder: &Path) -> Result<Vec<u8>, String> {
    let mut resolve = Resolve::new();
    let (package, _) = resolve.push_dir(wit_folder).map_err(|error| format!("{error:#}"))?;
    section(&resolve, package)
}

/// The section of one WIT text.
pub(super) fn docs_of_text(text: &str) -> Result<Vec<u8>, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("it is larger than {} KiB", MAX_BYTES >> 10));
    }
    let scopes = ["interface", "world"].map(|keyword| text.matches(keyword).count());
    if scopes.iter().sum::<usize>() > MAX_SCOPES {
        return Err(format!("it has more than {MAX_SCOPES} interfaces and worlds"));
    }
    let mut resolve = Resolve::new();
    let package = resolve.push_str("wit", text).map_err(|error| format!("{error:#}"))?;
    section(&resolve, package)
}

/// One section for several packages: the format has room for one, and components for one
/// section. An interface of the main package hides another's of the same name.
fn section(resolve: &Resolve, main: PackageId) -> Result<Vec<u8>, String> {
    let mut all = metadata(resolve, main)?;
    for package in exported(resolve, main) {
        let mut other = metadata(resolve, package)?;
        let Some(Value::Object(theirs)) = other.remove("interfaces") else { continue };
        let ours = all.entry("interfaces").or_insert_with(|| Map::new().into());
        if let Value::Object(ours) = ours {
            for (name, interface) in theirs {
                ours.entry(name).or_insert(interface);
            }
        }
    }
    let mut bytes = vec![1];
    serde_json::to_writer(&mut bytes, &all).map_err(|error| error.to_string())?;
    match bytes.len() > MAX_BYTES {
        true => Err(format!("its comments come to more than {} KiB", MAX_BYTES >> 10)),
        false => Ok(bytes),
    }
}

/// The other packages of which the main one's worlds export an interface.
fn exported(resolve: &Resolve, main: PackageId) -> BTreeSet<PackageId> {
    let worlds = resolve.worlds.iter().filter(|(_, world)| world.package == Some(main));
    let items = worlds.flat_map(|(_, world)| world.exports.values());
    let packages = items.filter_map(|item| match item {
        WorldItem::Interface { id, .. } => resolve.interfaces.get(*id)?.package,
        WorldItem::Function(_) | WorldItem::Type { .. } => None,
    });
    packages.filter(|package| *package != main).collect()
}

fn metadata(resolve: &Resolve, package: PackageId) -> Result<Map<String, Value>, String> {
    let bytes = PackageMetadata::extract(resolve, package).encode();
    let bytes = bytes.map_err(|error| format!("{error:#}"))?;
    let json = bytes.get(1..).unwrap_or_default();
    serde_json::from_slice(json).map_err(|error| error.to_string())
}
