//! What a tap was told, as JSON: one object a line.

use std::collections::BTreeMap;

use profiler_core::labels::Labels;
use serde::{Deserialize, Serialize};

use super::{End, Opening, Passed};

/// A line of the stream; an empty one says that the stream goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// A profile passed.
    Row(Box<Row>),
    /// Others did, and their rows made room before they were read.
    Missed {
        /// How many since the line before.
        missed: u64,
    },
}

/// A profile that passed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// When it came to the component (RFC 3339).
    pub time: String,
    /// The component's path.
    pub component: String,
    /// Its labels when it came; none at a source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<BTreeMap<String, String>>,
    /// Its labels when it went on; none where it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<BTreeMap<String, String>>,
    /// What it is written in.
    pub format: String,
    /// The kinds of its values, where they are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sample_types: Vec<String>,
    /// Its bytes, as it came.
    pub bytes: usize,
    /// Profiles in it.
    pub profiles: usize,
    /// Until the outcome was known.
    pub seconds: f64,
    /// What became of it.
    pub outcome: Ended,
    /// Why, where it did not pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Endpoints, and components that keep profiles, that have it.
    #[serde(default)]
    pub taken: usize,
}

/// What became of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ended {
    /// All that it was handed to took it.
    Passed,
    /// The component dropped it, as it was told to.
    Dropped,
    /// It was not taken.
    Failed,
}

impl Ended {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Dropped => "dropped",
            Self::Failed => "failed",
        }
    }
}

impl Row {
    /// Of a profile. This may decode it.
    pub fn of(passed: &Passed, opening: &mut Opening) -> Self {
        let pairs = |labels: &Labels| labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let (reason, taken) = match &passed.end {
            End::Passed { taken } => (None, *taken),
            End::Dropped(reason) => (Some(reason.to_string()), 0),
            End::Failed(error) => (Some(error.cause.to_string()), 0),
        };
        Self {
            time: humantime::format_rfc3339_millis(passed.at).to_string(),
            component: passed.component.to_string(),
            before: passed.before.as_ref().map(pairs),
            after: passed.after.as_ref().map(pairs),
            format: passed.format.clone(),
            sample_types: passed.sample_types(opening).to_vec(),
            bytes: passed.bytes,
            profiles: passed.profiles,
            seconds: passed.took.as_secs_f64(),
            outcome: passed.end.name(),
            reason,
            taken,
        }
    }
}

impl End {
    /// In one word.
    pub fn name(&self) -> Ended {
        match self {
            Self::Passed { .. } => Ended::Passed,
            Self::Dropped(_) => Ended::Dropped,
            Self::Failed(_) => Ended::Failed,
        }
    }
}
