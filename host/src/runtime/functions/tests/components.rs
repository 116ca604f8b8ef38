use serde_json::{Value, json};
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

use super::super::{Docs, Functions};
use crate::runtime::output::{Block, Produced};
use crate::runtime::prepare::{DeclaredTool, LoadError};

/// What new stores allow for a result of 256 KiB.
const HANDOVER: usize = (512 << 10) + (64 << 10);

/// Functions whose code is a line each; a result of several values is at address 16.
const COMPONENT: &str = r#"
(component
  (core module $code
    (memory (export "memory") 8)
    (global $free (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.get $free)
      (global.set $free (i32.add (global.get $free) (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8)))))
    (func $pair (export "echo") (param i32 i32) (result i32)
      (i32.store (i32.const 16) (local.get 0))
      (i32.store (i32.const 20) (local.get 1))
      (i32.const 16))
    (func (export "zeros") (param i32) (result i32) (call $pair (i32.const 0) (local.get 0)))
    (func (export "divide") (param i32 i32) (result i32)
      (i32.store8 (i32.const 16) (i32.eqz (local.get 1)))
      (if (local.get 1)
        (then (i32.store (i32.const 20) (i32.div_s (local.get 0) (local.get 1))))
        (else (i32.store8 (i32.const 20) (i32.const 0))))
      (i32.const 16))
    (func (export "entry") (param i32 i32 i64) (result i32)
      (i64.store (i32.const 24) (local.get 2))
      (call $pair (local.get 0) (local.get 1)))
    (func (export "root") (param f64) (result f64) (f64.sqrt (local.get 0)))
    (func (export "nothing"))
    (func (export "trap") unreachable))
  (core instance $c (instantiate $code))
  (alias core export $c "memory" (core memory $m))
  (alias core export $c "realloc" (core func $r))
  (type $e (record (field "word" string) (field "count" u64)))
  (export $entry "entry-of" (type $e))
  (type $p (enum "division-by-zero"))
  (export $problem "problem" (type $p))
  (func $echo (param "text" string) (result string)
    (canon lift (core func $c "echo") (memory $m) (realloc (func $r))))
  (func $zeros (param "count" u32) (result (list u8)) (canon lift (core func $c "zeros") (memory $m)))
  (func $divide (param "a" s32) (param "b" s32) (result (result s32 (error $problem)))
    (canon lift (core func $c "divide") (memory $m)))
  (func $entry-f (param "word" string) (param "count" u64) (result $entry)
    (canon lift (core func $c "entry") (memory $m) (realloc (func $r))))
  (func $root (param "of" f64) (result f64) (canon lift (core func $c "root")))
  (func $nothing (canon lift (core func $c "nothing")))
  (func $trap (canon lift (core func $c "trap")))
  (export "echo" (func $echo))
  (export "zeros" (func $zeros))
  (export "divide" (func $divide))
  (export "make-entry" (func $entry-f))
  (instance $i (export "root" (func $root)) (export "nothing" (func $nothing)))
  (export "example:text/words@0.1.0" (instance $i))
  (instance $w (export "run" (func $trap)))
  (export "wasi:cli/run@0.2.0" (instance $w))
  (export "trap" (func $trap))
  MORE
)"#;

const WIT: &str = "package example:text@0.1.0; interface words { /// Takes the square root.
    root: func(of: f64) -> f64; nothing: func(); } world w { export words; }";

struct Loaded {
    engine: Engine,
    component: Component,
    functions: Functions,
    tools: Vec<DeclaredTool>,
    undescribed: Vec<String>,
}

fn load(more: &str) -> Result<Loaded, LoadError> {
    let engine = Engine::default();
    let bytes = wat::parse_str(COMPONENT.replace("MORE", more)).unwrap();
    let component = Component::new(&engine, bytes).unwrap();
    let docs = Docs::from_wit(WIT).unwrap();
    let (functions, tools, undescribed) = Functions::of(&engine, &component, &docs)?;
    Ok(Loaded { engine, component, functions, tools, undescribed })
}

#[test]
fn exported_functions_are_tools() {
    let Loaded { tools, undescribed, .. } = load("").unwrap();
    let mut described: Vec<(&str, &str)> =
        tools.iter().map(|tool| (tool.name.as_str(), tool.description.as_str())).collect();
    described.sort_unstable();
    let expected = [
        ("divide", "Divide."),
        ("echo", "Echo."),
        ("make-entry", "Make entry."),
        ("nothing", "Nothing."),
        ("root", "Takes the square root."),
        ("trap", "Trap."),
        ("zeros", "Zeros."),
    ];
    assert_eq!(described, expected);
    assert!(undescribed.len() == 6 && !undescribed.contains(&"root".to_owned()));
    let output = |name: &str| {
        let tool = tools.iter().find(|tool| tool.name == name).unwrap();
        tool.output_schema.as_ref().map(|text| serde_json::from_str::<Value>(text).unwrap())
    };
    assert_eq!((output("echo"), output("nothing")), (None, None));
    assert_eq!(output("divide").unwrap()["properties"]["result"]["maximum"], 2_147_483_647);
    assert_eq!(output("make-entry").unwrap()["required"], json!(["word", "count"]));
}

async fn call(tool: &str, arguments: Value) -> wasmtime::Result<Produced> {
    let Loaded { engine, component, functions, .. } = load("").unwrap();
    let mut store = Store::new(&engine, ());
    store.set_hostcall_fuel(HANDOVER);
    let instance = Linker::new(&engine).instantiate_async(&mut store, &component).await.unwrap();
    let arguments = arguments.to_string();
    can_move(functions.call(&mut store, &instance, tool, &arguments, |_, _| Ok(()))).await
}

/// A call moves to another thread when it computes.
fn can_move<F: Send>(call: F) -> F {
    call
}

async fn structured(tool: &str, arguments: Value) -> String {
    let produced = call(tool, arguments).await.unwrap();
    let Produced::Done { structured: Some(structured), .. } = produced else {
        panic!("{produced:?}")
    };
    structured
}

async fn failed(tool: &str, arguments: Value) -> (String, String) {
    let produced = call(tool, arguments).await.unwrap();
    let Produced::Failed { code, message, .. } = produced else { panic!("{produced:?}") };
    (code, message)
}

async fn said(tool: &str, arguments: Value) -> String {
    let produced = call(tool, arguments).await.unwrap();
    let Produced::Done { blocks, structured: None, .. } = &produced else { panic!("{produced:?}") };
    let [Block::Text(text)] = &blocks[..] else { panic!("{produced:?}") };
    text.clone()
}

#[tokio::test]
async fn a_call_goes_in_and_comes_out() {
    assert_eq!(said("echo", json!({ "text": "Grüße\u{1F600}\n" })).await, "Grüße\u{1F600}\n");
    assert_eq!(said("nothing", json!({})).await, "Done.");
    assert_eq!(structured("divide", json!({ "a": -7, "b": 2 })).await, r#"{"result":-3}"#);
    assert_eq!(structured("root", json!({ "of": 2.25 })).await, r#"{"result":1.5}"#);
    let entry = structured("make-entry", json!({ "word": "a\"b", "count": u64::MAX })).await;
    assert_eq!(entry, r#"{"word":"a\"b","count":18446744073709551615}"#);
    assert_eq!(structured("zeros", json!({ "count": 3 })).await, r#"{"result":"AAAA"}"#);
}

#[tokio::test]
async fn a_call_that_fails_says_how() {
    let zero = ("DIVISION_BY_ZERO".to_owned(), "Division by zero.".to_owned());
    assert_eq!(failed("divide", json!({ "a": 1, "b": 0 })).await, zero);
    assert_eq!(failed("root", json!({ "of": -1 })).await.0, "RESULT_NOT_FINITE");
    let (code, message) = failed("root", json!({ "of": "4" })).await;
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("BAD_ARGUMENTS", "The argument /of must be a number in range.")
    );
    assert!(call("trap", json!({})).await.is_err());
    assert!(call("run", json!({})).await.is_err());
}

#[tokio::test]
async fn bytes_are_handed_over_up_to_what_a_result_may_be_and_no_further() {
    let largest = structured("zeros", json!({ "count": 196_000 })).await;
    assert!(largest.len() > 261_000 && largest.len() < 256 << 10, "{}", largest.len());
    // Refused for its length by whoever reads it.
    let longer = structured("zeros", json!({ "count": 340_000 })).await;
    assert!(longer.len() > 256 << 10, "{}", longer.len());
    let error = call("zeros", json!({ "count": 360_000 })).await.unwrap_err();
    assert!(format!("{error:#}").contains("fuel allocated for hostcalls"), "{error:#}");
}

#[test]
fn exports_that_cannot_be_tools_are_named() {
    let rows = [
        (
            r#"(instance $j (export "root" (func $root))) (export "example:text/more" (instance $j))"#,
            "its exports `example:text/words@0.1.0#root` and `example:text/more#root` would be two tools of one \
             name; rename one of them, or export only one",
        ),
        (
            r#"(type $h (resource (rep i32))) (export "handle" (type $h))"#,
            "its export `handle` is a resource, which plain components cannot have here",
        ),
    ];
    for (more, why) in rows {
        assert_eq!(load(more).err().unwrap().to_string(), why);
    }
    let engine = Engine::default();
    let empty = Component::new(&engine, b"\0asm\x0d\0\x01\0").unwrap();
    let error = Functions::of(&engine, &empty, &Docs::default()).unwrap_err();
    assert_eq!(error.to_string(), "it exports no function that could be a tool");
}
