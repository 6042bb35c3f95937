//! JDK Flight Recorder files, read as far as a server must read them to make profiles: every chunk, its
//! metadata, its constant pools, every event, and the methods of every sampled stack.

mod chunk;
mod cursor;
mod layout;

use std::collections::{BTreeMap, BTreeSet};

use chunk::Chunk;

/// Why bytes are no recording.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JfrError {
    /// The layout is broken.
    #[error("malformed JFR at byte {at} of its chunk: {what}")]
    Malformed {
        /// Offset in the chunk.
        at: usize,
        /// What is wrong there.
        what: String,
    },
    /// A reference leads nowhere.
    #[error("malformed JFR: {what} {id} is in no constant pool")]
    Unresolved {
        /// The type of the constant.
        what: &'static str,
        /// Its id.
        id: i64,
    },
    /// No chunk at all.
    #[error("the JFR is empty")]
    Empty,
}

impl JfrError {
    fn malformed(at: usize, what: impl Into<String>) -> Self {
        Self::Malformed { at, what: what.into() }
    }
}

/// What a recording holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recording {
    /// How many chunks it has.
    pub chunks: usize,
    /// Events by type, such as `jdk.ExecutionSample`.
    pub events: BTreeMap<String, usize>,
    /// Types of the events that carry a stack.
    pub sampled: BTreeSet<String>,
    /// `package.Class.method` of every frame of every event's stack.
    pub functions: BTreeSet<String>,
}

/// Reads an uncompressed recording.
///
/// # Errors
/// The first thing that is not as the format demands.
pub fn read(mut bytes: &[u8]) -> Result<Recording, JfrError> {
    let mut recording = Recording::default();
    while !bytes.is_empty() {
        let chunk = Chunk::read(bytes)?;
        bytes = bytes.get(chunk.size()..).unwrap_or_default();
        chunk.add_to(&mut recording)?;
        recording.chunks += 1;
    }
    if recording.chunks == 0 {
        return Err(JfrError::Empty);
    }
    Ok(recording)
}

#[cfg(test)]
mod tests;
