//! What enrich does with a batch.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::components::sift::{Fate, Judge, sift};
use crate::filters::{Filter, Verdict};
use crate::pipeline::{Batch, DebugInfo, Fanout, Outcome, Profile, PushError, Stage};
use crate::telemetry::LogLimit;
use crate::telemetry::metrics::{ComponentLabels, Counter, FanoutMetrics};

pub(super) struct EnrichStage {
    pub filter: Arc<Filter>,
    pub forward_to: Fanout,
    pub component: ComponentLabels,
    pub fanout: FanoutMetrics,
    /// Since the component first started.
    pub counts: Arc<Counts>,
    /// Of lines about profiles that cannot be enriched.
    pub failures: LogLimit,
}

/// Profiles, by whether they named a target.
#[derive(Default)]
pub(super) struct Counts {
    pub matched: Counter,
    pub unmatched: Counter,
}

impl Stage for EnrichStage {
    fn push(&self, batch: Batch) -> BoxFuture<'_, Outcome> {
        sift(batch, self, &self.forward_to, &self.fanout).boxed()
    }

    fn debug_info(&self) -> Option<&dyn DebugInfo> {
        self.forward_to.debug_info()
    }
}

impl Judge for EnrichStage {
    const NAME: &'static str = "pyroscope.enrich";
    const FAILED: &'static str = "enriching failed";

    fn component(&self) -> &ComponentLabels {
        &self.component
    }

    async fn fate(&self, profile: &mut Profile) -> Fate {
        let judged = self.filter.judge(&profile.labels).await;
        match judged.map(|judged| judged.verdict) {
            Ok(Verdict::Unchanged) => {
                self.counts.unmatched.inc();
                Fate::Passed
            }
            Ok(Verdict::Replace(labels)) => {
                self.counts.matched.inc();
                profile.labels = labels;
                Fate::Passed
            }
            // It has no reason to: what it may delete is less than what it sets.
            Ok(Verdict::Drop(reason)) => {
                self.filter.metrics().dropped(&reason);
                Fate::Dropped(reason)
            }
            Err(error) => {
                if let Some(line) = self.failures.admit() {
                    tracing::error!(component_id = %self.component, series = %profile.labels, err = %error, left_out = line.left_out, "enriching failed");
                }
                Fate::Failed(PushError::internal(format!("enriching failed: {error}")))
            }
        }
    }
}
