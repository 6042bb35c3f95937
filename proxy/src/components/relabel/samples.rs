//! `sample_rule`: the same rules, on the labels of samples.
//!
//! A profile is opened, each different set of text labels in it is judged once, and the profile is written again only
//! where something changed. What cannot be opened goes on as it is, and is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::StatusCode;
use profiler_core::labels::Labels;
use profiler_core::pprof::edit::Edited;

use crate::filters::{Filter, FilterHost, Verdict};
use crate::pipeline::{Body, Code, Fault, IngestBody, Profile, PushError, RawSample, Retry, Share};
use crate::telemetry::LogLimit;
use crate::telemetry::metrics::{ComponentLabels, SampleRulesMetrics, SkippedKind};
use crate::wire::ingest::Samples;
use crate::wire::multipart::Form;

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

/// What the rules make of a body.
pub(super) enum Ruled {
    /// It stays as it is.
    Unchanged,
    /// It becomes this one.
    Changed(Body),
    /// It has no samples left.
    Empty,
}

/// What the rules make of a label set.
enum SampleVerdict {
    Unchanged,
    Drop,
    Replace(Labels),
}

impl SampleRules {
    /// What becomes of a profile's body.
    ///
    /// # Errors
    /// The filter failed, or memory ran out; what cannot be opened is no error.
    pub(super) async fn apply(&self, profile: &Profile) -> Result<Ruled, PushError> {
        let memory = &profile.origin.memory;
        match &profile.body {
            Body::Pprof(samples) => self.apply_to_push(samples, memory).await,
            Body::Ingest(body) => self.apply_to_ingest(body, memory).await,
        }
    }

    async fn apply_to_push(&self, samples: &[RawSample], memory: &Share) -> Result<Ruled, PushError> {
        let (mut kept, mut changed) = (Vec::with_capacity(samples.len()), false);
        for sample in samples {
            match self.edit(&sample.profile, memory).await? {
                Edited::Unchanged => kept.push(sample.clone()),
                Edited::Changed(profile) => {
                    changed = true;
                    kept.push(RawSample { id: sample.id.clone(), profile });
                }
                Edited::Empty => changed = true,
            }
        }
        Ok(match (changed, kept.is_empty()) {
            (false, _) => Ruled::Unchanged,
            (true, true) => Ruled::Empty,
            (true, false) => Ruled::Changed(Body::Pprof(kept.into())),
        })
    }

    async fn apply_to_ingest(&self, body: &IngestBody, memory: &Share) -> Result<Ruled, PushError> {
        let content_type = body.content_types.first().map_or(&b""[..], |value| value.as_bytes());
        let bytes = match Samples::of(&body.query, content_type) {
            Samples::Pprof => match self.edit(&body.bytes, memory).await? {
                Edited::Unchanged => return Ok(Ruled::Unchanged),
                Edited::Empty => return Ok(Ruled::Empty),
                Edited::Changed(bytes) => bytes,
            },
            samples @ (Samples::PprofForm | Samples::JfrForm) => {
                // The parts are copied out of the body.
                let mut held = memory.another();
                take(&mut held, body.bytes.len())?;
                let mut form = match Form::read(content_type, &body.bytes).await {
                    Ok(form) => form,
                    Err(error) => return Ok(self.skip(SkippedKind::Damaged, &error)),
                };
                let mut changed = false;
                for part in form.parts_mut() {
                    let edited = match (samples, part.name()) {
                        (Samples::PprofForm, "profile" | "prev_profile") => self.edit(&part.bytes, memory).await?,
                        (Samples::JfrForm, "labels") => self.edit_jfr_labels(&part.bytes, memory).await?,
                        _ => Edited::Unchanged,
                    };
                    match edited {
                        Edited::Unchanged => {}
                        Edited::Empty => return Ok(Ruled::Empty),
                        Edited::Changed(bytes) => {
                            changed = true;
                            part.bytes = bytes;
                        }
                    }
                }
                if !changed {
                    return Ok(Ruled::Unchanged);
                }
                form.to_bytes().map_err(|error| PushError::sender(format!("the changed labels: {error}")))?
            }
            Samples::Jfr => return Ok(Ruled::Unchanged),
            Samples::Other => return Ok(self.skip(SkippedKind::Format, &"samples of this format cannot be read here")),
        };
        let (query, content_types) = (body.query.clone(), body.content_types.clone());
        Ok(Ruled::Changed(Body::Ingest(Arc::new(IngestBody { query, content_types, bytes }))))
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

    fn skip(&self, kind: SkippedKind, why: &dyn std::fmt::Display) -> Ruled {
        self.count_skipped(kind, why);
        Ruled::Unchanged
    }

    /// Counts what goes on without the rules, and says it where it is the first of its kind.
    fn count_skipped(&self, kind: SkippedKind, why: &dyn std::fmt::Display) {
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
        self.host.aside(work).await.ok_or_else(|| busy("too many large profiles wait for their turn"))
    }
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
    if held.grow(bytes) { Ok(()) } else { Err(busy("the bodies held now own all of max_inflight_bytes")) }
}

fn busy(cause: &str) -> PushError {
    PushError {
        fault: Fault::Us,
        retry: Retry::Later(None),
        status: StatusCode::SERVICE_UNAVAILABLE,
        code: Code::Unavailable,
        cause: format!("samples cannot be relabelled now: {cause}; send again later").into(),
    }
}
