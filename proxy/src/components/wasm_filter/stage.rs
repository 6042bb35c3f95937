//! What a filter does with a batch.

use std::sync::{Arc, LazyLock};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use profiler_core::labels::Labels;

use super::arguments::OnError;
use crate::components::sift::{Fate, Judge, sift};
use crate::filters::{Filter, FilterError, Judged, Verdict};
use crate::pipeline::{Batch, Fanout, Outcome, Profile, PushError, Stage};
use crate::telemetry::LogLimit;
use crate::telemetry::metrics::{ComponentLabels, FanoutMetrics};

/// The reason for which profiles are dropped that the filter gave no verdict on.
static FILTER_ERROR: LazyLock<Arc<str>> = LazyLock::new(|| "filter_error".into());

pub(super) struct FilterStage {
    pub filter: Arc<Filter>,
    pub on_error: OnError,
    pub forward_to: Fanout,
    pub component: ComponentLabels,
    pub fanout: FanoutMetrics,
    /// Of lines about profiles without a verdict.
    pub failures: LogLimit,
}

impl Stage for FilterStage {
    fn push(&self, batch: Batch) -> BoxFuture<'_, Outcome> {
        sift(batch, self, &self.forward_to, &self.fanout).boxed()
    }
}

impl Judge for FilterStage {
    const NAME: &'static str = "wasm.filter";
    const FAILED: &'static str = "the filter gave no verdict";

    fn component(&self) -> &ComponentLabels {
        &self.component
    }

    async fn fate(&self, profile: &mut Profile) -> Fate {
        match self.filter.judge(&profile.labels).await {
            Ok(Judged { verdict: Verdict::Unchanged, .. }) => {}
            Ok(Judged { verdict: Verdict::Replace(labels), .. }) => profile.labels = labels,
            Ok(Judged { verdict: Verdict::Drop(reason), .. }) => return self.dropped(&reason),
            Err(error) => return self.without_verdict(&profile.labels, &error),
        }
        Fate::Passed
    }
}

impl FilterStage {
    fn without_verdict(&self, labels: &Labels, error: &FilterError) -> Fate {
        if let Some(line) = self.failures.admit() {
            tracing::error!(component_id = %self.component, series = %labels, err = %error, left_out = line.left_out, "the filter gave no verdict");
        }
        match self.on_error {
            OnError::Pass => Fate::Passed,
            OnError::Drop => self.dropped(&FILTER_ERROR),
            OnError::Fail => Fate::Failed(PushError::internal(format!("{}: {error}", self.component))),
        }
    }

    fn dropped(&self, reason: &Arc<str>) -> Fate {
        self.filter.metrics().dropped(reason);
        Fate::Dropped
    }
}
