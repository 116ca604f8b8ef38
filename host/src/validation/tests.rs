//! What is promised of the check, rule by rule.

use super::*;

/// The rules of an operator who sets nothing.
fn compile(input: &str, output: Option<&str>) -> Result<Schemas, String> {
    Schemas::compile(input, output, Input::default())
}

fn violations(schema: Value, arguments: Value) -> Vec<(String, String, String)> {
    let schemas = compile(&schema.to_string(), None).unwrap();
    let text = |violation: &Value, key: &str| violation[key].as_str().unwrap().to_owned();
    listed(&schemas, &arguments.to_string())
        .iter()
        .map(|one| (text(one, "path"), text(one, "rule"), text(one, "message")))
        .collect()
}

/// The violations of arguments, hints included.
fn listed(schemas: &Schemas, arguments: &str) -> Vec<Value> {
    match schemas.check_input(arguments, 1 << 20) {
        Ok(_) => Vec::new(),
        Err(refused) => refused.details().unwrap()["violations"].as_array().unwrap().clone(),
    }
}

#[test]
fn violations_name_place_and_rule_and_never_a_value() {
    let schema = json!({
        "type": "object",
        "properties": { "id": { "type": "string", "maxLength": 4 }, "n": { "type": "integer", "minimum": 1 } },
        "required": ["id"],
        "additionalProperties": false,
    });
    let rows = [
        (json!({}), "", "required", "id is required"),
        (json!({ "id": 7 }), "/id", "type", "must be of type string"),
        (json!({ "id": "hunter2" }), "/id", "maxLength", "must have at most 4 characters"),
        (json!({ "id": "a", "n": 0 }), "/n", "minimum", "must be at least 1"),
        (
            json!({ "id": "a", "x\u{1b}": "hunter2" }),
            "",
            "additionalProperties",
            "unknown property x",
        ),
    ];
    for (arguments, path, rule, message) in rows {
        let found = violations(schema.clone(), arguments.clone());
        assert_eq!(found, [(path.into(), rule.into(), message.into())], "{arguments}");
    }
    assert!(violations(schema, json!({ "id": "a", "n": 3 })).is_empty());
}

#[test]
fn hostile_schemas_are_refused_at_load() {
    let long = format!(r#"{{"type":"object","description":"{}"}}"#, "a".repeat(MAX_SCHEMA_BYTES));
    let rows: [(&str, &str); 8] = [
        ("", "not JSON"),
        ("[]", "\"type\": \"object\""),
        (r#"{"type":"string"}"#, "\"type\": \"object\""),
        (r#"{"type":"object","$schema":"http://json-schema.org/draft-07/schema#"}"#, "dialect"),
        (
            r#"{"type":"object","properties":{"a":{"$ref":"http://127.0.0.1/x.json"}}}"#,
            "another document",
        ),
        (
            r#"{"type":"object","properties":{"a":{"$ref":"file:///etc/passwd"}}}"#,
            "another document",
        ),
        (r#"{"type":"object","properties":{"a":{"pattern":"(a)\\1"}}}"#, "not a JSON Schema"),
        (&long, "longer than"),
    ];
    for (schema, why) in rows {
        let refused = compile(schema, None).unwrap_err();
        assert!(refused.contains(why), "{schema:.80}: {refused}");
    }
}

#[test]
fn schemas_that_explode_are_refused_and_trees_are_not() {
    let mut defs = serde_json::Map::new();
    for at in 0..40 {
        let next = json!({ "$ref": format!("#/$defs/a{}", at + 1) });
        defs.insert(format!("a{at}"), json!({ "allOf": [next, next] }));
    }
    defs.insert("a40".to_owned(), json!({ "type": "string" }));
    let reference = json!({ "$ref": "#/$defs/a0" });
    let doubling = json!({ "type": "object", "$defs": defs, "properties": { "a": reference } });
    let itself = json!({ "$ref": "#" });
    let branching = json!({ "type": "object", "anyOf": [
        { "properties": { "a": itself } }, { "properties": { "a": itself } },
    ] });
    for hostile in [doubling, branching] {
        let refused = compile(&hostile.to_string(), None).unwrap_err();
        assert!(refused.contains("bounded time"), "{refused}");
    }
    let branch_before = json!({
        "type": "object",
        "properties": { "a": { "anyOf": [{ "$ref": "#/$defs/n" }, { "type": "null" }] } },
        "$defs": { "n": { "properties": { "next": { "$ref": "#/$defs/n" } } } },
    });
    assert!(compile(&branch_before.to_string(), None).is_ok());
    let tree = json!({ "type": "object", "properties": { "children": { "type": "array", "items": itself } } });
    assert!(compile(&tree.to_string(), None).is_ok());
}

#[test]
fn a_reference_leads_where_it_seems_to() {
    // To the compiler, each of these is the schema itself, through a branch.
    let hidden = |target: &str, base: &str| {
        let branch = json!({ "properties": { "a": { "$ref": target } } });
        json!({ "type": "object", "$id": base, "$defs": { "%61": true }, "anyOf": [branch, branch] })
    };
    let percent =
        json!({ "type": "object", "$ref": "#/$defs/%61", "$defs": { "%61": true, "a": {} } });
    let inner = json!({ "type": "object", "$defs": { "a": { "$id": "http://x/y", "$ref": "#" } } });
    let dialect = json!({ "type": "object", "not": { "$schema": "http://json-schema.org/draft-04/schema#" } });
    for hostile in [
        hidden("", "http://x/r"),
        hidden("r", "http://x/r"),
        hidden("http://x/r", "http://x/r"),
        hidden("json-schema:///", "json-schema:///"),
        percent,
        inner,
        dialect,
    ] {
        let refused = compile(&hostile.to_string(), None).unwrap_err();
        assert!(refused.contains("another document"), "{hostile}: {refused}");
    }
    let named = json!({ "type": "object", "$id": "http://x/r", "properties": { "$id": { "type": "string" } } });
    assert!(compile(&named.to_string(), None).is_ok());
}

#[test]
fn the_patterns_of_a_schema_share_their_memory() {
    let with = |pattern: &str, count: u32| {
        let numbered = |at: u32| (at.to_string(), json!({ "pattern": format!("{pattern}{at}") }));
        let properties: serde_json::Map<_, _> = (0..count).map(numbered).collect();
        compile(&json!({ "type": "object", "properties": properties }).to_string(), None)
    };
    assert!(with(r"\w{600}", 1).is_ok());
    assert!(with("^[a-z]{1,8}", 1_200).is_ok());
    let refused = with(r"\w{600}", 1_200).unwrap_err();
    assert!(refused.contains("not a JSON Schema"), "{refused}");
}

#[test]
fn an_object_that_takes_nothing_says_so() {
    let rules = Input { unknown_properties: UnknownProperties::Refuse, coerce: false };
    let schemas = Schemas::compile(r#"{"type":"object"}"#, None, rules).unwrap();
    assert_eq!(schemas.check_input("{}", 1 << 10).unwrap(), Checked::AsSent);
    let refused = schemas.check_input(r#"{"a":1}"#, 1 << 10).unwrap_err();
    let violation = &refused.details().unwrap()["violations"][0];
    assert_eq!(violation["message"], "takes no properties");
    assert_eq!(violation["rule"], "additionalProperties");
}

#[test]
fn output_is_checked_only_where_it_is_declared() {
    let input = r#"{"type":"object"}"#;
    let no_match = |rule: &str| Err(OutputFault::NoMatch((String::new(), rule.to_owned())));
    let open = compile(input, None).unwrap();
    assert!(open.check_output("[1]").is_ok() && !open.declares_output());
    let strict = compile(input, Some(r#"{"type":"array"}"#)).unwrap();
    assert!(strict.check_output("[1]").is_ok() && strict.check_output("{}") == no_match("type"));
    for twice in [r#"[{"a":1,"a":1}]"#, "[1] 2", &"[".repeat(100)] {
        assert!(matches!(strict.check_output(twice), Err(OutputFault::NotJson(_))), "{twice}");
    }
    // Exactly, beyond what a double tells apart.
    let id = compile(input, Some(r#"{"const":9007199254740993}"#)).unwrap();
    assert!(id.check_output("9007199254740993.0").is_ok());
    assert_eq!(id.check_output("9007199254740992"), no_match("const"));
    let large = compile(input, Some(r#"{"maximum":18446744073709551615}"#)).unwrap();
    assert!(large.check_output("18446744073709551615").is_ok());
    assert_eq!(large.check_output("18446744073709551616"), no_match("maximum"));
}

fn refusing(schema: &Value) -> Schemas {
    let rules = Input { unknown_properties: UnknownProperties::Refuse, coerce: false };
    Schemas::compile(&schema.to_string(), None, rules).unwrap()
}

fn coercing(schema: &Value) -> Schemas {
    let rules = Input { unknown_properties: UnknownProperties::AsSchema, coerce: true };
    Schemas::compile(&schema.to_string(), None, rules).unwrap()
}

#[test]
fn numbers_are_exact() {
    let schema = json!({ "type": "object", "properties": {
        "id": { "const": 9_007_199_254_740_993_i64 },
        "big": { "type": "integer", "maximum": u64::MAX },
        "price": { "multipleOf": 0.01 },
        "unique": { "uniqueItems": true },
        "one": { "enum": [1e22, 0.1] },
    } });
    let schemas = compile(&schema.to_string(), None).unwrap();
    for (arguments, accepted) in [
        (r#"{"id":9007199254740993}"#, true),
        (r#"{"id":9007199254740993.0}"#, true),
        (r#"{"id":9007199254740992}"#, false),
        (r#"{"id":9007199254740992.9999}"#, false),
        (r#"{"big":18446744073709551615}"#, true),
        (r#"{"big":18446744073709551616}"#, false),
        (r#"{"big":18446744073709551615.5}"#, false),
        (r#"{"big":-12345678901234567890123}"#, true),
        (r#"{"price":19.99}"#, true),
        (r#"{"price":12345678901234567890.01}"#, true),
        (r#"{"price":12345678901234567890.011}"#, false),
        (r#"{"unique":[9007199254740992,9007199254740993,9007199254740993.5]}"#, true),
        (r#"{"unique":[12345678901234567890123,12345678901234567890123.0]}"#, false),
        (r#"{"one":10000000000000000000000}"#, true),
        (r#"{"one":10000000000000000000001}"#, false),
        (r#"{"one":0.1000}"#, true),
        (r#"{"one":0.10000000000000000001}"#, false),
    ] {
        let found = schemas.check_input(arguments, 1 << 20);
        assert_eq!(found.is_ok(), accepted, "{arguments}");
    }
    for number in ["12345678901234567890124", "-9223372036854775809", "0.12345678901234567890"] {
        let schema = format!(r#"{{"type":"object","properties":{{"a":{{"const":{number}}}}}}}"#);
        let refused = compile(&schema, None).unwrap_err();
        assert!(refused.contains("not kept exactly"), "{number}: {refused}");
    }
}

#[test]
fn a_schema_is_read_as_strictly_as_arguments() {
    let deep =
        format!("{}{}", r#"{"type":"object","not":"#.repeat(64), "{}".to_owned() + &"}".repeat(64));
    for (schema, why) in [
        (r#"{"type":"object","type":"object"}"#, "same key twice"),
        (deep.as_str(), "nests deeper"),
        (r#"{"type":"object",}"#, "not JSON (line 1, column 17)"),
    ] {
        let refused = compile(schema, None).unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn unknown_properties_are_refused_where_an_object_is_described() {
    let schema = json!({
        "type": "object",
        "properties": {
            "id": { "type": "string" },
            "inner": { "type": "object", "properties": { "a": {} } },
            "open": { "type": "object", "additionalProperties": true },
            "typed": { "type": "object", "additionalProperties": { "type": "integer" } },
            "anything": {},
            "list": { "type": "array", "items": { "$ref": "#/$defs/node" } },
            "either": { "anyOf": [{ "$ref": "#/$defs/node" }, { "type": "null" }] },
            "both": { "allOf": [
                { "$ref": "#/$defs/node" },
                { "properties": { "b": { "type": "object", "properties": { "c": {} } } } },
            ] },
        },
        "if": { "properties": { "id": { "const": "x" } } },
        "then": { "properties": { "only_x": {} } },
        "dependentSchemas": { "id": { "properties": { "with_id": {} } } },
        "$defs": { "node": {
            "type": "object",
            "properties": { "name": {}, "children": { "items": { "$ref": "#/$defs/node" } } },
        } },
    });
    let schemas = refusing(&schema);
    for (arguments, place) in [
        (json!({ "id": "a", "inner": { "a": 1 }, "with_id": 1 }), None),
        (json!({ "id": "a", "extra": 1 }), Some("")),
        (json!({ "inner": { "a": 1, "b": 1 } }), Some("/inner")),
        (
            json!({ "open": { "b": 1 }, "typed": { "b": 1 }, "anything": { "b": [{ "c": 1 }] } }),
            None,
        ),
        (json!({ "typed": { "b": "x" } }), Some("/typed/b")),
        (json!({ "list": [{ "name": 1, "children": [{ "name": 2 }] }] }), None),
        (
            json!({ "list": [{ "name": 1, "children": [{ "nmae": 2 }] }] }),
            Some("/list/0/children/0"),
        ),
        (json!({ "either": { "name": 1 } }), None),
        (json!({ "either": null }), None),
        (json!({ "either": { "nme": 1 } }), Some("/either")),
        (json!({ "both": { "name": 1, "b": { "c": 1 } } }), None),
        (json!({ "both": { "name": 1, "d": 1 } }), Some("/both")),
        (json!({ "both": { "b": { "d": 1 } } }), Some("/both/b")),
        (json!({ "id": "x", "only_x": 1 }), None),
        (json!({ "id": "y", "only_x": 1 }), Some("")),
        (json!({ "with_id": 1 }), Some("")),
    ] {
        let found = listed(&schemas, &arguments.to_string());
        let places: Vec<_> = found.iter().map(|one| one["path"].as_str().unwrap()).collect();
        // Where a property is refused, what is around it may be too.
        assert_eq!(places.is_empty(), place.is_none(), "{arguments}: {found:?}");
        assert!(place.is_none_or(|place| places.contains(&place)), "{arguments}: {found:?}");
    }
    let as_schema = compile(&schema.to_string(), None).unwrap();
    assert!(listed(&as_schema, r#"{"extra":1,"inner":{"b":1}}"#).is_empty());
}

#[test]
fn who_only_asks_is_answered_as_before() {
    let schema = json!({
        "type": "object",
        "properties": { "a": { "$ref": "#/$defs/a" }, "list": { "contains": { "$ref": "#/$defs/a" } } },
        "not": { "properties": { "a": { "$ref": "#/$defs/a" } }, "required": ["a"] },
        "$defs": { "a": { "properties": { "in": { "properties": { "x": {} } } } } },
    });
    let schemas = refusing(&schema);
    // Were the definition closed within `not`, it would not match, and the call be taken.
    assert!(!listed(&schemas, r#"{"a":{"in":{"y":1}}}"#).is_empty());
    assert!(listed(&schemas, r#"{"list":[{"in":{"y":1}}]}"#).is_empty());
    assert!(!listed(&schemas, r#"{"lst":[]}"#).is_empty());
}

#[test]
fn what_cannot_be_closed_is_refused_at_load() {
    let schema = json!({ "type": "object", "properties": {
        "a": { "properties": { "x": {} } },
        "b": { "allOf": [{ "$ref": "#/properties/a" }, { "properties": { "y": {} } }] },
    } });
    let rules = Input { unknown_properties: UnknownProperties::Refuse, coerce: false };
    let refused = Schemas::compile(&schema.to_string(), None, rules).unwrap_err();
    assert!(refused.contains("into `$defs`"), "{refused}");
    assert!(compile(&schema.to_string(), None).is_ok());
}

#[test]
fn coercion_repairs_the_usual_mistakes_and_nothing_else() {
    let schema = json!({
        "type": "object",
        "properties": {
            "n": { "type": "integer", "minimum": 1 },
            "x": { "type": "number" },
            "on": { "type": "boolean" },
            "s": { "type": "string" },
            "list": { "type": "array", "items": { "type": "integer" } },
            "o": { "type": "object", "properties": { "n": { "type": "integer" } } },
            "maybe": { "anyOf": [{ "type": "integer" }, { "type": "null" }] },
            "either": { "type": ["string", "integer"] },
            "word": { "enum": ["a", "b"] },
            "a/~b": { "type": "integer" },
        },
        "required": ["s"],
    });
    let schemas = coercing(&schema);
    for (sent, repaired, what) in [
        (r#"{"s":"1", "n":"5"}"#, r#"{"s":"1","n":5}"#, "/n string integer"),
        (r#"{"s":"","x":" -1.50e3 "}"#, r#"{"s":"","x":-1.50e3}"#, "/x string number"),
        (r#"{"s":"","on":"true"}"#, r#"{"s":"","on":true}"#, "/on string boolean"),
        (r#"{"s":"","list":"[1,2]"}"#, r#"{"s":"","list":[1,2]}"#, "/list string array"),
        (r#"{"s":"","list":[1,"2"]}"#, r#"{"s":"","list":[1,2]}"#, "/list/1 string integer"),
        (
            r#"{"s":"é\n","o":"{\"n\":\"7\"}"}"#,
            r#"{"s":"é\n","o":{"n":7}}"#,
            "/o string object; /o/n string integer",
        ),
        (r#"{"s":"","n":null}"#, r#"{"s":""}"#, "/n null absent"),
        (r#"{"s":"","maybe":"3"}"#, r#"{"s":"","maybe":3}"#, "/maybe string integer"),
        (r#"{"s":"","a/~b":"3"}"#, r#"{"s":"","a/~b":3}"#, "/a~1~0b string integer"),
        (
            r#"{"s":"","x":12345678901234567890123.10,"n":"1"}"#,
            r#"{"s":"","x":12345678901234567890123.10,"n":1}"#,
            "/n string integer",
        ),
    ] {
        let Ok(Checked::Repaired { arguments, coercions }) = schemas.check_input(sent, 1 << 20)
        else {
            panic!("{sent} was not repaired");
        };
        assert_eq!(&*arguments, repaired, "{sent}");
        let told: Vec<_> =
            coercions.iter().map(|one| format!("{} {} {}", one.path, one.from, one.to)).collect();
        assert_eq!(told.join("; "), what, "{sent}");
        let strict = compile(&schema.to_string(), None).unwrap();
        assert!(strict.check_input(sent, 1 << 20).is_err(), "{sent}");
        assert_eq!(strict.check_input(repaired, 1 << 20).unwrap(), Checked::AsSent, "{sent}");
    }
    for taken in [r#"{"s":"5"}"#, r#"{"s":"","maybe":null}"#, r#"{"s":"","either":"5"}"#] {
        assert_eq!(schemas.check_input(taken, 1 << 20).unwrap(), Checked::AsSent, "{taken}");
    }
    for refused in [
        r#"{"s":5}"#,
        r#"{"s":null}"#,
        r#"{"s":"","n":"5.5"}"#,
        r#"{"s":"","n":"0"}"#,
        r#"{"s":"","n":"five"}"#,
        r#"{"s":"","n":5.5}"#,
        r#"{"s":"","on":"yes"}"#,
        r#"{"s":"","on":1}"#,
        r#"{"s":"","list":"1,2"}"#,
        r#"{"s":"","list":[null]}"#,
        r#"{"s":"","o":"{\"n\":1,\"n\":2}"}"#,
        r#"{"s":"","word":"c"}"#,
    ] {
        assert!(schemas.check_input(refused, 1 << 20).is_err(), "{refused}");
    }
}

#[test]
fn repaired_arguments_keep_every_bound() {
    let list = json!({ "type": "object", "properties": { "a": { "type": "array" } } });
    let schemas = coercing(&list);
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let sent = |depth: usize| json!({ "a": nested(depth) }).to_string();
    assert!(schemas.check_input(&sent(63), 1 << 20).is_ok());
    assert!(schemas.check_input(&sent(64), 1 << 20).is_err(), "deeper than any arguments");
    assert!(schemas.check_input(&sent(8), 4).is_err(), "longer than the tool takes");
    let long = json!({ "a": format!("[{}]", " ".repeat(20_000)) }).to_string();
    assert!(schemas.check_input(&long, 1 << 20).is_err(), "too long to be repaired");
}

#[test]
fn a_violation_says_what_would_be_right() {
    let schema = json!({
        "type": "object",
        "properties": {
            "user_id": { "type": "string", "description": "Whose record it is." },
            "region": { "enum": ["emea", "apac", "amer"] },
            "limit": { "$ref": "#/$defs/limit" },
            "day": { "type": "string", "format": "date" },
            "size": { "anyOf": [{ "type": "integer" }, { "type": "object", "required": ["w"] }] },
        },
        "$defs": { "limit": { "type": "integer", "minimum": 1, "maximum": 50 } },
        "required": ["user_id", "limit"],
        "additionalProperties": false,
    });
    let schemas = compile(&schema.to_string(), None).unwrap();
    let find = |arguments: &Value, rule: &str| {
        let all = listed(&schemas, &arguments.to_string());
        all.iter().find(|one| one["rule"] == rule).unwrap_or_else(|| panic!("{all:?}")).clone()
    };
    let missing = find(&json!({ "userId": "hunter2", "limit": 1 }), "required");
    assert_eq!(missing["expected"], "string");
    assert_eq!(missing["description"], "Whose record it is.");
    assert_eq!(missing["insteadOf"], "userId");
    let unknown = find(&json!({ "userId": "hunter2", "limit": 1 }), "additionalProperties");
    assert_eq!(unknown["didYouMean"], "user_id");
    assert_eq!(unknown["known"], json!(["day", "limit", "region", "size", "user_id"]));
    let limit = find(&json!({ "user_id": "a" }), "required");
    assert_eq!(limit["expected"], "integer, at least 1, at most 50");
    let typo = find(&json!({ "user_id": "a", "limt": 1 }), "additionalProperties");
    assert_eq!(typo["didYouMean"], "limit");
    let valid = json!({ "user_id": "a", "limit": 1 });
    let with = |name: &str, value: Value| {
        let mut arguments = valid.clone();
        arguments[name] = value;
        arguments
    };
    let region = find(&with("region", "hunter2".into()), "enum");
    assert_eq!(region["allowed"], json!(["emea", "apac", "amer"]));
    let limit = find(&with("limit", "hunter2".into()), "type");
    assert_eq!((&limit["found"], &limit["path"]), (&json!("string"), &json!("/limit")));
    assert_eq!(find(&with("limit", 51.into()), "maximum")["message"], "must be at most 50");
    assert_eq!(find(&with("day", "hunter2".into()), "format")["example"], "2026-01-31");
    let size = find(&with("size", json!({ "h": "hunter2" })), "anyOf");
    assert_eq!(size["forms"], json!(["must be of type integer", "w is required"]));
    for arguments in [with("region", "hunter2".into()), with("size", "hunter2".into())] {
        assert!(!json!(listed(&schemas, &arguments.to_string())).to_string().contains("hunter2"));
    }
}

#[test]
fn hints_are_bounded() {
    let names: serde_json::Map<_, _> = (0..60)
        .map(|at| (format!("{}{at}", "n".repeat(70)), json!({ "enum": ["x".repeat(500)] })))
        .collect();
    let schema = json!({ "type": "object", "properties": names, "additionalProperties": false });
    let schemas = compile(&schema.to_string(), None).unwrap();
    let wrong: serde_json::Map<_, _> =
        names.keys().take(40).map(|name| (name.clone(), json!(1))).collect();
    let found = listed(&schemas, &Value::Object(wrong).to_string());
    assert_eq!(found.len(), 8);
    assert!(json!(found).to_string().len() < 6_000);
}

/// What `unknown_properties` adds to a schema that refers to itself stays linear: each
/// level of a value is looked at once more, not twice as often as the one above.
#[test]
fn closed_trees_are_checked_in_linear_time() {
    let schema = json!({
        "type": "object",
        "properties": { "root": { "$ref": "#/$defs/node" } },
        "$defs": { "node": {
            "type": "object",
            "properties": { "name": { "type": "string" }, "next": { "$ref": "#/$defs/node" } },
        } },
    });
    let schemas = refusing(&schema);
    let nested = |depth: usize, leaf: &str| {
        format!("{{\"root\":{}{leaf}{}}}", "{\"next\":".repeat(depth), "}".repeat(depth))
    };
    // At a doubling for each level, this would be 2^60 looks.
    assert!(schemas.check_input(&nested(60, "{}"), 1 << 20).is_ok());
    assert!(schemas.check_input(&nested(60, "{\"x\":1}"), 1 << 20).is_err());
}

proptest::proptest! {
    #[test]
    fn no_schema_and_no_arguments_panic(
        schema in proptest::collection::vec(
            proptest::sample::select(vec![
                "{", "}", "[", "]", ",", ":", "\"type\"", "\"object\"", "\"$ref\"", "\"#\"",
                "\"#/$defs/a\"", "\"$defs\"", "\"a\"", "\"properties\"", "\"anyOf\"", "\"not\"",
                "\"enum\"", "\"multipleOf\"", "0", "1e-9", "-1", "true", "null", "\"pattern\"",
                "\"(\"", "\"$dynamicRef\"", "\"unevaluatedProperties\"", "\"format\"", "\"date\"",
            ]),
            0..40,
        ),
        keyword in proptest::sample::select(vec![
            "properties", "anyOf", "items", "$defs", "not", "enum", "if", "prefixItems",
        ]),
        arguments in r#"\{("a":("1"|1|null|"\{\}"|\[1\]|\{"a":"2"\}))?\}"#,
        coerce: bool,
        strict: bool,
    ) {
        let unknown_properties =
            if strict { UnknownProperties::Refuse } else { UnknownProperties::AsSchema };
        let rules = Input { unknown_properties, coerce };
        let inner = schema.concat();
        let schemas = [
            inner.clone(),
            format!(r#"{{"type":"object","{keyword}":{inner}}}"#),
            format!(r#"{{"type":"object","{keyword}":{{"a":{{"type":"integer"}}}}}}"#),
            format!(r#"{{"type":"object","properties":{{"a":{{"{keyword}":[{{"type":"integer"}}]}}}}}}"#),
        ];
        for schema in schemas {
            let Ok(schemas) = Schemas::compile(&schema, None, rules) else { continue };
            match schemas.check_input(&arguments, 1 << 10) {
                Ok(Checked::AsSent) => {}
                Ok(Checked::Repaired { arguments, coercions }) => {
                    proptest::prop_assert!(coerce && !coercions.is_empty());
                    let again = schemas.check_input(&arguments, 1 << 10);
                    proptest::prop_assert_eq!(again.ok(), Some(Checked::AsSent));
                }
                Err(refused) => {
                    let told = refused.details().unwrap()["violations"].as_array().unwrap().len();
                    proptest::prop_assert!((1..=8).contains(&told));
                }
            }
        }
    }
}
