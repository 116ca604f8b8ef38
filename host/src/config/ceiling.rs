//! Ceilings: the most that a default, a sidecar or a tool's rules may set.
//!
//! Some are the operator's (`[ceiling]`), some follow from what there is: no call can
//! use more memory than all calls together may, and no plugin can run more calls than
//! there is room for. A quota above its ceiling would be a promise that nothing keeps.

use std::time::Duration;

use super::quota::{PerCall, PerCallPatch, PerPlugin, PerPluginPatch};
use super::server::{Server, Totals};
use super::walk::Section;
use crate::names::{ByteCount, Fuel};

/// The most of one quota, and the key that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceiling<T> {
    /// The most, inclusive.
    pub most: T,
    /// The key of `bulkhead.toml` that would have to be raised.
    pub set_by: &'static str,
}

impl<T: PartialOrd + Copy> Ceiling<T> {
    /// `value`, or the ceiling where that is lower.
    fn cap(&self, value: T) -> T {
        if value > self.most { self.most } else { value }
    }

    /// Reports a value that was written above the ceiling.
    pub(super) fn check(
        &self,
        section: &mut Section<'_>,
        key: &'static str,
        value: Option<T>,
        show: fn(&T) -> String,
    ) {
        if value.is_some_and(|value| value > self.most) {
            let most = show(&self.most);
            let why = format!("is above the server's ceiling of {most} (`{}`)", self.set_by);
            section.refuse(key, &why);
        }
    }
}

/// A ceiling that only a quota's own range sets.
fn range<T>(most: T) -> Ceiling<T> {
    Ceiling { most, set_by: "its range" }
}

/// The ceiling that `key` sets, unless `other` is lower.
fn written<T: PartialOrd>(most: Option<T>, key: &'static str, other: Ceiling<T>) -> Ceiling<T> {
    match most {
        Some(most) if most <= other.most => Ceiling { most, set_by: key },
        Some(_) | None => other,
    }
}

/// The ceilings of every quota that has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the quotas")]
pub struct Ceilings {
    pub fuel: Ceiling<Fuel>,
    pub memory: Ceiling<ByteCount>,
    pub deadline: Ceiling<Duration>,
    pub max_input: Ceiling<ByteCount>,
    pub max_output: Ceiling<ByteCount>,
    pub host_calls: Ceiling<u32>,
    pub log_lines: Ceiling<u32>,
    pub concurrency: Ceiling<u32>,
    /// Of each agent, over whatever plugins.
    pub agent_concurrency: Ceiling<u32>,
    pub queue: Ceiling<u32>,
    pub queue_timeout: Ceiling<Duration>,
}

impl Ceilings {
    /// Reads `[ceiling]`; what it leaves out is bounded by the rest of the
    /// configuration, or by a quota's own range.
    pub(super) fn read(section: &mut Section<'_>, server: &Server, totals: &Totals) -> Self {
        let call = section.table("per_call", PerCallPatch::read_freely);
        let plugin = section.table("per_plugin", PerPluginPatch::read_freely);
        let memory = Ceiling { most: totals.memory, set_by: "sandbox.memory" };
        let body = Ceiling { most: server.max_body, set_by: "server.max_body" };
        let calls = Ceiling { most: totals.calls, set_by: "sandbox.calls" };
        Self {
            fuel: written(call.fuel, "ceiling.per_call.fuel", range(Fuel(u64::MAX))),
            memory: written(call.memory, "ceiling.per_call.memory", memory),
            deadline: written(call.deadline, "ceiling.per_call.deadline", range(Duration::MAX)),
            max_input: written(call.max_input, "ceiling.per_call.max_input", body),
            max_output: written(
                call.max_output,
                "ceiling.per_call.max_output",
                range(ByteCount(u64::MAX)),
            ),
            host_calls: written(call.host_calls, "ceiling.per_call.host_calls", range(u32::MAX)),
            log_lines: written(call.log_lines, "ceiling.per_call.log_lines", range(u32::MAX)),
            concurrency: written(plugin.concurrency, "ceiling.per_plugin.concurrency", calls),
            agent_concurrency: calls,
            queue: written(plugin.queue, "ceiling.per_plugin.queue", range(u32::MAX)),
            queue_timeout: written(
                plugin.queue_timeout,
                "ceiling.per_plugin.queue_timeout",
                range(Duration::MAX),
            ),
        }
    }

    /// The default quotas of a call, none of them above its ceiling.
    pub(super) fn default_per_call(&self) -> PerCall {
        let PerCall { fuel, memory, deadline, max_input, max_output, host_calls, log_lines } =
            PerCall::default();
        PerCall {
            fuel: self.fuel.cap(fuel),
            memory: self.memory.cap(memory),
            deadline: self.deadline.cap(deadline),
            max_input: self.max_input.cap(max_input),
            max_output: self.max_output.cap(max_output),
            host_calls: self.host_calls.cap(host_calls),
            log_lines: self.log_lines.cap(log_lines),
        }
    }

    /// The default quotas of a plugin, none of them above its ceiling.
    pub(super) fn default_per_plugin(&self) -> PerPlugin {
        let PerPlugin { concurrency, queue, queue_timeout, rate } = PerPlugin::default();
        PerPlugin {
            concurrency: self.concurrency.cap(concurrency),
            queue: self.queue.cap(queue),
            queue_timeout: self.queue_timeout.cap(queue_timeout),
            rate,
        }
    }
}

#[cfg(test)]
impl Ceilings {
    /// Ceilings that nothing reaches.
    pub(crate) fn none() -> Self {
        crate::config::Config::load(None, [("BULKHEAD__SERVER__MAX_BODY".into(), "64MiB".into())])
            .map(|config| config.ceilings)
            .unwrap_or_else(|problems| panic!("{problems}"))
    }
}
