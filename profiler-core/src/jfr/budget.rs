//! How much of a recording is kept in memory.

use super::error::{JfrError, Result};

/// What may still be kept, in bytes, roughly.
pub(super) struct Budget {
    limit: u64,
    left: u64,
}

impl Budget {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, left: limit }
    }

    /// Takes the size of what is kept from now on; `offset` is where it came from.
    #[inline]
    pub(super) fn take(&mut self, bytes: usize, offset: u64) -> Result<()> {
        match self.left.checked_sub(bytes as u64) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(self.exceeded(offset)),
        }
    }

    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// Why no more is read.
    pub(super) fn exceeded(&self, offset: u64) -> JfrError {
        JfrError::TooMuch { offset, what: "bytes of names, stacks and samples", limit: self.limit }
    }
}
