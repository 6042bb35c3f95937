//! Labels as requests to backends carry them. The same few series are sent again and again.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use profiler_core::labels::{LabelError, Labels};

use super::labels;
use crate::pipeline::PushError;
use crate::recent::{LABEL_SETS, Recent};
use crate::upstream::hash_key;
use crate::wire::{ingest, push};

/// Checks and encodes label sets, and remembers those that backends accept.
pub(super) struct SentLabels {
    external: BTreeMap<String, String>,
    pushed: Recent<Labels, Bytes>,
    ingested: Recent<Labels, Arc<str>>,
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

    /// The `name` of a request to `/ingest`, escaped.
    pub(super) fn for_ingest(&self, labels: &Labels) -> Result<Arc<str>, PushError> {
        if let Some(name) = self.ingested.find(labels) {
            return Ok(name);
        }
        let name: Arc<str> = ingest::escaped_name(&self.checked(labels, labels::for_ingest)?).into();
        self.ingested.insert(labels.clone(), name.clone());
        Ok(name)
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
