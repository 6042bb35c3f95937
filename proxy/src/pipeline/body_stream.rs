//! A body that is handed on while it comes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

/// Pieces that wait to be sent on.
const PIECES: usize = 1;
/// Bytes of a body that are in memory at once: a piece that was read, one that waits and one that is sent, each of 64 KiB at
/// most, unless a listener's `max_read_frame_size` allows larger frames.
pub const HELD_BYTES: usize = (2 + PIECES) << 16;

/// The end that is written to.
#[derive(Debug)]
pub struct BodyWriter(mpsc::Sender<Piece>);

/// The end that is read, as the body of a request. It fails where the writer is gone before the [end](BodyWriter::finish): what
/// was cut short is never taken for a whole.
#[derive(Debug)]
pub struct BodyStream {
    pieces: mpsc::Receiver<Piece>,
    /// Bytes still to come, where that is known.
    remaining: Option<u64>,
    ended: bool,
}

#[derive(Debug)]
enum Piece {
    Data(Bytes),
    End,
}

/// Both ends of a body; `length` is what its sender announced.
pub fn body_stream(length: Option<u64>) -> (BodyWriter, BodyStream) {
    let (writer, pieces) = mpsc::channel(PIECES);
    (BodyWriter(writer), BodyStream { pieces, remaining: length, ended: false })
}

impl BodyWriter {
    /// Waits until there is room for a piece; `false` where nobody reads any more.
    pub async fn write(&self, data: Bytes) -> bool {
        self.0.send(Piece::Data(data)).await.is_ok()
    }

    /// The body was written whole.
    pub async fn finish(self) {
        // Whoever reads no more does not ask for the end.
        let _heard = self.0.send(Piece::End).await;
    }
}

impl Body for BodyStream {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(self.pieces.poll_recv(context)) {
            Some(Piece::Data(data)) => {
                self.remaining = self.remaining.map(|remaining| remaining.saturating_sub(data.len() as u64));
                Some(Ok(Frame::data(data)))
            }
            Some(Piece::End) => {
                self.ended = true;
                None
            }
            None => {
                self.ended = true;
                Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the sender's body ended too early")))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        self.remaining.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_body_is_whole_or_fails() {
        let (writer, body) = body_stream(Some(4));
        assert_eq!(body.size_hint().exact(), Some(4));
        let writing = async {
            assert!(writer.write("ab".into()).await && writer.write("cd".into()).await);
            writer.finish().await;
        };
        let (read, ()) = tokio::join!(body.collect(), writing);
        assert_eq!(read.unwrap().to_bytes(), "abcd");

        let (writer, body) = body_stream(None);
        assert!(writer.write("ab".into()).await);
        drop(writer);
        assert_eq!(body.collect().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);

        let (writer, body) = body_stream(None);
        drop(body);
        assert!(!writer.write("ab".into()).await);
    }
}
