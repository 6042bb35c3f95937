//! Many backends behind one endpoint: which of them a request goes to.
//!
//! Selection, membership and active health checks are those of `pingora-load-balancing`; connections are our own, a pool
//! for each backend, since a proxy's way of TLS, HTTP/2 and authentication is the endpoint's. What is added here: names
//! that are looked up again, ejection of those that fail, and a choice among the others when nobody is well.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pingora_load_balancing::{Backend as Member, Backends as Members};
use tokio::task::JoinSet;
use tokio::time::sleep;

use self::backend::Backend;
use self::membership::Membership;
use self::selection::Selection;
use super::client::{Client, ClientMaker};
use super::endpoint::Base;
use super::{Failure, UrlError};
use crate::telemetry::metrics::BackendsMetrics;

mod backend;
mod ejection;
mod health_check;
mod membership;
mod selection;
mod target;

pub use backend::{BackendInfo, BackendState};
pub use health_check::{HealthCheckSettings, Probe};
pub use membership::Unresolved;
pub use selection::{Policy, hash_key};
pub use target::{Target, TargetError};

/// Most backends of an endpoint. Each has a pool of connections, series of metrics, and checks of its health.
pub const MOST_BACKENDS: usize = 1000;

/// What a balancer is configured with, but for its targets.
#[derive(Debug)]
pub struct BalancerSettings {
    /// The endpoint's URL: all backends are this server.
    pub url: String,
    /// How a backend is chosen.
    pub policy: Policy,
    /// How backends are asked whether they are well, if they are.
    pub health_check: Option<HealthCheckSettings>,
    /// Makes the connections.
    pub clients: ClientMaker,
    /// The series of the endpoint's backends.
    pub metrics: BackendsMetrics,
}

/// The backends of an endpoint.
pub struct Balancer {
    core: Arc<Core>,
    check_interval: Option<Duration>,
    /// Follow the targets and ask for their health; end with the balancer.
    tasks: Mutex<JoinSet<()>>,
}

struct Core {
    selection: Selection,
    membership: Arc<Membership>,
}

/// A backend that was chosen. The request is in flight until this is dropped.
pub(super) struct Pick(Arc<Backend>);

impl std::fmt::Debug for Balancer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Balancer").field("backends", &self.backends()).finish_non_exhaustive()
    }
}

impl Balancer {
    /// A balancer that has no targets yet. Backends at the addresses of `previous` are taken over with their
    /// connections, which have to be made with the same options, to the same server.
    ///
    /// # Errors
    /// A URL that is no endpoint's, a path that is no path.
    pub fn new(settings: BalancerSettings, previous: Option<&Self>) -> Result<Self, UrlError> {
        let BalancerSettings { url, policy, health_check, clients, metrics } = settings;
        let base = Base::parse(&url)?;
        let check_interval = health_check.as_ref().map(|settings| settings.interval);
        let check = health_check.map(|settings| settings.check(&base)).transpose()?;
        let known = previous.map(|previous| previous.core.membership.known()).unwrap_or_default();
        let membership = Arc::new(Membership::new(base, clients, metrics, known));
        let mut members = Members::new(membership.discovery());
        if let Some(check) = check {
            members.set_health_check(Box::new(check));
        }
        let core = Arc::new(Core { selection: Selection::new(policy, members), membership });
        Ok(Self { core, check_interval, tasks: Mutex::default() })
    }

    /// Chooses among these from now on. Those that are there already keep their connections and their health. Runs on
    /// the runtime.
    pub fn balance_over(&self, targets: BTreeSet<Target>) {
        self.core.membership.aim_at(targets);
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if tasks.is_empty() {
            self.core.membership.take_over();
            tasks.spawn(self.core.clone().follow());
            if let Some(interval) = self.check_interval {
                tasks.spawn(self.core.clone().check(interval));
            }
        }
    }

    /// Chooses a backend that is none of those to be avoided; `None` where there is none. Waits until it is known for
    /// the first time which there are.
    pub(super) async fn pick(&self, hash_key: u64, avoided: &[SocketAddr]) -> Option<Pick> {
        let Core { selection, membership } = &*self.core;
        membership.found().await;
        Pick::of(&selection.choose(hash_key, avoided)?)
    }

    /// How each of them is.
    pub fn backends(&self) -> Vec<BackendInfo> {
        let members = self.core.selection.members().get_backend();
        members.iter().filter_map(Backend::of).map(|backend| backend.info()).collect()
    }

    /// The targets whose names led nowhere when they were looked up last.
    pub fn unresolved(&self) -> Vec<Unresolved> {
        self.core.membership.unresolved()
    }
}

impl Core {
    /// Looks for backends, again and again.
    async fn follow(self: Arc<Self>) {
        // The first targets are there: that is told already.
        let mut again = Duration::MAX;
        loop {
            tokio::select! {
                () = self.membership.is_aimed_anew() => {}
                () = sleep(again) => {}
            }
            // Names may take their time: those that are known already are asked meanwhile.
            if self.membership.find_known() {
                self.publish().await;
            }
            again = self.membership.find().await;
            self.publish().await;
        }
    }

    async fn publish(&self) {
        // The discovery hands out what is found already, which cannot fail.
        if let Err(error) = self.selection.update().await {
            tracing::error!(err = %error, "the backends of an endpoint stay as they were");
        }
        self.membership.published();
    }

    /// Asks the backends how they are, again and again, and new ones at once.
    async fn check(self: Arc<Self>, interval: Duration) {
        loop {
            self.selection.members().run_health_check(true).await;
            tokio::select! {
                () = self.membership.has_changed() => {}
                () = sleep(interval) => {}
            }
        }
    }
}

impl Pick {
    fn of(member: &Member) -> Option<Self> {
        let backend = Backend::of(member)?.clone();
        backend.metrics.requests.inc();
        backend.metrics.in_flight.inc();
        Some(Self(backend))
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.0.address
    }

    pub(super) fn client(&self) -> &Client {
        &self.0.client
    }

    /// The request was answered, or not.
    pub(super) fn settle(&self, result: Result<(), &Failure>) {
        self.0.settle(result);
    }
}

impl Drop for Pick {
    fn drop(&mut self) {
        self.0.metrics.in_flight.dec();
    }
}
