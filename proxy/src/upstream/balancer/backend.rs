//! One backend: its connections, and how it is.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use pingora_load_balancing::Backend as Member;

use super::ejection::Ejection;
use crate::telemetry::metrics::BackendMetrics;
use crate::upstream::failure::Evidence;
use crate::upstream::{Client, Failure};

/// A backend, for as long as it is among the targets.
pub(super) struct Backend {
    pub(super) address: SocketAddr,
    /// The target that led here.
    target: Arc<str>,
    pub(super) client: Client,
    pub(super) metrics: BackendMetrics,
    ejection: Ejection,
    /// Whether its checks fail; the choice itself asks the balancer's own record.
    ill: AtomicBool,
    last_error: Mutex<Option<LastError>>,
}

#[derive(Debug, Clone)]
struct LastError {
    at: SystemTime,
    text: Arc<str>,
}

/// How a backend is, for whoever looks for a fault.
#[derive(Debug, Clone)]
pub struct BackendInfo {
    /// Where it is.
    pub address: SocketAddr,
    /// The target that led there.
    pub target: Arc<str>,
    /// How it is.
    pub state: BackendState,
    /// Requests sent so far.
    pub requests: u64,
    /// How many of them failed by its fault.
    pub failures: u64,
    /// Requests that are not answered yet.
    pub in_flight: i64,
    /// What went wrong last, and when.
    pub last_error: Option<(SystemTime, Arc<str>)>,
}

/// Whether a backend is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendState {
    /// It is.
    Healthy,
    /// Not for a while, since its requests failed.
    Ejected,
    /// Not as long as its checks fail.
    Unhealthy,
}

impl BackendState {
    /// As metrics have it.
    fn number(self) -> i64 {
        match self {
            Self::Healthy => 0,
            Self::Ejected => 1,
            Self::Unhealthy => 2,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Ejected => "ejected",
            Self::Unhealthy => "unhealthy",
        }
    }
}

impl Backend {
    pub(super) fn new(address: SocketAddr, target: Arc<str>, client: Client, metrics: BackendMetrics) -> Self {
        let (ejection, ill, last_error) = (Ejection::default(), AtomicBool::new(false), Mutex::default());
        Self { address, target, client, metrics, ejection, ill, last_error }
    }

    /// The backend that a member stands for.
    pub(super) fn of(member: &Member) -> Option<&Arc<Self>> {
        member.ext.get()
    }

    /// Whether it is not ejected. Where it was and its time is over, the first one who asks may try it.
    pub(super) fn may_be_tried(&self) -> bool {
        self.ejection.admits()
    }

    /// A request was answered, or not.
    pub(super) fn settle(&self, result: Result<(), &Failure>) {
        let failure = match result {
            Err(failure) if failure.evidence != Evidence::Well => failure,
            _ => {
                if self.ejection.succeeded() {
                    tracing::info!(backend = %self.address, target = %self.target, "a backend answers again");
                    self.show();
                }
                return;
            }
        };
        self.metrics.failures.inc();
        self.note_error(&failure.error.cause);
        if let Some(pause) = self.ejection.failed() {
            let (backend, target, err) = (self.address, &self.target, &failure.error.cause);
            tracing::warn!(%backend, %target, ?pause, %err, "a backend fails again and again and gets no requests for a while");
            self.show();
        }
    }

    /// Its checks fail from now on, or no longer.
    pub(super) fn checked(&self, healthy: bool) {
        let (backend, target) = (self.address, &self.target);
        self.ill.store(!healthy, Ordering::Relaxed);
        if healthy {
            // It was away and is back: what failed before says nothing any more.
            self.ejection.succeeded();
            tracing::info!(%backend, %target, "a backend passes its health check");
        } else {
            let last = self.last_error().as_ref().map(|last| last.text.clone());
            tracing::warn!(%backend, %target, err = last.as_deref(), "a backend fails its health check and gets no requests");
        }
        self.show();
    }

    /// Its checks are forgotten.
    pub(super) fn assume_well(&self) {
        self.ill.store(false, Ordering::Relaxed);
        self.show();
    }

    pub(super) fn note_error(&self, text: &Arc<str>) {
        *self.last_error() = Some(LastError { at: SystemTime::now(), text: text.clone() });
    }

    pub(super) fn info(&self) -> BackendInfo {
        let last_error = self.last_error().clone().map(|last| (last.at, last.text));
        BackendInfo {
            address: self.address,
            target: self.target.clone(),
            state: self.state(),
            requests: self.metrics.requests.count(),
            failures: self.metrics.failures.count(),
            in_flight: self.metrics.in_flight.get(),
            last_error,
        }
    }

    fn state(&self) -> BackendState {
        match (self.ill.load(Ordering::Relaxed), self.ejection.is_on()) {
            (true, _) => BackendState::Unhealthy,
            (false, true) => BackendState::Ejected,
            (false, false) => BackendState::Healthy,
        }
    }

    fn show(&self) {
        self.metrics.state.set(self.state().number());
    }

    fn last_error(&self) -> MutexGuard<'_, Option<LastError>> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
