//! What became of a profile, in words that a sender, a log and a retry can use.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use profiler_core::labels::Labels;

/// What became of a batch: one entry for each of its profiles, in order.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// In the batch's order.
    pub profiles: Vec<ProfileOutcome>,
}

/// What became of one profile.
#[derive(Debug, Clone, Default)]
pub struct ProfileOutcome {
    /// Why it was not taken everywhere, where it was not.
    pub error: Option<PushError>,
    /// The endpoints that took it.
    pub taken: Vec<Taken>,
}

/// An endpoint has a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Which of all endpoints it is, the same after a reload.
    pub endpoint: Arc<str>,
    /// The series under which it came there: several ways through the configuration may lead to one endpoint.
    pub series: Labels,
}

impl Outcome {
    /// Every profile of a batch was taken (or dropped on purpose), by no endpoint in particular.
    pub fn accepted(profiles: usize) -> Self {
        Self { profiles: vec![ProfileOutcome::default(); profiles] }
    }

    /// Every profile of a batch failed for one reason.
    pub fn failed(profiles: usize, error: &PushError) -> Self {
        Self { profiles: vec![ProfileOutcome { error: Some(error.clone()), taken: Vec::new() }; profiles] }
    }

    /// The error that the sender should hear, where there is one.
    pub fn worst(&self) -> Option<&PushError> {
        PushError::worst(self.profiles.iter().filter_map(|profile| profile.error.as_ref()))
    }

    /// Joins what two receivers did with the same batch.
    pub(crate) fn join(&mut self, other: Self) {
        for (mine, theirs) in self.profiles.iter_mut().zip(other.profiles) {
            mine.join(theirs);
        }
    }
}

impl ProfileOutcome {
    /// Joins what became of it with what became of it elsewhere, or of another part of it.
    pub fn join(&mut self, other: Self) {
        self.taken.extend(other.taken);
        self.error = match (self.error.take(), other.error) {
            (Some(a), Some(b)) => PushError::worst([&a, &b]).cloned(),
            (a, b) => a.or(b),
        };
    }
}

/// Why a profile was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct PushError {
    /// Whose fault it is.
    pub fault: Fault,
    /// Whether sending it again can help.
    pub retry: Retry,
    /// What an HTTP sender is answered.
    pub status: StatusCode,
    /// What a Connect or gRPC sender is answered.
    pub code: Code,
    /// What happened, where, and what to do about it.
    pub cause: Arc<str>,
}

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The sender's: the profile is not acceptable.
    Sender,
    /// The backend's or the network's on the way to it.
    Backend,
    /// Ours or our configuration's.
    Us,
}

/// Whether sending again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The answer will be the same.
    Never,
    /// Later, no sooner than after this time where one is given.
    Later(Option<Duration>),
}

impl PushError {
    /// The profile cannot be accepted, now or later.
    pub fn sender(cause: impl Into<Arc<str>>) -> Self {
        Self {
            fault: Fault::Sender,
            retry: Retry::Never,
            status: StatusCode::BAD_REQUEST,
            code: Code::InvalidArgument,
            cause: cause.into(),
        }
    }

    /// Something here failed.
    pub fn internal(cause: impl Into<Arc<str>>) -> Self {
        Self {
            fault: Fault::Us,
            retry: Retry::Later(None),
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: Code::Internal,
            cause: cause.into(),
        }
    }

    /// There is no room for it now.
    pub fn busy(cause: impl Into<Arc<str>>) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, code: Code::Unavailable, ..Self::internal(cause) }
    }

    /// The error to answer when several receivers failed: a backend's word before ours, and among those one that
    /// invites the sender to come again before one that forbids it, since otherwise a profile would be lost that only
    /// one of the backends refused for good. The first of equals wins.
    pub fn worst<'a>(errors: impl IntoIterator<Item = &'a Self>) -> Option<&'a Self> {
        errors.into_iter().reduce(|worst, error| if error.rank() > worst.rank() { error } else { worst })
    }

    fn rank(&self) -> u8 {
        match (self.fault, self.retry) {
            (Fault::Us, _) => 0,
            (Fault::Sender | Fault::Backend, Retry::Never) => 1,
            (Fault::Sender | Fault::Backend, Retry::Later(_)) => 2,
        }
    }

    /// The same error with words before its cause.
    pub fn context(mut self, words: impl std::fmt::Display) -> Self {
        self.cause = format!("{words}: {}", self.cause).into();
        self
    }
}

macro_rules! codes {
    ($($variant:ident = $number:literal $name:literal $status:ident,)*) => {
        /// The codes of Connect and gRPC, and the HTTP status that Connect gives each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code { $(#[doc = $name] $variant,)* }

        impl Code {
            /// The name in a Connect error.
            pub fn name(self) -> &'static str { match self { $(Self::$variant => $name,)* } }

            /// The number in `grpc-status`.
            pub fn number(self) -> u8 { match self { $(Self::$variant => $number,)* } }

            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The HTTP status of a Connect error.
            pub fn status(self) -> StatusCode { match self { $(Self::$variant => StatusCode::$status,)* } }

            /// The code of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

// connectrpc.com/docs/protocol, "Error Codes"; 499 has no name in the http crate and no sender of ours asks for it.
codes! {
    Canceled = 1 "canceled" REQUEST_TIMEOUT,
    Unknown = 2 "unknown" INTERNAL_SERVER_ERROR,
    InvalidArgument = 3 "invalid_argument" BAD_REQUEST,
    DeadlineExceeded = 4 "deadline_exceeded" GATEWAY_TIMEOUT,
    NotFound = 5 "not_found" NOT_FOUND,
    AlreadyExists = 6 "already_exists" CONFLICT,
    PermissionDenied = 7 "permission_denied" FORBIDDEN,
    ResourceExhausted = 8 "resource_exhausted" TOO_MANY_REQUESTS,
    FailedPrecondition = 9 "failed_precondition" BAD_REQUEST,
    Aborted = 10 "aborted" CONFLICT,
    OutOfRange = 11 "out_of_range" BAD_REQUEST,
    Unimplemented = 12 "unimplemented" NOT_IMPLEMENTED,
    Internal = 13 "internal" INTERNAL_SERVER_ERROR,
    Unavailable = 14 "unavailable" SERVICE_UNAVAILABLE,
    DataLoss = 15 "data_loss" INTERNAL_SERVER_ERROR,
    Unauthenticated = 16 "unauthenticated" UNAUTHORIZED,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend(status: u16, retry: Retry) -> PushError {
        let status = StatusCode::from_u16(status).unwrap();
        PushError { fault: Fault::Backend, retry, status, code: Code::Unknown, cause: "x".into() }
    }

    #[test]
    fn the_sender_hears_what_saves_the_profile() {
        let ours = PushError::internal("x");
        let refused = backend(400, Retry::Never);
        let busy = backend(503, Retry::Later(None));
        assert_eq!(PushError::worst([&ours, &refused]), Some(&refused));
        assert_eq!(PushError::worst([&refused, &busy]), Some(&busy));
        assert_eq!(PushError::worst([&busy, &refused, &ours]), Some(&busy));
        assert_eq!(PushError::worst([]), None);
    }
}
