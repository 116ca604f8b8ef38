//! What the server answers, before and after it is bytes.
//!
//! Invariant: a [`Reply`] carries nothing but what `sanitize` passed, what the
//! catalog declares, or an [`Error`], of which only the client's half is written.

mod challenge;
mod codes;
#[cfg(test)]
mod golden;
mod wire;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{Response, StatusCode};
use serde_json::value::{RawValue, to_raw_value};

pub use self::challenge::{Challenges, WELL_KNOWN};
use self::codes::Form;
pub use self::wire::Spending;
use self::wire::{
    About, CallResult, Discovered, EmptyResult, ErrorObject, Failure, Initialized,
    ProgressNotification, Success, ToolList,
};
use crate::catalog::Tool;
use crate::error::{Code, Error, Retry};
use crate::names::{ByteCount, RequestId};
use crate::runtime::Spent;
use crate::sanitize::{CleanOutput, ContentBlock};
use crate::transport::{BadMessage, Progress, RpcId, Shown, Version};
use crate::validation::Coercion;

/// The header that carries our name for a request on every HTTP answer.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the server answers.
#[derive(Debug)]
pub enum Reply {
    /// A refusal before the request was a message.
    Gate(Error),
    /// A refusal of a message that is not one, or of a request as such: under its id.
    Malformed(BadMessage),
    /// Nothing to say: the answer to a notification.
    Accepted,
    /// The answer to a request.
    Answer {
        /// The request's id.
        id: RpcId,
        /// The version to answer in.
        version: Version,
        /// What it is.
        answer: Answer,
    },
}

/// The answer to a request.
#[derive(Debug)]
pub enum Answer {
    /// To `initialize`; what was settled on is the version of the reply.
    Initialized,
    /// To `server/discover`.
    Discovered,
    /// To `ping`.
    Pong,
    /// To `tools/list` with a cursor: this server hands out none.
    BadCursor,
    /// To `tools/list`: what the caller may call, in order.
    Tools(Vec<Arc<Tool>>),
    /// To `tools/call`.
    Called(Box<Called>),
}

/// How a call ended.
#[derive(Debug)]
pub struct Called {
    /// The tool, once it was looked up for a caller who may know that there is one.
    pub tool: Option<Arc<Tool>>,
    /// What the guest spent, where it ran.
    pub cost: Option<Spent>,
    /// How long the call waited for its slot, where it asked for one.
    pub queued: Option<Duration>,
    /// How large the arguments were, where they were looked at.
    pub input: Option<ByteCount>,
    /// What was repaired in the arguments.
    pub coercions: Arc<[Coercion]>,
    /// Whether the caller may be told what was spent.
    pub shows_spending: bool,
    /// Its result, or why there is none.
    pub result: Result<CleanOutput, Error>,
}

impl Called {
    /// A call that ended before anything was known of it.
    pub fn refused(error: Error) -> Self {
        Self {
            tool: None,
            cost: None,
            queued: None,
            input: None,
            coercions: Arc::default(),
            shows_spending: false,
            result: Err(error),
        }
    }
}

impl Called {
    /// What the call spent, for whoever may know it; zeros where no guest ran.
    pub fn spending(&self) -> Spending {
        let output = self.result.as_ref().ok().map(|output| ByteCount(output.bytes() as u64));
        Spending::new(
            self.cost.unwrap_or_default(),
            self.queued.unwrap_or_default(),
            self.input.unwrap_or_default(),
            output.unwrap_or_default(),
        )
    }

    /// What the result says about the call itself.
    fn about(&self) -> About<'_> {
        About { spending: self.shown_spending(), coercions: &self.coercions, told: None }
    }

    fn shown_spending(&self) -> Option<Spending> {
        (self.shows_spending && self.cost.is_some()).then(|| self.spending())
    }
}

/// A JSON-RPC error, and where HTTP shows it.
struct Refusal<'a> {
    id: Option<&'a RpcId>,
    error: Cow<'a, Error>,
    shown: Shown,
}

impl Reply {
    /// The JSON-RPC error that the reply is; none where it is a result, a tool's
    /// failure included, or nothing at all.
    fn refusal(&self) -> Option<Refusal<'_>> {
        match self {
            Self::Gate(error) => {
                Some(Refusal { id: None, error: Cow::Borrowed(error), shown: Shown::AsStatus })
            }
            Self::Malformed(BadMessage { id, error, shown }) => {
                Some(Refusal { id: Some(id), error: Cow::Borrowed(error), shown: *shown })
            }
            Self::Accepted => None,
            Self::Answer { id, answer, .. } => {
                let error = answer.failure()?;
                match codes::form(error.code()) {
                    Form::Error(shown) => Some(Refusal { id: Some(id), error, shown }),
                    Form::ToolResult | Form::Silence => None,
                }
            }
        }
    }

    /// The error in it, in whatever form it goes out.
    fn error(&self) -> Option<Cow<'_, Error>> {
        match self {
            Self::Gate(error) | Self::Malformed(BadMessage { error, .. }) => {
                Some(Cow::Borrowed(error))
            }
            Self::Accepted => None,
            Self::Answer { answer, .. } => answer.failure(),
        }
    }
}

impl Answer {
    fn failure(&self) -> Option<Cow<'_, Error>> {
        match self {
            Self::Called(called) => called.result.as_ref().err().map(Cow::Borrowed),
            Self::BadCursor => {
                let what = "`params.cursor` is none of ours: this list has one page.";
                Some(Cow::Owned(Error::new(Code::InvalidParams, what)))
            }
            Self::Initialized | Self::Discovered | Self::Pong | Self::Tools(_) => None,
        }
    }
}

/// The reply as one JSON-RPC message; none where there is nothing to send. It is
/// valid JSON in any case, though it may hold line breaks between tokens.
fn message(reply: &Reply, request_id: RequestId) -> Option<Bytes> {
    if let Some(Refusal { id, error, .. }) = reply.refusal() {
        return Some(written(wire::write(&Failure::new(id, &error, request_id)), id, request_id));
    }
    let Reply::Answer { id, version, answer } = reply else {
        return None;
    };
    let version = *version;
    let bytes = match answer {
        Answer::Initialized => wire::write(&Success::new(id, Initialized::new(version))),
        Answer::Discovered => wire::write(&Success::new(id, Discovered::new(version))),
        Answer::Pong => wire::write(&Success::new(id, EmptyResult::new(version))),
        Answer::Tools(tools) => {
            let list = ToolList::new(tools.iter().map(Arc::as_ref), version);
            wire::write(&Success::new(id, list))
        }
        Answer::Called(called) => match &called.result {
            Ok(output) => wire::write(&Success::new(id, done(output, called, version))),
            Err(error) if codes::form(error.code()) == Form::ToolResult => {
                let error = ErrorObject::new(error, request_id);
                failed(&error, called, version)
                    .and_then(|result| wire::write(&Success::new(id, result)))
            }
            Err(_) => return None,
        },
        Answer::BadCursor => return None,
    };
    Some(written(bytes, Some(id), request_id))
}

fn done<'a>(
    output: &'a CleanOutput,
    called: &'a Called,
    version: Version,
) -> CallResult<'a, ContentBlock> {
    let about = About { told: Some(output.told()), ..called.about() };
    CallResult::done(output.content(), output.structured(), about, version)
}

fn failed<'a>(
    error: &'a ErrorObject<'a>,
    called: &'a Called,
    version: Version,
) -> Result<CallResult<'a, ContentBlock>, serde_json::Error> {
    CallResult::failed(error, called.tool.as_deref(), called.about(), version)
}

/// The result of a call as MCP's `CallToolResult`, for whoever sends no message.
///
/// # Errors
/// The failures that a client gets as a JSON-RPC error, and a cancelled call's.
pub fn tool_result(
    called: &Called,
    version: Version,
    request_id: RequestId,
) -> Result<Box<RawValue>, Error> {
    let written = match &called.result {
        Ok(output) => to_raw_value(&done(output, called, version)),
        Err(error) if codes::form(error.code()) == Form::ToolResult => {
            let error = ErrorObject::new(error, request_id);
            failed(&error, called, version).and_then(|result| to_raw_value(&result))
        }
        Err(error) => return Err(error.clone()),
    };
    written.map_err(Error::internal)
}

/// What was written; where writing failed, that, as the server's own fault.
fn written(
    bytes: Result<Bytes, serde_json::Error>,
    id: Option<&RpcId>,
    request_id: RequestId,
) -> Bytes {
    bytes.unwrap_or_else(|cause| {
        tracing::error!(%request_id, %cause, "an answer could not be written");
        let error = Error::internal(cause);
        wire::write(&Failure::new(id, &error, request_id)).unwrap_or_default()
    })
}

/// The reply as one JSON-RPC message in one line, for stdio and event streams;
/// none where there is nothing to send.
pub fn frame(reply: &Reply, request_id: RequestId) -> Option<Bytes> {
    message(reply, request_id).map(one_line)
}

/// A report of progress as one JSON-RPC message in one line.
pub fn progress_frame(progress: &Progress) -> Bytes {
    wire::write(&ProgressNotification::new(progress)).map(one_line).unwrap_or_default()
}

/// Replaces line breaks. Inside a JSON string they are always escaped, so these
/// stand between the tokens of a schema or result that is passed on as it was.
fn one_line(message: Bytes) -> Bytes {
    let is_break = |byte: &u8| matches!(byte, b'\n' | b'\r');
    if !message.iter().any(is_break) {
        return message;
    }
    message.iter().map(|byte| if is_break(byte) { b' ' } else { *byte }).collect()
}

/// Who is answered over HTTP, as far as a refusal has to know.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Our name for the request.
    pub request_id: RequestId,
    /// The request came with a credential.
    pub presented: bool,
    /// How clients get one.
    pub challenges: &'a Challenges,
}

/// The reply as an HTTP answer.
pub fn http(reply: &Reply, asked: Asked<'_>) -> Response<Bytes> {
    let Asked { request_id, presented, challenges } = asked;
    let status = match reply.refusal() {
        Some(Refusal { error, shown: Shown::AsStatus, .. }) => codes::status(error.code()),
        Some(Refusal { shown: Shown::InBand, .. }) | None => StatusCode::OK,
    };
    let mut response = match message(reply, request_id) {
        Some(body) => {
            let mut response = Response::new(body);
            *response.status_mut() = status;
            response
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        None => {
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = StatusCode::ACCEPTED;
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::try_from(request_id.to_string()) {
        headers.insert(REQUEST_ID, id);
    }
    if let Some(error) = reply.error() {
        if let Some(wait) = retry_after(&error) {
            headers.insert(RETRY_AFTER, wait);
        }
        if status != StatusCode::OK {
            if let Some(challenge) = challenges.header(&error, presented) {
                headers.insert(WWW_AUTHENTICATE, challenge);
            }
            if *error.code() == Code::MethodNotAllowed {
                headers.insert(ALLOW, HeaderValue::from_static("POST"));
            }
        }
    }
    response
}

/// `Retry-After` in whole seconds, rounded up (RFC 9110 §10.2.3), where the server
/// itself asks for the wait: a plugin's word stays in the body. A second where
/// nobody knows how long.
fn retry_after(error: &Error) -> Option<HeaderValue> {
    let ours = matches!(error.code(), Code::RateLimited | Code::Unavailable);
    let wait = match error.retry_hint() {
        Retry::After(wait) => wait,
        Retry::Maybe => Duration::from_secs(1),
        Retry::No => return None,
    };
    ours.then(|| HeaderValue::from(seconds_up(wait)))
}

fn seconds_up(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::catalog::{Annotations, OutputSchema, Plugin, ToolId};
    use crate::config::{OnDenied, PerAgent, PerCall, PerPlugin};
    use crate::error::PluginCode;
    use crate::names::Fuel;

    const NEW: Version = Version::V2026_07_28;
    const OLD: [Version; 2] = [Version::V2025_06_18, Version::V2025_11_25];

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    fn id() -> RpcId {
        let body = br#"{"jsonrpc":"2.0","id":"r-1","method":"notifications/x/y"}"#;
        let head = crate::transport::Head::without_headers(
            crate::transport::Channel::Stdio,
            crate::transport::Presented::None,
            None,
        );
        crate::transport::parse(&head, body).unwrap_err().id
    }

    fn tool(output_schema: Option<(&str, bool)>) -> Arc<Tool> {
        let per_plugin =
            PerPlugin { concurrency: 1, queue: 1, queue_timeout: Duration::ZERO, rate: None };
        let per_agent = PerAgent { rate: None, concurrency: None };
        Arc::new(Tool {
            id: ToolId(0),
            name: "count".parse().unwrap(),
            guest_name: "count".into(),
            plugin: Arc::new(Plugin {
                name: "text".parse().unwrap(),
                version: "1".into(),
                digest: "00".into(),
                per_plugin,
                per_agent,
            }),
            title: Some("Count words".into()),
            description: "Counts.".into(),
            input_schema: raw("{ \"type\":\"object\",\n  \"b\":1.0, \"a\":2 }"),
            output_schema: output_schema
                .map(|(text, is_object)| OutputSchema { text: raw(text), is_object }),
            annotations: Some(Annotations { read_only_hint: Some(true), ..Annotations::default() }),
            requires: Vec::new(),
            on_denied: OnDenied::Explain,
            output: Arc::default(),
            per_call: PerCall {
                fuel: Fuel(1),
                memory: ByteCount(1),
                deadline: Duration::ZERO,
                max_input: ByteCount(1),
                max_output: ByteCount(1),
                host_calls: 1,
                log_lines: 1,
            },
            per_plugin: None,
            per_agent: None,
        })
    }

    fn failed(error: Error, tool: Option<Arc<Tool>>, version: Version) -> Reply {
        let called = Called { tool, ..Called::refused(error) };
        Reply::Answer { id: id(), version, answer: Answer::Called(called.into()) }
    }

    /// Status, headers in question, and body with our own request id as `ID`.
    fn shown(reply: &Reply) -> (u16, Vec<String>, Value) {
        let request_id = RequestId::generate();
        let challenges = Challenges::of_keys();
        let asked = Asked { request_id, presented: false, challenges: &challenges };
        let response = http(reply, asked);
        assert_eq!(response.headers()["x-request-id"], request_id.to_string());
        assert_eq!(response.headers()["cache-control"], "no-store");
        let said = ["allow", "retry-after", "www-authenticate"].into_iter().filter_map(|name| {
            let value = response.headers().get(name)?.to_str().unwrap();
            Some(format!("{name}: {value}"))
        });
        let body = String::from_utf8(response.body().to_vec()).unwrap();
        let body = body.replace(&request_id.to_string(), "ID");
        let body = match body.as_str() {
            "" => Value::Null,
            text => {
                assert_eq!(response.headers()["content-type"], "application/json");
                serde_json::from_str(text).unwrap()
            }
        };
        (response.status().as_u16(), said.collect(), body)
    }

    #[test]
    fn a_gate_says_it_in_the_status_and_has_no_id() {
        let challenge = r#"www-authenticate: Bearer realm="bulkhead""#;
        let wait = Retry::After(Duration::from_millis(1_001));
        for (error, status, said) in [
            (Error::new(Code::Unauthenticated, "x"), 401, vec![challenge]),
            (Error::new(Code::InsufficientScope, "x"), 403, vec![challenge]),
            (Error::new(Code::OriginForbidden, "x"), 403, vec![]),
            (Error::new(Code::MethodNotAllowed, "x"), 405, vec!["allow: POST"]),
            (Error::new(Code::NotAcceptable, "x"), 406, vec![]),
            (Error::new(Code::DeadlineExceeded, "x"), 408, vec![]),
            (Error::new(Code::PayloadTooLarge, "x"), 413, vec![]),
            (Error::new(Code::UnsupportedMediaType, "x"), 415, vec![]),
            (Error::new(Code::RateLimited, "x").retry(wait), 429, vec!["retry-after: 2"]),
            (Error::new(Code::Unavailable, "x").retry(Retry::Maybe), 503, vec!["retry-after: 1"]),
        ] {
            let code = error.code().clone();
            let (found, headers, body) = shown(&Reply::Gate(error));
            assert_eq!(
                (found, headers),
                (status, said.into_iter().map(Into::into).collect()),
                "{code}"
            );
            assert_eq!(body["error"]["code"], json!(status), "{code}");
            assert_eq!(body["error"]["data"]["code"], json!(code.as_str()));
            assert_eq!(body["error"]["data"]["requestId"], "ID");
            assert_eq!(body.get("id"), None, "{code}");
        }
    }

    #[test]
    fn a_malformed_message_is_answered_under_its_id() {
        let wrong = |code, shown| {
            Reply::Malformed(BadMessage { id: id(), error: Error::new(code, "x"), shown })
        };
        for (code, shown_as, status, rpc) in [
            (Code::InvalidRequest, Shown::AsStatus, 400, -32600),
            (Code::InvalidParams, Shown::AsStatus, 400, -32602),
            (Code::InvalidParams, Shown::InBand, 200, -32602),
            (Code::MethodNotFound, Shown::AsStatus, 404, -32601),
            (Code::MethodNotFound, Shown::InBand, 200, -32601),
            (Code::HeaderMismatch, Shown::AsStatus, 400, -32020),
        ] {
            let (found, _, body) = shown(&wrong(code.clone(), shown_as));
            let data = json!({
                "code": code.as_str(), "message": "x", "retryable": false, "requestId": "ID",
            });
            let error = json!({ "code": rpc, "message": "x", "data": data });
            assert_eq!(found, status);
            assert_eq!(body, json!({ "jsonrpc": "2.0", "id": "r-1", "error": error }), "{code}");
        }
    }

    #[test]
    fn members_of_data_that_mcp_defines_stand_beside_ours() {
        let error = Error::new(Code::UnsupportedProtocolVersion, "x")
            .detail("supported", vec!["2026-07-28"])
            .detail("requested", "1");
        let bad = BadMessage { id: RpcId::none(), error, shown: Shown::AsStatus };
        let (status, _, body) = shown(&Reply::Malformed(bad));
        assert_eq!((status, &body["error"]["code"]), (400, &json!(-32022)));
        assert_eq!(
            body["error"]["data"],
            json!({
                "code": "UNSUPPORTED_PROTOCOL_VERSION", "message": "x", "retryable": false,
                "requestId": "ID", "supported": ["2026-07-28"], "requested": "1",
            })
        );
        let error = Error::new(Code::MissingClientCapability, "x")
            .detail("requiredCapabilities", json!({ "sampling": {} }));
        let (status, _, body) = shown(&failed(error, None, NEW));
        assert_eq!((status, &body["error"]["code"]), (400, &json!(-32021)));
        assert_eq!(body["error"]["data"]["requiredCapabilities"], json!({ "sampling": {} }));
    }

    #[test]
    fn protocol_errors_about_a_call_are_in_band() {
        for (error, rpc) in [
            (Error::new(Code::ToolNotFound, "x"), -32602),
            (Error::new(Code::InvalidParams, "x"), -32602),
            (Error::internal("the disk is full"), -32603),
        ] {
            for version in Version::ALL {
                let (status, _, body) = shown(&failed(error.clone(), None, *version));
                assert_eq!((status, &body["error"]["code"]), (200, &json!(rpc)));
                assert_eq!(body["id"], "r-1");
                assert_eq!(body["error"]["data"]["code"], error.code().as_str());
                assert!(!body.to_string().contains("disk"), "{body}");
            }
        }
    }

    #[test]
    fn a_cursor_is_never_ours() {
        for version in Version::ALL {
            let reply = Reply::Answer { id: id(), version: *version, answer: Answer::BadCursor };
            let (status, _, body) = shown(&reply);
            assert_eq!((status, &body["error"]["code"]), (200, &json!(-32602)));
        }
    }

    #[test]
    fn a_result_without_a_message_is_the_same_result() {
        let request_id = RequestId::generate();
        let reply = |error| failed(Error::new(error, "x"), None, NEW);
        let called = |reply| {
            let Reply::Answer { answer: Answer::Called(called), .. } = reply else {
                panic!("{reply:?}");
            };
            called
        };
        let framed = frame(&reply(Code::ToolCrashed), request_id).unwrap();
        let framed: Value = serde_json::from_slice(&framed).unwrap();
        let alone = tool_result(&called(reply(Code::ToolCrashed)), NEW, request_id).unwrap();
        assert_eq!(serde_json::from_str::<Value>(alone.get()).unwrap(), framed["result"]);
        for code in [Code::ToolNotFound, Code::Cancelled] {
            let refused = tool_result(&called(reply(code.clone())), NEW, request_id).unwrap_err();
            assert_eq!(*refused.code(), code);
        }
    }

    /// Every code that a model should see, and what it costs HTTP: nothing, but for
    /// the wait that the server asks for.
    #[test]
    fn a_failed_call_is_a_tool_result() {
        let wait = Retry::After(Duration::from_micros(1_500_001));
        let conflict = Code::Plugin(PluginCode::parse("CONFLICT").unwrap());
        for (code, said) in [
            (Code::InvalidArguments, None),
            (Code::RateLimited, Some("retry-after: 2")),
            (Code::PermissionDenied, None),
            (Code::FuelExhausted, None),
            (Code::MemoryExceeded, None),
            (Code::ToolCrashed, None),
            (Code::DeadlineExceeded, None),
            (Code::UpstreamUnavailable, None),
            (Code::Unavailable, Some("retry-after: 2")),
            (Code::OutputTooLarge, None),
            (Code::OutputRejected, None),
            (Code::ToolError, None),
            (conflict, None),
        ] {
            let error =
                Error::new(code.clone(), "why").retry(wait).detail("limit", "a").because("b");
            let object = json!({
                "code": code.as_str(), "message": "why", "retryable": true,
                "retryAfterMs": 1_501, "requestId": "ID", "details": { "limit": "a" },
            });
            for version in Version::ALL {
                let (status, headers, body) =
                    shown(&failed(error.clone(), Some(tool(None)), *version));
                assert_eq!(status, 200, "{code}");
                assert_eq!(headers, Vec::from_iter(said), "{code}");
                let result = &body["result"];
                assert_eq!(result["isError"], true);
                assert_eq!(result["structuredContent"]["error"], object, "{code}");
                assert_eq!(result["_meta"]["io.bulkhead/error"], object, "{code}");
                assert_eq!(result["content"][0]["type"], "text");
                let text = result["content"][0]["text"].as_str().unwrap();
                assert_eq!(serde_json::from_str::<Value>(text).unwrap(), object, "{code}");
                let modern = version.is_modern();
                assert_eq!(result.get("resultType").is_some(), modern);
                let server = result["_meta"].get("io.modelcontextprotocol/serverInfo");
                assert_eq!(server.is_some(), modern);
            }
        }
    }

    #[test]
    fn an_error_keeps_clear_of_an_output_schema_that_an_old_client_checks() {
        let has_structured = |schema, version| {
            let reply = failed(Error::new(Code::ToolCrashed, "x"), Some(tool(schema)), version);
            shown(&reply).2["result"].get("structuredContent").is_some()
        };
        let object = Some((r#"{"type":"object"}"#, true));
        let array = Some((r#"{"type":"array"}"#, false));
        for old in OLD {
            assert!(!has_structured(object, old));
            // Never listed to it, so never checked by it.
            assert!(has_structured(array, old));
            assert!(has_structured(None, old));
            let early = failed(Error::new(Code::RateLimited, "x"), None, old);
            assert_eq!(shown(&early).2["result"].get("structuredContent"), None, "which tool?");
        }
        assert!(has_structured(object, NEW) && has_structured(array, NEW));
    }

    #[test]
    fn a_cancelled_call_is_answered_by_nothing() {
        let reply = failed(Error::new(Code::Cancelled, "x"), None, NEW);
        assert_eq!(frame(&reply, RequestId::generate()), None);
        assert_eq!(shown(&reply), (202, vec![], Value::Null));
        assert_eq!(frame(&Reply::Accepted, RequestId::generate()), None);
        assert_eq!(shown(&Reply::Accepted), (202, vec![], Value::Null));
    }

    fn line(version: Version, answer: Answer) -> String {
        let reply = Reply::Answer { id: id(), version, answer };
        let bytes = frame(&reply, RequestId::generate()).unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn handshakes_are_golden() {
        let server = concat!(
            r#"{"name":"bulkhead","title":"Bulkhead","version":""#,
            env!("CARGO_PKG_VERSION"),
            r#""}"#
        );
        let told = "instructions";
        let strip = |line: String| {
            let mut value: Value = serde_json::from_str(&line).unwrap();
            let removed = value["result"].as_object_mut().unwrap().remove(told);
            assert!(removed.unwrap().as_str().unwrap().contains("retryAfterMs"));
            value
        };
        let server: Value = serde_json::from_str(server).unwrap();
        for version in OLD {
            assert_eq!(
                strip(line(version, Answer::Initialized)),
                json!({"jsonrpc": "2.0", "id": "r-1", "result": {
                    "protocolVersion": version.as_str(),
                    "capabilities": {"tools": {}},
                    "serverInfo": server,
                }})
            );
            assert_eq!(line(version, Answer::Pong), r#"{"jsonrpc":"2.0","id":"r-1","result":{}}"#);
        }
        assert_eq!(
            strip(line(NEW, Answer::Discovered)),
            json!({"jsonrpc": "2.0", "id": "r-1", "result": {
                "resultType": "complete",
                "supportedVersions": ["2026-07-28", "2025-11-25", "2025-06-18"],
                "capabilities": {"tools": {}},
                "ttlMs": 300_000,
                "cacheScope": "private",
                "_meta": {"io.modelcontextprotocol/serverInfo": server},
            }})
        );
    }

    #[test]
    fn lists_are_golden_and_schemas_stay_the_authors_bytes() {
        let listed = concat!(
            r#"{"name":"count","title":"Count words","description":"Counts.","#,
            r#""inputSchema":{ "type":"object",   "b":1.0, "a":2 },"#,
        );
        let object = r#"{ "type" : "object" }"#;
        let annotations = r#""annotations":{"readOnlyHint":true}}"#;
        for version in OLD {
            assert_eq!(
                line(version, Answer::Tools(vec![tool(Some((object, true)))])),
                format!(
                    r#"{{"jsonrpc":"2.0","id":"r-1","result":{{"tools":[{listed}"outputSchema":{object},{annotations}]}}}}"#
                )
            );
            assert_eq!(
                line(version, Answer::Tools(vec![tool(Some(("true", false)))])),
                format!(
                    r#"{{"jsonrpc":"2.0","id":"r-1","result":{{"tools":[{listed}{annotations}]}}}}"#
                )
            );
        }
        let server = concat!(
            r#""_meta":{"io.modelcontextprotocol/serverInfo":{"name":"bulkhead","title":"Bulkhead","version":""#,
            env!("CARGO_PKG_VERSION"),
            r#""}}"#
        );
        assert_eq!(
            line(NEW, Answer::Tools(vec![tool(Some(("true", false)))])),
            format!(
                r#"{{"jsonrpc":"2.0","id":"r-1","result":{{"resultType":"complete","tools":[{listed}"outputSchema":true,{annotations}],"ttlMs":10000,"cacheScope":"private",{server}}}}}"#
            )
        );
        assert_eq!(
            line(OLD[0], Answer::Tools(Vec::new())),
            r#"{"jsonrpc":"2.0","id":"r-1","result":{"tools":[]}}"#
        );
    }

    #[test]
    fn a_frame_is_one_line_and_an_http_body_keeps_every_byte() {
        let reply =
            Reply::Answer { id: id(), version: NEW, answer: Answer::Tools(vec![tool(None)]) };
        let request_id = RequestId::generate();
        let framed = frame(&reply, request_id).unwrap();
        let challenges = Challenges::of_keys();
        let asked = Asked { request_id, presented: true, challenges: &challenges };
        let body = http(&reply, asked).into_body();
        assert!(!framed.contains(&b'\n') && body.contains(&b'\n'));
        let value = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
        assert_eq!(value(&framed), value(&body));
        let messy = Bytes::from_static(b"{\r\n\"a\":\"\\n\"\n}");
        assert_eq!(one_line(messy), &b"{  \"a\":\"\\n\" }"[..]);
    }

    #[test]
    fn progress_is_golden() {
        let mut progress =
            Progress { token: raw("\"p 1\""), progress: 0.5, total: None, message: None };
        assert_eq!(
            progress_frame(&progress),
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p 1","progress":0.5}}"#
        );
        progress.total = Some(100.0);
        progress.message = Some("half\nway".to_owned());
        assert_eq!(
            progress_frame(&progress),
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p 1","progress":0.5,"total":100.0,"message":"half\nway"}}"#
        );
    }
}
