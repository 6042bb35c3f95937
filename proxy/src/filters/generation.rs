//! A module with its configuration, tables, instances and verdicts: what takes the place of another as a whole.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use profiler_core::labels::Labels;

use super::breaker::Breaker;
use super::{ConfigureError, ConfiguredFilter, FilterSettings, Module, Verdict, VerdictCache, World};
use crate::recent::CacheSize;

/// A configured filter and the verdicts that it has made. A verdict is kept only beside the filter that made it: with
/// another module, configuration or table come other verdicts. So is what is known of its slowness.
pub struct Generation {
    number: u64,
    filter: ConfiguredFilter,
    cache: Option<VerdictCache>,
    pub(super) breaker: Breaker,
    /// Quick calls that are missing until calls are made on the threads that serve again.
    pub(super) probation: AtomicU32,
}

/// Which verdicts are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Remember {
    /// Of how many label sets; none: no verdict is kept.
    pub label_sets: Option<NonZeroUsize>,
    /// Whether the filter is deterministic, whatever it says of itself.
    pub deterministic: Option<bool>,
}

impl Generation {
    /// Tries the configuration on a first instance.
    pub fn new(module: &Module, settings: FilterSettings, remember: Remember) -> Result<Self, ConfigureError> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);

        let filter = ConfiguredFilter::new(module, settings)?;
        // What a filter of profiles decides follows from more than labels.
        let is_deterministic =
            module.world() != World::Profile && remember.deterministic.unwrap_or(filter.described().deterministic);
        let cache = remember.label_sets.filter(|_| is_deterministic).map(VerdictCache::new);
        let (number, breaker) = (NUMBER.fetch_add(1, Ordering::Relaxed), Breaker::new(filter.settings().cpu_share));
        Ok(Self { number, filter, cache, breaker, probation: AtomicU32::new(0) })
    }

    /// Counts the generations of the process.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The filter.
    pub fn filter(&self) -> &ConfiguredFilter {
        &self.filter
    }

    /// Whether verdicts are kept.
    pub fn remembers(&self) -> bool {
        self.cache.is_some()
    }

    /// How many verdicts are kept.
    pub fn cache_size(&self) -> CacheSize {
        self.cache.as_ref().map(VerdictCache::size).unwrap_or_default()
    }

    /// Keeps verdicts on so many label sets from now on, where any are kept.
    pub fn resize(&self, label_sets: NonZeroUsize) {
        if let Some(cache) = &self.cache {
            cache.resize(label_sets);
        }
    }

    pub(super) fn find(&self, labels: &Labels) -> Option<Verdict> {
        self.cache.as_ref()?.find(labels)
    }

    pub(super) fn remember(&self, labels: &Labels, verdict: &Verdict) {
        if let Some(cache) = &self.cache {
            cache.insert(labels.clone(), verdict.clone());
        }
    }
}
