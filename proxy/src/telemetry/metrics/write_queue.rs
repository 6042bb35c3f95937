//! `flamegate_write_queue_*`.

use std::sync::Arc;

use durable_queue::Stats;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::pipeline::Code;

use super::{ComponentLabels, Counter, HistogramFamily, IntGauge, counters, gauges, histograms};

/// From a disk that keeps what it is told in memory of its own, to one that is stuck.
const WRITE_BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabels {
    component_id: Arc<str>,
    component_path: Arc<str>,
    endpoint: Arc<str>,
    queue: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    component_id: Arc<str>,
    component_path: Arc<str>,
    endpoint: Arc<str>,
    queue: Arc<str>,
    reason: &'static str,
}

#[derive(Clone)]
pub(super) struct Families {
    gauges: [Family<QueueLabels, IntGauge>; 3],
    counters: [Family<QueueLabels, Counter>; 7],
    rejected: Family<ReasonLabels, Counter>,
    refused: Family<ReasonLabels, Counter>,
    writes: HistogramFamily<QueueLabels>,
}

/// The series of one queue.
#[derive(Clone)]
pub struct WriteQueueMetrics {
    families: Families,
    labels: QueueLabels,
    /// Seconds in which a group of records was written and synced.
    pub writes: Histogram,
}

/// The series of queues that no endpoint has any more.
#[derive(Debug, Clone)]
pub struct OrphanMetrics {
    /// Their number.
    pub queues: IntGauge,
    /// Bytes of their files.
    pub bytes: IntGauge,
}

/// Why profiles are not queued, and why queued ones are rejected: the codes of Connect, and `unreadable`.
const REFUSED: [&str; 4] = ["full", "too_long", "io", "closed"];
const UNREADABLE: &str = "unreadable";

impl Families {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let r = registry;
        let name = |name: &str| format!("flamegate_write_queue_{name}");
        let gauge = |r: &mut Registry, (end, help): (&str, &str)| gauges(r, &name(end), help);
        let counter = |r: &mut Registry, (end, help): (&str, &str)| counters(r, &name(end), help);
        Self {
            gauges: [
                ("records", "Records that wait or are being sent; one is a request as it was received"),
                ("bytes", "Bytes of the queue's files, without those of rejected records"),
                ("oldest_age_seconds", "Age of the oldest record, 0 where there is none"),
            ]
            .map(|one| gauge(r, one)),
            counters: [
                ("appended_total", "Records that are or were on disk"),
                ("acknowledged_total", "Records that arrived"),
                ("dropped_total", "Records that made room for newer ones"),
                ("expired_total", "Records that were older than max_age"),
                ("damaged_total", "Records that could not be read back"),
                ("rejected_lost_total", "Records that were rejected, and could not be kept in the folder rejected/"),
                ("io_errors_total", "Times that files could not be written or removed"),
            ]
            .map(|one| counter(r, one)),
            rejected: counters(
                r,
                &name("rejected_total"),
                "Queued profiles that the endpoint refused for good, by its reason",
            ),
            refused: counters(r, &name("refused_total"), "Requests that the queue did not take"),
            writes: histograms(
                r,
                &name("write_seconds"),
                "Seconds in which a group of records is written and synced",
                &WRITE_BUCKETS,
            ),
        }
    }

    pub(super) fn of(&self, component: &ComponentLabels, endpoint: &Arc<str>, queue: &Arc<str>) -> WriteQueueMetrics {
        let ComponentLabels { component_id, component_path } = component.clone();
        let labels = QueueLabels { component_id, component_path, endpoint: endpoint.clone(), queue: queue.clone() };
        let writes = self.writes.get_or_create_owned(&labels);
        WriteQueueMetrics { families: self.clone(), labels, writes }
    }
}

impl WriteQueueMetrics {
    /// Queued profiles that were refused for good, for this reason: a code's name, or `unreadable`.
    pub fn rejected(&self, reason: &'static str) -> Counter {
        self.families.rejected.get_or_create_owned(&self.of_reason(reason))
    }

    /// Requests that the queue did not take, for this reason.
    pub fn refused(&self, reason: &'static str) -> Counter {
        self.families.refused.get_or_create_owned(&self.of_reason(reason))
    }

    /// Shows what a queue tells of itself; counts what has come since `before`.
    pub fn show(&self, before: &Stats, now: &Stats) {
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let age = now.oldest.and_then(|oldest| oldest.elapsed().ok()).unwrap_or_default();
        let levels = [whole(now.records), whole(now.bytes), whole(age.as_secs())];
        for (family, level) in self.families.gauges.iter().zip(levels) {
            family.get_or_create_owned(&self.labels).set(level);
        }
        for (family, (before, now)) in self.families.counters.iter().zip(counts(before).into_iter().zip(counts(now))) {
            family.get_or_create_owned(&self.labels).add(now.saturating_sub(before));
        }
    }

    /// Whether the series are the same ones.
    pub fn are_those_of(&self, other: &Self) -> bool {
        self.labels == other.labels
    }

    /// Removes the series.
    pub fn forget(&self) {
        for family in &self.families.gauges {
            family.remove(&self.labels);
        }
        for family in &self.families.counters {
            family.remove(&self.labels);
        }
        self.families.writes.remove(&self.labels);
        for reason in REFUSED {
            self.families.refused.remove(&self.of_reason(reason));
        }
        for reason in Code::ALL.iter().map(|code| code.name()).chain([UNREADABLE]) {
            self.families.rejected.remove(&self.of_reason(reason));
        }
    }

    fn of_reason(&self, reason: &'static str) -> ReasonLabels {
        let QueueLabels { component_id, component_path, endpoint, queue } = self.labels.clone();
        ReasonLabels { component_id, component_path, endpoint, queue, reason }
    }
}

impl OrphanMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let gauge = |registry: &mut Registry, name: &str, help: &str| {
            let gauge = IntGauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        Self {
            queues: gauge(registry, "flamegate_write_queue_orphans", "Queues on disk that no endpoint has any more"),
            bytes: gauge(registry, "flamegate_write_queue_orphan_bytes", "Bytes of their files"),
        }
    }
}

/// In the order of the families.
fn counts(stats: &Stats) -> [u64; 7] {
    let Stats { appended, acknowledged, dropped, expired, damaged, rejected_lost, io_errors, .. } = *stats;
    [appended, acknowledged, dropped, expired, damaged, rejected_lost, io_errors]
}
