//! Makes guessing credentials slow, without a way to lock anybody out.
//!
//! Only the answer to a *failed* attempt waits: whoever has a good credential is served
//! at once, from the same address too. An address has a few failures free, for the typo
//! and for the deployment that forgot a rotation; each further one waits behind those
//! before it, up to [`LONGEST`]. What is kept is bounded: addresses by [`MOST_SOURCES`],
//! waiting answers by [`MOST_WAITING`].

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::Clock;

/// How many failures an address has free at once.
const FREE: u32 = 10;

/// What each failure costs: an address that fails once in this time never waits.
const EACH: Duration = Duration::from_millis(500);

/// The longest that an answer waits; a client's own timeout is longer.
const LONGEST: Duration = Duration::from_secs(5);

/// How many addresses are remembered. Beyond them, all others share one memory.
const MOST_SOURCES: usize = 10_000;

/// How many answers may wait at once: each holds a connection.
const MOST_WAITING: usize = 1_024;

/// How much each address has failed lately.
pub struct Slowdown {
    clock: Arc<dyn Clock>,
    /// When an address will have paid for its failures.
    paid: Mutex<HashMap<Source, Instant>>,
    waiting: Arc<Semaphore>,
}

impl fmt::Debug for Slowdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slowdown")
    }
}

/// Who failed: an IPv4 address, or the network of an IPv6 one, which has a whole /64
/// to itself; none where all others are one.
type Source = Option<IpAddr>;

/// How the answer to a failed attempt is to be given.
#[derive(Debug)]
pub enum Delay {
    /// After this long, holding a place among those that wait.
    Wait(Duration, OwnedSemaphorePermit),
    /// At once: the failure is free.
    None,
    /// At once, and as too many: all places are taken. Try again after this long.
    Full(Duration),
}

impl Slowdown {
    /// Nobody has failed yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let waiting = Arc::new(Semaphore::new(MOST_WAITING));
        Self { clock, paid: Mutex::default(), waiting }
    }

    /// Counts a failed attempt from `source`, and says how to answer it.
    pub fn failed(&self, source: Option<IpAddr>) -> Delay {
        let wait = self.count(source.map(network));
        if wait.is_zero() {
            return Delay::None;
        }
        match Arc::clone(&self.waiting).try_acquire_owned() {
            Ok(place) => Delay::Wait(wait, place),
            Err(_) => Delay::Full(wait),
        }
    }

    /// How long the answer waits, at most [`LONGEST`].
    fn count(&self, source: Source) -> Duration {
        let now = self.clock.now();
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let source =
            if paid.contains_key(&source) || has_room(&mut paid, now) { source } else { None };
        let until = paid.entry(source).or_insert(now);
        // Failing on does not add up forever: the debt is never longer than the wait.
        *until = ((*until).max(now) + EACH).min(now + FREE * EACH + LONGEST);
        until.saturating_duration_since(now).saturating_sub(FREE * EACH)
    }
}

/// Whether one more address can be remembered; forgets those that have paid.
fn has_room(paid: &mut HashMap<Source, Instant>, now: Instant) -> bool {
    if paid.len() >= MOST_SOURCES {
        paid.retain(|_, until| *until > now);
    }
    paid.len() < MOST_SOURCES
}

/// Whom an address stands for: itself, or the /64 network of an IPv6 one.
pub fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::FakeClock;

    fn source(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    fn waits(slowdown: &Slowdown, source: Option<IpAddr>) -> Duration {
        match slowdown.failed(source) {
            Delay::Wait(wait, _) => wait,
            Delay::None => Duration::ZERO,
            Delay::Full(wait) => panic!("there is room: {wait:?}"),
        }
    }

    #[test]
    fn a_few_failures_are_free_and_each_further_one_waits_longer() {
        let clock = Arc::new(FakeClock::new());
        let slowdown = Slowdown::new(Arc::clone(&clock) as _);
        let one = source("192.0.2.1");
        for _ in 0..FREE {
            assert_eq!(waits(&slowdown, one), Duration::ZERO);
        }
        let waited: Vec<u128> = (0..12).map(|_| waits(&slowdown, one).as_millis()).collect();
        assert_eq!(waited[..3], [500, 1_000, 1_500]);
        assert_eq!(waited[9..], [5_000; 3], "no longer than that");
        assert_eq!(waits(&slowdown, source("192.0.2.2")), Duration::ZERO, "others do not wait");
        clock.advance(LONGEST);
        assert_eq!(waits(&slowdown, one), EACH);
        clock.advance(Duration::from_secs(20));
        assert_eq!(waits(&slowdown, one), Duration::ZERO, "it has paid");
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let slowdown = Slowdown::new(Arc::new(FakeClock::new()));
        for host in 0..FREE {
            assert!(waits(&slowdown, source(&format!("2001:db8::{host}"))).is_zero());
        }
        assert_eq!(waits(&slowdown, source("2001:db8::ffff")), EACH);
        assert!(waits(&slowdown, source("2001:db8:0:1::1")).is_zero());
        assert!(waits(&slowdown, source("::ffff:192.0.2.1")).is_zero());
        assert!(waits(&slowdown, source("192.0.2.1")).is_zero());
        assert_eq!(slowdown.paid.lock().unwrap().len(), 3);
    }

    #[test]
    fn memory_is_bounded_and_what_has_paid_is_forgotten() {
        let clock = Arc::new(FakeClock::new());
        let slowdown = Slowdown::new(Arc::clone(&clock) as _);
        let fail = |from: u32, count: u32| {
            for host in from..from + count {
                slowdown.failed(Some(IpAddr::from(host.to_be_bytes())));
            }
        };
        fail(0, 2 * MOST_SOURCES as u32);
        assert_eq!(slowdown.paid.lock().unwrap().len(), MOST_SOURCES + 1);
        assert_eq!(waits(&slowdown, source("9.9.9.9")), LONGEST, "the rest are one");
        clock.advance(Duration::from_secs(60));
        assert_eq!(waits(&slowdown, source("9.9.9.9")), Duration::ZERO);
        assert_eq!(slowdown.paid.lock().unwrap().len(), 1);
    }

    #[test]
    fn so_many_answers_wait_and_no_more() {
        let slowdown = Slowdown::new(Arc::new(FakeClock::new()));
        let one = source("192.0.2.1");
        for _ in 0..FREE {
            slowdown.failed(one);
        }
        let waiting: Vec<Delay> = (0..MOST_WAITING).map(|_| slowdown.failed(one)).collect();
        assert!(waiting.iter().all(|delay| matches!(delay, Delay::Wait(..))));
        assert!(matches!(slowdown.failed(one), Delay::Full(LONGEST)));
        drop(waiting);
        assert!(matches!(slowdown.failed(one), Delay::Wait(..)));
    }
}
