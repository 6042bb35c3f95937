//! What a filter may write to the log.

use std::sync::Arc;

use super::bindings::labels::flamegate::filter::log::Level;
use crate::telemetry::LogLimit;

/// Bytes of a line.
pub(super) const LINE_BYTES: usize = 1024;

/// The log of one filter, for all its instances.
#[derive(Debug)]
pub(super) struct GuestLog {
    filter: Arc<str>,
    limit: LogLimit,
}

impl GuestLog {
    /// For the filter of this name.
    pub(super) fn new(filter: Arc<str>) -> Arc<Self> {
        Arc::new(Self { filter, limit: LogLimit::default() })
    }

    pub(super) fn write(&self, level: Level, message: &str) {
        // What is not logged takes no line away from what is.
        if !is_logged(level) {
            return;
        }
        let Some(line) = self.limit.admit() else { return };
        let (filter, left_out) = (&*self.filter, line.left_out);
        let cut = message.floor_char_boundary(LINE_BYTES);
        let text = message.get(..cut).unwrap_or_default();
        match level {
            Level::Debug => tracing::debug!(filter, left_out, "{text}"),
            Level::Info => tracing::info!(filter, left_out, "{text}"),
            Level::Warn => tracing::warn!(filter, left_out, "{text}"),
            Level::Error => tracing::error!(filter, left_out, "{text}"),
        }
    }
}

fn is_logged(level: Level) -> bool {
    match level {
        Level::Debug => tracing::enabled!(tracing::Level::DEBUG),
        Level::Info => tracing::enabled!(tracing::Level::INFO),
        Level::Warn => tracing::enabled!(tracing::Level::WARN),
        Level::Error => tracing::enabled!(tracing::Level::ERROR),
    }
}
