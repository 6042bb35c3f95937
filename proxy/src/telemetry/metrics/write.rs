//! `pyroscope_write_*`.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{ComponentLabels, Counter, DEFAULT_BUCKETS, HistogramFamily, counters, histograms};
use crate::upstream::Api;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabels {
    component_id: Arc<str>,
    component_path: Arc<str>,
    endpoint: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LatencyLabels {
    component_id: Arc<str>,
    component_path: Arc<str>,
    endpoint: Arc<str>,
    r#type: &'static str,
}

pub(super) struct Families {
    sent_bytes: Family<EndpointLabels, Counter>,
    dropped_bytes: Family<EndpointLabels, Counter>,
    sent_profiles: Family<EndpointLabels, Counter>,
    dropped_profiles: Family<EndpointLabels, Counter>,
    retries: Family<EndpointLabels, Counter>,
    latency: HistogramFamily<LatencyLabels>,
    renamed: Family<ComponentLabels, Counter>,
}

/// The series of one `pyroscope.write`.
#[derive(Debug, Clone)]
pub struct WriteMetrics {
    /// Seconds of a call of all endpoints together.
    pub total: WriteLatency,
    /// Profiles whose labels could not be sent as they are.
    pub renamed: Counter,
}

/// The series of one endpoint.
#[derive(Debug, Clone)]
pub struct EndpointMetrics {
    /// Bytes of profiles that the endpoint took, as received.
    pub sent_bytes: Counter,
    /// Bytes of profiles given up.
    pub dropped_bytes: Counter,
    /// Profiles that the endpoint took.
    pub sent_profiles: Counter,
    /// Profiles given up.
    pub dropped_profiles: Counter,
    /// Attempts after the first.
    pub retries: Counter,
    /// Seconds of a call with all its attempts.
    pub endpoint: WriteLatency,
    /// Seconds of an attempt.
    pub downstream: WriteLatency,
}

/// A latency, for each API apart.
#[derive(Debug, Clone)]
pub struct WriteLatency {
    push: Histogram,
    ingest: Histogram,
}

impl WriteLatency {
    /// The histogram of an API.
    pub fn of(&self, api: Api) -> &Histogram {
        match api {
            Api::Push => &self.push,
            Api::Ingest => &self.ingest,
        }
    }
}

/// What the label `endpoint` says where no single one is meant.
const ALL_ENDPOINTS: &str = "-";
const TYPES: [&str; 6] =
    ["push_total", "push_endpoint", "push_downstream", "ingest_total", "ingest_endpoint", "ingest_downstream"];

impl Families {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let r = registry;
        Self {
            sent_bytes: counters(r, "pyroscope_write_sent_bytes_total", "Bytes of profiles that the endpoint took"),
            dropped_bytes: counters(r, "pyroscope_write_dropped_bytes_total", "Bytes of profiles given up"),
            sent_profiles: counters(r, "pyroscope_write_sent_profiles_total", "Profiles that the endpoint took"),
            dropped_profiles: counters(r, "pyroscope_write_dropped_profiles_total", "Profiles given up"),
            retries: counters(r, "pyroscope_write_retries_total", "Attempts after the first one"),
            latency: histograms(r, "pyroscope_write_latency", "Seconds of calls to endpoints", &DEFAULT_BUCKETS),
            renamed: counters(
                r,
                "flamegate_write_renamed_profiles_total",
                "Profiles sent with _ in the place of characters that /ingest cannot say",
            ),
        }
    }

    pub(super) fn of(&self, component: &ComponentLabels) -> WriteMetrics {
        WriteMetrics {
            total: self.latency(component, &ALL_ENDPOINTS.into(), ["push_total", "ingest_total"]),
            renamed: self.renamed.get_or_create_owned(component),
        }
    }

    pub(super) fn endpoint(&self, component: &ComponentLabels, endpoint: &Arc<str>) -> EndpointMetrics {
        let labels = endpoint_labels(component, endpoint);
        EndpointMetrics {
            sent_bytes: self.sent_bytes.get_or_create_owned(&labels),
            dropped_bytes: self.dropped_bytes.get_or_create_owned(&labels),
            sent_profiles: self.sent_profiles.get_or_create_owned(&labels),
            dropped_profiles: self.dropped_profiles.get_or_create_owned(&labels),
            retries: self.retries.get_or_create_owned(&labels),
            endpoint: self.latency(component, endpoint, ["push_endpoint", "ingest_endpoint"]),
            downstream: self.latency(component, endpoint, ["push_downstream", "ingest_downstream"]),
        }
    }

    /// Removes the series of an endpoint that is no more, or with `None` those of all endpoints together.
    pub(super) fn forget(&self, component: &ComponentLabels, endpoint: Option<&Arc<str>>) {
        let all: Arc<str> = ALL_ENDPOINTS.into();
        if endpoint.is_none() {
            self.renamed.remove(component);
        }
        let endpoint = endpoint.unwrap_or(&all);
        let labels = endpoint_labels(component, endpoint);
        for family in
            [&self.sent_bytes, &self.dropped_bytes, &self.sent_profiles, &self.dropped_profiles, &self.retries]
        {
            family.remove(&labels);
        }
        for r#type in TYPES {
            self.latency.remove(&latency_labels(component, endpoint, r#type));
        }
    }

    fn latency(&self, component: &ComponentLabels, endpoint: &Arc<str>, types: [&'static str; 2]) -> WriteLatency {
        let [push, ingest] =
            types.map(|r#type| self.latency.get_or_create_owned(&latency_labels(component, endpoint, r#type)));
        WriteLatency { push, ingest }
    }
}

fn endpoint_labels(component: &ComponentLabels, endpoint: &Arc<str>) -> EndpointLabels {
    let ComponentLabels { component_id, component_path } = component.clone();
    EndpointLabels { component_id, component_path, endpoint: endpoint.clone() }
}

fn latency_labels(component: &ComponentLabels, endpoint: &Arc<str>, r#type: &'static str) -> LatencyLabels {
    let ComponentLabels { component_id, component_path } = component.clone();
    LatencyLabels { component_id, component_path, endpoint: endpoint.clone(), r#type }
}
