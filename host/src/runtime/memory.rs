//! What a call's memory may grow to: all its memories and tables together.
//!
//! `StoreLimits` of the engine bounds each memory by itself; a component may have
//! many. A refused `memory.grow` answers −1 to the guest, which may cope (Python
//! raises `MemoryError`); that it was refused is remembered, so that a trap after
//! it is told as what it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::ResourceLimiter;

use crate::names::ByteCount;

/// The size of one table element as the engine stores it: a pointer.
const TABLE_ELEMENT_BYTES: u64 = size_of::<usize>() as u64;

/// What all running calls together use of memory, and may.
#[derive(Debug)]
pub(super) struct TotalMemory {
    most: u64,
    used: AtomicU64,
}

impl TotalMemory {
    pub(super) fn new(most: ByteCount) -> Self {
        Self { most: most.0, used: AtomicU64::new(0) }
    }

    /// Whether `more` would fit now.
    pub(super) fn has_room_for(&self, more: ByteCount) -> bool {
        self.used.load(Ordering::Relaxed).saturating_add(more.0) <= self.most
    }

    fn take(&self, by: u64) -> bool {
        let more = |used: u64| used.checked_add(by).filter(|used| *used <= self.most);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn give_back(&self, by: u64) {
        self.used.fetch_sub(by, Ordering::Relaxed);
    }
}

/// Why a growth was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The call would have used more than its quota.
    Quota,
    /// All calls together would have used more than they may.
    Total,
}

/// Counts and bounds the memory of one call. Its drop gives back what the call used
/// of the total.
#[derive(Debug)]
pub(super) struct MemoryMeter {
    total: Arc<TotalMemory>,
    quota: u64,
    used: u64,
    peak: u64,
    /// The last growth that was granted, until the engine says that it failed.
    granted: u64,
    refused: Option<Refused>,
}

impl MemoryMeter {
    pub(super) fn new(quota: ByteCount, total: Arc<TotalMemory>) -> Self {
        Self { total, quota: quota.0, used: 0, peak: 0, granted: 0, refused: None }
    }

    /// The most that was in use at once.
    pub(super) fn peak(&self) -> ByteCount {
        ByteCount(self.peak)
    }

    /// Why a growth was refused, if one was; the last one, if several were.
    pub(super) fn refused(&self) -> Option<Refused> {
        self.refused
    }

    fn grow(&mut self, by: u64) -> bool {
        let wanted = self.used.saturating_add(by);
        self.granted = 0;
        if wanted > self.quota {
            self.refused = Some(Refused::Quota);
            return false;
        }
        if !self.total.take(by) {
            self.refused = Some(Refused::Total);
            return false;
        }
        self.used = wanted;
        self.granted = by;
        self.peak = self.peak.max(wanted);
        true
    }

    fn roll_back(&mut self) {
        let granted = std::mem::take(&mut self.granted);
        self.used = self.used.saturating_sub(granted);
        self.total.give_back(granted);
    }
}

impl Drop for MemoryMeter {
    fn drop(&mut self) {
        self.total.give_back(self.used);
    }
}

impl ResourceLimiter for MemoryMeter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(desired.saturating_sub(current) as u64))
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.roll_back();
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let elements = desired.saturating_sub(current) as u64;
        Ok(self.grow(elements.saturating_mul(TABLE_ELEMENT_BYTES)))
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.roll_back();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(quota: u64) -> MemoryMeter {
        MemoryMeter::new(ByteCount(quota), Arc::new(TotalMemory::new(ByteCount(1 << 20))))
    }

    #[test]
    fn calls_share_the_total_and_give_back_all_that_they_took() {
        let total = Arc::new(TotalMemory::new(ByteCount(1_000)));
        let mut first = MemoryMeter::new(ByteCount(800), Arc::clone(&total));
        let mut second = MemoryMeter::new(ByteCount(800), Arc::clone(&total));
        assert!(first.memory_growing(0, 600, None).unwrap());
        assert!(!second.memory_growing(0, 401, None).unwrap());
        assert_eq!(second.refused(), Some(Refused::Total));
        assert!(second.table_growing(0, 50, None).unwrap());
        assert!(!total.has_room_for(ByteCount(1)));
        second.table_grow_failed(wasmtime::Error::msg("no memory")).unwrap();
        assert!(total.has_room_for(ByteCount(400)) && !total.has_room_for(ByteCount(401)));
        assert!(!first.memory_growing(600, 801, None).unwrap());
        assert_eq!(first.refused(), Some(Refused::Quota), "its own quota is told first");
        drop((first, second));
        assert_eq!(total.used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn memories_and_tables_share_one_quota() {
        let mut meter = meter(1_000);
        assert!(meter.memory_growing(0, 600, None).unwrap());
        assert!(meter.table_growing(0, 50, None).unwrap());
        assert_eq!(meter.refused(), None);
        assert!(!meter.memory_growing(600, 601, None).unwrap());
        assert_eq!(meter.refused(), Some(Refused::Quota));
        assert_eq!(meter.peak(), ByteCount(1_000));
    }

    #[test]
    fn a_growth_that_failed_is_given_back_once() {
        let mut meter = meter(1_000);
        assert!(meter.memory_growing(0, 800, None).unwrap());
        meter.memory_grow_failed(wasmtime::Error::msg("no memory")).unwrap();
        meter.memory_grow_failed(wasmtime::Error::msg("said twice")).unwrap();
        assert!(meter.memory_growing(0, 1_000, None).unwrap());
        assert!(!meter.memory_growing(1_000, 1_001, None).unwrap());
    }

    #[test]
    fn absurd_sizes_are_refused_not_wrapped() {
        let mut meter = meter(1_000);
        assert!(!meter.memory_growing(0, usize::MAX, None).unwrap());
        assert!(!meter.table_growing(0, usize::MAX, None).unwrap());
        assert_eq!(meter.peak(), ByteCount(0));
    }
}
