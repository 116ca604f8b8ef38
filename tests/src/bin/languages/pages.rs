//! What the pages of the SDKs show is built and run as it stands there.
//!
//! A project in a page begins with `<!-- project: NAME -->`; each of its files is a fenced
//! block after `<!-- file: PATH -->`. It is put beside a copy of the SDK, as `bulkhead
//! new` writes it, and `bulkhead test` has to succeed.

use std::collections::BTreeMap;
use std::path::Path;

use tempfile::TempDir;

use super::{Failures, authors, bulkhead};

/// The pages, and the language of which their projects need the SDK.
const PAGES: &[(&str, &str)] = &[
    ("sdk/python/README.md", "python"),
    ("sdk/javascript/README.md", "js"),
    ("sdk/go/README.md", "go"),
    ("sdk/c/README.md", "c"),
    ("sdk/command/README.md", "c"),
];

type Files = BTreeMap<String, String>;

pub(crate) async fn run() -> Failures {
    let mut failures = Failures::new();
    println!("\nprojects of the pages");
    for (page, language) in PAGES {
        let text = std::fs::read_to_string(bulkhead_tests::workspace().join(page));
        let projects = projects(&text.unwrap_or_default());
        if projects.is_empty() {
            failures.push(format!("{page}: it shows no project"));
        }
        for (name, files) in projects {
            let told = project(language, &name, &files).await;
            println!("  {page}, {name}: {}", if told.is_ok() { "ok" } else { "FAILED" });
            failures.extend(told.err().map(|why| format!("{page}, {name}: {why}")));
        }
    }
    failures
}

async fn project(language: &str, name: &str, files: &Files) -> Result<(), String> {
    let dir = TempDir::with_prefix("bulkhead-page-").expect("a temporary folder can be made");
    bulkhead(dir.path(), &["new", "page", "--lang", language]).await?;
    let folder = dir.path().join("page");
    keep_only_the_sdk(&folder);
    for (path, text) in files {
        let path = folder.join(path);
        let parent = path.parent().expect("it is in the folder");
        std::fs::create_dir_all(parent).expect("the folder can be written");
        std::fs::write(path, text).expect("the folder can be written");
    }
    if !files.contains_key("examples.toml") {
        return Err(format!("{name} has no examples.toml"));
    }
    authors::prepare(&folder).await?;
    bulkhead(&folder, &["test"]).await.map(|_| ())
}

/// Removes what `new` wrote besides: the page has its own.
fn keep_only_the_sdk(folder: &Path) {
    const SDK: [&str; 5] = ["bulkhead_sdk", "bulkhead-sdk", "bulkhead", "bulkhead.h", "go.mod"];
    for entry in std::fs::read_dir(folder).expect("it can be listed").flatten() {
        let kept = SDK.iter().any(|name| entry.file_name() == *name);
        if !kept && entry.path().is_file() {
            std::fs::remove_file(entry.path()).expect("the folder can be written");
        }
    }
}

/// The projects of a page, by their names.
fn projects(page: &str) -> BTreeMap<String, Files> {
    let mut projects = BTreeMap::<String, Files>::new();
    let (mut project, mut file) = (None::<String>, None::<String>);
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let marked = |what: &str| {
            let inner = line.trim().strip_prefix("<!--")?.strip_suffix("-->")?.trim();
            Some(inner.strip_prefix(what)?.trim().to_owned())
        };
        if let Some(name) = marked("project:") {
            project = Some(name);
        } else if let Some(path) = marked("file:") {
            file = Some(path);
        } else if line.starts_with("```") {
            let text: String = lines
                .by_ref()
                .take_while(|line| *line != "```")
                .map(|line| format!("{line}\n"))
                .collect();
            if let (Some(project), Some(path)) = (&project, file.take()) {
                projects.entry(project.clone()).or_default().insert(path, text);
            }
        }
    }
    projects
}
