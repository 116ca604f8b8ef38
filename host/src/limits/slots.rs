//! Concurrency: seats over keys, each with a bounded queue, first come, first served.
//!
//! Invariants: no lock is held across an await; a seat that frees goes to the
//! first in the queue before anybody who comes later can take it; a place, held or
//! waited for, is given back by its drop and by nothing else.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::key::{ByKey, MeterKey, Shards};
use crate::error::{Code, Error, Retry};

/// One seat that a value needs: at most `concurrency` at once under `key`.
#[derive(Clone, Debug)]
pub struct Seat {
    /// What clients know it by, as `per_plugin.concurrency`.
    pub limit: &'static str,
    /// Under which names it counts.
    pub key: MeterKey,
    /// How many may be held at once. The latest value that was asked with holds
    /// for the key; a lower one waits until enough have been given back.
    pub concurrency: u32,
    /// How many may wait.
    pub queue: u32,
    /// And how long.
    pub queue_timeout: Duration,
}

/// A value that needs seats.
pub trait Seated {
    /// The seats that it needs, narrow ones first and in an order that all values
    /// share; see [`super::Limits::acquire`].
    fn seats(&self) -> impl Iterator<Item = Seat>;
}

/// The least wait that a refusal asks for, so that a short `queue_timeout` does
/// not make clients hammer.
const MIN_RETRY: Duration = Duration::from_millis(100);

/// Who holds and who awaits what.
#[derive(Default)]
pub(super) struct Slots {
    shards: Shards<ByKey<Occupancy>>,
}

impl Slots {
    /// Takes a seat or, where none is free, a place in its queue.
    ///
    /// # Errors
    /// `UNAVAILABLE` when the queue is full.
    pub(super) fn take(self: &Arc<Self>, seat: Seat) -> Result<Place, Error> {
        let mut shard = self.shards.of(&seat.key);
        let occupancy = shard.entry(seat.key.clone()).or_default();
        occupancy.concurrency = seat.concurrency;
        let seated = occupancy.seat_waiting();
        let taken = occupancy.take(seat.queue);
        if occupancy.is_unused() {
            shard.remove(&seat.key);
        }
        drop(shard);
        call(seated);
        let wait = match taken {
            Taken::Seat => None,
            Taken::Queued(wait) => Some(wait),
            Taken::Nothing => return Err(queue_full(&seat)),
        };
        let slots = Arc::clone(self);
        Ok(Place { slots, seat, wait })
    }

    fn leave(&self, key: &MeterKey, ticket: Option<u64>) {
        let mut shard = self.shards.of(key);
        let Some(occupancy) = shard.get_mut(key) else {
            return;
        };
        occupancy.leave(ticket);
        let seated = occupancy.seat_waiting();
        if occupancy.is_unused() {
            shard.remove(key);
        }
        drop(shard);
        call(seated);
    }
}

/// Tells those who were seated. One who has gone meanwhile gives the seat back by
/// its place's drop, so that nobody listening is fine.
fn call(seated: Vec<oneshot::Sender<()>>) {
    for waiter in seated {
        let _ = waiter.send(());
    }
}

fn queue_full(seat: &Seat) -> Error {
    unavailable(seat, "All places are taken, and as many calls wait as may.")
}

fn queue_timed_out(seat: &Seat) -> Error {
    unavailable(seat, "All places were taken for as long as a call may wait.")
}

/// Asks to wait for `queue_timeout`: by then, everybody who waits now has been
/// seated or has left.
fn unavailable(seat: &Seat, text: &'static str) -> Error {
    let wait = seat.queue_timeout.max(MIN_RETRY);
    Error::new(Code::Unavailable, text)
        .retry(Retry::After(wait))
        .detail("limit", seat.limit)
        .note("concurrency", seat.concurrency)
        .note("queue", seat.queue)
        .note("queue_timeout_ms", seat.queue_timeout.as_millis() as u64)
        .note("cause", text)
}

/// What there is of one key.
#[derive(Default)]
struct Occupancy {
    concurrency: u32,
    held: u32,
    last_ticket: u64,
    /// In the order of their tickets.
    queue: VecDeque<Waiter>,
}

struct Waiter {
    ticket: u64,
    call: oneshot::Sender<()>,
}

enum Taken {
    Seat,
    Queued(Wait),
    Nothing,
}

/// The other end of a [`Waiter`].
struct Wait {
    ticket: u64,
    turn: oneshot::Receiver<()>,
}

impl Occupancy {
    fn take(&mut self, queue: u32) -> Taken {
        if self.queue.is_empty() && self.held < self.concurrency {
            self.held += 1;
            return Taken::Seat;
        }
        if self.queue.len() >= queue as usize {
            return Taken::Nothing;
        }
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        let (call, turn) = oneshot::channel();
        self.queue.push_back(Waiter { ticket, call });
        Taken::Queued(Wait { ticket, turn })
    }

    /// Removes a waiter, or gives back a seat: who has a ticket but is no longer in
    /// the queue was seated without having noticed.
    fn leave(&mut self, ticket: Option<u64>) {
        let waits = ticket
            .and_then(|ticket| self.queue.binary_search_by_key(&ticket, |w| w.ticket).ok())
            .and_then(|at| self.queue.remove(at));
        if waits.is_none() {
            self.held = self.held.saturating_sub(1);
        }
    }

    /// Gives free seats to the first in the queue, who are still to be told.
    fn seat_waiting(&mut self) -> Vec<oneshot::Sender<()>> {
        let mut seated = Vec::new();
        while self.held < self.concurrency
            && let Some(first) = self.queue.pop_front()
        {
            self.held += 1;
            seated.push(first.call);
        }
        seated
    }

    fn is_unused(&self) -> bool {
        self.held == 0 && self.queue.is_empty()
    }
}

/// A seat, or a place in its queue; given back when dropped.
pub(super) struct Place {
    slots: Arc<Slots>,
    seat: Seat,
    /// Until the holder has noticed being seated.
    wait: Option<Wait>,
}

impl Place {
    /// Whether it is no seat yet, as far as its holder knows.
    pub(super) fn waits(&self) -> bool {
        self.wait.is_some()
    }

    /// Returns when the place is a seat. Cancel-safe: its drop settles what it is.
    ///
    /// # Errors
    /// `UNAVAILABLE` after the seat's `queue_timeout`.
    pub(super) async fn seated(&mut self) -> Result<(), Error> {
        let Some(wait) = &mut self.wait else {
            return Ok(());
        };
        match tokio::time::timeout(self.seat.queue_timeout, &mut wait.turn).await {
            Ok(Ok(())) => {
                self.wait = None;
                Ok(())
            }
            // The sender stays in the queue until it is used, as long as this lives.
            Ok(Err(_)) | Err(_) => Err(queue_timed_out(&self.seat)),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.seat.key).finish()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.slots.leave(&self.seat.key, self.wait.as_ref().map(|wait| wait.ticket));
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use proptest::prelude::*;

    use super::*;
    use crate::clock::FakeClock;
    use crate::limits::{Limits, Slot};

    const S: Duration = Duration::from_secs(1);

    fn seat(name: &str, concurrency: u32, queue: u32) -> Seat {
        let key = MeterKey::tool(&name.parse().unwrap());
        Seat { limit: "test.concurrency", key, concurrency, queue, queue_timeout: 2 * S }
    }

    #[derive(Debug)]
    struct Call(Vec<Seat>);

    impl Seated for Call {
        fn seats(&self) -> impl Iterator<Item = Seat> {
            self.0.iter().cloned()
        }
    }

    /// A call in flight, polled by hand.
    type Flight<'a> = Pin<Box<dyn Future<Output = Result<Slot<Call>, Error>> + Send + 'a>>;

    fn start<'a>(limits: &'a Limits, seats: &[Seat]) -> Flight<'a> {
        Box::pin(limits.acquire(Call(seats.to_vec())))
    }

    fn poll(call: &mut Flight<'_>) -> Poll<Result<Slot<Call>, Error>> {
        call.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    fn seated(call: &mut Flight<'_>) -> Slot<Call> {
        match poll(call) {
            Poll::Ready(outcome) => outcome.unwrap(),
            Poll::Pending => panic!("still waits"),
        }
    }

    fn limits() -> Limits {
        Limits::new(Arc::new(FakeClock::new()), 1_000)
    }

    fn is_empty(limits: &Limits) -> bool {
        limits.slots.shards.all().all(|shard| shard.is_empty())
    }

    fn assert_unavailable(error: &Error) {
        assert_eq!(error.code(), &Code::Unavailable);
        assert_eq!(error.retry_hint(), Retry::After(2 * S));
        assert_eq!(error.details().unwrap()["limit"], "test.concurrency");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_seated_in_order_and_knows_how_long_it_took() {
        let clock = Arc::new(FakeClock::new());
        let limits = Limits::new(Arc::<FakeClock>::clone(&clock), 1_000);
        let one = [seat("t", 1, 2)];
        let first = seated(&mut start(&limits, &one));
        assert_eq!(first.queued(), Duration::ZERO);

        let (mut second, mut third) = (start(&limits, &one), start(&limits, &one));
        assert!(poll(&mut second).is_pending());
        assert!(poll(&mut third).is_pending());
        assert_unavailable(&limits.acquire(Call(one.to_vec())).await.unwrap_err());

        clock.advance(S);
        drop(first);
        // The seat is the second's, though it has not noticed: nobody overtakes.
        let mut late = start(&limits, &one);
        assert!(poll(&mut late).is_pending());
        assert!(poll(&mut third).is_pending());
        let second = seated(&mut second);
        assert_eq!(second.queued(), S);
        drop(second);
        drop(seated(&mut third));
        drop(seated(&mut late));
        assert!(is_empty(&limits));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_as_told_is_seated_when_the_cause_has_ended() {
        let limits = limits();
        for (seats, calls) in [(vec![seat("full", 2, 1)], 3), (vec![seat("none", 1, 0)], 1)] {
            let mut flights: Vec<_> = (0..calls).map(|_| start(&limits, &seats)).collect();
            let mut ended = Vec::new();
            for flight in &mut flights {
                ended.push(poll(flight));
            }
            let refused = limits.acquire(Call(seats.clone())).await.unwrap_err();
            let Retry::After(wait) = refused.retry_hint() else { panic!("{refused:?}") };
            assert!(wait >= MIN_RETRY, "no client is made to hammer");
            drop((ended, flights));
            tokio::time::advance(wait).await;
            drop(limits.acquire(Call(seats)).await.unwrap());
        }
        // All the calls that may be in flight at once.
        let one = Limits::new(Arc::new(FakeClock::new()), 1);
        let held = one.acquire(Call(Vec::new())).await.unwrap();
        let refused = one.acquire(Call(Vec::new())).await.unwrap_err();
        assert_eq!(refused.code(), &Code::Unavailable);
        let Retry::After(wait) = refused.retry_hint() else { panic!("{refused:?}") };
        assert!(wait >= MIN_RETRY);
        drop(held);
        drop(one.acquire(Call(Vec::new())).await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_at_its_timeout() {
        let limits = limits();
        let one = [seat("t", 1, 1)];
        let holder = seated(&mut start(&limits, &one));
        let before = tokio::time::Instant::now();
        assert_unavailable(&limits.acquire(Call(one.to_vec())).await.unwrap_err());
        assert_eq!(before.elapsed(), 2 * S);
        drop(holder);
        assert!(is_empty(&limits));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_gives_up_gives_everything_back() {
        let limits = limits();
        let (wide, narrow) = (seat("wide", 2, 0), seat("narrow", 1, 1));
        let holder = seated(&mut start(&limits, std::slice::from_ref(&narrow)));
        // It holds `wide` while it waits for `narrow`.
        let mut waiting = start(&limits, &[wide.clone(), narrow.clone()]);
        assert!(poll(&mut waiting).is_pending());
        // The queue of `narrow` is full: this one must not keep `wide`.
        assert_unavailable(
            &limits.acquire(Call(vec![wide.clone(), narrow.clone()])).await.unwrap_err(),
        );
        let other = seated(&mut start(&limits, std::slice::from_ref(&wide)));
        assert!(limits.acquire(Call(vec![wide.clone()])).await.is_err());
        drop(waiting);
        let another = seated(&mut start(&limits, std::slice::from_ref(&wide)));

        // Dropped after it was given the seat, before it noticed.
        let mut unaware = start(&limits, std::slice::from_ref(&narrow));
        assert!(poll(&mut unaware).is_pending());
        drop(holder);
        let mut next = start(&limits, std::slice::from_ref(&narrow));
        assert!(poll(&mut next).is_pending());
        drop(unaware);
        drop(seated(&mut next));
        drop((other, another));
        assert!(is_empty(&limits));
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_concurrency_holds_at_once() {
        let limits = limits();
        let first = seated(&mut start(&limits, &[seat("t", 1, 9)]));
        let mut waiting = start(&limits, &[seat("t", 1, 9)]);
        assert!(poll(&mut waiting).is_pending());
        let third = seated(&mut start(&limits, &[seat("t", 3, 9)]));
        let second = seated(&mut waiting);

        let mut lowered = start(&limits, &[seat("t", 1, 9)]);
        assert!(poll(&mut lowered).is_pending());
        drop((first, second));
        assert!(poll(&mut lowered).is_pending());
        drop(third);
        drop(seated(&mut lowered));
        assert!(is_empty(&limits));
    }

    #[tokio::test(start_paused = true)]
    async fn a_seat_that_nobody_may_have_is_refused_and_forgotten() {
        let limits = limits();
        assert_unavailable(&limits.acquire(Call(vec![seat("t", 0, 0)])).await.unwrap_err());
        assert_unavailable(&limits.acquire(Call(vec![seat("t", 0, 1)])).await.unwrap_err());
        assert!(is_empty(&limits));
    }

    #[tokio::test(start_paused = true)]
    async fn all_that_hold_or_wait_are_bounded_together() {
        let limits = Limits::new(Arc::new(FakeClock::new()), 2);
        let (one, other) = (seat("one", 1, 9), seat("other", 9, 9));
        let first = seated(&mut start(&limits, std::slice::from_ref(&one)));
        let mut waiting = start(&limits, std::slice::from_ref(&one));
        assert!(poll(&mut waiting).is_pending());
        let refused = limits.acquire(Call(vec![other.clone()])).await.unwrap_err();
        assert_eq!(refused.code(), &Code::Unavailable);
        assert_eq!(refused.retry_hint(), Retry::After(MIN_RETRY));
        assert_eq!(refused.details().unwrap()["limit"], "sandbox.calls");
        drop(waiting);
        drop(seated(&mut start(&limits, &[other])));
        drop(first);
        assert!(is_empty(&limits));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Start(Vec<usize>),
        Poll(usize),
        Drop(usize),
        Pass(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let in_one_order = prop::collection::btree_set(0_usize..3, 1..=3);
        prop_oneof![
            3 => in_one_order.prop_map(|seats| Step::Start(seats.into_iter().collect())),
            3 => any::<usize>().prop_map(Step::Poll),
            2 => any::<usize>().prop_map(Step::Drop),
            1 => (0_u64..1_500).prop_map(Step::Pass),
        ]
    }

    enum Stage<'a> {
        Waiting(Flight<'a>),
        Seated(#[expect(dead_code, reason = "held")] Slot<Call>),
    }

    /// No seat is held too often, and no queue is too long.
    fn within_bounds(limits: &Limits) -> bool {
        limits.slots.shards.all().all(|shard| {
            let bounded = |o: &Occupancy| o.held <= o.concurrency && o.queue.len() <= 2;
            shard.values().all(|o| bounded(o) && !o.is_unused())
        })
    }

    async fn run(limits: &Limits, steps: Vec<Step>) {
        let seats = [seat("a", 1, 2), seat("b", 2, 2), seat("c", 3, 1)];
        let mut calls: Vec<Stage<'_>> = Vec::new();
        for step in steps {
            match step {
                Step::Start(which) => {
                    let wanted: Vec<Seat> = which.iter().map(|at| seats[*at].clone()).collect();
                    calls.push(Stage::Waiting(start(limits, &wanted)));
                }
                Step::Poll(at) if !calls.is_empty() => {
                    let at = at % calls.len();
                    if let Stage::Waiting(call) = &mut calls[at] {
                        match poll(call) {
                            Poll::Ready(Ok(slot)) => calls[at] = Stage::Seated(slot),
                            Poll::Ready(Err(_)) => drop(calls.swap_remove(at)),
                            Poll::Pending => {}
                        }
                    }
                }
                Step::Drop(at) if !calls.is_empty() => drop(calls.swap_remove(at % calls.len())),
                Step::Pass(ms) => tokio::time::advance(Duration::from_millis(ms)).await,
                Step::Poll(_) | Step::Drop(_) => {}
            }
            assert!(within_bounds(limits));
        }
        while let Some(call) = calls.pop() {
            drop(call);
            assert!(within_bounds(limits));
        }
    }

    proptest! {
        #[test]
        fn everything_returns_to_zero(steps in prop::collection::vec(step(), 0..120)) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            let limits = limits();
            runtime.block_on(run(&limits, steps));
            prop_assert!(is_empty(&limits));
        }
    }
}
