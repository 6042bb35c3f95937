//! Verdicts that were made already, by label set.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use profiler_core::labels::Labels;
use rapidhash::fast::RandomState;

use super::Verdict;

/// The most recently used verdicts of one filter, which must be deterministic.
#[derive(Debug)]
pub struct VerdictCache(Mutex<LruCache<Labels, Verdict, RandomState>>);

impl VerdictCache {
    /// A cache of so many label sets.
    pub fn new(capacity: NonZeroUsize) -> Self {
        // Unbounded to its allocator, bounded by the resize: a cache of 10,000 costs nothing before it is filled.
        let mut cache = LruCache::unbounded_with_hasher(RandomState::default());
        cache.resize(capacity);
        Self(Mutex::new(cache))
    }

    /// The verdict on these labels.
    pub fn find(&self, labels: &Labels) -> Option<Verdict> {
        self.lock().get(labels).cloned()
    }

    /// Remembers a verdict; returns how many there are now.
    pub fn insert(&self, labels: Labels, verdict: Verdict) -> usize {
        let mut cache = self.lock();
        cache.put(labels, verdict);
        cache.len()
    }

    /// Changes the capacity; the least recently used verdicts go. Returns how many there are now.
    pub fn resize(&self, capacity: NonZeroUsize) -> usize {
        let mut cache = self.lock();
        cache.resize(capacity);
        cache.len()
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<Labels, Verdict, RandomState>> {
        // Whoever panicked under the lock left a cache that is at worst short of one entry.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(value: &str) -> Labels {
        Labels::from_pairs([("env", value)]).unwrap()
    }

    #[test]
    fn the_least_recently_used_goes() {
        let cache = VerdictCache::new(NonZeroUsize::new(2).unwrap());
        cache.insert(labels("prod"), Verdict::Unchanged);
        cache.insert(labels("dev"), Verdict::Unchanged);
        assert!(cache.find(&labels("prod")).is_some());
        assert_eq!(cache.insert(labels("stage"), Verdict::Unchanged), 2);
        assert!(cache.find(&labels("dev")).is_none());
        assert_eq!(cache.resize(NonZeroUsize::MIN), 1);
        assert!(cache.find(&labels("stage")).is_some());
    }
}
