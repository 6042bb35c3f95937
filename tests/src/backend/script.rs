//! Answers for fault tests: one a request, in order, then one for ever.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use super::refusal::{Code, Refusal};

/// What the backend does with a profile request that it has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Check it as the server does, keep it, answer accordingly.
    Judge,
    /// Answer this, whatever came.
    Reply {
        /// The status.
        status: StatusCode,
        /// Names and values.
        headers: Vec<(String, String)>,
        /// The body.
        body: Bytes,
    },
    /// Close the connection without a byte.
    Close,
    /// Announce a body, send a part of it, close.
    HalfReply,
    /// Write these bytes instead of an answer, close.
    Garbage(Bytes),
    /// Keep the connection open and silent.
    Silence,
    /// Wait, then do the other.
    After(Duration, Box<Answer>),
}

impl Answer {
    /// A status with an empty body.
    #[must_use]
    pub fn status(status: StatusCode) -> Self {
        Self::Reply { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// A plain text, as a proxy before the server answers.
    #[must_use]
    pub fn text(status: StatusCode, text: &str) -> Self {
        let body = Bytes::copy_from_slice(text.as_bytes());
        Self::Reply { status, headers: Vec::new(), body }.with_header("content-type", "text/plain; charset=utf-8")
    }

    /// A Connect error with the status of its code.
    #[must_use]
    pub fn connect_error(code: Code, message: &str) -> Self {
        let refusal = Refusal::new(code, message);
        Self::Reply { status: refusal.status, headers: Vec::new(), body: refusal.json() }
            .with_header("content-type", "application/json")
    }

    /// A redirection.
    #[must_use]
    pub fn redirect(status: StatusCode, location: &str) -> Self {
        Self::status(status).with_header("location", location)
    }

    /// Adds a header to a reply; every other answer has none and stays as it is.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let Self::Reply { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// The same, later.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self::After(wait, Box::new(self))
    }
}

/// The answers of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    upcoming: VecDeque<Answer>,
    finally: Answer,
}

impl Script {
    /// Judge every request.
    #[must_use]
    pub fn judging() -> Self {
        Self::always(Answer::Judge)
    }

    /// One answer for ever.
    #[must_use]
    pub fn always(answer: Answer) -> Self {
        Self { upcoming: VecDeque::new(), finally: answer }
    }

    /// These in order, then judge.
    #[must_use]
    pub fn first(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self { upcoming: answers.into_iter().collect(), finally: Answer::Judge }
    }

    pub(super) fn next(&mut self) -> Answer {
        self.upcoming.pop_front().unwrap_or_else(|| self.finally.clone())
    }
}

impl Default for Script {
    fn default() -> Self {
        Self::judging()
    }
}
