//! The series of listeners that speak TLS.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{Counter, counters};

/// The series of one listener.
#[derive(Debug, Clone)]
pub struct TlsMetrics {
    /// Certificates that changed and are used.
    pub reloads: Counter,
    /// Certificates that changed and cannot be used.
    pub reload_failures: Counter,
    /// Handshakes that failed or were not done in time.
    pub handshake_failures: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    listener: Arc<str>,
}

pub(super) struct Families {
    reloads: Family<Labels, Counter>,
    reload_failures: Family<Labels, Counter>,
    handshake_failures: Family<Labels, Counter>,
}

impl Families {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let mut family = |name, help| counters(registry, name, help);
        Self {
            reloads: family("flamegate_tls_reloads_total", "Certificates that changed and were read again"),
            reload_failures: family(
                "flamegate_tls_reload_failures_total",
                "Certificates that changed and cannot be used",
            ),
            handshake_failures: family("flamegate_tls_handshake_failures_total", "TLS handshakes that failed"),
        }
    }

    pub(super) fn of(&self, listener: &Arc<str>) -> TlsMetrics {
        let labels = Labels { listener: listener.clone() };
        TlsMetrics {
            reloads: self.reloads.get_or_create_owned(&labels),
            reload_failures: self.reload_failures.get_or_create_owned(&labels),
            handshake_failures: self.handshake_failures.get_or_create_owned(&labels),
        }
    }

    pub(super) fn forget(&self, listener: &Arc<str>) {
        let labels = Labels { listener: listener.clone() };
        for family in [&self.reloads, &self.reload_failures, &self.handshake_failures] {
            family.remove(&labels);
        }
    }
}
