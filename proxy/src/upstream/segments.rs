//! A request body in pieces: sent as vectored writes, never joined.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, SizeHint};

use crate::pipeline::Origin;

/// The pieces, in order. A clone is cheap, so that a retry sends the same bytes.
#[derive(Debug, Clone, Default)]
pub struct Segments {
    /// Last first: the next piece is popped.
    reversed: Vec<Bytes>,
    remaining: u64,
    origin: Option<Arc<Origin>>,
}

impl Segments {
    /// The same pieces, whose memory is this origin's.
    ///
    /// A connection that is stuck keeps what it is to write after the request was given up: until it lets go, the
    /// memory counts as held.
    #[must_use]
    pub fn of(self, origin: Arc<Origin>) -> Self {
        Self { origin: Some(origin), ..self }
    }

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

    /// The pieces, last first.
    pub(super) fn into_reversed_pieces(self) -> Vec<Bytes> {
        self.reversed
    }
}

/// A piece on its way.
#[derive(Debug)]
pub struct Piece {
    bytes: Bytes,
    /// Holds the memory.
    _origin: Option<Arc<Origin>>,
}

impl From<Bytes> for Piece {
    /// A piece whose memory is counted elsewhere.
    fn from(bytes: Bytes) -> Self {
        Self { bytes, _origin: None }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

impl From<Vec<Bytes>> for Segments {
    fn from(mut pieces: Vec<Bytes>) -> Self {
        pieces.retain(|piece| !piece.is_empty());
        pieces.reverse();
        let remaining = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self { reversed: pieces, remaining, origin: None }
    }
}

impl From<Bytes> for Segments {
    fn from(whole: Bytes) -> Self {
        vec![whole].into()
    }
}

impl Body for Segments {
    type Data = Piece;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Piece>, Infallible>>> {
        let this = self.get_mut();
        let piece = this.reversed.pop();
        this.remaining -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(piece.map(|bytes| Ok(Frame::data(Piece { bytes, _origin: this.origin.clone() }))))
    }

    fn is_end_stream(&self) -> bool {
        self.reversed.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}
