//! JavaScript and TypeScript, by the build script of the SDK, which bundles and
//! componentizes.

use std::path::Path;

use super::error::BuildError;
use super::toolchain::{Project, read};

/// The SDK's package.
const SDK: &str = "bulkhead-sdk";

/// The build script, in `node_modules`.
const SCRIPT: &str = "bulkhead-sdk/build.mjs";

pub(super) fn compile(project: &Project, out: &Path) -> Result<Vec<u8>, BuildError> {
    let node = project.find("node").ok_or_else(|| {
        BuildError::missing_toolchain(
            format!("{} is written in JavaScript, and `node` was not found", project.name),
            &[
                "brew install node".to_owned(),
                "sudo apt-get install nodejs npm   # or https://nodejs.org, 20 or newer".to_owned(),
            ],
        )
    })?;
    let package = std::fs::read_to_string(project.folder.join("package.json")).unwrap_or_default();
    if !package.contains(SDK) {
        return Err(project.cannot_work(
            "its package.json does not depend on `bulkhead-sdk`, which builds it. The SDK is a \
             folder of a few files: `bulkhead new NAME --lang js` writes it, to copy from",
        ));
    }
    let script = project.find_in_node_modules(SCRIPT).ok_or_else(|| {
        BuildError::missing_toolchain(
            format!("{} has not installed what its package.json asks for", project.name),
            &[format!("npm install --prefix {}", project.shown())],
        )
    })?;
    let mut command = node.command(project);
    command.arg(script).arg(&project.folder).arg(out);
    project.run(command, str::trim)?;
    read(out)
}
