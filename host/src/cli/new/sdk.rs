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
    "src/call.rs" "src/error.rs" "src/expansion.rs" "src/foreign.rs" "src/guest.rs" "src/lib.rs"
    "src/output.rs" "src/prelude.rs" "src/returns.rs" "src/schema.rs" "src/tool.rs"
);

pub(super) const GO: &[Embedded] = files!("sdk/go": "bulkhead.go" "go.mod" "schema.go");

pub(super) const C: &[Embedded] = files!("sdk/c": "bulkhead.h");

pub(super) const PYTHON: &[Embedded] = files!("sdk/python/bulkhead_sdk":
    "__init__.py" "bounds.py" "call.py" "docs.py" "errors.py" "forms.py" "guest.py" "late.py" "py.typed"
    "results.py" "tools.py" "wire.py" "wit/call.wit" "wit/tools.wit" "wit/types.wit"
);

pub(super) const JAVASCRIPT: &[Embedded] = files!("sdk/javascript":
    "build.mjs" "globals.d.ts" "index.d.ts" "index.js" "package.json" "promise.js" "schema.mjs"
    "serve.js" "tools.mjs" "unexport.mjs" "wit/call.wit" "wit/tools.wit" "wit/types.wit"
);

/// The versions of the contract, by the folder that the SDK for Rust names.
pub(super) const WIT: &[(&str, &[Embedded])] = &[
    ("../wit/0.1", files!("wit/0.1": "call.wit" "tools.wit" "types.wit")),
    ("../wit/0.2", files!("wit/0.2": "call.wit" "tools.wit" "types.wit")),
];

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
    fn is_for_authors(name: &str) -> bool {
        let others = [
            "examples",
            "tests",
            "node_modules",
            "__pycache__",
            "package-lock.json",
            "README.md",
            "bulkhead_test.go",
        ];
        !(others.contains(&name) || name.starts_with('.'))
    }

    fn below(folder: &Path, inside: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for entry in std::fs::read_dir(folder.join(inside)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let inner = if inside.is_empty() { name.clone() } else { format!("{inside}/{name}") };
            match folder.join(&inner).is_dir() {
                _ if !is_for_authors(&name) => {}
                true => found.extend(below(folder, &inner)),
                false => drop(found.insert(inner)),
            }
        }
        found
    }

    #[test]
    fn every_file_of_an_sdk_is_carried() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        // That for Rust has its folder in common with the others.
        let rust = || ["src", "macros"].iter().flat_map(|part| below(&root.join("sdk"), part));
        let listed = |files: &[Embedded]| -> BTreeSet<_> {
            files.iter().map(|(file, _)| (*file).to_owned()).collect()
        };
        let missing: Vec<_> = rust().filter(|file| !listed(RUST).contains(file)).collect();
        assert!(missing.is_empty(), "{missing:?}");
        let all: [(&str, &[Embedded]); _] = [
            ("sdk/python/bulkhead_sdk", PYTHON),
            ("sdk/javascript", JAVASCRIPT),
            ("sdk/go", GO),
            ("sdk/c", C),
        ];
        for (folder, files) in all {
            assert_eq!(listed(files), below(&root.join(folder), ""), "{folder}");
        }
    }
}
