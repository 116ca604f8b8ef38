//! Plain components: no SDK, and each exported function is a tool.

use serde_json::{Value, json};

use super::{Host, attack, refused, with};

#[tokio::test]
pub(super) async fn plain() {
    let (host, alice) = with("plain", "per_call.max_output = '64KiB'").await;
    let item = json!({ "name": "bolt", "price-cents": 18_446_744_073_709_551_615_u64, "tags": [] });
    let whole = json!({ "name": "nut", "price-cents": 0, "tags": ["a", ""], "note": "é" });
    let same = [
        ("same-item", json!({ "item": item.clone() }), item),
        ("same-item", json!({ "item": whole.clone() }), whole),
        ("same-color", json!({ "color": "deep-blue" }), json!({ "result": "deep-blue" })),
        (
            "same-rights",
            json!({ "rights": ["share", "read"] }),
            json!({ "result": ["read", "share"] }),
        ),
        ("same-size", json!({ "size": "small" }), json!({ "result": "small" })),
        ("same-size", json!({ "size": { "custom": 9 } }), json!({ "result": { "custom": 9 } })),
        ("add", json!({ "a": i64::MAX, "b": -1 }), json!({ "result": i64::MAX - 1 })),
        ("add", json!({ "a": 1e3, "b": 2.0 }), json!({ "result": 1_002 })),
        ("half", json!({ "of": 3 }), json!({ "result": 1.5 })),
        ("same-bytes", json!({ "bytes": "AAH/" }), json!({ "result": "AAH/" })),
        ("pair", json!({ "letter": "🦀" }), json!({ "result": [null, "🦀"] })),
        (
            "pair",
            json!({ "nested": { "some": null }, "letter": "x" }),
            json!({ "result": [{ "some": null }, "x"] }),
        ),
    ];
    for (tool, arguments, expected) in same {
        let answer = alice.call(tool, arguments.clone()).await;
        let mut told = answer.structured().clone();
        if told["note"].is_null() {
            told.as_object_mut().map(|told| told.remove("note"));
        }
        assert_eq!(told, expected, "{tool} {arguments}");
    }
    assert_eq!(alice.call("shout", json!({ "text": "é!" })).await.block(), "É!");
    assert_eq!(alice.call("nothing", json!({})).await.block(), "Done.");

    for (tool, arguments, path) in [
        ("add", json!({ "a": 9_223_372_036_854_775_808_u64, "b": 0 }), "/a"),
        ("add", json!({ "a": 1.5, "b": 0 }), "/a"),
        ("add", json!({ "a": 1 }), ""),
        ("same-color", json!({ "color": "green" }), "/color"),
        ("same-size", json!({ "size": { "custom": 65_536 } }), "/size"),
        ("same-rights", json!({ "rights": ["share", "share"] }), "/rights"),
        ("pair", json!({ "letter": "xy" }), "/letter"),
        ("shout", json!({ "text": "a", "more": 1 }), ""),
    ] {
        let answer = alice.call(tool, arguments.clone()).await;
        let error = answer.expect_code("INVALID_ARGUMENTS");
        assert_eq!(error["details"]["violations"][0]["path"], path, "{tool} {arguments}: {error}");
    }

    for (tool, arguments, code, message) in [
        ("buy", json!({ "count": 0 }), "SOLD_OUT", "Sold out."),
        ("buy", json!({ "count": 1, "why": "closed today" }), "OTHER", "closed today"),
        ("fail", json!({ "why": "no luck" }), "TOOL_FAILED", "no luck"),
    ] {
        let answer = alice.call(tool, arguments).await;
        assert_eq!(answer.expect_code(code)["message"], message);
    }
    let many = alice.call("buy", json!({ "count": 7 })).await;
    assert_eq!(many.expect_code("TOO_MANY")["details"], json!({ "value": 7 }));

    attack(&host, &alice, "half", json!({ "of": -1 }), "RESULT_NOT_FINITE").await;
    attack(&host, &alice, "trap", json!({}), "TOOL_CRASHED").await;
    attack(&host, &alice, "spin", json!({}), "FUEL_EXHAUSTED").await;
    for bytes in [65 << 10, 4 << 20] {
        attack(&host, &alice, "many", json!({ "count": bytes }), "OUTPUT_TOO_LARGE").await;
    }
    let fits = alice.call("many", json!({ "count": 48_000 })).await;
    assert_eq!(fits.structured()["result"].as_str().map(str::len), Some(64_000));

    // Nothing says what they are for but their names, and the log says so.
    let list = alice.request("tools/list", json!({})).await;
    let described = |name: &str| {
        let tools = list.result()["tools"].as_array().cloned().unwrap_or_default();
        tools.into_iter().find(|tool| tool["name"] == name).unwrap_or_default()
    };
    assert_eq!(described("same-item")["description"], "Same item.");
    assert_eq!(described("add")["inputSchema"]["properties"]["a"]["minimum"], i64::MIN);
    assert!(host.log.text().contains("their names alone"), "{:?}", host.log);
}

#[tokio::test]
pub(super) async fn plain_twins() {
    let both = "`example:twins/first#find` and `example:twins/second#find`";
    refused("plain_twins", both).await;
}

#[tokio::test]
pub(super) async fn plain_resource() {
    refused("plain_resource", "`example:files/files#file` is a resource").await;
}

#[tokio::test]
async fn what_stands_beside_a_plain_component_describes_it() {
    let wit = "package example:plain@1.0.0;
        interface shop {
            /// Buys something.
            buy: func(count: u32, why: option<string>) -> result<u32, u32>;
        }
        world plain {
            export shop;
            /// Adds two numbers.
            export add: func(a: s64, b: s64) -> s64;
        }";
    let manifest = "name = 'shop'\nversion = '1.0.0'\n[tools.shout]\ntitle = 'Shout'\n\
        description = 'Makes it loud.'\nannotations = { read_only = true }";
    let setup = Host::test()
        .plugin("plain")
        .file("plain.wit", wit)
        .file("plain.plugin.toml", manifest)
        .agent("alice", &["*"]);
    let host = setup.start().await;
    let list = host.client("alice").await.request("tools/list", json!({})).await;
    let tools = list.result()["tools"].as_array().cloned().unwrap_or_default();
    let tool =
        |name: &str| tools.iter().find(|tool| tool["name"] == name).cloned().unwrap_or_default();
    assert_eq!(tool("buy")["description"], "Buys something.");
    assert_eq!(tool("add")["description"], "Adds two numbers.");
    let shout = tool("shout");
    assert_eq!(
        (&shout["title"], &shout["description"]),
        (&json!("Shout"), &json!("Makes it loud."))
    );
    assert_eq!(shout["annotations"]["readOnlyHint"], Value::Bool(true));
    assert!(host.log.text().contains("shop: nothing says what these tools are for"));
}

#[tokio::test]
async fn what_is_said_of_a_plain_component_has_to_be_of_it() {
    let bytes = std::fs::read(bulkhead_tests::component("plain")).unwrap();
    let manifest = "name = 'shop'\nversion = '1'\n[tools.shuot]\ndescription = 'Loud.'";
    let setup = Host::test()
        .file("shop.wasm", bytes)
        .file("shop.plugin.toml", manifest)
        .file("echo.wasm", std::fs::read(bulkhead_tests::component("echo")).unwrap())
        .file("echo.plugin.toml", "name = 'echo'\nversion = '1'\n[tools.echo]\ntitle = 'x'");
    let host = setup.start().await;
    let why = host.until_told("shop").await;
    assert!(why.contains("did you mean `shout`?"), "{why}");
    let why = host.until_told("echo").await;
    assert!(why.contains("the functions of a plain component"), "{why}");
}
