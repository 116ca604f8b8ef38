//! C, by clang for `wasm32-wasi`: zig brings one with its libc, and so does the WASI SDK.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::BuildError;
use super::toolchain::{Project, has_extension, names, read};

/// The target of both compilers: a command of WASI Preview 1.
const TARGET: &str = "wasm32-wasi";

/// The stack in the program's own memory. Zig's default of 16 MiB would be most of what a
/// small tool needs.
const STACK: &str = "-Wl,-z,stack-size=1048576";

pub(super) fn compile(project: &Project, out: &Path) -> Result<Vec<u8>, BuildError> {
    let mut compiler = compiler(project)?;
    compiler.args(["-target", TARGET, "-O2", "-s", STACK, "-I."]);
    let mut sources = names(&project.folder);
    sources.retain(|name| has_extension(name, "c"));
    sources.sort();
    compiler.args(sources);
    compiler.arg("-o").arg(out);
    project.run(compiler, str::trim)?;
    read(out)
}

fn compiler(project: &Project) -> Result<Command, BuildError> {
    if let Some(sdk) = std::env::var_os("WASI_SDK_PATH") {
        let clang = PathBuf::from(sdk).join("bin/clang");
        if clang.is_file() {
            let mut command = Command::new(clang);
            command.current_dir(&project.folder);
            return Ok(command);
        }
    }
    if let Some(zig) = project.find("zig") {
        let mut command = zig.command(project);
        command.arg("cc");
        return Ok(command);
    }
    for python in project.pythons() {
        let mut asked = python.command(project);
        asked.args(["-m", "ziglang", "version"]);
        if asked.output().is_ok_and(|asked| asked.status.success()) {
            let mut command = python.command(project);
            command.args(["-m", "ziglang", "cc"]);
            return Ok(command);
        }
    }
    Err(BuildError::missing_toolchain(
        format!("{} is written in C, and no compiler for {TARGET} was found", project.name),
        &[
            project.pip_install("ziglang"),
            "brew install zig".to_owned(),
            "export WASI_SDK_PATH=/opt/wasi-sdk   # https://github.com/WebAssembly/wasi-sdk/releases"
                .to_owned(),
        ],
    ))
}
