//! `sample_rule`: the same rules, on the labels of samples.
//!
//! A profile is opened, each different set of text labels in it is judged once, and the profile is written again only
//! where something changed. What cannot be opened goes on as it is, and is counted. Of a JFR it is mostly the labels
//! beside it that change; where samples go, or some get labels that had none, it becomes the profiles of which it is made.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use profiler_core::labels::Labels;
use profiler_core::pprof::edit::Edited;

use crate::components::edit_body::{BodyEditor, EditedBody, NO_SAMPLES, Unopened, edit_body, no_memory};
use crate::components::recording::{self, Left};
use crate::components::sift::Fate;
use crate::filters::{Filter, FilterHost, Verdict};
use crate::pipeline::{Profile, PushError, Share};
use crate::telemetry::LogLimit;
use crate::telemetry::metrics::{ComponentLabels, SampleRulesMetrics, SkippedKind};

mod jfr;
mod pprof;

/// The most bytes of a profile after decompression: what `pyroscope.receive_http` takes at most unless told otherwise.
const MAX_BYTES: usize = 64 << 20;
/// Decompressed messages up to this size are worked on where they are: it takes one or two milliseconds, and another
/// thread would only come later. Larger ones would keep other connections waiting.
const QUICK_BYTES: usize = 128 << 10;
/// What the filter answers where no label is left. It drops a series for it; a sample is kept without labels.
const EMPTIED: &str = "empty label set";
/// Stands for a sample without labels. The filter leaves an empty set to itself, and takes a label without a value as
/// missing: so that the rules see no label, and are asked.
const UNLABELLED: (&str, &str) = ("__unlabelled__", "");

/// The rules for samples, at work.
pub(super) struct SampleRules {
    pub filter: Arc<Filter>,
    pub host: FilterHost,
    pub component: ComponentLabels,
    pub metrics: SampleRulesMetrics,
    /// Which kinds of bodies were spoken of already.
    pub told: [AtomicBool; SkippedKind::ALL.len()],
    /// Of lines about label sets that the filter gave no verdict on.
    pub failures: LogLimit,
}

/// The rules on one body, with its memory.
pub(super) struct Ruling<'a> {
    pub rules: &'a SampleRules,
    pub memory: &'a Share,
    /// Whether samples are to be dropped that only a context beside a JFR was seen of.
    pub drops_contexts: AtomicBool,
}

/// What the rules make of a label set.
enum SampleVerdict {
    Unchanged,
    Drop,
    Replace(Labels),
}

impl BodyEditor for Ruling<'_> {
    type Error = PushError;

    async fn pprof(&self, pprof: &Bytes) -> Result<Edited, PushError> {
        self.rules.edit(pprof, self.memory).await
    }

    async fn jfr_labels(&self, labels: &Bytes) -> Result<Edited, PushError> {
        let (edited, drops_contexts) = self.rules.edit_jfr_labels(labels, self.memory).await?;
        self.drops_contexts.store(drops_contexts, Ordering::Relaxed);
        Ok(edited)
    }

    fn unopened(&self, why: Unopened, detail: &dyn fmt::Display) -> Result<(), PushError> {
        let kind = match why {
            Unopened::Format => SkippedKind::Format,
            Unopened::Damaged => SkippedKind::Damaged,
        };
        self.rules.count_skipped(kind, detail);
        Ok(())
    }
}

impl SampleRules {
    /// What becomes of a profile. It fails where the filter does or memory runs out; what cannot be opened is no failure.
    pub(super) async fn apply(&self, profile: &mut Profile) -> Fate {
        match self.fate(profile).await {
            Ok(fate) => fate,
            Err(error) => Fate::Failed(error),
        }
    }

    async fn fate(&self, profile: &mut Profile) -> Result<Fate, PushError> {
        let (edited, drops_contexts) = self.edit_whole(profile).await?;
        if recording::is_one(&profile.body) && (drops_contexts || self.changes_unlabelled().await?) {
            match recording::open(profile, &self.host).await {
                Ok(series) => return self.apply_to_each(series).await,
                Err(recording::Unopened::Busy(error)) => return Err(error),
                Err(unreadable) => self.count_skipped(SkippedKind::Context, &unreadable),
            }
        }
        Ok(fate_of(edited, profile))
    }

    /// As they are with samples of a recording, of which the labels alone were seen: the others have none.
    async fn changes_unlabelled(&self) -> Result<bool, PushError> {
        let Ok(unlabelled) = first_of_each(Vec::new()) else { return Ok(false) };
        let verdicts = self.judge(&[unlabelled]).await?;
        Ok(verdicts.iter().any(|verdict| !matches!(verdict, SampleVerdict::Unchanged)))
    }

    async fn apply_to_each(&self, series: Vec<Profile>) -> Result<Fate, PushError> {
        let mut left = Left::default();
        for before in series {
            let mut after = before.clone();
            let (edited, _) = self.edit_whole(&after).await?;
            let fate = fate_of(edited, &mut after);
            left.add(&before, after, fate)?;
        }
        Ok(left.fate())
    }

    /// What becomes of a profile's body, and whether contexts are to be dropped that cannot be dropped there.
    async fn edit_whole(&self, profile: &Profile) -> Result<(EditedBody, bool), PushError> {
        let memory = &profile.origin.memory;
        let ruling = Ruling { rules: self, memory, drops_contexts: AtomicBool::new(false) };
        let edited = edit_body(&profile.body, memory, &ruling).await?;
        Ok((edited, ruling.drops_contexts.into_inner()))
    }

    /// One verdict for each label set.
    async fn judge(&self, sets: &[Labels]) -> Result<Vec<SampleVerdict>, PushError> {
        let mut verdicts = Vec::with_capacity(sets.len());
        for labels in sets {
            // A profile may have a set for each of its samples: others have their turn in between.
            tokio::task::coop::consume_budget().await;
            verdicts.push(match self.filter.judge(labels).await {
                Ok(judged) => match judged.verdict {
                    Verdict::Unchanged => SampleVerdict::Unchanged,
                    Verdict::Replace(labels) => SampleVerdict::Replace(labels),
                    Verdict::Drop(reason) if &*reason == EMPTIED => match labels.value(UNLABELLED.0) {
                        Some("") => SampleVerdict::Unchanged,
                        _ => SampleVerdict::Replace(Labels::empty()),
                    },
                    Verdict::Drop(_) => SampleVerdict::Drop,
                },
                Err(error) => {
                    if let Some(line) = self.failures.admit() {
                        tracing::error!(component_id = %self.component, labels = %labels, err = %error, left_out = line.left_out, "relabelling samples failed");
                    }
                    return Err(PushError::internal(format!("relabelling samples failed: {error}")));
                }
            });
        }
        Ok(verdicts)
    }

    /// Counts what goes on without the rules, and says it where it is the first of its kind.
    fn count_skipped(&self, kind: SkippedKind, why: &dyn fmt::Display) {
        self.metrics.skipped(kind).inc();
        if self.told.get(kind as usize).is_some_and(|told| !told.swap(true, Ordering::Relaxed)) {
            tracing::warn!(component_id = %self.component, kind = kind.name(), err = %why, "sample rules cannot be applied, and what they are for goes on as it is; further ones of this kind are only counted");
        }
    }

    /// On this thread where it is quick, else on one that may take its time.
    async fn work<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PushError> {
        if bytes <= QUICK_BYTES {
            return Ok(work());
        }
        self.host
            .aside(work)
            .await
            .ok_or_else(|| PushError::busy("too many large profiles wait for their turn; send again later"))
    }
}

fn fate_of(edited: EditedBody, profile: &mut Profile) -> Fate {
    match edited {
        EditedBody::Unchanged => {}
        EditedBody::Changed(body) => profile.body = body,
        EditedBody::Empty => return Fate::Dropped(NO_SAMPLES.clone()),
    }
    Fate::Passed
}

/// The text labels of a sample as the rules have them: of several of one name the first.
fn first_of_each<'a>(mut labels: Vec<(&'a str, &'a str)>) -> Result<Labels, profiler_core::labels::LabelError> {
    labels.sort_by_key(|(name, _)| *name);
    labels.dedup_by_key(|(name, _)| *name);
    if labels.is_empty() {
        labels.push(UNLABELLED);
    }
    Labels::from_pairs(labels)
}

/// Labels that are other than before, or new.
fn written<'a>(before: &Labels, after: &'a Labels) -> impl Iterator<Item = (&'a str, &'a str)> {
    after.iter().filter(|(name, value)| before.value(name) != Some(*value))
}

/// Whether the labels of a name stay: further ones of the same name go with the first.
fn stays(name: &str, before: &Labels, after: &Labels) -> bool {
    let value = after.value(name);
    value.is_some() && value == before.value(name)
}

fn take(held: &mut Share, bytes: usize) -> Result<(), PushError> {
    if held.grow(bytes) { Ok(()) } else { Err(no_memory()) }
}
