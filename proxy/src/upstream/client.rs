//! A pooled HTTP/1.1 and HTTP/2 client, on hyper-util for all but HTTP/1.1 without a proxy: the only place that opens
//! connections to backends.

use std::sync::Arc;
use std::time::Duration;

use alloy_syntax::Invalid;
use bytes::{Bytes, BytesMut};
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use self::http1::{Http1, Http1Error, Tls};
use self::intake::{Intake, IntakeError};
use self::outgoing::Outgoing;
use self::renewed::{Files, Renewed};
use super::Segments;
use super::connector::{Versions, connector, speaking};
use super::http_client::{Dial, Dialing, HttpClientArguments, Proxies, Route, TlsError};
use crate::pipeline::BodyStream;
use crate::telemetry::metrics::DialerMetrics;

mod http1;
pub(super) mod intake;
mod outgoing;
mod renewed;

/// Most bytes of an answer that are read. Backends answer pushes with a few; an endless answer is cut here.
const MAX_ANSWER: usize = 64 * 1024;
/// Bytes that are read of the body of an answer that is no success: enough for the reason.
const REASON: usize = 4 << 10;
/// As the reference: idle connections are kept for five minutes.
const IDLE: Duration = Duration::from_secs(300);
/// As the reference: a connection of HTTP/2 on which nothing came for a minute is asked whether it lives.
const PING: Duration = Duration::from_secs(60);
const PING_ANSWER: Duration = Duration::from_secs(15);

type Sender = legacy::Client<HttpsConnector<Route>, Outgoing>;

/// The connections of one set of options.
#[derive(Debug)]
struct Pool {
    /// Keeps connections for the next request.
    kept: Sender,
    /// Opens one a request.
    apart: Sender,
    /// Of HTTP/1.1 over TLS without a proxy.
    http1: Option<Http1>,
}

/// Which connection a request takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connection {
    /// An open one that is idle, else a new one.
    Any,
    /// One that is opened for it: of connections whose other end is gone without a word there may be many.
    New,
}

/// A client with a pool of its own. Clones share it.
#[derive(Debug, Clone)]
pub struct Client {
    connections: Connections,
    /// Of plain HTTP/1.1 without a proxy.
    plain: Option<Http1>,
    proxies: Option<Arc<Proxies>>,
}

#[derive(Debug, Clone)]
enum Connections {
    Fixed(Arc<Pool>),
    /// Made again when the files change that they are made with.
    Renewed(Arc<Renewed>),
}

/// How a client speaks.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// Whom it trusts and who it is; without ALPN.
    pub tls: ClientConfig,
    /// The name that the server must prove to have, where it is not the URL's.
    pub server_name: Option<ServerName<'static>>,
    /// What it speaks.
    pub versions: Versions,
    /// The proxies that it goes through.
    pub(super) proxies: Option<Arc<Proxies>>,
}

/// Makes clients of the same options. They share what TLS needs, and have connections of their own.
#[derive(Debug, Clone)]
pub struct ClientMaker {
    source: Source,
    versions: Versions,
    proxies: Option<Arc<Proxies>>,
    counted: Option<DialerMetrics>,
}

#[derive(Debug, Clone)]
enum Source {
    Fixed(Arc<ClientSettings>),
    Files(Arc<Files>),
}

impl ClientMaker {
    /// For clients of these options, which count the connections that they open; authentication, headers and redirects
    /// are their callers'. Reads files, which are looked at again while the clients are in use.
    ///
    /// # Errors
    /// Options that exclude each other, and files that cannot be used.
    pub fn of(arguments: &HttpClientArguments, counted: Option<DialerMetrics>) -> Result<Self, Invalid> {
        let proxies = Proxies::of(arguments)?.map(Arc::new);
        let versions = Versions::of(arguments.enable_http2);
        let refused = |error: TlsError| Invalid::block(format!("tls_config: {error}"));
        let tls = &arguments.tls_config;
        let source = if tls.has_files() {
            let files = Files::read(tls.clone(), versions, proxies.clone()).map_err(refused)?;
            Source::Files(Arc::new(files))
        } else {
            let made = tls.material().and_then(|material| tls.settings_of(&material, versions, proxies.clone()));
            Source::Fixed(Arc::new(made.map_err(refused)?))
        };
        Ok(Self { source, versions, proxies, counted })
    }

    /// One more client.
    pub fn client(&self) -> Client {
        self.make(None)
    }

    /// A client that finds one server at this address.
    pub(super) fn client_of(&self, dial: Dial) -> Client {
        self.make(Some(dial))
    }

    fn make(&self, dial: Option<Dial>) -> Client {
        let dialing = Dialing { only: dial, counted: self.counted.clone() };
        let plain = plain(self.versions, self.proxies.as_ref(), dialing.clone());
        let connections = match &self.source {
            Source::Fixed(settings) => Connections::Fixed(Arc::new(pool(ClientSettings::clone(settings), dialing))),
            Source::Files(files) => Connections::Renewed(Arc::new(Renewed::new(files.clone(), dialing))),
        };
        Client { connections, plain, proxies: self.proxies.clone() }
    }
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
    /// No connection, or the connection broke.
    #[error("{}", chain(.0))]
    Transport(#[from] legacy::Error),
    /// The answer ended too early or was no HTTP.
    #[error("reading the answer: {}", chain(.0))]
    Answer(#[from] hyper::Error),
    /// Either of them, on a plain connection.
    #[error(transparent)]
    Http1(#[from] Http1Error),
    /// The answer is not kept.
    #[error(transparent)]
    Intake(#[from] IntakeError),
}

impl ClientError {
    /// Whether no connection could be opened, so that nothing was sent.
    pub(super) fn is_unreachable(&self) -> bool {
        match self {
            Self::Transport(error) => error.is_connect(),
            Self::Http1(error) => error.is_unreachable(),
            Self::Answer(_) | Self::Intake(_) => false,
        }
    }

    /// Whether the answer is larger than it may be.
    pub(super) fn is_too_large(&self) -> bool {
        match self {
            Self::Intake(_) => true,
            Self::Http1(error) => error.is_too_large(),
            Self::Transport(_) | Self::Answer(_) => false,
        }
    }
}

impl Client {
    /// A client of these options, as [`ClientMaker::of`] has it.
    pub fn of(arguments: &HttpClientArguments, counted: Option<DialerMetrics>) -> Result<Self, Invalid> {
        Ok(ClientMaker::of(arguments, counted)?.client())
    }

    /// A client that speaks so.
    pub fn with(settings: ClientSettings) -> Self {
        let proxies = settings.proxies.clone();
        let plain = plain(settings.versions, proxies.as_ref(), Dialing::default());
        Self { connections: Connections::Fixed(Arc::new(pool(settings, Dialing::default()))), plain, proxies }
    }

    /// What a request to this URL must tell the proxy that reads it.
    pub(super) fn proxy_authorization(&self, uri: &Uri) -> Option<HeaderValue> {
        self.proxies.as_ref()?.authorization(uri)
    }

    /// Sends a request and reads the answer, or as much of it as is ever looked at.
    pub(super) async fn send(&self, request: Request<Segments>) -> Result<Answer, ClientError> {
        self.send_on(Connection::Any, request).await
    }

    /// As [`send`](Self::send), on such a connection.
    pub(super) async fn send_on(
        &self,
        connection: Connection,
        request: Request<Segments>,
    ) -> Result<Answer, ClientError> {
        if let Some(plain) = self.plain.as_ref().filter(|_| is_plain(request.uri())) {
            return Ok(plain.send(connection, &request).await?);
        }
        let pool = self.pool().await;
        if let Some(http1) = pool.http1.as_ref().filter(|_| !is_plain(request.uri())) {
            match http1.send(connection, &request).await {
                Err(Http1Error::ChoseHttp2) => {}
                done => return Ok(done?),
            }
        }
        pool.exchange(connection, request.map(Outgoing::Whole)).await
    }

    /// Sends a request whose body comes while it is sent, and reads the answer.
    pub(super) async fn send_streamed(&self, request: Request<BodyStream>) -> Result<Answer, ClientError> {
        self.pool().await.exchange(Connection::Any, request.map(Outgoing::Streamed)).await
    }

    /// Sends a request without a body, and reads the body of the answer into the intake.
    pub(super) async fn fetch(
        &self,
        request: Request<()>,
        intake: &mut Intake,
    ) -> Result<(StatusCode, HeaderMap), ClientError> {
        if let Some(plain) = self.plain.as_ref().filter(|_| is_plain(request.uri())) {
            return Ok(plain.fetch(&request, intake).await?);
        }
        let pool = self.pool().await;
        if let Some(http1) = pool.http1.as_ref().filter(|_| !is_plain(request.uri())) {
            match http1.fetch(&request, intake).await {
                Err(Http1Error::ChoseHttp2) => {}
                done => return Ok(done?),
            }
        }
        let request = request.map(|()| Outgoing::Whole(Segments::default()));
        let (parts, mut body) = pool.sender(Connection::Any).request(request).await?.into_parts();
        intake.begin((!parts.status.is_success()).then_some(REASON));
        if let Some(length) = body.size_hint().exact() {
            intake.announced(length).await?;
        }
        while !intake.is_full()
            && let Some(frame) = body.frame().await
        {
            if let Ok(data) = frame?.into_data() {
                intake.append(&data).await?;
            }
        }
        Ok((parts.status, parts.headers))
    }

    async fn pool(&self) -> Arc<Pool> {
        match &self.connections {
            Connections::Fixed(pool) => pool.clone(),
            Connections::Renewed(renewed) => renewed.pool().await,
        }
    }
}

fn is_plain(uri: &Uri) -> bool {
    uri.scheme() == Some(&Scheme::HTTP)
}

fn plain(versions: Versions, proxies: Option<&Arc<Proxies>>, dialing: Dialing) -> Option<Http1> {
    http1(versions, proxies, dialing, None)
}

/// None where it is not what is spoken, or not to servers themselves.
fn http1(versions: Versions, proxies: Option<&Arc<Proxies>>, dialing: Dialing, tls: Option<Tls>) -> Option<Http1> {
    (proxies.is_none() && versions != Versions::Http2Only).then(|| Http1::new(Route::new(None, dialing), tls))
}

fn pool(settings: ClientSettings, dialing: Dialing) -> Pool {
    let ClientSettings { tls, server_name, versions, proxies } = settings;
    let tls = speaking(versions, tls);
    let over_tls = Tls::new(tls.clone(), server_name.clone());
    let http1 = http1(versions, proxies.as_ref(), dialing.clone(), Some(over_tls));
    let mut builder = legacy::Client::builder(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(1000)
        .http2_only(versions == Versions::Http2Only)
        .http2_keep_alive_interval(PING)
        .http2_keep_alive_timeout(PING_ANSWER)
        .http2_keep_alive_while_idle(true);
    let connector = connector(tls, server_name, proxies, dialing);
    Pool { kept: builder.build(connector.clone()), apart: builder.pool_max_idle_per_host(0).build(connector), http1 }
}

impl Pool {
    async fn exchange(&self, connection: Connection, request: Request<Outgoing>) -> Result<Answer, ClientError> {
        let (parts, body) = self.sender(connection).request(request).await?.into_parts();
        let (body, trailers) = read_capped(body).await?;
        Ok(Answer { status: parts.status, headers: parts.headers, body, trailers })
    }

    fn sender(&self, connection: Connection) -> &Sender {
        match connection {
            Connection::Any => &self.kept,
            Connection::New => &self.apart,
        }
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
