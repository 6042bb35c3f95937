//! The samples of a pprof.

use std::collections::HashMap;

use bytes::Bytes;
use profiler_core::labels::{LabelError, Labels};
use profiler_core::pprof::edit::{ChangeError, Edited, Editing, FinishError, LabelValue, SampleLabel};
use profiler_core::pprof::{PprofError, decoded_len, is_gzip};
use rapidhash::fast::RandomState;

use super::{MAX_BYTES, SampleRules, SampleVerdict, first_of_each, stays, take, written};
use crate::components::edit_body::{NO_SAMPLES, no_memory};
use crate::ingest::{DecompressError, gunzip};
use crate::pipeline::{PushError, Share};
use crate::telemetry::metrics::SkippedKind;

/// A profile, and which of its samples have the same text labels.
struct Grouped {
    editing: Editing,
    sets: Vec<Labels>,
    /// For each sample the place of its set.
    set_of_sample: Vec<usize>,
}

/// Why a profile cannot be grouped.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error(transparent)]
    Profile(#[from] PprofError),
    #[error("the labels of a sample: {0}")]
    Labels(#[from] LabelError),
}

/// Why the changed profile cannot be had.
#[derive(Debug, thiserror::Error)]
enum Unwritable {
    #[error(transparent)]
    Change(#[from] ChangeError),
    #[error(transparent)]
    Finish(#[from] FinishError),
}

impl SampleRules {
    pub(super) async fn edit(&self, bytes: &Bytes, memory: &Share) -> Result<Edited, PushError> {
        let mut held = memory.another();
        let Some(message) = self.decompressed(bytes, &mut held).await? else { return Ok(Edited::Unchanged) };
        let length = message.len();
        // As much again for spare capacity and for what is made of it.
        let decoded = decoded_len(&message).saturating_mul(2);
        let whole = decoded.saturating_add(memory.bytes()).saturating_add(held.bytes());
        if whole > memory.limit() {
            self.count_skipped(SkippedKind::TooLarge, &"opened it would take more than all of max_inflight_bytes");
            return Ok(Edited::Unchanged);
        }
        take(&mut held, decoded)?;
        let gzipped = is_gzip(bytes);
        let grouped = self.work(length, move || Grouped::of(Editing::of_message(message, gzipped, MAX_BYTES)?)).await?;
        let grouped = match grouped {
            Ok(grouped) => grouped,
            Err(error) => {
                let kind = match error {
                    Unreadable::Profile(PprofError::TooLarge(_) | PprofError::TooManyEntries(_)) => {
                        SkippedKind::TooLarge
                    }
                    Unreadable::Profile(_) | Unreadable::Labels(_) => SkippedKind::Damaged,
                };
                self.count_skipped(kind, &error);
                return Ok(Edited::Unchanged);
            }
        };

        let verdicts = self.judge(&grouped.sets).await?;
        if verdicts.iter().all(|verdict| matches!(verdict, SampleVerdict::Unchanged)) {
            return Ok(Edited::Unchanged);
        }
        let (edited, dropped) =
            self.work(length, move || grouped.edited(&verdicts)).await?.map_err(|error| match error {
                Unwritable::Change(error) => {
                    PushError::sender(format!("the labels that the sample rules write: {error}"))
                }
                Unwritable::Finish(error) => PushError::internal(error.to_string()),
            })?;
        self.metrics.samples_dropped.add(dropped as u64);
        if edited == Edited::Empty {
            self.filter.metrics().dropped(&NO_SAMPLES);
        }
        Ok(edited)
    }

    /// Paid for as it comes out; none where the stream is damaged or too large.
    pub(super) async fn decompressed(&self, bytes: &Bytes, held: &mut Share) -> Result<Option<Bytes>, PushError> {
        if !is_gzip(bytes) {
            return Ok(Some(bytes.clone()));
        }
        match gunzip(bytes, MAX_BYTES, held).await {
            Ok(message) => Ok(Some(message)),
            Err(DecompressError::Busy) => Err(no_memory()),
            Err(error) => {
                let kind = match &error {
                    DecompressError::TooLarge(_) => SkippedKind::TooLarge,
                    DecompressError::Damaged(..) | DecompressError::Busy => SkippedKind::Damaged,
                };
                self.count_skipped(kind, &error);
                Ok(None)
            }
        }
    }
}

impl Grouped {
    fn of(editing: Editing) -> Result<Self, Unreadable> {
        let profile = editing.original().profile();
        let mut places: HashMap<Vec<(i64, i64)>, usize, RandomState> = HashMap::default();
        let mut sets = Vec::new();
        let mut set_of_sample = Vec::with_capacity(profile.sample.len());
        let mut texts = Vec::new();
        for sample in &profile.sample {
            texts.clear();
            texts.extend(sample.label.iter().filter(|label| label.str != 0).map(|label| (label.key, label.str)));
            let place = match places.get(&texts) {
                Some(place) => *place,
                None => {
                    let text = |(key, text): &(i64, i64)| (profile.string(*key), profile.string(*text));
                    sets.push(first_of_each(texts.iter().map(text).collect())?);
                    places.insert(texts.clone(), sets.len() - 1);
                    sets.len() - 1
                }
            };
            set_of_sample.push(place);
        }
        Ok(Self { editing, sets, set_of_sample })
    }

    /// The profile under these verdicts, one for each set, and how many samples were dropped.
    fn edited(mut self, verdicts: &[SampleVerdict]) -> Result<(Edited, usize), Unwritable> {
        let (original, changes) = self.editing.parts();
        let mut dropped = 0;
        for (place, (sample, set)) in original.profile().sample.iter().zip(&self.set_of_sample).enumerate() {
            match (verdicts.get(*set), self.sets.get(*set)) {
                (Some(SampleVerdict::Drop), _) => {
                    dropped += 1;
                    changes.drop_samples([place])?;
                }
                (Some(SampleVerdict::Replace(after)), Some(before)) => {
                    let kept = original.labels(sample).filter(|label| match label.value {
                        LabelValue::Number(..) => true,
                        LabelValue::Text(_) => stays(label.key, before, after),
                    });
                    let new = written(before, after);
                    let new = new.map(|(key, value)| SampleLabel { key, value: LabelValue::Text(value) });
                    changes.set_sample_labels(place, kept.chain(new))?;
                }
                _ => {}
            }
        }
        Ok((self.editing.finish()?, dropped))
    }
}
