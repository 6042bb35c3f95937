//! Sends the profiles of one collection, side by side, until the next one is due.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

use super::build::Built;
use super::plan::Plan;
use crate::components::own_profile::OwnProfile;
use crate::telemetry::LogLimit;
use crate::telemetry::metrics::{ComponentLabels, EbpfMetrics, FanoutMetrics};

/// Profiles that are on their way at once, as with the reference.
const AT_ONCE: usize = 32;

/// What sends, over all plans.
pub(super) struct Sender {
    component: ComponentLabels,
    metrics: EbpfMetrics,
    fanout: FanoutMetrics,
    permits: Arc<Semaphore>,
    /// What is on its way.
    sends: TaskTracker,
    failures: LogLimit,
}

impl Sender {
    pub(super) fn new(component: &ComponentLabels, metrics: EbpfMetrics, fanout: FanoutMetrics) -> Arc<Self> {
        Arc::new(Self {
            component: component.clone(),
            metrics,
            fanout,
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            sends: TaskTracker::new(),
            failures: LogLimit::default(),
        })
    }

    /// Begins to send. What has not begun within a collection interval is dropped; what has begun is finished.
    pub(super) fn send(self: &Arc<Self>, plan: &Arc<Plan>, profiles: Vec<Built>) {
        if profiles.is_empty() {
            return;
        }
        let (sender, of_plan) = (self.clone(), plan.clone());
        self.sends.spawn(async move {
            let deadline = Instant::now() + of_plan.collect_interval;
            let mut left = profiles.len() as u64;
            for profile in profiles {
                let permit = timeout_at(deadline, sender.permits.clone().acquire_owned()).await;
                let Ok(Ok(permit)) = permit else { break };
                left -= 1;
                let (pusher, plan) = (sender.clone(), of_plan.clone());
                sender.sends.spawn(async move {
                    pusher.push(&plan, profile).await;
                    drop(permit);
                });
            }
            if left > 0 {
                sender.metrics.dropped.add(left);
                tracing::warn!(component_id = %sender.component, count = left, "profiles dropped: not sent in time");
            }
        });
    }

    /// Returns when nothing is on its way any more; nothing more may be sent.
    pub(super) async fn finish(&self) {
        self.sends.close();
        self.sends.wait().await;
    }

    async fn push(&self, plan: &Plan, built: Built) {
        let Built { labels, bytes, memory, .. } = built;
        let profile = OwnProfile { labels: labels.clone(), pprof: bytes, memory };
        if let Err(error) = profile.push(&plan.forward_to, &self.fanout).await
            && let Some(line) = self.failures.admit()
        {
            tracing::error!(
                component_id = %self.component, %labels, err = %error, left_out = line.left_out,
                "a profile was not taken"
            );
        }
    }
}
