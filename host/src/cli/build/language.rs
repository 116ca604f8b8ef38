//! Which language a plugin is written in: told by the files of its source folder.

use std::fmt;
use std::path::Path;

use super::error::BuildError;
use super::toolchain::{Project, has_extension, names};
use super::{c, go, javascript, python, rust};

/// A language that plugins are built from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli) enum Language {
    Rust,
    JavaScript,
    Go,
    Python,
    C,
}

impl Language {
    /// Looks at the files of a source folder. A folder may hold files of several
    /// languages (C beside Go, a script beside a crate): the first that is found in the
    /// order of the variants decides.
    ///
    /// # Errors
    /// When none is found: which files were looked for.
    pub(in crate::cli) fn of(source: &Path) -> Result<Self, BuildError> {
        let has = |name: &str| source.join(name).is_file();
        let has_any = |extension| names(source).iter().any(|name| has_extension(name, extension));
        if has("Cargo.toml") {
            Ok(Self::Rust)
        } else if has("package.json") && (has("plugin.js") || has("plugin.ts")) {
            Ok(Self::JavaScript)
        } else if has("go.mod") {
            Ok(Self::Go)
        } else if has("plugin.py") {
            Ok(Self::Python)
        } else if has_any("c") {
            Ok(Self::C)
        } else {
            let near = if has("package.json") {
                "; there is a package.json, but no plugin.js and no plugin.ts beside it"
            } else if has("plugin.js") || has("plugin.ts") {
                "; there is a plugin in JavaScript or TypeScript, but no package.json beside it"
            } else if has_any("go") {
                "; there are *.go files, but no go.mod (`go mod init plugin` makes one)"
            } else if has_any("py") {
                "; there are *.py files, but none is called plugin.py"
            } else {
                ""
            };
            Err(BuildError::new(format!(
                "{}: no source of a plugin{near}. A source folder has a Cargo.toml (Rust), \
                 a package.json with plugin.js or plugin.ts, a go.mod, a plugin.py, or *.c; \
                 `bulkhead new NAME --lang LANGUAGE` writes one to begin with",
                source.display()
            )))
        }
    }

    /// Runs the language's toolchain, and returns the component or module that it made.
    /// `out` is a file that it may make.
    pub(super) fn compile(self, project: &Project, out: &Path) -> Result<Vec<u8>, BuildError> {
        match self {
            Self::Rust => rust::compile(project),
            Self::JavaScript => javascript::compile(project, out),
            Self::Go => go::compile(project, out),
            Self::Python => python::compile(project, out),
            Self::C => c::compile(project, out),
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rust => "Rust",
            Self::JavaScript => "JavaScript",
            Self::Go => "Go",
            Self::Python => "Python",
            Self::C => "C",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::temporary::TemporaryFolder;

    #[test]
    fn a_language_is_told_by_its_files() {
        let cases: [(&[&str], Result<Language, &str>); 10] = [
            (&["Cargo.toml", "a.c", "plugin.py"], Ok(Language::Rust)),
            (&["package.json", "plugin.js"], Ok(Language::JavaScript)),
            (&["package.json", "plugin.ts"], Ok(Language::JavaScript)),
            (&["go.mod", "main.go", "part.c"], Ok(Language::Go)),
            (&["plugin.py"], Ok(Language::Python)),
            (&["words.c"], Ok(Language::C)),
            (&["package.json", "index.js"], Err("no plugin.js")),
            (&["main.go"], Err("go mod init")),
            (&["tool.py"], Err("none is called plugin.py")),
            (&[], Err("bulkhead new")),
        ];
        for (files, expected) in cases {
            let folder = TemporaryFolder::new().unwrap();
            for file in files {
                std::fs::write(folder.path().join(file), "").unwrap();
            }
            match (Language::of(folder.path()), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{files:?}"),
                (Err(error), Err(said)) => {
                    assert!(error.to_string().contains(said), "{files:?}: {error}");
                }
                (found, _) => panic!("{files:?}: {found:?}"),
            }
        }
    }
}
