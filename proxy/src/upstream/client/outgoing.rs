//! The body of a request, whole or as it comes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Frame, SizeHint};

use crate::pipeline::BodyStream;
use crate::upstream::Segments;
use crate::upstream::segments::Piece;

/// What a request carries.
#[derive(Debug)]
pub(super) enum Outgoing {
    Whole(Segments),
    Streamed(BodyStream),
}

impl Body for Outgoing {
    type Data = Piece;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Piece>, io::Error>>> {
        match self.get_mut() {
            Self::Whole(segments) => Pin::new(segments)
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(|never| match never {}))),
            Self::Streamed(stream) => Pin::new(stream).poll_frame(context).map_ok(|frame| frame.map_data(Piece::from)),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(segments) => segments.is_end_stream(),
            Self::Streamed(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(segments) => segments.size_hint(),
            Self::Streamed(stream) => stream.size_hint(),
        }
    }
}
