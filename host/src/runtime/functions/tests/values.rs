use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use serde_json::{Value, json};
use wasmtime::component::Val;

use super::super::from_json::arguments;
use super::super::shape::{Case, Integer, Shape};
use super::super::to_json::{Untold, text};
use super::{accepted, case, compiled, field};

const MUCH: usize = 1 << 20;

fn shapes() -> impl Strategy<Value = Shape> {
    use Integer::{S8, S16, S32, S64, U8, U16, U32, U64};
    let names =
        |count| -> Vec<Case> { (0..count).map(|at| case(&format!("c{at}"), None)).collect() };
    let leaf = prop_oneof![
        Just(Shape::Bool),
        prop::sample::select(vec![S8, U8, S16, U16, S32, U32, S64, U64]).prop_map(Shape::Integer),
        Just(Shape::Float32),
        Just(Shape::Float64),
        Just(Shape::Char),
        Just(Shape::String),
        Just(Shape::Bytes),
        (1..4).prop_map(move |count| Shape::Enum { doc: None, cases: names(count) }),
        (1..5).prop_map(move |count| Shape::Flags { doc: None, cases: names(count) }),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        let arm = || prop::option::of(boxed());
        prop_oneof![
            boxed().prop_map(Shape::List),
            boxed().prop_map(Shape::Option),
            vec(inner.clone(), 1..4).prop_map(Shape::Tuple),
            vec(inner.clone(), 1..4).prop_map(|shapes| Shape::Record {
                doc: None,
                fields: (0..).zip(shapes).map(|(at, one)| field(&format!("f{at}"), one)).collect(),
            }),
            vec(prop::option::of(inner.clone()), 1..4).prop_map(|payloads| Shape::Variant {
                doc: None,
                cases: (0..).zip(payloads).map(|(at, one)| case(&format!("c{at}"), one)).collect(),
            }),
            (arm(), arm()).prop_map(|(ok, error)| Shape::Result(ok, error)),
        ]
    })
}

fn values(shape: &Shape) -> BoxedStrategy<Val> {
    let names =
        |cases: &[Case]| -> Vec<String> { cases.iter().map(|case| case.name.clone()).collect() };
    match shape {
        Shape::Bool => any::<bool>().prop_map(Val::Bool).boxed(),
        Shape::Integer(integer) => {
            let integer = *integer;
            let (least, greatest) = integer.range();
            let all = i128::from(least)..=i128::from(greatest);
            let ends = prop::sample::select(vec![*all.start(), *all.end(), 0]);
            prop_oneof![all, ends].prop_map(move |number| integer.val(number).unwrap()).boxed()
        }
        Shape::Float32 => {
            let finite = any::<f32>().prop_filter("finite", |number| number.is_finite());
            let ends = prop::sample::select(vec![f32::MAX, f32::MIN, -0.0, f32::from_bits(1)]);
            prop_oneof![finite, ends].prop_map(Val::Float32).boxed()
        }
        Shape::Float64 => {
            let finite = any::<f64>().prop_filter("finite", |number| number.is_finite());
            let ends = prop::sample::select(vec![f64::MAX, f64::MIN, -0.0, f64::from_bits(1)]);
            prop_oneof![finite, ends].prop_map(Val::Float64).boxed()
        }
        Shape::Char => any::<char>().prop_map(Val::Char).boxed(),
        Shape::String => any::<String>().prop_map(Val::String).boxed(),
        Shape::Bytes => vec(any::<u8>().prop_map(Val::U8), 0..20).prop_map(Val::List).boxed(),
        Shape::List(element) => vec(values(element), 0..4).prop_map(Val::List).boxed(),
        Shape::Tuple(items) => {
            items.iter().map(values).collect::<Vec<_>>().prop_map(Val::Tuple).boxed()
        }
        Shape::Record { fields, .. } => {
            let field = |field: &super::Field| (Just(field.name.clone()), values(&field.shape));
            fields.iter().map(field).collect::<Vec<_>>().prop_map(Val::Record).boxed()
        }
        Shape::Variant { cases, .. } => {
            let one = |case: &Case| {
                let name = case.name.clone();
                match &case.payload {
                    Some(shape) => values(shape)
                        .prop_map(move |value| Val::Variant(name.clone(), Some(Box::new(value))))
                        .boxed(),
                    None => Just(Val::Variant(name, None)).boxed(),
                }
            };
            prop::strategy::Union::new(cases.iter().map(one)).boxed()
        }
        Shape::Enum { cases, .. } => prop::sample::select(names(cases)).prop_map(Val::Enum).boxed(),
        Shape::Flags { cases, .. } => {
            subsequence(names(cases), 0..=cases.len()).prop_map(Val::Flags).boxed()
        }
        Shape::Option(inner) => {
            prop::option::of(values(inner)).prop_map(|some| Val::Option(some.map(Box::new))).boxed()
        }
        Shape::Result(ok, error) => {
            let arm = |arm: &Option<Box<Shape>>| match arm {
                Some(shape) => values(shape).prop_map(|value| Some(Box::new(value))).boxed(),
                None => Just(None).boxed(),
            };
            let ok = arm(ok).prop_map(|value| Val::Result(Ok(value)));
            let error = arm(error).prop_map(|value| Val::Result(Err(value)));
            prop_oneof![ok, error].boxed()
        }
    }
}

/// Puts `new` in place of one value inside another.
fn replace(value: &mut Value, at: &[Index], new: Value) {
    let inner = match value {
        Value::Array(items) if !items.is_empty() => at.first().map(|at| at.get_mut(items)),
        Value::Object(entries) if !entries.is_empty() => {
            let at = at.first().map(|at| at.index(entries.len()));
            at.and_then(|at| entries.values_mut().nth(at))
        }
        Value::Array(_) | Value::Object(_) => None,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    };
    match inner {
        Some(inner) => replace(inner, &at[1..], new),
        None => *value = new,
    }
}

fn foreign() -> impl Strategy<Value = Value> {
    let texts = ["", "c0", "c1", "zz", "é", "QQ==", "QR==", "QUI", "AAAA"];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i16>().prop_map(Value::from),
        prop::sample::select(vec![1.0, -0.0, 0.5, 1e3, 3.5e38, 1e300, 256.0]).prop_map(Value::from),
        Just(u64::MAX.into()),
        Just(i64::MIN.into()),
        prop::sample::select(texts.to_vec()).prop_map(Value::from),
        prop::sample::select(vec![
            json!([]),
            json!([1, 2]),
            json!(["c0", "c0"]),
            json!({}),
            json!({ "c0": 1 }),
            json!({ "f0": 1, "f9": 1 }),
            json!({ "some": null }),
            json!({ "ok": null }),
            json!({ "error": null, "ok": 1 }),
        ]),
    ]
}

proptest! {
    #[test]
    fn values_survive_json_and_match_their_schema(
        (shape, value) in shapes().prop_flat_map(|shape| (Just(shape.clone()), values(&shape))),
    ) {
        let text = text(&value, &shape, MUCH).unwrap();
        let schemas = compiled(&shape);
        prop_assert_eq!(accepted(&shape, &schemas, &text), (true, true), "{} {:?}", text, shape);
        // White space is where JSON allows it.
        let spaced = format!(" {{ \"x\" :\t{text}\n}} ");
        let (read, _) = arguments(&[field("x", shape)], &spaced).unwrap();
        prop_assert_eq!(&read, &[value]);
    }

    #[test]
    fn the_schema_and_the_reader_take_the_same_arguments(
        (shape, value) in shapes().prop_flat_map(|shape| (Just(shape.clone()), values(&shape))),
        at: [Index; 4],
        new in foreign(),
    ) {
        let mut json: Value = serde_json::from_str(&text(&value, &shape, MUCH).unwrap()).unwrap();
        replace(&mut json, &at, new);
        let (schema, reader) = accepted(&shape, &compiled(&shape), &json.to_string());
        prop_assert_eq!(schema, reader, "{} {:?}", json, shape);
    }

    #[test]
    fn any_text_gets_an_answer(shape in shapes(), text in r#"[\[\]{}",:a0\\ue.-]{0,64}"#) {
        let _ = arguments(&[field("x", shape)], &text);
    }
}

#[test]
fn what_json_cannot_say_is_not_said() {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let list = Shape::List(Box::new(Shape::Float64));
        let value = Val::List(vec![Val::Float64(0.0), Val::Float64(number)]);
        assert_eq!(text(&value, &list, MUCH), Err(Untold::NotFinite));
        assert_eq!(
            text(&Val::Float32(number as f32), &Shape::Float32, MUCH),
            Err(Untold::NotFinite)
        );
    }
    assert_eq!(text(&Val::Bool(true), &Shape::String, MUCH), Err(Untold::Misshapen));
}

#[test]
fn a_text_is_as_long_as_it_may_be_and_no_longer() {
    let list = |length| Val::List(vec![Val::U8(0); length]);
    let numbers = Shape::List(Box::new(Shape::Integer(Integer::U8)));
    assert_eq!(text(&list(1_000_000), &numbers, 100), Err(Untold::TooLong));
    assert_eq!(text(&list(1_000_000), &Shape::Bytes, 100), Err(Untold::TooLong));
    assert_eq!(text(&list(49), &numbers, 99).unwrap().len(), 99);
    let controls = Val::String("\u{1}".repeat(20));
    assert_eq!(text(&controls, &Shape::String, 100), Err(Untold::TooLong));
}

#[test]
fn hostile_arguments_are_refused_in_a_sentence_without_their_values() {
    let byte = || Shape::Integer(Integer::U8);
    let name = Shape::Record { doc: None, fields: vec![field("name", Shape::Char)] };
    let rows: [(Shape, &str, &str); 9] = [
        (byte(), r#"{"x":256}"#, "The argument /x must be an integer in range."),
        (byte(), r#"{"x":1e99999999999}"#, "The argument /x must be an integer in range."),
        (Shape::Float32, r#"{"x":1e39}"#, "The argument /x must be a number in range."),
        (Shape::Float64, r#"{"x":"NaN"}"#, "The argument /x must be a number in range."),
        (Shape::String, r#"{"x":"\ud800"}"#, "The argument /x must be a string."),
        (Shape::Char, r#"{"x":"e\u0301"}"#, "The argument /x must be one character."),
        (Shape::Bytes, r#"{"x":"QQ"}"#, "The argument /x must be base64."),
        (name, r#"{"x":{"name":"hunter2"}}"#, "The argument /x/name must be one character."),
        (byte(), "{}", "The argument /x is required."),
    ];
    for (shape, text, sentence) in rows {
        let refused = arguments(&[field("x", shape)], text).unwrap_err();
        assert_eq!(refused.sentence(), sentence, "{text}");
    }
    for character in ["\u{0}", "\u{d7ff}", "\u{e000}", "\u{10ffff}", "\u{200f}"] {
        let text = format!("{{\"x\":{}}}", json!(character));
        let expected = Val::Char(character.chars().next().unwrap());
        assert_eq!(arguments(&[field("x", Shape::Char)], &text).unwrap().0, [expected]);
    }
}

#[test]
fn arguments_that_come_to_much_more_than_their_text_are_refused() {
    let optional = |at| field(&format!("f{at}"), Shape::Option(Box::new(Shape::Bool)));
    let record = Shape::Record { doc: None, fields: (0..100).map(optional).collect() };
    let text = format!("{{\"x\":[{}{{}}]}}", "{},".repeat(100_000));
    let refused = arguments(&[field("x", Shape::List(Box::new(record)))], &text).unwrap_err();
    assert!(refused.sentence().contains("come to less"), "{}", refused.sentence());
    // As much as a call may bring unless its operator allows more.
    let largest = format!("{{\"x\":\"{}\"}}", "A".repeat((256 << 10) - 8));
    assert!(arguments(&[field("x", Shape::Bytes)], &largest).is_ok());
    let many = format!("{{\"x\":[{}\"\"]}}", "\"\",".repeat(85_000));
    assert!(arguments(&[field("x", Shape::List(Box::new(Shape::String)))], &many).is_ok());
}
