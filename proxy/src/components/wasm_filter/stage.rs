//! What a filter does with a batch.

use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use profiler_core::labels::Labels;
use profiler_core::pprof::edit::Edited;

use super::arguments::{OnError, OnUnsupported};
use crate::components::pprofs::{BodyError, EditedBody, EditedPprof, PprofEditor, edit_pprofs};
use crate::components::sift::{Fate, Judge, sift};
use crate::filters::{AnswerError, Filter, FilterError, JudgedProfile, UNSUPPORTED, Verdict};
use crate::pipeline::{Batch, Fanout, Outcome, Profile, PushError, Stage};
use crate::telemetry::LogLimit;
use crate::telemetry::metrics::{ComponentLabels, FanoutMetrics};

/// The reason for which profiles are dropped that the filter left nothing of.
static NO_SAMPLES: LazyLock<Arc<str>> = LazyLock::new(|| "no samples".into());
/// The reason for which profiles are dropped that the filter gave no verdict on.
static FILTER_ERROR: LazyLock<Arc<str>> = LazyLock::new(|| "filter_error".into());

pub(super) struct FilterStage {
    pub filter: Arc<Filter>,
    pub on_error: OnError,
    pub on_unsupported: OnUnsupported,
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
            Ok(judged) => self.decided(judged.verdict, profile),
            Err(FilterError::NeedsProfile) => self.look_into(profile).await,
            Err(error) => self.without_verdict(&profile.labels, &error),
        }
    }
}

impl FilterStage {
    async fn look_into(&self, profile: &mut Profile) -> Fate {
        let looking = Looking { filter: &self.filter, labels: &profile.labels, verdict: Mutex::default() };
        let edited = edit_pprofs(&profile.body, &looking).await;
        let verdict = looking.verdict.into_inner().unwrap_or_else(PoisonError::into_inner);
        match edited {
            Ok(EditedBody::Unchanged) => {}
            Ok(EditedBody::Changed(body)) => profile.body = body,
            Ok(EditedBody::Empty(dropped)) => return self.dropped(dropped.as_ref().unwrap_or(&NO_SAMPLES)),
            Err(BodyError::Unsupported(why)) => {
                self.filter.metrics().error(UNSUPPORTED);
                return self.unsupported(&profile.labels, &why);
            }
            Err(BodyError::Editor(FilterError::Unreadable(why))) => return self.unsupported(&profile.labels, &why),
            Err(BodyError::Editor(error)) => return self.without_verdict(&profile.labels, &error),
        }
        self.decided(verdict.unwrap_or(Verdict::Unchanged), profile)
    }

    fn decided(&self, verdict: Verdict, profile: &mut Profile) -> Fate {
        match verdict {
            Verdict::Unchanged => {}
            Verdict::Replace(labels) => profile.labels = labels,
            Verdict::Drop(reason) => return self.dropped(&reason),
        }
        Fate::Passed
    }

    /// Of what a filter of profiles cannot look into.
    fn unsupported(&self, labels: &Labels, why: &dyn fmt::Display) -> Fate {
        if let Some(line) = self.failures.admit() {
            tracing::warn!(component_id = %self.component, series = %labels, err = %why, left_out = line.left_out, "the filter cannot look into the profile");
        }
        match self.on_unsupported {
            OnUnsupported::Pass => Fate::Passed,
            OnUnsupported::Fail => {
                let cause = format!(
                    "{}: the filter cannot look into the profile: {why}; on_unsupported = \"pass\" sends such on",
                    self.component
                );
                Fate::Failed(PushError::sender(cause))
            }
        }
    }

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

/// The profiles of one series, one after the other.
struct Looking<'a> {
    filter: &'a Filter,
    labels: &'a Labels,
    /// On those that are passed on, by now.
    verdict: Mutex<Option<Verdict>>,
}

impl PprofEditor for Looking<'_> {
    type Error = FilterError;

    async fn edit(&self, pprof: &Bytes) -> Result<EditedPprof, FilterError> {
        let JudgedProfile { verdict, profile } = self.filter.judge_profile(self.labels, pprof).await?;
        if let Verdict::Drop(reason) = verdict {
            return Ok(EditedPprof::Dropped(Some(reason)));
        }
        let mut before = self.verdict.lock().unwrap_or_else(PoisonError::into_inner);
        if before.as_ref().is_some_and(|before| *before != verdict) {
            return Err(self.filter.wrong_answer(AnswerError::Disagreement));
        }
        *before = Some(verdict);
        Ok(match profile {
            Edited::Unchanged => EditedPprof::Unchanged,
            Edited::Changed(bytes) => EditedPprof::Changed(bytes),
            Edited::Empty => EditedPprof::Dropped(None),
        })
    }
}
