//! A pooled HTTP/1.1 and HTTP/2 client on hyper-util: the only place that opens connections to backends.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt, FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

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

/// How a client speaks.
#[derive(Debug)]
pub struct ClientSettings {
    /// Whom it trusts and who it is; without ALPN.
    pub tls: ClientConfig,
    /// The name that the server must prove to have, where it is not the URL's.
    pub server_name: Option<ServerName<'static>>,
    /// HTTP/2 even where no TLS handshake agrees upon it, as gRPC needs it.
    pub http2_only: bool,
}

/// What a backend answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// At most [`MAX_ANSWER`] bytes.
    pub body: Bytes,
    /// Those behind the body.
    pub trailers: HeaderMap,
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
        let tls =
            ClientConfig::builder().try_with_platform_verifier().map_err(ClientError::Verifier)?.with_no_client_auth();
        Ok(Self::with(ClientSettings { tls, server_name: None, http2_only: false }))
    }

    /// A client that speaks so.
    pub fn with(settings: ClientSettings) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let builder = HttpsConnectorBuilder::new().with_tls_config(settings.tls).https_or_http();
        let builder = match settings.server_name {
            Some(name) => builder.with_server_name_resolver(FixedServerNameResolver::new(name)),
            None => builder,
        };
        let connector = if settings.http2_only {
            builder.enable_http2().wrap_connector(tcp)
        } else {
            builder.enable_http1().enable_http2().wrap_connector(tcp)
        };
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(1000)
            .http2_only(settings.http2_only)
            .build(connector);
        Self(client)
    }

    /// Sends a request and reads the answer, or as much of it as is ever looked at.
    pub(super) async fn send(&self, request: Request<Segments>) -> Result<Answer, ClientError> {
        let (parts, body) = self.0.request(request).await.map(Response::into_parts)?;
        let (body, trailers) = read_capped(body).await?;
        Ok(Answer { status: parts.status, headers: parts.headers, body, trailers })
    }
}

async fn read_capped(mut body: Incoming) -> Result<(Bytes, HeaderMap), hyper::Error> {
    let (mut read, mut trailers) = (BytesMut::new(), HeaderMap::new());
    while let Some(frame) = body.frame().await {
        let data = match frame?.into_data() {
            Ok(data) => data,
            Err(other) => {
                trailers = other.into_trailers().unwrap_or_default();
                continue;
            }
        };
        if read.len() + data.len() > MAX_ANSWER {
            let room = MAX_ANSWER - read.len();
            read.extend_from_slice(data.get(..room).unwrap_or_default());
            // Not read to its end, the connection is not used again.
            break;
        }
        read.extend_from_slice(&data);
    }
    Ok((read.freeze(), trailers))
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
