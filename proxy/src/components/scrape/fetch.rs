//! One answer of a target: asked for, bounded, unpacked and checked.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri, header};
use profiler_core::pprof::delta::DeltaError;
use profiler_core::pprof::{PprofError, is_gzip};
use tokio::task::JoinError;
use tokio::time::timeout;

use super::check::{NoProfile, check};
use super::target::TargetError;
use crate::ingest::{DecompressError, Encoding, decompress};
use crate::pipeline::{Budget, PushError, Share};
use crate::telemetry::metrics::ScrapeResult;
use crate::upstream::{FetchError, Fetcher, Intake};

/// Bytes of an answer's text that are shown.
const REASON: usize = 512;

/// A profile as a target sent it.
#[derive(Debug)]
pub(super) struct Fetched {
    /// gzipped or not.
    pub(super) bytes: Bytes,
    pub(super) memory: Share,
}

/// What is asked for, and within which bounds.
pub(super) struct Question<'a> {
    pub(super) uri: &'a Uri,
    /// The kind of profile.
    pub(super) type_name: &'a str,
    pub(super) timeout: Duration,
    pub(super) max_body_size: usize,
    /// Bytes of the last answer.
    pub(super) expected: usize,
    pub(super) budget: &'a Budget,
}

/// Why a scrape brought nothing, or its profile was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScrapeError {
    #[error("no answer: {0}")]
    Fetch(#[from] FetchError),
    #[error("no whole answer within {0:?}")]
    Slow(Duration),
    #[error("server returned HTTP status ({}) {reason}", .status.as_u16())]
    Status { status: StatusCode, reason: String },
    #[error("empty {0} profile")]
    Empty(String),
    #[error("Content-Encoding {0:?} is not understood: only gzip was asked for")]
    Encoding(String),
    #[error(transparent)]
    Unpack(#[from] DecompressError),
    #[error("invalid profile data: {0}")]
    NoProfile(#[from] NoProfile),
    #[error("no difference to the profile before can be made: {0}")]
    Delta(#[from] DeltaError),
    #[error("the profile was let go: {0}")]
    Aborted(#[from] JoinError),
    #[error(transparent)]
    Labels(#[from] TargetError),
    #[error("the profile was not taken: {0}")]
    Push(PushError),
}

impl ScrapeError {
    /// As it is counted.
    pub(super) fn result(&self) -> ScrapeResult {
        match self {
            Self::Fetch(error) if error.is_too_large() => ScrapeResult::TooLarge,
            Self::Unpack(DecompressError::TooLarge(_)) => ScrapeResult::TooLarge,
            Self::Unpack(DecompressError::Busy) => ScrapeResult::NoMemory,
            Self::Fetch(_) => ScrapeResult::NoAnswer,
            Self::Slow(_) => ScrapeResult::Timeout,
            Self::Status { status: StatusCode::NOT_FOUND, .. } => ScrapeResult::Absent,
            Self::Status { .. } => ScrapeResult::Status,
            Self::Delta(DeltaError::Pprof(PprofError::TooLarge(_))) => ScrapeResult::TooLarge,
            Self::Empty(_)
            | Self::Encoding(_)
            | Self::Unpack(_)
            | Self::NoProfile(_)
            | Self::Delta(_)
            | Self::Labels(_) => ScrapeResult::Invalid,
            Self::Push(_) | Self::Aborted(_) => ScrapeResult::NotTaken,
        }
    }
}

/// Asks for a profile.
///
/// # Errors
/// There is no answer in time, or it is no profile.
pub(super) async fn fetch(fetcher: &Fetcher, question: &Question<'_>) -> Result<Fetched, ScrapeError> {
    let limit = question.max_body_size;
    // A budget always has nothing.
    let memory = question.budget.take(0).unwrap_or_else(Share::unbounded);
    let mut intake = Intake::new(memory, limit, question.expected.min(limit));
    let answering = timeout(question.timeout, fetcher.get(question.uri, &mut intake));
    let (status, headers) = answering.await.map_err(|_| ScrapeError::Slow(question.timeout))??;
    let (bytes, memory) = intake.finish();
    if !status.is_success() {
        return Err(ScrapeError::Status { status, reason: reason(status, &bytes) });
    }
    if bytes.is_empty() {
        return Err(ScrapeError::Empty(question.type_name.to_owned()));
    }
    let content_type = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let Some(encoding) = encoding(&headers)? else {
        check(&bytes, content_type)?;
        return Ok(Fetched { bytes, memory });
    };
    let mut unpacked_memory = memory.another();
    let unpacked = decompress(encoding, &bytes, limit, &mut unpacked_memory).await?;
    check(&unpacked, content_type)?;
    // A profile may be gzipped: what came is one, unless it was gzipped twice.
    Ok(if is_gzip(&unpacked) {
        Fetched { bytes: unpacked, memory: unpacked_memory }
    } else {
        Fetched { bytes, memory }
    })
}

/// How the body was packed for the way.
fn encoding(headers: &HeaderMap) -> Result<Option<Encoding>, ScrapeError> {
    let Some(value) = headers.get(header::CONTENT_ENCODING) else { return Ok(None) };
    match Encoding::named(value.as_bytes()).map_err(ScrapeError::Encoding)? {
        Some(Encoding::Zstd) => Err(ScrapeError::Encoding("zstd".to_owned())),
        gzip => Ok(gzip),
    }
}

fn reason(status: StatusCode, body: &[u8]) -> String {
    match body.get(..REASON).unwrap_or(body).trim_ascii() {
        [] => status.to_string(),
        text => String::from_utf8_lossy(text).into_owned(),
    }
}
