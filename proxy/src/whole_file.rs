//! Files that are read whole.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WholeFileError {
    /// It cannot be opened or read.
    #[error("cannot read {0}: {1}")]
    Io(String, io::Error),
    /// A folder, a pipe, a device.
    #[error("cannot read {0}: it is no file")]
    NoFile(String),
    /// More than the limit.
    #[error("{0} is larger than {1} bytes")]
    TooLarge(String, u64),
}

/// Reads a file of at most so many bytes. Blocks.
///
/// # Errors
/// It is none, is larger, or cannot be read.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, WholeFileError> {
    let name = || path.display().to_string();
    let io = |error| WholeFileError::Io(name(), error);
    // A pipe would block until someone writes to it.
    if !fs::metadata(path).map_err(io)?.is_file() {
        return Err(WholeFileError::NoFile(name()));
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(io)?.take(limit + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > limit {
        return Err(WholeFileError::TooLarge(name(), limit));
    }
    Ok(bytes)
}
