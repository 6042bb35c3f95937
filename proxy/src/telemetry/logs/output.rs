//! Where lines wait until it is known how they are written, and are written then.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::filter::Targets;

use super::record::Record;
use crate::config_blocks::LogFormat;

/// Bytes that may wait; a start says a few kilobytes.
const WAITING_BYTES: usize = 1 << 20;

/// Takes whole lines.
pub(super) type Sink = Box<dyn Fn(&[u8]) + Send + Sync>;

const WAITING: u8 = 0;
const LOGFMT: u8 = 1;
const JSON: u8 = 2;

pub(super) struct Output {
    sink: Sink,
    /// One of the constants above. Leaves `WAITING` once, under the lock of `waiting`.
    format: AtomicU8,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    records: Vec<Record>,
    bytes: usize,
    left_out: u64,
}

impl Output {
    pub(super) fn new(sink: Sink) -> Self {
        Self { sink, format: AtomicU8::new(WAITING), waiting: Mutex::default() }
    }

    pub(super) fn waits(&self) -> bool {
        self.format().is_none()
    }

    pub(super) fn write(&self, record: Record) {
        let format = match self.format() {
            Some(format) => format,
            None => {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                // It may have been said while the lock was waited for.
                let Some(format) = self.format() else { return waiting.keep(record) };
                format
            }
        };
        (self.sink)(record.line(format).as_bytes());
    }

    /// Writes what waits and is enabled, and from now on every line, in this format.
    pub(super) fn open(&self, format: LogFormat, levels: &Targets) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Waiting { records, left_out, .. } = std::mem::take(&mut *waiting);
        for record in records.iter().filter(|record| levels.would_enable(record.target, &record.level)) {
            (self.sink)(record.line(format).as_bytes());
        }
        self.format.store(if format == LogFormat::Json { JSON } else { LOGFMT }, Ordering::Release);
        // What comes meanwhile waits for the lock, and stands after what waited.
        drop(waiting);
        if left_out > 0 {
            tracing::warn!(left_out, "more was logged before the configuration was loaded than is kept");
        }
    }

    fn format(&self) -> Option<LogFormat> {
        match self.format.load(Ordering::Acquire) {
            LOGFMT => Some(LogFormat::Logfmt),
            JSON => Some(LogFormat::Json),
            _ => None,
        }
    }
}

impl Waiting {
    fn keep(&mut self, record: Record) {
        self.bytes = self.bytes.saturating_add(record.byte_len());
        if self.bytes > WAITING_BYTES {
            self.left_out += 1;
        } else {
            self.records.push(record);
        }
    }
}
