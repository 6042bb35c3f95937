//! A backend as strict as a Pyroscope server: it takes `/ingest` and `Push`, decodes every profile to the last
//! reference, checks labels with the server's limits, keeps what it took, and answers errors as the server does.
//! For fault tests it follows a [`Script`] first.

mod ingest;
mod labels;
mod push;
mod received;
mod refusal;
mod script;
mod serve;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use labels::{LabelError, check_series, parse_name};
pub use received::{Api, Decoded, Received};
pub use refusal::{Code, Refusal};
pub use script::{Answer, Script};

/// Bounds on what the backend reads; the profile's is the server's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of a request, compressed or not.
    pub body_bytes: usize,
    /// Of one profile without gzip.
    pub profile_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body_bytes: 256 << 20, profile_bytes: 4 << 20 }
    }
}

/// How a backend is to be.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens. Only a test that stops a backend and starts it again names a port.
    pub address: SocketAddr,
    /// Everything is served below this; empty or such as `/base`.
    pub base_path: String,
    /// Answers to profile requests.
    pub script: Script,
    /// Bounds on what is read.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            base_path: String::new(),
            script: Script::judging(),
            limits: Limits::default(),
        }
    }
}

/// A running backend; dropping it closes the port and every connection.
#[derive(Debug)]
pub struct Backend {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: JoinHandle<()>,
}

/// A request as read.
#[derive(Debug, Clone)]
pub struct Request {
    /// When it had been read.
    pub at: Instant,
    /// HTTP/1.1 or HTTP/2.
    pub version: Version,
    /// The method.
    pub method: Method,
    /// The path, with the base path.
    pub path: String,
    /// Decoded query parameters, in order.
    pub query: Vec<(String, String)>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub body: Bytes,
}

/// A request and what became of it.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The request.
    pub request: Request,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of a request.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// Taken: its series.
    Taken(Vec<Received>),
    /// Refused on its merits.
    Refused(Refusal),
    /// Answered as the script said, unread.
    Scripted(Answer),
    /// Its body never came whole, or its sender hung up while it was to be judged later.
    Broken(String),
}

/// What waited for did not arrive; its text lists everything that did.
#[derive(Debug, Clone, thiserror::Error)]
#[error("nothing like it arrived within {deadline:?}. What did:{arrived}")]
pub struct NotArrived {
    /// How long it was waited for.
    pub deadline: Duration,
    /// The attempts, one a line.
    pub arrived: String,
}

#[derive(Debug)]
struct Shared {
    started: Instant,
    base_path: String,
    limits: Limits,
    script: Mutex<Script>,
    ready: Mutex<StatusCode>,
    attempts: Mutex<Vec<Attempt>>,
    arrivals: watch::Sender<usize>,
}

impl Backend {
    /// On a free port of loopback, judging every request.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> io::Result<Self> {
        Self::start_as(Options::default()).await
    }

    /// On a free port of loopback, following a script.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start_with(script: Script) -> io::Result<Self> {
        Self::start_as(Options { script, ..Options::default() }).await
    }

    /// As the options say.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start_as(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(options.address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            started: Instant::now(),
            base_path: options.base_path.trim_end_matches('/').to_owned(),
            limits: options.limits,
            script: Mutex::new(options.script),
            ready: Mutex::new(StatusCode::OK),
            attempts: Mutex::new(Vec::new()),
            arrivals: watch::Sender::new(0),
        });
        let acceptor = tokio::spawn(serve::accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, acceptor })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// URL for `endpoint { url = … }`, with the base path, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, self.shared.base_path)
    }

    /// Follows another script from the next request on.
    pub fn follow(&self, script: Script) {
        *locked(&self.shared.script) = script;
    }

    /// What `GET /ready` answers from now on; 200 at first.
    pub fn set_ready(&self, status: StatusCode) {
        *locked(&self.shared.ready) = status;
    }

    /// Every series that was taken, in order.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        let attempts = locked(&self.shared.attempts);
        let taken = attempts.iter().filter_map(|attempt| match &attempt.verdict {
            Verdict::Taken(series) => Some(series),
            Verdict::Refused(_) | Verdict::Scripted(_) | Verdict::Broken(_) => None,
        });
        taken.flatten().cloned().collect()
    }

    /// Every profile request, in order, whatever became of it.
    #[must_use]
    pub fn attempts(&self) -> Vec<Attempt> {
        locked(&self.shared.attempts).clone()
    }

    /// Waits until a series that was taken satisfies the predicate: one that is there, or the next.
    ///
    /// # Errors
    /// When the deadline passes first; the text lists what arrived.
    pub async fn wait_for(
        &self,
        mut predicate: impl FnMut(&Received) -> bool,
        deadline: Duration,
    ) -> Result<Received, NotArrived> {
        let found = || self.received().into_iter().find(|series| predicate(series));
        self.wait_until(found, deadline).await
    }

    /// Waits until this many profile requests have come, and hands back all of them.
    ///
    /// # Errors
    /// When the deadline passes first; the text lists what arrived.
    pub async fn wait_for_attempts(&self, count: usize, deadline: Duration) -> Result<Vec<Attempt>, NotArrived> {
        let enough = || Some(self.attempts()).filter(|attempts| attempts.len() >= count);
        self.wait_until(enough, deadline).await
    }

    /// A line for every attempt, for the message of a failing test.
    #[must_use]
    pub fn summary(&self) -> String {
        let attempts = locked(&self.shared.attempts);
        if attempts.is_empty() {
            return "\n  (nothing)".to_owned();
        }
        let line = |attempt: &Attempt| {
            let after = attempt.request.at.duration_since(self.shared.started);
            format!("\n  {:>7.3} s  {attempt}", after.as_secs_f64())
        };
        attempts.iter().map(line).collect()
    }

    async fn wait_until<T>(&self, mut found: impl FnMut() -> Option<T>, deadline: Duration) -> Result<T, NotArrived> {
        let mut arrivals = self.shared.arrivals.subscribe();
        let arrived = async {
            loop {
                arrivals.mark_unchanged();
                if let Some(found) = found() {
                    return Some(found);
                }
                arrivals.changed().await.ok()?;
            }
        };
        let outcome = tokio::time::timeout(deadline, arrived).await;
        outcome.ok().flatten().ok_or_else(|| NotArrived { deadline, arrived: self.summary() })
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

impl Backend {
    /// Closes the port and every connection, and waits until that is done: another can then be started on
    /// [`address`](Self::address). Returns what it has [received](Self::received).
    pub async fn stop(mut self) -> Vec<Received> {
        self.acceptor.abort();
        // It ends as cancelled: that is what was asked for.
        let _ = (&mut self.acceptor).await;
        self.received()
    }
}

impl Shared {
    fn record(&self, request: Request, verdict: Verdict) {
        let count = {
            let mut attempts = locked(&self.attempts);
            attempts.push(Attempt { request, verdict });
            attempts.len()
        };
        self.arrivals.send_replace(count);
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Request { version, method, path, query, body, .. } = &self.request;
        write!(f, "{version:?} {method} {path} {query:?}, {} bytes: ", body.len())?;
        match &self.verdict {
            Verdict::Taken(series) => {
                write!(f, "taken")?;
                series.iter().try_for_each(|series| write!(f, "\n    {series}"))
            }
            Verdict::Refused(refusal) => write!(f, "refused: {refusal}"),
            Verdict::Scripted(answer) => write!(f, "answered as scripted: {answer:?}"),
            Verdict::Broken(error) => write!(f, "broken: {error}"),
        }
    }
}

/// The server takes profiles from an hour ago to ten minutes ahead.
fn check_time(nanoseconds_since_1970: i64) -> Result<(), String> {
    const HOUR: i128 = 3_600_000_000_000;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i128::try_from(now.as_nanos()).unwrap_or(i128::MAX);
    let ahead = i128::from(nanoseconds_since_1970) - now;
    if (-HOUR..HOUR / 6).contains(&ahead) {
        return Ok(());
    }
    Err(format!("profile is outside of ingestion window: {} s from now", ahead / 1_000_000_000))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
