//! Requests over a Unix socket.

use std::path::Path;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::HttpError;

/// Sends a request on a connection of its own, which ends with the answer's body.
pub(super) async fn exchange(path: &Path, mut request: Request<Full<Bytes>>) -> Result<Response<Incoming>, HttpError> {
    let failed = |error| HttpError::Socket(path.display().to_string(), error);
    let stream = UnixStream::connect(path).await.map_err(failed)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // What becomes of it is seen in the answer.
    tokio::spawn(connection);
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::from_static("localhost"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    if let Some(path_and_query) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = Uri::from(path_and_query);
    }
    Ok(sender.send_request(request).await?)
}
