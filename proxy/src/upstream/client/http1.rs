//! HTTP/1.1, spoken by the task that asks: the head and the pieces of the body leave in one vectored write, and no other
//! task is woken for the answer.
//!
//! Almost every profile goes this way, and what it costs is what a profile costs. HTTP/2 and proxies are hyper-util's.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::uri::{Authority, PathAndQuery};
use http::{Request, Uri, header};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;
use tower_service::Service;

use self::answer::{AnswerError, read_answer};
use self::stream::{Agreed, Stream};
use super::{Answer, Connection, IDLE};
use crate::telemetry::metrics::OpenConnection;
use crate::upstream::Segments;
use crate::upstream::http_client::{BoxError, Route};
use crate::workers;

pub(super) use self::stream::Tls;

mod answer;
mod fetch;
mod stream;
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
    /// None: plain connections.
    tls: Option<Arc<Tls>>,
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
    stream: Stream,
    /// Counts it for as long as it is open.
    _open: Option<OpenConnection>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Http1Error {
    /// No connection.
    #[error("no connection: {}", super::chain(.0.as_ref()))]
    Connect(BoxError),
    /// The server speaks HTTP/2 with those who do; nothing was sent.
    #[error("the server has chosen HTTP/2")]
    ChoseHttp2,
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
    /// Connections that are opened this way, over TLS where it says how.
    pub(super) fn new(route: Route, tls: Option<Tls>) -> Self {
        Self { route, tls: tls.map(Arc::new), idle: Arc::default() }
    }

    /// Sends a request and reads the answer, or as much of it as is ever looked at.
    pub(super) async fn send(&self, connection: Connection, request: &Request<Segments>) -> Result<Answer, Http1Error> {
        let body = request.body();
        let authority = self.server(request.uri())?;
        let head = head(request, authority, Some(body.len()));
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
        let mut socket = self.connect(request.uri(), authority).await?;
        let (answer, reusable) = exchange(&mut socket.stream, head, body.clone()).await?;
        self.keep(authority, socket, reusable);
        Ok(answer)
    }

    /// The server that a URL names, if it may be spoken to in this way.
    fn server<'u>(&self, uri: &'u Uri) -> Result<&'u Authority, Http1Error> {
        let authority = uri.authority().ok_or(Http1Error::NoHost)?;
        let is_other = self.tls.as_ref().is_some_and(|tls| tls.has_chosen_http2(authority));
        if is_other { Err(Http1Error::ChoseHttp2) } else { Ok(authority) }
    }

    async fn connect(&self, uri: &Uri, server: &Authority) -> Result<Socket, Http1Error> {
        let mut route = self.route.clone();
        std::future::poll_fn(|context| route.poll_ready(context)).await.map_err(Http1Error::Connect)?;
        let (socket, open) = route.call(uri.clone()).await.map_err(Http1Error::Connect)?.into_tcp();
        let stream = match &self.tls {
            None => Stream::Plain(socket),
            Some(tls) => match tls.begin(uri, server, socket).await.map_err(Http1Error::Connect)? {
                Agreed::Http1(stream) => stream,
                Agreed::Http2 => return Err(Http1Error::ChoseHttp2),
            },
        };
        Ok(Socket { stream, _open: open })
    }

    /// The connection that was used last and is still open.
    fn take(&self, authority: &Authority) -> Option<Socket> {
        let thread = workers::here();
        let mut idle = lock(self.idle(thread));
        let connections = idle.connections.get_mut(authority)?;
        while let Some(last) = connections.iter().rposition(|connection| connection.thread == thread) {
            let connection = connections.remove(last);
            if connection.socket.stream.is_open() {
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

impl Http1Error {
    /// Whether no connection could be opened, so that nothing was sent.
    pub(super) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Connect(_))
    }

    /// Whether the answer is larger than it may be.
    pub(super) fn is_too_large(&self) -> bool {
        matches!(self, Self::Answer(AnswerError::Intake(_)))
    }

    /// Whether the server has not answered with a single byte.
    fn is_silence(&self) -> bool {
        match self {
            Self::Send(_) => true,
            Self::Answer(error) => error.is_silence(),
            Self::Connect(_) | Self::ChoseHttp2 | Self::NoHost => false,
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
            connections.retain(|connection| connection.since.elapsed() < IDLE && connection.socket.stream.is_open());
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

/// `body` is its length, where there is one.
fn head<B>(request: &Request<B>, authority: &Authority, body: Option<u64>) -> Bytes {
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
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
    if let Some(body) = body {
        head.put_slice(b"content-length: ");
        head.put_slice(itoa::Buffer::new().format(body).as_bytes());
        head.put_slice(b"\r\n");
    }
    head.put_slice(b"\r\n");
    head.freeze()
}

/// One request on a connection; whether there may be another one.
async fn exchange(stream: &mut Stream, head: Bytes, body: Segments) -> Result<(Answer, bool), Http1Error> {
    match stream {
        Stream::Plain(socket) => {
            let (receiving, sending) = socket.split();
            exchange_on(receiving, sending, head, body).await
        }
        Stream::Tls(stream) => {
            let (receiving, sending) = tokio::io::split(stream);
            exchange_on(receiving, sending, head, body).await
        }
    }
}

async fn exchange_on(
    mut receiving: impl AsyncRead + Unpin,
    mut sending: impl AsyncWrite + Unpin,
    head: Bytes,
    body: Segments,
) -> Result<(Answer, bool), Http1Error> {
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
            // TLS keeps the last record until it is told.
            return stream.flush().await;
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
