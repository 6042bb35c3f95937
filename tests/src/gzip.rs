//! Gzip, sniffed by its magic as the server does, with a bound on what comes out.

use std::borrow::Cow;
use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Why bytes that begin as gzip could not be decompressed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GzipError {
    /// More came out than the caller allows.
    #[error("uncompressed payload size exceeds limit of {limit} bytes")]
    TooLarge {
        /// The caller's bound, in bytes.
        limit: usize,
    },
    /// Damaged or cut off.
    #[error("gzip: {0}")]
    Damaged(String),
}

/// Whether the bytes begin with gzip's magic.
#[must_use]
pub fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Decompresses bytes that begin with gzip's magic and hands back any others as they are.
///
/// # Errors
/// Damaged gzip, or more than `limit` bytes (for plain bytes too).
pub fn decompress_if_gzip(bytes: &[u8], limit: usize) -> Result<Cow<'_, [u8]>, GzipError> {
    if !is_gzip(bytes) {
        if bytes.len() > limit {
            return Err(GzipError::TooLarge { limit });
        }
        return Ok(Cow::Borrowed(bytes));
    }
    let mut plain = Vec::new();
    let read_at_most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(bytes)
        .take(read_at_most)
        .read_to_end(&mut plain)
        .map_err(|error| GzipError::Damaged(error.to_string()))?;
    if plain.len() > limit {
        return Err(GzipError::TooLarge { limit });
    }
    Ok(Cow::Owned(plain))
}

/// Compresses at the level that the SDKs use.
///
/// # Errors
/// None in practice: the sink is memory.
pub fn compress(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_plain() {
        let packed = compress(b"stack 1\n").unwrap();
        assert!(is_gzip(&packed));
        assert_eq!(&*decompress_if_gzip(&packed, 8).unwrap(), b"stack 1\n");
        assert_eq!(&*decompress_if_gzip(b"plain", 5).unwrap(), b"plain");
    }

    #[test]
    fn refuses_what_is_damaged_or_too_large() {
        let mut packed = compress(&[0; 1 << 20]).unwrap();
        let limit = (1 << 20) - 1;
        assert_eq!(decompress_if_gzip(&packed, limit), Err(GzipError::TooLarge { limit }));
        assert_eq!(decompress_if_gzip(b"plain", 4), Err(GzipError::TooLarge { limit: 4 }));
        packed.truncate(packed.len() - 4);
        assert!(matches!(decompress_if_gzip(&packed, 1 << 20), Err(GzipError::Damaged(_))));
    }
}
