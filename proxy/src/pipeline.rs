//! The types that everything else speaks: a profile, the batch it travels in, the stage it meets, and what became of it.
//!
//! A source hands a [`Batch`] to the first [`Stage`]; each stage calls the next and answers once the last one has. No
//! channel lies between them: the backend's answer is the sender's answer, and back-pressure needs no protocol.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue};
use profiler_core::labels::Labels;

use crate::telemetry::traces::Trace;

mod body_stream;
mod debug_info;
mod fanout;
mod memory;
mod outcome;

pub use body_stream::{BodyStream, BodyWriter, HELD_BYTES, body_stream};
pub use debug_info::{DebugInfo, DebugInfoCall, DebugInfoUpload};
pub use fanout::{Fanout, Flow, Receiver};
pub use memory::{Budget, Share};
pub use outcome::{Code, Fault, Outcome, ProfileOutcome, PushError, Retry, Taken};

/// One profile of one series. Clones share everything.
#[derive(Debug, Clone)]
pub struct Profile {
    /// The series it belongs to.
    pub labels: Labels,
    /// The profile itself, as it was received.
    pub body: Body,
    /// Where it came from.
    pub origin: Arc<Origin>,
    /// Who took it when its sender sent it before; none where it is new.
    pub taken: Option<Arc<[Taken]>>,
}

impl Profile {
    /// A profile that nobody has taken yet.
    pub fn new(labels: Labels, body: Body, origin: Arc<Origin>) -> Self {
        Self { labels, body, origin, taken: None }
    }
}

/// The bytes of a profile, never decoded unless a stage asks.
#[derive(Debug, Clone)]
pub enum Body {
    /// From the push API, a scrape or a profiler: pprof messages, gzipped or not.
    Pprof(Arc<[RawSample]>),
    /// From `/ingest`: whatever the SDK sent, with the query that says how to read it.
    Ingest(Arc<IngestBody>),
}

/// One pprof message of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawSample {
    /// The sender's id of it, passed on unchanged; may be empty.
    pub id: Bytes,
    /// The message.
    pub profile: Bytes,
}

/// A request to `/ingest`.
#[derive(Debug, Clone)]
pub struct IngestBody {
    /// The query as received, without its `?`.
    pub query: String,
    /// The values of Content-Type, passed on unchanged.
    pub content_types: Vec<HeaderValue>,
    /// The body.
    pub bytes: Bytes,
}

impl Body {
    /// Whether it is the same body in memory.
    pub fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Pprof(one), Self::Pprof(other)) => Arc::ptr_eq(one, other),
            (Self::Ingest(one), Self::Ingest(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// Bytes of the profiles in it, as received.
    pub fn byte_len(&self) -> usize {
        match self {
            Self::Pprof(samples) => samples.iter().map(|sample| sample.profile.len()).sum(),
            Self::Ingest(ingest) => ingest.bytes.len(),
        }
    }

    /// Profiles in it, as they are counted.
    pub fn profile_count(&self) -> usize {
        match self {
            Self::Pprof(samples) => samples.len(),
            Self::Ingest(_) => 1,
        }
    }
}

/// Where a profile came from. Never a label: it reaches write and the queue, and nothing that a filter sees.
#[derive(Debug)]
pub struct Origin {
    /// When its last byte arrived.
    pub arrived: SystemTime,
    /// The span under which it is worked on.
    pub trace: Trace,
    /// What its sender said in headers, for endpoints to say again; none where nothing is to be forwarded.
    pub forwarded: HeaderMap,
    /// The memory that its bytes own; given back when the last clone is gone.
    pub memory: Share,
}

/// The profiles of one request, one scrape or one collection.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// In the sender's order.
    pub profiles: Vec<Profile>,
}

/// Something that takes profiles: relabel, a filter, write.
pub trait Stage: Send + Sync {
    /// Takes a batch and answers when every profile in it has its [`ProfileOutcome`], in the batch's order.
    fn push(&self, batch: Batch) -> BoxFuture<'_, Outcome>;

    /// The first endpoint that it sends to; none where there is none. A stage that forwards asks [`Fanout::debug_info`].
    fn debug_info(&self) -> Option<&dyn DebugInfo> {
        None
    }
}
