//! `pyroscope_receive_http_*`.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::wire::{debug_info, ingest, push};

use super::{ComponentLabels, Counter, HistogramFamily, IntGauge, counters, gauges, histograms};

/// Buckets of the reference's request histograms, in seconds.
const REQUEST_BUCKETS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0];
/// Fifteen powers of four, from 4 bytes to a gibibyte.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks the index")]
const SIZE_BUCKETS: [f64; 15] = {
    let mut buckets = [4.0; 15];
    let mut index = 1;
    while index < buckets.len() {
        buckets[index] = buckets[index - 1] * 4.0;
        index += 1;
    }
    buckets
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProtocolLabels {
    component_id: Arc<str>,
    component_path: Arc<str>,
    protocol: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    component_id: Arc<str>,
    component_path: Arc<str>,
    method: &'static str,
    route: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabels {
    component_id: Arc<str>,
    component_path: Arc<str>,
    method: &'static str,
    route: &'static str,
    status_code: u16,
    ws: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    component_id: Arc<str>,
    component_path: Arc<str>,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    component_id: Arc<str>,
    component_path: Arc<str>,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    component_id: Arc<str>,
    component_path: Arc<str>,
    method: &'static str,
    result: &'static str,
}

#[derive(Clone)]
pub(super) struct Families {
    connections: Family<ProtocolLabels, IntGauge>,
    connections_limit: Family<ProtocolLabels, IntGauge>,
    duration: HistogramFamily<StatusLabels>,
    message_bytes: HistogramFamily<RouteLabels>,
    response_bytes: HistogramFamily<RouteLabels>,
    inflight: Family<RouteLabels, IntGauge>,
    refused: Family<ReasonLabels, Counter>,
    resent: Family<KindLabels, Counter>,
    inflight_bytes: Family<ComponentLabels, IntGauge>,
    grpc_streams_limit: Family<ComponentLabels, IntGauge>,
    debug_info_calls: Family<ResultLabels, Counter>,
}

/// The series of one `pyroscope.receive_http`.
#[derive(Clone)]
pub struct ReceiveHttpMetrics {
    families: Families,
    component: ComponentLabels,
    /// Connections open now.
    pub connections: IntGauge,
    /// `conn_limit`; 0 for none.
    pub connections_limit: IntGauge,
    /// Bytes of bodies held now.
    pub inflight_bytes: IntGauge,
    /// Calls at once on one connection.
    pub grpc_streams_limit: IntGauge,
}

/// What distinguishes requests. The values come from fixed sets: nothing that a sender chooses becomes a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestLabels {
    /// The method, `other` for a rare one.
    pub method: &'static str,
    /// The route, `other` where there is none.
    pub route: &'static str,
}

/// What had become of a request when it was sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resent {
    /// It was still on its way.
    Joined,
    /// Some endpoints had taken it, and others had not.
    Completed,
    /// All had taken it, and its sender had not heard so.
    Delivered,
}

impl Families {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let r = registry;
        Self {
            connections: gauges(r, "pyroscope_receive_http_tcp_connections", "Connections open now"),
            connections_limit: gauges(
                r,
                "pyroscope_receive_http_tcp_connections_limit",
                "Connections allowed, 0 for any number",
            ),
            duration: histograms(
                r,
                "pyroscope_receive_http_request_duration_seconds",
                "Seconds from a request's head to the end of its answer",
                &REQUEST_BUCKETS,
            ),
            message_bytes: histograms(
                r,
                "pyroscope_receive_http_request_message_bytes",
                "Bytes of request bodies",
                &SIZE_BUCKETS,
            ),
            response_bytes: histograms(
                r,
                "pyroscope_receive_http_response_message_bytes",
                "Bytes of answers",
                &SIZE_BUCKETS,
            ),
            inflight: gauges(r, "pyroscope_receive_http_inflight_requests", "Requests being handled now"),
            refused: counters(r, "flamegate_receive_http_refused_total", "Requests refused, by reason"),
            resent: counters(r, "flamegate_receive_http_resent_total", "Requests that had been sent before, by kind"),
            inflight_bytes: gauges(r, "flamegate_receive_http_inflight_bytes", "Bytes of bodies held now"),
            grpc_streams_limit: gauges(
                r,
                "pyroscope_receive_http_grpc_concurrent_streams_limit",
                "Calls allowed at once on one connection",
            ),
            debug_info_calls: counters(
                r,
                "pyroscope_receive_http_debuginfo_downstream_calls_total",
                "Calls about debug information that were handed on",
            ),
        }
    }

    pub(super) fn of(&self, component: &ComponentLabels) -> ReceiveHttpMetrics {
        let http = protocol_labels(component, "http");
        // There is no listener for gRPC alone, so that it has no connection and no limit.
        let grpc = protocol_labels(component, "grpc");
        self.connections.get_or_create_owned(&grpc).set(0);
        self.connections_limit.get_or_create_owned(&grpc).set(0);
        ReceiveHttpMetrics {
            connections: self.connections.get_or_create_owned(&http),
            connections_limit: self.connections_limit.get_or_create_owned(&http),
            inflight_bytes: self.inflight_bytes.get_or_create_owned(component),
            grpc_streams_limit: self.grpc_streams_limit.get_or_create_owned(component),
            component: component.clone(),
            families: self.clone(),
        }
    }

    /// Removes whatever this component may have: the families cannot be searched, but their labels are of fixed sets.
    pub(super) fn forget(&self, component: &ComponentLabels) {
        let of = self.of(component);
        for protocol in ["http", "grpc"] {
            self.connections.remove(&protocol_labels(component, protocol));
            self.connections_limit.remove(&protocol_labels(component, protocol));
        }
        self.inflight_bytes.remove(component);
        self.grpc_streams_limit.remove(component);
        for method in DEBUG_INFO_METHODS {
            for result in [SUCCESS, FAILURE] {
                self.debug_info_calls.remove(&of.result_labels(method, result));
            }
        }
        for (method, route) in METHODS.into_iter().flat_map(|method| ROUTES.map(|route| (method, route))) {
            let request = RequestLabels { method, route };
            let labels = of.route_labels(request);
            self.message_bytes.remove(&labels);
            self.response_bytes.remove(&labels);
            self.inflight.remove(&labels);
            for status_code in 100..600 {
                self.duration.remove(&of.status_labels(request, status_code));
            }
        }
        for reason in REASONS {
            self.refused.remove(&of.reason_labels(reason));
        }
        for kind in [Resent::Joined, Resent::Completed, Resent::Delivered] {
            self.resent.remove(&of.kind_labels(kind));
        }
    }
}

impl ReceiveHttpMetrics {
    /// Seconds of requests with this answer.
    pub fn duration(&self, request: RequestLabels, status_code: u16) -> Histogram {
        self.families.duration.get_or_create_owned(&self.status_labels(request, status_code))
    }

    /// Bytes of bodies and of answers.
    pub fn bytes(&self, request: RequestLabels) -> (Histogram, Histogram) {
        let labels = self.route_labels(request);
        let Families { message_bytes, response_bytes, .. } = &self.families;
        (message_bytes.get_or_create_owned(&labels), response_bytes.get_or_create_owned(&labels))
    }

    /// Requests of a route that are being handled.
    pub fn inflight(&self, request: RequestLabels) -> IntGauge {
        self.families.inflight.get_or_create_owned(&self.route_labels(request))
    }

    /// Counts a refusal; the reason is one of [`REASONS`].
    pub fn refused(&self, reason: &'static str) {
        self.families.refused.get_or_create_owned(&self.reason_labels(reason)).inc();
    }

    /// Counts a request that its sender had sent before.
    pub fn resent(&self, kind: Resent) {
        self.families.resent.get_or_create_owned(&self.kind_labels(kind)).inc();
    }

    fn kind_labels(&self, kind: Resent) -> KindLabels {
        let ComponentLabels { component_id, component_path } = self.component.clone();
        let kind = match kind {
            Resent::Joined => "joined",
            Resent::Completed => "completed",
            Resent::Delivered => "delivered",
        };
        KindLabels { component_id, component_path, kind }
    }

    /// Counts a call about debug information; the method is one of [`DEBUG_INFO_METHODS`].
    pub fn debug_info_call(&self, method: &'static str, success: bool) {
        let labels = self.result_labels(method, if success { SUCCESS } else { FAILURE });
        self.families.debug_info_calls.get_or_create_owned(&labels).inc();
    }

    fn result_labels(&self, method: &'static str, result: &'static str) -> ResultLabels {
        let ComponentLabels { component_id, component_path } = self.component.clone();
        ResultLabels { component_id, component_path, method, result }
    }

    fn route_labels(&self, request: RequestLabels) -> RouteLabels {
        let ComponentLabels { component_id, component_path } = self.component.clone();
        RouteLabels { component_id, component_path, method: request.method, route: request.route }
    }

    fn status_labels(&self, request: RequestLabels, status_code: u16) -> StatusLabels {
        let RouteLabels { component_id, component_path, method, route } = self.route_labels(request);
        StatusLabels { component_id, component_path, method, route, status_code, ws: "false" }
    }

    fn reason_labels(&self, reason: &'static str) -> ReasonLabels {
        let ComponentLabels { component_id, component_path } = self.component.clone();
        ReasonLabels { component_id, component_path, reason }
    }
}

/// The methods that become a label.
pub const METHODS: [&str; 6] = ["POST", "GET", "HEAD", "PUT", "DELETE", OTHER];
/// The routes that become a label.
pub const ROUTES: [&str; 6] = [
    ingest::PATH,
    push::PATH,
    debug_info::SHOULD_INITIATE_UPLOAD,
    debug_info::UPLOAD_FINISHED,
    debug_info::UPLOAD,
    OTHER,
];
/// The calls about debug information that become a label.
pub const DEBUG_INFO_METHODS: [&str; 3] = ["ShouldInitiateUpload", "UploadFinished", "Upload"];
const SUCCESS: &str = "success";
const FAILURE: &str = "failure";
/// Why requests are refused.
pub const REASONS: [&str; 12] = [
    "not_found",
    "method",
    "content_type",
    "encoding",
    "too_large",
    "busy",
    "slow",
    "broken",
    "malformed",
    "unanswered",
    "unauthenticated",
    "rate_limit",
];
/// Every other method or route.
pub const OTHER: &str = "other";

fn protocol_labels(component: &ComponentLabels, protocol: &'static str) -> ProtocolLabels {
    let ComponentLabels { component_id, component_path } = component.clone();
    ProtocolLabels { component_id, component_path, protocol }
}
