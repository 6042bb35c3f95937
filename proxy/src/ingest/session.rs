//! One request on a connection: head, body, work, answer, each under its deadline.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::BytesMut;
use futures_util::FutureExt;
use http::{StatusCode, header};
use pingora_core::apps::{HttpPersistentSettings, HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v2::server::H2Options;
use pingora_core::server::ShutdownWatch;
use pingora_http::ResponseHeader;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::watch;
use tokio::time::Instant;

use super::listener::Listener;
use super::tenure::Tenure;
use super::{Answered, Head, Http2, Refusal, Reply, Request, Route, body};
use crate::pipeline::{HELD_BYTES, body_stream};
use crate::telemetry::LogLimit;

/// Requests of a sender that we refused are read on for so long and no longer, so that the answer is not lost in the
/// reset that closing over unread bytes causes.
pub(super) const LINGER: Duration = Duration::from_secs(2);
/// Bytes read on at most.
const LINGER_BYTES: usize = 16 << 20;
/// Bytes of a request that are read at first.
const FIRST_BYTES: usize = 4096;
/// Headers that are added to a reply's own: Content-Length, and Pingora's Date and Connection.
const MORE_HEADERS: usize = 3;
/// A body of so many bytes, or of so many compressed ones, may keep a thread busy for a while.
const HEAVY: usize = 256 << 10;
const HEAVY_COMPRESSED: usize = 8 << 10;
/// Of lines about panics.
static PANICS: LogLimit = LogLimit::new();

/// What Pingora calls for each request of one connection.
pub(super) struct Session {
    listener: Arc<Listener>,
    /// `true` when the listener ends.
    stop: watch::Receiver<bool>,
    options: HttpServerOptions,
    /// `None` where the connection speaks HTTP/1.1.
    http2: Option<Http2>,
}

/// One request and the app that answers it, the same from head to end whatever is reloaded meanwhile.
struct Exchange<'a> {
    listener: &'a Listener,
    tenure: &'a Arc<Tenure>,
    session: &'a mut ServerSession,
}

impl Session {
    pub(super) fn new(listener: Arc<Listener>, idle_timeout: Duration, http2: Option<Http2>) -> Self {
        let mut options = HttpServerOptions::default();
        options.h2c = http2.is_some();
        options.h2_idle_timeout = Some(http2.as_ref().and_then(|http2| http2.idle_timeout).unwrap_or(idle_timeout));
        let stop = listener.stop();
        Self { listener, stop, options, http2 }
    }
}

impl Session {
    /// Reads the head, or sees that there will be none.
    async fn read_head(&self, session: &mut ServerSession) -> Option<Head> {
        let patience = self.listener.tenure.load().as_ref()?.limits.read_timeout;
        // What is sent behind a request is the next one, and not lost.
        session.set_pipelining_enabled(true);
        let read = tokio::time::timeout(patience, session.read_request()).await;
        if !matches!(read, Ok(Ok(true))) {
            return None;
        }
        let http2 = session.is_http2();
        let header = session.req_header();
        Some(Head {
            method: header.method.clone(),
            path: header.uri.path().to_owned(),
            query: header.uri.query().unwrap_or_default().to_owned(),
            headers: header.headers.clone(),
            http2,
            arrived: SystemTime::now(),
        })
    }
}

impl Exchange<'_> {
    /// Reads the body and lets the app work.
    async fn serve(&mut self, route: Route, head: Head) -> Served {
        let Tenure { app, limits, .. } = &**self.tenure;
        if app.is_streamed(route) {
            return Box::pin(self.relay(route, head)).await;
        }
        let deadline = Instant::now() + limits.read_timeout;
        let (body, memory) = match body::read(self.session, limits, deadline).await {
            Ok(read) => read,
            Err(refusal) => {
                app.refused(&refusal);
                let reply = app.refuse(route, &head, &refusal);
                return Served { reply, request_bytes: self.session.body_bytes_read(), body_read: false };
            }
        };
        let request_bytes = body.len();
        let patience = app.patience(route, &head).unwrap_or(Duration::MAX).min(limits.write_timeout);
        let head = Arc::new(head);
        // Nothing cancels this task: that the sender goes away is seen only when it is answered.
        let work = app.clone().handle(route, Request { head: head.clone(), body, memory });
        let work = AssertUnwindSafe(work).catch_unwind();
        let work = work.map(move |worked| worked.unwrap_or_else(|_| panicked(route)));
        let mut work = if is_heavy(&head, request_bytes) {
            let elsewhere = self.listener.workers.home().spawn(work);
            elsewhere.map(move |worked| worked.unwrap_or_else(|_| panicked(route))).left_future()
        } else {
            work.right_future()
        };
        let reply = match tokio::time::timeout(patience, &mut work).await {
            Ok(reply) => reply,
            Err(_) => {
                // The sender has its answer; the work goes on without it.
                let unfinished = self.tenure.begin();
                tokio::spawn(work.map(|_| drop(unfinished)));
                let unanswered = Refusal::Unanswered(patience);
                app.refused(&unanswered);
                app.refuse(route, &head, &unanswered)
            }
        };
        Served { reply, request_bytes, body_read: true }
    }
}

impl Exchange<'_> {
    /// Lets the app work while the body comes. When the work is done, no more of the body is wanted.
    async fn relay(&mut self, route: Route, head: Head) -> Served {
        let Tenure { app, limits, .. } = &**self.tenure;
        let Some(_held) = limits.memory.take(HELD_BYTES) else {
            app.refused(&Refusal::Busy);
            let reply = app.refuse(route, &head, &Refusal::Busy);
            return Served { reply, request_bytes: 0, body_read: self.session.is_body_empty() };
        };
        let announced = body::announced_length(self.session).map(|length| length as u64);
        let (writer, stream) = body_stream(announced);
        let work = app.clone().handle_streamed(route, Arc::new(head), stream);
        let mut work = AssertUnwindSafe(work).catch_unwind().map(|worked| worked.unwrap_or_else(|_| panicked(route)));
        let read = {
            let mut reading = pin!(body::relay(self.session, writer));
            tokio::select! {
                biased;
                reply = &mut work => Err(reply),
                read = &mut reading => Ok(read),
            }
        };
        let (reply, read) = match read {
            Err(reply) => (reply, None),
            Ok(read) => (work.await, Some(read)),
        };
        if let Some(Err(refusal)) = &read {
            app.refused(refusal);
        }
        // Bytes that are still to come do not belong to the next request.
        let body_read = matches!(read, Some(Ok(()))) && self.session.is_body_done();
        Served { reply, request_bytes: self.session.body_bytes_read(), body_read }
    }
}

/// Whether the other connections of the thread would wait for it.
fn is_heavy(head: &Head, bytes: usize) -> bool {
    bytes >= if head.headers.contains_key(header::CONTENT_ENCODING) { HEAVY_COMPRESSED } else { HEAVY }
}

fn panicked(route: Route) -> Reply {
    if let Some(line) = PANICS.admit() {
        tracing::error!(route = route.0, left_out = line.left_out, "a request ended in a panic");
    }
    Reply::text(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n")
}

struct Served {
    reply: Reply,
    request_bytes: usize,
    /// Whether the next request follows on the connection, or the rest of this one.
    body_read: bool,
}

/// What is left of a connection after a request, where another one may follow.
struct Kept {
    stream: Stream,
    settings: HttpPersistentSettings,
    /// What came of the next request already.
    ahead: BytesMut,
}

impl Session {
    /// Serves HTTP/1.1. Between two requests there is nothing but the connection itself: what a request takes while it is
    /// read is there when its first bytes are.
    pub(super) async fn serve_http1(&self, stream: Stream, leave: &ShutdownWatch) {
        let mut exchange = Box::pin(self.exchange(ServerSession::new_http1(stream), leave));
        while let Some(Kept { mut stream, settings, mut ahead }) = exchange.await {
            if ahead.is_empty() {
                let Some(first) = self.first_bytes(&mut stream).await else { return };
                ahead = first;
            }
            let mut session = ServerSession::new_http1(stream);
            settings.apply_to_session(&mut session);
            session.set_pipelined_prefix(ahead);
            exchange = Box::pin(self.exchange(session, leave));
        }
    }

    /// Waits for the next request; none where it does not come in time, or where nobody is to wait for it.
    async fn first_bytes(&self, stream: &mut Stream) -> Option<BytesMut> {
        let patience = self.listener.tenure.load().as_ref()?.limits.idle_timeout;
        let mut stop = self.stop.clone();
        let read = tokio::select! {
            biased;
            read = tokio::time::timeout(patience, poll_fn(|context| read_some(stream, context))) => read,
            _ = stop.wait_for(|stop| *stop) => return None,
        };
        read.ok()?.ok().filter(|bytes| !bytes.is_empty())
    }

    /// One request; what is left of its connection.
    async fn exchange(&self, mut session: ServerSession, leave: &ShutdownWatch) -> Option<Kept> {
        let head = self.read_head(&mut session).await?;
        // Whatever was reloaded while the connection waited: from here on it is this app.
        let tenure = self.listener.tenure.load_full()?;
        let _unfinished = tenure.begin();
        let Tenure { app, limits, .. } = &*tenure;
        let began = Instant::now();
        let delimited = !has_two_lengths(&session);
        let method = head.method.clone();
        let (route, served) = match app.route(&head) {
            Ok(route) => {
                app.inflight(route, 1);
                let mut exchange = Exchange { listener: &self.listener, tenure: &tenure, session: &mut session };
                let served = Box::pin(exchange.serve(route, head)).await;
                app.inflight(route, -1);
                (Some(route), served)
            }
            Err(reply) => {
                let body_read = session.is_body_empty();
                (None, Served { reply: *reply, request_bytes: 0, body_read })
            }
        };

        let Served { mut reply, request_bytes, body_read } = served;
        let receipt = reply.receipt.take();
        let keep_alive = body_read && delimited && !*leave.borrow();
        session.set_keepalive(keep_alive.then_some(limits.idle_timeout.as_secs().max(1)));
        let (status, response_bytes) = (reply.status, reply.body.len());
        let written = tokio::time::timeout(limits.write_timeout, respond(&mut session, reply)).await;
        let heard = matches!(written, Ok(Ok(())));
        // Before the count of what is held: the receipt holds what was received.
        if let Some(receipt) = receipt.filter(|_| heard) {
            receipt.heard();
        }
        app.answered(&Answered { route, method, status, took: began.elapsed(), request_bytes, response_bytes });
        if !heard {
            session.shutdown().await;
            return None;
        }
        if !body_read {
            linger(&mut session).await;
            if !session.is_http2() {
                session.shutdown().await;
                return None;
            }
        }
        let settings = HttpPersistentSettings::for_session(&session);
        let (stream, ahead) = session.finish().await.ok()??.into_parts();
        Some(Kept { stream, settings, ahead: ahead.unwrap_or_default() })
    }
}

/// Reads what is there. The place for it is taken only while it is read.
fn read_some(stream: &mut Stream, context: &mut Context<'_>) -> Poll<io::Result<BytesMut>> {
    let mut place = [MaybeUninit::uninit(); FIRST_BYTES];
    let mut read = ReadBuf::uninit(&mut place);
    ready!(Pin::new(stream).poll_read(context, &mut read))?;
    // As large as Pingora's own, so that the rest of a head has room.
    let mut bytes = BytesMut::with_capacity(FIRST_BYTES);
    bytes.extend_from_slice(read.filled());
    Poll::Ready(Ok(bytes))
}

#[async_trait]
impl HttpServerApp for Session {
    /// One request of HTTP/2.
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        leave: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        self.exchange(session, leave).await;
        None
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }

    fn h2_options(&self) -> Option<H2Options> {
        self.http2.as_ref().map(Http2::options)
    }
}

/// Both a length and chunks: the sender and we may not agree where the body ends (RFC 9112, section 6.1). Pingora goes by
/// the chunks and takes the length out of the headers, so that only the raw head still shows it.
fn has_two_lengths(session: &ServerSession) -> bool {
    let Some(http1) = session.as_http1().filter(|_| session.get_header(header::TRANSFER_ENCODING).is_some()) else {
        return false;
    };
    let raw = http1.get_headers_raw_bytes();
    let mut names = raw.split(|byte| *byte == b'\n').filter_map(|line| line.split(|byte| *byte == b':').next());
    names.any(|name| name.eq_ignore_ascii_case(b"content-length"))
}

async fn respond(session: &mut ServerSession, reply: Reply) -> pingora_core::Result<()> {
    let mut header = ResponseHeader::build_no_case(reply.status, Some(reply.headers.len() + MORE_HEADERS))?;
    for (name, value) in &reply.headers {
        header.append_header(name, value)?;
    }
    if reply.trailers.is_none() {
        header.insert_header(header::CONTENT_LENGTH, reply.body.len())?;
    }
    session.write_response_header(Box::new(header)).await?;
    match reply.trailers {
        None if reply.body.is_empty() => Ok(()),
        None => session.write_response_body(reply.body, true).await,
        Some(trailers) => {
            if !reply.body.is_empty() {
                session.write_response_body(reply.body, false).await?;
            }
            session.write_response_trailers(trailers).await
        }
    }
}

/// Reads on what a refused sender still has on the way.
async fn linger(session: &mut ServerSession) {
    let reading = async {
        let mut bytes = 0;
        while bytes < LINGER_BYTES {
            match session.read_request_body().await {
                Ok(Some(chunk)) => bytes += chunk.len(),
                Ok(None) | Err(_) => break,
            }
        }
    };
    // The sender has its answer either way.
    let _ended = tokio::time::timeout(LINGER, reading).await;
}
