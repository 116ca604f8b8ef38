//! Quotas and rates: what one call may spend, what all calls of a plugin may
//! spend together, and what each agent may do.
//!
//! The same three tables stand in `bulkhead.toml`, in a sidecar, and under a
//! sidecar's `[tools.X]`. What a nearer table leaves out, the farther one says:
//! a patch holds what was written, and [`PerCallPatch::over`] and its siblings
//! lay it over the base.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::ceiling::Ceilings;
use super::walk::{Section, byte_count, count, duration, fuel, rate};
use crate::names::{ByteCount, Fuel, Rate};

/// What one call may spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerCall {
    /// Wasm instructions, roughly; 1,000 for each call of the host, inert WASI included,
    /// and 20 for each random byte. What is spent on the host is compared at each tick
    /// (10 ms): a call can pass its quota by what it spends so in one. `1k` to `1T`;
    /// default `500M`.
    pub fuel: Fuel,
    /// All linear memories and tables of the call together. `64KiB` (one wasm
    /// page) to `4GiB`; default `64MiB`.
    pub memory: ByteCount,
    /// Wall clock from the guest's start, host calls included. `1ms` to `10min`;
    /// default `5s`.
    pub deadline: Duration,
    /// The arguments as JSON text. `64B` to `64MiB`; default `256KiB`.
    pub max_input: ByteCount,
    /// The whole result. `64B` to `64MiB`; default `256KiB`.
    pub max_output: ByteCount,
    /// Calls of capabilities (log, progress), not of inert WASI. `0` to
    /// `1_000_000`; default `1_000`.
    pub host_calls: u32,
    /// Lines for the operator's log: those that it logs, a further one of which ends
    /// the call, and those that it prints, further ones of which are dropped. `0` to
    /// `10_000`; default `100`.
    pub log_lines: u32,
}

impl Default for PerCall {
    fn default() -> Self {
        Self {
            fuel: Fuel(500_000_000),
            memory: ByteCount(64 << 20),
            deadline: Duration::from_secs(5),
            max_input: ByteCount(256 << 10),
            max_output: ByteCount(256 << 10),
            host_calls: 1_000,
            log_lines: 100,
        }
    }
}

/// The part of a [`PerCall`] that was written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerCallPatch {
    /// See [`PerCall::fuel`].
    pub fuel: Option<Fuel>,
    /// See [`PerCall::memory`].
    pub memory: Option<ByteCount>,
    /// See [`PerCall::deadline`].
    pub deadline: Option<Duration>,
    /// See [`PerCall::max_input`].
    pub max_input: Option<ByteCount>,
    /// See [`PerCall::max_output`].
    pub max_output: Option<ByteCount>,
    /// See [`PerCall::host_calls`].
    pub host_calls: Option<u32>,
    /// See [`PerCall::log_lines`].
    pub log_lines: Option<u32>,
}

const FUEL: RangeInclusive<Fuel> = Fuel(1_000)..=Fuel(1_000_000_000_000);
const MEMORY: RangeInclusive<ByteCount> = ByteCount(64 << 10)..=ByteCount(4 << 30);
const DEADLINE: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(600);
/// The upper end is that of `server.max_body`: no more ever arrives.
const TEXT: RangeInclusive<ByteCount> = ByteCount(64)..=ByteCount(64 << 20);
const HOST_CALLS: RangeInclusive<u32> = 0..=1_000_000;
const LOG_LINES: RangeInclusive<u32> = 0..=10_000;

impl PerCallPatch {
    /// What was written, key by key, as it is written.
    pub fn written(&self) -> Vec<(&'static str, String)> {
        let Self { fuel, memory, deadline, max_input, max_output, host_calls, log_lines } = self;
        [
            ("fuel", fuel.map(|fuel| fuel.to_string())),
            ("memory", memory.map(|memory| memory.to_string())),
            ("deadline", deadline.as_ref().map(millis)),
            ("max_input", max_input.map(|input| input.to_string())),
            ("max_output", max_output.map(|output| output.to_string())),
            ("host_calls", host_calls.map(|calls| calls.to_string())),
            ("log_lines", log_lines.map(|lines| lines.to_string())),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect()
    }

    /// What this patch says, and what `base` says where it is silent.
    #[must_use]
    pub fn over(self, base: PerCall) -> PerCall {
        PerCall {
            fuel: self.fuel.unwrap_or(base.fuel),
            memory: self.memory.unwrap_or(base.memory),
            deadline: self.deadline.unwrap_or(base.deadline),
            max_input: self.max_input.unwrap_or(base.max_input),
            max_output: self.max_output.unwrap_or(base.max_output),
            host_calls: self.host_calls.unwrap_or(base.host_calls),
            log_lines: self.log_lines.unwrap_or(base.log_lines),
        }
    }

    /// Reads what was written, none of it above its ceiling.
    pub(super) fn read(section: &mut Section<'_>, ceilings: &Ceilings) -> Self {
        let read = Self::read_freely(section);
        let Self { fuel, memory, deadline, max_input, max_output, host_calls, log_lines } = read;
        ceilings.fuel.check(section, "fuel", fuel, Fuel::to_string);
        ceilings.memory.check(section, "memory", memory, ByteCount::to_string);
        ceilings.deadline.check(section, "deadline", deadline, millis);
        ceilings.max_input.check(section, "max_input", max_input, ByteCount::to_string);
        ceilings.max_output.check(section, "max_output", max_output, ByteCount::to_string);
        ceilings.host_calls.check(section, "host_calls", host_calls, u32::to_string);
        ceilings.log_lines.check(section, "log_lines", log_lines, u32::to_string);
        read
    }

    /// Reads what was written, whatever the server's ceilings are.
    pub(super) fn read_freely(section: &mut Section<'_>) -> Self {
        section.unserved("http_requests");
        section.unserved("http_bytes");
        Self {
            fuel: section.get("fuel", fuel(FUEL)),
            memory: section.get("memory", byte_count(MEMORY)),
            deadline: section.get("deadline", duration(DEADLINE)),
            max_input: section.get("max_input", byte_count(TEXT)),
            max_output: section.get("max_output", byte_count(TEXT)),
            host_calls: section.get("host_calls", count(HOST_CALLS)),
            log_lines: section.get("log_lines", count(LOG_LINES)),
        }
    }
}

fn millis(time: &Duration) -> String {
    format!("{}ms", time.as_millis())
}

/// A rate and how much of it may be used at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RateLimit {
    /// How often, on average. At most one cell per microsecond.
    pub rate: Rate,
    /// How many cells at once. `1` to `100_000`; by default a tenth of the rate's
    /// cells, and at least one.
    pub burst: NonZeroU32,
}

/// Keeps `burst` times the slowest rate, one a day, below 2^63 nanoseconds.
const BURST: RangeInclusive<u32> = 1..=100_000;

impl RateLimit {
    /// A rate with its default burst.
    pub fn new(rate: Rate) -> Self {
        let burst = (rate.cells.get() / 10).clamp(*BURST.start(), *BURST.end());
        Self { rate, burst: NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN) }
    }
}

/// Reads `rate` and `burst`. A burst alone is refused: which rate it was chosen
/// for, or whether there is one at all, another table would decide.
pub(super) fn rate_limit(section: &mut Section<'_>) -> Option<RateLimit> {
    let burst = section.get("burst", count(BURST)).and_then(NonZeroU32::new);
    if !section.has("rate") {
        section.refuse("burst", "a burst needs a `rate` beside it");
    }
    let limit = RateLimit::new(section.get("rate", rate)?);
    Some(RateLimit { burst: burst.unwrap_or(limit.burst), ..limit })
}

/// What all calls of a plugin, or of a tool, may spend together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerPlugin {
    /// Calls that run at once. `1` to `10_000`; default `16`.
    pub concurrency: u32,
    /// Calls that may wait for a slot. `0` to `100_000`; default `32`.
    pub queue: u32,
    /// How long one may wait for a slot. `1ms` to `5min`; default `2s`.
    pub queue_timeout: Duration,
    /// How often it may be called. Not limited by default.
    pub rate: Option<RateLimit>,
}

impl Default for PerPlugin {
    fn default() -> Self {
        Self { concurrency: 16, queue: 32, queue_timeout: Duration::from_secs(2), rate: None }
    }
}

/// The part of a [`PerPlugin`] that was written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerPluginPatch {
    /// See [`PerPlugin::concurrency`].
    pub concurrency: Option<u32>,
    /// See [`PerPlugin::queue`].
    pub queue: Option<u32>,
    /// See [`PerPlugin::queue_timeout`].
    pub queue_timeout: Option<Duration>,
    /// A rate with its burst.
    pub rate: Option<RateLimit>,
}

/// The pool's largest size on common machines (`vm.max_map_count`): more would
/// only move the queue into the allocator.
const CONCURRENCY: RangeInclusive<u32> = 1..=10_000;
const QUEUE: RangeInclusive<u32> = 0..=100_000;
const QUEUE_TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(300);

impl PerPluginPatch {
    /// What this patch says, and what `base` says where it is silent.
    #[must_use]
    pub fn over(self, base: PerPlugin) -> PerPlugin {
        PerPlugin {
            concurrency: self.concurrency.unwrap_or(base.concurrency),
            queue: self.queue.unwrap_or(base.queue),
            queue_timeout: self.queue_timeout.unwrap_or(base.queue_timeout),
            rate: self.rate.or(base.rate),
        }
    }

    /// Reads what was written, none of it above its ceiling.
    pub(super) fn read(section: &mut Section<'_>, ceilings: &Ceilings) -> Self {
        let read = Self { rate: rate_limit(section), ..Self::read_freely(section) };
        ceilings.concurrency.check(section, "concurrency", read.concurrency, u32::to_string);
        ceilings.queue.check(section, "queue", read.queue, u32::to_string);
        ceilings.queue_timeout.check(section, "queue_timeout", read.queue_timeout, millis);
        read
    }

    /// Reads what was written, whatever the server's ceilings are; a rate has none.
    pub(super) fn read_freely(section: &mut Section<'_>) -> Self {
        Self {
            concurrency: section.get("concurrency", count(CONCURRENCY)),
            queue: section.get("queue", count(QUEUE)),
            queue_timeout: section.get("queue_timeout", duration(QUEUE_TIMEOUT)),
            rate: None,
        }
    }
}

/// What each agent may do: over all tools, on one plugin, or on one tool,
/// whichever the table stands for. By default nothing is limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerAgent {
    /// How often it may call.
    pub rate: Option<RateLimit>,
    /// How many of its calls may run at once. `1` to `10_000`.
    pub concurrency: Option<u32>,
}

impl PerAgent {
    /// What holds for each agent over all tools unless the configuration says
    /// otherwise: `600/min` with a burst of 60, and 32 calls at once, or as many as
    /// there is room for.
    pub fn over_all_tools(ceilings: &Ceilings) -> Self {
        let rate =
            Rate { cells: const { NonZeroU32::new(600).unwrap() }, per: Duration::from_secs(60) };
        Self {
            rate: Some(RateLimit::new(rate)),
            concurrency: Some(ceilings.agent_concurrency.most.min(32)),
        }
    }
}

/// The part of a [`PerAgent`] that was written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerAgentPatch {
    /// A rate with its burst.
    pub rate: Option<RateLimit>,
    /// See [`PerAgent::concurrency`].
    pub concurrency: Option<u32>,
}

impl PerAgentPatch {
    /// What this patch says, and what `base` says where it is silent.
    #[must_use]
    pub fn over(self, base: PerAgent) -> PerAgent {
        PerAgent {
            rate: self.rate.or(base.rate),
            concurrency: self.concurrency.or(base.concurrency),
        }
    }

    /// Reads what was written, none of it above its ceiling.
    pub(super) fn read(section: &mut Section<'_>, ceilings: &Ceilings) -> Self {
        section.unserved("fuel");
        let concurrency = section.get("concurrency", count(CONCURRENCY));
        ceilings.agent_concurrency.check(section, "concurrency", concurrency, u32::to_string);
        Self { rate: rate_limit(section), concurrency }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(text: &str) -> Option<RateLimit> {
        Some(RateLimit::new(text.parse().unwrap()))
    }

    #[test]
    fn a_patch_wins_where_it_speaks_and_the_base_where_it_is_silent() {
        assert_eq!(PerCallPatch::default().over(PerCall::default()), PerCall::default());
        let patch = PerCallPatch {
            fuel: Some(Fuel(1)),
            memory: Some(ByteCount(2)),
            deadline: Some(Duration::from_secs(3)),
            max_input: Some(ByteCount(4)),
            max_output: Some(ByteCount(5)),
            host_calls: Some(6),
            log_lines: Some(7),
        };
        let patched = PerCall {
            fuel: Fuel(1),
            memory: ByteCount(2),
            deadline: Duration::from_secs(3),
            max_input: ByteCount(4),
            max_output: ByteCount(5),
            host_calls: 6,
            log_lines: 7,
        };
        assert_eq!(patch.over(PerCall::default()), patched);
        assert_eq!(PerCallPatch { fuel: None, ..patch }.over(patched), patched);

        let base = PerPlugin { rate: limit("60/min"), ..PerPlugin::default() };
        assert_eq!(PerPluginPatch::default().over(base), base);
        let patch = PerPluginPatch { rate: limit("1/s"), queue: Some(0), ..Default::default() };
        assert_eq!(patch.over(base), PerPlugin { rate: limit("1/s"), queue: 0, ..base });

        let base = PerAgent::over_all_tools(&Ceilings::none());
        assert_eq!(PerAgentPatch::default().over(base), base);
        let patch = PerAgentPatch { concurrency: Some(1), ..Default::default() };
        assert_eq!(patch.over(base), PerAgent { concurrency: Some(1), ..base });
        assert_eq!(PerAgentPatch::default().over(PerAgent::default()), PerAgent::default());
    }

    #[test]
    fn a_burst_is_a_tenth_and_stays_in_its_range() {
        for (rate, burst) in [
            ("600/min", 60),
            ("9/s", 1),
            ("1/d", 1),
            ("1_000_000/s", 100_000),
            ("4_000_000_000/d", 100_000),
        ] {
            assert_eq!(limit(rate).map(|limit| limit.burst.get()), Some(burst), "{rate}");
        }
    }
}
