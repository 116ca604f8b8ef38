//! The keys that an issuer publishes, kept fresh in the background.
//!
//! The threats: whoever sends made-up key ids makes us hammer the issuer; an issuer
//! that is down or slow takes calls with it; one that is down for long leaves keys in
//! force that it has withdrawn. So one task alone asks the issuer, at most once in
//! [`AT_MOST`] for all unknown ids together; calls wait for it only with a token that
//! no known key made, a bounded time and a bounded number of them, fewer of one source;
//! and keys that could not be read again serve for a bounded time, and with them what
//! they have verified.
//!
//! What the issuer says about caching is not looked at: `refresh` decides.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use tokio::sync::{Notify, watch};

use super::discovery;
use super::jwt::Jwt;
use super::keys::{KeySet, Refusal};
use super::waiting::Places;
use super::warm::Warm;
use super::{Background, Rejected};
use crate::clock::Clock;
use crate::config::{Issuer, KeySource, Url, shown};
use crate::fetch::Client;

/// How often unknown key ids may make the issuer be asked: an issuer that rotates its
/// keys in an emergency is followed within this time.
const AT_MOST: Duration = Duration::from_secs(30);

/// After a failure: 1 s, doubled each time up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long a call waits for keys. Its client waits longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The keys of one issuer.
pub(super) struct Keyring {
    issuer: Arc<str>,
    place: Place,
    client: Client,
    clock: Arc<dyn Clock>,
    refresh: Duration,
    stale_for: Duration,
    held: ArcSwapOption<Held>,
    progress: watch::Sender<Progress>,
    wanted: Notify,
    waiting: Places,
    /// Whether the task runs.
    awake: AtomicBool,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// Where the keys are published.
#[derive(Debug)]
enum Place {
    /// Where the metadata of this issuer says.
    Discovered(Url),
    At(Url),
}

#[derive(Debug)]
struct Held {
    keys: Arc<KeySet>,
    since: Instant,
}

/// What the one task is at.
#[derive(Clone, Debug, Default)]
struct Progress {
    /// When an unknown key id last made it ask.
    demanded: Option<Instant>,
    running: bool,
    /// How many attempts have ended.
    ended: u64,
    /// How the last one failed, if it did.
    failure: Option<String>,
}

impl Keyring {
    /// The keys that `issuer` publishes; nothing where it shares a secret instead.
    pub(super) fn of(issuer: &Issuer, client: &Client, clock: &Arc<dyn Clock>) -> Option<Self> {
        let place = match &issuer.keys {
            KeySource::Discovered(url) => Place::Discovered(url.clone()),
            KeySource::At(url) => Place::At(url.clone()),
            KeySource::Secret(_) | KeySource::Nowhere => return None,
        };
        Some(Self {
            issuer: issuer.issuer.as_str().into(),
            place,
            client: client.clone(),
            clock: Arc::clone(clock),
            refresh: issuer.refresh,
            stale_for: issuer.stale_for,
            held: ArcSwapOption::empty(),
            progress: watch::Sender::default(),
            wanted: Notify::new(),
            waiting: Places::default(),
            awake: AtomicBool::new(false),
        })
    }

    /// Starts the one task, unless it runs. It ends with `background`.
    pub(super) fn wake(self: &Arc<Self>, background: &Background, warm: &Arc<Warm>) {
        if self.awake.swap(true, Ordering::Relaxed) {
            return;
        }
        let (this, warm, end) = (Arc::clone(self), Arc::clone(warm), background.end.clone());
        background.tasks.spawn(async move {
            let _ = end.run_until_cancelled(this.keep_fresh(&|| warm.clear())).await;
        });
    }

    /// Verifies the signature of `jwt`, and gives the keys that it was verified with.
    /// May wait for the task, a bounded time. Safe to cancel.
    pub(super) async fn verify(
        &self,
        jwt: &Jwt<'_>,
        source: Option<IpAddr>,
    ) -> Result<Arc<KeySet>, Rejected> {
        let before = self.progress.subscribe();
        let unknown = match self.try_with_known(jwt) {
            Ok(keys) => return Ok(keys),
            Err(Some(Refusal::Wrong(why))) => return Err(Rejected::Token(why)),
            Err(Some(Refusal::UnknownKey(what))) => Some(what),
            Err(None) => None,
        };
        self.asked_again(before, source).await?;
        match self.try_with_known(jwt) {
            Ok(keys) => Ok(keys),
            Err(Some(Refusal::Wrong(why))) => Err(Rejected::Token(why)),
            Err(refusal) => Err(self.given_up(unknown, refusal)),
        }
    }

    /// The keys that count now.
    pub(super) fn keys(&self) -> Option<Arc<KeySet>> {
        let held = self.held.load();
        let held = held.as_ref()?;
        let age = self.clock.now().saturating_duration_since(held.since);
        (age <= self.refresh + self.stale_for).then(|| Arc::clone(&held.keys))
    }

    fn try_with_known(&self, jwt: &Jwt<'_>) -> Result<Arc<KeySet>, Option<Refusal>> {
        let keys = self.keys().ok_or(None)?;
        keys.verify(jwt).map_err(Some)?;
        Ok(keys)
    }

    /// Why a token is refused that no key is known for: it is wrong only if the issuer
    /// could be asked.
    fn given_up(&self, unknown: Option<String>, refusal: Option<Refusal>) -> Rejected {
        let failure = self.progress.borrow().failure.clone();
        match (failure, refusal, unknown) {
            (Some(failure), ..) => Rejected::IssuerUnavailable(failure),
            (None, Some(Refusal::UnknownKey(what)), _) | (None, _, Some(what)) => {
                Rejected::Token(what)
            }
            (None, ..) => Rejected::IssuerUnavailable("its keys are not known yet".to_owned()),
        }
    }

    /// Waits for the end of an attempt that is running or due; returns at once when the
    /// last one was just now.
    async fn asked_again(
        &self,
        mut progress: watch::Receiver<Progress>,
        source: Option<IpAddr>,
    ) -> Result<(), Rejected> {
        let seen = progress.borrow_and_update().clone();
        if !seen.running && seen.ended > 0 && !self.is_due(&seen) {
            return Ok(());
        }
        let unavailable = |why: &str| Rejected::IssuerUnavailable(why.to_owned());
        let _place =
            self.waiting.take(source).ok_or_else(|| unavailable("too many wait for it"))?;
        // One that has begun, or is about to, need not be told.
        if !seen.running && seen.ended > 0 {
            self.wanted.notify_one();
        }
        let ended = progress.wait_for(|now| now.ended > seen.ended);
        match tokio::time::timeout(PATIENCE, ended).await {
            Ok(_) => Ok(()),
            Err(_) => Err(unavailable("it takes too long to tell its keys")),
        }
    }

    fn is_due(&self, progress: &Progress) -> bool {
        let now = self.clock.now();
        progress.demanded.is_none_or(|last| now.saturating_duration_since(last) >= AT_MOST)
    }

    /// Reads the keys now and then, and when they are wanted, for as long as it is
    /// polled. Calls `withdrawn` when a key is gone, or too old.
    async fn keep_fresh(&self, withdrawn: &(dyn Fn() + Sync)) {
        let mut failures = 0_u32;
        loop {
            let failure = self.attempt(withdrawn).await.err();
            self.tell(failure.as_deref(), failures);
            failures = if failure.is_some() { failures.saturating_add(1) } else { 0 };
            self.pause(failures).await;
        }
    }

    async fn attempt(&self, withdrawn: &(dyn Fn() + Sync)) -> Result<(), String> {
        self.progress.send_modify(|progress| progress.running = true);
        let read = self.read().await;
        let failure = match read {
            Ok(keys) => {
                let held = Held { keys: Arc::new(keys), since: self.clock.now() };
                let newer = Arc::clone(&held.keys);
                let older = self.held.swap(Some(Arc::new(held)));
                if older.is_some_and(|older| older.keys.lost_any(&newer)) {
                    withdrawn();
                }
                None
            }
            Err(why) => {
                // Too old by now to serve: neither does what they have verified.
                if self.keys().is_none() && self.held.swap(None).is_some() {
                    withdrawn();
                }
                Some(why)
            }
        };
        self.progress.send_modify(|progress| {
            progress.running = false;
            progress.ended += 1;
            progress.failure.clone_from(&failure);
        });
        failure.map_or(Ok(()), Err)
    }

    async fn read(&self) -> Result<KeySet, String> {
        let url = match &self.place {
            Place::At(url) => url.clone(),
            Place::Discovered(issuer) => {
                discovery::key_set_url(&self.client, issuer, &self.issuer).await?
            }
        };
        let document = self.client.get(&url).await.map_err(|error| error.to_string())?;
        KeySet::parse(&document).map_err(|why| format!("{}: {why}", shown(url.as_str())))
    }

    /// Waits until it is time: after `failures` in a row, or when keys are wanted.
    async fn pause(&self, failures: u32) {
        let pause = match failures.checked_sub(1) {
            None => self.refresh,
            Some(doublings) => {
                let pause = Duration::from_secs(1 << doublings.min(10));
                pause.min(LONGEST_PAUSE)
            }
        };
        let wanted = async {
            loop {
                self.wanted.notified().await;
                if self.is_due(&self.progress.borrow()) {
                    let now = self.clock.now();
                    return self.progress.send_modify(|progress| progress.demanded = Some(now));
                }
            }
        };
        let _ = tokio::time::timeout(pause, wanted).await;
    }

    /// Tells the operator when something has changed.
    fn tell(&self, failure: Option<&str>, failures_before: u32) {
        let issuer = shown(&self.issuer);
        let count = self.keys().map_or(0, |keys| keys.len());
        match failure {
            None if count == 0 => {
                tracing::warn!("issuer {issuer}: it has no key that is for signatures here")
            }
            None if failures_before > 0 => {
                tracing::info!("issuer {issuer}: its keys are there again")
            }
            None => tracing::debug!("issuer {issuer}: {count} keys"),
            Some(why) if failures_before == 0 => {
                let next = match self.keys() {
                    Some(_) => "the last ones serve",
                    None => "its tokens are refused until they can",
                };
                tracing::warn!("issuer {issuer}: its keys cannot be read, {next}: {why}");
            }
            Some(why) => tracing::debug!("issuer {issuer}: its keys cannot be read: {why}"),
        }
    }
}
