//! What a filter decides, as its pipeline needs it.

use std::collections::BTreeSet;
use std::sync::Arc;

use profiler_core::labels::{LabelError, Labels};

use super::bindings::exports::flamegate::filter::filter_labels::Verdict as GuestVerdict;
use super::bindings::flamegate::filter::types::Label;

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
}

/// Most labels of an answer.
const MAX_LABELS: usize = 4096;
/// Longest reason of a drop, in bytes.
const REASON_BYTES: usize = 64;
/// The reason where a filter leaves no label.
const EMPTIED: &str = "no labels";

impl Verdict {
    /// What a filter answered on these labels.
    pub(super) fn of(answer: GuestVerdict, labels: &Labels) -> Result<Self, AnswerError> {
        let changed = match answer {
            GuestVerdict::Unchanged => return Ok(Self::Unchanged),
            GuestVerdict::Drop(reason) => return Ok(Self::Drop(cut(&reason, REASON_BYTES).into())),
            GuestVerdict::Patch(patch) => {
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
            GuestVerdict::Replace(replaced) => {
                check(&replaced)?;
                let kept = replaced.into_iter().filter(|label| !label.value.is_empty());
                Labels::from_pairs(kept.map(|label| (label.name, label.value)))?
            }
        };
        // Decided: what has no label left is nobody's series.
        Ok(if changed.is_empty() { Self::Drop(EMPTIED.into()) } else { Self::Replace(changed) })
    }

    /// Bytes of text that keeping it holds.
    pub(super) fn byte_len(&self) -> usize {
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
    if labels.len() > MAX_LABELS {
        return Err(AnswerError::TooMany(labels.len()));
    }
    match labels.iter().find(|label| label.name.is_empty()) {
        Some(nameless) => Err(AnswerError::Nameless(cut(&nameless.value, REASON_BYTES).to_owned())),
        None => Ok(()),
    }
}
