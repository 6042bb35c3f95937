//! A connection as Pingora has it, where that is more than its socket: inside TLS, or with HTTP/2.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::protocols::l4::stream::Stream;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
    UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;

use super::session::LINGER;
use crate::tls::FirstByte;

/// Bytes read at once to be thrown away.
const STEP: usize = 4096;

/// What is spoken on a connection, or inside TLS.
#[derive(Debug)]
pub(super) enum Opened {
    Plain(Box<Stream>),
    Tls(Box<TlsStream<Stream>>),
}

impl Opened {
    fn socket(&self) -> &Stream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

/// A connection with the deadlines and the end that Pingora does not have for it.
///
/// Closed with [`lingering`](Self::lingering), its last words are heard: a sender may have begun a request before it reads
/// that an HTTP/2 connection takes no more. Closing over that request would answer it with a reset, which may overtake the
/// GOAWAY: the sender would not learn that it was never looked at.
#[derive(Debug)]
pub(super) struct Transport {
    opened: Opened,
    lingers: bool,
    /// `Some` once everything was said.
    until: Option<Pin<Box<Sleep>>>,
    write_timeout: Option<Duration>,
    /// `Some` while the sender takes nothing of what is written.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl Transport {
    pub(super) fn new(opened: Opened) -> Self {
        Self { opened, lingers: false, until: None, write_timeout: None, stuck: None }
    }

    /// When it is shut down, it reads on until the sender has closed too, or [`LINGER`] is over.
    pub(super) fn lingering(self) -> Self {
        Self { lingers: true, ..self }
    }

    /// It breaks when it is to be written to and cannot be for so long.
    pub(super) fn with_write_timeout(self, write_timeout: Option<Duration>) -> Self {
        Self { write_timeout, ..self }
    }

    /// What became of an attempt to write, or that it took too long.
    fn progress<T>(&mut self, context: &mut Context<'_>, attempt: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let Some(limit) = self.write_timeout else { return attempt };
        if attempt.is_ready() {
            self.stuck = None;
            return attempt;
        }
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(limit)));
        stuck.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Opened {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Opened {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.opened).poll_read(context, buffer)
    }
}

impl AsyncWrite for Transport {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let attempt = Pin::new(&mut self.opened).poll_write(context, bytes);
        self.progress(context, attempt)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let attempt = Pin::new(&mut self.opened).poll_write_vectored(context, slices);
        self.progress(context, attempt)
    }

    fn is_write_vectored(&self) -> bool {
        self.opened.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let attempt = Pin::new(&mut self.opened).poll_flush(context);
        self.progress(context, attempt)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.until.is_none() {
            let attempt = Pin::new(&mut self.opened).poll_shutdown(context);
            ready!(self.progress(context, attempt))?;
        }
        let Self { opened, lingers: true, until, .. } = &mut *self else { return Poll::Ready(Ok(())) };
        let until = until.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        let mut bytes = [0; STEP];
        loop {
            let mut unheard = ReadBuf::new(&mut bytes);
            match Pin::new(&mut *opened).poll_read(context, &mut unheard) {
                Poll::Ready(Ok(())) if !unheard.filled().is_empty() => {}
                // Its end, or that it is gone.
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return until.as_mut().poll(context).map(Ok),
            }
        }
    }
}

#[async_trait]
impl Shutdown for Transport {
    async fn shutdown(&mut self) {
        // Whoever is gone is not told.
        let _told = AsyncWriteExt::shutdown(self).await.is_ok();
    }
}

/// What is inside TLS cannot be looked at; which version of HTTP it is was found before.
#[async_trait]
impl Peek for Transport {}

impl UniqueID for Transport {
    fn id(&self) -> UniqueIDType {
        self.opened.socket().id()
    }
}

/// Nothing here asks Pingora about TLS.
impl Ssl for Transport {}

impl GetTimingDigest for Transport {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.opened.socket().get_timing_digest()
    }
}

impl GetProxyDigest for Transport {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.opened.socket().get_proxy_digest()
    }
}

impl GetSocketDigest for Transport {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.opened.socket().get_socket_digest()
    }
}

impl FirstByte for Stream {
    async fn first_byte(&mut self) -> io::Result<Option<u8>> {
        let mut first = [0];
        if self.read(&mut first).await? == 0 {
            return Ok(None);
        }
        self.rewind(&first);
        Ok(Some(first[0]))
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixStream;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_sender_that_takes_nothing_is_given_up() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let limit = Duration::from_secs(5);
        let mut transport = Transport::new(Opened::Plain(Box::new(ours.into()))).with_write_timeout(Some(limit));
        let began = tokio::time::Instant::now();
        let error = loop {
            // Until the socket is full.
            match transport.write_all(&[0; STEP]).await {
                Ok(()) => {}
                Err(error) => break error,
            }
        };
        assert_eq!((error.kind(), began.elapsed() >= limit), (io::ErrorKind::TimedOut, true));
    }
}
