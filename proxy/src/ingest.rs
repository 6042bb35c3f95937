//! Listeners: Pingora speaks HTTP/1.1 and HTTP/2 on connections that our own accept loop hands it.
//!
//! Pingora cannot add or remove a listener while it runs, and has no deadline for a head or a body, no limit on a body
//! and none on connections; those are here. What a request means is the business of the [`App`] behind the listener.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::pipeline::{BodyStream, Budget, Share};
use crate::tls::ServerTls;

mod address;
mod body;
mod claim;
mod connection;
mod decompress;
mod http2;
mod listener;
mod preface;
mod session;
mod tenure;
mod transport;

pub use address::{ListenerAddress, LocalAddress};
pub use claim::Claim;
pub use decompress::{DecompressError, ENCODINGS, Encoding, decompress, gunzip};
pub use http2::Http2;
pub use listener::{BindError, Listener};
pub(crate) use preface::is_http2;

/// What is behind a listener.
pub trait App: Send + Sync + 'static {
    /// Decides by the head alone, before a byte of the body is read: the route's name, or an answer.
    fn route(&self, head: &Head) -> Result<Route, Box<Reply>>;

    /// Handles a request that was received whole. That its sender goes away stops nothing; where the answer is due
    /// before the work is done, the work goes on in a task of its own.
    fn handle(self: Arc<Self>, route: Route, request: Request) -> BoxFuture<'static, Reply>;

    /// Whether the bodies of a route are handed on while they come, and not held.
    fn is_streamed(&self, route: Route) -> bool;

    /// Handles a request of such a route. No limit of the listener is on its body: the app bounds the time that it takes.
    fn handle_streamed(self: Arc<Self>, route: Route, head: Arc<Head>, body: BodyStream) -> BoxFuture<'static, Reply>;

    /// The words for a refusal that the listener itself makes once a route is known.
    fn refuse(&self, route: Route, head: &Head, refusal: &Refusal) -> Reply;

    /// Told of each refusal.
    fn refused(&self, refusal: &Refusal);

    /// How long the sender of this request waits, where it says so.
    fn patience(&self, route: Route, head: &Head) -> Option<Duration>;

    /// Told of each request once it was answered.
    fn answered(&self, answered: &Answered);

    /// Told when a request of a route begins (`+1`) and ends (`-1`).
    fn inflight(&self, route: Route, change: i64);

    /// Told when a connection opens; what this returns is dropped when it closes, maybe long after the app was replaced.
    fn connected(&self) -> Box<dyn Any + Send>;

    /// Limits in force for as long as it answers.
    fn limits(&self) -> Limits;

    /// What connections speak for as long as it answers.
    fn protocols(&self) -> Protocols;
}

/// One of an app's routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Route(pub &'static str);

/// What is known of a request before its body.
#[derive(Debug)]
pub struct Head {
    /// Method.
    pub method: Method,
    /// Path, as sent.
    pub path: String,
    /// Query without `?`, as sent; empty where there is none.
    pub query: String,
    /// Headers.
    pub headers: HeaderMap,
    /// Whether it came over HTTP/2.
    pub http2: bool,
    /// When it had been read.
    pub arrived: SystemTime,
}

/// A request with all of its body.
#[derive(Debug)]
pub struct Request {
    /// Its head.
    pub head: Arc<Head>,
    /// Its body, as sent.
    pub body: Bytes,
    /// The memory that the body owns.
    pub memory: Share,
}

/// An answer.
pub struct Reply {
    /// Status.
    pub status: StatusCode,
    /// Headers, without Content-Length.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// Trailers; only over HTTP/2.
    pub trailers: Option<HeaderMap>,
    /// Told when the answer was written.
    pub receipt: Option<Box<dyn Receipt>>,
}

/// Waits for an answer to be written. Dropped without a word, the sender did not get it.
pub trait Receipt: Send {
    /// The whole answer was written.
    fn heard(self: Box<Self>);
}

impl Reply {
    /// A line of text, or nothing.
    pub fn text(status: StatusCode, text: impl Into<String>) -> Self {
        let text: String = text.into();
        let mut headers = HeaderMap::new();
        if !text.is_empty() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        }
        Self { status, headers, body: text.into(), trailers: None, receipt: None }
    }

    /// The same with another header.
    pub fn with(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

/// Limits of a listener.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of a body, both as sent and decompressed.
    pub max_body_size: usize,
    /// Bytes of all bodies held at once.
    pub memory: Budget,
    /// From the first byte of a request to the last one of its body.
    pub read_timeout: Duration,
    /// From the last byte of a request to the last one of its answer.
    pub write_timeout: Duration,
    /// How long a connection may be silent between two requests.
    pub idle_timeout: Duration,
    /// Connections at once.
    pub connections: Option<usize>,
}

/// What the connections of a listener speak.
#[derive(Clone, Default)]
pub struct Protocols {
    /// TLS; none: plain text.
    pub tls: Option<Arc<ServerTls>>,
    /// HTTP/2, beside HTTP/1.1.
    pub http2: Http2,
}

impl Protocols {
    /// What is to be offered in a TLS handshake, the most wanted first.
    pub const ALPN: [&str; 2] = ["h2", "http/1.1"];

    /// Whether a connection of the others may go on with these.
    fn are(&self, others: &Self) -> bool {
        let same_tls = match (&self.tls, &others.tls) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        same_tls && self.http2 == others.http2
    }
}

/// Why a request was not received, or not answered in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The body is larger than allowed.
    #[error("the body is larger than max_body_size ({limit} bytes)")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// The listener holds as much as it may.
    #[error("the bodies held now own all of max_inflight_bytes; send again later")]
    Busy,
    /// The body did not arrive in time.
    #[error("the request did not arrive within server_read_timeout ({0:?})")]
    Slow(Duration),
    /// The connection broke before the body's end, or the body is not what its head says.
    #[error("the body ended too early: {0}")]
    Broken(String),
    /// The answer of the pipeline did not come in time; the work goes on.
    #[error("no answer yet after {0:?}; the profile was received and its delivery goes on")]
    Unanswered(Duration),
}

impl Refusal {
    /// The status that fits.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Slow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Broken(_) => StatusCode::BAD_REQUEST,
            Self::Unanswered(_) => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

/// A request that was answered.
#[derive(Debug)]
pub struct Answered {
    /// Its route; `None` where it had none.
    pub route: Option<Route>,
    /// Its method.
    pub method: Method,
    /// The answer's status.
    pub status: StatusCode,
    /// From the head's end to the answer's.
    pub took: Duration,
    /// Bytes of the request's body.
    pub request_bytes: usize,
    /// Bytes of the answer's body.
    pub response_bytes: usize,
}
