//! HTTP/1.1 over plain sockets, spoken by the task that asks: the head and the pieces of the body leave in one vectored
//! write, and no other task is woken for the answer.
//!
//! Almost every profile goes this way, and what it costs is what a profile costs. TLS, HTTP/2 and proxies are
//! hyper-util's.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{Request, Uri, header};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower_service::Service;

use self::answer::{AnswerError, read_answer};
use super::{Answer, Connection, IDLE};
use crate::telemetry::metrics::OpenConnection;
use crate::upstream::Segments;
use crate::upstream::http_client::{BoxError, Route};
use crate::workers;

mod answer;
#[cfg(test)]
mod tests;

/// Connections to one server that a thread keeps; the reference has as many for all.
const MOST_IDLE: usize = 1000;
const SHARDS: usize = 16;
/// Between two looks at connections that nobody uses.
const SWEEP: Duration = Duration::from_secs(30);
/// Pieces of a body that leave with the head; further ones follow.
const PIECES: usize = 15;

/// The connections of a client. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Http1 {
    route: Route,
    /// Each thread uses one of them, which is its own as long as there are not more threads.
    idle: Arc<[Arc<Mutex<Idle>>; SHARDS]>,
}

#[derive(Debug, Default)]
struct Idle {
    /// By server, the one that was used last at the end.
    connections: HashMap<Authority, Vec<IdleConnection>>,
    /// Whether a task looks at them now and then.
    swept: bool,
}

#[derive(Debug)]
struct IdleConnection {
    socket: Socket,
    since: Instant,
    /// Where its events come: elsewhere it is not used.
    thread: usize,
}

#[derive(Debug)]
struct Socket {
    stream: TcpStream,
    /// Counts it for as long as it is open.
    _open: Option<OpenConnection>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Http1Error {
    /// No connection.
    #[error("no connection: {}", super::chain(.0.as_ref()))]
    Connect(BoxError),
    /// The connection broke while the request was sent.
    #[error("sending the request: {0}")]
    Send(#[source] io::Error),
    /// The connection broke before the answer's end, or that is no HTTP.
    #[error("reading the answer: {0}")]
    Answer(#[from] AnswerError),
    /// A URL without a host.
    #[error("the URL has no host")]
    NoHost,
}

impl Http1 {
    /// Connections that are opened this way.
    pub(super) fn new(route: Route) -> Self {
        Self { route, idle: Arc::default() }
    }

    /// Sends a request and reads the answer, or as much of it as is ever looked at.
    pub(super) async fn send(&self, connection: Connection, request: Request<Segments>) -> Result<Answer, Http1Error> {
        let (parts, body) = request.into_parts();
        let authority = parts.uri.authority().ok_or(Http1Error::NoHost)?;
        let head = head(&parts, authority, body.len());
        let kept = if connection == Connection::Any { self.take(authority) } else { None };
        if let Some(mut socket) = kept {
            match exchange(&mut socket.stream, head.clone(), body.clone()).await {
                Ok((answer, reusable)) => {
                    self.keep(authority, socket, reusable);
                    return Ok(answer);
                }
                // The server closed it while it was idle, which is no failure of the server's: it is asked again.
                Err(failed) if failed.is_silence() => {}
                Err(failed) => return Err(failed),
            }
        }
        let mut socket = self.connect(parts.uri.clone()).await?;
        let (answer, reusable) = exchange(&mut socket.stream, head, body).await?;
        self.keep(authority, socket, reusable);
        Ok(answer)
    }

    async fn connect(&self, uri: Uri) -> Result<Socket, Http1Error> {
        let mut route = self.route.clone();
        std::future::poll_fn(|context| route.poll_ready(context)).await.map_err(Http1Error::Connect)?;
        let (stream, open) = route.call(uri).await.map_err(Http1Error::Connect)?.into_tcp();
        Ok(Socket { stream, _open: open })
    }

    /// The connection that was used last and is still open.
    fn take(&self, authority: &Authority) -> Option<Socket> {
        let thread = workers::here();
        let mut idle = lock(self.idle(thread));
        let connections = idle.connections.get_mut(authority)?;
        while let Some(last) = connections.iter().rposition(|connection| connection.thread == thread) {
            let connection = connections.remove(last);
            if connection.is_open() {
                return Some(connection.socket);
            }
        }
        None
    }

    fn keep(&self, authority: &Authority, socket: Socket, reusable: bool) {
        if !reusable {
            return;
        }
        let thread = workers::here();
        let connection = IdleConnection { socket, since: Instant::now(), thread };
        let kept = self.idle(thread);
        let mut idle = lock(kept);
        match idle.connections.get_mut(authority) {
            Some(connections) if connections.len() < MOST_IDLE => connections.push(connection),
            Some(_) => {}
            None => drop(idle.connections.insert(authority.clone(), vec![connection])),
        }
        if !std::mem::replace(&mut idle.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(kept)));
        }
    }

    fn idle(&self, thread: usize) -> &Arc<Mutex<Idle>> {
        let [first, ..] = &*self.idle;
        self.idle.get(thread % SHARDS).unwrap_or(first)
    }
}

impl IdleConnection {
    /// Whether the server has neither closed it nor said anything unasked.
    fn is_open(&self) -> bool {
        let read = self.socket.stream.try_read(&mut [0]);
        read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl Http1Error {
    /// Whether no connection could be opened, so that nothing was sent.
    pub(super) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Connect(_))
    }

    /// Whether the server has not answered with a single byte.
    fn is_silence(&self) -> bool {
        match self {
            Self::Send(_) => true,
            Self::Answer(error) => error.is_silence(),
            Self::Connect(_) | Self::NoHost => false,
        }
    }
}

/// Closes what was not used for long, for as long as there are connections.
async fn sweep(idle: std::sync::Weak<Mutex<Idle>>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(idle) = idle.upgrade() else { return };
        let mut idle = lock(&idle);
        idle.connections.retain(|_, connections| {
            connections.retain(|connection| connection.since.elapsed() < IDLE && connection.is_open());
            !connections.is_empty()
        });
        if idle.connections.is_empty() {
            idle.swept = false;
            return;
        }
    }
}

fn lock(idle: &Mutex<Idle>) -> MutexGuard<'_, Idle> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

fn head(request: &Parts, authority: &Authority, body: u64) -> Bytes {
    let Parts { method, uri, headers, .. } = request;
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let fields: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let mut head = BytesMut::with_capacity(path.len() + authority.as_str().len() + fields + 80);
    for part in [method.as_str(), " ", path, " HTTP/1.1\r\n"] {
        head.put_slice(part.as_bytes());
    }
    if !headers.contains_key(header::HOST) {
        let host = authority.as_str().rsplit('@').next().unwrap_or_default();
        for part in ["host: ", host, "\r\n"] {
            head.put_slice(part.as_bytes());
        }
    }
    for (name, value) in headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.put_slice(part);
        }
    }
    head.put_slice(b"content-length: ");
    head.put_slice(itoa::Buffer::new().format(body).as_bytes());
    head.put_slice(b"\r\n\r\n");
    head.freeze()
}

/// One request on a connection; whether there may be another one.
async fn exchange(stream: &mut TcpStream, head: Bytes, body: Segments) -> Result<(Answer, bool), Http1Error> {
    let (mut receiving, mut sending) = stream.split();
    let mut reading = std::pin::pin!(read_answer(&mut receiving));
    let written = tokio::select! {
        biased;
        written = write_all(&mut sending, head, body) => written,
        // A server that has heard enough. What was not sent is not going to be.
        answered = &mut reading => {
            let (answer, _) = answered?;
            return Ok((answer, false));
        }
    };
    match (written, reading.await) {
        (Ok(()), answered) => Ok(answered?),
        // It closed, and has said why before.
        (Err(_), Ok((answer, _))) => Ok((answer, false)),
        (Err(error), Err(nothing)) if nothing.is_silence() => Err(Http1Error::Send(error)),
        (Err(_), Err(broken)) => Err(broken.into()),
    }
}

async fn write_all(stream: &mut (impl AsyncWrite + Unpin), mut head: Bytes, body: Segments) -> io::Result<()> {
    let mut pieces = body.into_reversed_pieces();
    loop {
        let mut slices = [IoSlice::new(&[]); PIECES + 1];
        let ahead = std::iter::once(&head).chain(pieces.iter().rev());
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(ahead.filter(|piece| !piece.is_empty())) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        if count == 0 {
            return Ok(());
        }
        let mut written = stream.write_vectored(slices.get(..count).unwrap_or_default()).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let of_head = written.min(head.len());
        head.advance(of_head);
        written -= of_head;
        while let Some(piece) = pieces.last_mut() {
            let of_piece = written.min(piece.len());
            piece.advance(of_piece);
            written -= of_piece;
            if !piece.is_empty() {
                break;
            }
            pieces.pop();
        }
    }
}
