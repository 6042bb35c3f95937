//! What a backend's answer means: taken, to be tried again, or refused.

use std::time::SystemTime;

use http::{StatusCode, header};

use super::client::{Answer, ClientError};
use super::endpoint::Api;
use super::http_client::HttpError;
use super::retry_after::retry_after;
use crate::pipeline::{Code, Fault, PushError, Retry};
use crate::wire::connect;

/// An attempt that failed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What to tell the sender if this was the last attempt.
    pub error: PushError,
    /// Whether the same request may succeed on another attempt.
    pub retryable: bool,
    /// What it says of the backend.
    pub evidence: Evidence,
}

/// What a failure says of the backend that a request was meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// It cannot be reached: nothing was sent.
    Unreachable,
    /// It fails: it answers with an error of its own, too late, or breaks off.
    Failing,
    /// It is well: the request is at fault, or we are.
    Well,
}

impl Failure {
    /// No answer within the time of one attempt.
    pub fn timeout(after: std::time::Duration) -> Self {
        let cause = format!("no answer within remote_timeout ({after:?})");
        Self {
            error: backend(StatusCode::GATEWAY_TIMEOUT, Code::DeadlineExceeded, true, cause),
            retryable: true,
            evidence: Evidence::Failing,
        }
    }

    /// No connection, a broken one, or an answer that is no HTTP.
    pub fn transport(failed: &ClientError) -> Self {
        let evidence = if failed.is_unreachable() { Evidence::Unreachable } else { Evidence::Failing };
        Self { evidence, ..Self::unavailable(failed.to_string()) }
    }

    /// No backend that could be asked, for this reason.
    pub fn unavailable(cause: String) -> Self {
        let error = backend(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, true, cause);
        Self { error, retryable: true, evidence: Evidence::Well }
    }

    /// A redirect that cannot be followed: another attempt would be led the same way.
    pub fn redirect(failed: &HttpError) -> Self {
        let error = backend(StatusCode::BAD_GATEWAY, Code::FailedPrecondition, false, failed.to_string());
        Self { error, retryable: false, evidence: Evidence::Well }
    }

    /// What an answer says; `None` where the backend took the profile.
    pub fn of(api: Api, answer: &Answer, retry_on_429: bool) -> Option<Self> {
        let mut failure = match api {
            Api::Push => push(answer, retry_on_429),
            Api::Ingest => ingest(answer, retry_on_429),
        }?;
        if let Retry::Later(pause) = &mut failure.error.retry {
            *pause = retry_after(&answer.headers, SystemTime::now());
        }
        Some(failure)
    }
}

/// Most bytes of a refusal that are quoted.
const QUOTED: usize = 2048;

/// `/ingest`: nothing but 200 is a success; 408, 429 and 5xx pass.
fn ingest(answer: &Answer, retry_on_429: bool) -> Option<Failure> {
    let status = answer.status;
    if status == StatusCode::OK {
        return None;
    }
    let retryable = match status {
        StatusCode::TOO_MANY_REQUESTS => retry_on_429,
        StatusCode::REQUEST_TIMEOUT => true,
        other => other.is_server_error(),
    };
    let cause = format!("remote error: pyroscope write error: status={} msg={}", status.as_u16(), said(answer));
    // A status that is no refusal (204, 301) cannot be handed on: the sender would take it for a success.
    let answered = if status.as_u16() < 400 { StatusCode::BAD_GATEWAY } else { status };
    let later = retryable || status == StatusCode::TOO_MANY_REQUESTS;
    Some(Failure {
        error: backend(answered, connect::code_from_status(status), later, cause),
        retryable,
        evidence: evidence(answer),
    })
}

/// Connect: 200 with the right Content-Type is a success; otherwise the error's code decides, and the status where
/// there is none. The reference gives each status a code first, and so repeats what a proxy refused for good.
fn push(answer: &Answer, retry_on_429: bool) -> Option<Failure> {
    let (code, message, plain) = match answer.status {
        StatusCode::OK if has_type(answer, "application/proto") => return None,
        StatusCode::OK => {
            let message = format!("answer of another type than application/proto: {}", quote(&answer.body));
            (Code::Unknown, message, true)
        }
        status => match connect::error_from_json(&answer.body) {
            Some((code, message)) => (code, message, false),
            None => (connect::code_from_status(status), format!("HTTP status {status}: {}", said(answer)), true),
        },
    };
    let too_many = code == Code::ResourceExhausted || (plain && answer.status == StatusCode::TOO_MANY_REQUESTS);
    let retryable = match code {
        _ if too_many => retry_on_429,
        // It arrived too slowly, which may be otherwise the next time.
        _ if plain && answer.status == StatusCode::REQUEST_TIMEOUT => true,
        _ if plain && answer.status.is_client_error() => false,
        Code::DeadlineExceeded
        | Code::Unknown
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss
        | Code::Aborted => true,
        _ => false,
    };
    let status = if answer.status.as_u16() < 400 { StatusCode::BAD_GATEWAY } else { answer.status };
    let later = retryable || too_many;
    Some(Failure {
        error: backend(status, code, later, format!("{}: {message}", code.name())),
        retryable,
        evidence: evidence(answer),
    })
}

fn evidence(answer: &Answer) -> Evidence {
    if answer.status.is_server_error() { Evidence::Failing } else { Evidence::Well }
}

fn backend(status: StatusCode, code: Code, later: bool, cause: String) -> PushError {
    let retry = if later { Retry::Later(None) } else { Retry::Never };
    PushError { fault: Fault::Backend, retry, status, code, cause: cause.into() }
}

fn has_type(answer: &Answer, expected: &str) -> bool {
    let content_type = answer.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(expected))
}

/// The answer's text; where it leads elsewhere, where that is.
fn said(answer: &Answer) -> String {
    let text = quote(&answer.body);
    match answer.headers.get(header::LOCATION).filter(|_| answer.status.is_redirection()) {
        None => text,
        Some(location) => format!("{text} (redirected to {location:?}, which is not followed: put it into url)"),
    }
}

fn quote(body: &[u8]) -> String {
    let quoted = body.get(..QUOTED).unwrap_or(body);
    String::from_utf8_lossy(quoted).trim_end().to_owned()
}
