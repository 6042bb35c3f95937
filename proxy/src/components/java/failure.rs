//! What goes wrong with a JVM, a recording, or a profile.

use std::io;

use profiler_core::java::{NotAttachable, ProfilerError};
use profiler_core::jfr::JfrError;
use profiler_core::labels::LabelError;
use tokio::task::JoinError;

use crate::pipeline::PushError;

/// Why something was not recorded, or not sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Profiler(#[from] ProfilerError),
    #[error("a recording could not be read, or not to its end: {0}")]
    Recording(JfrError),
    #[error("the process ended before its recording did: {0}")]
    EndedBefore(JfrError),
    #[error("a recording could not be read, or a profile not be made: {0}")]
    File(io::Error),
    #[error("the labels of a profile: {0}")]
    Labels(#[from] LabelError),
    #[error("a profile of {0} bytes was dropped: too many wait for their backends")]
    NoMemory(usize),
    #[error("a recording was dropped: those of before are still on their way to the backends")]
    StillSending,
    #[error("a profile was not taken: {0}")]
    NotTaken(PushError),
    #[error("the process cannot be watched: {0}")]
    Watch(io::Error),
    #[error("it broke off: {0}")]
    Aborted(#[from] JoinError),
}

impl Failure {
    /// A word for it, of which there are few.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Profiler(error) => error.reason(),
            Self::Recording(_) => "damaged_recording",
            Self::EndedBefore(_) => "gone",
            Self::Labels(_) => "labels",
            Self::NoMemory(_) => "no_memory",
            Self::StillSending => "still_sending",
            Self::NotTaken(_) => "not_taken",
            Self::File(_) | Self::Watch(_) => "system",
            Self::Aborted(_) => "aborted",
        }
    }

    /// Whether the process has ended.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Self::Profiler(ProfilerError::NotAttachable(NotAttachable::Gone)) | Self::EndedBefore(_))
    }
}

impl From<NotAttachable> for Failure {
    fn from(error: NotAttachable) -> Self {
        Self::Profiler(error.into())
    }
}
