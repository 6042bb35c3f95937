//! Decompression that never holds more than it may.

use std::io::{self, Write};

use bytes::{Bytes, BytesMut};
use flate2::write::MultiGzDecoder;

use crate::pipeline::Share;

mod zstd;

/// Why a body cannot be decompressed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecompressError {
    /// More came out than allowed.
    #[error("the body is larger than max_body_size ({0} bytes) once decompressed")]
    TooLarge(usize),
    /// No memory left for what came out.
    #[error("the bodies held now own all of max_inflight_bytes; send again later")]
    Busy,
    /// Damaged, or cut short.
    #[error("the {0} stream is damaged: {1}")]
    Damaged(&'static str, String),
}

/// Compressed bytes handled between two chances for other tasks to run. Deflate makes at most 1,032 bytes of one, so a
/// step is four megabytes of output, some milliseconds.
const STEP: usize = 4096;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// The encodings that are understood, for the sender of another one.
pub const ENCODINGS: &str = "gzip, zstd";

impl Encoding {
    /// The encoding that a header names; `None` for none at all.
    ///
    /// # Errors
    /// One that is not understood.
    pub fn named(name: &[u8]) -> Result<Option<Self>, String> {
        match name.to_ascii_lowercase().as_slice() {
            b"" | b"identity" => Ok(None),
            b"gzip" | b"x-gzip" => Ok(Some(Self::Gzip)),
            b"zstd" => Ok(Some(Self::Zstd)),
            other => Err(String::from_utf8_lossy(other).into_owned()),
        }
    }
}

/// Decompresses a body; `memory` grows by what comes out, before it does.
pub async fn decompress(
    encoding: Encoding,
    compressed: &[u8],
    limit: usize,
    memory: &mut Share,
) -> Result<Bytes, DecompressError> {
    match encoding {
        Encoding::Gzip => gunzip(compressed, limit, memory).await,
        Encoding::Zstd => zstd::unpack(compressed, limit, memory).await,
    }
}

/// Decompresses a gzip stream; `memory` grows by what comes out, before it does.
pub async fn gunzip(compressed: &[u8], limit: usize, memory: &mut Share) -> Result<Bytes, DecompressError> {
    let mut decoder = MultiGzDecoder::new(Capped::new(limit, memory));
    for step in compressed.chunks(STEP) {
        let written = decoder.write_all(step);
        if let Some(over) = decoder.get_mut().over.take() {
            return Err(over);
        }
        written.map_err(|error| DecompressError::Damaged("gzip", error.to_string()))?;
        if compressed.len() > STEP {
            tokio::task::yield_now().await;
        }
    }
    let finished = decoder.try_finish();
    let capped = decoder.get_mut();
    if let Some(over) = capped.over.take() {
        return Err(over);
    }
    finished.map_err(|error| DecompressError::Damaged("gzip", error.to_string()))?;
    Ok(std::mem::take(&mut capped.bytes).freeze())
}

struct Capped<'a> {
    bytes: BytesMut,
    paid: usize,
    limit: usize,
    memory: &'a mut Share,
    over: Option<DecompressError>,
}

impl<'a> Capped<'a> {
    fn new(limit: usize, memory: &'a mut Share) -> Self {
        Self { bytes: BytesMut::new(), paid: 0, limit, memory, over: None }
    }
}

impl Write for Capped<'_> {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        let length = self.bytes.len() + chunk.len();
        if length > self.limit {
            self.over = Some(DecompressError::TooLarge(self.limit));
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        if length > self.paid {
            let capacity = length.max((self.paid * 2).min(self.limit));
            if !self.memory.grow(capacity - self.paid) {
                self.over = Some(DecompressError::Busy);
                return Err(io::ErrorKind::OutOfMemory.into());
            }
            self.paid = capacity;
            self.bytes.reserve(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(chunk);
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Budget;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test]
    async fn what_was_compressed_comes_out_and_is_paid_for() {
        let budget = Budget::new(1 << 20);
        let mut memory = budget.take(0).unwrap();
        let text = b"a profile ".repeat(10_000);
        assert_eq!(gunzip(&gzip(&text), 1 << 20, &mut memory).await.unwrap(), text);
        assert!(budget.used() >= text.len());
    }

    #[tokio::test]
    async fn a_bomb_ends_at_the_limit() {
        let budget = Budget::new(1 << 20);
        let bomb = gzip(&vec![0; 64 << 20]);
        let mut memory = budget.take(0).unwrap();
        let limit = 1 << 16;
        assert_eq!(gunzip(&bomb, limit, &mut memory).await, Err(DecompressError::TooLarge(limit)));
        assert_eq!(gunzip(&bomb, usize::MAX, &mut memory).await, Err(DecompressError::Busy));
    }

    #[tokio::test]
    async fn every_cut_is_damage() {
        let whole = gzip(b"a profile");
        for cut in 0..whole.len() {
            let result = gunzip(&whole[..cut], 1000, &mut Share::unbounded()).await;
            assert!(matches!(result, Err(DecompressError::Damaged(..))), "cut at {cut}: {result:?}");
        }
        let text = gunzip(b"not gzip", 1000, &mut Share::unbounded()).await;
        assert!(matches!(text, Err(DecompressError::Damaged(..))), "{text:?}");
    }
}
