//! What was used most recently, within bounds of number and memory.

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use lru::LruCache;
use profiler_core::labels::Labels;
use rapidhash::fast::RandomState;

/// Label sets of which something is remembered, where the user does not say how many: the default of
/// `pyroscope.relabel`'s `max_cache_size`.
pub const LABEL_SETS: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// Most bytes in one cache.
const MAX_BYTES: usize = 64 << 20;
/// Larger keys and values are not kept: a few of them would push out thousands of usual ones.
const MAX_ENTRY: usize = 16 << 10;
/// What an entry takes besides its text: heads and offsets of two label sets, and its place in the list and the table.
const OVERHEAD: usize = 512;

/// The most recently used entries.
pub struct Recent<K, V>(Mutex<Kept<K, V>>);

/// What a key or a value takes.
pub trait Weigh {
    /// Bytes of what is in it.
    fn weight(&self) -> usize;
}

/// How full a cache is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheSize {
    /// Entries that are kept.
    pub entries: usize,
    /// About as many bytes of memory.
    pub bytes: usize,
}

struct Kept<K, V> {
    entries: LruCache<K, V, RandomState>,
    bytes: usize,
}

impl<K: Hash + Eq + Weigh, V: Clone + Weigh> Recent<K, V> {
    /// A cache of so many entries.
    pub fn new(capacity: NonZeroUsize) -> Self {
        // Unbounded to its allocator, bounded by the resize: a cache of 10,000 costs nothing before it is filled.
        let mut entries = LruCache::unbounded_with_hasher(RandomState::default());
        entries.resize(capacity);
        Self(Mutex::new(Kept { entries, bytes: 0 }))
    }

    /// What is kept under this key.
    pub fn find<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.lock().entries.get(key).cloned()
    }

    /// Keeps an entry, unless it is very large.
    pub fn insert(&self, key: K, value: V) {
        if key.weight() > MAX_ENTRY || value.weight() > MAX_ENTRY {
            return;
        }
        let mut kept = self.lock();
        kept.bytes += entry_bytes(&key, &value);
        // What it pushes out: the value of before under the same key, or the least recently used one.
        if let Some((key, value)) = kept.entries.push(key, value) {
            kept.bytes = kept.bytes.saturating_sub(entry_bytes(&key, &value));
        }
        while kept.bytes > MAX_BYTES && kept.pop() {}
    }

    /// Changes the capacity; the least recently used entries go.
    pub fn resize(&self, capacity: NonZeroUsize) {
        let mut kept = self.lock();
        while kept.entries.len() > capacity.get() && kept.pop() {}
        kept.entries.resize(capacity);
    }

    /// How full it is.
    pub fn size(&self) -> CacheSize {
        let kept = self.lock();
        CacheSize { entries: kept.entries.len(), bytes: kept.bytes }
    }

    fn lock(&self) -> MutexGuard<'_, Kept<K, V>> {
        // Whoever panicked under the lock left a cache that is at worst short of one entry.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq + Weigh, V: Weigh> Kept<K, V> {
    fn pop(&mut self) -> bool {
        let gone = self.entries.pop_lru();
        if let Some((key, value)) = &gone {
            self.bytes = self.bytes.saturating_sub(entry_bytes(key, value));
        }
        gone.is_some()
    }
}

impl<K, V> fmt::Debug for Recent<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recent").finish_non_exhaustive()
    }
}

fn entry_bytes(key: &impl Weigh, value: &impl Weigh) -> usize {
    key.weight() + value.weight() + OVERHEAD
}

impl Weigh for Labels {
    fn weight(&self) -> usize {
        self.byte_len()
    }
}

impl Weigh for Box<[u8]> {
    fn weight(&self) -> usize {
        self.len()
    }
}

impl Weigh for Bytes {
    fn weight(&self) -> usize {
        self.len()
    }
}

impl Weigh for Arc<str> {
    fn weight(&self) -> usize {
        self.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Texts = Recent<Box<[u8]>, Arc<str>>;

    fn cache(capacity: usize) -> Texts {
        Recent::new(NonZeroUsize::new(capacity).unwrap())
    }

    fn insert(cache: &Texts, key: &str, value: &str) {
        cache.insert(key.as_bytes().into(), value.into());
    }

    #[test]
    fn the_least_recently_used_goes() {
        let cache = cache(2);
        insert(&cache, "prod", "1");
        insert(&cache, "dev", "2");
        assert_eq!(cache.find(&b"prod"[..]).as_deref(), Some("1"));
        insert(&cache, "stage", "3");
        assert_eq!(cache.size(), CacheSize { entries: 2, bytes: 2 * OVERHEAD + "prod1stage3".len() });
        assert!(cache.find(&b"dev"[..]).is_none());
        cache.resize(NonZeroUsize::MIN);
        assert_eq!(cache.size(), CacheSize { entries: 1, bytes: OVERHEAD + "stage3".len() });
        assert!(cache.find(&b"stage"[..]).is_some());
    }

    #[test]
    fn bytes_are_bounded_and_counted_once() {
        let cache = cache(1_000_000);
        for value in ["first", "other", "third"] {
            insert(&cache, "same", value);
        }
        assert_eq!(cache.size(), CacheSize { entries: 1, bytes: OVERHEAD + "samethird".len() });
        let large = "x".repeat(MAX_ENTRY - 100);
        for index in 0..2 * MAX_BYTES / MAX_ENTRY {
            insert(&cache, &format!("{large}{index}"), "");
        }
        let size = cache.size();
        assert!(size.bytes <= MAX_BYTES, "{size:?}");
        assert!(size.bytes > MAX_BYTES - 2 * MAX_ENTRY, "{size:?}");
    }

    #[test]
    fn very_large_entries_are_not_kept() {
        let cache = cache(10);
        let large = "x".repeat(MAX_ENTRY + 1);
        insert(&cache, &large, "");
        insert(&cache, "small", &large);
        assert_eq!(cache.size(), CacheSize::default());
    }
}
