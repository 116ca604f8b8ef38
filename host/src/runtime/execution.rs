//! Where guests run: once on the caller's own thread, then away from it.
//!
//! A short call is done within one poll and pays for no thread switch. A future
//! that is still pending is of one of two kinds. One that waits for the host is
//! left where it is. One that *computes* (the engine made it yield in the middle of
//! its work) moves to threads of low priority that do nothing else: on the
//! reactor's threads it would hold up every other call and every timer.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::task::AbortOnDropHandle;

/// How much nicer than the server the computing threads are (`nice(2)`): the
/// lowest priority that still runs when the server leaves a core idle.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 19;

/// The threads on which computing guests run.
#[derive(Debug)]
pub(super) struct Burners {
    /// Taken only when it is dropped.
    runtime: Option<Runtime>,
}

impl Burners {
    /// Starts `threads` threads.
    pub(super) fn start(threads: usize) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name("guest")
            .on_thread_start(lower_priority)
            .build()?;
        Ok(Self { runtime: Some(runtime) })
    }

    /// Runs a future to its end, on this task until it computes and on a burner
    /// from then on. Dropping this future drops that one, at its next yield.
    ///
    /// # Errors
    /// What the panic said, if the future panicked on a burner.
    pub(super) async fn run<F>(&self, future: F) -> Result<F::Output, String>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let mut future = Box::pin(future);
        if let Some(output) = poll_until_computing(future.as_mut()).await {
            return Ok(output);
        }
        let Some(runtime) = &self.runtime else {
            return Err("the guests' threads have ended".to_owned());
        };
        let task = OnReactor { reactor: Handle::current(), future };
        AbortOnDropHandle::new(runtime.spawn(task)).await.map_err(|error| error.to_string())
    }
}

impl Drop for Burners {
    fn drop(&mut self) {
        // A plain drop waits for the threads, which a runtime does not allow on
        // one of its own.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
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

/// A future that runs on a burner and keeps its timers and sockets on the server's
/// reactor: burners are busy, and their own timers would fire late.
struct OnReactor<F> {
    reactor: Handle,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for OnReactor<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let _entered = this.reactor.enter();
        this.future.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::thread::{self, ThreadId};
    use std::time::Duration;

    use super::*;

    fn here() -> ThreadId {
        thread::current().id()
    }

    #[tokio::test]
    async fn a_short_future_stays_on_its_thread() {
        let burners = Burners::start(1).unwrap();
        assert_eq!(burners.run(async { here() }).await, Ok(here()));
    }

    #[tokio::test]
    async fn a_computing_future_moves() {
        let burners = Burners::start(1).unwrap();
        let moved = async {
            let first = here();
            let mut yielded = false;
            poll_fn(|cx| {
                cx.waker().wake_by_ref();
                if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            (first, here())
        };
        let (first, last) = burners.run(moved).await.unwrap();
        assert_eq!(first, here());
        assert_ne!(last, here());
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_future_stays_on_its_thread() {
        let burners = Burners::start(1).unwrap();
        let waited = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            here()
        };
        assert_eq!(burners.run(waited).await, Ok(here()));
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_the_threads_go_on() {
        let burners = Burners::start(1).unwrap();
        for _ in 0..3 {
            let failing = async {
                tokio::task::yield_now().await;
                poll_fn::<(), _>(|cx| {
                    cx.waker().wake_by_ref();
                    if thread::current().name() == Some("guest") {
                        panic!("on a burner")
                    }
                    Poll::Pending
                })
                .await;
            };
            assert!(burners.run(failing).await.is_err());
        }
        assert_eq!(burners.run(async { 7 }).await, Ok(7));
    }
}
