//! The SDKs' files, as this program carries them.
//!
//! What is listed here is what an author gets; a file of an SDK that is missing here
//! fails a test.

/// A file of a new project: its path in it, and its text.
pub(super) type Embedded = (&'static str, &'static str);

/// Lists files below a folder of this repository.
macro_rules! files {
    ($folder:literal: $($file:literal)*) => {
        &[$(($file, include_str!(concat!("../../../../", $folder, "/", $file)))),*]
    };
}

pub(super) const RUST: &[Embedded] = files!("sdk":
    "Cargo.toml" "README.md"
    "macros/Cargo.toml" "macros/src/description.rs" "macros/src/lib.rs"
    "macros/src/options.rs" "macros/src/tool.rs"
    "src/call.rs" "src/error.rs" "src/expansion.rs" "src/guest.rs" "src/lib.rs"
    "src/output.rs" "src/prelude.rs" "src/returns.rs" "src/schema.rs" "src/tool.rs"
);

pub(super) const GO: &[Embedded] = files!("sdk/go": "bulkhead.go" "go.mod" "schema.go");

pub(super) const C: &[Embedded] = files!("sdk/c": "bulkhead.h");

pub(super) const PYTHON: &[Embedded] = &[];
pub(super) const JAVASCRIPT: &[Embedded] = &[];

/// The contract that the SDKs are made for.
pub(super) const WIT: &[Embedded] = files!("wit/0.1": "call.wit" "tools.wit" "types.wit");

/// This workspace, which the SDK for Rust inherits from.
pub(super) const WORKSPACE: &str = include_str!("../../../../Cargo.toml");

pub(super) mod templates {
    use super::Embedded;

    pub(in super::super) const SHARED: &[Embedded] =
        files!("host/templates/shared": "README.md" "examples.toml" "gitignore" "plugin.toml");
    pub(in super::super) const RUST: &[Embedded] =
        files!("host/templates/rust": "Cargo.toml" "src/lib.rs");
    pub(in super::super) const PYTHON: &[Embedded] = files!("host/templates/python": "plugin.py");
    pub(in super::super) const NPM: &[Embedded] = files!("host/templates/npm": "package.json");
    pub(in super::super) const JAVASCRIPT: &[Embedded] =
        files!("host/templates/javascript": "plugin.js");
    pub(in super::super) const TYPESCRIPT: &[Embedded] =
        files!("host/templates/typescript": "plugin.ts");
    pub(in super::super) const GO: &[Embedded] = files!("host/templates/go": "go.mod" "main.go");
    pub(in super::super) const C: &[Embedded] = files!("host/templates/c":
        "greet.c" "greet.input.json" "greet.output.json" "plugin.toml");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// What of an SDK's folder is no part of the SDK.
    const NOT_FOR_AUTHORS: &[&str] = &[
        "examples", "tests", "node_modules", "__pycache__", "package-lock.json", "python",
        "javascript", "go", "c",
    ];

    fn below(folder: &Path, inside: &str, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let inner = if inside.is_empty() { name.to_owned() } else { format!("{inside}/{name}") };
            match NOT_FOR_AUTHORS.contains(&name) || name.starts_with('.') {
                true => {}
                false if path.is_dir() => below(&path, &inner, found),
                false => drop(found.insert(inner)),
            }
        }
    }

    #[test]
    fn every_file_of_an_sdk_is_carried() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let carried: [(&str, &[Embedded]); _] = [("sdk", RUST), ("wit/0.1", WIT)];
        for (folder, files) in carried {
            let mut present = BTreeSet::new();
            below(&root.join(folder), "", &mut present);
            let listed: BTreeSet<_> = files.iter().map(|(file, _)| (*file).to_owned()).collect();
            assert_eq!(listed, present, "{folder}");
        }
    }
}
