//! What runs, over all changes of the arguments: one timer for all loops.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy_syntax::Value;
use arc_swap::ArcSwapOption;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use self::worker::Worker;
use super::debug;
use super::delta::Deltas;
use super::fetch::ScrapeError;
use super::plan::Plan;
use super::scrape_loop::ScrapeLoop;
use super::target::Target;
use crate::cluster::Cluster;
use crate::component::Health;
use crate::pipeline::Budget;
use crate::telemetry::LogLimit;
use crate::telemetry::metrics::{ComponentLabels, FanoutMetrics, ScrapeMetrics, ScrapeResult};

mod worker;

/// What was begun has as long to be finished when the component ends.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// One session. It scrapes from the first plan until the last one is left.
pub(super) struct Session {
    component: ComponentLabels,
    pub(super) metrics: ScrapeMetrics,
    pub(super) fanout: FanoutMetrics,
    pub(super) budget: Budget,
    cluster: Arc<Cluster>,
    pub(super) deltas: Arc<Deltas>,
    failures: LogLimit,
    /// Stays when there is nothing more to begin, for what is under way.
    current: ArcSwapOption<Plan>,
    /// None: there is nothing more to begin.
    plans: watch::Sender<Option<Arc<Plan>>>,
    /// Scrapes under way.
    scrapes: TaskTracker,
    standing: Mutex<Standing>,
}

/// How it is, for whoever asks.
struct Standing {
    is_running: bool,
    health: Health,
    loops: Vec<Arc<ScrapeLoop>>,
}

impl Session {
    pub(super) fn new(
        component: &ComponentLabels,
        metrics: ScrapeMetrics,
        fanout: FanoutMetrics,
        cluster: Arc<Cluster>,
    ) -> Arc<Self> {
        Arc::new(Self {
            component: component.clone(),
            deltas: Deltas::new(metrics.clone()),
            metrics,
            fanout,
            budget: Budget::new(0),
            cluster,
            failures: LogLimit::default(),
            current: ArcSwapOption::empty(),
            plans: watch::Sender::new(None),
            scrapes: TaskTracker::new(),
            standing: Mutex::new(Standing {
                is_running: false,
                health: Health::healthy("has not begun yet"),
                loops: Vec::new(),
            }),
        })
    }

    pub(super) fn health(&self) -> Health {
        self.standing().health.clone()
    }

    pub(super) fn debug_info(&self) -> Value {
        debug::info(&self.loops())
    }

    pub(super) fn loops(&self) -> Vec<Arc<ScrapeLoop>> {
        self.standing().loops.clone()
    }

    /// The plan that holds for what is sent.
    pub(super) fn current(&self) -> Option<Arc<Plan>> {
        self.current.load_full()
    }

    /// Does what the plan says from now on. Runs on the runtime.
    pub(super) fn follow(self: &Arc<Self>, plan: Arc<Plan>) {
        self.budget.resize(plan.max_inflight_bytes);
        self.deltas.limit(plan.max_delta_bytes, plan.settings.max_body_size);
        self.current.store(Some(plan.clone()));
        self.plans.send_replace(Some(plan));
        if !std::mem::replace(&mut self.standing().is_running, true) {
            tokio::spawn(Worker::new(self.clone()).run());
        }
    }

    /// Does no more of what the plan says. Where another plan took its place, returns when what was on its way to the
    /// plan's receivers is there; where none did, when what was begun is finished.
    pub(super) async fn leave(&self, plan: &Arc<Plan>) {
        let take = |current: &mut Option<Arc<Plan>>| current.take_if(|current| Arc::ptr_eq(current, plan)).is_some();
        let finished = if self.plans.send_if_modified(take) { &self.scrapes } else { &plan.pushes };
        finished.close();
        if timeout(LAST_WORDS, finished.wait()).await.is_err() {
            let left = finished.len();
            tracing::warn!(component_id = %self.component, left, "scrapes were not finished in time");
        }
    }

    /// Says in the log what went wrong.
    pub(super) fn tell(&self, target: &Target, error: &ScrapeError) {
        let Some(line) = self.failures.admit() else { return };
        let (component_id, url, left_out) = (&self.component, &target.url, line.left_out);
        if error.result() == ScrapeResult::Absent {
            let kind = target.type_name();
            tracing::warn!(
                %component_id, %url, kind, err = %error, left_out,
                "the target has no such profile, and is asked again every ten minutes; a kind can be disabled"
            );
        } else {
            tracing::error!(%component_id, %url, err = %error, left_out, "scrape failed");
        }
    }

    /// Says in the log that memory is short.
    pub(super) fn tell_let_go(&self, target: &Target) {
        let Some(line) = self.failures.admit() else { return };
        let (component_id, url) = (&self.component, &target.url);
        let remark = "there was no memory left for the profile before, and no difference to it can be made: raise max_delta_bytes";
        tracing::warn!(%component_id, %url, left_out = line.left_out, "{remark}");
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
