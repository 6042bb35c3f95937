//! `net_conntrack_dialer_conn_*`: connections that were opened, by who opens them. Of the process, as in the reference.

use std::io;
use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{Counter, counters};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DialerLabels {
    dialer_name: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    dialer_name: Arc<str>,
    reason: &'static str,
}

#[derive(Debug)]
pub(super) struct Families {
    attempted: Family<DialerLabels, Counter>,
    established: Family<DialerLabels, Counter>,
    failed: Family<ReasonLabels, Counter>,
    closed: Family<DialerLabels, Counter>,
}

/// The series of one dialer.
#[derive(Debug, Clone)]
pub struct DialerMetrics {
    attempted: Counter,
    established: Counter,
    closed: Counter,
    resolution: Counter,
    refused: Counter,
    timeout: Counter,
    unknown: Counter,
}

/// A connection that is being opened. Where nobody waits for it any more it took too long.
#[derive(Debug)]
pub struct Dialed(Option<DialerMetrics>);

/// An open connection: counts as closed when it is dropped.
#[derive(Debug)]
pub struct OpenConnection(Counter);

impl Families {
    pub(super) fn register(r: &mut Registry) -> Self {
        Self {
            attempted: counters(r, "net_conntrack_dialer_conn_attempted_total", "Connections that were tried"),
            established: counters(r, "net_conntrack_dialer_conn_established_total", "Connections that were opened"),
            failed: counters(r, "net_conntrack_dialer_conn_failed_total", "Connections that failed to open, by reason"),
            closed: counters(r, "net_conntrack_dialer_conn_closed_total", "Connections that were opened and closed"),
        }
    }

    /// Every series of the dialer is there from now on, at zero.
    pub(super) fn of(&self, dialer_name: &Arc<str>) -> DialerMetrics {
        let labels = DialerLabels { dialer_name: dialer_name.clone() };
        let failed = |reason| {
            let dialer_name = dialer_name.clone();
            self.failed.get_or_create_owned(&ReasonLabels { dialer_name, reason })
        };
        DialerMetrics {
            attempted: self.attempted.get_or_create_owned(&labels),
            established: self.established.get_or_create_owned(&labels),
            closed: self.closed.get_or_create_owned(&labels),
            resolution: failed("resolution"),
            refused: failed("refused"),
            timeout: failed("timeout"),
            unknown: failed("unknown"),
        }
    }
}

impl DialerMetrics {
    /// A connection is about to be opened.
    pub fn dial(&self) -> Dialed {
        self.attempted.inc();
        Dialed(Some(self.clone()))
    }

    fn failure(&self, error: &(dyn std::error::Error + 'static)) -> &Counter {
        let causes = std::iter::successors(Some(error), |error| error.source());
        for cause in causes {
            // hyper-util's own type for it is not public.
            if cause.to_string() == "dns error" {
                return &self.resolution;
            }
            match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
                Some(io::ErrorKind::ConnectionRefused) => return &self.refused,
                Some(io::ErrorKind::TimedOut) => return &self.timeout,
                _ => {}
            }
        }
        &self.unknown
    }
}

impl Dialed {
    /// It is open.
    pub fn established(mut self) -> Option<OpenConnection> {
        let metrics = self.0.take()?;
        metrics.established.inc();
        Some(OpenConnection(metrics.closed))
    }

    /// It cannot be opened.
    pub fn failed(mut self, error: &(dyn std::error::Error + 'static)) {
        if let Some(metrics) = self.0.take() {
            metrics.failure(error).inc();
        }
    }
}

impl Drop for Dialed {
    fn drop(&mut self) {
        if let Some(metrics) = &self.0 {
            metrics.timeout.inc();
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.inc();
    }
}
