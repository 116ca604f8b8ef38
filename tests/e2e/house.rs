//! The floors of `host/README.md`, as far as a text search can hold them.

use std::path::{Path, PathBuf};

/// The lines of the host's sources, without tests, that `matches`, as `file: line`.
fn lines(matches: impl Fn(&Path, &str) -> bool) -> Vec<String> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src");
    let mut found = Vec::new();
    for file in files(&src) {
        let text = std::fs::read_to_string(&file).expect("a source is text");
        let name = file.strip_prefix(&src).expect("it is below src").to_path_buf();
        let code = text.lines().take_while(|line| *line != "#[cfg(test)]");
        let code = code.filter(|line| !line.trim_start().starts_with("//"));
        found.extend(
            code.filter(|line| matches(&name, line))
                .map(|line| format!("{}: {line}", name.display())),
        );
    }
    found
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let listing = std::fs::read_dir(dir).expect("the sources are there");
    let paths = listing.map(|entry| entry.expect("it can be listed").path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn only_the_runtime_names_wasmtime() {
    let named = lines(|file, line| {
        !file.starts_with("runtime")
            && (line.contains("wasmtime::") || line.contains("wasmtime_wasi"))
    });
    assert_eq!(named, [] as [&str; 0]);
}

#[test]
fn only_answers_and_listeners_know_statuses_and_integers() {
    let knows =
        |line: &str| line.contains("StatusCode") || line.contains("-32") && line.contains("60");
    let named = lines(|file, line| {
        !(file.starts_with("respond") || file.starts_with("server")) && knows(line)
    });
    assert_eq!(named, [] as [&str; 0]);
}

#[test]
fn a_file_imports_from_lower_floors_only() {
    const FLOORS: &[&[&str]] = &[
        &["clock", "error", "json", "names", "text"],
        &["catalog", "config"],
        &["containment", "transport"],
        &["fetch", "limits"],
        &["auth"],
        &["policy", "validation"],
        &["runtime"],
        &["sanitize"],
        &["plugins", "respond", "telemetry"],
        &["pipeline"],
        &["boot", "server"],
        &["cli"],
    ];
    let floor = |module: &str| FLOORS.iter().position(|modules| modules.contains(&module));
    let own = |file: &Path| {
        let first = file.iter().next().expect("a file has a name").to_string_lossy().into_owned();
        first.trim_end_matches(".rs").to_owned()
    };
    let imported = |line: &str| {
        let rest = line.trim_start().strip_prefix("use crate::")?;
        Some(rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next()?.to_owned())
    };
    // `policy` and `catalog` stand beside what they import of their own floor.
    let beside = [("policy", "validation"), ("catalog", "config")];
    let climbs = lines(|file, line| {
        let (own, Some(other)) = (own(file), imported(line)) else { return false };
        let (Some(here), Some(there)) = (floor(&own), floor(&other)) else { return false };
        own != other && there >= here && !beside.contains(&(own.as_str(), other.as_str()))
    });
    assert_eq!(climbs, [] as [&str; 0]);
}
