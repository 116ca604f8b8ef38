//! The thread that writes the audit log: many records, one chain, one write.
//!
//! Records that wait are written together. A record is acknowledged when the kernel
//! has its line: it survives the end of this process, though not a power failure in
//! the seconds until the disk has it.
//!
//! When a write fails, what was not written is kept and tried again, first of all
//! the removal of whatever part of it did reach the file. Meanwhile nobody waits for
//! the writer, and what it keeps is bounded.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info};

use super::chain::{Chain, Link};
use super::metrics::Metrics;
use super::record::{Ended, Line};

/// How many records are written at once. A batch of usual ones is 0.2 MiB.
const MAX_BATCH: usize = 256;

/// How much is kept while the file cannot be written; records beyond it are lost.
/// About 90,000 usual ones: only calls in flight when the trouble starts need room,
/// unless calls go on unrecorded.
const MAX_PENDING_BYTES: usize = 64 << 20;

/// How long after a failed write the next one is tried, unless somebody asks sooner.
pub(super) const RETRY_PERIOD: Duration = Duration::from_secs(1);

/// Where lines go.
pub(super) trait Storage: Write + Send + 'static {
    /// Removes what is beyond `length` bytes.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

impl Storage for File {
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

/// A record on its way to the file.
pub(super) struct Entry {
    pub(super) ended: Ended,
    /// Used when the line is written, dropped when that failed.
    pub(super) receipt: Option<oneshot::Sender<()>>,
}

/// Whether the last write failed.
#[derive(Debug, Default)]
pub(super) struct Failing(AtomicBool);

impl Failing {
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    fn set(&self, failing: bool) {
        self.0.store(failing, Ordering::SeqCst);
    }
}

/// What the thread owns.
pub(super) struct Writer<W> {
    storage: W,
    /// How long the file is, as far as it is right.
    length: u64,
    /// There may be something beyond `length`.
    torn: bool,
    chain: Chain,
    replica: Box<str>,
    /// Whole lines that are not in the file yet.
    pending: Vec<u8>,
    pending_records: u64,
    receipts: Vec<oneshot::Sender<()>>,
    failing: Arc<Failing>,
    metrics: Arc<Metrics>,
}

impl<W: Storage> Writer<W> {
    /// A writer that continues `chain` in `storage`, which is `length` bytes long.
    pub(super) fn new(
        storage: W,
        length: u64,
        chain: Chain,
        replica: Box<str>,
        failing: Arc<Failing>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            storage,
            length,
            torn: false,
            chain,
            replica,
            pending: Vec::new(),
            pending_records: 0,
            receipts: Vec::new(),
            failing,
            metrics,
        }
    }

    /// Writes what arrives until nothing can arrive any longer. Blocks its thread.
    pub(super) fn run(mut self, mut inbox: mpsc::Receiver<Entry>) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        while inbox.blocking_recv_many(&mut batch, MAX_BATCH) > 0 {
            batch.drain(..).for_each(|entry| self.append(entry));
            if let Err(error) = self.flush() {
                error!(%error, "the audit log cannot be written");
                self.recover(&mut inbox);
            }
        }
    }

    fn append(&mut self, entry: Entry) {
        if self.pending.len() > MAX_PENDING_BYTES {
            self.metrics.audit_lost(1);
            return;
        }
        let Self { chain, pending, replica, .. } = self;
        let line = |to: &mut Vec<u8>, link: Link<'_>| {
            serde_json::to_writer(to, &Line::new(&entry.ended, replica, link))
        };
        match chain.append(pending, line) {
            Ok(()) => {
                self.pending_records += 1;
                self.receipts.extend(entry.receipt);
            }
            Err(error) => {
                error!(%error, request_id = %entry.ended.record.request_id, "lost an audit record");
                self.metrics.audit_lost(1);
            }
        }
    }

    /// Writes what is pending, all or, as far as readers can tell, nothing.
    fn flush(&mut self) -> io::Result<()> {
        if self.torn {
            self.storage.truncate(self.length)?;
            self.torn = false;
        }
        self.storage.write_all(&self.pending).inspect_err(|_| self.torn = true)?;
        self.length += self.pending.len() as u64;
        self.metrics.audit_written(std::mem::take(&mut self.pending_records));
        self.pending.clear();
        for receipt in self.receipts.drain(..) {
            // Whoever has stopped waiting does not need to know.
            let _ = receipt.send(());
        }
        Ok(())
    }

    /// Tries again until the file can be written, or nothing arrives any longer.
    fn recover(&mut self, inbox: &mut mpsc::Receiver<Entry>) {
        // First the mark, then the receipts: whoever sends a record looks at the mark
        // afterwards, and so either is answered here or does not wait.
        self.failing.set(true);
        loop {
            let ended = self.collect(inbox);
            if self.flush().is_ok() {
                self.pending.shrink_to_fit();
                self.failing.set(false);
                info!("the audit log can be written again");
                return;
            }
            if ended {
                error!(records = self.pending_records, "lost audit records");
                self.metrics.audit_lost(std::mem::take(&mut self.pending_records));
                self.pending.clear();
                return;
            }
            thread::park_timeout(RETRY_PERIOD);
        }
    }

    /// Takes in what has arrived and lets nobody wait for it. Whether that is all.
    fn collect(&mut self, inbox: &mut mpsc::Receiver<Entry>) -> bool {
        loop {
            self.receipts.clear();
            match inbox.try_recv() {
                Ok(entry) => self.append(entry),
                Err(TryRecvError::Empty) => return false,
                Err(TryRecvError::Disconnected) => return true,
            }
        }
    }
}
