//! A profile that passed, and what became of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use profiler_core::labels::Labels;

use super::Opening;
use super::specimen::Specimen;
use crate::pipeline::{Body, PushError};
use crate::wire::ingest::{Samples, format};

/// Letters of a format's name.
const FORMAT: usize = 40;

/// A profile at a component.
#[derive(Debug)]
pub struct Passed {
    /// The component's path.
    pub component: Arc<str>,
    /// When it came there.
    pub at: SystemTime,
    /// Until its outcome was known.
    pub took: Duration,
    /// Its labels when it came; none at a source.
    pub before: Option<Labels>,
    /// Its labels when it went on; none where it did not.
    pub after: Option<Labels>,
    /// What it is written in.
    pub format: String,
    /// Its bytes, as it came.
    pub bytes: usize,
    /// Profiles in it.
    pub profiles: usize,
    /// What became of it.
    pub end: End,
    pub(super) specimen: Option<Specimen>,
}

/// What became of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// All that it was handed to took it.
    Passed {
        /// Endpoints, and components that keep profiles, that have it.
        taken: usize,
    },
    /// The component dropped it, as it was told to.
    Dropped(Arc<str>),
    /// The component, or one that it was handed to, did not take it.
    Failed(PushError),
}

impl Passed {
    /// The kinds of its values, such as `cpu`; none where they are not known, or where finding out would take too much time.
    /// This may decode.
    pub fn sample_types(&self, opening: &mut Opening) -> &[String] {
        self.specimen.as_ref().map_or(&[], |specimen| specimen.sample_types(opening))
    }

    /// Bytes that it takes while it waits.
    pub(super) fn byte_len(&self) -> usize {
        let reason = match &self.end {
            End::Passed { .. } => 0,
            End::Dropped(reason) => reason.len(),
            End::Failed(error) => error.cause.len(),
        };
        let labels = [&self.before, &self.after].into_iter().flatten().map(Labels::byte_len).sum::<usize>();
        size_of::<Self>() + labels + self.format.len() + reason
    }
}

/// What a body is written in, in the words of `/ingest`.
pub(super) fn format_of(body: &Body) -> String {
    let Body::Ingest(ingest) = body else { return "pprof".to_owned() };
    let content_type = ingest.content_types.first().map_or(&b""[..], |value| value.as_bytes());
    match Samples::of(&ingest.query, content_type) {
        Samples::Pprof | Samples::PprofForm => "pprof".to_owned(),
        Samples::Jfr | Samples::JfrForm => "jfr".to_owned(),
        Samples::Other => match format(&ingest.query).as_deref() {
            None | Some(b"") => "folded".to_owned(),
            Some(other) => String::from_utf8_lossy(other).chars().take(FORMAT).collect(),
        },
    }
}
