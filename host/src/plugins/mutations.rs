//! Bad input: a plugin's valid files, mutated, through the loader.
//!
//! The same cases in every run, a few seconds' worth; `tests/fuzz` looks further. What a
//! compiler and a sandbox make of bad components is theirs: they are bounded elsewhere.

use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{RngAlgorithm, TestCaseResult, TestRng, TestRunner};
use rustix::time::{ClockId, clock_gettime};
use wasm_encoder::{
    CanonicalOption, CodeSection, ComponentBuilder, ComponentExportKind, ComponentTypeRef,
    CustomSection, ExportKind, ExportSection, Function, FunctionSection, InstanceType, Module,
    ModuleArg, TypeSection,
};

use super::folder::Change;
use super::load::{Files, Parts, Ways};
use crate::catalog::Plugin;
use crate::config::{Ceilings, Config, PerAgent, PerCall, PerPlugin};
use crate::runtime::{DeclaredTool, LoadError, MANIFEST_SECTION};

/// How often each of the four is mutated.
const CASES: u32 = 500;

/// What one case may take: CPU time, since other tests run beside this one.
const MOST_TIME: Duration = Duration::from_millis(250);

/// The longest refusal, in bytes: a hundred problems, each on a line of its own.
const MOST_TEXT: usize = 32 << 10;

const MANIFEST: &str = r#"name = "crm"
version = "1.2.0"
description = "Finds and deletes records."
[wants]
http = ["GET https://api.example.com/*"]
secrets = ["CRM_TOKEN"]
[suggests]
fuel = "20M"
memory = "16MiB"
[[command]]
name = "find"
description = "Finds records."
input_schema = { type = "object", properties.id = { type = "string", maxLength = 8 } }
output_schema = '{"type":"object"}'
stdin = { from = "id" }
stdout = "json"
args = ["-x", { from = "id" }, { flag = "--id", from = "id" }]
annotations = { read_only = true }
[tools.find]
title = "Find"
description = """
Finds
records."""
"#;

const SIDECAR: &str = r#"prefix = "crm_"
[per_call]
fuel = "20M"
memory = "16MiB"
deadline = "1s"
[per_plugin]
concurrency = 16
queue_timeout = "2s"
rate = "1200/min"
[per_agent]
rate = "120/min"
[tools.find]
requires = ["crm.read"]
on_denied = "conceal"
per_agent.rate = "5/min"
"#;

const SCHEMA: &str = r##"{
  "type": "object", "required": ["id"], "additionalProperties": false,
  "$defs": { "id": { "type": "string", "pattern": "^[a-z]{1,8}$", "maxLength": 8 } },
  "properties": { "id": { "$ref": "#/$defs/id" }, "n": { "anyOf": [{ "minimum": 1 }, { "const": null }] } }
}"##;

/// Integers at the edges of their encodings, and the beginnings of files.
const BYTES: &[&[u8]] = &[
    b"\0",
    b"\x7f",
    b"\x80",
    b"\xff\xff\xff\xff\x07",
    b"\xff\xff\xff\xff\x0f",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\0asm\x0d\0\x01\0",
    b"\0asm\x01\0\0\0",
];

/// The same for text.
const WORDS: &[&[u8]] = &[
    b"99999999999999999999",
    b"-1",
    b"[[",
    b"{",
    b"\"",
    b"\"\"\"",
    b"\\u001b",
    b"\x1b[2J",
    b"\nevil is served",
    b"\xe2\x80\xae",
    b"\xff",
    b".",
    b"=",
    b"#",
];

#[derive(Clone, Debug)]
enum Mutation {
    Flip { at: Index, bit: u8 },
    Overwrite { at: Index, with: Index },
    Insert { at: Index, what: Index },
    Splice { from: Index, to: Index, length: Index },
    Remove { at: Index, length: Index },
    Truncate { at: Index },
}

impl Mutation {
    fn any() -> impl Strategy<Value = Self> {
        let at = any::<Index>;
        prop_oneof![
            (at(), 0..8_u8).prop_map(|(at, bit)| Self::Flip { at, bit }),
            (at(), at()).prop_map(|(at, with)| Self::Overwrite { at, with }),
            (at(), at()).prop_map(|(at, what)| Self::Insert { at, what }),
            (at(), at(), at()).prop_map(|(from, to, length)| Self::Splice { from, to, length }),
            (at(), at()).prop_map(|(at, length)| Self::Remove { at, length }),
            at().prop_map(|at| Self::Truncate { at }),
        ]
    }

    fn apply(&self, bytes: &mut Vec<u8>, interesting: &[&[u8]]) {
        let size = bytes.len();
        let end = |start: usize, length: &Index| start + length.index(size - start + 1);
        if size == 0 {
            return;
        }
        match self {
            Self::Flip { at, bit } => bytes[at.index(size)] ^= 1 << bit,
            Self::Overwrite { at, with } => {
                let (at, with) = (at.index(size), with.get(interesting));
                bytes.splice(at..(at + with.len()).min(size), with.iter().copied());
            }
            Self::Insert { at, what } => {
                let at = at.index(size + 1);
                bytes.splice(at..at, what.get(interesting).iter().copied());
            }
            Self::Splice { from, to, length } => {
                let from = from.index(size);
                let part = bytes[from..end(from, length)].to_vec();
                let to = to.index(size + 1);
                bytes.splice(to..to, part);
            }
            Self::Remove { at, length } => {
                let at = at.index(size);
                bytes.drain(at..end(at, length));
            }
            Self::Truncate { at } => bytes.truncate(at.index(size)),
        }
    }
}

/// A component as toolchains make them: a module, instantiated, its function lifted; a
/// component inside, which hands the function on as an interface; custom sections.
fn component(manifest: Option<&str>) -> Vec<u8> {
    let mut outer = ComponentBuilder::default();
    let core = outer.core_module(None, &module());
    let core = outer.core_instantiate(None, core, [] as [(&str, ModuleArg); 0]);
    let run = outer.core_alias_export(None, core, "run", ExportKind::Func);
    let ty = function_type(&mut outer);
    let lifted = outer.lift_func(None, run, ty, [] as [CanonicalOption; 0]);
    let mut shim = ComponentBuilder::default();
    let ty = function_type(&mut shim);
    let imported = shim.import("run", ComponentTypeRef::Func(ty));
    shim.export("list-tools", ComponentExportKind::Func, imported, None);
    let shim = outer.component(None, shim);
    let tools = outer.instantiate(None, shim, [("run", ComponentExportKind::Func, lifted)]);
    let inert = outer.type_instance(None, &InstanceType::new());
    outer.import("wasi:cli/environment@0.2.6", ComponentTypeRef::Instance(inert));
    outer.export("bulkhead:plugin/tools@0.1.0", ComponentExportKind::Instance, tools, None);
    let text = manifest.map(|text| (MANIFEST_SECTION, text));
    for (name, text) in [("producers", "\0")].into_iter().chain(text) {
        outer.custom_section(&CustomSection { name: name.into(), data: text.as_bytes().into() });
    }
    outer.finish()
}

fn function_type(component: &mut ComponentBuilder) -> u32 {
    let (index, mut ty) = component.type_function(None);
    ty.params([] as [(&str, wasm_encoder::ComponentValType); 0]).result(None);
    index
}

fn module() -> Module {
    let (mut types, mut functions) = (TypeSection::new(), FunctionSection::new());
    let (mut exports, mut code) = (ExportSection::new(), CodeSection::new());
    types.ty().function([], []);
    functions.function(0);
    exports.export("run", ExportKind::Func, 0);
    let mut body = Function::new([]);
    body.instructions().end();
    code.function(&body);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&exports).section(&code);
    module
}

/// A plugin's files in a folder of their own.
struct Folder {
    files: Files,
    dir: PathBuf,
    ceilings: Ceilings,
}

impl Folder {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("bulkhead-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let ceilings = Config::load(None, []).unwrap().ceilings;
        let folder = Self { files: Files::of(dir.join("crm.wasm")), dir, ceilings };
        std::fs::write(&folder.files.component, component(None)).unwrap();
        std::fs::write(&folder.files.manifest, MANIFEST).unwrap();
        std::fs::write(&folder.files.sidecar, SIDECAR).unwrap();
        folder
    }

    fn read(&self) -> Result<Parts, LoadError> {
        Parts::read(&self.files, &self.ceilings)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Mutates `valid` in the same ways in every run, and tries `load` with each outcome.
/// Some must be refused and some not, or the mutations are not worth much.
fn try_mutations(
    valid: &[u8],
    interesting: &[&[u8]],
    load: impl Fn(Vec<u8>) -> Result<(), LoadError>,
) {
    load(valid.to_vec()).expect("what was not mutated is loaded");
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..Default::default() };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let (loaded, refused) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let case = |mutations: Vec<Mutation>| {
        let mut bytes = valid.to_vec();
        mutations.iter().for_each(|mutation| mutation.apply(&mut bytes, interesting));
        let started = cpu_time();
        let outcome = load(bytes);
        let took = cpu_time() - started;
        prop_assert!(took <= MOST_TIME, "it took {took:?}");
        match outcome {
            Ok(()) => loaded.set(loaded.get() + 1),
            Err(why) => {
                refused.set(refused.get() + 1);
                can_be_shown(why)?;
            }
        }
        Ok(())
    };
    runner.run(&prop::collection::vec(Mutation::any(), 1..4), case).unwrap();
    let (loaded, refused) = (loaded.get(), refused.get());
    assert!(loaded >= 10 && refused >= 10, "{loaded} loaded, {refused} refused");
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

/// Whether the log shows a refusal as one entry, without anything that a terminal obeys.
fn can_be_shown(why: LoadError) -> TestCaseResult {
    prop_assert!(!why.to_string().is_empty());
    let change = Change::Refused { file: "crm".to_owned(), why, still_served: false };
    let shown = change.to_string();
    prop_assert!(shown.len() <= MOST_TEXT, "{} bytes", shown.len());
    let mut lines = shown.lines();
    prop_assert!(lines.next().is_some_and(|first| first.starts_with("crm was not loaded: ")));
    prop_assert!(lines.all(|line| line.starts_with("  ")), "{shown}");
    prop_assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
    Ok(())
}

#[test]
fn a_bad_component_is_refused_in_bounded_time() {
    let valid = component(Some(MANIFEST));
    let mut validator = wasmparser::Validator::new();
    validator.validate_all(&valid).expect("a valid component");
    let folder = Folder::new("bad-component");
    try_mutations(&valid, BYTES, |bytes| {
        std::fs::write(&folder.files.component, bytes).unwrap();
        folder.read().map(|_| ())
    });
}

#[test]
fn a_bad_manifest_is_refused_in_bounded_time() {
    let folder = Folder::new("bad-manifest");
    try_mutations(MANIFEST.as_bytes(), WORDS, |bytes| {
        // Every other one inside the component.
        let inside = bytes.len() % 2 == 0;
        let text = String::from_utf8_lossy(&bytes);
        let component = component(inside.then_some(&text));
        std::fs::write(&folder.files.component, component).unwrap();
        std::fs::write(&folder.files.manifest, &bytes).unwrap();
        let manifest = folder.read()?.authored.manifest;
        assert!(!manifest.wants.all().iter().any(|want| want.contains(char::is_control)));
        Ok(())
    });
}

#[test]
fn a_bad_sidecar_is_refused_in_bounded_time() {
    let folder = Folder::new("bad-sidecar");
    try_mutations(SIDECAR.as_bytes(), WORDS, |bytes| {
        std::fs::write(&folder.files.sidecar, bytes).unwrap();
        folder.read().map(|_| ())
    });
}

#[test]
fn a_bad_tool_is_refused_in_bounded_time() {
    let folder = Folder::new("bad-tool");
    let parts = folder.read().unwrap();
    let plugin = Plugin {
        name: parts.authored.manifest.name.clone(),
        version: "1".into(),
        digest: "".into(),
        per_plugin: PerPlugin::default(),
        per_agent: PerAgent::default(),
    };
    try_mutations(SCHEMA.as_bytes(), WORDS, |bytes| {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let declared = DeclaredTool {
            name: text.chars().skip(5).take(4).collect(),
            title: Some(text.chars().take(60).collect()),
            description: text.clone(),
            input_schema: text,
            output_schema: None,
            annotations: None,
        };
        let tool = parts.check_tool(declared, &plugin, PerCall::default(), &Ways::default())?;
        let texts = [&*tool.description, tool.title.as_deref().unwrap_or_default()];
        let dirty = |c: char| c.is_control() && !matches!(c, '\n' | '\t' | '\r');
        assert!(!texts.iter().any(|text| text.contains(dirty)));
        Ok(())
    });
}

#[test]
fn what_is_no_file_is_not_read() {
    let folder = Folder::new("no-file");
    std::fs::remove_file(&folder.files.sidecar).unwrap();
    assert!(folder.read().is_ok(), "a sidecar is optional");
    std::os::unix::fs::symlink("/dev/zero", &folder.files.sidecar).unwrap();
    assert_eq!(folder.read().unwrap_err().to_string(), "crm.toml is no file");
    std::fs::remove_file(&folder.files.component).unwrap();
    assert_eq!(folder.read().unwrap_err().to_string(), "it is gone");
    std::os::unix::fs::symlink("/dev/zero", &folder.files.component).unwrap();
    assert_eq!(folder.read().unwrap_err().to_string(), "crm.wasm is no file");
}
