//! A pooled HTTP/1.1 and HTTP/2 client on hyper-util: the only place that opens connections to backends.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::Segments;

/// Most bytes of an answer that are read. Backends answer pushes with a few; an endless answer is cut here.
const MAX_ANSWER: usize = 64 * 1024;
/// As the reference: idle connections are kept for five minutes.
const IDLE: Duration = Duration::from_secs(300);
/// Time to open a connection, in which the reference gives TLS ten seconds.
const CONNECT: Duration = Duration::from_secs(10);

/// A client with a pool of its own. Clones share it.
#[derive(Debug, Clone)]
pub struct Client(legacy::Client<HttpsConnector<HttpConnector>, Segments>);

/// What a backend answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// At most [`MAX_ANSWER`] bytes.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The system's certificates cannot be used.
    #[error("the system's certificate verifier cannot be used: {0}")]
    Verifier(rustls::Error),
    /// No connection, or the connection broke.
    #[error("{}", chain(.0))]
    Transport(#[from] legacy::Error),
    /// The answer ended too early or was no HTTP.
    #[error("reading the answer: {}", chain(.0))]
    Answer(#[from] hyper::Error),
}

impl Client {
    /// A client that verifies certificates as the system does.
    pub fn new() -> Result<Self, ClientError> {
        let tls = rustls::ClientConfig::builder()
            .try_with_platform_verifier()
            .map_err(ClientError::Verifier)?
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(tcp);
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(1000)
            .build(connector);
        Ok(Self(client))
    }

    /// Sends a request and reads the answer, or as much of it as is ever looked at.
    pub(super) async fn send(&self, request: Request<Segments>) -> Result<Answer, ClientError> {
        let (parts, body) = self.0.request(request).await.map(Response::into_parts)?;
        Ok(Answer { status: parts.status, headers: parts.headers, body: read_capped(body).await? })
    }
}

async fn read_capped(mut body: Incoming) -> Result<Bytes, hyper::Error> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if read.len() + data.len() > MAX_ANSWER {
            let room = MAX_ANSWER - read.len();
            read.extend_from_slice(data.get(..room).unwrap_or_default());
            // Not read to its end, the connection is not used again.
            break;
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

/// An error with its causes: hyper-util's own words say only "client error (Connect)".
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
