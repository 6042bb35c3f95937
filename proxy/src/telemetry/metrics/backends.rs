//! `flamegate_write_backend_*`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{ComponentLabels, Counter, IntGauge, counters, gauges};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BackendLabels {
    component_id: Arc<str>,
    component_path: Arc<str>,
    endpoint: Arc<str>,
    backend: Arc<str>,
}

#[derive(Debug, Clone)]
pub(super) struct Families {
    state: Family<BackendLabels, IntGauge>,
    requests: Family<BackendLabels, Counter>,
    failures: Family<BackendLabels, Counter>,
    in_flight: Family<BackendLabels, IntGauge>,
    seen: Arc<Mutex<Seen>>,
}

/// The backends that have series, of each endpoint of each component.
type Seen = BTreeMap<(ComponentLabels, Arc<str>), BTreeSet<SocketAddr>>;

/// The series of the backends of one endpoint.
#[derive(Debug, Clone)]
pub struct BackendsMetrics {
    families: Families,
    component: ComponentLabels,
    endpoint: Arc<str>,
}

/// The series of one backend.
#[derive(Debug, Clone)]
pub struct BackendMetrics {
    /// 0 where it is chosen, 1 while it is ejected, 2 while its checks fail.
    pub state: IntGauge,
    /// Requests for which it was chosen.
    pub requests: Counter,
    /// How many of them failed by its fault.
    pub failures: Counter,
    /// Requests that are not answered yet.
    pub in_flight: IntGauge,
}

impl Families {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let r = registry;
        let state = "0 where the backend gets requests, 1 while it is ejected, 2 while its health checks fail";
        Self {
            state: gauges(r, "flamegate_write_backend_state", state),
            requests: counters(
                r,
                "flamegate_write_backend_requests_total",
                "Requests for which the backend was chosen",
            ),
            failures: counters(
                r,
                "flamegate_write_backend_failures_total",
                "Requests that failed by the backend's fault",
            ),
            in_flight: gauges(r, "flamegate_write_backend_in_flight", "Requests that the backend has not answered yet"),
            seen: Arc::default(),
        }
    }

    pub(super) fn of(&self, component: &ComponentLabels, endpoint: &Arc<str>) -> BackendsMetrics {
        BackendsMetrics { families: self.clone(), component: component.clone(), endpoint: endpoint.clone() }
    }

    /// Removes the series of all backends of an endpoint.
    pub(super) fn forget(&self, component: &ComponentLabels, endpoint: &Arc<str>) {
        self.of(component, endpoint).keep(&BTreeSet::new());
        self.seen().remove(&(component.clone(), endpoint.clone()));
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BackendsMetrics {
    /// The series of the backend at an address.
    pub fn of(&self, address: SocketAddr) -> BackendMetrics {
        let (families, labels) = (&self.families, self.labels(address));
        families.seen().entry((self.component.clone(), self.endpoint.clone())).or_default().insert(address);
        BackendMetrics {
            state: families.state.get_or_create_owned(&labels),
            requests: families.requests.get_or_create_owned(&labels),
            failures: families.failures.get_or_create_owned(&labels),
            in_flight: families.in_flight.get_or_create_owned(&labels),
        }
    }

    /// Removes the series of all other backends.
    pub fn keep(&self, addresses: &BTreeSet<SocketAddr>) {
        let mut seen = self.families.seen();
        let Some(known) = seen.get_mut(&(self.component.clone(), self.endpoint.clone())) else { return };
        for gone in known.difference(addresses) {
            let labels = self.labels(*gone);
            self.families.state.remove(&labels);
            self.families.requests.remove(&labels);
            self.families.failures.remove(&labels);
            self.families.in_flight.remove(&labels);
        }
        known.retain(|address| addresses.contains(address));
    }

    fn labels(&self, address: SocketAddr) -> BackendLabels {
        let ComponentLabels { component_id, component_path } = self.component.clone();
        let backend = address.to_string().into();
        BackendLabels { component_id, component_path, endpoint: self.endpoint.clone(), backend }
    }
}
