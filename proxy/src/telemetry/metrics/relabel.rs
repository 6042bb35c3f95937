//! `pyroscope_relabel_*`, and `flamegate_relabel_*` of the rules for samples.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
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
    samples_dropped: Family<ComponentLabels, Counter>,
    samples_skipped: Family<SkippedLabels, Counter>,
}

/// What sample rules are not applied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkippedKind {
    /// A body in a format that is not opened here.
    Format,
    /// A body that is not what it is said to be.
    Damaged,
    /// A profile that is too large.
    TooLarge,
    /// A JFR of which the rules would change single samples, and that cannot be read.
    Context,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SkippedLabels {
    component_id: Arc<str>,
    component_path: Arc<str>,
    kind: &'static str,
}

/// The series of the rules for samples of one `pyroscope.relabel`.
#[derive(Debug, Clone)]
pub struct SampleRulesMetrics {
    /// Samples dropped.
    pub samples_dropped: Counter,
    skipped: [Counter; SkippedKind::ALL.len()],
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
            samples_dropped: counters(r, "flamegate_relabel_samples_dropped_total", "Samples dropped by sample rules"),
            samples_skipped: counters(
                r,
                "flamegate_relabel_sample_rules_skipped_total",
                "Bodies, and contexts of a JFR, that went on without sample rules, by why",
            ),
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

    pub(super) fn samples_of(&self, component: &ComponentLabels) -> SampleRulesMetrics {
        SampleRulesMetrics {
            samples_dropped: self.samples_dropped.get_or_create_owned(component),
            skipped: SkippedKind::ALL
                .map(|kind| self.samples_skipped.get_or_create_owned(&skipped_labels(component, kind))),
        }
    }

    pub(super) fn forget(&self, component: &ComponentLabels) {
        self.samples_dropped.remove(component);
        for kind in SkippedKind::ALL {
            self.samples_skipped.remove(&skipped_labels(component, kind));
        }
        for family in [&self.processed, &self.written, &self.dropped, &self.cache_hits, &self.cache_misses] {
            family.remove(component);
        }
        self.cache_size.remove(component);
    }
}

impl SkippedKind {
    /// All of them, in their order.
    pub const ALL: [Self; 4] = [Self::Format, Self::Damaged, Self::TooLarge, Self::Context];

    /// As the label `kind` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Damaged => "damaged",
            Self::TooLarge => "too_large",
            Self::Context => "context",
        }
    }
}

impl SampleRulesMetrics {
    /// What went on without the rules.
    pub fn skipped(&self, kind: SkippedKind) -> &Counter {
        let [format, damaged, too_large, context] = &self.skipped;
        match kind {
            SkippedKind::Format => format,
            SkippedKind::Damaged => damaged,
            SkippedKind::TooLarge => too_large,
            SkippedKind::Context => context,
        }
    }
}

fn skipped_labels(component: &ComponentLabels, kind: SkippedKind) -> SkippedLabels {
    let ComponentLabels { component_id, component_path } = component.clone();
    SkippedLabels { component_id, component_path, kind: kind.name() }
}
