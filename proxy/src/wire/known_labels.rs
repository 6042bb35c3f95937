//! Label sets that were read before. Senders send the same few series again and again.

use profiler_core::labels::Labels;

use crate::recent::{LABEL_SETS, Recent};

/// By the bytes in which they came: a label set that comes again is neither decoded, sorted nor hashed again, and takes
/// no further memory. All bytes must be of one format.
#[derive(Debug)]
pub struct KnownLabels(Recent<Box<[u8]>, Labels>);

impl Default for KnownLabels {
    fn default() -> Self {
        Self(Recent::new(LABEL_SETS))
    }
}

impl KnownLabels {
    /// The labels in these bytes, which are read only where they are not known. Errors are not remembered.
    pub(super) fn read<E>(&self, bytes: &[u8], read: impl FnOnce(&[u8]) -> Result<Labels, E>) -> Result<Labels, E> {
        if let Some(known) = self.0.find(bytes) {
            return Ok(known);
        }
        let labels = read(bytes)?;
        self.0.insert(bytes.into(), labels.clone());
        Ok(labels)
    }
}
