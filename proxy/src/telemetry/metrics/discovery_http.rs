//! `prometheus_sd_http_failures_total`.

use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{ComponentLabels, Counter, counters};

pub(super) struct Families {
    failures: Family<ComponentLabels, Counter>,
}

impl Families {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let help = "Looks for targets that brought none, for example because of a bad answer";
        Self { failures: counters(registry, "prometheus_sd_http_failures_total", help) }
    }

    pub(super) fn of(&self, component: &ComponentLabels) -> Counter {
        self.failures.get_or_create_owned(component)
    }

    pub(super) fn forget(&self, component: &ComponentLabels) {
        self.failures.remove(component);
    }
}
