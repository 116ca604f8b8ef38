//! An agent's session with the tools that run code: what it computes comes back, and what
//! it breaks is an answer that it can read.

use std::path::Path;

use bulkhead_tests::Client;
use serde_json::{Value, json};

use super::{Failures, built, wordstats};

/// A snippet, the code of its answer (nothing where it succeeds), and a part of the answer.
type Snippet = (&'static str, &'static str, &'static str, &'static str);

const PYTHON: &[Snippet] = &[
    ("a correct computation", "sum(n * n for n in range(100))", "", "328350"),
    ("an infinite loop", "while True: pass", "FUEL_EXHAUSTED", "computed for too long"),
    ("a fork attempt", "import os\nos.fork()", "PYTHON_ERROR", "fork"),
    ("a 2 GB allocation", "x = bytearray(2_000_000_000)", "PYTHON_ERROR", "MemoryError"),
    ("a mistake", "total = 1\nprint(totl)", "PYTHON_ERROR", "NameError"),
    ("a syntax error", "if True print(1)", "SYNTAX_ERROR", "line"),
];

const JAVASCRIPT: &[Snippet] = &[
    ("a correct computation", "[1, 2, 3].map(n => n * n)", "", "[1,4,9]"),
    ("an infinite loop", "while (true) {}", "FUEL_EXHAUSTED", "computed for too long"),
    ("an attempt to reach out", "fetch('https://example.com')", "JAVASCRIPT_ERROR", "fetch"),
    ("a 2 GB allocation", "new Uint8Array(2_000_000_000)", "", ""),
    ("a mistake", "const total = 1;\ntotl", "JAVASCRIPT_ERROR", "ReferenceError"),
    ("a syntax error", "if (", "SYNTAX_ERROR", "line"),
];

/// What must not reach an agent: names of a tool's and its SDK's own files, a host's words.
const INTERNAL: &[&str] = &["bulkhead_sdk", "plugin.py", "plugin.js", "/usr/", "panicked"];

/// Runs both sessions and prints them.
pub(crate) async fn run(out: &Path) -> Failures {
    let mut failures = Failures::new();
    for (plugin, tool, snippets) in [("python", "run_python", PYTHON), ("js", "run_js", JAVASCRIPT)]
    {
        let component = built(&format!("plugins/{plugin}"), &out.join("plugins")).await;
        let bytes = std::fs::read(component).expect("it was built");
        let sidecar = bulkhead_tests::workspace().join(format!("plugins/{plugin}.toml"));
        let sidecar = std::fs::read_to_string(sidecar).expect("it has a sidecar");
        let host = wordstats::setup(plugin, bytes).sidecar(plugin, &sidecar).start().await;
        let agent = host.client("alice").await;
        println!("\n{tool}");
        for snippet in snippets {
            failures.extend(session(&agent, tool, snippet).await);
        }
    }
    failures
}

async fn session(agent: &Client, tool: &str, snippet: &Snippet) -> Failures {
    let (what, code, expected, says) = snippet;
    let answer = agent.call(tool, json!({ "code": code })).await;
    let result = answer.result();
    let error = &result["_meta"]["io.bulkhead/error"];
    let told = error["code"].as_str().unwrap_or_default();
    let shown = if told.is_empty() { &result["structuredContent"] } else { error };
    println!("  {what}: {}", brief(shown));
    let mut failures = Failures::new();
    // What a language does with too much memory is its own; that there is an answer is ours.
    let either = expected.is_empty() && says.is_empty();
    if !either && told != *expected {
        failures.push(format!("{tool}, {what}: {told:?} instead of {expected:?}: {}", answer.text));
    }
    if !answer.text.contains(says) {
        failures.push(format!("{tool}, {what}: it does not say {says:?}: {}", answer.text));
    }
    let here = bulkhead_tests::workspace().display().to_string();
    for internal in INTERNAL.iter().copied().chain([here.as_str()]) {
        if answer.text.contains(internal) {
            failures.push(format!("{tool}, {what}: it says {internal:?}: {}", answer.text));
        }
    }
    failures
}

fn brief(value: &Value) -> String {
    let mut value = value.clone();
    value.as_object_mut().map(|error| error.remove("requestId"));
    let text = value.to_string();
    let brief: String = text.chars().take(300).collect();
    if brief.len() < text.len() { format!("{brief}…") } else { brief }
}
