//! What all series remember, under one limit.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rapidhash::quality::RandomState;

use super::counts::Counts;
use super::samples::Places;
use super::{Counters, DeltaSeries};

/// What an entry takes beside its counts, with its place in the map: 72 bytes and the spare places.
const ENTRY: usize = 128;

/// The limits of deltas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeltaLimits {
    /// Most bytes of a profile after decompression. What is made of it beside, while its delta is made, takes twice as much
    /// at most.
    pub message: usize,
    /// Most bytes that one series remembers. A series that would need more has no deltas.
    pub series: usize,
    /// Most bytes that all series remember. The one that has most is let go first, so that the fewest lose their deltas,
    /// and always the same: were the eldest let go, each series would be gone before its next profile came.
    pub total: usize,
}

/// What all series remember. Clones are the same memory.
#[derive(Debug, Clone)]
pub struct DeltaMemory(Arc<Shared>);

/// What deltas take now, and what has become of them since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeltaUsage {
    /// Series that remember something.
    pub series: usize,
    /// Bytes that they remember.
    pub bytes: usize,
    /// Series that began anew: their counters fell or changed, or a profile could not be read.
    pub resets: u64,
    /// Series that were let go for want of memory.
    pub evictions: u64,
}

#[derive(Debug)]
struct Shared {
    hash: RandomState,
    held: Mutex<Held>,
    resets: AtomicU64,
    evictions: AtomicU64,
}

#[derive(Debug)]
struct Held {
    limits: DeltaLimits,
    last_id: u64,
    bytes: usize,
    series: HashMap<u64, Memory, RandomState>,
}

/// What one series remembers of its last profile.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) time: i64,
    pub(super) counters: Places,
    pub(super) counts: Counts,
}

impl DeltaMemory {
    /// Of nothing.
    pub fn new(limits: DeltaLimits) -> Self {
        Self(Arc::new(Shared {
            hash: RandomState::new(),
            held: Mutex::new(Held { limits, last_id: 0, bytes: 0, series: HashMap::default() }),
            resets: AtomicU64::default(),
            evictions: AtomicU64::default(),
        }))
    }

    /// Other limits. What is over the total is let go at once, what one series has over its own with its next profile.
    pub fn limit(&self, limits: DeltaLimits) {
        let mut held = self.held();
        held.limits = limits;
        self.count_evictions(held.make_room());
    }

    /// A new series. What it remembers is given back when it is dropped.
    pub fn series(&self, counters: Counters) -> DeltaSeries {
        let mut held = self.held();
        held.last_id += 1;
        DeltaSeries::new(held.last_id, counters, self.clone())
    }

    /// What they take.
    pub fn usage(&self) -> DeltaUsage {
        let held = self.held();
        DeltaUsage {
            series: held.series.len(),
            bytes: held.bytes,
            resets: self.0.resets.load(Ordering::Relaxed),
            evictions: self.0.evictions.load(Ordering::Relaxed),
        }
    }

    pub(super) fn limits(&self) -> DeltaLimits {
        self.held().limits
    }

    /// What the keys are made with.
    pub(super) fn hash(&self) -> &RandomState {
        &self.0.hash
    }

    pub(super) fn count_reset(&self) {
        self.0.resets.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn take(&self, id: u64) -> Option<Memory> {
        self.held().take(id)
    }

    pub(super) fn keep(&self, id: u64, memory: Memory) {
        let mut held = self.held();
        if memory.size() > held.limits.series {
            self.count_evictions(1);
            return;
        }
        held.bytes += memory.size();
        held.series.insert(id, memory);
        self.count_evictions(held.make_room());
    }

    fn count_evictions(&self, evictions: u64) {
        self.0.evictions.fetch_add(evictions, Ordering::Relaxed);
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn take(&mut self, id: u64) -> Option<Memory> {
        let memory = self.series.remove(&id)?;
        self.bytes -= memory.size();
        Some(memory)
    }

    /// Lets go until the rest is within the total; holds how many series that took.
    fn make_room(&mut self) -> u64 {
        let mut evictions = 0;
        while self.bytes > self.limits.total {
            let largest = self.series.iter().max_by_key(|(_, memory)| memory.size()).map(|(id, _)| *id);
            if largest.and_then(|id| self.take(id)).is_none() {
                break;
            }
            evictions += 1;
        }
        evictions
    }
}

impl Memory {
    fn size(&self) -> usize {
        self.counts.len() + ENTRY
    }
}
