//! Why a filter gave no verdict.

use std::sync::Arc;
use std::time::Duration;

use super::verdict::AnswerError;

/// Why a filter cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigureError {
    /// It failed before it could be asked.
    #[error("the filter failed when it was configured: {0}")]
    Filter(#[from] FilterError),
    /// It imports what it was not granted.
    #[error("it uses the {0}: grant it with capabilities = [{0:?}], or take a filter that does without")]
    Ungranted(&'static str),
    /// It refuses its configuration.
    #[error("{0}")]
    Refused(String),
}

/// Why a call of a filter gave no verdict.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FilterError {
    /// No instance could be made.
    #[error("no instance of the filter can be made: {0}")]
    Instantiate(String),
    /// It took too long.
    #[error("the filter took longer than its {0:?} and was interrupted")]
    Timeout(Duration),
    /// It asked for more memory than it may have, and could not go on.
    #[error("the filter needs more than its memory_limit of {limit} bytes: {trap}")]
    Memory {
        /// The limit.
        limit: usize,
        /// How it ended.
        trap: String,
    },
    /// It did something that it may not: out of its memory, a panic.
    #[error("the filter trapped: {0}")]
    Trap(String),
    /// It answered something that is no verdict.
    #[error("the filter answered labels that are none: {0}")]
    Answer(#[from] AnswerError),
    /// It is of the world `profile-filter`, and was handed labels alone. Not counted: who asks has the profiles.
    #[error("the filter looks into profiles, and was handed labels alone")]
    NeedsProfile,
    /// A profile that it looked into is none, or too large.
    #[error("the filter cannot look into the profile: {0}")]
    Unreadable(String),
    /// There is no memory to open a profile in.
    #[error("the filter cannot look into the profile now: the bodies held now own all of max_inflight_bytes")]
    NoMemory,
    /// What it made of a profile cannot be written.
    #[error("the filter's changes cannot be made: {0}")]
    Unwritten(String),
    /// It has been too slow, and rests.
    #[error("the filter is not asked for now: {0}")]
    Resting(Arc<str>),
    /// Too many calls of it wait already.
    #[error("the filter is slow, and its calls of before are not answered yet")]
    Busy,
}

/// The kind of a profile in a format that filters of profiles cannot look into.
pub const UNSUPPORTED: &str = "unsupported";

/// The kinds of [`FilterError`], as metrics name them.
pub const ERROR_KINDS: [&str; 12] = [
    "instantiate",
    "timeout",
    "memory",
    "trap",
    "answer",
    "needs_profile",
    "unreadable",
    "no_memory",
    "unwritten",
    UNSUPPORTED,
    "resting",
    "busy",
];

impl FilterError {
    /// Whether the same call may have a verdict later.
    pub fn passes(&self) -> bool {
        matches!(self, Self::NoMemory | Self::Resting(_) | Self::Busy)
    }

    /// Which of [`ERROR_KINDS`] it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Instantiate(_) => "instantiate",
            Self::Timeout(_) => "timeout",
            Self::Memory { .. } => "memory",
            Self::Trap(_) => "trap",
            Self::Answer(_) => "answer",
            Self::NeedsProfile => "needs_profile",
            Self::Unreadable(_) => "unreadable",
            Self::NoMemory => "no_memory",
            Self::Unwritten(_) => "unwritten",
            Self::Resting(_) => "resting",
            Self::Busy => "busy",
        }
    }
}
