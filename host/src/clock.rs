//! The clock, as a parameter, so that every limit is tested exactly and at once.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Tells the time. Two exist: the system's, and one that tests move.
pub trait Clock: Send + Sync + 'static {
    /// Monotonic time, for durations and deadlines.
    fn now(&self) -> Instant;
    /// Civil time, for records and expiry dates.
    fn utc(&self) -> Timestamp;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    fn now(&self) -> Instant {
        Instant::now()
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    fn utc(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct FakeClock {
    start: Instant,
    passed: std::sync::Mutex<Duration>,
}

impl FakeClock {
    /// A clock that stands at some time.
    pub fn new() -> Self {
        Self { start: SystemClock.now(), passed: std::sync::Mutex::default() }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        *self.passed.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += by;
    }

    fn passed(&self) -> Duration {
        *self.passed.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Default for FakeClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Instant {
        self.start + self.passed()
    }

    fn utc(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + self.passed()
    }
}
