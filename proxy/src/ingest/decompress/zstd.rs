//! Zstandard: frames, one behind the other.

use std::io::Write;

use bytes::Bytes;
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};
use zstd::zstd_safe::DParameter;

use super::{Capped, DecompressError};
use crate::pipeline::Share;

/// Bytes of output between two chances for other tasks to run; a block has no more.
const STEP: usize = 128 << 10;
/// The largest window, as for all of HTTP (RFC 9659): 8 MiB.
const WINDOW_LOG_MAX: u32 = 23;
const WINDOW_LOG_MIN: u32 = 10;

/// Decompresses frames; `memory` grows by what comes out, before it does. The window is paid for as well, and given back.
pub(super) async fn unpack(compressed: &[u8], limit: usize, memory: &mut Share) -> Result<Bytes, DecompressError> {
    let refused = |error: std::io::Error| damaged(&error.to_string());
    let mut window = memory.another();
    let mut decoder = Decoder::new().map_err(refused)?;
    decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)).map_err(refused)?;
    let mut capped = Capped::new(limit, memory);
    let mut chunk = vec![0; STEP];
    let mut input = InBuffer::around(compressed);
    loop {
        let frame = compressed.get(input.pos()..).unwrap_or_default();
        if !window.grow((1usize << window_log(frame)).saturating_sub(window.bytes())) {
            return Err(DecompressError::Busy);
        }
        loop {
            let mut output = OutBuffer::around(chunk.as_mut_slice());
            let before = input.pos();
            let left = decoder.run(&mut input, &mut output).map_err(refused)?;
            let written = output.as_slice();
            if capped.write_all(written).is_err() {
                return Err(capped.over.take().unwrap_or(DecompressError::TooLarge(limit)));
            }
            if left == 0 {
                break;
            }
            if written.is_empty() && input.pos() == before {
                return Err(damaged("it ends before its last frame does"));
            }
            tokio::task::yield_now().await;
        }
        if input.pos() == compressed.len() {
            return Ok(std::mem::take(&mut capped.bytes).freeze());
        }
        decoder.reinit().map_err(refused)?;
    }
}

/// The window that a frame asks for, as a power of two that is no less; the largest one where the frame does not say
/// (RFC 8878, section 3.1.1.1). More than that the decoder refuses.
fn window_log(frame: &[u8]) -> u32 {
    let Some((&descriptor, rest)) = frame.get(4..).and_then(<[u8]>::split_first) else { return WINDOW_LOG_MAX };
    let log = if descriptor & 0x20 == 0 {
        rest.first().map(|window| u32::from(window >> 3) + 11 - u32::from(window & 7 == 0))
    } else {
        // In one segment the content is its own window.
        let dictionary_id = [0, 1, 2, 4].get(usize::from(descriptor & 3)).copied().unwrap_or_default();
        let size = rest.get(dictionary_id..).unwrap_or_default();
        let content = match descriptor >> 6 {
            0 => size.first().map(|size| u64::from(*size)),
            1 => size.first_chunk().map(|size| u64::from(u16::from_le_bytes(*size)) + 256),
            2 => size.first_chunk().map(|size| u64::from(u32::from_le_bytes(*size))),
            _ => size.first_chunk().map(|size| u64::from_le_bytes(*size)),
        };
        content.and_then(u64::checked_next_power_of_two).map(u64::ilog2)
    };
    log.unwrap_or(WINDOW_LOG_MAX).clamp(WINDOW_LOG_MIN, WINDOW_LOG_MAX)
}

fn damaged(cause: &str) -> DecompressError {
    DecompressError::Damaged("zstd", cause.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Budget;

    fn pack(bytes: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(bytes, 3).unwrap()
    }

    #[tokio::test]
    async fn what_was_compressed_comes_out_and_is_paid_for() {
        let budget = Budget::new(16 << 20);
        let mut memory = budget.take(0).unwrap();
        let text = b"a profile ".repeat(100_000);
        assert_eq!(unpack(&pack(&text), 1 << 20, &mut memory).await.unwrap(), text);
        assert!(budget.used() >= text.len() && budget.used() < 4 << 20, "the window is given back");
        // With its length in the head, in one segment; in several frames, an empty one among them.
        for text in [&b"short"[..], &b"a profile".repeat(30_000)] {
            let whole = zstd::bulk::compress(text, 3).unwrap();
            assert_eq!(unpack(&whole, 1 << 20, &mut Share::unbounded()).await.unwrap(), text);
            let frames = [whole.clone(), pack(b""), pack(text)].concat();
            let twice = [text, text].concat();
            assert_eq!(unpack(&frames, 1 << 20, &mut Share::unbounded()).await.unwrap(), twice);
        }
        // What is exactly as large as a step.
        let step = vec![7; STEP];
        assert_eq!(unpack(&pack(&step), 1 << 20, &mut Share::unbounded()).await.unwrap(), step);
    }

    #[tokio::test]
    async fn a_bomb_ends_at_the_limit() {
        let budget = Budget::new(16 << 20);
        let bomb = pack(&vec![0; 64 << 20]);
        let limit = 1 << 16;
        assert_eq!(unpack(&bomb, limit, &mut budget.take(0).unwrap()).await, Err(DecompressError::TooLarge(limit)));
        assert_eq!(unpack(&bomb, usize::MAX, &mut budget.take(0).unwrap()).await, Err(DecompressError::Busy));
        assert_eq!(unpack(&bomb, limit, &mut Budget::new(1 << 10).take(0).unwrap()).await, Err(DecompressError::Busy));
    }

    #[tokio::test]
    async fn a_window_is_bounded() {
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(b"a profile").unwrap();
        let result = unpack(&encoder.finish().unwrap(), 1000, &mut Share::unbounded()).await;
        assert!(matches!(result, Err(DecompressError::Damaged(..))), "{result:?}");
    }

    #[tokio::test]
    async fn every_cut_is_damage() {
        for whole in [pack(b"a profile"), zstd::bulk::compress(&b"profile".repeat(100), 3).unwrap()] {
            for cut in 0..whole.len() {
                let result = unpack(&whole[..cut], 1000, &mut Share::unbounded()).await;
                assert!(matches!(result, Err(DecompressError::Damaged(..))), "cut at {cut}: {result:?}");
            }
        }
        let text = unpack(b"not zstd", 1000, &mut Share::unbounded()).await;
        assert!(matches!(text, Err(DecompressError::Damaged(..))), "{text:?}");
    }
}
