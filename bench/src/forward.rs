//! The yardstick `bare`: what receiving a body with Pingora and sending it on with hyper costs when nothing is done
//! with it between. The same server, client, allocator and number of threads as the proxy.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::uri::{Authority, Scheme};
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use pingora_core::apps::{HttpPersistentSettings, HttpServerApp, ReusedHttpStream, ServerApp};
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::l4;
use pingora_core::server::ShutdownWatch;
use pingora_http::ResponseHeader;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Room made for a body before its first byte has come, at most.
const MAX_RESERVED: usize = 1 << 20;
const KEEPALIVE_SECONDS: u64 = 60;

/// Flags of `flamegate-bench forward`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Address to listen on
    #[arg(long)]
    listen: SocketAddr,
    /// Host and port to forward to
    #[arg(long)]
    to: Authority,
}

/// Serves until the process is ended.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(arguments))
}

async fn serve(arguments: Arguments) -> anyhow::Result<()> {
    let listener =
        TcpListener::bind(arguments.listen).await.with_context(|| format!("cannot listen on {}", arguments.listen))?;
    let forwarder = Arc::new(Forwarder::new(arguments.to));
    // Never set: the process is ended from outside.
    let (_ending, shutdown) = watch::channel(false);
    loop {
        let (stream, _) = listener.accept().await.context("cannot accept a connection")?;
        stream.set_nodelay(true)?;
        let stream: Stream = Box::new(l4::stream::Stream::from(stream));
        tokio::spawn(serve_connection(forwarder.clone(), stream, shutdown.clone()));
    }
}

async fn serve_connection(forwarder: Arc<Forwarder>, stream: Stream, shutdown: ShutdownWatch) {
    let mut open = Some(stream);
    while let Some(stream) = open {
        open = forwarder.process_new(stream, &shutdown).await;
    }
}

struct Forwarder {
    client: Client<HttpConnector, Full<Bytes>>,
    to: Authority,
}

impl Forwarder {
    fn new(to: Authority) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        Self { client, to }
    }

    async fn exchange(&self, session: &mut ServerSession) -> anyhow::Result<()> {
        let body = read_body(session).await?;
        let answer = self.send(session, body).await?;
        write_answer(session, answer).await
    }

    async fn send(&self, session: &ServerSession, body: Bytes) -> anyhow::Result<Response<Bytes>> {
        let received = session.req_header();
        let mut uri = Uri::builder().scheme(Scheme::HTTP).authority(self.to.clone());
        if let Some(path_and_query) = received.uri.path_and_query() {
            uri = uri.path_and_query(path_and_query.clone());
        }
        let mut request = Request::builder().method(Method::POST).uri(uri.build()?);
        if let Some(content_type) = session.get_header(CONTENT_TYPE) {
            request = request.header(CONTENT_TYPE, content_type);
        }
        let response = self.client.request(request.body(Full::new(body))?).await?;
        let (parts, body) = response.into_parts();
        Ok(Response::from_parts(parts, body.collect().await?.to_bytes()))
    }
}

#[async_trait]
impl HttpServerApp for Forwarder {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        _shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        // An error here is how a client's going away shows itself.
        if !session.read_request().await.ok()? {
            return None;
        }
        session.set_keepalive(Some(KEEPALIVE_SECONDS));
        if let Err(error) = self.exchange(&mut session).await {
            eprintln!("forward: {error:#}");
            session.respond_error(502).await.ok()?;
            return None;
        }
        let settings = HttpPersistentSettings::for_session(&session);
        let stream = session.finish().await.ok()??;
        Some(ReusedHttpStream::from_reusable_stream(stream, settings))
    }
}

async fn read_body(session: &mut ServerSession) -> anyhow::Result<Bytes> {
    let declared =
        session.get_header(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok()).unwrap_or(0);
    let mut body = BytesMut::with_capacity(declared.min(MAX_RESERVED));
    while let Some(part) = session.read_request_body().await? {
        body.extend_from_slice(&part);
    }
    Ok(body.freeze())
}

async fn write_answer(session: &mut ServerSession, answer: Response<Bytes>) -> anyhow::Result<()> {
    let mut header = ResponseHeader::build(answer.status(), Some(2))?;
    if let Some(content_type) = answer.headers().get(CONTENT_TYPE) {
        header.insert_header(CONTENT_TYPE, content_type)?;
    }
    header.insert_header(CONTENT_LENGTH, answer.body().len())?;
    session.write_response_header(Box::new(header)).await?;
    session.write_response_body(answer.into_body(), true).await?;
    Ok(())
}
