//! Whether what passes may be looked at.

use std::sync::atomic::{AtomicU8, Ordering};

/// Set by the `livedebugging` block.
#[derive(Debug, Default)]
pub struct LiveDebugging(AtomicU8);

const UNSAID: u8 = 0;
const ALLOWED: u8 = 1;
const FORBIDDEN: u8 = 2;

impl LiveDebugging {
    /// Allows or forbids it; none where no block says anything.
    pub fn set(&self, enabled: Option<bool>) {
        self.0.store(enabled.map_or(UNSAID, |enabled| if enabled { ALLOWED } else { FORBIDDEN }), Ordering::Relaxed);
    }

    /// Whether a block allows it.
    pub fn is_enabled(&self) -> bool {
        self.0.load(Ordering::Relaxed) == ALLOWED
    }

    /// Whether a block forbids it.
    pub fn is_forbidden(&self) -> bool {
        self.0.load(Ordering::Relaxed) == FORBIDDEN
    }
}
