//! `cluster_*`: the nodes that this one knows, and what they say to each other.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{Counter, IntGauge, counters, gauges};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClusterLabels {
    cluster_name: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    cluster_name: Arc<str>,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    cluster_name: Arc<str>,
    event: &'static str,
}

pub(super) struct Families {
    info: Family<StateLabels, IntGauge>,
    peers: Family<StateLabels, IntGauge>,
    events: Family<EventLabels, Counter>,
    ready: Family<ClusterLabels, IntGauge>,
    minimum_size: Family<ClusterLabels, IntGauge>,
    received: TrafficFamilies,
    sent: TrafficFamilies,
}

struct TrafficFamilies {
    bytes: Family<ClusterLabels, Counter>,
    packets: Family<ClusterLabels, Counter>,
    failed: Family<ClusterLabels, Counter>,
}

/// The series of a process that is a node of a cluster.
#[derive(Debug, Clone)]
pub struct ClusterMetrics {
    cluster_name: Arc<str>,
    info: Family<StateLabels, IntGauge>,
    peers: Family<StateLabels, IntGauge>,
    /// Nodes that came.
    pub joined: Counter,
    /// Nodes that left, or died.
    pub left: Counter,
    /// Nodes that have the name of another one.
    pub conflicts: Counter,
    /// 1 while there are nodes enough to begin.
    pub ready: IntGauge,
    /// How many are enough.
    pub minimum_size: IntGauge,
    /// What came.
    pub received: Traffic,
    /// What went.
    pub sent: Traffic,
}

/// Messages in one direction.
#[derive(Debug, Clone)]
pub struct Traffic {
    /// Their bytes.
    pub bytes: Counter,
    /// Their number.
    pub packets: Counter,
    /// Those that were refused, or could not be sent.
    pub failed: Counter,
}

impl Families {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let r = registry;
        Self {
            info: gauges(r, "cluster_node_info", "1 for what this node does in its cluster"),
            peers: gauges(r, "cluster_node_peers", "Nodes of the cluster, this one among them"),
            events: counters(r, "cluster_node_gossip_received_events_total", "What happened to the nodes"),
            ready: gauges(r, "cluster_ready_for_traffic", "1 while there are nodes enough to begin"),
            minimum_size: gauges(r, "cluster_minimum_size", "How many nodes are waited for"),
            received: TrafficFamilies {
                bytes: counters(r, "cluster_transport_rx_bytes_total", "Bytes of messages that came"),
                packets: counters(r, "cluster_transport_rx_packets_total", "Messages that came"),
                failed: counters(r, "cluster_transport_rx_packets_failed_total", "Messages that were refused"),
            },
            sent: TrafficFamilies {
                bytes: counters(r, "cluster_transport_tx_bytes_total", "Bytes of messages that were sent"),
                packets: counters(r, "cluster_transport_tx_packets_total", "Messages that were sent"),
                failed: counters(r, "cluster_transport_tx_packets_failed_total", "Messages that could not be sent"),
            },
        }
    }

    pub(super) fn of(&self, cluster_name: Arc<str>) -> ClusterMetrics {
        let labels = ClusterLabels { cluster_name: cluster_name.clone() };
        let event = |event| {
            let labels = EventLabels { cluster_name: cluster_name.clone(), event };
            self.events.get_or_create_owned(&labels)
        };
        let traffic = |families: &TrafficFamilies| Traffic {
            bytes: families.bytes.get_or_create_owned(&labels),
            packets: families.packets.get_or_create_owned(&labels),
            failed: families.failed.get_or_create_owned(&labels),
        };
        ClusterMetrics {
            info: self.info.clone(),
            peers: self.peers.clone(),
            joined: event("node_join"),
            left: event("node_leave"),
            conflicts: event("node_conflict"),
            ready: self.ready.get_or_create_owned(&labels),
            minimum_size: self.minimum_size.get_or_create_owned(&labels),
            received: traffic(&self.received),
            sent: traffic(&self.sent),
            cluster_name,
        }
    }
}

impl ClusterMetrics {
    /// What this node does.
    pub fn is(&self, state: &'static str) {
        self.info.clear();
        self.info.get_or_create_owned(&self.labels(state)).set(1);
    }

    /// How many nodes do this.
    pub fn peers(&self, state: &'static str, count: usize) {
        self.peers.get_or_create_owned(&self.labels(state)).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    fn labels(&self, state: &'static str) -> StateLabels {
        StateLabels { cluster_name: self.cluster_name.clone(), state }
    }
}
