//! Counts and times of calls, for whoever scrapes `/metrics`.
//!
//! Invariant: the number of series is bounded. A label is a code of ours, or the
//! name of a tool that is or was served (at most [`MAX_TOOLS`]), never what a client
//! wrote.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::record::{CallRecord, Ending};
use crate::names::ToolName;
use crate::runtime::Spent;
use crate::sanitize::Told;

/// The media type of what [`Metrics::encode`] returns (OpenMetrics 1.0).
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How many tools have series of their own: each has about 40. What is served beyond
/// them counts as [`UNKNOWN`].
const MAX_TOOLS: usize = 1_000;

/// The label of calls that name no served tool.
const UNKNOWN: &str = "unknown";

/// Upper ends of the classes of a call's duration, in seconds: from a tool that only
/// computes to the longest deadline that most operators set.
const DURATION_SECONDS: [f64; 16] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 30.0,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PerReason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PerKind {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PerSignal {
    signal: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PerTool {
    tool: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PerToolAndCode {
    tool: String,
    code: &'static str,
}

/// Upper ends of the classes of a call's peak memory, in bytes: from a Rust tool to an
/// interpreter with its data.
const PEAK_MEMORY_BYTES: [f64; 6] = [
    (1 << 20) as f64,
    (4 << 20) as f64,
    (16 << 20) as f64,
    (64 << 20) as f64,
    (256 << 20) as f64,
    (1 << 30) as f64,
];

/// What is counted for each tool.
struct Families {
    calls: Family<PerToolAndCode, Counter>,
    duration: Family<PerTool, Histogram, fn() -> Histogram>,
    peak_memory: Family<PerTool, Histogram, fn() -> Histogram>,
    queued: Family<PerTool, Counter<f64, AtomicU64>>,
    run: Family<PerTool, Counter<f64, AtomicU64>>,
    fuel: Family<PerTool, Counter>,
    host_calls: Family<PerTool, Counter>,
    input: Family<PerTool, Counter>,
    output: Family<PerTool, Counter>,
}

impl Default for Families {
    fn default() -> Self {
        Self {
            calls: Family::default(),
            duration: Family::new_with_constructor(|| Histogram::new(DURATION_SECONDS)),
            peak_memory: Family::new_with_constructor(|| Histogram::new(PEAK_MEMORY_BYTES)),
            queued: Family::default(),
            run: Family::default(),
            fuel: Family::default(),
            host_calls: Family::default(),
            input: Family::default(),
            output: Family::default(),
        }
    }
}

impl Families {
    fn series(&self, label: &str) -> Arc<ToolSeries> {
        let tool = PerTool { tool: label.to_owned() };
        Arc::new(ToolSeries {
            label: label.to_owned(),
            ok: self.calls(label, Ending::Ok.label()),
            duration: self.duration.get_or_create_owned(&tool),
            peak_memory: self.peak_memory.get_or_create_owned(&tool),
            queued: self.queued.get_or_create_owned(&tool),
            run: self.run.get_or_create_owned(&tool),
            fuel: self.fuel.get_or_create_owned(&tool),
            host_calls: self.host_calls.get_or_create_owned(&tool),
            input: self.input.get_or_create_owned(&tool),
            output: self.output.get_or_create_owned(&tool),
        })
    }

    fn calls(&self, tool: &str, code: &'static str) -> Counter {
        self.calls.get_or_create_owned(&PerToolAndCode { tool: tool.to_owned(), code })
    }
}

/// One tool's series, looked up once.
#[derive(Debug)]
struct ToolSeries {
    label: String,
    ok: Counter,
    duration: Histogram,
    peak_memory: Histogram,
    queued: Counter<f64, AtomicU64>,
    run: Counter<f64, AtomicU64>,
    fuel: Counter,
    host_calls: Counter,
    input: Counter,
    output: Counter,
}

impl ToolSeries {
    fn count(&self, record: &CallRecord) {
        if let Some(Spent { fuel, peak_memory, run, host_calls }) = record.cost {
            self.peak_memory.observe(peak_memory.0 as f64);
            self.run.inc_by(run.as_secs_f64());
            self.fuel.inc_by(fuel.0);
            self.host_calls.inc_by(host_calls.into());
        }
        self.queued.inc_by(record.queued.unwrap_or_default().as_secs_f64());
        self.input.inc_by(record.input().unwrap_or_default().0);
        self.output.inc_by(record.output.unwrap_or_default().0);
    }
}

/// All series of one process.
pub struct Metrics {
    registry: Registry,
    families: Families,
    in_flight: Gauge,
    authentication_failures: Family<PerReason, Counter>,
    sanitized: Family<PerKind, Counter>,
    signals: Family<PerSignal, Counter>,
    audit_written: Counter,
    audit_lost: Counter,
    tools: ArcSwap<HashMap<ToolName, Arc<ToolSeries>>>,
    unknown: Arc<ToolSeries>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Series that have counted nothing yet.
    pub fn new() -> Self {
        let families = Families::default();
        let mut metrics = Self {
            registry: Registry::with_prefix("bulkhead"),
            unknown: families.series(UNKNOWN),
            families,
            in_flight: Gauge::default(),
            authentication_failures: Family::default(),
            sanitized: Family::default(),
            signals: Family::default(),
            audit_written: Counter::default(),
            audit_lost: Counter::default(),
            tools: ArcSwap::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let (to, families) = (&mut self.registry, &self.families);
        to.register("calls", "Calls that have ended", families.calls.clone());
        let duration = families.duration.clone();
        let help = "Time from a call's arrival to its answer";
        to.register_with_unit("call_duration", help, Unit::Seconds, duration);
        to.register("calls_in_flight", "Calls that have not ended", self.in_flight.clone());
        let help = "The most memory that a call used at once";
        to.register_with_unit("call_peak_memory", help, Unit::Bytes, families.peak_memory.clone());
        let help = "Time that calls waited for their slots";
        to.register_with_unit("queue", help, Unit::Seconds, families.queued.clone());
        let help = "Time from a guest's start to its end";
        to.register_with_unit("run", help, Unit::Seconds, families.run.clone());
        to.register("fuel", "Fuel that guests burned", families.fuel.clone());
        let help = "Calls of capabilities by guests";
        to.register("host_calls", help, families.host_calls.clone());
        let help = "Arguments of calls";
        to.register_with_unit("input", help, Unit::Bytes, families.input.clone());
        let help = "Results of calls";
        to.register_with_unit("output", help, Unit::Bytes, families.output.clone());
        let help = "Requests without an accepted credential";
        to.register("authentication_failures", help, self.authentication_failures.clone());
        to.register("sanitized", "What was changed in results", self.sanitized.clone());
        let help = "Results that seem to instruct the model";
        to.register("injection_signals", help, self.signals.clone());
        to.register("audit_records", "Audit records written", self.audit_written.clone());
        let lost = self.audit_lost.clone();
        to.register("audit_records_lost", "Audit records that could not be written", lost);
    }

    /// Everything, as OpenMetrics text of the type [`CONTENT_TYPE`].
    pub fn encode(&self) -> String {
        let mut to = String::new();
        // Writing to a string fails only where a metric of ours fails to say what it is.
        if text::encode(&mut to, &self.registry).is_err() {
            to.clear();
        }
        to
    }

    /// A request was turned away for want of an accepted credential.
    pub fn turned_away(&self, presented: bool) {
        let reason = if presented { "not_accepted" } else { "missing" };
        self.authentication_failures.get_or_create_owned(&PerReason { reason }).inc();
    }

    /// An output was cleaned.
    pub fn sanitized(&self, told: &Told) {
        for (kind, count) in told.changes.named() {
            if count > 0 {
                self.sanitized.get_or_create_owned(&PerKind { kind }).inc_by(count as u64);
            }
        }
        for signal in told.signals.found() {
            self.signals.get_or_create_owned(&PerSignal { signal: signal.as_str() }).inc();
        }
    }

    /// A call begins.
    pub(super) fn opened(&self) {
        self.in_flight.inc();
    }

    /// A call that [`Metrics::opened`] counted ends.
    pub(super) fn closed(&self, record: &CallRecord, ending: &Ending, duration: Duration) {
        self.in_flight.dec();
        let series = self.series(record.tool.as_ref().map(|tool| &tool.name));
        match ending {
            Ending::Ok => series.ok.inc(),
            Ending::Error(_) => self.families.calls(&series.label, ending.label()).inc(),
        };
        series.duration.observe(duration.as_secs_f64());
        series.count(record);
    }

    /// Records reached the audit log.
    pub(super) fn audit_written(&self, records: u64) {
        self.audit_written.inc_by(records);
    }

    /// Records never will.
    pub(super) fn audit_lost(&self, records: u64) {
        self.audit_lost.inc_by(records);
    }

    fn series(&self, tool: Option<&ToolName>) -> Arc<ToolSeries> {
        let known = self.tools.load();
        let Some(tool) = tool else {
            return Arc::clone(&self.unknown);
        };
        if let Some(series) = known.get(tool) {
            return Arc::clone(series);
        }
        if known.len() >= MAX_TOOLS {
            return Arc::clone(&self.unknown);
        }
        // Two that do this at once make handles of the same series: either may stay.
        let series = self.families.series(tool.as_str());
        self.tools.rcu(|known| {
            let mut known = HashMap::clone(known);
            known.insert(tool.clone(), Arc::clone(&series));
            known
        });
        series
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Code, PluginCode};
    use crate::names::{ByteCount, Fuel, RequestId};
    use crate::telemetry::record::tests::tool;

    const MS: Duration = Duration::from_millis(1);

    fn record(name: Option<&str>, fuel: Option<u64>) -> CallRecord {
        let spent = |fuel| Spent {
            fuel: Fuel(fuel),
            peak_memory: ByteCount(2 << 20),
            run: MS,
            host_calls: 3,
        };
        CallRecord {
            tool: name.map(tool),
            arguments: Some("{}".into()),
            output: fuel.map(|_| ByteCount(10)),
            queued: Some(MS),
            cost: fuel.map(spent),
            ..CallRecord::new(RequestId::generate())
        }
    }

    #[test]
    fn calls_are_counted_by_tool_and_code() {
        let metrics = Metrics::new();
        let not_found = Code::Plugin(PluginCode::parse("RECORD_NOT_FOUND").unwrap());
        let close = |name, ending, fuel| {
            metrics.opened();
            metrics.closed(&record(name, fuel), &ending, 2 * MS);
        };
        let name = Some("get_record");
        close(name, Ending::Ok, Some(100));
        close(name, Ending::Ok, Some(20));
        close(name, Ending::Error(not_found), Some(3));
        close(None, Ending::Error(Code::ToolNotFound), None);
        metrics.opened();
        metrics.audit_written(4);
        metrics.audit_lost(1);
        let text = metrics.encode();
        for line in [
            r#"bulkhead_calls_total{tool="get_record",code="OK"} 2"#,
            r#"bulkhead_calls_total{tool="get_record",code="TOOL_ERROR"} 1"#,
            r#"bulkhead_calls_total{tool="unknown",code="TOOL_NOT_FOUND"} 1"#,
            r#"bulkhead_call_duration_seconds_count{tool="get_record"} 3"#,
            r#"bulkhead_call_duration_seconds_bucket{le="0.0025",tool="get_record"} 3"#,
            r#"bulkhead_call_duration_seconds_bucket{le="0.001",tool="get_record"} 0"#,
            r#"bulkhead_fuel_total{tool="get_record"} 123"#,
            r#"bulkhead_call_peak_memory_bytes_bucket{le="1048576.0",tool="get_record"} 0"#,
            r#"bulkhead_call_peak_memory_bytes_bucket{le="4194304.0",tool="get_record"} 3"#,
            r#"bulkhead_queue_seconds_total{tool="get_record"} 0.003"#,
            r#"bulkhead_run_seconds_total{tool="get_record"} 0.003"#,
            r#"bulkhead_host_calls_total{tool="get_record"} 9"#,
            r#"bulkhead_input_bytes_total{tool="get_record"} 6"#,
            r#"bulkhead_output_bytes_total{tool="get_record"} 30"#,
            "bulkhead_calls_in_flight 1",
            "bulkhead_audit_records_total 4",
            "bulkhead_audit_records_lost_total 1",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn series_are_bounded() {
        let metrics = Metrics::new();
        for n in 0..MAX_TOOLS + 10 {
            metrics.opened();
            metrics.closed(&record(Some(&format!("tool{n}")), None), &Ending::Ok, MS);
        }
        let text = metrics.encode();
        assert_eq!(text.matches("bulkhead_fuel_total").count(), MAX_TOOLS + 1);
        assert!(text.contains(r#"bulkhead_calls_total{tool="unknown",code="OK"} 10"#));
    }
}
