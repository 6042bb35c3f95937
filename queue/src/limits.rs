//! What a queue may take, and what it tells of itself.

use std::time::{Duration, SystemTime};

/// The smallest `max_size`.
pub const MIN_SIZE: u64 = 1 << 20;

/// How much a queue holds, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all its files; at least [`MIN_SIZE`], and less counts as that much. A seventeenth to an eighth of it is kept
    /// for notes of what was acknowledged.
    pub max_size: u64,
    /// A record older than that is dropped when its turn comes.
    pub max_age: Duration,
    /// What happens to a record for which there is no room.
    pub when_full: WhenFull,
    /// Bytes of new payloads that stay in memory until they are read; those beyond are read back from disk. As many again
    /// may wait to be written.
    pub memory: usize,
    /// Records that may be lent at the same time.
    pub max_lent: usize,
}

/// What happens to a record for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// It is refused.
    Reject,
    /// It takes the place of the oldest ones: of a whole segment, up to a sixteenth of the queue.
    DropOldest,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_size: 1 << 30,
            max_age: Duration::from_secs(24 * 60 * 60),
            when_full: WhenFull::Reject,
            memory: 16 << 20,
            max_lent: 1024,
        }
    }
}

impl Limits {
    /// How long a segment grows. Room is made by segments; each costs an open file and two more syncs.
    pub(crate) fn segment_size(&self) -> u64 {
        (self.max_size() / 16).clamp(1 << 16, 1 << 30)
    }

    /// What payloads may take; the rest is for positions, which have to be written most of all when the queue is full.
    pub(crate) fn payload_size(&self) -> u64 {
        self.max_size() - self.segment_size()
    }

    /// The longest payload in bytes.
    pub(crate) fn max_payload(&self) -> u64 {
        (self.payload_size() / 2).min(1 << 30)
    }

    fn max_size(&self) -> u64 {
        self.max_size.max(MIN_SIZE)
    }

    pub(crate) fn expired(&self, time: u64, now: u64) -> bool {
        u128::from(now.saturating_sub(time)) > self.max_age.as_millis()
    }
}

/// What was found when a queue was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Records that wait.
    pub records: u64,
    /// Records that waited and were damaged, as far as those around them tell.
    pub lost: u64,
    /// Bytes that belong to no record: damage, or what was being written when the process or the machine stopped.
    pub skipped_bytes: u64,
    /// Files that cannot be read, or are of a later version. They stay where they are.
    pub ignored_files: u64,
}

/// What a queue holds, and what became of what it held since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Records that wait or are lent.
    pub records: u64,
    /// Bytes of all its files.
    pub bytes: u64,
    /// When the oldest of its records was appended, or a little earlier: those that lie on disk alone are not looked at.
    pub oldest: Option<SystemTime>,
    /// Records appended.
    pub appended: u64,
    /// Records acknowledged.
    pub acknowledged: u64,
    /// Records that made room for newer ones.
    pub dropped: u64,
    /// Records that were older than `max_age`.
    pub expired: u64,
    /// Records that could not be read back.
    pub damaged: u64,
    /// Records that were rejected, and are kept in the folder `rejected`.
    pub rejected: u64,
    /// Records that were rejected, and could not be kept.
    pub rejected_lost: u64,
    /// Times that files could not be written or removed.
    pub io_errors: u64,
}

/// Why a record was not taken.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// There is no room; there will be when records are acknowledged.
    #[error("the queue is full: {bytes} of at most {max_size} bytes; what waits in it has to be sent first")]
    Full {
        /// Bytes of all files.
        bytes: u64,
        /// What is allowed.
        max_size: u64,
    },
    /// No queue of this size takes a record of this length.
    #[error("a record of {length} bytes is too long: the queue takes {limit} at most, half of its size")]
    TooLong {
        /// Of the record.
        length: u64,
        /// The longest that is taken.
        limit: u64,
    },
    /// The disk does not take it, for now.
    #[error("the queue cannot be written: {0}")]
    Io(std::sync::Arc<std::io::Error>),
    /// The queue has been closed.
    #[error("the queue is closed")]
    Closed,
}
