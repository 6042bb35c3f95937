//! `pyroscope_fanout_latency` and `pyroscope_forwarded_entries_total`.

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{ComponentLabels, Counter, DEFAULT_BUCKETS, HistogramFamily, counters, histograms};

pub(super) struct Families {
    latency: HistogramFamily<ComponentLabels>,
    entries: Family<ComponentLabels, Counter>,
}

/// What a component sends on, and how long its receivers take.
#[derive(Debug, Clone)]
pub struct FanoutMetrics {
    /// Seconds of each call of the receivers.
    pub latency: Histogram,
    /// Samples sent on without an error.
    pub entries: Counter,
}

impl Families {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            latency: histograms(
                registry,
                "pyroscope_fanout_latency",
                "Seconds that the receivers of this component take",
                &DEFAULT_BUCKETS,
            ),
            entries: counters(
                registry,
                "pyroscope_forwarded_entries_total",
                "Profiles that the receivers of this component took",
            ),
        }
    }

    pub(super) fn of(&self, component: &ComponentLabels) -> FanoutMetrics {
        FanoutMetrics {
            latency: self.latency.get_or_create_owned(component),
            entries: self.entries.get_or_create_owned(component),
        }
    }

    pub(super) fn forget(&self, component: &ComponentLabels) {
        self.latency.remove(component);
        self.entries.remove(component);
    }
}
