//! Asking for a body of any size.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::answer::read_into;
use super::stream::Stream;
use super::{Http1, Http1Error, head};
use crate::upstream::client::intake::Intake;

impl Http1 {
    /// Sends a request without a body, and reads the body of the answer into the intake.
    pub(in crate::upstream::client) async fn fetch(
        &self,
        request: &Request<()>,
        intake: &mut Intake,
    ) -> Result<(StatusCode, HeaderMap), Http1Error> {
        let authority = self.server(request.uri())?;
        let head = head(request, authority, None);
        if let Some(mut socket) = self.take(authority) {
            match exchange(&mut socket.stream, &head, intake).await {
                Ok((status, headers, reusable)) => {
                    self.keep(authority, socket, reusable);
                    return Ok((status, headers));
                }
                // The server closed it while it was idle, which is no failure of the server's: it is asked again.
                Err(failed) if failed.is_silence() => {}
                Err(failed) => return Err(failed),
            }
        }
        let mut socket = self.connect(request.uri(), authority).await?;
        let (status, headers, reusable) = exchange(&mut socket.stream, &head, intake).await?;
        self.keep(authority, socket, reusable);
        Ok((status, headers))
    }
}

async fn exchange(
    stream: &mut Stream,
    head: &Bytes,
    intake: &mut Intake,
) -> Result<(StatusCode, HeaderMap, bool), Http1Error> {
    match stream {
        Stream::Plain(socket) => exchange_on(socket, head, intake).await,
        Stream::Tls(stream) => exchange_on(stream, head, intake).await,
    }
}

async fn exchange_on(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    head: &Bytes,
    intake: &mut Intake,
) -> Result<(StatusCode, HeaderMap, bool), Http1Error> {
    stream.write_all(head).await.map_err(Http1Error::Send)?;
    stream.flush().await.map_err(Http1Error::Send)?;
    Ok(read_into(stream, intake).await?)
}
