//! What a call's memory may grow to: all its memories and tables together.
//!
//! `StoreLimits` of the engine bounds each memory by itself; a component may have
//! many. A refused `memory.grow` answers −1 to the guest, which may cope (Python
//! raises `MemoryError`); that it was refused is remembered, so that a trap after
//! it is told as what it is.

use wasmtime::ResourceLimiter;

use crate::names::ByteCount;

/// The size of one table element as the engine stores it: a pointer.
const TABLE_ELEMENT_BYTES: u64 = size_of::<usize>() as u64;

/// Counts and bounds the memory of one call.
#[derive(Debug)]
pub(super) struct MemoryMeter {
    quota: u64,
    used: u64,
    peak: u64,
    /// The last growth that was granted, until the engine says that it failed.
    granted: u64,
    refused: bool,
}

impl MemoryMeter {
    pub(super) fn new(quota: ByteCount) -> Self {
        Self { quota: quota.0, used: 0, peak: 0, granted: 0, refused: false }
    }

    /// The most that was in use at once.
    pub(super) fn peak(&self) -> ByteCount {
        ByteCount(self.peak)
    }

    /// Whether a growth was refused.
    pub(super) fn refused(&self) -> bool {
        self.refused
    }

    fn grow(&mut self, by: u64) -> bool {
        let wanted = self.used.saturating_add(by);
        if wanted > self.quota {
            self.refused = true;
            self.granted = 0;
            return false;
        }
        self.used = wanted;
        self.granted = by;
        self.peak = self.peak.max(wanted);
        true
    }

    fn roll_back(&mut self) {
        self.used = self.used.saturating_sub(std::mem::take(&mut self.granted));
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

    #[test]
    fn memories_and_tables_share_one_quota() {
        let mut meter = MemoryMeter::new(ByteCount(1_000));
        assert!(meter.memory_growing(0, 600, None).unwrap());
        assert!(meter.table_growing(0, 50, None).unwrap());
        assert!(!meter.refused());
        assert!(!meter.memory_growing(600, 601, None).unwrap());
        assert!(meter.refused());
        assert_eq!(meter.peak(), ByteCount(1_000));
    }

    #[test]
    fn a_growth_that_failed_is_given_back_once() {
        let mut meter = MemoryMeter::new(ByteCount(1_000));
        assert!(meter.memory_growing(0, 800, None).unwrap());
        meter.memory_grow_failed(wasmtime::Error::msg("no memory")).unwrap();
        meter.memory_grow_failed(wasmtime::Error::msg("said twice")).unwrap();
        assert!(meter.memory_growing(0, 1_000, None).unwrap());
        assert!(!meter.memory_growing(1_000, 1_001, None).unwrap());
    }

    #[test]
    fn absurd_sizes_are_refused_not_wrapped() {
        let mut meter = MemoryMeter::new(ByteCount(1_000));
        assert!(!meter.memory_growing(0, usize::MAX, None).unwrap());
        assert!(!meter.table_growing(0, usize::MAX, None).unwrap());
        assert_eq!(meter.peak(), ByteCount(0));
    }
}
