//! The series of our own traces: `flamegate_tracing_*`, and the reference's of exporters.

use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{ComponentLabels, Counter, IntGauge, counters, gauges};

/// The series of the `tracing` block.
#[derive(Debug, Clone, Default)]
pub struct TracingMetrics {
    /// Spans that wait for an exporter or went there.
    pub recorded: Counter,
    /// Spans that found the queue full or closed.
    pub dropped: Counter,
}

impl TracingMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let (name, help) = ("flamegate_tracing_spans_total", "Spans that were recorded and queued");
        registry.register(name, help, metrics.recorded.clone());
        let (name, help) = ("flamegate_tracing_dropped_spans_total", "Spans that found the queue full or closed");
        registry.register(name, help, metrics.dropped.clone());
        metrics
    }
}

pub(super) struct Families {
    sent: Family<ComponentLabels, Counter>,
    failed: Family<ComponentLabels, Counter>,
    refused: Family<ComponentLabels, Counter>,
    queue: Family<ComponentLabels, IntGauge>,
    capacity: Family<ComponentLabels, IntGauge>,
}

/// The series of one exporter.
#[derive(Debug, Clone)]
pub struct ExporterMetrics {
    /// Spans that the server took.
    pub sent: Counter,
    /// Spans given up.
    pub failed: Counter,
    /// Spans that found the queue full or closed.
    pub refused: Counter,
    /// Batches that wait or are being sent.
    pub queue: IntGauge,
    /// Batches that may wait.
    pub capacity: IntGauge,
}

impl Families {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let r = registry;
        Self {
            sent: counters(r, "otelcol_exporter_sent_spans_total", "Spans that the server took"),
            failed: counters(r, "otelcol_exporter_send_failed_spans_total", "Spans that the server did not take"),
            refused: counters(r, "otelcol_exporter_enqueue_failed_spans_total", "Spans that found the queue full"),
            queue: gauges(r, "otelcol_exporter_queue_size", "Batches that wait or are being sent"),
            capacity: gauges(r, "otelcol_exporter_queue_capacity", "Batches that may wait"),
        }
    }

    pub(super) fn of(&self, component: &ComponentLabels) -> ExporterMetrics {
        ExporterMetrics {
            sent: self.sent.get_or_create_owned(component),
            failed: self.failed.get_or_create_owned(component),
            refused: self.refused.get_or_create_owned(component),
            queue: self.queue.get_or_create_owned(component),
            capacity: self.capacity.get_or_create_owned(component),
        }
    }

    pub(super) fn forget(&self, component: &ComponentLabels) {
        for family in [&self.sent, &self.failed, &self.refused] {
            family.remove(component);
        }
        for family in [&self.queue, &self.capacity] {
            family.remove(component);
        }
    }
}
