//! What can be wrong with a recording.

use std::io;

/// Why a recording, or the rest of it, could not be read. Offsets are of the whole recording, in bytes.
#[derive(Debug, thiserror::Error)]
pub enum JfrError {
    /// The file cannot be read.
    #[error("the recording cannot be read at byte {offset}: {source}")]
    Read {
        /// Where reading failed.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// There are no bytes at all: nothing was ever recorded, or nothing written yet.
    #[error("the recording is empty")]
    Empty,
    /// No recording, or bytes between two of its chunks. JFR files that are compressed have to be unpacked first.
    #[error("no chunk of a JFR recording begins at byte {0} (the bytes `FLR` and 0)")]
    NoChunk(u64),
    /// A version of the format that this reader does not know.
    #[error("the chunk at byte {offset} is of JFR version {major}.{minor}; 2.x can be read (JDK 9 and later)")]
    Version {
        /// Where the chunk begins.
        offset: u64,
        /// The version that is not known.
        major: u16,
        /// Its minor part.
        minor: u16,
    },
    /// Who wrote it came to no end, and what its events refer to was never written.
    #[error("the chunk at byte {0} was never finished: the names of what was recorded are missing")]
    Unfinished(u64),
    /// Something ends before it should: most often the file was cut.
    #[error("the recording is cut short: at byte {0} more should follow")]
    CutShort(u64),
    /// Bytes that no writer of JFR writes.
    #[error("the recording is damaged at byte {offset}: {what}")]
    Damaged {
        /// Where, or just behind it.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// More than is kept of any recording.
    #[error("at byte {offset} the recording holds more {what} than the {limit} allowed")]
    TooMuch {
        /// Where the limit was reached.
        offset: u64,
        /// Of what.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
    },
}

pub(super) type Result<T> = std::result::Result<T, JfrError>;
