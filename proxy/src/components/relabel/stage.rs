//! What relabel does with a batch.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use profiler_core::labels::Labels;

use super::samples::SampleRules;
use crate::components::sift::{Fate, Judge, sift};
use crate::filters::{Filter, FilterError, Verdict};
use crate::pipeline::{Batch, DebugInfo, Fanout, Outcome, Profile, PushError, Stage};
use crate::telemetry::LogLimit;
use crate::telemetry::metrics::{ComponentLabels, FanoutMetrics, RelabelMetrics};

pub(super) struct RelabelStage {
    pub filter: Arc<Filter>,
    /// None where no rule is for samples: profiles are not opened then.
    pub samples: Option<Arc<SampleRules>>,
    pub forward_to: Fanout,
    pub component: ComponentLabels,
    pub metrics: RelabelMetrics,
    pub fanout: FanoutMetrics,
    /// Of lines about profiles that cannot be relabelled.
    pub failures: LogLimit,
}

impl Stage for RelabelStage {
    fn push(&self, batch: Batch) -> BoxFuture<'_, Outcome> {
        sift(batch, self, &self.forward_to, &self.fanout).boxed()
    }

    fn debug_info(&self) -> Option<&dyn DebugInfo> {
        self.forward_to.debug_info()
    }
}

impl Judge for RelabelStage {
    const NAME: &'static str = "pyroscope.relabel";
    const FAILED: &'static str = "relabelling failed";

    fn component(&self) -> &ComponentLabels {
        &self.component
    }

    async fn fate(&self, profile: &mut Profile) -> Fate {
        self.metrics.processed.inc();
        match self.verdict(&profile.labels).await {
            Ok(Verdict::Drop(reason)) => {
                self.metrics.dropped.inc();
                self.filter.metrics().dropped(&reason);
                return Fate::Dropped(reason);
            }
            Ok(Verdict::Unchanged) => {}
            Ok(Verdict::Replace(labels)) => profile.labels = labels,
            Err(error) => {
                if let Some(line) = self.failures.admit() {
                    tracing::error!(component_id = %self.component, series = %profile.labels, err = %error, left_out = line.left_out, "relabelling failed");
                }
                return Fate::Failed(PushError::internal(format!("relabelling failed: {error}")));
            }
        }
        if let Some(samples) = &self.samples {
            let fate = samples.apply(profile).await;
            match fate {
                Fate::Passed | Fate::Became(_) => self.metrics.written.inc(),
                Fate::Dropped(_) => self.metrics.dropped.inc(),
                Fate::Failed(_) => {}
            }
            return fate;
        }
        self.metrics.written.inc();
        Fate::Passed
    }
}

impl RelabelStage {
    async fn verdict(&self, labels: &Labels) -> Result<Verdict, FilterError> {
        // The reference's rule: a series without labels is not for rules to judge.
        if labels.is_empty() {
            return Ok(Verdict::Unchanged);
        }
        let judged = self.filter.judge(labels).await;
        if judged.as_ref().is_ok_and(|judged| judged.from_cache) {
            self.metrics.cache_hits.inc();
        } else {
            self.metrics.cache_misses.inc();
            self.show_cache_size();
        }
        Ok(judged?.verdict)
    }

    pub(super) fn show_cache_size(&self) {
        let entries = self.filter.generation().cache_size().entries;
        self.metrics.cache_size.set(i64::try_from(entries).unwrap_or(i64::MAX));
    }
}
