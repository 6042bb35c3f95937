//! The body of an answer that is wanted whole: bounded, and paid for before it is kept.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::pipeline::Share;

/// Memory taken at first for a body of unknown or of great length.
const FIRST_STEP: usize = 16 << 10;
/// No more than this on a server's word alone: whoever announces much and sends little must not starve others.
const MOST_AT_WORD: usize = 1 << 20;

/// Takes the body of an answer.
#[derive(Debug)]
pub struct Intake {
    bytes: BytesMut,
    memory: Share,
    limit: usize,
    expected: usize,
    /// Where only the beginning is wanted.
    cut: Option<usize>,
}

/// Why a body is not kept.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// It is too large.
    #[error("the body is larger than max_body_size ({0} bytes)")]
    TooLarge(usize),
    /// It would never fit beside nothing else.
    #[error("the body does not fit into max_inflight_bytes ({0} bytes)")]
    NoRoom(usize),
}

impl Intake {
    /// Takes bodies of at most `limit` bytes, which `memory` pays for; about as many as `expected` are likely.
    pub fn new(memory: Share, limit: usize, expected: usize) -> Self {
        Self { bytes: BytesMut::new(), memory, limit, expected, cut: None }
    }

    /// What was read, and what pays for it.
    pub fn finish(self) -> (Bytes, Share) {
        (self.bytes.freeze(), self.memory)
    }

    /// Takes another body, or only its beginning.
    pub(in crate::upstream) fn begin(&mut self, cut: Option<usize>) {
        self.bytes.clear();
        self.cut = cut;
    }

    /// Whether it has all that it wants.
    pub(super) fn is_full(&self) -> bool {
        self.cut.is_some_and(|cut| self.bytes.len() >= cut)
    }

    /// A body of this length is about to come.
    ///
    /// # Errors
    /// It is too large, or never fits.
    pub(super) async fn announced(&mut self, length: u64) -> Result<(), IntakeError> {
        if self.cut.is_some() {
            return Ok(());
        }
        let length = usize::try_from(length).ok().filter(|length| *length <= self.limit);
        let length = length.ok_or(IntakeError::TooLarge(self.limit))?;
        self.expected = length.min(MOST_AT_WORD);
        self.reserve(self.expected).await
    }

    /// Keeps a piece, or as much of it as is wanted.
    ///
    /// # Errors
    /// The body is too large, or never fits.
    pub(super) async fn append(&mut self, piece: &[u8]) -> Result<(), IntakeError> {
        let wanted = self.cut.map_or(piece.len(), |cut| cut.saturating_sub(self.bytes.len()).min(piece.len()));
        let piece = piece.get(..wanted).unwrap_or_default();
        self.reserve(piece.len()).await?;
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// Reads what there is, at most so many bytes; none at the end.
    ///
    /// # Errors
    /// The connection's, or the body is too large, or never fits.
    pub(super) async fn read(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        most: u64,
    ) -> Result<io::Result<usize>, IntakeError> {
        if self.bytes.len() == self.limit {
            return Err(IntakeError::TooLarge(self.limit));
        }
        self.reserve(1).await?;
        let room = self.bytes.capacity().min(self.limit) - self.bytes.len();
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(room);
        Ok(stream.read_buf(&mut (&mut self.bytes).limit(most)).await)
    }

    async fn reserve(&mut self, more: usize) -> Result<(), IntakeError> {
        let length = self.bytes.len().saturating_add(more);
        if length > self.limit {
            return Err(IntakeError::TooLarge(self.limit));
        }
        let held = self.memory.bytes();
        if length > held {
            let expected = if self.cut.is_some() { 0 } else { self.expected };
            let step = if held == 0 { expected.max(FIRST_STEP) } else { held.saturating_mul(2) };
            let capacity = length.max(step.min(self.limit));
            if !self.memory.grow_in_turn(capacity - held).await {
                return Err(IntakeError::NoRoom(self.memory.limit()));
            }
        }
        self.bytes.reserve(self.memory.bytes().saturating_sub(self.bytes.len()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Budget;

    #[tokio::test]
    async fn what_is_kept_is_paid_for() {
        let budget = Budget::new(1 << 20);
        let mut intake = Intake::new(budget.take(0).unwrap(), 1 << 19, 100);
        for _ in 0..10 {
            intake.append(&[7; 5000]).await.unwrap();
            assert!(budget.used() >= intake.bytes.capacity());
        }
        let (bytes, memory) = intake.finish();
        assert_eq!((bytes.len(), memory.bytes()), (50_000, 64 << 10));
        drop(memory);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn no_body_is_larger_than_allowed() {
        let budget = Budget::new(1000);
        let intake = |limit| Intake::new(budget.take(0).unwrap(), limit, 0);
        assert!(matches!(intake(10).append(&[0; 11]).await, Err(IntakeError::TooLarge(10))));
        assert!(matches!(intake(10).announced(11).await, Err(IntakeError::TooLarge(10))));
        assert!(matches!(intake(2000).append(&[0; 1001]).await, Err(IntakeError::NoRoom(1000))));
        let mut exact = intake(10);
        let mut stream: &[u8] = &[0; 11];
        assert_eq!(exact.read(&mut stream, u64::MAX).await.unwrap().unwrap(), 10);
        assert!(matches!(exact.read(&mut stream, u64::MAX).await, Err(IntakeError::TooLarge(10))));
        assert_eq!(budget.used(), 10);
    }

    #[tokio::test]
    async fn of_some_only_the_beginning_is_kept() {
        let mut intake = Intake::new(Share::unbounded(), 1 << 20, 0);
        intake.begin(Some(4));
        intake.announced(1 << 30).await.unwrap();
        intake.append(b"abcdef").await.unwrap();
        assert!(intake.is_full());
        assert_eq!(intake.finish().0, "abcd");
    }
}
