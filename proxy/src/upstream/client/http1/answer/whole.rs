//! Reading a body that is wanted whole: straight from the socket to where it is kept.

use bytes::BytesMut;
use http::{HeaderMap, StatusCode};
use tokio::io::AsyncRead;

use super::{AnswerError, Head, Incoming, Length, READ, length};
use crate::upstream::client::REASON;
use crate::upstream::client::intake::Intake;

/// An answer whose body goes into the intake; and whether the connection can be used again.
pub(in crate::upstream::client::http1) async fn read_into(
    stream: &mut (impl AsyncRead + Unpin),
    intake: &mut Intake,
) -> Result<(StatusCode, HeaderMap, bool), AnswerError> {
    let mut incoming = Incoming { stream, buffer: BytesMut::with_capacity(READ), silent: true };
    let Head { status, headers, stays } = incoming.final_head().await?;
    intake.begin((!status.is_success()).then_some(REASON));
    let whole = match length(status, &headers)? {
        Length::Bytes(length) => incoming.bytes_into(length, intake).await?,
        Length::Chunks => incoming.chunks_into(intake).await?,
        Length::Close => incoming.rest_into(intake).await?,
    };
    let reusable = stays && whole && incoming.buffer.is_empty();
    Ok((status, headers, reusable))
}

/// Each says whether it has read the whole body.
impl<S: AsyncRead + Unpin> Incoming<'_, S> {
    async fn bytes_into(&mut self, length: u64, intake: &mut Intake) -> Result<bool, AnswerError> {
        intake.announced(length).await?;
        self.part_into(length, intake).await
    }

    async fn chunks_into(&mut self, intake: &mut Intake) -> Result<bool, AnswerError> {
        loop {
            let size = self.chunk_size().await?;
            if size == 0 {
                return self.trailers().await.map(|()| true);
            }
            if !self.part_into(size, intake).await? {
                return Ok(false);
            }
            if !self.line(2).await?.is_empty() {
                return Err(AnswerError::Malformed("a chunk longer than its size"));
            }
        }
    }

    /// Never the whole: nobody says where it ends.
    async fn rest_into(&mut self, intake: &mut Intake) -> Result<bool, AnswerError> {
        match self.part_into(u64::MAX, intake).await {
            Ok(_) | Err(AnswerError::Cut) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn part_into(&mut self, length: u64, intake: &mut Intake) -> Result<bool, AnswerError> {
        let here = self.buffer.len().min(usize::try_from(length).unwrap_or(usize::MAX));
        let mut left = length - here as u64;
        intake.append(&self.buffer.split_to(here)).await?;
        while left > 0 && !intake.is_full() {
            match intake.read(self.stream, left).await?? {
                0 => return Err(AnswerError::Cut),
                read => left -= read as u64,
            }
        }
        Ok(left == 0)
    }
}
