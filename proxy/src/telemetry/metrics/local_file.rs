//! `local_file_timestamp_last_accessed_unix_seconds`.

use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{ComponentLabels, IntGauge, gauges};

pub(super) struct Families {
    last_accessed: Family<ComponentLabels, IntGauge>,
}

impl Families {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let name = "local_file_timestamp_last_accessed_unix_seconds";
        Self { last_accessed: gauges(registry, name, "When the file was last read with success, in Unix seconds") }
    }

    pub(super) fn of(&self, component: &ComponentLabels) -> IntGauge {
        self.last_accessed.get_or_create_owned(component)
    }

    pub(super) fn forget(&self, component: &ComponentLabels) {
        self.last_accessed.remove(component);
    }
}
