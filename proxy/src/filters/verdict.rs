//! What a filter decides, as its pipeline needs it.

use std::collections::BTreeSet;
use std::sync::Arc;

use profiler_core::labels::{LabelError, Labels};

use super::bindings::labels::flamegate::filter::types::{Label, Verdict as GuestVerdict};
use super::bindings::packed::exports::flamegate::filter::filter_labels_packed::PackedVerdict;
use super::world::Answer;
use crate::recent::{Recent, Weigh};

/// What becomes of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Passed on as it is.
    Unchanged,
    /// Passed on with these labels.
    Replace(Labels),
    /// Dropped, for this reason.
    Drop(Arc<str>),
}

/// Why an answer is no verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// A name twice, or more than a label set may hold.
    #[error(transparent)]
    Labels(#[from] LabelError),
    /// More labels than [`MAX_LABELS`].
    #[error("there are {0} labels, more than the {MAX_LABELS} allowed")]
    TooMany(usize),
    /// A label with an empty name.
    #[error("a label has no name; its value begins with {0:?}")]
    Nameless(String),
    /// On profiles of one series, which goes on as one.
    #[error("the profiles of one series come out with different labels")]
    Disagreement,
}

/// Most labels of an answer.
const MAX_LABELS: usize = 4096;
/// Longest reason of a drop, in bytes.
const REASON_BYTES: usize = 64;
/// The reason where a filter leaves no label.
const EMPTIED: &str = "no labels";

impl Verdict {
    /// What a filter answered on these labels.
    pub(super) fn of(answer: Answer, labels: &Labels) -> Result<Self, AnswerError> {
        let changed = match answer {
            Answer::Whole(GuestVerdict::Unchanged) | Answer::Packed(PackedVerdict::Unchanged) => {
                return Ok(Self::Unchanged);
            }
            Answer::Whole(GuestVerdict::Drop(reason)) | Answer::Packed(PackedVerdict::Drop(reason)) => {
                return Ok(Self::Drop(cut(&reason, REASON_BYTES).into()));
            }
            Answer::Packed(PackedVerdict::Replace(packed)) => {
                check_count(packed.ends.len() / 2)?;
                let changed = Labels::from_packed(packed.text, packed.ends)?;
                check_names(changed.iter())?;
                changed
            }
            Answer::Whole(GuestVerdict::Patch(patch)) => {
                check(&patch.set)?;
                let mut names = BTreeSet::new();
                if let Some(twice) = patch.set.iter().find(|label| !names.insert(label.name.as_str())) {
                    return Err(LabelError::DuplicateName(twice.name.clone()).into());
                }
                let mut changed = labels.to_builder();
                patch.remove.into_iter().for_each(|name| changed.remove(name));
                patch.set.into_iter().for_each(|label| changed.set(label.name, label.value));
                changed.build()?
            }
            Answer::Whole(GuestVerdict::Replace(replaced)) => {
                check(&replaced)?;
                let kept = replaced.into_iter().filter(|label| !label.value.is_empty());
                Labels::from_pairs(kept.map(|label| (label.name, label.value)))?
            }
        };
        // Decided: what has no label left is nobody's series.
        Ok(if changed.is_empty() { Self::Drop(EMPTIED.into()) } else { Self::Replace(changed) })
    }
}

/// The most recently used verdicts of one filter, which must be deterministic.
pub type VerdictCache = Recent<Labels, Verdict>;

impl Weigh for Verdict {
    fn weight(&self) -> usize {
        match self {
            Self::Unchanged => 0,
            Self::Replace(labels) => labels.byte_len(),
            Self::Drop(reason) => reason.len(),
        }
    }
}

/// At most so many bytes of a text.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()
}

fn check(labels: &[Label]) -> Result<(), AnswerError> {
    check_count(labels.len())?;
    check_names(labels.iter().map(|label| (label.name.as_str(), label.value.as_str())))
}

fn check_count(labels: usize) -> Result<(), AnswerError> {
    if labels > MAX_LABELS { Err(AnswerError::TooMany(labels)) } else { Ok(()) }
}

fn check_names<'a>(mut labels: impl Iterator<Item = (&'a str, &'a str)>) -> Result<(), AnswerError> {
    match labels.find(|(name, _)| name.is_empty()) {
        Some((_, value)) => Err(AnswerError::Nameless(cut(value, REASON_BYTES).to_owned())),
        None => Ok(()),
    }
}
