//! What the backend answers when it does not take a request.

use bytes::Bytes;
use http::StatusCode;

/// An error code of the Connect protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the protocol's own")]
pub enum Code {
    Canceled,
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    OutOfRange,
    Unimplemented,
    Internal,
    Unavailable,
    DataLoss,
    Unauthenticated,
}

impl Code {
    /// As it stands in the JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.name_and_status().0
    }

    /// The HTTP status that the protocol gives it.
    #[must_use]
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.name_and_status().1).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn name_and_status(self) -> (&'static str, u16) {
        match self {
            Self::Canceled => ("canceled", 499),
            Self::Unknown => ("unknown", 500),
            Self::InvalidArgument => ("invalid_argument", 400),
            Self::DeadlineExceeded => ("deadline_exceeded", 504),
            Self::NotFound => ("not_found", 404),
            Self::AlreadyExists => ("already_exists", 409),
            Self::PermissionDenied => ("permission_denied", 403),
            Self::ResourceExhausted => ("resource_exhausted", 429),
            Self::FailedPrecondition => ("failed_precondition", 400),
            Self::Aborted => ("aborted", 409),
            Self::OutOfRange => ("out_of_range", 400),
            Self::Unimplemented => ("unimplemented", 501),
            Self::Internal => ("internal", 500),
            Self::Unavailable => ("unavailable", 503),
            Self::DataLoss => ("data_loss", 500),
            Self::Unauthenticated => ("unauthenticated", 401),
        }
    }
}

/// Why a request was not taken. Both APIs answer with the same JSON; the status of `/ingest` is its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} {}: {message}", status.as_u16(), code.name())]
pub struct Refusal {
    /// Status of the answer.
    pub status: StatusCode,
    /// `code` of the JSON.
    pub code: Code,
    /// `message` of the JSON.
    pub message: String,
}

impl Refusal {
    /// A refusal with the status of its code.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { status: code.status(), code, message: message.into() }
    }

    /// What `/ingest` answers to a request whose `name` it cannot read.
    #[must_use]
    pub fn bad_name(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    /// What `/ingest` answers to a profile that it cannot convert.
    #[must_use]
    pub fn unprocessable(message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, code: Code::InvalidArgument, message }
    }

    /// A body over the limit.
    #[must_use]
    pub fn too_large(limit: usize) -> Self {
        let message = format!("request body too large: over {limit} bytes");
        let code = Code::ResourceExhausted;
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, code, message }
    }

    /// The answer's body.
    #[must_use]
    pub fn json(&self) -> Bytes {
        serde_json::json!({ "code": self.code.name(), "message": self.message }).to_string().into()
    }
}
