//! `pyroscope_relabel_*`.

use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{ComponentLabels, Counter, IntGauge, counters, gauges};

pub(super) struct Families {
    processed: Family<ComponentLabels, Counter>,
    written: Family<ComponentLabels, Counter>,
    dropped: Family<ComponentLabels, Counter>,
    cache_hits: Family<ComponentLabels, Counter>,
    cache_misses: Family<ComponentLabels, Counter>,
    cache_size: Family<ComponentLabels, IntGauge>,
}

/// The series of one `pyroscope.relabel`.
#[derive(Debug, Clone)]
pub struct RelabelMetrics {
    /// Profiles that came in.
    pub processed: Counter,
    /// Profiles sent on, whatever becomes of them.
    pub written: Counter,
    /// Profiles dropped by a rule, or left without labels.
    pub dropped: Counter,
    /// Verdicts found in the cache.
    pub cache_hits: Counter,
    /// Verdicts that had to be made.
    pub cache_misses: Counter,
    /// Label sets in the cache.
    pub cache_size: IntGauge,
}

impl Families {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let r = registry;
        Self {
            processed: counters(r, "pyroscope_relabel_profiles_processed", "Profiles that came in"),
            written: counters(r, "pyroscope_relabel_profiles_written", "Profiles sent on"),
            dropped: counters(r, "pyroscope_relabel_profiles_dropped", "Profiles dropped by the rules"),
            cache_hits: counters(r, "pyroscope_relabel_cache_hits", "Verdicts found in the cache"),
            cache_misses: counters(r, "pyroscope_relabel_cache_misses", "Verdicts not found in the cache"),
            cache_size: gauges(r, "pyroscope_relabel_cache_size", "Label sets in the cache"),
        }
    }

    pub(super) fn of(&self, component: &ComponentLabels) -> RelabelMetrics {
        RelabelMetrics {
            processed: self.processed.get_or_create_owned(component),
            written: self.written.get_or_create_owned(component),
            dropped: self.dropped.get_or_create_owned(component),
            cache_hits: self.cache_hits.get_or_create_owned(component),
            cache_misses: self.cache_misses.get_or_create_owned(component),
            cache_size: self.cache_size.get_or_create_owned(component),
        }
    }

    pub(super) fn forget(&self, component: &ComponentLabels) {
        for family in [&self.processed, &self.written, &self.dropped, &self.cache_hits, &self.cache_misses] {
            family.remove(component);
        }
        self.cache_size.remove(component);
    }
}
