//! Where guests run: once on the caller's own thread, then away from it.
//!
//! A short call is done within one poll and pays for no thread switch. A future
//! that is still pending is of one of two kinds. One that waits for the host is
//! left where it is. One that *computes* (the engine made it yield in the middle of
//! its work) moves to threads of low priority that do nothing else, the burners: on
//! the reactor's threads it would hold up every other call and every timer.
//!
//! Burners serve the owner who had least of their time, and only then one of its tasks:
//! an agent with many computing calls, or with calls whose turns are long, gets no more
//! of the cores than an agent with one.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::names::AgentName;

/// How much nicer than the server the computing threads are (`nice(2)`): the
/// lowest priority that still runs when the server leaves a core idle.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 19;

/// For whom a guest computes: an agent, or the host that asks a plugin for its tools.
pub(super) type Owner = Option<AgentName>;

/// The threads on which computing guests run. They end when this is dropped.
pub(super) struct Burners {
    turns: Arc<Turns>,
}

impl fmt::Debug for Burners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Burners")
    }
}

impl Burners {
    /// Starts `threads` threads.
    pub(super) fn start(threads: usize, clock: &Arc<dyn Clock>) -> std::io::Result<Self> {
        let burners = Self { turns: Arc::default() };
        for _ in 0..threads.max(1) {
            let (turns, clock) = (Arc::clone(&burners.turns), Arc::clone(clock));
            thread::Builder::new().name("guest".to_owned()).spawn(move || {
                lower_priority();
                while let Some(task) = turns.next() {
                    let (owner, began) = (task.owner.clone(), clock.now());
                    // Its future catches its own panics. One of its drop must not end the
                    // thread, and with it the turns of everybody else.
                    let _ = std::panic::catch_unwind(AssertUnwindSafe(|| task.run()));
                    turns.ended(&owner, clock.now().saturating_duration_since(began));
                }
            })?;
        }
        Ok(burners)
    }

    /// Runs a future to its end, on this task until it computes and on a burner
    /// from then on. Dropping this future drops that one, at its next yield.
    ///
    /// # Errors
    /// If the future panicked on a burner.
    pub(super) async fn run<F>(&self, owner: Owner, future: F) -> Result<F::Output, String>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let mut future = Box::pin(future);
        if let Some(output) = poll_until_computing(future.as_mut()).await {
            return Ok(output);
        }
        let (tell, told) = oneshot::channel();
        let future = async move {
            let output = AssertUnwindSafe(future).catch_unwind().await;
            let _ = tell.send(output.map_err(|_| "a guest's future panicked".to_owned()));
        };
        let _dropped_with_us = self.spawn(owner, Box::pin(future));
        told.await.unwrap_or_else(|_| Err("the guests' threads have ended".to_owned()))
    }

    fn spawn(&self, owner: Owner, future: Computing) -> Abandon {
        let task = Arc::new(Task {
            owner,
            // Timers and sockets stay on the server's reactor: burners are busy, and
            // their own timers would fire late.
            reactor: Handle::current(),
            turns: Arc::clone(&self.turns),
            future: Mutex::new(Some(future)),
            stage: AtomicU8::new(WAITING),
            abandoned: AtomicBool::new(false),
        });
        Arc::clone(&task).wake();
        Abandon(task)
    }
}

impl Drop for Burners {
    fn drop(&mut self) {
        self.turns.end();
    }
}

fn lower_priority() {
    // Linux keeps a priority for each thread; elsewhere it would be the whole
    // process's.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::warn!(%error, "guests run at the server's own priority");
    }
}

/// Who computes next.
#[derive(Default)]
struct Turns {
    waiting: Mutex<Ring>,
    arrived: Condvar,
}

/// The owners of tasks that could go on or run.
#[derive(Default)]
struct Ring {
    shares: HashMap<Owner, Share>,
    ended: bool,
}

/// What one owner has, and had, of the burners.
struct Share {
    /// The time that it had, on a scale that all owners share: whoever comes starts where
    /// the least served is. Kept for one that left and had more, so that leaving for a
    /// moment does not make it a newcomer.
    had: Duration,
    ready: VecDeque<Arc<Task>>,
    running: usize,
}

impl Ring {
    fn push(&mut self, task: Arc<Task>) {
        if !self.shares.contains_key(&task.owner) {
            let share = Share { had: self.forget(), ready: VecDeque::new(), running: 0 };
            self.shares.insert(task.owner.clone(), share);
        }
        if let Some(share) = self.shares.get_mut(&task.owner) {
            share.ready.push_back(task);
        }
    }

    /// Forgets owners that left and had no more than those that are here, and returns
    /// what the least served of these had.
    fn forget(&mut self) -> Duration {
        let here = self.shares.values().filter(|share| share.is_here());
        let least = here.map(|share| share.had).min();
        self.shares
            .retain(|_, share| share.is_here() || least.is_some_and(|least| share.had > least));
        least.unwrap_or_default()
    }

    /// The first task of the owner who had least.
    fn pop(&mut self) -> Option<Arc<Task>> {
        let ready = self.shares.values_mut().filter(|share| !share.ready.is_empty());
        let share = ready.min_by_key(|share| share.had)?;
        share.running += 1;
        share.ready.pop_front()
    }

    /// Accounts for a turn that [`Ring::pop`] gave.
    fn ended(&mut self, owner: &Owner, took: Duration) {
        let Some(share) = self.shares.get_mut(owner) else {
            return;
        };
        // No turn is free, however short it is.
        share.had = share.had.saturating_add(took.max(Duration::from_nanos(1)));
        share.running = share.running.saturating_sub(1);
    }
}

impl Share {
    fn is_here(&self) -> bool {
        self.running > 0 || !self.ready.is_empty()
    }
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, Ring> {
        // Consistent whenever it is free: nothing in it can panic half-way.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, task: Arc<Task>) {
        let mut ring = self.lock();
        if !ring.ended {
            ring.push(task);
            drop(ring);
            self.arrived.notify_one();
        }
    }

    /// Waits for a task; `None` once there will be none.
    fn next(&self) -> Option<Arc<Task>> {
        let mut ring = self.lock();
        loop {
            if ring.ended {
                return None;
            }
            if let Some(task) = ring.pop() {
                return Some(task);
            }
            ring = self.arrived.wait(ring).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn ended(&self, owner: &Owner, took: Duration) {
        self.lock().ended(owner, took);
    }

    fn end(&self) {
        let mut ring = self.lock();
        ring.ended = true;
        let abandoned = std::mem::take(&mut ring.shares);
        drop(ring);
        drop(abandoned);
        self.arrived.notify_all();
    }
}

type Computing = Pin<Box<dyn Future<Output = ()> + Send>>;

// The stages of a task.
/// Somebody will wake it.
const WAITING: u8 = 0;
/// It is in the ring.
const QUEUED: u8 = 1;
/// A burner polls it.
const RUNNING: u8 = 2;
/// A burner polls it, and it was woken meanwhile: back into the ring afterwards.
const WOKEN: u8 = 3;

/// A future on the burners.
struct Task {
    owner: Owner,
    reactor: Handle,
    turns: Arc<Turns>,
    /// `None` when it is done. Locked by one burner at a time only.
    future: Mutex<Option<Computing>>,
    stage: AtomicU8,
    abandoned: AtomicBool,
}

impl Task {
    /// Polls it once, and queues it again if it can go on.
    fn run(self: Arc<Self>) {
        self.stage.store(RUNNING, Ordering::SeqCst);
        let mut future = self.future.lock().unwrap_or_else(PoisonError::into_inner);
        let entered = self.reactor.enter();
        let waker = Waker::from(Arc::clone(&self));
        let done = match &mut *future {
            Some(_) if self.abandoned.load(Ordering::SeqCst) => true,
            Some(future) => future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready(),
            None => return,
        };
        if done {
            *future = None;
            return;
        }
        drop((future, entered));
        let waits =
            self.stage.compare_exchange(RUNNING, WAITING, Ordering::SeqCst, Ordering::SeqCst);
        if waits.is_err() {
            self.stage.store(QUEUED, Ordering::SeqCst);
            let turns = Arc::clone(&self.turns);
            turns.push(self);
        }
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let next = |stage| match stage {
            WAITING => Some(QUEUED),
            RUNNING => Some(WOKEN),
            _ => None,
        };
        if self.stage.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next) == Ok(WAITING) {
            let turns = Arc::clone(&self.turns);
            turns.push(self);
        }
    }
}

/// Lets go of a task when it is dropped: a burner drops its future, at once if it is
/// not running, and else at its next yield.
struct Abandon(Arc<Task>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.abandoned.store(true, Ordering::SeqCst);
        Arc::clone(&self.0).wake();
    }
}

/// Polls until the future is done (its output), or yields while it computes (`None`).
async fn poll_until_computing<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    let mut probe: Option<Arc<Probe>> = None;
    poll_fn(move |cx| {
        let probe = Probe::renew(&mut probe, cx.waker());
        let waker = Waker::from(Arc::clone(probe));
        probe.polling.store(true, Ordering::SeqCst);
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        probe.polling.store(false, Ordering::SeqCst);
        match polled {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if probe.woken.swap(false, Ordering::SeqCst) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// A waker that notices being woken during the poll itself: so does a future that
/// has more to compute, and hardly ever one that waits.
struct Probe {
    inner: Mutex<Waker>,
    polling: AtomicBool,
    woken: AtomicBool,
}

impl Probe {
    fn renew<'a>(probe: &'a mut Option<Arc<Self>>, waker: &Waker) -> &'a Arc<Self> {
        let probe = probe.get_or_insert_with(|| {
            Arc::new(Self {
                inner: Mutex::new(waker.clone()),
                polling: AtomicBool::new(false),
                woken: AtomicBool::new(false),
            })
        });
        let mut inner = probe.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if !inner.will_wake(waker) {
            inner.clone_from(waker);
        }
        drop(inner);
        probe
    }
}

impl Wake for Probe {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Order matters: whoever sees `polling` false after this store has either
        // read `woken`, or is about to be woken by us.
        if self.polling.load(Ordering::SeqCst) {
            self.woken.store(true, Ordering::SeqCst);
        }
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use std::sync::atomic::AtomicUsize;
    use std::thread::ThreadId;

    use super::*;
    use crate::clock::FakeClock;

    fn here() -> ThreadId {
        thread::current().id()
    }

    /// One burner, on a clock that stands still: then turns are all that is counted.
    fn burners() -> Burners {
        burners_on(&Arc::new(FakeClock::new()))
    }

    fn burners_on(clock: &Arc<FakeClock>) -> Burners {
        let clock: Arc<dyn Clock> = Arc::<FakeClock>::clone(clock);
        Burners::start(1, &clock).unwrap()
    }

    fn owner(name: &str) -> Owner {
        Some(name.parse().unwrap())
    }

    /// Computes for so many turns.
    async fn compute(turns: usize) {
        for _ in 0..turns {
            let mut yielded = false;
            poll_fn(|cx| {
                cx.waker().wake_by_ref();
                if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
    }

    #[tokio::test]
    async fn a_short_future_stays_on_its_thread() {
        let burners = burners();
        assert_eq!(burners.run(None, async { here() }).await, Ok(here()));
    }

    #[tokio::test]
    async fn a_computing_future_moves() {
        let burners = burners();
        let moved = async {
            let first = here();
            compute(1).await;
            (first, here())
        };
        let (first, last) = burners.run(None, moved).await.unwrap();
        assert_eq!(first, here());
        assert_ne!(last, here());
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_future_stays_on_its_thread() {
        let burners = burners();
        let waited = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            here()
        };
        assert_eq!(burners.run(None, waited).await, Ok(here()));
    }

    #[tokio::test]
    async fn a_future_that_waits_on_a_burner_goes_on_when_it_is_woken() {
        let burners = burners();
        let (send, receive) = oneshot::channel();
        let waiting = burners.run(None, async {
            compute(2).await;
            receive.await
        });
        let sending = async {
            compute(5).await;
            send.send(7).unwrap();
        };
        let (received, ()) = tokio::join!(waiting, sending);
        assert_eq!(received, Ok(Ok(7)));
    }

    #[tokio::test]
    async fn an_abandoned_future_is_dropped() {
        struct Tells(Option<oneshot::Sender<()>>);
        impl Drop for Tells {
            fn drop(&mut self) {
                let _ = self.0.take().map(|tell| tell.send(()));
            }
        }
        let burners = burners();
        for computes in [true, false] {
            let (tell, told) = oneshot::channel();
            let tells = Tells(Some(tell));
            let (begin, begun) = oneshot::channel();
            let endless = async move {
                let _tells = tells;
                compute(1).await;
                let _ = begin.send(());
                match computes {
                    true => loop {
                        compute(1).await;
                    },
                    false => std::future::pending::<()>().await,
                }
            };
            tokio::select! {
                _ = burners.run(None, endless) => panic!("it never ends"),
                begun = begun => begun.unwrap(),
            }
            told.await.expect("its drop tells");
        }
        assert_eq!(burners.run(None, async { 7 }).await, Ok(7));
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_the_threads_go_on() {
        let burners = burners();
        for _ in 0..3 {
            let failing = async {
                compute(1).await;
                panic!("on a burner")
            };
            assert!(burners.run::<_>(None, failing).await.map(|(): ()| ()).is_err());
        }
        let moved = async {
            compute(1).await;
            7
        };
        assert_eq!(burners.run(None, moved).await, Ok(7));
    }

    #[tokio::test]
    async fn an_owner_with_many_tasks_gets_no_more_than_one_with_few() {
        const TURNS: usize = 1_000;
        let burners = burners();
        let done = Arc::new(AtomicBool::new(false));
        let turns = Arc::new(AtomicUsize::new(0));
        let many = (0..20).map(|_| {
            let (done, turns) = (Arc::clone(&done), Arc::clone(&turns));
            burners.run(owner("many"), async move {
                while !done.load(Ordering::SeqCst) {
                    compute(1).await;
                    turns.fetch_add(1, Ordering::SeqCst);
                }
            })
        });
        let few = burners.run(owner("one"), {
            let (done, turns) = (Arc::clone(&done), Arc::clone(&turns));
            async move {
                compute(1).await;
                let before = turns.load(Ordering::SeqCst);
                compute(TURNS).await;
                done.store(true, Ordering::SeqCst);
                turns.load(Ordering::SeqCst) - before
            }
        });
        let (_, of_many) = tokio::join!(join_all(many), few);
        // One turn each.
        let of_many = of_many.unwrap();
        assert!(of_many.abs_diff(TURNS) <= TURNS / 100, "{of_many} turns beside {TURNS}");
    }

    #[tokio::test]
    async fn an_owner_with_long_turns_gets_fewer() {
        const TURNS: usize = 1_000;
        const LONGER: u32 = 20;
        let clock = Arc::new(FakeClock::new());
        let burners = burners_on(&clock);
        let done = AtomicBool::new(false);
        let (done, clock) = (Arc::new(done), &clock);
        let long = burners.run(owner("long"), {
            let (done, clock) = (Arc::clone(&done), Arc::clone(clock));
            async move {
                let mut turns = 0;
                while !done.load(Ordering::SeqCst) {
                    clock.advance(LONGER * Duration::from_millis(1));
                    compute(1).await;
                    turns += 1;
                }
                turns
            }
        });
        let short = burners.run(owner("short"), {
            let (done, clock) = (Arc::clone(&done), Arc::clone(clock));
            async move {
                for _ in 0..TURNS {
                    clock.advance(Duration::from_millis(1));
                    compute(1).await;
                }
                done.store(true, Ordering::SeqCst);
            }
        });
        let (long, _) = tokio::join!(long, short);
        let fair = TURNS / LONGER as usize;
        assert!(long.unwrap() <= fair + 2, "of {fair}");
    }
}
