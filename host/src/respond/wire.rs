//! The messages that go out, field by field.
//!
//! Typed structures over borrowed parts: nothing is built that is not written, and
//! an author's schema or a tool's structured result stays the bytes that it was.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::codes::rpc_code;
use crate::catalog::{Annotations, Tool};
use crate::error::{Code, Error, Retry};
use crate::names::{ByteCount, Fuel, RequestId};
use crate::runtime::{METER, Spent};
use crate::sanitize::Told;
use crate::transport::{Progress, RpcId, Version};
use crate::validation::Coercion;

/// How long a client may keep what `server/discover` said: it changes only with
/// the server.
const DISCOVER_TTL: Duration = Duration::from_secs(300);

/// How long a client may keep a list of tools without asking again. Plugins are
/// swapped while the server runs, so this is how late a client may notice.
const TOOLS_TTL: Duration = Duration::from_secs(10);

/// What a model is told about this server as a whole.
const INSTRUCTIONS: &str = "Tools run in a sandbox with quotas. The text of a failed call is a JSON \
    object: `code` names the failure, `message` says what to do about it, and a retry helps only \
    where `retryable` is true, after `retryAfterMs` milliseconds where that is given.";

/// A JSON-RPC message, written.
pub(super) fn write<T: Serialize>(message: &T) -> Result<Bytes, serde_json::Error> {
    serde_json::to_vec(message).map(Bytes::from)
}

/// A successful answer.
#[derive(Serialize)]
pub(super) struct Success<'a, T> {
    jsonrpc: &'static str,
    id: &'a RpcId,
    result: T,
}

impl<'a, T> Success<'a, T> {
    pub(super) fn new(id: &'a RpcId, result: T) -> Self {
        Self { jsonrpc: "2.0", id, result }
    }
}

/// A JSON-RPC error.
#[derive(Serialize)]
pub(super) struct Failure<'a> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RpcId>,
    error: RpcError<'a>,
}

#[derive(Serialize)]
struct RpcError<'a> {
    code: i32,
    message: &'a str,
    data: ErrorObject<'a>,
}

impl<'a> Failure<'a> {
    pub(super) fn new(id: Option<&'a RpcId>, error: &'a Error, request_id: RequestId) -> Self {
        let id = id.filter(|id| !id.is_none());
        let mut data = ErrorObject::new(error, request_id);
        // Where MCP defines the members of `data`, they stand beside ours.
        let lift = matches!(
            error.code(),
            Code::UnsupportedProtocolVersion | Code::MissingClientCapability
        );
        if lift {
            data.lifted = data.details.take();
        }
        let error = RpcError { code: rpc_code(error.code()), message: error.message(), data };
        Self { jsonrpc: "2.0", id, error }
    }
}

/// The one shape of an error for programs, wherever it stands.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ErrorObject<'a> {
    code: &'a str,
    message: &'a str,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    request_id: RequestId,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a Map<String, Value>>,
    #[serde(flatten)]
    lifted: Option<&'a Map<String, Value>>,
}

impl<'a> ErrorObject<'a> {
    pub(super) fn new(error: &'a Error, request_id: RequestId) -> Self {
        let (retryable, retry_after_ms) = match error.retry_hint() {
            Retry::No => (false, None),
            Retry::Maybe => (true, None),
            Retry::After(wait) => (true, Some(millis_up(wait))),
        };
        Self {
            code: error.code().as_str(),
            message: error.message(),
            retryable,
            retry_after_ms,
            request_id,
            details: error.details(),
            lifted: None,
        }
    }
}

/// A wait in whole milliseconds, rounded up: a client that waits so long is not
/// too early.
fn millis_up(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// The server as it names itself.
#[derive(Serialize)]
struct Implementation {
    name: &'static str,
    title: &'static str,
    version: &'static str,
}

const SERVER: Implementation =
    Implementation { name: "bulkhead", title: "Bulkhead", version: env!("CARGO_PKG_VERSION") };

#[derive(Serialize)]
struct Capabilities {
    tools: Empty,
}

/// `{}`.
#[derive(Serialize)]
struct Empty {}

const CAPABILITIES: Capabilities = Capabilities { tools: Empty {} };

/// `resultType`, which the stateless era adds to every result.
fn complete(version: Version) -> Option<&'static str> {
    version.is_modern().then_some("complete")
}

/// How long a result may be kept; only the stateless era says so.
fn ttl_ms(version: Version, ttl: Duration) -> Option<u64> {
    version.is_modern().then(|| millis_up(ttl))
}

/// For whom a result may be kept: never for others than the caller, since lists
/// differ by what the caller may call.
fn cache_scope(version: Version) -> Option<&'static str> {
    version.is_modern().then_some("private")
}

/// A result's `_meta`.
pub(super) struct Meta<'a> {
    version: Version,
    error: Option<&'a ErrorObject<'a>>,
    about: About<'a>,
}

/// What a result says about its call.
#[derive(Default)]
pub(super) struct About<'a> {
    pub(super) spending: Option<Spending>,
    pub(super) coercions: &'a [Coercion],
    pub(super) told: Option<&'a Told>,
}

impl About<'_> {
    fn is_empty(&self) -> bool {
        let told = self.told.is_some_and(|told| !told.is_nothing());
        self.spending.is_none() && self.coercions.is_empty() && !told
    }
}

impl Meta<'_> {
    fn of(version: Version) -> Self {
        Self { version, error: None, about: About::default() }
    }

    fn is_empty(&self) -> bool {
        !self.version.is_modern() && self.error.is_none() && self.about.is_empty()
    }
}

/// What a call spent: `_meta["io.bulkhead/spent"]` of its result, and what the command
/// line prints. Members may be added.
#[derive(Clone, Debug, Serialize)]
pub struct Spending {
    fuel: Fuel,
    meter: &'static str,
    peak_memory_bytes: ByteCount,
    run_ms: f64,
    queue_ms: f64,
    host_calls: u32,
    input_bytes: ByteCount,
    output_bytes: ByteCount,
}

impl Spending {
    pub(super) fn new(
        cost: Spent,
        queued: Duration,
        input_bytes: ByteCount,
        output_bytes: ByteCount,
    ) -> Self {
        let Spent { fuel, peak_memory, run, host_calls } = cost;
        Self {
            fuel,
            meter: METER,
            peak_memory_bytes: peak_memory,
            run_ms: millis(run),
            queue_ms: millis(queued),
            host_calls,
            input_bytes,
            output_bytes,
        }
    }
}

/// Milliseconds, to the microsecond.
fn millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1_000.0
}

impl Serialize for Meta<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        if self.version.is_modern() {
            map.serialize_entry("io.modelcontextprotocol/serverInfo", &SERVER)?;
        }
        if let Some(error) = self.error {
            map.serialize_entry("io.bulkhead/error", error)?;
        }
        if let Some(spending) = &self.about.spending {
            map.serialize_entry("io.bulkhead/spent", spending)?;
        }
        if !self.about.coercions.is_empty() {
            map.serialize_entry("io.bulkhead/coerced", self.about.coercions)?;
        }
        if let Some(Told { changes, signals }) = self.about.told {
            if !changes.is_nothing() {
                map.serialize_entry("io.bulkhead/sanitized", changes)?;
            }
            if !signals.found().is_empty() {
                map.serialize_entry("io.bulkhead/signals", signals)?;
            }
        }
        map.end()
    }
}

/// A result without anything of its own: what `ping` wants.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EmptyResult {
    #[serde(skip_serializing_if = "Option::is_none")]
    result_type: Option<&'static str>,
}

impl EmptyResult {
    pub(super) fn new(version: Version) -> Self {
        Self { result_type: complete(version) }
    }
}

/// The result of `initialize`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Initialized {
    protocol_version: &'static str,
    capabilities: Capabilities,
    server_info: Implementation,
    instructions: &'static str,
}

impl Initialized {
    pub(super) fn new(settled: Version) -> Self {
        Self {
            protocol_version: settled.as_str(),
            capabilities: CAPABILITIES,
            server_info: SERVER,
            instructions: INSTRUCTIONS,
        }
    }
}

/// The result of `server/discover`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Discovered {
    #[serde(skip_serializing_if = "Option::is_none")]
    result_type: Option<&'static str>,
    supported_versions: Vec<&'static str>,
    capabilities: Capabilities,
    instructions: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_scope: Option<&'static str>,
    #[serde(rename = "_meta", skip_serializing_if = "Meta::is_empty")]
    meta: Meta<'static>,
}

impl Discovered {
    pub(super) fn new(version: Version) -> Self {
        Self {
            result_type: complete(version),
            supported_versions: Version::ALL.iter().map(|version| version.as_str()).collect(),
            capabilities: CAPABILITIES,
            instructions: INSTRUCTIONS,
            ttl_ms: ttl_ms(version, DISCOVER_TTL),
            cache_scope: cache_scope(version),
            meta: Meta::of(version),
        }
    }
}

/// The result of `tools/list`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolList<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    result_type: Option<&'static str>,
    tools: Vec<Listed<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_scope: Option<&'static str>,
    #[serde(rename = "_meta", skip_serializing_if = "Meta::is_empty")]
    meta: Meta<'static>,
}

impl<'a> ToolList<'a> {
    pub(super) fn new(tools: impl Iterator<Item = &'a Tool>, version: Version) -> Self {
        Self {
            result_type: complete(version),
            tools: tools.map(|tool| Listed::new(tool, version)).collect(),
            ttl_ms: ttl_ms(version, TOOLS_TTL),
            cache_scope: cache_scope(version),
            meta: Meta::of(version),
        }
    }
}

/// One tool of a list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    description: &'a str,
    input_schema: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_schema: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a Annotations>,
}

impl<'a> Listed<'a> {
    fn new(tool: &'a Tool, version: Version) -> Self {
        Self {
            name: tool.name.as_str(),
            title: tool.title.as_deref(),
            description: &tool.description,
            input_schema: &tool.input_schema,
            output_schema: listed_output_schema(tool, version),
            annotations: tool.annotations.as_ref(),
        }
    }
}

/// A tool's output schema as far as this version knows it: before 2026-07-28 it
/// has to describe an object.
fn listed_output_schema(tool: &Tool, version: Version) -> Option<&RawValue> {
    let schema = tool.output_schema.as_ref()?;
    (version.is_modern() || schema.is_object).then_some(&*schema.text)
}

/// The result of `tools/call`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallResult<'a, B> {
    #[serde(skip_serializing_if = "Option::is_none")]
    result_type: Option<&'static str>,
    content: Content<'a, B>,
    #[serde(skip_serializing_if = "Option::is_none")]
    structured_content: Option<Structured<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_error: bool,
    #[serde(rename = "_meta", skip_serializing_if = "Meta::is_empty")]
    meta: Meta<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a, B> {
    Blocks(&'a [B]),
    Text([TextBlock; 1]),
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "text")]
struct TextBlock {
    text: String,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Structured<'a> {
    Value(&'a RawValue),
    Error { error: &'a ErrorObject<'a> },
}

impl<'a, B: Serialize> CallResult<'a, B> {
    /// A tool's own result. Before 2026-07-28 a structured result that is no
    /// object has no place; its text is in `blocks` all the same.
    pub(super) fn done(
        blocks: &'a [B],
        structured: Option<&'a RawValue>,
        about: About<'a>,
        version: Version,
    ) -> Self {
        let fits = |value: &&RawValue| version.is_modern() || value.get().starts_with('{');
        Self {
            result_type: complete(version),
            content: Content::Blocks(blocks),
            structured_content: structured.filter(fits).map(Structured::Value),
            is_error: false,
            meta: Meta { about, ..Meta::of(version) },
        }
    }

    /// A failure, told to the model and to the program around it. An older client
    /// that was given an output schema checks even an error against it, and throws
    /// the answer away (the TypeScript client, version 1): for it the error is only
    /// in the text and in `_meta`.
    pub(super) fn failed(
        error: &'a ErrorObject<'a>,
        tool: Option<&Tool>,
        about: About<'a>,
        version: Version,
    ) -> Result<Self, serde_json::Error> {
        // A call that was refused before its tool was looked up may be one of such a tool.
        let checked = !version.is_modern()
            && tool.is_none_or(|tool| listed_output_schema(tool, version).is_some());
        Ok(Self {
            result_type: complete(version),
            content: Content::Text([TextBlock { text: serde_json::to_string(error)? }]),
            structured_content: (!checked).then_some(Structured::Error { error }),
            is_error: true,
            meta: Meta { version, error: Some(error), about },
        })
    }
}

/// `notifications/progress`.
#[derive(Serialize)]
pub(super) struct ProgressNotification<'a> {
    jsonrpc: &'static str,
    method: &'static str,
    params: &'a Progress,
}

impl<'a> ProgressNotification<'a> {
    pub(super) fn new(params: &'a Progress) -> Self {
        Self { jsonrpc: "2.0", method: "notifications/progress", params }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Block {
        text: &'static str,
    }

    fn done(structured: Option<&str>, version: Version) -> String {
        let structured = structured.map(|json| RawValue::from_string(json.to_owned()).unwrap());
        let blocks = [Block { text: "a" }];
        serde_json::to_string(&CallResult::done(
            &blocks,
            structured.as_deref(),
            About::default(),
            version,
        ))
        .unwrap()
    }

    #[test]
    fn a_result_is_what_its_era_can_hold() {
        let object = r#"{ "n" : 1.0 }"#;
        for version in [Version::V2025_06_18, Version::V2025_11_25] {
            assert_eq!(done(None, version), r#"{"content":[{"text":"a"}]}"#);
            assert_eq!(
                done(Some(object), version),
                r#"{"content":[{"text":"a"}],"structuredContent":{ "n" : 1.0 }}"#
            );
            for other in ["[1]", "1", "\"x\"", "null"] {
                assert_eq!(done(Some(other), version), r#"{"content":[{"text":"a"}]}"#, "{other}");
            }
        }
        for structured in [object, "[1]", "1", "\"x\"", "null"] {
            let result = done(Some(structured), Version::V2026_07_28);
            let start = format!(
                r#"{{"resultType":"complete","content":[{{"text":"a"}}],"structuredContent":{structured},"_meta":{{"#
            );
            assert!(result.starts_with(&start), "{result}");
        }
    }

    #[test]
    fn what_was_spent_is_told_to_whom_it_may_be() {
        let cost = Spent {
            fuel: Fuel(7),
            peak_memory: ByteCount(65_536),
            run: Duration::from_micros(1_500),
            host_calls: 2,
        };
        let spending = Spending::new(cost, Duration::ZERO, ByteCount(3), ByteCount(4));
        let blocks = [Block { text: "a" }];
        let result = CallResult::done(
            &blocks,
            None,
            About { spending: Some(spending), coercions: &[], told: None },
            Version::V2025_11_25,
        );
        assert_eq!(
            serde_json::to_string(&result).unwrap(),
            r#"{"content":[{"text":"a"}],"_meta":{"io.bulkhead/spent":{"fuel":7,"meter":"wasmtime-48","peak_memory_bytes":65536,"run_ms":1.5,"queue_ms":0.0,"host_calls":2,"input_bytes":3,"output_bytes":4}}}"#
        );
    }

    #[test]
    fn waits_are_never_rounded_down() {
        for (wait, ms) in [
            (Duration::ZERO, 0),
            (Duration::from_nanos(1), 1),
            (Duration::from_millis(7), 7),
            (Duration::from_micros(7_001), 8),
            (Duration::MAX, u64::MAX),
        ] {
            assert_eq!(millis_up(wait), ms, "{wait:?}");
        }
    }
}
