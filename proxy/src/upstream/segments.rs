//! A request body in pieces: sent as vectored writes, never joined.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// The pieces, in order. A clone is cheap, so that a retry sends the same bytes.
#[derive(Debug, Clone, Default)]
pub struct Segments {
    /// Last first: the next piece is popped.
    reversed: Vec<Bytes>,
    remaining: u64,
}

impl From<Vec<Bytes>> for Segments {
    fn from(mut pieces: Vec<Bytes>) -> Self {
        pieces.retain(|piece| !piece.is_empty());
        pieces.reverse();
        let remaining = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self { reversed: pieces, remaining }
    }
}

impl From<Bytes> for Segments {
    fn from(whole: Bytes) -> Self {
        vec![whole].into()
    }
}

impl Segments {
    /// What is left of it, in order.
    pub fn pieces(&self) -> impl Iterator<Item = &Bytes> {
        self.reversed.iter().rev()
    }

    /// Bytes that are left.
    pub fn len(&self) -> u64 {
        self.remaining
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.remaining == 0
    }
}

impl Body for Segments {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        let piece = this.reversed.pop();
        this.remaining -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.reversed.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}
