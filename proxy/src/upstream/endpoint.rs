//! One endpoint of `pyroscope.write`: where it is, what every request to it carries, and how it is tried again.

use std::sync::Arc;
use std::time::Duration;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use tokio::time::Instant;

use super::client::{Answer, Connection};
use super::http_client::{Credentials, HttpError, MOST_REDIRECTS, Next};
use super::retry_budget::RetryBudget;
use super::{Backoff, Client, Failure, Segments};
use crate::pipeline::{PushError, Retry};
use crate::telemetry::traces::{Propagation, Span, SpanKind, Trace};
use crate::wire::{ingest, push};

mod debug_info;
mod patience;

/// Which API of a backend a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// `push.v1.PusherService/Push`.
    Push,
    /// `/ingest`.
    Ingest,
}

impl Api {
    /// The reference's name for spans of it.
    pub fn span_name(self) -> &'static str {
        match self {
            Self::Push => "Push",
            Self::Ingest => "AppendIngest",
        }
    }
}

/// What an endpoint is configured with.
#[derive(Debug, Clone)]
pub struct EndpointSettings {
    /// As written; names the endpoint in metrics and messages.
    pub url: String,
    /// The user's own name for it, for logs; may be empty.
    pub alias: String,
    /// Sent with every request.
    pub headers: HeaderMap,
    /// Sent with every request, but for those that a redirect leads to another server.
    pub secret_headers: HeaderMap,
    /// Whether a redirect that keeps method and body (307, 308) is followed.
    pub follow_redirects: bool,
    /// Stand in the Authorization header of every request.
    pub credentials: Option<Credentials>,
    /// The longest that one attempt may take.
    pub remote_timeout: Duration,
    /// The longest that sending on a file of debug information may take.
    pub debug_info_upload_timeout: Duration,
    /// How failed attempts are repeated.
    pub backoff: Backoff,
    /// How the spans of attempts are named to the endpoint.
    pub propagation: Propagation,
    /// Whether "too many requests" is tried again.
    pub retry_on_http_429: bool,
}

/// A request to be made of the endpoint, as often as it takes. A clone shares the bytes.
#[derive(Debug, Clone)]
pub struct Call {
    /// Which API it is for.
    pub api: Api,
    /// The query, without `?`.
    pub query: Option<String>,
    /// What the sender said of the body on `/ingest`; wins over the endpoint's headers.
    pub content_types: Vec<HeaderValue>,
    /// What else the sender said, in the place of the endpoint's headers of the same names; its credentials stay.
    pub headers: HeaderMap,
    /// The body.
    pub body: Segments,
}

/// One attempt, for whoever counts them.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// Counted from 1.
    pub number: u32,
    /// How long it took.
    pub took: Duration,
}

/// What came of a call.
#[derive(Debug)]
pub struct Settled {
    /// Requests made.
    pub attempts: u32,
    /// Whether one of them was a success; else why the last one failed.
    pub result: Result<(), PushError>,
}

/// An endpoint that can be called.
#[derive(Debug)]
pub struct Endpoint {
    name: Arc<str>,
    base: Base,
    settings: EndpointSettings,
    /// All headers of a push, and those of `/ingest` but for its Content-Type.
    push_headers: HeaderMap,
    ingest_headers: HeaderMap,
    client: Client,
    /// Of all calls together.
    retries: RetryBudget,
}

#[derive(Debug)]
struct Base {
    scheme: Scheme,
    authority: Authority,
    /// Without a slash at its end.
    path: String,
}

/// Why a URL cannot be an endpoint's.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// It cannot be read.
    #[error("{0:?} is no URL: {1}")]
    Invalid(String, http::uri::InvalidUri),
    /// It lacks a part.
    #[error("{0:?} has no {1}; write it as http://host:port or https://host:port/base")]
    Incomplete(String, &'static str),
    /// Another scheme.
    #[error("{0:?} has the scheme {1}; only http and https are possible")]
    Scheme(String, String),
    /// A user in the URL.
    #[error("the URL holds a user name; use `headers` or `basic_auth` instead")]
    UserInfo,
}

impl Endpoint {
    /// An endpoint on this client.
    pub fn new(settings: EndpointSettings, client: Client) -> Result<Self, UrlError> {
        let (name, base) = (settings.url.as_str().into(), Base::parse(&settings.url)?);
        let mut ingest_headers = settings.headers.clone();
        for (name, value) in &settings.secret_headers {
            ingest_headers.append(name, value.clone());
        }
        if let Some(authorization) = base.root().and_then(|root| client.proxy_authorization(&root)) {
            ingest_headers.insert(header::PROXY_AUTHORIZATION, authorization);
        }
        ingest_headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
        let mut push_headers = ingest_headers.clone();
        push_headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/proto"));
        push_headers.insert("connect-protocol-version", HeaderValue::from_static("1"));
        let millis = u64::try_from(settings.remote_timeout.as_millis()).unwrap_or(u64::MAX);
        push_headers.insert("connect-timeout-ms", HeaderValue::from(millis));
        Ok(Self { name, base, settings, push_headers, ingest_headers, client, retries: RetryBudget::new() })
    }

    /// Whether an endpoint can have this URL.
    pub fn check_url(url: &str) -> Result<(), UrlError> {
        Base::parse(url).map(drop)
    }

    /// The URL as configured.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The user's own name for it; may be empty.
    pub fn alias(&self) -> &str {
        &self.settings.alias
    }

    /// Makes the call until it succeeds, is refused, or may not be repeated; tells `observe` of each attempt, which is a
    /// span of this trace.
    ///
    /// A round in which the endpoint has no retry left passes without a request: the call waits on, and counts on.
    pub async fn call(&self, call: Call, trace: &Trace, observe: impl Fn(Attempt)) -> Settled {
        let (mut attempts, mut rounds): (u32, u32) = (0, 0);
        loop {
            attempts += 1;
            rounds = rounds.saturating_add(1);
            let began = Instant::now();
            let result = self.attempt(&call, attempts, trace).await;
            observe(Attempt { number: attempts, took: began.elapsed() });
            let failure = match result {
                Ok(()) => {
                    self.retries.succeeded();
                    return Settled { attempts, result: Ok(()) };
                }
                Err(failure) => failure,
            };
            if attempts == 1 {
                self.retries.failed();
            }
            if !self.wait_for_retry(&failure, &mut rounds).await {
                let verb = match call.api {
                    Api::Push => "push",
                    Api::Ingest => "ingest",
                };
                let words = format!("failed to {verb} to endpoint {} ({attempts} retries)", self.name);
                return Settled { attempts, result: Err(failure.error.context(words)) };
            }
            let (endpoint, name, err) = (&self.name, self.alias(), &failure.error);
            tracing::debug!(%endpoint, name, attempts, %err, "attempt failed, trying again");
        }
    }

    /// Waits until there may be another attempt after this failure; `false` where there may be none.
    async fn wait_for_retry(&self, failure: &Failure, rounds: &mut u32) -> bool {
        let backoff = &self.settings.backoff;
        let mut asked = match failure.error.retry {
            Retry::Later(pause) => pause,
            Retry::Never => None,
        };
        // So long the profile is not kept waiting here: the sender hears when to come again.
        if !failure.retryable || asked.is_some_and(|pause| pause > backoff.max) {
            return false;
        }
        while backoff.allows_another(*rounds) {
            // Not all of those who were asked at once to wait come back at once.
            let pause = asked.take().map_or(Duration::ZERO, |pause| pause + backoff.min.mul_f64(fastrand::f64()));
            tokio::time::sleep(backoff.delay(*rounds).max(pause)).await;
            if self.retries.take() {
                return true;
            }
            *rounds = rounds.saturating_add(1);
        }
        false
    }

    async fn attempt(&self, call: &Call, number: u32, trace: &Trace) -> Result<(), Failure> {
        let mut span = trace.child("POST", SpanKind::Client);
        span.record(|span| {
            span.set("http.request.method", "POST");
            span.set("server.address", self.base.authority.host());
            span.set("server.port", self.base.port());
            if number > 1 {
                span.set("http.request.resend_count", number - 1);
            }
        });
        // One that failed may have failed of its connection, and others may be as dead.
        let connection = if number == 1 { Connection::Any } else { Connection::New };
        let result = self.exchange(call, connection, &mut span).await;
        span.record(|span| {
            if let Err(failure) = &result {
                span.fail(&failure.error.cause);
            }
        });
        result
    }

    async fn exchange(&self, call: &Call, connection: Connection, span: &mut Span) -> Result<(), Failure> {
        let limit = self.settings.remote_timeout;
        let exchange = async {
            let request = self.complete_request(call, span.trace()).await?;
            // Without its query, where the labels are.
            span.record(|span| span.set("url.full", &*self.base.without_query(request.uri().path())));
            let answer = self.client.send_on(connection, request).await.map_err(|error| Failure::transport(&error))?;
            if self.settings.follow_redirects && leads_on(answer.status) {
                return Box::pin(self.follow(call, span.trace(), answer)).await;
            }
            Ok(answer)
        };
        let answer = match tokio::time::timeout(limit, exchange).await {
            Err(_) => return Err(Failure::timeout(limit)),
            Ok(Err(failure)) => return Err(failure),
            Ok(Ok(answer)) => answer,
        };
        span.record(|span| span.set("http.response.status_code", answer.status.as_u16()));
        Failure::of(call.api, &answer, self.settings.retry_on_http_429).map_or(Ok(()), Err)
    }

    /// Goes where an answer sends the call, and further. The others that there are (301, 302, 303) would make it a GET
    /// without its body.
    async fn follow(&self, call: &Call, trace: &Trace, mut answer: Answer) -> Result<Answer, Failure> {
        let mut next = Next::first(self.complete_request(call, trace).await?);
        for _ in 0..MOST_REDIRECTS {
            let after = next.after(answer.status, &answer.headers).map_err(|error| Failure::redirect(&error))?;
            // Without a Location the answer stands.
            let Some(after) = after else { return Ok(answer) };
            next = after;
            let mut request = next.request();
            let headers = request.headers_mut();
            if !next.is_at_home() {
                self.settings.secret_headers.keys().for_each(|name| drop(headers.remove(name)));
            }
            headers.remove(header::PROXY_AUTHORIZATION);
            if let Some(authorization) = self.client.proxy_authorization(request.uri()) {
                request.headers_mut().insert(header::PROXY_AUTHORIZATION, authorization);
            }
            answer = self.client.send(request).await.map_err(|error| Failure::transport(&error))?;
            if !leads_on(answer.status) {
                return Ok(answer);
            }
        }
        Err(Failure::redirect(&HttpError::TooManyRedirects))
    }

    async fn complete_request(&self, call: &Call, trace: &Trace) -> Result<Request<Segments>, Failure> {
        let mut request = self.request(call).map_err(|error| Failure {
            error: PushError::internal(format!("the request cannot be built: {error}")),
            retryable: false,
        })?;
        self.prove(request.headers_mut(), trace).await?;
        Ok(request)
    }

    /// Adds what says whose request it is.
    async fn prove(&self, headers: &mut HeaderMap, trace: &Trace) -> Result<(), Failure> {
        trace.inject(self.settings.propagation, headers);
        if let Some(credentials) = &self.settings.credentials {
            let value = credentials.header().await.map_err(|error| Failure {
                error: PushError::internal(error.to_string()),
                // A file may be just about to be replaced, and whoever gives tokens may come back.
                retryable: true,
            })?;
            headers.insert(header::AUTHORIZATION, value);
        }
        Ok(())
    }

    fn request(&self, call: &Call) -> Result<Request<Segments>, http::Error> {
        let mut request = Request::new(call.body.clone());
        *request.method_mut() = Method::POST;
        let (path, headers) = match call.api {
            Api::Push => (push::PATH, &self.push_headers),
            Api::Ingest => (ingest::PATH, &self.ingest_headers),
        };
        *request.uri_mut() = self.base.uri(path, call.query.as_deref())?;
        *request.headers_mut() = with_said(headers, &call.headers);
        if let Some((first, rest)) = call.content_types.split_first() {
            request.headers_mut().insert(header::CONTENT_TYPE, first.clone());
            for further in rest {
                request.headers_mut().append(header::CONTENT_TYPE, further.clone());
            }
        }
        Ok(request)
    }
}

/// An endpoint's headers, with what the sender said in their place.
fn with_said(own: &HeaderMap, said: &HeaderMap) -> HeaderMap {
    let mut headers = own.clone();
    for name in said.keys() {
        headers.remove(name);
    }
    for (name, value) in said {
        headers.append(name, value.clone());
    }
    headers
}

fn leads_on(status: StatusCode) -> bool {
    matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT)
}

pub(super) const USER_AGENT: &str = concat!("Flamegate/", env!("CARGO_PKG_VERSION"));

impl Base {
    fn parse(url: &str) -> Result<Self, UrlError> {
        let uri: Uri = url.parse().map_err(|error| UrlError::Invalid(url.to_owned(), error))?;
        let parts = uri.into_parts();
        let scheme = parts.scheme.ok_or_else(|| UrlError::Incomplete(url.to_owned(), "scheme"))?;
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(UrlError::Scheme(url.to_owned(), scheme.to_string()));
        }
        let authority = parts.authority.ok_or_else(|| UrlError::Incomplete(url.to_owned(), "host"))?;
        if authority.as_str().contains('@') {
            return Err(UrlError::UserInfo);
        }
        let path = parts.path_and_query.as_ref().map_or("", PathAndQuery::path).trim_end_matches('/').to_owned();
        Ok(Self { scheme, authority, path })
    }

    /// Its URL without a path.
    fn root(&self) -> Option<Uri> {
        Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone()).path_and_query("/").build().ok()
    }

    fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.scheme == Scheme::HTTPS { 443 } else { 80 })
    }

    fn without_query(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.authority)
    }

    fn uri(&self, path: &'static str, query: Option<&str>) -> Result<Uri, http::Error> {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(match (self.path.as_str(), query) {
            ("", None) => PathAndQuery::from_static(path),
            (base, None) => PathAndQuery::try_from(format!("{base}{path}"))?,
            (base, Some(query)) => PathAndQuery::try_from(format!("{base}{path}?{query}"))?,
        });
        Ok(Uri::from_parts(parts)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_path_stands_before_the_api_s() {
        let uri = |url: &str, query| Base::parse(url).unwrap().uri("/ingest", query).unwrap().to_string();
        assert_eq!(uri("http://host:4040", None), "http://host:4040/ingest");
        assert_eq!(uri("http://host/", Some("a=b")), "http://host/ingest?a=b");
        assert_eq!(uri("https://host/pyroscope/", Some("a=b")), "https://host/pyroscope/ingest?a=b");
    }

    #[test]
    fn a_url_that_is_no_endpoint_is_refused() {
        let error = |url: &str| Base::parse(url).unwrap_err().to_string();
        assert!(error("").contains("is no URL"), "{}", error(""));
        assert!(error("pyroscope:4040").contains("has no scheme"), "{}", error("pyroscope:4040"));
        assert!(error("/path").contains("has no scheme"));
        assert!(error("ftp://host").contains("the scheme ftp"));
        assert!(error("http://user:secret@host").contains("user name"));
        assert!(!error("http://user:secret@host").contains("secret"));
    }
}
