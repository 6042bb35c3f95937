//! What stands at the beginning of a chunk.

use super::error::{JfrError, Result};
use super::reader::Reader;

/// In bytes.
pub(super) const HEADER: u64 = 68;
const MAGIC: u64 = u64::from_be_bytes(*b"\0\0\0\0FLR\0");
/// Of the features: numbers take as many bytes as they need.
const COMPRESSED: u64 = 1;

/// Offsets are of the whole recording.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) start: u64,
    /// Where the next chunk begins.
    pub(super) end: u64,
    /// The last event of constants; `None` where it is not there.
    pub(super) constants: Option<u64>,
    pub(super) metadata: Option<u64>,
    /// What is not there was written, and cut off.
    pub(super) is_cut: bool,
    /// Nanoseconds since 1970.
    pub(super) start_nanos: u64,
    pub(super) duration_nanos: u64,
    pub(super) ticks_per_second: u64,
}

impl Header {
    /// Reads the header at the position of the reader, which is bound to the chunk from then on.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let start = reader.position();
        reader.bound(u64::MAX);
        if reader.fixed::<4>().ok() != Some(MAGIC) {
            return Err(JfrError::NoChunk(start));
        }
        let (major, minor) = (reader.fixed::<2>()? as u16, reader.fixed::<2>()? as u16);
        if major != 2 {
            return Err(JfrError::Version { offset: start, major, minor });
        }
        let (size, constants, metadata) = (reader.fixed::<8>()?, reader.fixed::<8>()?, reader.fixed::<8>()?);
        let (start_nanos, duration_nanos) = (reader.fixed::<8>()?, reader.fixed::<8>()?);
        let (_start_ticks, ticks_per_second) = (reader.fixed::<8>()?, reader.fixed::<8>()?);
        let compressed = reader.fixed::<4>()? & COMPRESSED != 0;
        // While a chunk is written its size is none, or more than there is.
        let end = start.checked_add(size).filter(|end| size >= HEADER && *end <= reader.size());
        let end = end.unwrap_or(reader.size());
        let inside = |offset: u64| Some(start.checked_add(offset)?).filter(|at| offset >= HEADER && *at < end);
        reader.numbers_are_compressed(compressed);
        reader.bound(end);
        Ok(Self {
            start,
            end,
            constants: inside(constants),
            metadata: inside(metadata),
            is_cut: constants >= HEADER && start.saturating_add(size) > reader.size(),
            start_nanos,
            duration_nanos,
            ticks_per_second,
        })
    }

    /// Ticks of the chunk's clock in nanoseconds.
    pub(super) fn nanos(&self, ticks: u64) -> i64 {
        let per_second = u128::from(self.ticks_per_second.max(1));
        i64::try_from(u128::from(ticks) * 1_000_000_000 / per_second).unwrap_or(i64::MAX)
    }
}
