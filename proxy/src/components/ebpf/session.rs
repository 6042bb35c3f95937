//! One session of sampling, from the first plan to the last: it outlives changes of the arguments.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy_syntax::Value;
use tokio::sync::watch;
use tokio::time::{sleep_until, timeout};

use self::worker::Worker;
use super::plan::Plan;
use super::selection::Selector;
use super::send::Sender;
use crate::component::Health;
use crate::pipeline::Budget;
use crate::telemetry::metrics::{ComponentLabels, EbpfMetrics, FanoutMetrics};

mod debug;
mod worker;

/// Attempts to begin, as with the reference.
const ATTEMPTS: u32 = 3;
/// Bytes of profiles that wait for their backends, as many as a listener holds by default.
const MAX_PROFILE_BYTES: usize = 256 << 20;
/// The last profiles have as long to arrive.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// One session. It samples from the first plan that wants it until the last plan is left.
pub(super) struct Session {
    component: ComponentLabels,
    metrics: EbpfMetrics,
    selector: Arc<Selector>,
    sender: Arc<Sender>,
    budget: Budget,
    next_plan: AtomicU64,
    /// None: there is nothing more to do.
    plans: watch::Sender<Option<Arc<Plan>>>,
    /// All that was sampled under plans of lower ids is on its way.
    left: watch::Sender<u64>,
    standing: Mutex<Standing>,
}

/// How it is, for whoever asks.
struct Standing {
    health: Health,
    is_running: bool,
    seen: debug::Seen,
}

impl Session {
    pub(super) fn new(component: &ComponentLabels, metrics: EbpfMetrics, fanout: FanoutMetrics) -> Arc<Self> {
        Arc::new(Self {
            component: component.clone(),
            selector: Arc::new(Selector::new()),
            sender: Sender::new(component, metrics.clone(), fanout),
            metrics,
            budget: Budget::new(MAX_PROFILE_BYTES),
            next_plan: AtomicU64::new(1),
            plans: watch::Sender::new(None),
            left: watch::Sender::new(0),
            standing: Mutex::new(Standing {
                health: Health::healthy("has not begun yet"),
                is_running: false,
                seen: debug::Seen::default(),
            }),
        })
    }

    /// The id of a plan that is made next.
    pub(super) fn next_plan(&self) -> u64 {
        self.next_plan.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn health(&self) -> Health {
        self.standing().health.clone()
    }

    pub(super) fn debug_info(&self, plan: &Plan) -> Value {
        self.standing().seen.show(plan)
    }

    /// Does what the plan says from now on. Runs on the runtime.
    pub(super) fn follow(self: &Arc<Self>, plan: Arc<Plan>) {
        self.metrics.active_targets.set(i64::try_from(plan.selection.len()).unwrap_or(i64::MAX));
        let mut standing = self.standing();
        let begins = !std::mem::replace(&mut standing.is_running, true);
        drop(standing);
        self.plans.send_replace(Some(plan.clone()));
        if begins {
            let session = self.clone();
            tokio::spawn(async move { session.run(plan).await });
        }
    }

    /// Does no more of what the plan says. Where another plan took its place, returns when what was sampled under it is
    /// on its way; where none did, when all of it is sent.
    pub(super) async fn leave(&self, plan: &Plan) {
        let take = |current: &mut Option<Arc<Plan>>| current.take_if(|current| current.id == plan.id).is_some();
        let is_last = self.plans.send_if_modified(take);
        let sent = async {
            let mut left = self.left.subscribe();
            // The sender lives as long as the session.
            let _ = left.wait_for(|left| *left > plan.id).await;
            if is_last {
                self.sender.finish().await;
            }
        };
        if timeout(LAST_WORDS, sent).await.is_err() {
            tracing::warn!(component_id = %self.component, "the last profiles were not sent in time");
        }
    }

    async fn run(self: Arc<Self>, first: Arc<Plan>) {
        let mut plans = self.plans.subscribe();
        let mut worker = Worker::new(self.clone(), first);
        loop {
            tokio::select! {
                biased;
                changed = plans.changed() => {
                    let next = plans.borrow_and_update().clone();
                    let (Ok(()), Some(next)) = (changed, next) else { break };
                    worker.change(next).await;
                }
                () = sleep_until(worker.try_at()), if worker.wants_to_begin() => worker.begin().await,
                () = sleep_until(worker.collect_at()), if worker.is_sampling() => worker.collect().await,
            }
        }
        worker.end().await;
        self.standing().is_running = false;
        self.left.send_replace(u64::MAX);
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
