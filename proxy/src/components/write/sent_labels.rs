//! Labels as requests to backends carry them. The same few series are sent again and again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use profiler_core::labels::{LabelError, Labels};

use super::by_push::Pushable;
use super::labels;
use crate::pipeline::{Body, Profile, PushError};
use crate::recent::{LABEL_SETS, Recent, Weigh};
use crate::upstream::hash_key;
use crate::wire::{ingest, ingest_name, push};

/// Checks and encodes label sets, and remembers those that backends accept.
pub(super) struct SentLabels {
    external: BTreeMap<String, String>,
    pushed: Recent<Labels, Bytes>,
    ingested: Recent<Labels, IngestName>,
}

/// The `name` of a series on `/ingest`.
#[derive(Clone)]
pub(super) struct IngestName {
    /// As it stands in a query.
    pub escaped: Arc<str>,
    /// None where it says the labels as they are; else whether the log was told of the series.
    pub told: Option<Arc<AtomicBool>>,
}

impl IngestName {
    /// Whether it is not told yet that the name is another one than the labels; from now on it is.
    pub(super) fn is_to_be_told(&self) -> bool {
        self.told.as_ref().is_some_and(|told| !told.swap(true, Ordering::Relaxed))
    }
}

impl Weigh for IngestName {
    fn weight(&self) -> usize {
        self.escaped.len()
    }
}

impl SentLabels {
    /// With these labels added to each set.
    pub(super) fn new(external: BTreeMap<String, String>) -> Self {
        Self { external, pushed: Recent::new(LABEL_SETS), ingested: Recent::new(LABEL_SETS) }
    }

    /// The labels of a push, encoded.
    pub(super) fn for_push(&self, labels: &Labels) -> Result<Bytes, PushError> {
        if let Some(encoded) = self.pushed.find(labels) {
            return Ok(encoded);
        }
        let encoded = push::encode_labels(&self.checked(labels, labels::for_push)?);
        self.pushed.insert(labels.clone(), encoded.clone());
        Ok(encoded)
    }

    /// The `name` of a request to `/ingest`.
    pub(super) fn for_ingest(&self, labels: &Labels) -> Result<IngestName, PushError> {
        if let Some(name) = self.ingested.find(labels) {
            return Ok(name);
        }
        let sent = self.checked(labels, labels::for_ingest)?;
        let told = (!ingest_name::is_exact(&sent)).then(Arc::default);
        let name = IngestName { escaped: ingest::escaped_name(&sent).into(), told };
        self.ingested.insert(labels.clone(), name.clone());
        Ok(name)
    }

    /// The labels of a push in the place of a request to `/ingest`, encoded.
    pub(super) fn for_ingest_by_push(&self, labels: &Labels, profile: &Pushable) -> Result<Bytes, PushError> {
        let sent = self.checked(labels, |labels, external| labels::for_ingest_by_push(labels, external, profile))?;
        Ok(push::encode_labels(&sent))
    }

    /// The labels that a backend is told; none where it is told none, or others than these.
    pub(super) fn as_sent(&self, profile: &Profile) -> Option<Labels> {
        match &profile.body {
            Body::Pprof(_) => self.checked(&profile.labels, labels::for_push).ok(),
            Body::Ingest(_) => self.checked(&profile.labels, labels::for_ingest).ok().filter(ingest_name::is_exact),
        }
    }

    /// The value of a label as it is sent; none where there is none.
    pub(super) fn value<'a>(&'a self, labels: &'a Labels, name: &str) -> Option<&'a str> {
        let value = self.external.get(name).map(String::as_str).or_else(|| labels.value(name));
        value.filter(|value| !value.is_empty())
    }

    /// The hash of these labels as they are sent; of all labels where none is named.
    pub(super) fn hash_key(&self, labels: &Labels, names: &[String]) -> u64 {
        if names.is_empty() {
            return hash_key(labels.iter());
        }
        hash_key(names.iter().map(|name| (name.as_str(), self.value(labels, name).unwrap_or_default())))
    }

    fn checked(
        &self,
        labels: &Labels,
        sent: impl FnOnce(&Labels, &BTreeMap<String, String>) -> Result<Labels, LabelError>,
    ) -> Result<Labels, PushError> {
        labels::validate(labels).map_err(|error| PushError::sender(error.to_string()))?;
        sent(labels, &self.external).map_err(|error| PushError::sender(error.to_string()))
    }
}
