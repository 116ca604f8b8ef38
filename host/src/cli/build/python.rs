//! Python, by componentize-py, which puts an interpreter and the source into a component.
//!
//! What is not Python cannot come along: an extension module is native code. That is
//! told before the toolchain runs, whose own words for it are far from the cause.

use std::path::{Path, PathBuf};

use super::error::BuildError;
use super::toolchain::{Project, read};

/// The world of the SDK, and where it is in a source folder.
const SDK: &str = "bulkhead_sdk";
const SDK_WIT: &str = "bulkhead_sdk/wit";
const SDK_WORLD: &str = "tool-plugin";

/// Distributions that are, or need, native code, with the modules that they are imported
/// as.
const NATIVE: &[(&str, &str)] = &[
    ("bcrypt", "bcrypt"),
    ("cryptography", "cryptography"),
    ("grpcio", "grpc"),
    ("lxml", "lxml"),
    ("matplotlib", "matplotlib"),
    ("numpy", "numpy"),
    ("opencv-python", "cv2"),
    ("orjson", "orjson"),
    ("pandas", "pandas"),
    ("pillow", "PIL"),
    ("polars", "polars"),
    ("psycopg2", "psycopg2"),
    ("pyarrow", "pyarrow"),
    ("pydantic", "pydantic"),
    ("pydantic-core", "pydantic_core"),
    ("pynacl", "nacl"),
    ("regex", "regex"),
    ("scikit-learn", "sklearn"),
    ("scipy", "scipy"),
    ("tensorflow", "tensorflow"),
    ("tiktoken", "tiktoken"),
    ("tokenizers", "tokenizers"),
    ("torch", "torch"),
    ("ujson", "ujson"),
];

pub(super) fn compile(project: &Project, out: &Path) -> Result<Vec<u8>, BuildError> {
    refuse_native(project)?;
    let (wit, world) = world(project)?;
    let componentize = project.find("componentize-py").ok_or_else(|| {
        BuildError::missing_toolchain(
            format!("{} is written in Python, and componentize-py was not found", project.name),
            &[project.pip_install("componentize-py"), "pipx install componentize-py".to_owned()],
        )
    })?;
    let mut command = componentize.command(project);
    command.args(["-d", wit]);
    if let Some(world) = world {
        command.args(["-w", world]);
    }
    command.args(["componentize", "plugin", "-p", "."]);
    if let Some(folder) = linked_sdk(project) {
        command.arg("-p").arg(folder);
    }
    command.arg("-o").arg(out);
    command.env("RUST_BACKTRACE", "0");
    project.run(command, telling)?;
    read(out)
}

/// The folder that holds the SDK, where the project's own is a link to it: componentize-py
/// does not follow links that lead out of the folder.
fn linked_sdk(project: &Project) -> Option<PathBuf> {
    let sdk = project.folder.join(SDK);
    let real = sdk.is_symlink().then(|| sdk.canonicalize().ok())??;
    real.parent().map(Path::to_path_buf)
}

/// What componentize-py says without where in itself it failed.
fn telling(said: &str) -> &str {
    said.split_once("AssertionError:").map_or(said, |(_, why)| why)
}

/// The WIT folder, and the world in it; the only one, where the folder is the author's.
fn world(project: &Project) -> Result<(&'static str, Option<&'static str>), BuildError> {
    if project.folder.join("wit").is_dir() {
        Ok(("wit", None))
    } else if project.folder.join(SDK_WIT).is_dir() {
        Ok((SDK_WIT, Some(SDK_WORLD)))
    } else {
        Err(project.cannot_work(
            "neither `bulkhead_sdk/` nor `wit/` is in its folder. The SDK is a folder of a few \
             files: `bulkhead new NAME --lang python` writes it, to copy from",
        ))
    }
}

fn refuse_native(project: &Project) -> Result<(), BuildError> {
    let native = |place: String, what: &str| {
        Err(project.cannot_work(&format!(
            "{place}: {what} is native code, and a sandbox runs none; use a package that is \
             written in Python alone, or Python's own library"
        )))
    };
    for extension in ["so", "pyd"] {
        if let Some(file) = project.files(extension).first() {
            return native(project.within(file).display().to_string(), "it");
        }
    }
    for name in ["requirements.txt", "pyproject.toml"] {
        let text = std::fs::read_to_string(project.folder.join(name)).unwrap_or_default();
        let mut listing = Listing::of(name);
        for (at, line) in text.lines().enumerate() {
            if let Some(package) = listing.is_at(line).then(|| required(line)).flatten() {
                return native(format!("{name}:{}", at + 1), package);
            }
        }
    }
    for file in project.files("py") {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let mut is_text = false;
        for (at, line) in text.lines().enumerate() {
            // What is indented may be prepared for it to be missing.
            let module = if is_text { None } else { imported(line) };
            is_text ^= (line.matches("\"\"\"").count() + line.matches("'''").count()) % 2 == 1;
            if let Some(module) = module.filter(|module| !project.has_module(module)) {
                return native(format!("{}:{}", project.within(&file).display(), at + 1), module);
            }
        }
    }
    Ok(())
}

impl Project {
    /// Whether the author has a module of this name.
    fn has_module(&self, name: &str) -> bool {
        self.folder.join(name).is_dir() || self.folder.join(format!("{name}.py")).is_file()
    }
}

/// Whether a file's lines list what a plugin needs: those of requirements do, and those of
/// a pyproject under `[project] dependencies`, not what only its author needs.
enum Listing {
    Always,
    Pyproject { in_project: bool, in_dependencies: bool },
}

impl Listing {
    fn of(name: &str) -> Self {
        match name {
            "pyproject.toml" => Self::Pyproject { in_project: false, in_dependencies: false },
            _ => Self::Always,
        }
    }

    fn is_at(&mut self, line: &str) -> bool {
        let Self::Pyproject { in_project, in_dependencies } = self else { return true };
        let line = line.trim();
        if line.starts_with('[') && line.ends_with(']') && !line.contains(['"', '\'']) {
            (*in_project, *in_dependencies) = (line == "[project]", false);
        } else if let Some((key, _)) = line.split_once('=')
            && key.trim().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        {
            *in_dependencies = *in_project && key.trim() == "dependencies";
        }
        *in_dependencies
    }
}

/// The native distribution that a line asks for: of requirements, or of a list of strings
/// or a table in a pyproject.
fn required(line: &str) -> Option<&'static str> {
    let line = line.trim().trim_start_matches("dependencies").trim_start();
    let line = line.split('#').next().unwrap_or_default();
    line.split([',', '[', ']']).find_map(|entry| {
        let entry = entry.trim_start_matches(|c: char| " \t=\"'".contains(c));
        let ends = |c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c));
        let name = entry.split(ends).next()?.to_ascii_lowercase().replace(['_', '.'], "-");
        NATIVE.iter().map(|(package, _)| *package).find(|package| *package == name)
    })
}

/// The native module that a line imports.
fn imported(line: &str) -> Option<&'static str> {
    if line.starts_with([' ', '\t']) {
        return None;
    }
    let mut words = line.split_whitespace();
    let modules = match words.next()? {
        "import" => line.strip_prefix("import")?,
        "from" => words.next()?,
        _ => return None,
    };
    modules.split(',').find_map(|module| {
        let name = module.split_whitespace().next()?.split('.').next()?;
        NATIVE.iter().map(|(_, module)| *module).find(|module| *module == name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::temporary::TemporaryFolder;

    #[test]
    fn native_code_is_told_from_python() {
        let cases = [
            ("plugin.py", "import json\nimport numpy as np", Some("plugin.py:2: numpy")),
            ("plugin.py", "from PIL.Image import open", Some("plugin.py:1: PIL")),
            (
                "plugin.py",
                "try:\n    import orjson as json\nexcept ImportError:\n    import json",
                None,
            ),
            ("plugin.py", "\"\"\"Frames\nfrom pandas or anywhere else.\n\"\"\"", None),
            ("regex.py", "import regex", None),
            ("plugin.py", "import os, pandas", Some("pandas")),
            ("plugin.py", "# import numpy\nimport numpy_like\nfrom . import numpy", None),
            ("inner/helper.py", "import pydantic", Some("inner/helper.py:1: pydantic")),
            (".venv/lib/a.py", "import numpy", None),
            ("fast.cpython-312.so", "", Some("fast.cpython-312.so: it")),
            (
                "requirements.txt",
                "attrs\nPydantic_Core>=2",
                Some("requirements.txt:2: pydantic-core"),
            ),
            ("requirements.txt", "# numpy\nnumpydoc==1", None),
            (
                "pyproject.toml",
                "[project]\ndependencies = [\"attrs\", 'lxml>5']",
                Some("pyproject.toml:2: lxml"),
            ),
            ("pyproject.toml", "[project]\ndependencies = [\n  \"scipy\",\n]", Some(":3: scipy")),
            ("pyproject.toml", "[project.optional-dependencies]\ndev = [\"numpy\"]", None),
            ("pyproject.toml", "[tool.x]\ndependencies = [\"numpy\"]", None),
            ("pyproject.toml", "name = \"my-numpy\"\ndescription = \"like numpy\"", None),
        ];
        for (file, text, expected) in cases {
            let folder = TemporaryFolder::new().unwrap();
            let project = Project { folder: folder.path().to_owned(), name: "a".to_owned() };
            let path = project.folder.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
            let said = refuse_native(&project).err().map(|error| error.to_string());
            match expected {
                None => assert_eq!(said, None, "{file}: {text}"),
                Some(expected) => {
                    let said = said.unwrap_or_else(|| panic!("{file}: {text}"));
                    assert!(said.contains(expected), "{said}");
                }
            }
        }
    }
}
