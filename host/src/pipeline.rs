//! **The life of a call**, from a request's first byte to its record.
//!
//! [`answer`] authenticates a request before its body is read, so that nobody
//! without a credential can make the server keep anything, and takes it to its
//! method. A tool call then goes through `live`, whose every step takes the
//! evidence that the step before it returned: each of those types has private
//! fields and one constructor, so a step that is skipped or moved does not compile
//! (the doctests beside each step prove it). Around it, `call` opens the audit
//! record before the first decision and closes it exactly once, on every path.
//!
//! Deliberately absent: HTTP statuses and JSON-RPC integers (`respond.rs`), the
//! engine (`runtime/`), and anything that decides. This file only says in which
//! order the others do.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::{self, Identities, LastUse, Principal, Revocations, Tokens};
use crate::clock::Clock;
use crate::config::RateLimit;
use crate::error::{Code, Error, Retry};
use crate::limits::{Delay, Limits, Meter, MeterKey, Metered, Slot, Slowdown};
use crate::names::{ByteCount, Rate, RequestId};
use crate::plugins::{Plugins, Snapshot};
use crate::policy::{self, Policy};
use crate::respond::{Answer, Called, Reply};
use crate::runtime::{self, CallContext, Events, GuestEvent, Level};
use crate::sanitize::{self, CleanOutput, OwnSecrets, Sanitizer};
use crate::telemetry::{AuditLog, CallRecord, Ending, Gate, Metrics, OpenRecord, Why, trace_id};
use crate::text::clean_line;
use crate::transport::{
    self, BadMessage, Body, Channel, Head, Message, Meta, Method, Presented, Progress, Request,
    RpcId, Shown, ToolCall,
};
use crate::validation;

/// The longest line of a guest's log or progress that is passed on, in characters.
const MAX_LINE_CHARS: usize = 500;

/// How many refusals of strangers are recorded, of those who present a credential and of
/// those who do not: ten a second, a hundred at once.
const STRANGERS: RateLimit = RateLimit {
    rate: Rate { cells: NonZeroU32::new(10).unwrap(), per: Duration::from_secs(1) },
    burst: NonZeroU32::new(100).unwrap(),
};

/// How long a client should wait while plugins are loaded; compiling takes seconds.
const LOADING_RETRY: Duration = Duration::from_secs(1);

/// How long a client should wait when the server is about to end: another replica,
/// or the next process, may serve it then.
const DRAIN_RETRY: Duration = Duration::from_secs(1);

/// Everything that calls share. All of it is immutable, swapped whole, or made for
/// being shared; nothing here is locked for the length of a call.
pub struct Host {
    /// Tells the time to every limit, deadline and record.
    pub clock: Arc<dyn Clock>,
    /// Who may ask. Swapped when keys change.
    pub identities: ArcSwap<Identities>,
    /// Who has failed to prove who they are.
    pub slowdown: Slowdown,
    /// The authorization servers that vouch for others.
    pub tokens: Tokens,
    /// What the operator's policy says.
    pub policy: ArcSwap<Policy>,
    /// Rates and slots.
    pub limits: Limits,
    /// What is served.
    pub plugins: Arc<Plugins>,
    /// One record per call.
    pub audit: AuditLog,
    /// What no output may hold.
    pub secrets: OwnSecrets,
    /// What operators count.
    pub metrics: Arc<Metrics>,
    /// Every call in flight, so that drain can wait for them.
    pub calls: TaskTracker,
    /// Reads keys and revocations anew; locked, so that an older reading never replaces
    /// a newer.
    pub rereading: Mutex<Rereading>,
    /// When keys were last used.
    pub last_use: Arc<LastUse>,
    /// The plugins have been looked for.
    pub loaded: AtomicBool,
    /// Traffic should go elsewhere; calls are still served.
    pub ending: AtomicBool,
    /// No further call is begun.
    pub draining: AtomicBool,
    /// Cancels every call in flight.
    pub end_calls: CancellationToken,
}

/// Reads anew who may ask.
pub struct Rereading {
    /// What was revoked, in a journal that goes on where that of before ended.
    pub revocations: Reread<Revocations, Revocations>,
    /// The keys, without what was revoked.
    pub keys: Reread<Arc<Revocations>, Identities>,
}

/// Makes something of a file and of what was known.
type Reread<Known, Made> = Box<dyn Fn(&Known) -> Result<Made, Error> + Send>;

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Host")
    }
}

/// Answers one request.
///
/// A call runs in a task of its own: dropping this future does not end it, which is
/// what a disconnected client of the older protocol wants. `cancel` ends it.
pub async fn answer(
    host: &Arc<Host>,
    head: Head,
    body: Body,
    progress: mpsc::Sender<Progress>,
    cancel: CancellationToken,
) -> Reply {
    let asked = auth::authenticate(&host.identities, &host.tokens, &head, &*host.clock).await;
    let principal = match asked {
        Ok(principal) => principal,
        Err(refused) => return Reply::Gate(turn_away(host, &head, refused).await),
    };
    let body = match body.read().await {
        Ok(body) => body,
        Err(refused) => return Reply::Gate(refused),
    };
    let (id, request) = match transport::parse(&head, &body) {
        Ok(Message::Request { id, request }) => (id, request),
        // What is not a call spends the same rate.
        Ok(Message::Notification(_) | Message::Response) => {
            return host.limits.charge(principal).map_or_else(Reply::Gate, |_| Reply::Accepted);
        }
        Err(bad) => {
            return match host.limits.charge(principal) {
                Ok(_) => Reply::Malformed(bad),
                Err(error) => refused(bad.id, error),
            };
        }
    };
    let Request { version, meta, method } = request;
    let answer = if let Method::CallTool(tool_call) = method {
        let told =
            Told { request_id: head.request_id, source: head.source, meta, progress, cancel };
        Ok(Answer::Called(call(host, principal, tool_call, told).await.into()))
    } else {
        answer_at_once(host, principal, method)
    };
    match answer {
        Ok(answer) => Reply::Answer { id, version, answer },
        Err(error) => refused(id, error),
    }
}

/// A refusal that HTTP shows in the status, of a request that was read: it is answered
/// under its id, as JSON-RPC wants it.
fn refused(id: RpcId, error: Error) -> Reply {
    Reply::Malformed(BadMessage { id, error, shown: Shown::AsStatus })
}

/// Every method but `tools/call`: a function of the principal and of what is served.
fn answer_at_once(host: &Host, principal: Principal, method: Method) -> Result<Answer, Error> {
    let charged = host.limits.charge(principal)?;
    Ok(match method {
        Method::Initialize { .. } => Answer::Initialized,
        Method::Discover => Answer::Discovered,
        Method::Ping => Answer::Pong,
        Method::ListTools { cursor: Some(_) } => Answer::BadCursor,
        Method::ListTools { cursor: None } => {
            host.is_loaded()?;
            let world = host.plugins.snapshot();
            Answer::Tools(auth::visible(&charged, world.catalog()).cloned().collect())
        }
        Method::CallTool(_) => return Err(Error::internal("a call outside of its pipeline")),
    })
}

/// What comes with a call besides its tool and arguments.
struct Told {
    request_id: RequestId,
    source: Option<IpAddr>,
    meta: Meta,
    progress: mpsc::Sender<Progress>,
    cancel: CancellationToken,
}

/// Opens the record of a call, lets it live, and closes the record.
async fn call(host: &Arc<Host>, principal: Principal, call: ToolCall, told: Told) -> Called {
    let mut open = match open_record(host, &told, &principal, &call) {
        Ok(open) => open,
        Err(refused) => return Called::refused(refused),
    };
    let shows_spending = principal.sees_spending();
    let early =
        Early { host: Arc::clone(host), principal: principal.clone(), end: told.cancel.clone() };
    let shared = Arc::clone(host);
    let task = host.calls.spawn(async move {
        let world = shared.plugins.snapshot();
        let life = live(&shared, &world, &mut open.record, principal, call, told);
        // A panic in a step is this call's end and nobody else's.
        let life = AssertUnwindSafe(life).catch_unwind();
        let panicked = |_| Err(Error::internal("a step of the call panicked"));
        let result = early.ended(async { life.await.unwrap_or_else(panicked) }).await;
        close_record(open, result, shows_spending).await
    });
    // Panics are caught above; what is left is a runtime that shuts down.
    task.await.unwrap_or_else(|error| Called::refused(Error::internal(error)))
}

/// What can end a call before its time, besides its client.
struct Early {
    host: Arc<Host>,
    principal: Principal,
    end: CancellationToken,
}

impl Early {
    /// Cancels a call when the server has waited for it long enough, and when its
    /// principal is turned away while it runs.
    async fn ended<T>(self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let Self { host, principal, end } = self;
        let mut call = std::pin::pin!(call);
        loop {
            let identities = host.identities.load_full();
            if !identities.accepts(&principal) {
                end.cancel();
                let _ = call.await;
                return Err(auth::turned_away());
            }
            tokio::select! {
                biased;
                output = &mut call => return output,
                () = host.end_calls.cancelled() => break,
                () = identities.superseded().cancelled() => {}
            }
        }
        let hung_up = end.is_cancelled();
        end.cancel();
        match call.await {
            // Its client still waits, and is owed an answer.
            Err(error) if *error.code() == Code::Cancelled && !hung_up => Err(outlasted()),
            ended => ended,
        }
    }
}

/// The end of a call that the server could not wait for. Whether it is worth repeating
/// depends on what the tool had done by then, so the text says that.
fn outlasted() -> Error {
    let text =
        "The server ended before the tool was done, and it may have done a part of its work.";
    Error::new(Code::DeadlineExceeded, text).detail("quota", "server.drain_timeout")
}

/// The life of a call.
///
/// # Errors
/// The refusal of the first step that says no, or the guest's fault.
async fn live(
    host: &Host,
    world: &Snapshot,
    record: &mut CallRecord,
    principal: Principal,
    call: ToolCall,
    told: Told,
) -> Result<CleanOutput, Error> {
    host.is_loaded()?;
    host.accepts_calls()?;

    // Is it within this agent's rate? First, so that a loop on unknown tools or bad
    // arguments spends the looping agent's own.
    record.gate = Some(Gate::Charge);
    let charged = host.limits.charge(principal)?;
    record.arguments = Some(Arc::clone(&call.arguments));

    // May it call this tool?
    record.gate = Some(Gate::Authorize);
    let permit = auth::authorize(charged, world.catalog(), &call.name)?;
    record.tool = Some(Arc::clone(permit.tool()));

    // Is it within the tool's and the plugin's rates?
    record.gate = Some(Gate::Admit);
    let admitted = host.limits.admit(permit)?;

    // Are the arguments what the schema says? Before any tool code runs.
    record.gate = Some(Gate::Check);
    let valid = validation::check(world.validators(), admitted, call.arguments)?;
    record.coercions = Arc::clone(valid.coercions());

    // Does policy allow these arguments?
    record.gate = Some(Gate::Approve);
    let approval = policy::approve(&host.policy.load(), valid, &*host.clock)?;

    // Is there a slot? Last of the gates, so that an invalid call never holds one.
    record.gate = Some(Gate::Acquire);
    let since = host.clock.now();
    let slot = unless_cancelled(&told.cancel, host.limits.acquire(approval)).await;
    let waited = || host.clock.now().saturating_duration_since(since);
    record.queued = Some(slot.as_ref().map_or_else(|_| waited(), Slot::queued));
    let slot = slot?;

    // Run it in a fresh sandbox.
    record.gate = Some(Gate::Invoke);
    let prepared = world
        .prepared(slot.get().call().permit().tool().id)
        .ok_or_else(|| Error::internal("a tool without an instance in its snapshot"))?;
    let ran = runtime::invoke(host.plugins.sandbox(), prepared, slot, context_of(told)).await;
    record.cost = Some(ran.spent);

    // Is it fit for a model?
    let produced = ran.result?;
    record.gate = Some(Gate::Clean);
    let with =
        Sanitizer { validators: world.validators(), names: world.names(), secrets: &host.secrets };
    let mut told = sanitize::Told::default();
    let clean = sanitize::clean(produced, &with, &mut told);
    host.metrics.sanitized(&told);
    clean
}

async fn unless_cancelled<T>(
    cancel: &CancellationToken,
    step: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::select! {
        biased;
        result = step => result,
        () = cancel.cancelled() => Err(Error::new(Code::Cancelled, "The call was cancelled.")),
    }
}

/// What the guest learns of its call, and who hears what it says meanwhile.
fn context_of(told: Told) -> CallContext {
    let Told { request_id, source: _, meta, progress, cancel } = told;
    CallContext {
        request_id,
        traceparent: meta.trace.traceparent.as_deref().map(Arc::from),
        tracestate: meta.trace.tracestate.as_deref().map(Arc::from),
        client_metadata: meta.client_metadata.as_ref().into(),
        events: listener(request_id, meta.progress_token, progress),
        cancel,
    }
}

/// Passes on what a guest says: progress to the client, if it asked for that, and
/// lines to the operator's log. Cleaned here, as everything that a guest returns.
fn listener(
    id: RequestId,
    token: Option<Box<RawValue>>,
    progress: mpsc::Sender<Progress>,
) -> Events {
    Arc::new(move |event| match event {
        GuestEvent::Progress { progress: at, total, message } => {
            let Some(token) = token.clone() else { return };
            let message = message.map(|message| clean_line(message, MAX_LINE_CHARS));
            // A client that reads too slowly misses reports, not its result.
            let _ = progress.try_send(Progress { token, progress: at, total, message });
        }
        GuestEvent::Log { level, message } => {
            let message = clean_line(message, MAX_LINE_CHARS);
            match level {
                Level::Debug => {
                    tracing::debug!(target: "bulkhead::plugin", request_id = %id, "{message}")
                }
                Level::Info | Level::Notice => {
                    tracing::info!(target: "bulkhead::plugin", request_id = %id, "{message}");
                }
                Level::Warning => {
                    tracing::warn!(target: "bulkhead::plugin", request_id = %id, "{message}")
                }
                Level::Error | Level::Critical | Level::Alert | Level::Emergency => {
                    tracing::error!(target: "bulkhead::plugin", request_id = %id, "{message}");
                }
            }
        }
        GuestEvent::Printed { text, lines } => {
            let mut printed = text.lines().filter(|line| !line.trim().is_empty());
            for line in printed.by_ref().take(lines as usize) {
                let line = clean_line(line, MAX_LINE_CHARS);
                tracing::info!(target: "bulkhead::plugin", request_id = %id, "printed: {line}");
            }
            let dropped = printed.count();
            if dropped > 0 {
                tracing::info!(
                    target: "bulkhead::plugin",
                    request_id = %id,
                    "{dropped} more printed lines were dropped (`per_call.log_lines`)"
                );
            }
        }
    })
}

fn open_record(
    host: &Host,
    told: &Told,
    principal: &Principal,
    call: &ToolCall,
) -> Result<OpenRecord, Error> {
    let mut open = host.audit.open(told.request_id)?;
    let record = &mut open.record;
    record.source = told.source;
    record.trace_id = told.meta.trace.traceparent.as_deref().and_then(trace_id).map(Box::from);
    record.agent = Some(principal.agent().clone());
    record.subject = principal.subject().cloned();
    record.tenant = principal.tenant().map(Box::from);
    record.credential = Some(principal.credential().to_string().into());
    record.asked = Some(call.name.as_str().into());
    Ok(open)
}

/// Writes how a call ended, and gives what its client is answered.
async fn close_record(
    mut open: OpenRecord,
    result: Result<CleanOutput, Error>,
    shows_spending: bool,
) -> Called {
    let record = &mut open.record;
    record.why = result.as_ref().err().map(Why::of);
    record.output = result.as_ref().ok().map(|output| ByteCount(output.bytes() as u64));
    log_ending(record.request_id, &result);
    let (tool, cost, queued, input) =
        (record.tool.clone(), record.cost, record.queued, record.input());
    let coercions = Arc::clone(&record.coercions);
    open.close(result.as_ref().err().map_or(Ending::Ok, Ending::from)).await;
    Called { tool, cost, queued, input, coercions, shows_spending, result }
}

/// Turns somebody away: recorded, and slower the more often that source has failed.
async fn turn_away(host: &Host, head: &Head, refused: Error) -> Error {
    let presented = !matches!(head.presented, Presented::None);
    let failed = *refused.code() == Code::Unauthenticated;
    if failed {
        host.metrics.turned_away(presented);
    }
    let refused = record_refusal(host, head, refused).await;
    if !(failed && presented && head.channel == Channel::Http) {
        return refused;
    }
    match host.slowdown.failed(head.source) {
        Delay::None => refused,
        Delay::Wait(wait, _place) => {
            tokio::time::sleep(wait).await;
            refused
        }
        Delay::Full(wait) => {
            Error::new(Code::RateLimited, "Too many credentials were not accepted.")
                .retry(Retry::After(wait))
        }
    }
}

/// Records that somebody was turned away before the request could be read, and
/// gives the refusal back.
///
/// Beyond [`STRANGERS`] it is only logged: somebody without a credential must not be
/// able to fill the disk.
async fn record_refusal(host: &Host, head: &Head, refused: Error) -> Error {
    log_ending(head.request_id, &Err::<(), _>(refused.clone()));
    let presented = !matches!(head.presented, Presented::None);
    if host.limits.charge(Stranger { presented }).is_err() {
        return refused;
    }
    let source = head.source;
    if *refused.code() == Code::Unauthenticated && presented {
        let cause = refused.cause().map(|cause| clean_line(cause, MAX_LINE_CHARS));
        let (request_id, source) = (head.request_id, source.map(tracing::field::display));
        tracing::info!(%request_id, source, cause, "a credential was not accepted");
    }
    let mut open = match host.audit.open(head.request_id) {
        Ok(open) => open,
        Err(unavailable) => return unavailable,
    };
    open.record.source = source;
    open.record.gate = Some(Gate::Authenticate);
    open.record.why = Some(Why::of(&refused));
    open.close(Ending::from(&refused)).await;
    refused
}

/// Whoever was turned away, all of them together; but whoever presents nothing cannot
/// hide those who try credentials.
struct Stranger {
    presented: bool,
}

impl Metered for Stranger {
    fn meters(&self) -> impl Iterator<Item = Meter> {
        let key = MeterKey::turned_away(self.presented);
        std::iter::once(Meter { limit: "gate.rate", key, rate: STRANGERS })
    }
}

fn log_ending<T>(id: RequestId, result: &Result<T, Error>) {
    let Err(error) = result else { return };
    let code = error.code();
    let cause = error.cause().map(|cause| clean_line(cause, MAX_LINE_CHARS)).unwrap_or_default();
    if *code == Code::Internal {
        tracing::error!(request_id = %id, %code, cause, "the call failed");
    } else {
        tracing::debug!(request_id = %id, %code, cause, "the call ended in an error");
    }
}

impl Host {
    fn is_loaded(&self) -> Result<(), Error> {
        if self.loaded.load(Ordering::Relaxed) {
            return Ok(());
        }
        let loading = Error::new(Code::Unavailable, "The server is loading its plugins.");
        Err(loading.retry(Retry::After(LOADING_RETRY)))
    }

    fn accepts_calls(&self) -> Result<(), Error> {
        if self.draining.load(Ordering::Relaxed) {
            let ending = Error::new(Code::Unavailable, "The server is about to end.");
            return Err(ending.retry(Retry::After(DRAIN_RETRY)));
        }
        Ok(())
    }

    /// Why the server should get no traffic; empty when it should.
    pub fn readiness(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if !self.loaded.load(Ordering::Relaxed) {
            reasons.push("the plugins are being loaded".to_owned());
        }
        if self.ending.load(Ordering::Relaxed) {
            reasons.push("the server is about to end".to_owned());
        }
        if !self.audit.is_writable() {
            reasons.push("the audit log cannot be written".to_owned());
        }
        reasons
    }

    /// The metrics, as OpenMetrics text.
    pub fn metrics_text(&self) -> String {
        self.metrics.encode()
    }

    /// Reads the keys, and what was revoked, anew. When this returns, no call is
    /// authenticated by what was there before.
    ///
    /// # Errors
    /// `INTERNAL` when one of the two cannot be read: that one stays as it was, and the
    /// other is in force.
    pub fn reload_keys(&self) -> Result<(), Error> {
        let read = self.rereading.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.identities.load_full();
        let (revoked, unread) = match (read.revocations)(before.revocations()) {
            Ok(revoked) => (Arc::new(revoked), None),
            Err(bad) => (Arc::clone(before.revocations()), Some(bad)),
        };
        match (read.keys)(&revoked) {
            Ok(identities) => {
                self.replace(identities);
                unread.map_or(Ok(()), Err)
            }
            Err(bad) => {
                // What was revoked holds for the keys of before, too.
                self.replace(before.with(revoked));
                Err(unread.map_or(bad.clone(), |unread| {
                    let causes = [unread.cause(), bad.cause()].map(Option::unwrap_or_default);
                    Error::internal(causes.join("; "))
                }))
            }
        }
    }

    /// Reads anew what was revoked, and that alone: however many keys there are, and
    /// whatever is wrong with them, it takes effect.
    ///
    /// # Errors
    /// `INTERNAL` when it cannot be read; all stays as it was.
    pub fn reload_revocations(&self) -> Result<(), Error> {
        let read = self.rereading.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.identities.load_full();
        let revoked = (read.revocations)(before.revocations())?;
        self.replace(before.with(Arc::new(revoked)));
        Ok(())
    }

    /// Whoever is being served is looked at again.
    fn replace(&self, identities: Identities) {
        self.identities.swap(Arc::new(identities)).superseded().cancel();
    }
}
