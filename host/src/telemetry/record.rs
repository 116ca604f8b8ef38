//! What is known of one call, and the line that it becomes.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::chain::Link;
use super::shape::{self, Keys, clean};
use super::why::{Gate, Why};
use crate::catalog::Tool;
use crate::error::{Code, Error};
use crate::names::{AgentName, ByteCount, Fuel, RequestId, Subject};
use crate::runtime::{METER, Spent};
use crate::validation::Coercion;

/// The version of the line's form. Fields may be added within one; readers skip
/// what they do not know.
const VERSION: u32 = 1;

/// This program's version.
const SERVER_VERSION: &str = env!("CARGO_PKG_VERSION");

/// How much is kept of a text that somebody else chose: a tool's name as the client
/// spelled it, a plugin's version.
const MAX_TEXT_CHARS: usize = 64;

/// What is known of a call so far. What stays unknown is `null` in its line.
///
/// Texts need no cleaning: whatever goes into the line is bounded and cleaned there,
/// off the call's path.
#[derive(Clone, Debug)]
pub struct CallRecord {
    /// Our name for the request.
    pub request_id: RequestId,
    /// The trace that the client says it belongs to; see [`trace_id`].
    pub trace_id: Option<Box<str>>,
    /// The address that the request came from; a proxy's own, behind one.
    pub source: Option<IpAddr>,
    /// Which program calls.
    pub agent: Option<AgentName>,
    /// On whose behalf.
    pub subject: Option<Subject>,
    /// The organization that the caller belongs to.
    pub tenant: Option<Box<str>>,
    /// What names the credential, which is no secret.
    pub credential: Option<Box<str>>,
    /// The tool that the client named, which need not exist.
    pub asked: Option<Arc<str>>,
    /// The tool that this names.
    pub tool: Option<Arc<Tool>>,
    /// The arguments as JSON text, of which only the shape is written.
    pub arguments: Option<Arc<str>>,
    /// What was repaired in them, before the guest was given them.
    pub coercions: Arc<[Coercion]>,
    /// How large the result is that the client was given.
    pub output: Option<ByteCount>,
    /// How long the call waited for its slot.
    pub queued: Option<Duration>,
    /// What its guest spent; `None` when no guest ran.
    pub cost: Option<Spent>,
    /// The step that it is in, and so the one that decided if it ends there.
    pub gate: Option<Gate>,
    /// What the error says of its cause; `None` when there was none, or none is known.
    pub why: Option<Why>,
}

impl CallRecord {
    /// A record of a request of which nothing else is known.
    pub fn new(request_id: RequestId) -> Self {
        Self {
            request_id,
            trace_id: None,
            source: None,
            agent: None,
            subject: None,
            tenant: None,
            credential: None,
            asked: None,
            tool: None,
            arguments: None,
            coercions: Arc::default(),
            output: None,
            queued: None,
            cost: None,
            gate: None,
            why: None,
        }
    }
}

impl CallRecord {
    /// How large the arguments are, where they were looked at.
    pub fn input(&self) -> Option<ByteCount> {
        self.arguments.as_ref().map(|arguments| ByteCount(arguments.len() as u64))
    }
}

/// The trace id in a `traceparent` (W3C Trace Context §3.2.2): 32 hexadecimal digits.
pub fn trace_id(traceparent: &str) -> Option<&str> {
    let mut parts = traceparent.split('-');
    let (version, trace) = (parts.next()?, parts.next()?);
    let hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let known = version.len() == 2 && hex(version) && version != "ff";
    let valid = trace.len() == 32 && hex(trace) && trace.bytes().any(|b| b != b'0');
    (known && valid).then_some(trace)
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The tool's result was given to the client.
    Ok,
    /// An error was; `CANCELLED` when nobody waited for an answer any longer.
    Error(Code),
}

impl From<&Error> for Ending {
    fn from(error: &Error) -> Self {
        Self::Error(error.code().clone())
    }
}

impl Ending {
    fn code(&self) -> Option<&Code> {
        match self {
            Self::Ok => None,
            Self::Error(code) => Some(code),
        }
    }

    /// The code as a metric label, of which there are few.
    pub(super) fn label(&self) -> &'static str {
        self.code().map_or("OK", Code::label)
    }

    fn outcome(&self) -> Outcome {
        self.code().map_or(Outcome::Ok, Outcome::of)
    }
}

/// The four kinds of endings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Ok,
    Refused,
    Failed,
    Cancelled,
}

impl Outcome {
    /// A refusal is the host's no before a guest ran; a failure is a fault of the
    /// guest, of what it reached, or of the host.
    fn of(code: &Code) -> Self {
        match code {
            Code::Unauthenticated
            | Code::InsufficientScope
            | Code::OriginForbidden
            | Code::MethodNotAllowed
            | Code::NotAcceptable
            | Code::PayloadTooLarge
            | Code::UnsupportedMediaType
            | Code::ParseError
            | Code::InvalidRequest
            | Code::InvalidParams
            | Code::MethodNotFound
            | Code::HeaderMismatch
            | Code::MissingClientCapability
            | Code::UnsupportedProtocolVersion
            | Code::ToolNotFound
            | Code::InvalidArguments
            | Code::RateLimited
            | Code::PermissionDenied
            | Code::Unavailable => Self::Refused,
            Code::Internal
            | Code::FuelExhausted
            | Code::MemoryExceeded
            | Code::ToolCrashed
            | Code::DeadlineExceeded
            | Code::UpstreamUnavailable
            | Code::OutputTooLarge
            | Code::OutputRejected
            | Code::ToolError
            | Code::Plugin(_) => Self::Failed,
            Code::Cancelled => Self::Cancelled,
        }
    }
}

/// A call that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) record: CallRecord,
    pub(super) opened: Timestamp,
    pub(super) duration: Duration,
    pub(super) ending: Ending,
}

/// An audit record as it is written, except for its hash.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    v: u32,
    time: Time,
    seq: u64,
    replica: &'a str,
    server_version: &'static str,
    request_id: RequestId,
    trace_id: Option<&'a str>,
    source: Option<IpAddr>,
    agent: Option<&'a AgentName>,
    subject: Option<&'a Subject>,
    tenant: Option<String>,
    credential: Option<String>,
    tool: Option<String>,
    plugin: Option<&'a str>,
    plugin_version: Option<String>,
    digest: Option<&'a str>,
    outcome: Outcome,
    code: Option<&'a str>,
    arguments: Option<Keys>,
    output_bytes: Option<ByteCount>,
    duration_ms: Millis,
    queue_ms: Option<Millis>,
    run_ms: Option<Millis>,
    fuel: Option<Fuel>,
    meter: Option<&'static str>,
    peak_memory_bytes: Option<ByteCount>,
    host_calls: Option<u32>,
    input_bytes: Option<ByteCount>,
    coerced: usize,
    /// Of a call that ended in an error, and of none else.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<Map<String, Value>>,
    // Last, so that the hash follows what it continues.
    prev: &'a str,
}

impl<'a> Line<'a> {
    pub(super) fn new(ended: &'a Ended, replica: &'a str, link: Link<'a>) -> Self {
        let Ended { record, opened, duration, ending } = ended;
        let plugin = record.tool.as_ref().map(|tool| &tool.plugin);
        let cut = |text: &str| clean(text, MAX_TEXT_CHARS);
        Self {
            v: VERSION,
            time: Time(*opened),
            seq: link.seq,
            replica,
            server_version: SERVER_VERSION,
            request_id: record.request_id,
            trace_id: record.trace_id.as_deref().filter(|id| id.len() == 32),
            source: record.source.map(|source| source.to_canonical()),
            agent: record.agent.as_ref(),
            subject: record.subject.as_ref(),
            tenant: record.tenant.as_deref().map(cut),
            credential: record.credential.as_deref().map(cut),
            tool: match &record.tool {
                Some(tool) => Some(tool.name.to_string()),
                None => record.asked.as_deref().map(cut),
            },
            plugin: plugin.map(|plugin| plugin.name.as_str()),
            plugin_version: plugin.map(|plugin| cut(&plugin.version)),
            digest: plugin.map(|plugin| &*plugin.digest),
            outcome: ending.outcome(),
            code: ending.code().map(Code::as_str),
            arguments: record.arguments.as_deref().and_then(shape::of_arguments),
            output_bytes: record.output,
            duration_ms: Millis(*duration),
            queue_ms: record.queued.map(Millis),
            run_ms: record.cost.map(|cost| Millis(cost.run)),
            fuel: record.cost.map(|cost| cost.fuel),
            meter: record.cost.map(|_| METER),
            peak_memory_bytes: record.cost.map(|cost| cost.peak_memory),
            host_calls: record.cost.map(|cost| cost.host_calls),
            input_bytes: record.input(),
            coerced: record.coercions.len(),
            why: ending.code().and(record.gate).map(|gate| Why::written(record.why.as_ref(), gate)),
            prev: link.prev,
        }
    }
}

/// When, in UTC, always with microseconds, so that lines sort as texts.
struct Time(Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{:.6}", self.0))
    }
}

/// Milliseconds, to the microsecond.
struct Millis(Duration);

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(self.0.as_micros() as f64 / 1_000.0)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::{Plugin, ToolId};
    use crate::config::{OnDenied, PerAgent, PerCall, PerPlugin};
    use crate::error::PluginCode;
    use crate::telemetry::chain::MAX_LINE_BYTES;

    /// A served tool of this name.
    pub(in crate::telemetry) fn tool(name: &str) -> Arc<Tool> {
        let per_agent = PerAgent { rate: None, concurrency: None };
        let queue_timeout = Duration::from_secs(2);
        let plugin = Plugin {
            name: "records".parse().unwrap(),
            version: "1.2.0\n".into(),
            digest: "d1".repeat(32).into(),
            per_plugin: PerPlugin { concurrency: 1, queue: 1, queue_timeout, rate: None },
            per_agent,
        };
        Arc::new(Tool {
            id: ToolId(0),
            name: name.parse().unwrap(),
            guest_name: name.into(),
            plugin: Arc::new(plugin),
            title: None,
            description: "".into(),
            input_schema: serde_json::from_str("{}").unwrap(),
            output_schema: None,
            annotations: None,
            requires: Vec::new(),
            on_denied: OnDenied::Explain,
            output: Arc::default(),
            per_call: PerCall {
                fuel: Fuel(1),
                memory: ByteCount(1),
                deadline: queue_timeout,
                max_input: ByteCount(1),
                max_output: ByteCount(1),
                host_calls: 1,
                log_lines: 1,
            },
            per_plugin: None,
            per_agent: None,
        })
    }

    fn ended(record: CallRecord, ending: Ending) -> Ended {
        let duration = Duration::from_nanos(1_234_567);
        Ended { record, opened: Timestamp::UNIX_EPOCH, duration, ending }
    }

    fn line(ended: &Ended) -> String {
        let prev = "0".repeat(64);
        let link = Link { seq: 7, prev: &prev };
        serde_json::to_string(&Line::new(ended, "replica-1", link)).unwrap()
    }

    #[test]
    fn every_field_is_there_and_unknown_ones_are_null() {
        let id = RequestId::generate();
        let bare = ended(CallRecord::new(id), Ending::Error(Code::Unauthenticated));
        let fields: Value = serde_json::from_str(&line(&bare)).unwrap();
        let expected = json!({
            "v": 1, "time": "1970-01-01T00:00:00.000000Z", "seq": 7, "prev": "0".repeat(64),
            "replica": "replica-1", "server_version": SERVER_VERSION,
            "request_id": id.to_string(), "trace_id": null,
            "source": null, "agent": null, "subject": null, "tenant": null, "credential": null,
            "tool": null, "plugin": null, "plugin_version": null, "digest": null,
            "outcome": "refused", "code": "UNAUTHENTICATED",
            "arguments": null, "output_bytes": null, "duration_ms": 1.234, "queue_ms": null,
            "run_ms": null, "fuel": null, "meter": null, "peak_memory_bytes": null,
            "host_calls": null, "input_bytes": null, "coerced": 0,
        });
        assert_eq!(fields, expected);
        assert!(line(&bare).ends_with(&format!(r#","prev":"{}"}}"#, "0".repeat(64))));
    }

    #[test]
    fn what_is_known_is_written() {
        let mut record = CallRecord::new(RequestId::generate());
        record.trace_id = Some("4bf92f3577b34da6a3ce929d0e0e4736".into());
        record.source = Some("::ffff:192.0.2.1".parse().unwrap());
        record.agent = Some("reporting".parse().unwrap());
        record.subject = Some("ada".parse().unwrap());
        record.credential = Some("k1f3".into());
        record.asked = Some("get_record".into());
        record.tool = Some(tool("get_record"));
        record.arguments = Some(r#"{"id":"C-17"}"#.into());
        record.output = Some(ByteCount(512));
        record.queued = Some(Duration::from_millis(3));
        let (fuel, peak_memory) = (Fuel(1_000), ByteCount(65_536));
        record.cost =
            Some(Spent { fuel, peak_memory, run: Duration::from_micros(1_500), host_calls: 2 });
        let fields: Value = serde_json::from_str(&line(&ended(record, Ending::Ok))).unwrap();
        for (field, value) in [
            ("trace_id", json!("4bf92f3577b34da6a3ce929d0e0e4736")),
            ("source", json!("192.0.2.1")),
            ("agent", json!("reporting")),
            ("subject", json!("ada")),
            ("credential", json!("k1f3")),
            ("tool", json!("get_record")),
            ("plugin", json!("records")),
            ("plugin_version", json!("1.2.0")),
            ("digest", json!("d1".repeat(32))),
            ("outcome", json!("ok")),
            ("code", Value::Null),
            ("arguments", json!({"id": {"type": "string", "length": 4}})),
            ("output_bytes", json!(512)),
            ("queue_ms", json!(3.0)),
            ("run_ms", json!(1.5)),
            ("fuel", json!(1_000)),
            ("meter", json!("wasmtime-48")),
            ("peak_memory_bytes", json!(65_536)),
            ("host_calls", json!(2)),
            ("input_bytes", json!(13)),
        ] {
            assert_eq!(fields[field], value, "{field}");
        }
    }

    #[test]
    fn the_code_is_the_plugins_own_and_decides_the_outcome() {
        let plugin = Code::Plugin(PluginCode::parse("RECORD_NOT_FOUND").unwrap());
        for (code, written, outcome) in [
            (plugin, "RECORD_NOT_FOUND", "failed"),
            (Code::RateLimited, "RATE_LIMITED", "refused"),
            (Code::FuelExhausted, "FUEL_EXHAUSTED", "failed"),
            (Code::Cancelled, "CANCELLED", "cancelled"),
        ] {
            let record = CallRecord::new(RequestId::generate());
            let ending = Ending::from(&Error::new(code, ""));
            let fields: Value = serde_json::from_str(&line(&ended(record, ending))).unwrap();
            assert_eq!((&fields["code"], &fields["outcome"]), (&json!(written), &json!(outcome)));
        }
    }

    /// A torn line is found again only if lines are bounded.
    #[test]
    fn the_longest_line_is_bounded() {
        let name = |n: usize| format!("{n:04}{}", "\u{10ffff}".repeat(100));
        let members: Vec<String> = (0..40).map(|n| format!(r#""{}":"""#, name(n))).collect();
        let inner = format!("{{{}}}", members.join(","));
        let members: Vec<String> = (0..40).map(|n| format!(r#""{}":{inner}"#, name(n))).collect();
        let mut record = CallRecord::new(RequestId::generate());
        record.arguments = Some(format!("{{{}}}", members.join(",")).into());
        record.agent = Some("a".repeat(64).parse().unwrap());
        record.subject = Some("\"".repeat(256).parse().unwrap());
        record.credential = Some("\\".repeat(1_000).into());
        record.asked = Some("\u{10ffff}".repeat(100_000).into());
        record.trace_id = Some("\u{10ffff}".repeat(100_000).into());
        record.gate = Some(Gate::Invoke);
        let frames = vec!["\"".repeat(200); 100];
        record.why = Some(Why::of(&Error::new(Code::ToolCrashed, "").note("backtrace", frames)));
        let length = line(&ended(record, Ending::Error(Code::ToolNotFound))).len();
        assert!((32 << 10..MAX_LINE_BYTES / 4 * 3).contains(&length), "{length}");
    }

    #[test]
    fn a_trace_id_is_well_formed_or_none() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let rest = "00f067aa0ba902b7-01";
        assert_eq!(trace_id(&format!("00-{id}-{rest}")), Some(id));
        assert_eq!(trace_id(&format!("cc-{id}-{rest}-later")), Some(id));
        let zeros = "0".repeat(32);
        for bad in [
            "".to_owned(),
            id.to_owned(),
            format!("ff-{id}-{rest}"),
            format!("00-{zeros}-{rest}"),
            format!("00-{}-{rest}", id.to_uppercase()),
            format!("00-{}-{rest}", &id[1..]),
        ] {
            assert_eq!(trace_id(&bad), None, "{bad}");
        }
    }
}
