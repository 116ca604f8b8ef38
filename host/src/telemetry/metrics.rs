//! Counts and times of calls, for whoever scrapes `/metrics`.
//!
//! Invariant: the number of series is bounded. A label is a code of ours, or the
//! name of a tool that is or was served (at most [`MAX_TOOLS`]), never what a client
//! wrote.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::record::Ending;
use crate::names::{Fuel, ToolName};

/// The media type of what [`Metrics::encode`] returns (OpenMetrics 1.0).
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How many tools have series of their own: each has about 25. What is served beyond
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
struct PerTool {
    tool: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PerToolAndCode {
    tool: String,
    code: &'static str,
}

/// What is counted for each tool.
struct Families {
    calls: Family<PerToolAndCode, Counter>,
    duration: Family<PerTool, Histogram, fn() -> Histogram>,
    fuel: Family<PerTool, Counter>,
}

impl Default for Families {
    fn default() -> Self {
        Self {
            calls: Family::default(),
            duration: Family::new_with_constructor(|| Histogram::new(DURATION_SECONDS)),
            fuel: Family::default(),
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
            fuel: self.fuel.get_or_create_owned(&tool),
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
    fuel: Counter,
}

/// All series of one process.
pub struct Metrics {
    registry: Registry,
    families: Families,
    in_flight: Gauge,
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
        to.register("fuel", "Fuel that guests burned", families.fuel.clone());
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

    /// A call begins.
    pub(super) fn opened(&self) {
        self.in_flight.inc();
    }

    /// A call that [`Metrics::opened`] counted ends.
    pub(super) fn closed(
        &self,
        tool: Option<&ToolName>,
        ending: &Ending,
        duration: Duration,
        fuel: Option<Fuel>,
    ) {
        self.in_flight.dec();
        let series = self.series(tool);
        match ending {
            Ending::Ok => series.ok.inc(),
            Ending::Error(_) => self.families.calls(&series.label, ending.label()).inc(),
        };
        series.duration.observe(duration.as_secs_f64());
        series.fuel.inc_by(fuel.map_or(0, |fuel| fuel.0));
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

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn calls_are_counted_by_tool_and_code() {
        let metrics = Metrics::new();
        let tool: ToolName = "get_record".parse().unwrap();
        let not_found = Code::Plugin(PluginCode::parse("RECORD_NOT_FOUND").unwrap());
        let close = |tool, ending, fuel| {
            metrics.opened();
            metrics.closed(tool, &ending, 2 * MS, fuel);
        };
        close(Some(&tool), Ending::Ok, Some(Fuel(100)));
        close(Some(&tool), Ending::Ok, Some(Fuel(20)));
        close(Some(&tool), Ending::Error(not_found), Some(Fuel(3)));
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
            let tool: ToolName = format!("tool{n}").parse().unwrap();
            metrics.closed(Some(&tool), &Ending::Ok, MS, None);
        }
        let text = metrics.encode();
        assert_eq!(text.matches("bulkhead_fuel_total").count(), MAX_TOOLS + 1);
        assert!(text.contains(r#"bulkhead_calls_total{tool="unknown",code="OK"} 10"#));
    }
}
