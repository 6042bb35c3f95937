//! Tells HTTP/2 without TLS from HTTP/1.1, under a deadline.
//!
//! Pingora's own look at the first bytes waits for 24 of them and for ever: a client that sends fewer would hang.

use std::io;
use std::time::Duration;

use pingora_core::protocols::l4::stream::Stream;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// What a client that knows of HTTP/2 sends first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Between two looks at a preface that has begun and not ended; peeking tells no end of its own.
const NEXT_LOOK: Duration = Duration::from_millis(5);

/// Whether the connection begins with HTTP/2's preface. The bytes stay to be read.
pub(crate) async fn is_http2(stream: &TcpStream, deadline: Instant) -> io::Result<bool> {
    let looking = async {
        let mut bytes = [0; PREFACE.len()];
        loop {
            let seen = stream.peek(&mut bytes).await?;
            if seen == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let begun = bytes.get(..seen).unwrap_or_default();
            if !PREFACE.starts_with(begun) {
                return Ok(false);
            }
            if seen == PREFACE.len() {
                return Ok(true);
            }
            tokio::time::sleep(NEXT_LOOK).await;
        }
    };
    tokio::time::timeout_at(deadline, looking).await.map_err(|_| io::ErrorKind::TimedOut)?
}

/// The same of a connection at which one cannot look without reading: what was read is put back.
pub(super) async fn begins_http2(stream: &mut Stream, deadline: Instant) -> io::Result<bool> {
    let mut bytes = [0; PREFACE.len()];
    let mut seen = 0;
    let reading = async {
        loop {
            let read = stream.read(bytes.get_mut(seen..).unwrap_or_default()).await?;
            if read == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            seen += read;
            let begun = bytes.get(..seen).unwrap_or_default();
            if !PREFACE.starts_with(begun) || seen == PREFACE.len() {
                return Ok(PREFACE == begun);
            }
        }
    };
    let http2 = tokio::time::timeout_at(deadline, reading).await.map_err(|_| io::ErrorKind::TimedOut)??;
    stream.rewind(bytes.get(..seen).unwrap_or_default());
    Ok(http2)
}
