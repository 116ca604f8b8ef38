use serde_json::{Value, json};
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;
use wasmtime::{Config, Engine};

use super::super::derive::{MAX_DEPTH, signature};
use super::super::docs::{Docs, Types};
use super::super::shape::{Field, Integer, Shape};
use super::super::{package_docs_of, schema};
use super::{case, compiled, field};

/// The parameters of the function `f` in an interface `example:text/words`, which a
/// component imports: to look at types takes no code. The types' names and documentation
/// are the interface's.
fn parameters(interface: &str, docs: &Docs) -> Result<Vec<Field>, String> {
    let name = "example:text/words@0.1.0";
    let text = format!("(component (import \"{name}\" (instance {interface})))");
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    let engine = Engine::new(&config).unwrap();
    let component = Component::new(&engine, wat::parse_str(&text).unwrap()).unwrap();
    let component = component.component_type();
    let (_, import) = component.imports(&engine).next().unwrap();
    let ComponentItem::ComponentInstance(instance) = import.ty else { panic!("{text}") };
    let mut types = Types::default();
    let mut result = Err("no function".to_owned());
    for (inner, item) in instance.exports(&engine) {
        match item.ty {
            ComponentItem::Type(ty) => types.add(docs, Some(name), inner, &ty, &mut 0),
            ComponentItem::ComponentFunc(function) => result = signature(&function, &types),
            _ => {}
        }
    }
    result.map(|(parameters, _)| parameters)
}

fn one(ty: &str) -> Result<Value, String> {
    let parameters =
        parameters(&format!("(export \"f\" (func (param \"x\" {ty})))"), &Docs::default())?;
    Ok(schema::object(&parameters)["properties"]["x"].clone())
}

/// A schema of a type that has to have a name.
fn named(ty: &str) -> Result<Value, String> {
    let interface = format!(
        "(type $t {ty}) (export \"t\" (type $n (eq $t))) (export \"f\" (func (param \"x\" $n)))"
    );
    let parameters = parameters(&interface, &Docs::default())?;
    Ok(schema::object(&parameters)["properties"]["x"].clone())
}

#[test]
fn each_type_has_its_schema() {
    let only = |name: &str, value: Value| json!({ "type": "object", "properties": { name: value }, "required": [name], "additionalProperties": false });
    let integer = |least: i64, greatest: u64| json!({ "type": "integer", "minimum": least, "maximum": greatest });
    let rows = [
        ("bool", json!({ "type": "boolean" })),
        ("s8", integer(-128, 127)),
        ("u8", integer(0, 255)),
        ("s16", integer(-32_768, 32_767)),
        ("u16", integer(0, 65_535)),
        ("s32", integer(i32::MIN.into(), 2_147_483_647)),
        ("u32", integer(0, 4_294_967_295)),
        ("s64", integer(i64::MIN, 9_223_372_036_854_775_807)),
        ("u64", integer(0, u64::MAX)),
        ("f64", json!({ "type": "number" })),
        ("char", json!({ "type": "string", "minLength": 1, "maxLength": 1 })),
        ("string", json!({ "type": "string" })),
        ("(list s8)", json!({ "type": "array", "items": integer(-128, 127) })),
        ("(option bool)", json!({ "type": ["boolean", "null"] })),
        (
            "(option (option bool))",
            json!({
                "type": ["object", "null"],
                "properties": { "some": { "type": ["boolean", "null"] } },
                "required": ["some"],
                "additionalProperties": false,
            }),
        ),
        (
            "(tuple bool string)",
            json!({
                "type": "array",
                "prefixItems": [{ "type": "boolean" }, { "type": "string" }],
                "items": false,
                "minItems": 2,
            }),
        ),
        (
            "(result string)",
            json!({ "oneOf": [only("ok", json!({ "type": "string" })), only("error", json!({ "type": "null" }))] }),
        ),
    ];
    for (ty, expected) in rows {
        assert_eq!(one(ty), Ok(expected), "{ty}");
    }
    assert_eq!(one("f32").unwrap()["maximum"], json!(3.4028235e38));
    let bytes = one("(list u8)").unwrap();
    assert_eq!((&bytes["type"], &bytes["contentEncoding"]), (&json!("string"), &json!("base64")));

    let names = json!({ "type": "string", "enum": ["a", "b-c"] });
    assert_eq!(named(r#"(enum "a" "b-c")"#).as_ref(), Ok(&names));
    let flags = json!({ "type": "array", "items": names, "uniqueItems": true });
    assert_eq!(named(r#"(flags "a" "b-c")"#), Ok(flags));
    let variant = json!({ "oneOf": [{ "type": "string", "enum": ["a"] }, only("b", json!({ "type": "boolean" }))] });
    assert_eq!(named(r#"(variant (case "a") (case "b" bool))"#), Ok(variant));
    let mut record = only("a", json!({ "type": "boolean" }));
    record["properties"]["b"] = json!({ "type": ["string", "null"] });
    assert_eq!(named(r#"(record (field "a" bool) (field "b" (option string)))"#), Ok(record));
}

#[test]
fn what_a_tool_cannot_have_is_named() {
    let deep = |levels| format!("{}bool{}", "(list ".repeat(levels), ")".repeat(levels));
    let many = |count| (0..count).map(|at| format!("\"e{at}\"")).collect::<Vec<_>>().join(" ");
    let long = "a".repeat(129);
    for (refused, why) in [
        (one("(future string)"), "`future`"),
        (one("(stream u8)"), "`stream`"),
        (one(&deep(MAX_DEPTH)), "14 levels deep"),
        (named(&format!("(enum {})", many(1_000))), "1000 parts"),
        (named(&format!("(enum \"{long}\")")), "129 bytes"),
    ] {
        let refused = refused.unwrap_err();
        assert!(
            refused.contains(why) || why == "129 bytes" && refused.contains("more than 128"),
            "{refused}"
        );
    }
    assert!(one(&deep(MAX_DEPTH - 1)).is_ok());
    assert!(named(&format!("(enum {})", many(900))).is_ok());

    let resource =
        r#"(export "r" (type $r (sub resource))) (export "f" (func (param "x" (own $r))))"#;
    assert!(parameters(resource, &Docs::default()).unwrap_err().contains("resources"));
}

#[test]
fn types_that_explode_are_refused_at_once() {
    let mut interface = "(type $t0 (tuple u8 u8))".to_owned();
    for level in 1..13 {
        let before = level - 1;
        interface += &format!("(type $t{level} (tuple $t{before} $t{before}))");
    }
    interface += "(export \"f\" (func (param \"x\" $t12)))";
    assert!(parameters(&interface, &Docs::default()).unwrap_err().contains("1000 parts"));
}

#[test]
fn the_deepest_types_have_schemas_that_are_read() {
    let boxed = Box::new;
    let wraps: [fn(Shape) -> Shape; 6] = [
        |inner| Shape::List(Box::new(inner)),
        |inner| Shape::Option(Box::new(inner)),
        |inner| Shape::Tuple(vec![inner]),
        |inner| Shape::Record { doc: None, fields: vec![field("f", inner)] },
        |inner| Shape::Variant { doc: None, cases: vec![case("c", Some(inner))] },
        |inner| Shape::Result(None, Some(Box::new(inner))),
    ];
    for wrap in wraps {
        let mut shape = Shape::Integer(Integer::U64);
        for _ in 1..MAX_DEPTH {
            shape = wrap(shape);
        }
        compiled(&shape);
        compiled(&Shape::Result(Some(boxed(shape)), None));
    }
}

const WIT: &str = r#"
package example:text@0.1.0;

interface words {
    /// How often a word is there.
    record entry {
        /// The word,
        /// in lower case.
        word: string,
        count: u32,
    }

    enum order {
        /// As they come.
        none,
        up,
    }

    /// Counts the words of a text.
    count: func(text: string) -> list<entry>;
    other: func();
}

world w {
    /// Greets.
    export greet: func() -> string;
    export words;
}
"#;

#[test]
fn comments_become_descriptions() {
    let docs = Docs::from_wit(WIT).unwrap();
    let words = Some("example:text/words@0.1.0");
    assert_eq!(docs.of_function(words, "count"), Some("Counts the words of a text."));
    assert_eq!(docs.of_function(words, "other"), None);
    assert_eq!(docs.of_function(None, "greet"), Some("Greets."));
    assert_eq!(docs.of_function(Some("words"), "count"), docs.of_function(words, "count"));
    assert_eq!(docs.of_function(None, "count"), None);

    let interface = r#"
        (type $e (record (field "word" string) (field "count" u32)))
        (export "entry" (type $entry (eq $e)))
        (type $o (enum "none" "up"))
        (export "order" (type $order (eq $o)))
        (export "f" (func (param "entries" (list $entry)) (param "order" (option $order))))"#;
    let schema = schema::object(&parameters(interface, &docs).unwrap());
    let entry = &schema["properties"]["entries"]["items"];
    assert_eq!(entry["description"], "How often a word is there.");
    assert_eq!(entry["properties"]["word"]["description"], "The word,\nin lower case.");
    assert_eq!(entry["properties"]["count"].get("description"), None);
    let order = &schema["properties"]["order"]["anyOf"][0];
    assert_eq!(order["description"], "`none`: As they come.");
}

#[test]
fn documentation_that_cannot_be_read_is_told() {
    let large = vec![1; 300_000];
    let deep = format!("\u{1}{}", "{\"worlds\":".repeat(1_000));
    for bytes in
        [&b""[..], b"\x02{}", b"\x01", b"\x01[", b"\x01{\"worlds\":7}", &large, deep.as_bytes()]
    {
        assert!(Docs::from_section(bytes).is_err());
    }
    assert!(
        Docs::from_section(b"\x00{\"interfaces\":{\"i\":{\"funcs\":{\"f\":\"Does.\"}}}}").is_ok()
    );
    for text in ["", "package a;", "package a:b; world w { import c:d/e; }", "interface"] {
        assert!(Docs::from_wit(text).is_err(), "{text}");
    }
    let hostile = b"\x01{\"worlds\":{\"w\":{\"funcs\":{\"f\":{\"docs\":\"a\x5cu001b[2Jb\"}}}}}";
    assert_eq!(Docs::from_section(hostile).unwrap().of_function(None, "f"), Some("ab"));
}

#[test]
fn a_folder_of_wit_becomes_one_section_that_others_can_read() {
    let folder = std::env::temp_dir().join(format!("bulkhead-wit-{}", std::process::id()));
    let deps = folder.join("deps/other");
    std::fs::create_dir_all(&deps).unwrap();
    std::fs::write(
        folder.join("a.wit"),
        WIT.replace("export words;", "export words; export other:x/y;"),
    )
    .unwrap();
    let other = "package other:x; interface y { /// Is elsewhere.\n there: func(); }";
    let unused = folder.join("deps/unused");
    std::fs::create_dir_all(&unused).unwrap();
    std::fs::write(unused.join("z.wit"), "package unused:x; interface z { /// No.\n f: func(); }")
        .unwrap();
    std::fs::write(deps.join("x.wit"), other).unwrap();
    let section = package_docs_of(&folder);
    std::fs::remove_dir_all(&folder).unwrap();
    let section = section.unwrap();
    assert!(wit_parser::PackageMetadata::decode(&section).is_ok());
    let docs = Docs::from_section(&section).unwrap();
    assert_eq!(docs.of_function(Some("other:x/y"), "there"), Some("Is elsewhere."));
    assert_eq!(docs.of_function(Some("unused:x/z"), "f"), None);
    assert_eq!(
        docs.of_function(Some("example:text/words@0.1.0"), "count"),
        Some("Counts the words of a text.")
    );
    let mine = Docs::from_section(
        b"\x01{\"worlds\":{\"w\":{\"funcs\":{\"greet\":{\"docs\":\"Mine.\"}}}}}",
    )
    .unwrap();
    let merged = mine.merge(docs);
    assert_eq!(merged.of_function(None, "greet"), Some("Mine."));
    assert_eq!(merged.of_function(Some("other:x/y"), "there"), Some("Is elsewhere."));
    assert!(package_docs_of(&folder).is_err());
}

#[test]
fn hostile_wit_is_answered() {
    let chain = |count: usize, line: fn(usize) -> String| -> String {
        let lines: String = (0..count).map(line).collect();
        format!("package a:b; interface i {{ type t{count} = u8; {lines} }}")
    };
    let used = |at| format!("interface i{at} {{ use i{}.{{t}}; }}", at + 1);
    let uses: String = (0..5_000).map(used).collect();
    for text in [
        chain(10_000, |at| format!("type t{at} = t{};", at + 1)),
        chain(5_000, |at| format!("record t{at} {{ f: t{} }}", at + 1)),
        format!("package a:b; {uses} interface i5000 {{ type t = u8; }}"),
        format!(
            "package a:b; interface i {{ type t = {}u8{}; }}",
            "list<".repeat(10_000),
            ">".repeat(10_000)
        ),
        format!("package a:b; {}", "package a:b { ".repeat(10_000)),
    ] {
        eprintln!("{text:.60}");
        let _ = Docs::from_wit(&text);
    }
}
