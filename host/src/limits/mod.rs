//! Rates (GCRA) and slots, over keys.
//!
//! A mechanism that knows neither principals nor tools: it is handed a value that
//! says which limits bind it, and wraps what it lets pass. A wrapper is the
//! evidence that the decision was made. Its field is private and this module is
//! its one constructor, so that the step cannot be skipped:
//!
//! ```compile_fail
//! use bulkhead::limits::Charged;
//! let forged = Charged("anybody");
//! ```
//! ```compile_fail
//! use bulkhead::limits::Admitted;
//! let forged = Admitted("anything");
//! ```
//! ```compile_fail
//! use bulkhead::limits::Slot;
//! let forged = Slot { value: "a call", places: Vec::new(), queued: std::time::Duration::ZERO };
//! ```
//!
//! The way to have one, here for a value that nothing limits:
//!
//! ```
//! use std::sync::Arc;
//! use bulkhead::clock::SystemClock;
//! use bulkhead::limits::{Admitted, Charged, Limits, Meter, Metered, Seat, Seated, Slot};
//!
//! struct Anybody;
//! impl Metered for Anybody {
//!     fn meters(&self) -> impl Iterator<Item = Meter> {
//!         std::iter::empty()
//!     }
//! }
//! impl Seated for Anybody {
//!     fn seats(&self) -> impl Iterator<Item = Seat> {
//!         std::iter::empty()
//!     }
//! }
//!
//! # fn main() -> Result<(), bulkhead::error::Error> {
//! let limits = Limits::new(Arc::new(SystemClock), 1_000);
//! let charged: Charged<Anybody> = limits.charge(Anybody)?;
//! let admitted: Admitted<Anybody> = limits.admit(charged.into_inner())?;
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
//! # let runtime = runtime.map_err(bulkhead::error::Error::internal)?;
//! # runtime.block_on(async {
//! let slot: Slot<Anybody> = limits.acquire(admitted.into_inner()).await?;
//! # drop(slot);
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! Invariant: memory is bounded, whatever clients send. A rate's state exists
//! while its budget is not full, and there are at most `MAX_KEYS` of them (pinned
//! by `keys_are_capped_and_idle_ones_make_room`); a seat's state exists while
//! somebody holds or awaits it (pinned by `everything_returns_to_zero`).

mod key;
mod rates;
mod slots;
mod slowdown;

use std::sync::Arc;
use std::time::Duration;

pub use key::MeterKey;
pub use rates::{Meter, Metered};
pub use slots::{Seat, Seated};
pub use slowdown::{Delay, Slowdown, network};

use crate::clock::Clock;
use crate::error::Error;
use rates::Rates;
use slots::{Place, Slots};

/// Evidence: the rates that bind a `T` as it arrives have let it pass.
#[derive(Debug)]
pub struct Charged<T>(T);

impl<T> Charged<T> {
    /// What was charged.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// What was charged, without the evidence.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// Evidence: the rates of what a `T` asks for have let it pass.
#[derive(Debug)]
pub struct Admitted<T>(T);

impl<T> Admitted<T> {
    /// What was admitted.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// What was admitted, without the evidence.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// Evidence: a `T` holds every seat that it needs, until this is dropped.
#[derive(Debug)]
pub struct Slot<T> {
    value: T,
    #[expect(dead_code, reason = "held for its drop, which gives the seats back")]
    places: Vec<Place>,
    queued: Duration,
}

impl<T> Slot<T> {
    /// What holds the seats.
    pub fn get(&self) -> &T {
        &self.value
    }

    /// How long it waited for them: zero when they were free.
    pub fn queued(&self) -> Duration {
        self.queued
    }
}

/// All limits of one process.
pub struct Limits {
    clock: Arc<dyn Clock>,
    rates: Rates,
    slots: Arc<Slots>,
    calls: u32,
}

/// How long to wait when as many calls are in flight as may be: a few usual calls.
const CALLS_RETRY: Duration = Duration::from_millis(100);

impl Limits {
    /// Limits of which nothing is used yet. At most `calls` values hold or await seats
    /// at once, whatever seats they need.
    pub fn new(clock: Arc<dyn Clock>, calls: u32) -> Self {
        Self { rates: Rates::new(Arc::clone(&clock)), slots: Arc::default(), clock, calls }
    }

    /// The seat that every value needs, before any that it could wait for: what waits
    /// is kept in memory too.
    fn of_all(&self) -> Seat {
        Seat {
            limit: "sandbox.calls",
            key: MeterKey::all(),
            concurrency: self.calls,
            queue: 0,
            queue_timeout: CALLS_RETRY,
        }
    }

    /// Takes one cell of each rate that binds `value` as it arrives.
    ///
    /// # Errors
    /// As [`Limits::admit`].
    pub fn charge<T: Metered>(&self, value: T) -> Result<Charged<T>, Error> {
        self.spend(&value)?;
        Ok(Charged(value))
    }

    /// Takes one cell of each rate of what `value` asks for.
    ///
    /// The rates are asked in the order in which `value` names them, and the first
    /// that refuses ends it: rates named later lose nothing, cells of those named
    /// earlier stay spent. Rates of one agent's own therefore go before shared
    /// ones, so that a refused agent costs nobody else anything.
    ///
    /// # Errors
    /// `RATE_LIMITED` with the exact wait; `UNAVAILABLE` with a wait when as many
    /// keys are in use as are kept. The detail `limit` names the rate.
    pub fn admit<T: Metered>(&self, value: T) -> Result<Admitted<T>, Error> {
        self.spend(&value)?;
        Ok(Admitted(value))
    }

    fn spend<T: Metered>(&self, value: &T) -> Result<(), Error> {
        value.meters().try_for_each(|meter| self.rates.spend(&meter))
    }

    /// Takes every seat that `value` needs, or none: first one of all that there are,
    /// for which nobody waits.
    ///
    /// Seats are taken in the order in which `value` names them, and those taken
    /// are held while it waits for the next. All values must name the seats that
    /// they share in one order (otherwise two could wait for each other until they
    /// time out), narrow ones first: so a call that waits for a tool's only seat
    /// does not hold one of its plugin meanwhile, and an agent's waiting calls
    /// count as its own.
    ///
    /// Waiting is first come, first served for each seat, and each seat has its
    /// own `queue_timeout`. Cancel-safe: a dropped future gives back every seat and
    /// its place in the queue.
    ///
    /// # Errors
    /// `UNAVAILABLE` with a wait, at once when a queue is full, or after the
    /// `queue_timeout`. The detail `limit` names the seat.
    pub async fn acquire<T: Seated>(&self, value: T) -> Result<Slot<T>, Error> {
        // Collected, because an iterator over `value` could not be held across an await.
        let seats: Vec<Seat> = value.seats().collect();
        let mut places = Vec::with_capacity(seats.len() + 1);
        places.push(self.slots.take(self.of_all())?);
        let mut queued = Duration::ZERO;
        for seat in seats {
            let mut place = self.slots.take(seat)?;
            if place.waits() {
                let since = self.clock.now();
                place.seated().await?;
                queued += self.clock.now().saturating_duration_since(since);
            }
            places.push(place);
        }
        Ok(Slot { value, places, queued })
    }
}
