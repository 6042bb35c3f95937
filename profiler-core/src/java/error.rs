//! What can go wrong with a profiler in a JVM.

use std::io;
use std::time::Duration;

use super::jvm::NotAttachable;

/// Who can mend an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The target: how it was started, where it runs, or what it did.
    Target,
    /// What was asked of the profiler.
    Arguments,
    /// This process: its rights, or its system.
    Own,
}

/// Why a profiler did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum ProfilerError {
    /// There is no JVM to speak to, or no more.
    #[error(transparent)]
    NotAttachable(#[from] NotAttachable),
    /// The JVM cannot open its socket.
    #[error("the JVM can open no attach socket in its /tmp: {error}; give it a /tmp that it can write")]
    NoSocket {
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// It was asked, and did not open its socket.
    #[error("the JVM did not open its attach socket within {} s", waited.as_secs())]
    NoListener {
        /// How long it had.
        waited: Duration,
    },
    /// It has taken a command and said nothing.
    #[error("the JVM did not answer within {} s", waited.as_secs())]
    NoAnswer {
        /// How long it had.
        waited: Duration,
    },
    /// What answers is no JVM.
    #[error("the JVM's attach socket gives an answer that no JVM gives: {answer:?}")]
    Answer {
        /// The beginning of it.
        answer: String,
    },
    /// No folder of the target can hold the library.
    #[error("no folder of the target can hold async-profiler's library: {tried}; name one that can with tmp_dir")]
    NoPlace {
        /// The folders, each with what is wrong with it.
        tried: String,
    },
    /// Another process of this program profiles the JVM.
    #[error("another process has placed its profiler in this JVM, in {folder}")]
    Busy {
        /// Where, as the target sees it.
        folder: String,
    },
    /// The JVM does not load the library.
    #[error("the JVM does not load async-profiler: {message}")]
    NotLoaded {
        /// The JVM's own text.
        message: String,
    },
    /// Someone else profiles the JVM, and goes on.
    #[error("another profiler runs in the JVM: {message}")]
    AlreadyRunning {
        /// The agent's own text.
        message: String,
    },
    /// The agent refuses.
    #[error("async-profiler: {message}")]
    Agent {
        /// The agent's own text.
        message: String,
    },
    /// These options cannot be handed over.
    #[error("{problem}")]
    Options {
        /// What is wrong with them.
        problem: String,
    },
    /// Nothing was recorded, or too much.
    #[error("{problem}")]
    Recording {
        /// What is wrong with it.
        problem: String,
    },
    /// The system says no.
    #[error("{doing}: {error}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// Why not.
        #[source]
        error: io::Error,
    },
}

impl ProfilerError {
    /// Who can mend it.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Options { .. } | Self::Agent { .. } => Fault::Arguments,
            Self::System { .. } => Fault::Own,
            Self::NotAttachable(
                NotAttachable::NoRights { .. } | NotAttachable::OtherProc | NotAttachable::System { .. },
            ) => Fault::Own,
            _ => Fault::Target,
        }
    }

    /// Whether the same may succeed later, with neither target nor arguments changed by anyone.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NotAttachable(reason) => reason.may_pass(),
            Self::NoSocket { .. } | Self::NotLoaded { .. } | Self::Agent { .. } | Self::Options { .. } => false,
            _ => true,
        }
    }

    /// A word for it, of which there are few.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotAttachable(reason) => reason.reason(),
            Self::NoSocket { .. } => "no_socket",
            Self::NoListener { .. } => "no_listener",
            Self::NoAnswer { .. } => "no_answer",
            Self::Answer { .. } => "strange_answer",
            Self::NoPlace { .. } => "no_place",
            Self::Busy { .. } => "busy",
            Self::NotLoaded { .. } => "not_loaded",
            Self::AlreadyRunning { .. } => "already_running",
            Self::Agent { .. } => "agent",
            Self::Options { .. } => "options",
            Self::Recording { .. } => "recording",
            Self::System { .. } => "system",
        }
    }

    pub(super) fn system(doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| Self::System { doing, error }
    }
}

impl NotAttachable {
    /// Whether the same may succeed later: a process may become a JVM, and a JVM ready.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::NotJvm | Self::NotReady | Self::System { .. })
    }

    /// A word for it, of which there are few.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::NotJvm => "not_jvm",
            Self::OpenJ9 => "openj9",
            Self::NotReady => "not_ready",
            Self::AttachDisabled => "attach_disabled",
            Self::NoRights { .. } => "no_rights",
            Self::OtherProc => "other_proc",
            Self::System { .. } => "system",
        }
    }
}
