//! A server that takes spans in OTLP, over HTTP and gRPC on one port, as strict as its specification: whatever is not
//! exactly as it must be is refused and remembered.

mod message;
mod read;
mod serve;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderMap;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::polling::{NeverHappened, eventually};

/// A running server; dropping it closes the port and every connection.
#[derive(Debug)]
pub struct OtlpReceiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: JoinHandle<()>,
}

/// What it does with requests that are as they must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It takes the spans.
    Take,
    /// It takes all but this many.
    TakeAllBut(u8),
    /// It is busy: 503, or unavailable.
    Busy,
    /// It wants none of them, now or later: 400, or invalid_argument.
    Refuse,
    /// It answers nothing.
    Silence,
}

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// As the body of a POST.
    Http,
    /// As the message of a call.
    Grpc,
}

/// A span that was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// In hexadecimal.
    pub trace_id: String,
    /// In hexadecimal.
    pub span_id: String,
    /// In hexadecimal; empty for none.
    pub parent: String,
    /// As W3C and OTLP say.
    pub flags: u32,
    /// Its name.
    pub name: String,
    /// 1 internal, 2 server, 3 client.
    pub kind: i32,
    /// In nanoseconds.
    pub took: u64,
    /// Numbers as texts.
    pub attributes: BTreeMap<String, String>,
    /// The text of an error; `None` where the span is none.
    pub error: Option<String>,
}

/// A request that was as it must be, whatever it was answered.
#[derive(Debug, Clone)]
pub struct Request {
    /// How it came.
    pub via: Via,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its spans.
    pub spans: Vec<Span>,
    /// Whether they were taken.
    pub taken: bool,
}

#[derive(Debug)]
struct Shared {
    answer: Mutex<Answer>,
    requests: Mutex<Vec<Request>>,
    violations: Mutex<Vec<String>>,
}

impl OtlpReceiver {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start() -> io::Result<Self> {
        Self::start_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// Starts one where another one was.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn start_on(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let answer = Mutex::new(Answer::Take);
        let shared = Arc::new(Shared { answer, requests: Mutex::default(), violations: Mutex::default() });
        let acceptor = tokio::spawn(serve::accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, acceptor })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers so from the next request on.
    pub fn answer(&self, answer: Answer) {
        *locked(&self.shared.answer) = answer;
    }

    /// Every request that was as it must be, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        locked(&self.shared.requests).clone()
    }

    /// Every span that was taken, in order.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.requests().into_iter().filter(|request| request.taken).flat_map(|request| request.spans).collect()
    }

    /// What was not as it must be; empty where all is well.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        locked(&self.shared.violations).clone()
    }

    /// Waits until the spans that were taken are such, and hands them back.
    ///
    /// # Errors
    /// When they are not in time.
    pub async fn wait_for(&self, what: &str, enough: impl Fn(&[Span]) -> bool) -> Result<Vec<Span>, NeverHappened> {
        eventually(what, async || Some(self.spans()).filter(|spans| enough(spans))).await
    }
}

impl Drop for OtlpReceiver {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
