//! The audit log: one record for every call, on every path.
//!
//! The place of a call's record in the writer's queue is reserved when the call
//! opens, because a drop cannot wait: a call that is abandoned anywhere still leaves
//! its record. A call that cannot have a place is refused, unless the operator said
//! that calls go on unrecorded.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, Thread};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use tokio::sync::mpsc::OwnedPermit;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::warn;

use super::file::{self, CannotOpen, Log};
use super::metrics::Metrics;
use super::record::{CallRecord, Ended, Ending};
use super::shape::clean;
use super::writer::{Entry, Failing, RETRY_PERIOD, Storage, Writer};
use crate::clock::Clock;
use crate::config::OnFailure;
use crate::error::{Code, Error, Retry};
use crate::names::RequestId;

/// How many calls may be open at once: more than the connections that a server takes
/// by default. A free place costs nothing; a record in it about half a KiB.
const MAX_OPEN: usize = 16_384;

/// How much of the replica's name is kept.
const MAX_REPLICA_CHARS: usize = 64;

/// The audit log of one process.
///
/// Dropped without [`AuditLog::finish`], it still writes what was closed, if the
/// process lives that long.
pub struct AuditLog {
    /// `None` once no call may be opened any longer.
    inbox: ArcSwapOption<mpsc::Sender<Entry>>,
    on_failure: OnFailure,
    path: PathBuf,
    writer: Thread,
    /// Closed when the writer has ended.
    ended: watch::Receiver<()>,
    common: Arc<Common>,
}

/// What the log and its open records share.
struct Common {
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    failing: Arc<Failing>,
}

impl AuditLog {
    /// Opens the log at `path`, or at its first sibling that no other process holds,
    /// and starts its writer. `replica` names this process in its records.
    ///
    /// # Errors
    /// The file cannot be opened, or its last line is not one of ours.
    pub fn open_file(
        path: &Path,
        on_failure: OnFailure,
        replica: &str,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, CannotOpen> {
        let Log { path, file, length, chain } = file::open(path)?;
        let failing = Arc::new(Failing::default());
        let replica = clean(replica, MAX_REPLICA_CHARS).into();
        let common = Common { clock, metrics: Arc::clone(&metrics), failing: Arc::clone(&failing) };
        let writer = Writer::new(file, length, chain, replica, failing, metrics);
        Self::start(&path, on_failure, writer, common)
            .map_err(|error| CannotOpen::Io { path, error })
    }

    fn start<W: Storage>(
        path: &Path,
        on_failure: OnFailure,
        writer: Writer<W>,
        common: Common,
    ) -> std::io::Result<Self> {
        let (sender, inbox) = mpsc::channel(MAX_OPEN);
        let (end, ended) = watch::channel(());
        let write = move || {
            writer.run(inbox);
            drop(end);
        };
        let thread = thread::Builder::new().name("audit".to_owned()).spawn(write)?;
        Ok(Self {
            inbox: ArcSwapOption::from_pointee(sender),
            on_failure,
            path: path.to_owned(),
            writer: thread.thread().clone(),
            ended,
            common: Arc::new(common),
        })
    }

    /// The file that is written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the last write succeeded.
    pub fn is_writable(&self) -> bool {
        !self.common.failing.get()
    }

    /// Opens the record of one call, which is in flight from here on.
    ///
    /// # Errors
    /// `UNAVAILABLE` with a wait when the log cannot be written, too many calls are
    /// open, or the log was finished; never with [`OnFailure::Continue`].
    pub fn open(&self, request_id: RequestId) -> Result<OpenRecord, Error> {
        let place = match (self.reserve(), self.on_failure) {
            (Ok(permit), _) => Place::Kept(permit),
            (Err(_), OnFailure::Continue) => Place::Lost,
            (Err(why), OnFailure::Refuse) => return Err(unavailable(why)),
        };
        self.common.metrics.opened();
        Ok(OpenRecord {
            record: CallRecord::new(request_id),
            opened: self.common.clock.utc(),
            since: self.common.clock.now(),
            place: Some(place),
            common: Arc::clone(&self.common),
        })
    }

    fn reserve(&self) -> Result<OwnedPermit<Entry>, &'static str> {
        if self.common.failing.get() && self.on_failure == OnFailure::Refuse {
            // So that calls are served again as soon as the log can be written.
            self.writer.unpark();
            return Err("it cannot be written");
        }
        let inbox = self.inbox.load();
        let inbox = inbox.as_deref().ok_or("it was finished")?.clone();
        inbox.try_reserve_owned().map_err(|_| "too many calls are open")
    }

    /// Opens no more records, and returns when every open one has been closed or
    /// dropped, all are written (or, where that fails once more, counted as lost),
    /// and the file is free for the next process. Cancel-safe: the writer ends at
    /// that point anyhow.
    pub async fn finish(&self) {
        self.inbox.store(None);
        self.writer.unpark();
        // The writer sends nothing: an error means that it has ended.
        let _ = self.ended.clone().changed().await;
    }
}

fn unavailable(why: &'static str) -> Error {
    Error::new(Code::Unavailable, "Calls cannot be recorded at the moment, so none is made.")
        .retry(Retry::After(RETRY_PERIOD))
        .because(format_args!("audit log: {why}"))
}

/// Where a record goes when its call ends.
enum Place {
    Kept(OwnedPermit<Entry>),
    /// Nowhere: there was no place for it.
    Lost,
}

/// The record of a call that has not ended: counted and written exactly once, by
/// [`OpenRecord::close`], or as `CANCELLED` by its drop.
pub struct OpenRecord {
    /// What is known of the call.
    pub record: CallRecord,
    opened: Timestamp,
    since: Instant,
    /// `None` once it is settled.
    place: Option<Place>,
    common: Arc<Common>,
}

impl OpenRecord {
    /// Ends the record; returns when the kernel has its line, so that a crash of this
    /// process cannot lose it. While the log cannot be written, returns at once: the
    /// record is kept and written later.
    ///
    /// Cancel-safe: the record is settled before the first wait.
    pub async fn close(mut self, ending: Ending) {
        let (receipt, written) = oneshot::channel();
        self.settle(ending, Some(receipt));
        // Sent first, looked at then; see `Writer::recover`.
        if !self.common.failing.get() {
            // An error means that it was not written for now.
            let _ = written.await;
        }
    }

    fn settle(&mut self, ending: Ending, receipt: Option<oneshot::Sender<()>>) {
        let Some(place) = self.place.take() else {
            return;
        };
        let Common { clock, metrics, .. } = &*self.common;
        let duration = clock.now().saturating_duration_since(self.since);
        let request_id = self.record.request_id;
        let record = std::mem::replace(&mut self.record, CallRecord::new(request_id));
        metrics.closed(&record, &ending, duration);
        match place {
            Place::Kept(permit) => {
                let ended = Ended { record, opened: self.opened, duration, ending };
                permit.send(Entry { ended, receipt });
            }
            Place::Lost => {
                metrics.audit_lost(1);
                warn!(%request_id, "a call was not recorded");
            }
        }
    }
}

impl Drop for OpenRecord {
    fn drop(&mut self) {
        self.settle(Ending::Error(Code::Cancelled), None);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::Mutex;
    use std::time::Duration;

    use serde_json::{Value, json};
    use tokio::task::{JoinSet, yield_now};
    use tokio::time::timeout;

    use super::*;
    use crate::clock::FakeClock;
    use crate::names::Fuel;
    use crate::runtime::Spent;
    use crate::telemetry::file::tests::Folder;
    use crate::telemetry::record::tests::tool;
    use crate::telemetry::verify;

    const REFUSE: OnFailure = OnFailure::Refuse;

    /// A log in a folder of its own.
    struct Fixture {
        folder: Folder,
        clock: Arc<FakeClock>,
        metrics: Arc<Metrics>,
    }

    impl Fixture {
        fn new() -> Self {
            Self { folder: Folder::new(), clock: Arc::default(), metrics: Arc::default() }
        }

        fn path(&self) -> PathBuf {
            self.folder.path("audit.jsonl")
        }

        fn open(&self) -> AuditLog {
            let (clock, metrics) = (Arc::clone(&self.clock), Arc::clone(&self.metrics));
            AuditLog::open_file(&self.path(), REFUSE, "replica-1", clock, metrics).unwrap()
        }

        /// A log on something else than a file.
        fn open_on(&self, storage: impl Storage, on_failure: OnFailure) -> AuditLog {
            let failing = Arc::new(Failing::default());
            let metrics = Arc::clone(&self.metrics);
            let common = Common {
                clock: Arc::<FakeClock>::clone(&self.clock),
                metrics: Arc::clone(&metrics),
                failing: Arc::clone(&failing),
            };
            let chain = Default::default();
            let writer = Writer::new(storage, 0, chain, "replica-1".into(), failing, metrics);
            AuditLog::start(&self.path(), on_failure, writer, common).unwrap()
        }

        fn lines(&self) -> Vec<Value> {
            let text = std::fs::read_to_string(self.path()).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }

        fn counts(&self, line: &str) -> bool {
            self.metrics.encode().lines().any(|found| found == line)
        }
    }

    async fn call(log: &AuditLog) -> RequestId {
        let id = RequestId::generate();
        log.open(id).unwrap().close(Ending::Ok).await;
        id
    }

    /// A disk that is full after some bytes.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(Vec<u8>, usize)>>);

    impl Disk {
        fn of_size(bytes: usize) -> Self {
            Self(Arc::new(Mutex::new((Vec::new(), bytes))))
        }

        fn resize(&self, bytes: usize) {
            self.0.lock().unwrap().1 = bytes;
        }

        fn bytes(&self) -> Vec<u8> {
            self.0.lock().unwrap().0.clone()
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut disk = self.0.lock().unwrap();
            let fits = bytes.len().min(disk.1 - disk.0.len());
            if fits == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            disk.0.extend_from_slice(&bytes[..fits]);
            Ok(fits)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Storage for Disk {
        fn truncate(&mut self, length: u64) -> io::Result<()> {
            self.0.lock().unwrap().0.truncate(length.try_into().unwrap());
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_closed_record_is_in_the_file() {
        let fixture = Fixture::new();
        let log = fixture.open();
        let id = RequestId::generate();
        let mut open = log.open(id).unwrap();
        assert!(fixture.counts("bulkhead_calls_in_flight 1"));
        open.record.tool = Some(tool("get_record"));
        open.record.cost = Some(Spent { fuel: Fuel(5), ..Spent::default() });
        fixture.clock.advance(Duration::from_millis(20));
        open.close(Ending::Error(Code::FuelExhausted)).await;

        let lines = fixture.lines();
        assert_eq!(lines.len(), 1);
        for (field, value) in [
            ("request_id", json!(id.to_string())),
            ("replica", json!("replica-1")),
            ("code", json!("FUEL_EXHAUSTED")),
            ("time", json!("1970-01-01T00:00:00.000000Z")),
            ("duration_ms", json!(20.0)),
        ] {
            assert_eq!(lines[0][field], value, "{field}");
        }
        assert!(fixture.counts("bulkhead_calls_in_flight 0"));
        assert!(fixture.counts(r#"bulkhead_fuel_total{tool="get_record"} 5"#));
        assert!(fixture.counts("bulkhead_audit_records_total 1"));
    }

    #[tokio::test]
    async fn a_dropped_record_is_written_as_cancelled() {
        let fixture = Fixture::new();
        let log = fixture.open();
        drop(log.open(RequestId::generate()).unwrap());
        // Dropped while it waits to be written: settled already, and only once.
        let mut closing = Box::pin(log.open(RequestId::generate()).unwrap().close(Ending::Ok));
        let waker = std::task::Waker::noop();
        let _ = closing.as_mut().poll(&mut std::task::Context::from_waker(waker));
        drop(closing);
        // Dropped before it was polled: not settled by its owner.
        drop(log.open(RequestId::generate()).unwrap().close(Ending::Ok));
        log.finish().await;

        let codes: Vec<Value> = fixture.lines().iter().map(|line| line["code"].clone()).collect();
        assert_eq!(codes, [json!("CANCELLED"), Value::Null, json!("CANCELLED")]);
        assert_eq!(fixture.lines()[0]["outcome"], "cancelled");
        assert!(fixture.counts("bulkhead_calls_in_flight 0"));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_call_leaves_one_record_and_the_chain_holds() {
        const TASKS: usize = 8;
        const CALLS: usize = 250;
        let fixture = Fixture::new();
        let log = Arc::new(fixture.open());
        let mut tasks = JoinSet::new();
        for _ in 0..TASKS {
            let log = Arc::clone(&log);
            tasks.spawn(async move {
                let mut ids = Vec::new();
                for _ in 0..CALLS {
                    ids.push(call(&log).await.to_string());
                }
                ids
            });
        }
        let mut expected = tasks.join_all().await.concat();
        log.finish().await;

        assert_eq!(verify(log.path()).unwrap().records, (TASKS * CALLS) as u64);
        let id = |line: &Value| line["request_id"].as_str().unwrap().to_owned();
        let mut found: Vec<String> = fixture.lines().iter().map(id).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn a_chain_goes_on_over_restarts() {
        let fixture = Fixture::new();
        for run in 1..=3 {
            let log = fixture.open();
            call(&log).await;
            call(&log).await;
            log.finish().await;
            assert_eq!(log.path(), fixture.path());
            assert_eq!(verify(log.path()).unwrap().records, 2 * run);
            // What a process that dies in the middle of a line leaves.
            let mut file = std::fs::File::options().append(true).open(log.path()).unwrap();
            file.write_all(br#"{"v":1,"time":"#).unwrap();
        }
    }

    #[tokio::test]
    async fn each_process_has_a_file_of_its_own() {
        let fixture = Fixture::new();
        let (first, second) = (fixture.open(), fixture.open());
        assert_ne!(first.path(), second.path());
        for log in [&first, &second, &first] {
            call(log).await;
        }
        assert_eq!(verify(first.path()).unwrap().records, 2);
        assert_eq!(verify(second.path()).unwrap().records, 1);
    }

    #[tokio::test]
    async fn while_nothing_can_be_written_calls_are_refused_and_no_record_is_lost() {
        let fixture = Fixture::new();
        let disk = Disk::of_size(100);
        let log = fixture.open_on(disk.clone(), REFUSE);
        let in_flight = log.open(RequestId::generate()).unwrap();
        // Part of this line fits; its caller is answered all the same.
        call(&log).await;
        assert!(!log.is_writable());
        let refused = log.open(RequestId::generate()).err().unwrap();
        assert_eq!(refused.code(), &Code::Unavailable);
        assert_eq!(refused.retry_hint(), Retry::After(RETRY_PERIOD));
        in_flight.close(Ending::Ok).await;

        disk.resize(1 << 20);
        let served_again = async {
            loop {
                match log.open(RequestId::generate()) {
                    Ok(open) => break open.close(Ending::Ok).await,
                    Err(_) => yield_now().await,
                }
            }
        };
        timeout(Duration::from_secs(10), served_again).await.unwrap();
        assert!(log.is_writable());
        log.finish().await;
        std::fs::write(fixture.path(), disk.bytes()).unwrap();
        let summary = verify(&fixture.path()).unwrap();
        assert_eq!((summary.records, summary.unfinished_bytes), (3, 0));
        assert!(fixture.counts("bulkhead_audit_records_total 3"));
        assert!(fixture.counts("bulkhead_audit_records_lost_total 0"));
    }

    #[tokio::test]
    async fn calls_go_on_unrecorded_where_the_operator_says_so() {
        let fixture = Fixture::new();
        let log = fixture.open_on(Disk::default(), OnFailure::Continue);
        for _ in 0..3 {
            call(&log).await;
        }
        assert!(!log.is_writable());
        log.finish().await;
        // Finished: there is no place to be had.
        call(&log).await;
        assert!(fixture.counts("bulkhead_audit_records_lost_total 4"));
        assert!(fixture.counts(r#"bulkhead_calls_total{tool="unknown",code="OK"} 4"#));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_file_that_cannot_be_cut_either_ends_in_losses_that_are_counted() {
        let fixture = Fixture::new();
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let log = fixture.open_on(full, REFUSE);
        call(&log).await;
        assert!(log.open(RequestId::generate()).is_err());
        log.finish().await;
        assert!(fixture.counts("bulkhead_audit_records_lost_total 1"));
    }

    #[tokio::test]
    async fn open_records_are_bounded() {
        let fixture = Fixture::new();
        let log = fixture.open();
        let open = || log.open(RequestId::generate());
        let held: Vec<OpenRecord> = (0..MAX_OPEN).map(|_| open().unwrap()).collect();
        assert_eq!(open().err().unwrap().code(), &Code::Unavailable);
        drop(held);
        log.finish().await;
        assert_eq!(open().err().unwrap().code(), &Code::Unavailable);
        assert!(fixture.counts(&format!("bulkhead_audit_records_total {MAX_OPEN}")));
    }
}
