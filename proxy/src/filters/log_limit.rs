//! What a filter may write to the log.

use super::bindings::flamegate::filter::log::Level;

/// Lines that an instance may write in one call.
const LINES: u32 = 10;
/// Bytes of a line.
const LINE_BYTES: usize = 1024;

/// The lines of one call of a filter.
#[derive(Debug, Default)]
pub(super) struct LogLimit {
    lines: u32,
}

impl LogLimit {
    /// A new call begins.
    pub(super) fn begin(&mut self) {
        self.lines = 0;
    }

    pub(super) fn write(&mut self, filter: &str, level: Level, message: &str) {
        self.lines += 1;
        if self.lines > LINES {
            if self.lines == LINES + 1 {
                tracing::warn!(filter, "the filter logs more than {LINES} lines in one call; the rest is left out");
            }
            return;
        }
        let cut = message.floor_char_boundary(LINE_BYTES);
        let text = message.get(..cut).unwrap_or_default();
        match level {
            Level::Debug => tracing::debug!(filter, "{text}"),
            Level::Info => tracing::info!(filter, "{text}"),
            Level::Warn => tracing::warn!(filter, "{text}"),
            Level::Error => tracing::error!(filter, "{text}"),
        }
    }
}
