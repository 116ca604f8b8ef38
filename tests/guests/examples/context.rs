//! Repeats what the host told it about its call.

use bulkhead_sdk::prelude::*;
use serde::Serialize;

plugin!(context);

#[derive(Serialize, JsonSchema)]
struct Context {
    agent: String,
    subject: Option<String>,
    scopes: Vec<String>,
    request_id: String,
    traceparent: Option<String>,
    tracestate: Option<String>,
    client_metadata: String,
    remaining_time_ms: u128,
    remaining_fuel: u64,
    remaining_fuel_later: u64,
    max_output_bytes: u64,
}

/// Repeats everything that a tool can know about its call.
#[tool(read_only)]
fn context() -> Context {
    Context {
        agent: call::agent(),
        subject: call::subject(),
        scopes: call::scopes(),
        request_id: call::request_id(),
        traceparent: call::traceparent(),
        tracestate: call::tracestate(),
        client_metadata: json!(call::client_metadata()).to_string(),
        remaining_time_ms: call::remaining_time().as_millis(),
        remaining_fuel: call::remaining_fuel(),
        remaining_fuel_later: call::remaining_fuel(),
        max_output_bytes: call::max_output_bytes(),
    }
}
