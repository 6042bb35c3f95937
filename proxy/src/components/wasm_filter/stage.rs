//! What a filter does with a batch.

use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use profiler_core::labels::Labels;
use profiler_core::pprof::edit::Edited;

use super::arguments::{OnError, OnUnsupported};
use crate::components::edit_body::{BodyEditor, EditedBody, NO_SAMPLES, Unopened, edit_body};
use crate::components::recording::{self, Left};
use crate::components::sift::{Fate, Judge, sift};
use crate::filters::{AnswerError, Filter, FilterError, FilterHost, JudgedProfile, UNSUPPORTED, Verdict};
use crate::pipeline::{Batch, DebugInfo, Fanout, Outcome, Profile, PushError, Share, Stage};
use crate::telemetry::LogLimit;
use crate::telemetry::metrics::{ComponentLabels, FanoutMetrics};

/// The reason for which profiles are dropped that the filter gave no verdict on.
static FILTER_ERROR: LazyLock<Arc<str>> = LazyLock::new(|| "filter_error".into());

pub(super) struct FilterStage {
    pub filter: Arc<Filter>,
    pub host: FilterHost,
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

    fn debug_info(&self) -> Option<&dyn DebugInfo> {
        self.forward_to.debug_info()
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
            Err(FilterError::NeedsProfile) if recording::is_one(&profile.body) => {
                self.look_into_recording(profile).await
            }
            Err(FilterError::NeedsProfile) => self.look_into(profile).await,
            Err(error) => self.without_verdict(&profile.labels, &error),
        }
    }
}

impl FilterStage {
    /// The filter is asked of each series of it.
    async fn look_into_recording(&self, profile: &Profile) -> Fate {
        let series = match recording::open(profile, &self.host).await {
            Ok(series) => series,
            Err(recording::Unopened::Busy(error)) => return Fate::Failed(error),
            Err(unreadable) => {
                self.filter.metrics().error(UNSUPPORTED);
                let passed = self.unsupported(&profile.labels, &unreadable);
                return passed.map_or_else(Fate::Failed, |()| Fate::Passed);
            }
        };
        let mut left = Left::default();
        for before in series {
            let mut after = before.clone();
            let fate = self.look_into(&mut after).await;
            if let Err(error) = left.add(&before, after, fate) {
                return Fate::Failed(error);
            }
        }
        left.fate()
    }

    async fn look_into(&self, profile: &mut Profile) -> Fate {
        let memory = &profile.origin.memory;
        let looking = Looking { stage: self, labels: &profile.labels, memory, seen: Mutex::default() };
        let edited = edit_body(&profile.body, memory, &looking).await;
        let Seen { verdict, dropped_for } = looking.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        match edited {
            Ok(EditedBody::Unchanged) => {}
            Ok(EditedBody::Changed(body)) => profile.body = body,
            Ok(EditedBody::Empty) => return self.dropped(dropped_for.as_ref().unwrap_or(&NO_SAMPLES)),
            Err(Unjudged::Filter(error)) => return self.without_verdict(&profile.labels, &error),
            Err(Unjudged::Refused(error)) => return Fate::Failed(error),
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

    /// Of what a filter of profiles cannot look into: it goes on, or is refused.
    fn unsupported(&self, labels: &Labels, why: &dyn fmt::Display) -> Result<(), PushError> {
        if let Some(line) = self.failures.admit() {
            tracing::warn!(component_id = %self.component, series = %labels, err = %why, left_out = line.left_out, "the filter cannot look into the profile");
        }
        match self.on_unsupported {
            OnUnsupported::Pass => Ok(()),
            OnUnsupported::Fail => Err(PushError::sender(format!(
                "{}: the filter cannot look into the profile: {why}; on_unsupported = \"pass\" sends such on",
                self.component
            ))),
        }
    }

    fn without_verdict(&self, labels: &Labels, error: &FilterError) -> Fate {
        if let Some(line) = self.failures.admit() {
            tracing::error!(component_id = %self.component, series = %labels, err = %error, left_out = line.left_out, "the filter gave no verdict");
        }
        match self.on_error {
            OnError::Pass => Fate::Passed,
            OnError::Drop => self.dropped(&FILTER_ERROR),
            OnError::Fail => {
                let cause = format!("{}: {error}", self.component);
                let failed = if error.passes() { PushError::busy(cause) } else { PushError::internal(cause) };
                Fate::Failed(failed)
            }
        }
    }

    fn dropped(&self, reason: &Arc<str>) -> Fate {
        self.filter.metrics().dropped(reason);
        Fate::Dropped(reason.clone())
    }
}

/// The profiles of one series, one after the other.
struct Looking<'a> {
    stage: &'a FilterStage,
    labels: &'a Labels,
    memory: &'a Share,
    seen: Mutex<Seen>,
}

/// What the filter has said by now.
#[derive(Default)]
struct Seen {
    /// On the profiles that are passed on.
    verdict: Option<Verdict>,
    /// The last reason of the others.
    dropped_for: Option<Arc<str>>,
}

/// Why there is no verdict on a series.
enum Unjudged {
    Filter(FilterError),
    Refused(PushError),
}

impl From<PushError> for Unjudged {
    fn from(error: PushError) -> Self {
        Self::Refused(error)
    }
}

impl BodyEditor for Looking<'_> {
    type Error = Unjudged;

    async fn pprof(&self, pprof: &Bytes) -> Result<Edited, Unjudged> {
        let filter = &self.stage.filter;
        let judged = filter.judge_profile(self.labels, pprof, self.memory.another()).await;
        let JudgedProfile { verdict, profile } = match judged {
            Ok(judged) => judged,
            // Of this one alone: what stands beside it is looked into.
            Err(FilterError::Unreadable(why)) => {
                self.stage.unsupported(self.labels, &why)?;
                return Ok(Edited::Unchanged);
            }
            Err(error) => return Err(Unjudged::Filter(error)),
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Verdict::Drop(reason) = verdict {
            seen.dropped_for = Some(reason);
            return Ok(Edited::Empty);
        }
        if seen.verdict.as_ref().is_some_and(|before| *before != verdict) {
            return Err(Unjudged::Filter(filter.wrong_answer(AnswerError::Disagreement)));
        }
        seen.verdict = Some(verdict);
        Ok(profile)
    }

    fn unopened(&self, _: Unopened, detail: &dyn fmt::Display) -> Result<(), Unjudged> {
        self.stage.filter.metrics().error(UNSUPPORTED);
        Ok(self.stage.unsupported(self.labels, detail)?)
    }
}
