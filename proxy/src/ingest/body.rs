//! Reading a body: counted, bounded, and paid for before it is held.

use bytes::{Bytes, BytesMut};
use http::header;
use pingora_core::protocols::http::ServerSession;
use tokio::time::Instant;

use super::{Limits, Refusal};
use crate::pipeline::{BodyWriter, Share};

/// Memory taken at first for a body of unknown or of great length.
const FIRST_STEP: usize = 1 << 20;

/// Reads the whole body before the deadline. The share covers what is allocated for it.
pub(super) async fn read(
    session: &mut ServerSession,
    limits: &Limits,
    deadline: Instant,
) -> Result<(Bytes, Share), Refusal> {
    let limit = limits.max_body_size;
    let announced = announced_length(session);
    if announced.is_some_and(|length| length > limit) {
        return Err(Refusal::TooLarge { limit });
    }
    // No more than a step on a sender's word alone: whoever announces much and sends little must not starve others.
    let capacity = announced.unwrap_or(0).min(FIRST_STEP);
    let mut body = Growing { bytes: BytesMut::new(), share: limits.memory.take(capacity).ok_or(Refusal::Busy)?, limit };
    body.bytes.reserve(capacity);

    let reading = async {
        if expects_continue(session) {
            let continued = session.write_continue_response().await;
            continued.map_err(|error| Refusal::Broken(error.to_string()))?;
        }
        while let Some(chunk) = session.read_request_body().await.map_err(broken)? {
            body.append(&chunk)?;
        }
        Ok(())
    };
    tokio::time::timeout_at(deadline, reading).await.map_err(|_| Refusal::Slow(limits.read_timeout))??;
    Ok((body.bytes.freeze(), body.share))
}

/// Hands on a body while it comes, to its end or until nobody wants more of it.
pub(super) async fn relay(session: &mut ServerSession, writer: BodyWriter) -> Result<(), Refusal> {
    if expects_continue(session) {
        let continued = session.write_continue_response().await;
        continued.map_err(|error| Refusal::Broken(error.to_string()))?;
    }
    while let Some(chunk) = session.read_request_body().await.map_err(broken)? {
        if !writer.write(chunk).await {
            return Ok(());
        }
    }
    writer.finish().await;
    Ok(())
}

struct Growing {
    bytes: BytesMut,
    share: Share,
    limit: usize,
}

impl Growing {
    fn append(&mut self, chunk: &[u8]) -> Result<(), Refusal> {
        let length = self.bytes.len() + chunk.len();
        if length > self.limit {
            return Err(Refusal::TooLarge { limit: self.limit });
        }
        let held = self.share.bytes();
        if length > held {
            let capacity = length.max((held * 2).min(self.limit));
            if !self.share.grow(capacity - held) {
                return Err(Refusal::Busy);
            }
            self.bytes.reserve(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }
}

pub(super) fn announced_length(session: &ServerSession) -> Option<usize> {
    session.get_header(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Pingora leaves the interim answer to us; curl waits a second for it.
fn expects_continue(session: &ServerSession) -> bool {
    let expected = session.get_header(header::EXPECT).map(|value| value.as_bytes());
    expected.is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue")) && !session.is_http2()
}

#[allow(clippy::needless_pass_by_value, reason = "the signature that map_err wants")]
fn broken(error: pingora_core::BError) -> Refusal {
    Refusal::Broken(error.to_string())
}
