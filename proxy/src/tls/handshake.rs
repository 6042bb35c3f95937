//! The beginning of a connection on a listener that speaks TLS.

use std::fmt::Display;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::ServerTls;

/// What a server that speaks TLS says to a client that does not, as Go's does.
const NO_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\
    Content-Length: 48\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
/// Bytes of such a client that are read, so that the answer is not lost in the reset that closing over unread bytes causes.
const LINGER_BYTES: u64 = 64 * 1024;

/// A connection whose first byte can be looked at, and is read again afterwards.
pub trait FirstByte: AsyncRead + AsyncWrite + Unpin + Send {
    /// Waits for the first byte; none where the client has closed without one.
    ///
    /// # Errors
    /// When the connection broke.
    fn first_byte(&mut self) -> impl Future<Output = io::Result<Option<u8>>> + Send;
}

impl FirstByte for TcpStream {
    async fn first_byte(&mut self) -> io::Result<Option<u8>> {
        let mut first = [0];
        let seen = self.peek(&mut first).await?;
        Ok((seen > 0).then_some(first[0]))
    }
}

impl ServerTls {
    /// The stream inside TLS; none where there will be none by the deadline. Handshakes that fail are counted, and told to
    /// the log rarely; a client that closes without a byte, as those do that look whether a port is open, is no failure.
    pub async fn handshake<S: FirstByte>(&self, mut stream: S, deadline: Instant) -> Option<TlsStream<S>> {
        let Ok(begun) = timeout_at(deadline, stream.first_byte()).await else {
            self.failed("the client said nothing in time");
            return None;
        };
        // A request begins with its method, a handshake with the number 22.
        if begun.ok()??.is_ascii_alphabetic() {
            self.failed("the client does not speak TLS");
            let _told = timeout_at(deadline, refuse_plain_text(stream)).await;
            return None;
        }
        match timeout_at(deadline, TlsAcceptor::from(self.config()).accept(stream)).await {
            Ok(accepted) => accepted.inspect_err(|error| self.failed(error)).ok(),
            Err(_) => {
                self.failed("it was not done in time");
                None
            }
        }
    }

    fn failed(&self, why: impl Display) {
        self.metrics.handshake_failures.inc();
        if let Some(line) = self.failures.admit() {
            tracing::warn!(listener = %self.owner, err = %why, left_out = line.left_out, "TLS handshake failed");
        }
    }
}

async fn refuse_plain_text(mut stream: impl FirstByte) {
    if stream.write_all(NO_TLS).await.is_ok() && stream.shutdown().await.is_ok() {
        let mut unread = stream.take(LINGER_BYTES);
        // To the client's end of the connection, or the caller's deadline.
        let _read = tokio::io::copy(&mut unread, &mut tokio::io::sink()).await;
    }
}
