//! Whether what passes may be looked at.

use std::sync::atomic::{AtomicBool, Ordering};

/// Set by the `livedebugging` block.
#[derive(Debug, Default)]
pub struct LiveDebugging(AtomicBool);

impl LiveDebugging {
    /// Allows or forbids it.
    pub fn enable(&self, enabled: bool) {
        self.0.store(enabled, Ordering::Relaxed);
    }

    /// Whether it is allowed.
    pub fn is_enabled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
