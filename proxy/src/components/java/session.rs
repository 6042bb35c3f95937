//! What runs, over all changes of the arguments: a loop for each JVM.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy_syntax::Value;
use arc_swap::ArcSwapOption;
use profiler_core::java::clean_leftovers;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use self::worker::Worker;
use super::debug;
use super::failure::Failure;
use super::plan::{Order, Plan};
use super::target_loop::{State, TargetLoop};
use crate::component::Health;
use crate::components::targets::PID;
use crate::pipeline::Budget;
use crate::telemetry::LogLimit;
use crate::telemetry::metrics::{ComponentLabels, FanoutMetrics, JavaMetrics};

mod worker;

/// JVMs that are spoken to at once. One that does not answer has its place for seconds.
const ATTACHING: usize = 16;
/// Recordings that are made into profiles at once: each takes memory for its names and stacks.
const CONVERTING: usize = 2;
/// Bytes of profiles that wait for their backends, as many as a listener holds by default.
const MAX_PROFILE_BYTES: usize = 256 << 20;
/// The last recordings have as long to end and to arrive.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// One session. It records from the first plan until the last one is left.
pub(super) struct Session {
    pub(super) component: ComponentLabels,
    pub(super) metrics: JavaMetrics,
    pub(super) fanout: FanoutMetrics,
    pub(super) budget: Budget,
    pub(super) failures: LogLimit,
    pub(super) attaching: Semaphore,
    pub(super) converting: Semaphore,
    /// Stays when there is nothing more to record, for what is still to be sent.
    current: ArcSwapOption<Plan>,
    /// By pid: those that record, and those that end.
    loops: Mutex<BTreeMap<u32, Arc<TargetLoop>>>,
    /// When somebody last looked.
    health: Mutex<Health>,
    /// Loops, and recordings that are made into profiles and sent.
    pub(super) tasks: TaskTracker,
}

impl Session {
    pub(super) fn new(component: &ComponentLabels, metrics: JavaMetrics, fanout: FanoutMetrics) -> Arc<Self> {
        Arc::new(Self {
            component: component.clone(),
            metrics,
            fanout,
            budget: Budget::new(MAX_PROFILE_BYTES),
            failures: LogLimit::default(),
            attaching: Semaphore::new(ATTACHING),
            converting: Semaphore::new(CONVERTING),
            current: ArcSwapOption::empty(),
            loops: Mutex::default(),
            health: Mutex::new(Health::healthy("has not begun yet")),
            tasks: TaskTracker::new(),
        })
    }

    pub(super) fn health(&self) -> Health {
        let mut failed = None;
        let mut recording = 0_usize;
        for of in self.loops().values() {
            let shown = of.shown();
            match (shown.state, &shown.last_error) {
                (State::Recording, _) => recording += 1,
                (State::Failed, Some((_, error))) => failed = failed.or(Some(format!("pid {}: {error}", of.pid))),
                _ => {}
            }
        }
        let now = match failed.filter(|_| recording == 0) {
            Some(example) => Health::unhealthy(format!("no JVM can be recorded; for example {example}")),
            None => Health::healthy(format!("JVMs that are recorded: {recording}")),
        };
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        if (health.state, &health.message) != (now.state, &now.message) {
            *health = now;
        }
        health.clone()
    }

    pub(super) fn debug_info(&self) -> Value {
        let loops: Vec<_> = self.loops().values().cloned().collect();
        debug::info(&loops)
    }

    /// The plan that holds for what is sent.
    pub(super) fn current(&self) -> Option<Arc<Plan>> {
        self.current.load_full()
    }

    /// Does what the plan says from now on. Runs on the runtime.
    pub(super) fn follow(self: &Arc<Self>, plan: &Arc<Plan>) {
        self.tell_of_targets(plan);
        if self.current.swap(Some(plan.clone())).is_none() {
            self.clean(plan);
        }
        let mut loops = self.loops();
        loops.iter().filter(|(pid, _)| !plan.orders.contains_key(pid)).for_each(|(_, of)| of.end());
        for (pid, order) in &plan.orders {
            if let Some(of) = loops.get(pid) {
                of.aim(order);
                continue;
            }
            let of = TargetLoop::new(*pid, order.clone());
            loops.insert(*pid, of.clone());
            self.tasks.spawn(Worker::new(self.clone(), of).run());
        }
        self.count(&loops);
    }

    /// Does no more of what the plan says. Where another plan took its place, returns when what was on its way to the
    /// plan's receivers is there; where none did, when all that was recorded is sent and nothing is left in any JVM.
    pub(super) async fn leave(&self, plan: &Arc<Plan>) {
        let is_last = self.current().is_some_and(|current| Arc::ptr_eq(&current, plan));
        if is_last {
            self.loops().values().for_each(|of| of.end());
        }
        let finished = if is_last { &self.tasks } else { &plan.pushes };
        finished.close();
        if timeout(LAST_WORDS, finished.wait()).await.is_err() {
            tracing::warn!(component_id = %self.component, left = finished.len(), "the last profiles were not sent in time");
        }
    }

    /// Removes what an earlier process has left behind.
    fn clean(&self, plan: &Plan) {
        let (component_id, tmp_dir) = (self.component.clone(), plan.settings.tmp_dir.clone());
        self.tasks.spawn_blocking(move || {
            let folders = clean_leftovers(&tmp_dir);
            if folders > 0 {
                tracing::info!(%component_id, folders, "removed what an earlier process has left in the files of JVMs");
            }
        });
    }

    /// Tells why something that was recorded is not sent, or only in part.
    pub(super) fn note(&self, of: &TargetLoop, order: &Order, failure: &Failure) {
        self.metrics.failed(failure.reason());
        of.shown().fail(failure);
        let (component_id, pid, series) = (&self.component, of.pid, &order.series);
        if failure.is_gone() {
            tracing::debug!(%component_id, pid, %series, err = %failure, "not all of a recording is sent");
        } else if let Some(line) = self.failures.admit() {
            tracing::error!(%component_id, pid, %series, err = %failure, left_out = line.left_out, "not all of a recording is sent");
        }
    }

    /// Lets go of a loop that ends, unless it was told something that it has not seen.
    fn retire(&self, of: &TargetLoop, seen: &watch::Receiver<Option<Arc<Order>>>) -> bool {
        let mut loops = self.loops();
        if seen.has_changed().unwrap_or(false) {
            return false;
        }
        loops.remove(&of.pid);
        self.count(&loops);
        true
    }

    /// Says in the log that there are targets which are no processes, where there were none before.
    fn tell_of_targets(&self, plan: &Plan) {
        let number = plan.without_pid.len();
        self.metrics.refused.set(i64::try_from(number).unwrap_or(i64::MAX));
        let Some(example) = plan.without_pid.first() else { return };
        if self.current().is_none_or(|before| before.without_pid.is_empty()) {
            let component_id = &self.component;
            tracing::error!(%component_id, number, %example, "targets are left out: {PID} is the pid of no process");
        }
    }

    fn count(&self, loops: &BTreeMap<u32, Arc<TargetLoop>>) {
        self.metrics.targets.set(i64::try_from(loops.len()).unwrap_or(i64::MAX));
    }

    fn loops(&self) -> MutexGuard<'_, BTreeMap<u32, Arc<TargetLoop>>> {
        self.loops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
