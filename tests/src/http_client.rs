//! A small HTTP client for tests: whole bodies, no retries, no redirects, a deadline on everything.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

const DEADLINE: Duration = Duration::from_secs(60);
const MAX_REPLY_BYTES: usize = 64 << 20;

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub body: Bytes,
}

impl Reply {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// URL or headers are not such as HTTP can carry.
    #[error("no such request: {0}")]
    Request(#[from] http::Error),
    /// No connection, or it broke before the head of the answer.
    #[error("{url}: {error}")]
    Connection {
        /// Where to.
        url: String,
        /// With its causes.
        error: String,
    },
    /// The answer's body did not come whole.
    #[error("{url}: body of the answer: {error}")]
    Body {
        /// Where to.
        url: String,
        /// Why.
        error: String,
    },
    /// No answer in time.
    #[error("{url}: no answer within {DEADLINE:?}")]
    Deadline {
        /// Where to.
        url: String,
    },
}

/// GET.
///
/// # Errors
/// When no whole answer comes; any status is an answer.
pub async fn get(url: &str) -> Result<Reply, RequestError> {
    send(Method::GET, url, &[], Bytes::new()).await
}

/// POST.
///
/// # Errors
/// As [`get`].
pub async fn post(url: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Result<Reply, RequestError> {
    send(Method::POST, url, headers, body.into()).await
}

/// Any method, over HTTP/1.1 and a connection of its own.
///
/// # Errors
/// As [`get`].
pub async fn send(method: Method, url: &str, headers: &[(&str, &str)], body: Bytes) -> Result<Reply, RequestError> {
    exchange(false, method, url, headers, body).await
}

/// POST over HTTP/2 with prior knowledge.
///
/// # Errors
/// As [`get`].
pub async fn post_http2(url: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Result<Reply, RequestError> {
    exchange(true, Method::POST, url, headers, body.into()).await
}

async fn exchange(
    http2: bool,
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Result<Reply, RequestError> {
    let mut request = http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body))?;
    let client: Client<HttpConnector, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).http2_only(http2).build_http();
    let url = url.to_owned();
    let whole = async {
        let response = client
            .request(request)
            .await
            .map_err(|error| RequestError::Connection { url: url.clone(), error: with_causes(&error) })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_REPLY_BYTES).collect().await;
        let body = body.map_err(|error| RequestError::Body { url: url.clone(), error: error.to_string() })?;
        Ok(Reply { status: head.status, headers: head.headers, body: body.to_bytes() })
    };
    match tokio::time::timeout(DEADLINE, whole).await {
        Ok(reply) => reply,
        Err(_) => Err(RequestError::Deadline { url: url.clone() }),
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
