//! `flamegate_filter_*`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{ComponentLabels, Counter, HistogramFamily, IntGauge, counters, gauges, histograms};
use crate::filters::{CodeOrigin, ERROR_KINDS};

/// From a call that does nothing to one that is interrupted, in seconds.
const CALL_BUCKETS: [f64; 11] = [5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 1e-3, 5e-3, 2.5e-2, 0.1, 1.0];
/// Reasons of one filter that become a label of their own. Filters choose them.
const MOST_REASONS: usize = 32;
/// All further ones.
const OTHER_REASONS: &str = "other";
const ORIGINS: [&str; 3] = ["disk", "compiler", "compiler_for_tampered"];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    component_id: Arc<str>,
    component_path: Arc<str>,
    reason: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    component_id: Arc<str>,
    component_path: Arc<str>,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OriginLabels {
    component_id: Arc<str>,
    component_path: Arc<str>,
    from: &'static str,
}

type Reasons = Arc<Mutex<BTreeMap<ComponentLabels, BTreeSet<Arc<str>>>>>;

#[derive(Clone)]
pub(super) struct Families {
    calls: Family<ComponentLabels, Counter>,
    call_seconds: HistogramFamily<ComponentLabels>,
    drops: Family<ReasonLabels, Counter>,
    reasons: Reasons,
    errors: Family<KindLabels, Counter>,
    instances: Family<ComponentLabels, IntGauge>,
    memory_max: Family<ComponentLabels, IntGauge>,
    cache_hits: Family<ComponentLabels, Counter>,
    cache_misses: Family<ComponentLabels, Counter>,
    cache_entries: Family<ComponentLabels, IntGauge>,
    cache_bytes: Family<ComponentLabels, IntGauge>,
    breaker: Family<ComponentLabels, IntGauge>,
    breaker_openings: Family<ComponentLabels, Counter>,
    swaps: Family<ComponentLabels, Counter>,
    swaps_refused: Family<ComponentLabels, Counter>,
    loads: Family<OriginLabels, Counter>,
}

/// The series of one filter.
#[derive(Clone)]
pub struct FilterMetrics {
    families: Families,
    component: ComponentLabels,
    /// Calls of the module; what the cache knows is none.
    pub calls: Counter,
    /// Seconds of each call.
    pub call_seconds: Histogram,
    /// Instances of the generation that runs.
    pub instances: IntGauge,
    /// The most bytes of memory of any of them.
    pub memory_max: IntGauge,
    /// Verdicts that were kept.
    pub cache_hits: Counter,
    /// Verdicts that had to be made, of a filter whose verdicts are kept.
    pub cache_misses: Counter,
    /// Verdicts kept now.
    pub cache_entries: IntGauge,
    /// Bytes of them.
    pub cache_bytes: IntGauge,
    /// 0 where the filter is asked, 1 while it is tried, 2 while it rests.
    pub breaker: IntGauge,
    /// How often it was sent to rest.
    pub breaker_openings: Counter,
    /// Generations that took the place of another while the component ran.
    pub swaps: Counter,
    /// Module files that were refused while the component ran.
    pub swaps_refused: Counter,
}

impl Families {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let r = registry;
        Self {
            calls: counters(r, "flamegate_filter_calls_total", "Calls of the filter; cached verdicts are none"),
            call_seconds: histograms(
                r,
                "flamegate_filter_call_seconds",
                "Seconds of each call of the filter",
                &CALL_BUCKETS,
            ),
            drops: counters(r, "flamegate_filter_drops_total", "Profiles dropped, by the filter's reason"),
            reasons: Reasons::default(),
            errors: counters(r, "flamegate_filter_errors_total", "Times that the filter gave no verdict, by kind"),
            instances: gauges(r, "flamegate_filter_instances", "Instances of the filter now"),
            memory_max: gauges(
                r,
                "flamegate_filter_memory_max_bytes",
                "The most memory that an instance of the filter has had",
            ),
            cache_hits: counters(r, "flamegate_filter_cache_hits_total", "Verdicts found in the cache"),
            cache_misses: counters(r, "flamegate_filter_cache_misses_total", "Verdicts not found in the cache"),
            cache_entries: gauges(r, "flamegate_filter_cache_entries", "Verdicts in the cache"),
            cache_bytes: gauges(r, "flamegate_filter_cache_bytes", "Bytes of the verdicts in the cache"),
            breaker: gauges(
                r,
                "flamegate_filter_breaker_state",
                "0 where the filter is asked, 1 while it is tried, 2 while it rests",
            ),
            breaker_openings: counters(
                r,
                "flamegate_filter_breaker_openings_total",
                "Times that the filter was sent to rest for being slow",
            ),
            swaps: counters(r, "flamegate_filter_swaps_total", "Times that a changed module took over"),
            swaps_refused: counters(
                r,
                "flamegate_filter_swaps_refused_total",
                "Times that a changed module was refused",
            ),
            loads: counters(r, "flamegate_filter_loads_total", "Modules loaded, by where their machine code was had"),
        }
    }

    pub(super) fn of(&self, component: &ComponentLabels) -> FilterMetrics {
        FilterMetrics {
            calls: self.calls.get_or_create_owned(component),
            call_seconds: self.call_seconds.get_or_create_owned(component),
            instances: self.instances.get_or_create_owned(component),
            memory_max: self.memory_max.get_or_create_owned(component),
            cache_hits: self.cache_hits.get_or_create_owned(component),
            cache_misses: self.cache_misses.get_or_create_owned(component),
            cache_entries: self.cache_entries.get_or_create_owned(component),
            cache_bytes: self.cache_bytes.get_or_create_owned(component),
            breaker: self.breaker.get_or_create_owned(component),
            breaker_openings: self.breaker_openings.get_or_create_owned(component),
            swaps: self.swaps.get_or_create_owned(component),
            swaps_refused: self.swaps_refused.get_or_create_owned(component),
            component: component.clone(),
            families: self.clone(),
        }
    }

    pub(super) fn forget(&self, component: &ComponentLabels) {
        for family in [
            &self.calls,
            &self.cache_hits,
            &self.cache_misses,
            &self.breaker_openings,
            &self.swaps,
            &self.swaps_refused,
        ] {
            family.remove(component);
        }
        for family in [&self.instances, &self.memory_max, &self.cache_entries, &self.cache_bytes, &self.breaker] {
            family.remove(component);
        }
        self.call_seconds.remove(component);
        for reason in self.reasons().remove(component).unwrap_or_default() {
            self.drops.remove(&reason_labels(component, reason));
        }
        for kind in ERROR_KINDS {
            self.errors.remove(&kind_labels(component, kind));
        }
        for from in ORIGINS {
            self.loads.remove(&origin_labels(component, from));
        }
    }

    fn reasons(&self) -> MutexGuard<'_, BTreeMap<ComponentLabels, BTreeSet<Arc<str>>>> {
        self.reasons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reason as a label: itself, as long as there are few.
    fn label_of(&self, component: &ComponentLabels, reason: &Arc<str>) -> Arc<str> {
        let mut all = self.reasons();
        let of_component = match all.get_mut(component) {
            Some(reasons) => reasons,
            None => all.entry(component.clone()).or_default(),
        };
        let known = of_component.contains(reason);
        let label = if known || of_component.len() < MOST_REASONS { reason.clone() } else { OTHER_REASONS.into() };
        if !known {
            of_component.insert(label.clone());
        }
        label
    }
}

impl FilterMetrics {
    /// Counts a profile that was dropped.
    pub fn dropped(&self, reason: &Arc<str>) {
        let reason = self.families.label_of(&self.component, reason);
        self.families.drops.get_or_create_owned(&reason_labels(&self.component, reason)).inc();
    }

    /// Counts a call without a verdict; the kind is one of [`ERROR_KINDS`].
    pub fn error(&self, kind: &'static str) {
        self.families.errors.get_or_create_owned(&kind_labels(&self.component, kind)).inc();
    }

    /// Counts a module that was loaded, unless it ran already.
    pub fn loaded(&self, origin: CodeOrigin) {
        let [disk, compiler, tampered] = ORIGINS;
        let from = match origin {
            CodeOrigin::Memory => return,
            CodeOrigin::Disk => disk,
            CodeOrigin::Compiled => compiler,
            CodeOrigin::CompiledForTampered => tampered,
        };
        self.families.loads.get_or_create_owned(&origin_labels(&self.component, from)).inc();
    }
}

fn reason_labels(component: &ComponentLabels, reason: Arc<str>) -> ReasonLabels {
    let ComponentLabels { component_id, component_path } = component.clone();
    ReasonLabels { component_id, component_path, reason }
}

fn kind_labels(component: &ComponentLabels, kind: &'static str) -> KindLabels {
    let ComponentLabels { component_id, component_path } = component.clone();
    KindLabels { component_id, component_path, kind }
}

fn origin_labels(component: &ComponentLabels, from: &'static str) -> OriginLabels {
    let ComponentLabels { component_id, component_path } = component.clone();
    OriginLabels { component_id, component_path, from }
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::*;

    #[test]
    fn few_reasons_become_labels_and_all_are_forgotten() {
        let metrics = Metrics::new();
        let component = ComponentLabels::top_level("wasm.filter.a".into());
        let filter = metrics.filter(&component);
        for index in 0..100 {
            filter.dropped(&format!("reason {index}").into());
            filter.dropped(&"reason 0".into());
        }
        let text = metrics.text().unwrap();
        let series = text.lines().filter(|line| line.starts_with("flamegate_filter_drops_total{"));
        assert_eq!(series.count(), MOST_REASONS + 1);
        let other = text.lines().find(|line| line.contains(r#"reason="other""#)).unwrap();
        assert!(other.ends_with(" 68"), "{other}");
        filter.error("trap");
        filter.loaded(CodeOrigin::Disk);
        drop(filter);
        metrics.forget(&component);
        let text = metrics.text().unwrap();
        assert!(!text.lines().any(|line| line.starts_with("flamegate_filter_")), "{text}");
    }
}
