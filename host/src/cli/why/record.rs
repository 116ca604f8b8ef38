//! A record as `bulkhead why` reads it, and the verdict of each gate.

use serde::{Deserialize, Serialize};

use crate::error::Code;
use crate::telemetry::Gate;

/// What of an audit record explains a call. Older records have no `why`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    pub(super) time: String,
    pub(super) request_id: String,
    pub(super) server_version: String,
    pub(super) source: Option<String>,
    pub(super) agent: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) credential: Option<String>,
    pub(super) tool: Option<String>,
    pub(super) plugin: Option<String>,
    pub(super) plugin_version: Option<String>,
    pub(super) digest: Option<String>,
    pub(super) outcome: String,
    pub(super) code: Option<String>,
    pub(super) input_bytes: Option<u64>,
    pub(super) duration_ms: f64,
    pub(super) queue_ms: Option<f64>,
    pub(super) run_ms: Option<f64>,
    pub(super) fuel: Option<u64>,
    pub(super) peak_memory_bytes: Option<u64>,
    pub(super) host_calls: Option<u32>,
    pub(super) why: Option<Why>,
}

/// The record's `why`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Why {
    pub(super) gate: String,
    pub(super) limit: Option<String>,
    pub(super) quota: Option<String>,
    pub(super) plugin: Option<String>,
    pub(super) missing: Vec<String>,
    pub(super) violations: Vec<Violation>,
    pub(super) wait_ms: Option<f64>,
    pub(super) rate: Option<String>,
    pub(super) burst: Option<u32>,
    pub(super) concurrency: Option<u32>,
    pub(super) queue: Option<u32>,
    pub(super) queue_timeout_ms: Option<u64>,
    pub(super) rules: Vec<String>,
    pub(super) failing: Vec<String>,
    pub(super) unfit: bool,
    /// The setting that refused, as `output.injection`, and what it was about.
    pub(super) setting: Option<String>,
    pub(super) found: Option<String>,
    pub(super) cause: Option<String>,
    pub(super) trap: Option<String>,
    pub(super) backtrace: Vec<String>,
}

/// Where the arguments broke which rule of the schema.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Violation {
    pub(super) path: Option<String>,
    pub(super) rule: Option<String>,
}

/// What became of a call at one gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// It said yes.
    Passed,
    /// It said no, or its work failed.
    Decided,
    /// The call was there when something else ended it.
    Interrupted,
    NotReached,
    /// An older record does not tell.
    Unknown,
}

impl Verdict {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Decided => "decided",
            Self::Interrupted => "interrupted",
            Self::NotReached => "not reached",
            Self::Unknown => "unknown",
        }
    }
}

impl Record {
    /// How it ended: one of the host's codes, a plugin's own, or well.
    pub(super) fn ending(&self) -> Ending<'_> {
        match &self.code {
            None => Ending::Well,
            Some(code) => match Code::HOST.iter().find(|own| own.as_str() == code) {
                Some(own) => Ending::Host(own),
                None => Ending::Plugin(code),
            },
        }
    }

    /// The gate that the call was at when it ended.
    pub(super) fn last_gate(&self) -> Option<Gate> {
        let told = self.why.as_ref().and_then(|why| why.gate.parse().ok());
        told.or_else(|| self.inferred())
    }

    /// The same, from the rest of a record that does not tell.
    fn inferred(&self) -> Option<Gate> {
        // Known from the permit on.
        let permitted = self.plugin.is_some();
        let after = |no: Gate, yes: Gate| if permitted { yes } else { no };
        match self.ending() {
            Ending::Well => None,
            Ending::Plugin(_) => Some(Gate::Clean),
            Ending::Host(code) => match code {
                Code::Unauthenticated => Some(Gate::Authenticate),
                Code::InsufficientScope | Code::ToolNotFound => Some(Gate::Authorize),
                Code::PermissionDenied => Some(after(Gate::Authorize, Gate::Approve)),
                Code::RateLimited => Some(after(Gate::Charge, Gate::Admit)),
                Code::InvalidArguments => Some(Gate::Check),
                Code::FuelExhausted
                | Code::MemoryExceeded
                | Code::ToolCrashed
                | Code::DeadlineExceeded
                | Code::UpstreamUnavailable => Some(Gate::Invoke),
                Code::OutputTooLarge | Code::OutputRejected | Code::ToolError => Some(Gate::Clean),
                Code::Unavailable if self.fuel.is_some() => Some(Gate::Invoke),
                Code::Unavailable if self.queue_ms.is_some() => Some(Gate::Acquire),
                Code::Unavailable
                | Code::Internal
                | Code::Cancelled
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
                | Code::UnsupportedProtocolVersion => None,
                Code::Plugin(_) => Some(Gate::Clean),
            },
        }
    }

    /// The gate whose decision ended the call; none where nobody at a gate decided.
    pub(super) fn decider(&self) -> Option<Gate> {
        match self.ending() {
            Ending::Well => None,
            // Of a call in flight, too: whether it may go on is decided anew.
            Ending::Host(Code::Unauthenticated) => Some(Gate::Authenticate),
            Ending::Host(Code::Cancelled) => None,
            Ending::Host(_) | Ending::Plugin(_) => self.last_gate(),
        }
    }

    /// What became of the call at each gate.
    pub(super) fn verdicts(&self) -> Vec<(Gate, Verdict)> {
        let (last, decider) = (self.last_gate(), self.decider());
        let well = self.ending() == Ending::Well;
        let verdict = |gate: Gate| match last {
            None if well => Verdict::Passed,
            // Whose record names an agent was let in.
            None if gate == Gate::Authenticate && self.agent.is_some() => Verdict::Passed,
            None => Verdict::Unknown,
            Some(_) if decider == Some(gate) => Verdict::Decided,
            Some(last) if gate < last => Verdict::Passed,
            Some(last) if gate == last => Verdict::Interrupted,
            Some(_) => Verdict::NotReached,
        };
        Gate::ALL.into_iter().map(|gate| (gate, verdict(gate))).collect()
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending<'r> {
    Well,
    Host(&'r Code),
    /// The tool said that it failed.
    Plugin(&'r str),
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn verdicts(record: Value) -> Vec<Verdict> {
        let record: Record = serde_json::from_value(record).unwrap();
        record.verdicts().into_iter().map(|(_, verdict)| verdict).collect()
    }

    #[test]
    fn every_gate_has_its_verdict() {
        use Verdict::{Decided, Interrupted, NotReached, Passed, Unknown};
        let at = |n: usize, verdict: Verdict| {
            let mut all = vec![Passed; n];
            all.push(verdict);
            all.resize(9, NotReached);
            all
        };
        assert_eq!(verdicts(json!({ "code": null, "agent": "a" })), vec![Passed; 9]);
        for (n, gate) in Gate::ALL.into_iter().enumerate() {
            let why = json!({ "gate": gate.as_str() });
            assert_eq!(verdicts(json!({ "code": "INTERNAL", "why": why })), at(n, Decided));
            assert_eq!(verdicts(json!({ "code": "CANCELLED", "why": why })), at(n, Interrupted));
        }
        let mut revoked = at(7, Interrupted);
        revoked[0] = Decided;
        assert_eq!(
            verdicts(json!({ "code": "UNAUTHENTICATED", "why": { "gate": "invoke" } })),
            revoked
        );
        let mut unknown = vec![Unknown; 9];
        assert_eq!(verdicts(json!({ "code": "INTERNAL" })), unknown);
        unknown[0] = Passed;
        assert_eq!(verdicts(json!({ "code": "CANCELLED", "agent": "a" })), unknown);
    }

    #[test]
    fn an_older_record_tells_as_much_as_it_can() {
        for (code, plugin, gate) in [
            ("UNAUTHENTICATED", None, "authenticate"),
            ("RATE_LIMITED", None, "charge"),
            ("RATE_LIMITED", Some("p"), "admit"),
            ("PERMISSION_DENIED", None, "authorize"),
            ("PERMISSION_DENIED", Some("p"), "approve"),
            ("INVALID_ARGUMENTS", Some("p"), "check"),
            ("TOOL_CRASHED", Some("p"), "invoke"),
            ("RECORD_NOT_FOUND", Some("p"), "clean"),
        ] {
            let record = json!({ "code": code, "plugin": plugin });
            let record: Record = serde_json::from_value(record).unwrap();
            assert_eq!(record.decider().map(Gate::as_str), Some(gate), "{code}");
        }
        let waited = json!({ "code": "UNAVAILABLE", "plugin": "p", "queue_ms": 3.0 });
        let waited: Record = serde_json::from_value(waited).unwrap();
        assert_eq!(waited.decider(), Some(Gate::Acquire));
    }
}
