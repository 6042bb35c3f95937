//! One endpoint of `pyroscope.write`: where it is, what every request to it carries, and how it is tried again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use tokio::time::Instant;

use super::balancer::Pick;
use super::client::{Answer, Connection};
use super::failure::Evidence;
use super::http_client::{Credentials, HttpError, MOST_REDIRECTS, Next};
use super::retry_budget::RetryBudget;
use super::{Backoff, Balancer, Client, Failure, Segments};
use crate::component::Trouble;
use crate::pipeline::{PushError, Retry};
use crate::telemetry::traces::{Propagation, Span, SpanKind, Trace};

mod base;
mod debug_info;
mod patience;
mod request;

pub(super) use self::base::Base;
pub use self::base::UrlError;

/// Say something of the profile, and nothing of the endpoint.
const OF_ONE_PROFILE: [StatusCode; 3] =
    [StatusCode::BAD_REQUEST, StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNPROCESSABLE_ENTITY];

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
    /// The hash of its series, for endpoints that choose a backend by it: [`hash_key`](super::hash_key).
    pub hash_key: u64,
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
    way: Way,
    /// Of all calls together.
    retries: RetryBudget,
    trouble: ArcSwapOption<Trouble>,
}

/// How an endpoint is reached.
#[derive(Debug)]
pub enum Way {
    /// At the address of its name.
    Direct(Client),
    /// At the addresses of its backends.
    Balanced(Arc<Balancer>),
}

impl Endpoint {
    /// An endpoint that is reached so.
    pub fn new(settings: EndpointSettings, way: Way) -> Result<Self, UrlError> {
        let (name, base) = (settings.url.as_str().into(), Base::parse(&settings.url)?);
        let mut ingest_headers = settings.headers.clone();
        for (name, value) in &settings.secret_headers {
            ingest_headers.append(name, value.clone());
        }
        if let Some(authorization) = base.root().and_then(|root| way.proxy_authorization(&root)) {
            ingest_headers.insert(header::PROXY_AUTHORIZATION, authorization);
        }
        ingest_headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
        let mut push_headers = ingest_headers.clone();
        push_headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/proto"));
        push_headers.insert("connect-protocol-version", HeaderValue::from_static("1"));
        let millis = u64::try_from(settings.remote_timeout.as_millis()).unwrap_or(u64::MAX);
        push_headers.insert("connect-timeout-ms", HeaderValue::from(millis));
        let retries = RetryBudget::new();
        Ok(Self { name, base, settings, push_headers, ingest_headers, way, retries, trouble: ArcSwapOption::empty() })
    }

    /// Whether an endpoint can have this URL.
    pub fn check_url(url: &str) -> Result<(), UrlError> {
        Base::parse(url).map(drop)
    }

    /// The port of a server that such a URL leads to.
    pub fn port_of(url: &str) -> Result<u16, UrlError> {
        Base::parse(url).map(|base| base.port())
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
        let mut unreachable = Vec::new();
        loop {
            attempts += 1;
            rounds = rounds.saturating_add(1);
            let Err(failure) = self.attempt(&call, attempts, &mut unreachable, trace, &observe).await else {
                return Settled { attempts, result: Ok(()) };
            };
            if !self.wait_for_retry(&failure, &mut rounds).await {
                let verb = match call.api {
                    Api::Push => "push",
                    Api::Ingest => "ingest",
                };
                let words = format!("failed to {verb} to endpoint {} ({attempts} retries)", self.name);
                return Settled { attempts, result: Err(failure.error.context(words)) };
            }
            self.tell_of_retry(attempts, &failure);
        }
    }

    fn tell_of_retry(&self, attempts: u32, failure: &Failure) {
        let (endpoint, name, err) = (&self.name, self.alias(), &failure.error);
        tracing::debug!(%endpoint, name, attempts, %err, "attempt failed, trying again");
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

    /// Makes one attempt, which `observe` and the budget of retries hear of; `unreachable` are the backends to which this
    /// call found no connection so far.
    async fn attempt(
        &self,
        call: &Call,
        number: u32,
        unreachable: &mut Vec<SocketAddr>,
        trace: &Trace,
        observe: &impl Fn(Attempt),
    ) -> Result<(), Failure> {
        let began = Instant::now();
        let mut span = trace.child("POST", SpanKind::Client);
        span.record(|span| {
            span.set("http.request.method", "POST");
            span.set("server.address", self.base.authority().host());
            span.set("server.port", self.base.port());
            if number > 1 {
                span.set("http.request.resend_count", number - 1);
            }
        });
        // One that failed may have failed of its connection, and others may be as dead.
        let connection = if number == 1 { Connection::Any } else { Connection::New };
        let result = match &self.way {
            Way::Direct(client) => self.exchange(client, connection, call, &mut span).await,
            Way::Balanced(balancer) => self.balance(balancer, connection, call, unreachable, &mut span).await,
        };
        span.record(|span| {
            if let Err(failure) = &result {
                span.fail(&failure.error.cause);
            }
        });
        drop(span);
        observe(Attempt { number, took: began.elapsed() });
        match &result {
            Ok(()) => self.retries.succeeded(),
            Err(_) if number == 1 => self.retries.failed(),
            Err(_) => {}
        }
        self.note(&result);
        result
    }

    /// Why the last attempt failed, where it did: not those that failed by what was sent.
    pub fn trouble(&self) -> Option<Trouble> {
        self.trouble.load().as_deref().cloned()
    }

    fn note(&self, result: &Result<(), Failure>) {
        let before = self.trouble.load();
        match result {
            Ok(()) if before.is_none() => {}
            Ok(()) => self.trouble.store(None),
            Err(failure) if OF_ONE_PROFILE.contains(&failure.error.status) => {}
            Err(failure) => {
                let since = before.as_ref().map_or_else(SystemTime::now, |before| before.since);
                let reason = format!("endpoint {}: {}", self.name, failure.error.cause);
                self.trouble.store(Some(Arc::new(Trouble { reason, since })));
            }
        }
    }

    /// Makes one attempt with a backend. Where it cannot be reached, nothing was sent: another one is asked at once.
    async fn balance(
        &self,
        balancer: &Balancer,
        connection: Connection,
        call: &Call,
        unreachable: &mut Vec<SocketAddr>,
        span: &mut Span,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        let mut pick = self.pick(balancer, call.hash_key, &[]).await?;
        loop {
            span.record(|span| {
                span.set("network.peer.address", &*pick.address().ip().to_string());
                span.set("network.peer.port", pick.address().port());
            });
            let result = self.exchange(pick.client(), connection, call, span).await;
            pick.settle(result.as_ref().copied());
            let failure = match result {
                Err(failure) if failure.evidence == Evidence::Unreachable => failure,
                settled => return settled,
            };
            if !unreachable.contains(&pick.address()) {
                unreachable.push(pick.address());
            }
            // Not longer than one attempt may take: a call is not to wait for each of very many.
            if began.elapsed() >= self.settings.remote_timeout {
                return Err(failure);
            }
            pick = match self.pick(balancer, call.hash_key, unreachable).await {
                Ok(other) => other,
                Err(_) => return Err(failure),
            };
        }
    }

    async fn pick(&self, balancer: &Balancer, hash_key: u64, avoided: &[SocketAddr]) -> Result<Pick, Failure> {
        let limit = self.settings.remote_timeout;
        let pick = tokio::time::timeout(limit, balancer.pick(hash_key, avoided)).await;
        let pick = pick.map_err(|_| Failure::unavailable(format!("no backend was found within {limit:?}")))?;
        pick.ok_or_else(|| Failure::unavailable("no backend: the list of targets is empty".to_owned()))
    }

    async fn exchange(
        &self,
        client: &Client,
        connection: Connection,
        call: &Call,
        span: &mut Span,
    ) -> Result<(), Failure> {
        let limit = self.settings.remote_timeout;
        let exchange = async {
            let request = self.complete_request(call, span.trace()).await?;
            // Without its query, where the labels are.
            span.record(|span| span.set("url.full", &*self.base.without_query(request.uri().path())));
            let answer = client.send_on(connection, request).await.map_err(|error| Failure::transport(&error))?;
            if self.settings.follow_redirects && leads_on(answer.status) {
                return Box::pin(self.follow(client, call, span.trace(), answer)).await;
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
    async fn follow(&self, client: &Client, call: &Call, trace: &Trace, mut answer: Answer) -> Result<Answer, Failure> {
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
            if let Some(authorization) = client.proxy_authorization(request.uri()) {
                request.headers_mut().insert(header::PROXY_AUTHORIZATION, authorization);
            }
            answer = client.send(request).await.map_err(|error| Failure::transport(&error))?;
            if !leads_on(answer.status) {
                return Ok(answer);
            }
        }
        Err(Failure::redirect(&HttpError::TooManyRedirects))
    }
}

impl Way {
    /// What a request must tell the proxy that reads it; in front of backends there is none.
    fn proxy_authorization(&self, uri: &Uri) -> Option<HeaderValue> {
        match self {
            Self::Direct(client) => client.proxy_authorization(uri),
            Self::Balanced(_) => None,
        }
    }
}

fn leads_on(status: StatusCode) -> bool {
    matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT)
}

pub(super) const USER_AGENT: &str = concat!("Flamegate/", env!("CARGO_PKG_VERSION"));
