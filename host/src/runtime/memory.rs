//! What a call's memory may grow to: all its memories and tables together.
//!
//! `StoreLimits` of the engine bounds each memory by itself; a component may have
//! many. A refused `memory.grow` answers −1 to the guest, which may cope (Python
//! raises `MemoryError`); that it was refused is remembered, so that a trap after
//! it is told as what it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::ResourceLimiter;

use super::fault::Broke;
use crate::names::ByteCount;

/// The size of one table element as the engine stores it: a pointer.
const TABLE_ELEMENT_BYTES: u64 = size_of::<usize>() as u64;

/// How often a call may be refused memory before it ends. A refusal costs the host
/// microseconds and the guest a handful of fuel; no program that copes needs so many.
const MAX_REFUSALS: u32 = 1_000;

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
    /// Growths that were refused, or granted and failed.
    refusals: u32,
}

impl MemoryMeter {
    pub(super) fn new(quota: ByteCount, total: Arc<TotalMemory>) -> Self {
        Self { total, quota: quota.0, used: 0, peak: 0, granted: 0, refused: None, refusals: 0 }
    }

    /// The most that was in use at once.
    pub(super) fn peak(&self) -> ByteCount {
        ByteCount(self.peak.max(self.used))
    }

    /// Why a growth was refused, if one was; the last one, if several were.
    pub(super) fn refused(&self) -> Option<Refused> {
        self.refused
    }

    fn grow(&mut self, by: u64) -> wasmtime::Result<bool> {
        if self.refusals >= MAX_REFUSALS {
            return Err(Broke::Growths.into());
        }
        // What is in use now was granted and did not fail.
        self.peak = self.peak.max(self.used);
        let wanted = self.used.saturating_add(by);
        self.granted = 0;
        if wanted > self.quota {
            return Ok(self.refuse(Refused::Quota));
        }
        if !self.total.take(by) {
            return Ok(self.refuse(Refused::Total));
        }
        self.used = wanted;
        self.granted = by;
        Ok(true)
    }

    /// Takes memory of the host's that belongs to the call until it ends.
    ///
    /// # Errors
    /// When it may not have it, which [`MemoryMeter::refused`] tells then.
    pub(super) fn take(&mut self, bytes: u64) -> wasmtime::Result<()> {
        match self.grow(bytes)? {
            true => Ok(()),
            false => Err(wasmtime::format_err!("no memory for the call's arguments")),
        }
    }

    fn refuse(&mut self, why: Refused) -> bool {
        self.refused = Some(why);
        self.refusals += 1;
        false
    }

    fn roll_back(&mut self) {
        let granted = std::mem::take(&mut self.granted);
        if granted > 0 {
            self.refusals += 1;
        }
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
        self.grow(desired.saturating_sub(current) as u64)
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
        self.grow(elements.saturating_mul(TABLE_ELEMENT_BYTES))
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
    fn what_the_host_holds_for_a_call_counts_as_its_memory() {
        let total = Arc::new(TotalMemory::new(ByteCount(1_000)));
        let mut first = MemoryMeter::new(ByteCount(800), Arc::clone(&total));
        first.take(800).unwrap();
        assert_eq!(first.peak(), ByteCount(800));
        assert!(first.take(1).is_err());
        assert_eq!(first.refused(), Some(Refused::Quota));
        let mut second = MemoryMeter::new(ByteCount(800), Arc::clone(&total));
        assert!(second.take(201).is_err());
        assert_eq!(second.refused(), Some(Refused::Total));
        drop(first);
        second.take(800).unwrap();
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
    fn a_growth_that_failed_was_no_peak() {
        let mut meter = meter(1_000);
        assert!(meter.memory_growing(0, 100, None).unwrap());
        assert!(meter.table_growing(0, 100, None).unwrap());
        meter.table_grow_failed(wasmtime::Error::msg("larger than the pool's")).unwrap();
        assert_eq!(meter.peak(), ByteCount(100));
    }

    #[test]
    fn who_insists_is_ended() {
        let mut meter = meter(1_000);
        for _ in 0..MAX_REFUSALS / 2 {
            assert!(!meter.memory_growing(0, 1_001, None).unwrap());
            assert!(meter.table_growing(0, 1, None).unwrap());
            meter.table_grow_failed(wasmtime::Error::msg("no table")).unwrap();
        }
        let error = meter.memory_growing(0, 1, None).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Broke::Growths));
    }

    #[test]
    fn absurd_sizes_are_refused_not_wrapped() {
        let mut meter = meter(1_000);
        assert!(!meter.memory_growing(0, usize::MAX, None).unwrap());
        assert!(!meter.table_growing(0, usize::MAX, None).unwrap());
        assert_eq!(meter.peak(), ByteCount(0));
    }
}
