use serde_json::{Value, json};
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;
use wasmtime::{Config, Engine};

use super::super::derive::{MAX_DEPTH, signature};
use super::super::docs::{Docs, Types};
use super::super::schema;
use super::super::shape::{Field, Integer, Shape};
use super::{case, compiled, field};

/// The parameters of the function `f` in an interface `example:text/words`, which a
/// component imports: to look at types takes no code. The types' names and documentation
/// are the interface's.
pub(super) fn parameters(interface: &str, docs: &Docs) -> Result<Vec<Field>, String> {
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
        if let ComponentItem::Type(ty) = item.ty {
            types.add(docs, Some(name), inner, &ty, &mut 0);
        } else if let ComponentItem::ComponentFunc(function) = item.ty {
            result = signature(&function, &types);
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
