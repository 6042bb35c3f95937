//! Sections that are compressed, as debug information is.

use std::io::Read;

use flate2::read::ZlibDecoder;
use object::LittleEndian;
use object::elf::{CompressionHeader64, ELFCOMPRESS_ZLIB, ELFCOMPRESS_ZSTD};

use super::ElfError;

/// Most bytes that come of one compressed byte. Tables of debug information shrink to a tenth at most; zlib could make
/// a thousand bytes of one.
const MAX_GROWTH: u64 = 64;

pub(super) fn decompress(bytes: &[u8], limit: u64) -> Result<Vec<u8>, ElfError> {
    let (header, data) = bytes
        .split_at_checked(size_of::<CompressionHeader64<LittleEndian>>())
        .ok_or(ElfError::Compressed("it is shorter than its header"))?;
    // The header is { u32 type; u32 reserved; u64 size; u64 alignment }.
    match word(header, 0) {
        ELFCOMPRESS_ZLIB => {}
        ELFCOMPRESS_ZSTD => return Err(ElfError::Compressed("zstd is not supported")),
        _ => return Err(ElfError::Compressed("its compression is unknown")),
    }
    let size = u64::from(word(header, 8)) | u64::from(word(header, 12)) << 32;
    let limit = limit.min(MAX_GROWTH.saturating_mul(data.len().try_into().unwrap_or(u64::MAX)));
    if size > limit {
        return Err(ElfError::TooLarge { what: "a decompressed section", size, limit });
    }
    let mut decompressed = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    ZlibDecoder::new(data)
        .take(size)
        .read_to_end(&mut decompressed)
        .map_err(|_invalid| ElfError::Compressed("it is no zlib stream"))?;
    if decompressed.len().try_into() != Ok(size) {
        return Err(ElfError::Compressed("it is shorter than it says"));
    }
    Ok(decompressed)
}

fn word(bytes: &[u8], from: usize) -> u32 {
    bytes.get(from..).and_then(<[u8]>::first_chunk).map_or(0, |word| u32::from_le_bytes(*word))
}
