//! Verdicts that were made already, by label set.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use profiler_core::labels::Labels;
use rapidhash::fast::RandomState;

use super::Verdict;

/// Most bytes of label sets and verdicts in one cache.
const MAX_BYTES: usize = 64 << 20;
/// Larger label sets and verdicts are not remembered: a few of them would push out thousands of usual ones.
const MAX_ENTRY: usize = 16 << 10;
/// What an entry takes besides its text: two label sets' heads and offsets, and its place in the list and the table.
const OVERHEAD: usize = 512;

/// The most recently used verdicts of one filter, which must be deterministic.
#[derive(Debug)]
pub struct VerdictCache(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    verdicts: LruCache<Labels, Verdict, RandomState>,
    bytes: usize,
}

/// How full a cache is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheSize {
    /// Label sets whose verdict is kept.
    pub entries: usize,
    /// About as many bytes of memory.
    pub bytes: usize,
}

impl VerdictCache {
    /// A cache of so many label sets.
    pub fn new(capacity: NonZeroUsize) -> Self {
        // Unbounded to its allocator, bounded by the resize: a cache of 10,000 costs nothing before it is filled.
        let mut verdicts = LruCache::unbounded_with_hasher(RandomState::default());
        verdicts.resize(capacity);
        Self(Mutex::new(Kept { verdicts, bytes: 0 }))
    }

    /// The verdict on these labels.
    pub fn find(&self, labels: &Labels) -> Option<Verdict> {
        self.lock().verdicts.get(labels).cloned()
    }

    /// Remembers a verdict, unless it is very large.
    pub fn insert(&self, labels: Labels, verdict: Verdict) {
        if labels.byte_len() > MAX_ENTRY || verdict.byte_len() > MAX_ENTRY {
            return;
        }
        let mut kept = self.lock();
        kept.bytes += entry_bytes(&labels, &verdict);
        // What it pushes out: the verdict of before on the same labels, or the least recently used one.
        if let Some((labels, verdict)) = kept.verdicts.push(labels, verdict) {
            kept.bytes = kept.bytes.saturating_sub(entry_bytes(&labels, &verdict));
        }
        kept.shrink(MAX_BYTES);
    }

    /// Changes the capacity; the least recently used verdicts go.
    pub fn resize(&self, capacity: NonZeroUsize) {
        let mut kept = self.lock();
        while kept.verdicts.len() > capacity.get() && kept.pop() {}
        kept.verdicts.resize(capacity);
    }

    /// How full it is.
    pub fn size(&self) -> CacheSize {
        let kept = self.lock();
        CacheSize { entries: kept.verdicts.len(), bytes: kept.bytes }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Whoever panicked under the lock left a cache that is at worst short of one entry.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn shrink(&mut self, bytes: usize) {
        while self.bytes > bytes && self.pop() {}
    }

    fn pop(&mut self) -> bool {
        let gone = self.verdicts.pop_lru();
        if let Some((labels, verdict)) = &gone {
            self.bytes = self.bytes.saturating_sub(entry_bytes(labels, verdict));
        }
        gone.is_some()
    }
}

fn entry_bytes(labels: &Labels, verdict: &Verdict) -> usize {
    labels.byte_len() + verdict.byte_len() + OVERHEAD
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
        cache.insert(labels("stage"), Verdict::Unchanged);
        assert_eq!(cache.size(), CacheSize { entries: 2, bytes: 2 * OVERHEAD + "envprodenvstage".len() });
        assert!(cache.find(&labels("dev")).is_none());
        cache.resize(NonZeroUsize::MIN);
        assert_eq!(cache.size(), CacheSize { entries: 1, bytes: OVERHEAD + "envstage".len() });
        assert!(cache.find(&labels("stage")).is_some());
    }

    #[test]
    fn bytes_are_bounded_and_counted_once() {
        let cache = VerdictCache::new(NonZeroUsize::new(1_000_000).unwrap());
        for _ in 0..3 {
            cache.insert(labels("same"), Verdict::Replace(labels("other")));
        }
        assert_eq!(cache.size(), CacheSize { entries: 1, bytes: OVERHEAD + "envsameenvother".len() });
        let large = "x".repeat(MAX_ENTRY - 100);
        for index in 0..2 * MAX_BYTES / MAX_ENTRY {
            cache.insert(labels(&format!("{large}{index}")), Verdict::Unchanged);
        }
        let size = cache.size();
        assert!(size.bytes <= MAX_BYTES, "{size:?}");
        assert!(size.bytes > MAX_BYTES - 2 * MAX_ENTRY, "{size:?}");
    }

    #[test]
    fn very_large_sets_are_not_remembered() {
        let cache = VerdictCache::new(NonZeroUsize::new(10).unwrap());
        let large = labels(&"x".repeat(MAX_ENTRY));
        cache.insert(large.clone(), Verdict::Unchanged);
        cache.insert(labels("small"), Verdict::Replace(large));
        assert_eq!(cache.size(), CacheSize::default());
    }
}
