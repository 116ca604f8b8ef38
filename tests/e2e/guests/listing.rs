//! Guests that are not served, for what they say of themselves or do before any call.

use bulkhead_tests::Splice;
use serde_json::json;

use super::{refused, refused_file, refused_with, with_file};

#[tokio::test]
pub(super) async fn bad_name() {
    let host = refused("bad_name", "1 to 64 letters").await;
    assert!(!host.log.text().contains('\u{1b}'), "what it calls itself is cleaned");
}

#[tokio::test]
pub(super) async fn bad_schema() {
    refused("bad_schema", "its input schema is not a JSON Schema").await;
}

#[tokio::test]
pub(super) async fn fickle_list() {
    // It looks at timers until they are done, and each look costs it fuel.
    let component = std::fs::read(bulkhead_tests::component("fickle_list")).unwrap();
    let reason = "it lists different tools each time it is asked";
    refused_with("fickle_list", component, "per_call.fuel = '10G'", reason).await;
}

#[tokio::test]
pub(super) async fn stuck_list() {
    refused("stuck_list", "FUEL_EXHAUSTED").await;
}

#[tokio::test]
pub(super) async fn trap_list() {
    refused("trap_list", "TOOL_CRASHED").await;
}

#[tokio::test]
pub(super) async fn twin_names() {
    refused("twin_names", "it lists two tools named `twin`").await;
}

#[tokio::test]
pub(super) async fn bulky_list() {
    let bulk = |tools: u32, description: u32, title: u32, schema: u32| {
        let bulk = format!(
            "bulk: tools={tools:05} description={description:05} title={title:05} schema={schema:05}"
        );
        let as_compiled = "bulk: tools=00001 description=00001 title=00001 schema=00100";
        Splice::of("bulky_list").rewritten(as_compiled, &bulk)
    };
    for (bulk, reason) in [
        (bulk(0, 1, 1, 100), "it lists no tools"),
        (bulk(257, 1, 1, 100), "it lists 257 tools"),
        (bulk(1, 8_193, 1, 100), "its description is longer than 8192 bytes"),
        (bulk(1, 1, 257, 100), "its title is longer than 256 bytes"),
        (bulk(1, 1, 1, 65_537), "its input schema is longer than"),
        // All together more than the host takes over at once.
        (bulk(99_999, 8_192, 256, 100), "FUEL_EXHAUSTED"),
        (bulk(256, 8_192, 1, 100), "OUTPUT_TOO_LARGE"),
    ] {
        refused_file("bulky_list", bulk.bytes(), reason).await;
    }
    for (bulk, tools) in [(bulk(256, 1, 1, 100), 256), (bulk(1, 8_192, 256, 65_536), 1)] {
        let (_host, alice) = with_file("bulky_list", bulk.bytes(), "").await;
        assert_eq!(alice.tools().await.len(), tools + 1);
        assert_eq!(alice.call("bulky_0", json!({})).await.block(), "called");
    }
}

#[tokio::test]
pub(super) async fn trap_start() {
    let bytes = Splice::of("counter").module("trap_start", 1);
    refused_file("trap_start", bytes.bytes(), "TOOL_CRASHED").await;
}

#[tokio::test]
pub(super) async fn stuck_start() {
    let bytes = Splice::of("counter").module("stuck_start", 1);
    refused_file("stuck_start", bytes.bytes(), "FUEL_EXHAUSTED").await;
}

#[tokio::test]
pub(super) async fn huge_memory() {
    let bytes = Splice::of("counter").module("huge_memory", 1);
    refused_file("huge_memory", bytes.bytes(), "MEMORY_EXCEEDED").await;
}

#[tokio::test]
pub(super) async fn huge_table() {
    let bytes = Splice::of("counter").module("huge_table", 1);
    refused_file("huge_table", bytes.bytes(), "table").await;
}

#[tokio::test]
pub(super) async fn wide_memory() {
    let bytes = Splice::of("counter").module("wide_memory", 1);
    refused_file("wide_memory", bytes.bytes(), "memory64 must be enabled").await;
}

#[tokio::test]
async fn a_file_of_more_than_64_mib() {
    let just = Splice::of("counter").padded_to(64 << 20);
    let (_host, alice) = with_file("padded", just.bytes(), "").await;
    assert_eq!(alice.call("counter", json!({})).await.structured()["calls"], 1);
    let more = Splice::of("counter").padded_to((64 << 20) + 1);
    refused_file("padded", more.bytes(), "padded.wasm is larger than 64MiB").await;
}
