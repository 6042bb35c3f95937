//! How kube's client reaches the API server: on the HTTP client that all components have, within bounds.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use http::uri::PathAndQuery;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use kube::client::Body;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};
use tower_service::Service;

use crate::upstream::http_client::HttpClient;
use crate::upstream::retry_after;

/// Most bytes of an object of a watch. The API server takes none that is larger than 3 MiB.
const MAX_LINE: usize = 4 << 20;
/// Most bytes of a page of a list, which has 500 objects.
const MAX_PAGE: usize = 64 << 20;
/// Most bytes of an answer that is an error.
const MAX_ERROR: usize = 64 << 10;
/// The longest wait for the head of an answer, and for the next piece of a page.
const ANSWER: Duration = Duration::from_secs(60);
/// The longest silence of a watch. The server ends each after 290 seconds.
const SILENCE: Duration = Duration::from_secs(300);
/// As the reference: a watch that ends at once is begun again a second later.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// An answer whose body is still to be read.
pub(super) type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;
/// Asks the API server.
pub(super) type Ask = Arc<dyn Fn(Request<Bytes>) -> BoxFuture<'static, Result<Answer, BoxError>> + Send + Sync>;

/// Asks with this client.
pub(super) fn over_http(client: HttpClient) -> Ask {
    let client = Arc::new(client);
    Arc::new(move |request| {
        let client = client.clone();
        let asking = async move { Ok(client.open(request).await?.map(|body| body.map_err(Into::into).boxed_unsync())) };
        asking.boxed()
    })
}

/// Requests to the API server about one part of the cluster.
#[derive(Clone)]
pub(super) struct Transport {
    ask: Ask,
    server: Uri,
    heard: Arc<Heard>,
}

/// What the transport says of the server beside its answers.
#[derive(Default)]
pub(super) struct Heard {
    /// Told when a watch is answered.
    pub(super) watching: Notify,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How long the server wants to be left alone.
    rest: Option<Duration>,
    /// When a watch was begun last.
    watched: Option<Instant>,
}

impl Heard {
    /// How long the server wants to be left alone, if it said so since this was asked last.
    pub(super) fn take_rest(&self) -> Option<Duration> {
        self.state().rest.take()
    }

    /// When another watch may begin, which then does.
    fn next_watch(&self) -> Instant {
        let watched = &mut self.state().watched;
        let due = watched.map_or_else(Instant::now, |before| Instant::now().max(before + WATCH_INTERVAL));
        *watched = Some(due);
        due
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why an answer is not read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransportError {
    #[error("no answer within {} seconds", ANSWER.as_secs())]
    NoAnswer,
    #[error("the server fell silent")]
    Silent,
    #[error("an object is larger than {MAX_LINE} bytes")]
    Line,
    #[error("the answer is larger than {0} bytes")]
    Answer(usize),
    #[error("{0:?} leads to no URL of the server")]
    Path(String),
}

impl Transport {
    pub(super) fn new(ask: Ask, server: Uri, heard: Arc<Heard>) -> Self {
        Self { ask, server, heard }
    }

    async fn answer(self, mut request: Request<Body>) -> Result<Response<Bounded>, BoxError> {
        let asked = request.uri().path_and_query().map_or("/", PathAndQuery::as_str).to_owned();
        let is_watch = request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"));
        *request.uri_mut() = below(&self.server, &asked).ok_or(TransportError::Path(asked))?;
        if is_watch {
            sleep_until(self.heard.next_watch()).await;
        }
        // All of them are GETs.
        let request = request.map(|_| Bytes::new());
        let answer = timeout(ANSWER, (self.ask)(request)).await.map_err(|_| TransportError::NoAnswer)??;
        let is_error = !answer.status().is_success();
        if matches!(answer.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            self.heard.state().rest = retry_after(answer.headers(), SystemTime::now());
        }
        let bound = match is_watch {
            _ if is_error => Bound::Whole { limit: MAX_ERROR, read: 0 },
            true => Bound::Lines { read: 0 },
            false => Bound::Whole { limit: MAX_PAGE, read: 0 },
        };
        if is_watch && !is_error {
            self.heard.watching.notify_one();
        }
        Ok(answer.map(|body| bound.over(body)))
    }
}

impl Service<Request<Body>> for Transport {
    type Response = Response<Bounded>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.clone().answer(request).boxed()
    }
}

/// A body that ends with an error where it goes on too long.
pub(super) type Bounded = StreamBody<BoxStream<'static, Result<Frame<Bytes>, BoxError>>>;

enum Bound {
    Whole { limit: usize, read: usize },
    Lines { read: usize },
}

impl Bound {
    fn over(self, body: UnsyncBoxBody<Bytes, BoxError>) -> Bounded {
        let pieces = stream::unfold(Some((body, self)), |state| async move {
            let (mut body, mut bound) = state?;
            match bound.next(&mut body).await.transpose()? {
                Ok(frame) => Some((Ok(frame), Some((body, bound)))),
                Err(error) => Some((Err(error), None)),
            }
        });
        StreamBody::new(pieces.boxed())
    }

    async fn next(&mut self, body: &mut UnsyncBoxBody<Bytes, BoxError>) -> Result<Option<Frame<Bytes>>, BoxError> {
        let patience = match self {
            Self::Whole { .. } => ANSWER,
            Self::Lines { .. } => SILENCE,
        };
        let next = timeout(patience, body.frame()).await.map_err(|_| TransportError::Silent)?;
        let Some(frame) = next.transpose()? else { return Ok(None) };
        self.count(frame.data_ref().map_or(&[], |data| data))?;
        Ok(Some(frame))
    }

    fn count(&mut self, data: &[u8]) -> Result<(), TransportError> {
        match self {
            Self::Whole { limit, read } => {
                *read += data.len();
                if *read > *limit { Err(TransportError::Answer(*limit)) } else { Ok(()) }
            }
            Self::Lines { read } => {
                let mut ends = memchr::memchr_iter(b'\n', data);
                let (first, last) = (ends.next(), ends.next_back());
                let longest = *read + first.unwrap_or(data.len());
                *read = match last.or(first) {
                    Some(end) => data.len() - end - 1,
                    None => longest,
                };
                if longest > MAX_LINE { Err(TransportError::Line) } else { Ok(()) }
            }
        }
    }
}

/// A path of the server, which may itself be below a path.
fn below(server: &Uri, asked: &str) -> Option<Uri> {
    let base = server.path().trim_end_matches('/');
    let mut parts = server.clone().into_parts();
    parts.path_and_query = Some(format!("{base}{asked}").parse().ok()?);
    Uri::from_parts(parts).ok()
}
