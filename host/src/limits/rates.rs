//! Rate limits (GCRA), one per key.
//!
//! `governor` decides; this file owns what it leaves open: a rate of its own for
//! each key, a bound on the number of keys, and a rate that a reload changed.
//!
//! Invariant: a key exists only for names that the host made itself (an
//! authenticated agent, a served tool), so that nobody without a credential can
//! grow the table, and what is refused when it is full is the new key.

use std::sync::Arc;
use std::time::{Duration, Instant};

use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use super::key::{ByKey, MeterKey, SHARDS, Shards};
use crate::clock::Clock;
use crate::config::RateLimit;
use crate::error::{Code, Error, Retry};

/// One rate that binds a value: at most `rate` under `key`.
#[derive(Clone, Debug)]
pub struct Meter {
    /// What clients know it by, as `per_agent.rate`.
    pub limit: &'static str,
    /// Under which names it counts.
    pub key: MeterKey,
    /// How often. A key whose rate changes starts anew, with a full burst.
    pub rate: RateLimit,
}

/// A value that rates bind.
pub trait Metered {
    /// The rates to take a cell of: an agent's own first, shared ones last, since
    /// the first that refuses spares those after it.
    fn meters(&self) -> impl Iterator<Item = Meter>;
}

/// How many keys may have a budget that is not full, over all rates. A key takes
/// up to 0.3 KiB with its names: 20 MiB for all. A thousand agents that each keep
/// sixty tools busy fit; idle keys are forgotten and cost nothing.
const MAX_KEYS: usize = 65_536;

/// Keys are spread evenly by a hash, so that a part is full when all nearly are.
const MAX_KEYS_PER_SHARD: usize = MAX_KEYS / SHARDS;

/// Fewer idle keys than this, 20 KiB, are not worth a sweep.
const MIN_KEYS_TO_SWEEP: usize = 64;

/// The injected clock as governor asks for it.
#[derive(Clone)]
struct Monotonic(Arc<dyn Clock>);

impl governor::clock::Clock for Monotonic {
    type Instant = Instant;

    fn now(&self) -> Instant {
        self.0.now()
    }
}

/// Every key's budget.
pub(super) struct Rates {
    clock: Monotonic,
    shards: Shards<Shard>,
}

impl Rates {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock: Monotonic(clock), shards: Shards::default() }
    }

    /// Takes one cell of `meter`; see [`super::Limits::admit`] for the errors.
    pub(super) fn spend(&self, meter: &Meter) -> Result<(), Error> {
        let now = self.clock.0.now();
        let mut shard = self.shards.of(&meter.key);
        if let Some(budget) = shard.budgets.get_mut(&meter.key) {
            if budget.rate != meter.rate {
                *budget = Budget::full(meter.rate, self.clock.clone(), now);
            }
            return budget.spend(now).map_err(|wait| rate_limited(meter, wait));
        }
        shard.make_room(now).map_err(|wait| table_full(meter, wait))?;
        let mut budget = Budget::full(meter.rate, self.clock.clone(), now);
        let spent = budget.spend(now).map_err(|wait| rate_limited(meter, wait));
        shard.insert(meter.key.clone(), budget);
        spent
    }
}

fn rate_limited(meter: &Meter, wait: Duration) -> Error {
    let RateLimit { rate, burst } = meter.rate;
    let text = format!(
        "Too many calls: {} allows {rate}, at most {burst} at once. The next is allowed in {} ms.",
        meter.limit,
        wait.as_nanos().div_ceil(1_000_000),
    );
    Error::new(Code::RateLimited, text)
        .retry(Retry::After(wait))
        .detail("limit", meter.limit)
        .note("rate", rate.to_string())
        .note("burst", burst.get())
}

fn table_full(meter: &Meter, wait: Duration) -> Error {
    Error::new(Code::Unavailable, "The server is serving as many agents and tools as it can.")
        .retry(Retry::After(wait))
        .detail("limit", meter.limit)
        .because(format_args!("{MAX_KEYS} rates are in use"))
}

/// One key's cells.
struct Budget {
    rate: RateLimit,
    cells: RateLimiter<NotKeyed, InMemoryState, Monotonic>,
    /// The budget is certainly full from here on: a whole burst is back this long
    /// after the last cell was taken. Governor has no way to ask.
    full_from: Instant,
}

impl Budget {
    fn full(rate: RateLimit, clock: Monotonic, now: Instant) -> Self {
        let cells = RateLimiter::direct_with_clock(quota(rate), clock);
        Self { rate, cells, full_from: now }
    }

    /// Takes one cell, or says how long until there is one.
    fn spend(&mut self, now: Instant) -> Result<(), Duration> {
        self.cells.check().map_err(|refusal| refusal.wait_time_from(now))?;
        // An instant beyond what the platform counts is never reached; the last
        // one that was serves as well.
        let refilled = now.checked_add(quota(self.rate).burst_size_replenished_in());
        self.full_from = refilled.unwrap_or(self.full_from);
        Ok(())
    }
}

/// Governor's form of a rate. More than one cell per nanosecond counts as one.
fn quota(rate: RateLimit) -> Quota {
    let per_cell = rate.rate.per / rate.rate.cells.get();
    Quota::with_period(per_cell.max(Duration::from_nanos(1)))
        .unwrap_or(Quota::per_second(rate.rate.cells))
        .allow_burst(rate.burst)
}

/// One part of the table.
#[derive(Default)]
struct Shard {
    budgets: ByKey<Budget>,
    /// How many keys the last sweep left.
    after_sweep: usize,
    /// Before this instant a sweep would find nothing; `None` without keys.
    idle_from: Option<Instant>,
}

impl Shard {
    /// Makes sure that one more key fits, or says how long until one may.
    ///
    /// Sweeps when the part has doubled since the last sweep, or is full: so that
    /// a key costs a constant time on average, and idle keys never outnumber the
    /// others for long.
    fn make_room(&mut self, now: Instant) -> Result<(), Duration> {
        let due = (2 * self.after_sweep).clamp(MIN_KEYS_TO_SWEEP, MAX_KEYS_PER_SHARD);
        if self.budgets.len() >= due && self.idle_from.is_some_and(|idle| idle <= now) {
            self.sweep(now);
        }
        if self.budgets.len() < MAX_KEYS_PER_SHARD {
            return Ok(());
        }
        Err(self.idle_from.map_or(Duration::ZERO, |idle| idle.saturating_duration_since(now)))
    }

    fn sweep(&mut self, now: Instant) {
        self.budgets.retain(|_, budget| budget.full_from > now);
        self.after_sweep = self.budgets.len();
        self.idle_from = self.budgets.values().map(|budget| budget.full_from).min();
    }

    fn insert(&mut self, key: MeterKey, budget: Budget) {
        let idle = self.idle_from.map_or(budget.full_from, |idle| idle.min(budget.full_from));
        self.idle_from = Some(idle);
        self.budgets.insert(key, budget);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::FakeClock;
    use crate::limits::Limits;
    use crate::names::{AgentName, Rate};

    const MS: Duration = Duration::from_millis(1);

    fn limit(rate: &str, burst: u32) -> RateLimit {
        RateLimit { rate: rate.parse().unwrap(), burst: burst.try_into().unwrap() }
    }

    fn agent(name: impl std::fmt::Display) -> MeterKey {
        MeterKey::agent(&name.to_string().parse::<AgentName>().unwrap())
    }

    fn meter(key: MeterKey, rate: RateLimit) -> Meter {
        Meter { limit: "test.rate", key, rate }
    }

    fn rates() -> (Arc<FakeClock>, Rates) {
        let clock = Arc::new(FakeClock::new());
        (Arc::clone(&clock), Rates::new(clock))
    }

    fn wait(error: &Error) -> Duration {
        match error.retry_hint() {
            Retry::After(wait) => wait,
            other @ (Retry::No | Retry::Maybe) => panic!("{other:?}"),
        }
    }

    fn keys(rates: &Rates) -> usize {
        rates.shards.all().map(|shard| shard.budgets.len()).sum()
    }

    #[test]
    fn a_burst_passes_and_the_wait_is_exact() {
        for (rate, burst, per_cell) in
            [("60/min", 3, 1_000 * MS), ("600/min", 1, 100 * MS), ("1/d", 2, 86_400_000 * MS)]
        {
            let (clock, rates) = rates();
            let meter = meter(agent("a"), limit(rate, burst));
            for _ in 0..burst {
                rates.spend(&meter).unwrap();
            }
            let refused = rates.spend(&meter).unwrap_err();
            assert_eq!((refused.code(), wait(&refused)), (&Code::RateLimited, per_cell), "{rate}");
            assert_eq!(refused.details().unwrap()["limit"], "test.rate");
            clock.advance(per_cell - MS);
            assert_eq!(wait(&rates.spend(&meter).unwrap_err()), MS, "{rate}");
            clock.advance(MS);
            rates.spend(&meter).unwrap();
            assert_eq!(wait(&rates.spend(&meter).unwrap_err()), per_cell, "{rate}");
        }
    }

    #[test]
    fn keys_do_not_share_cells() {
        let (_, rates) = rates();
        let name = "x";
        let (agent, plugin) = (name.parse().unwrap(), name.parse().unwrap());
        let tool = name.parse().unwrap();
        for key in [
            MeterKey::agent(&agent),
            MeterKey::plugin(&plugin),
            MeterKey::tool(&tool),
            MeterKey::agent_plugin(&agent, &plugin),
            MeterKey::agent_tool(&agent, &tool),
        ] {
            let meter = meter(key, limit("1/d", 1));
            assert!(rates.spend(&meter).is_ok());
            assert!(rates.spend(&meter).is_err());
        }
    }

    struct Call<const N: usize>([Meter; N]);

    impl<const N: usize> Metered for Call<N> {
        fn meters(&self) -> impl Iterator<Item = Meter> {
            self.0.iter().cloned()
        }
    }

    /// A call that as many rates bind as a test likes.
    #[derive(Debug)]
    struct Calls(Vec<Meter>);

    impl Metered for Calls {
        fn meters(&self) -> impl Iterator<Item = Meter> {
            self.0.iter().cloned()
        }
    }

    #[test]
    fn an_agent_that_is_refused_costs_the_others_nothing() {
        let limits = Limits::new(Arc::new(FakeClock::new()), 1_000);
        let own = |name| meter(agent(name), limit("1/d", 1));
        let shared = || meter(MeterKey::plugin(&"p".parse().unwrap()), limit("1/d", 2));
        assert!(limits.admit(Call([own("greedy"), shared()])).is_ok());
        for _ in 0..10 {
            assert!(limits.admit(Call([own("greedy"), shared()])).is_err());
        }
        assert!(limits.charge(Call([own("modest"), shared()])).is_ok());
        assert!(limits.charge(Call([own("late"), shared()])).is_err());
    }

    /// What a client is told to wait, as the wire has it.
    fn told(error: &Error) -> Duration {
        MS * u32::try_from(wait(error).as_nanos().div_ceil(1_000_000)).unwrap()
    }

    #[test]
    fn whom_the_full_table_sends_away_is_let_in_after_the_wait() {
        let (clock, rates) = rates();
        for n in 0..MAX_KEYS + MAX_KEYS / 4 {
            let _ = rates.spend(&meter(agent(n), limit("1/min", 1)));
        }
        let late = meter(agent("late"), limit("1/min", 1));
        let refused = rates.spend(&late).unwrap_err();
        assert_eq!(refused.code(), &Code::Unavailable);
        clock.advance(told(&refused));
        rates.spend(&late).unwrap();
    }

    #[test]
    fn a_changed_rate_starts_anew() {
        let (_, rates) = rates();
        let (slow, fast) = (limit("1/d", 1), limit("1/d", 2));
        rates.spend(&meter(agent("a"), slow)).unwrap();
        assert!(rates.spend(&meter(agent("a"), slow)).is_err());
        rates.spend(&meter(agent("a"), fast)).unwrap();
        rates.spend(&meter(agent("a"), fast)).unwrap();
        assert!(rates.spend(&meter(agent("a"), fast)).is_err());
        assert_eq!(keys(&rates), 1);
    }

    #[test]
    fn keys_are_capped_and_idle_ones_make_room() {
        let (clock, rates) = rates();
        let minute = limit("1/min", 1);
        let refused: Vec<Error> = (0..MAX_KEYS + MAX_KEYS / 4)
            .filter_map(|n| rates.spend(&meter(agent(n), minute)).err())
            .collect();
        assert!(refused.len() >= MAX_KEYS / 4);
        assert_eq!(keys(&rates), MAX_KEYS + MAX_KEYS / 4 - refused.len());
        for error in &refused {
            assert_eq!((error.code(), wait(error)), (&Code::Unavailable, 60_000 * MS));
        }
        // A known key is still served by its own rate.
        assert_eq!(rates.spend(&meter(agent(0), minute)).unwrap_err().code(), &Code::RateLimited);

        clock.advance(60_000 * MS);
        for n in 0..1_000 {
            rates.spend(&meter(agent(format_args!("new-{n}")), minute)).unwrap();
        }
        assert!(keys(&rates) < MAX_KEYS / 2);
    }

    #[test]
    fn idle_keys_are_forgotten_and_busy_ones_are_not() {
        let (clock, rates) = rates();
        let busy = meter(agent("busy"), limit("1/d", 100_000));
        for n in 0..20_000 {
            rates.spend(&busy).unwrap();
            rates.spend(&meter(agent(n), limit("1/s", 1))).unwrap();
            clock.advance(100 * MS);
        }
        assert!(keys(&rates) <= 2 * SHARDS * MIN_KEYS_TO_SWEEP, "{}", keys(&rates));
        for _ in 0..80_000 {
            rates.spend(&busy).unwrap();
        }
        assert!(rates.spend(&busy).is_err());
    }

    proptest! {
        /// Whatever rates bind a call, and however much of each is spent: who waits as
        /// long as told, and asks again, is served. With each rate the refusals at most
        /// double, since one that is passed in vain may have to be waited for once more.
        #[test]
        fn whoever_obeys_is_served(
            bound in prop::collection::vec((1_u32..100, 1_u64..100_000, 1_u32..5, 0_u32..10), 1..5),
        ) {
            let clock = Arc::new(FakeClock::new());
            let limits = Limits::new(Arc::clone(&clock) as _, 1_000);
            let meters: Vec<Meter> = bound
                .iter()
                .enumerate()
                .map(|(n, (cells, per_ms, burst, _))| {
                    let rate = Rate {
                        cells: (*cells).try_into().unwrap(),
                        per: Duration::from_millis(*per_ms),
                    };
                    let burst = (*burst).try_into().unwrap();
                    meter(agent(n), RateLimit { rate, burst })
                })
                .collect();
            for (meter, (.., spent)) in meters.iter().zip(&bound) {
                for _ in 0..*spent {
                    let _ = limits.rates.spend(meter);
                }
            }
            let most = (1_u32 << meters.len()) - 1;
            let mut refusals = 0;
            while let Err(refused) = limits.admit(Calls(meters.clone())) {
                prop_assert_eq!(refused.code(), &Code::RateLimited);
                prop_assert!(!told(&refused).is_zero());
                clock.advance(told(&refused));
                refusals += 1;
                prop_assert!(refusals <= most, "{} refusals", refusals);
            }
        }

        /// In any time, at most a burst and what the rate gives passes; and who
        /// waits as long as told is let pass.
        #[test]
        fn no_more_than_burst_and_rate_passes(
            cells in 1_u32..2_000,
            burst in 1_u32..50,
            steps in prop::collection::vec((0_u64..200, any::<bool>()), 1..200),
        ) {
            let (clock, rates) = rates();
            let meter = meter(agent("a"), limit(&format!("{cells}/s"), burst));
            let (mut passed, mut elapsed) = (0_u64, Duration::ZERO);
            let mut pass = |by: Duration| {
                clock.advance(by);
                elapsed += by;
                let decision = rates.spend(&meter);
                passed += u64::from(decision.is_ok());
                let per_cell = u128::from(1_000_000_000 / cells);
                assert!(u128::from(passed) <= u128::from(burst) + elapsed.as_nanos() / per_cell);
                decision
            };
            for (pause_ms, obey) in steps {
                if let Err(refused) = pass(Duration::from_millis(pause_ms)) && obey {
                    prop_assert!(pass(wait(&refused)).is_ok());
                }
            }
        }
    }
}
