//! `pyroscope_java_*`, of which the reference has none.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{
    ComponentLabels, Counter, DEFAULT_BUCKETS, Histogram, HistogramFamily, IntGauge, counters, gauges, histograms,
};

#[derive(Clone)]
pub(super) struct Families {
    targets: Family<ComponentLabels, IntGauge>,
    refused: Family<ComponentLabels, IntGauge>,
    recordings: Family<ComponentLabels, Counter>,
    recording_bytes: Family<ComponentLabels, Counter>,
    profile_bytes: Family<ComponentLabels, Counter>,
    parse_seconds: HistogramFamily<ComponentLabels>,
    failures: Family<ReasonLabels, Counter>,
    events: Family<TypeLabels, Counter>,
    /// By component, the reasons and types that have series.
    seen: Arc<Mutex<BTreeMap<ComponentLabels, BTreeSet<&'static str>>>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    component_id: Arc<str>,
    component_path: Arc<str>,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TypeLabels {
    component_id: Arc<str>,
    component_path: Arc<str>,
    r#type: &'static str,
}

/// The series of one `pyroscope.java`.
#[derive(Clone)]
pub struct JavaMetrics {
    families: Families,
    component: ComponentLabels,
    /// Processes that are recorded, or are to be.
    pub targets: IntGauge,
    /// Targets that are no processes.
    pub refused: IntGauge,
    /// Recordings that were made into profiles.
    pub recordings: Counter,
    /// Their bytes.
    pub recording_bytes: Counter,
    /// Bytes of the profiles that were made of them.
    pub profile_bytes: Counter,
    /// Seconds that making profiles of a recording took.
    pub parse_seconds: Histogram,
}

impl Families {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let r = registry;
        Self {
            targets: gauges(r, "pyroscope_java_targets", "Processes that are recorded, or are to be"),
            refused: gauges(r, "pyroscope_java_targets_refused", "Targets that are no processes"),
            recordings: counters(r, "pyroscope_java_recordings_total", "Recordings that were made into profiles"),
            recording_bytes: counters(r, "pyroscope_java_recording_bytes_total", "Bytes of these recordings"),
            profile_bytes: counters(r, "pyroscope_java_profile_bytes_total", "Bytes of the profiles made"),
            parse_seconds: histograms(
                r,
                "pyroscope_java_parse_seconds",
                "Seconds that making profiles of a recording took",
                &DEFAULT_BUCKETS,
            ),
            failures: counters(
                r,
                "pyroscope_java_failures_total",
                "Failures to record a JVM, or to send what was recorded",
            ),
            events: counters(r, "pyroscope_java_events_total", "Events of the recordings, by type"),
            seen: Arc::default(),
        }
    }

    pub(super) fn of(&self, component: &ComponentLabels) -> JavaMetrics {
        JavaMetrics {
            families: self.clone(),
            component: component.clone(),
            targets: self.targets.get_or_create_owned(component),
            refused: self.refused.get_or_create_owned(component),
            recordings: self.recordings.get_or_create_owned(component),
            recording_bytes: self.recording_bytes.get_or_create_owned(component),
            profile_bytes: self.profile_bytes.get_or_create_owned(component),
            parse_seconds: self.parse_seconds.get_or_create_owned(component),
        }
    }

    pub(super) fn forget(&self, component: &ComponentLabels) {
        self.targets.remove(component);
        self.refused.remove(component);
        self.recordings.remove(component);
        self.recording_bytes.remove(component);
        self.profile_bytes.remove(component);
        self.parse_seconds.remove(component);
        for word in self.seen().remove(component).unwrap_or_default() {
            self.failures.remove(&reason_labels(component, word));
            self.events.remove(&type_labels(component, word));
        }
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<ComponentLabels, BTreeSet<&'static str>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl JavaMetrics {
    /// Counts a failure to record a JVM, or to send what was recorded.
    pub fn failed(&self, reason: &'static str) {
        self.count(&self.families.failures, reason, &reason_labels(&self.component, reason), 1);
    }

    /// Counts events of a type.
    pub fn events(&self, r#type: &'static str, more: u64) {
        self.count(&self.families.events, r#type, &type_labels(&self.component, r#type), more);
    }

    /// A series is there once there is something to count.
    fn count<L>(&self, family: &Family<L, Counter>, word: &'static str, labels: &L, more: u64)
    where
        L: Clone + Hash + Eq,
    {
        if more > 0 {
            self.families.seen().entry(self.component.clone()).or_default().insert(word);
            family.get_or_create_owned(labels).add(more);
        }
    }
}

fn reason_labels(component: &ComponentLabels, reason: &'static str) -> ReasonLabels {
    let ComponentLabels { component_id, component_path } = component.clone();
    ReasonLabels { component_id, component_path, reason }
}

fn type_labels(component: &ComponentLabels, r#type: &'static str) -> TypeLabels {
    let ComponentLabels { component_id, component_path } = component.clone();
    TypeLabels { component_id, component_path, r#type }
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::*;

    #[test]
    fn what_was_counted_is_shown_and_all_is_forgotten() {
        let metrics = Metrics::new();
        let component = ComponentLabels::top_level("pyroscope.java.a".into());
        let java = metrics.java(&component);
        java.events("jdk.ExecutionSample", 0);
        assert!(!metrics.text().unwrap().contains("jdk.ExecutionSample"));
        java.events("jdk.ExecutionSample", 7);
        java.failed("gone");
        let text = metrics.text().unwrap();
        let labels = "component_id=\"pyroscope.java.a\",component_path=\"/\"";
        for line in [
            format!("pyroscope_java_events_total{{{labels},type=\"jdk.ExecutionSample\"}} 7"),
            format!("pyroscope_java_failures_total{{{labels},reason=\"gone\"}} 1"),
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}: {text}");
        }
        drop(java);
        metrics.forget(&component);
        let text = metrics.text().unwrap();
        assert!(!text.lines().any(|line| line.contains("pyroscope.java.a")), "{text}");
    }
}
