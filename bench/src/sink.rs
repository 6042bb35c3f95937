//! The backend of every program under load: reads the whole body, answers at once, counts.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

use crate::load::certificate::acceptor;

/// The method of `push.v1` that takes profiles.
pub(crate) const PUSH_PATH: &str = "/push.v1.PusherService/Push";
/// The path of the older form of sending.
pub(crate) const INGEST_PATH: &str = "/ingest";
/// Answers a GET with `<requests taken> <bytes of their bodies>`.
pub(crate) const COUNT_PATH: &str = "/count";

/// Flags of `flamegate-bench sink`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Address to listen on
    #[arg(long)]
    listen: SocketAddr,
    /// Takes TLS alone, with the certificate in this file
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// The certificate's key
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
}

/// Serves until the process is ended.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(arguments))
}

#[derive(Default)]
struct Taken {
    requests: AtomicU64,
    bytes: AtomicU64,
}

async fn serve(arguments: &Arguments) -> anyhow::Result<()> {
    let address = arguments.listen;
    let tls = match (&arguments.certificate, &arguments.key) {
        (Some(certificate), Some(key)) => Some(acceptor(certificate, key)?),
        _ => None,
    };
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let taken = Arc::new(Taken::default());
    loop {
        let (stream, _) = listener.accept().await.context("cannot accept a connection")?;
        stream.set_nodelay(true)?;
        let (taken, tls) = (taken.clone(), tls.clone());
        tokio::spawn(async move {
            let served = match tls {
                None => serve_connection(stream, &taken).await,
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => serve_connection(stream, &taken).await,
                    Err(error) => Err(error.into()),
                },
            };
            if let Err(error) = served {
                eprintln!("sink: {error}");
            }
        });
    }
}

async fn serve_connection(stream: impl AsyncRead + AsyncWrite + Unpin, taken: &Taken) -> anyhow::Result<()> {
    let service = service_fn(|request| answer(request, taken));
    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await?;
    Ok(())
}

async fn answer(request: Request<Incoming>, taken: &Taken) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let mut response = Response::new(Full::default());
    match (request.method(), request.uri().path()) {
        (&Method::POST, PUSH_PATH) => {
            take(request.into_body(), taken).await?;
            // An empty PushResponse has no bytes.
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/proto"));
        }
        (&Method::POST, INGEST_PATH) => take(request.into_body(), taken).await?,
        (&Method::GET, COUNT_PATH) => {
            let requests = taken.requests.load(Ordering::Relaxed);
            let bytes = taken.bytes.load(Ordering::Relaxed);
            *response.body_mut() = Full::from(format!("{requests} {bytes}"));
        }
        _ => *response.status_mut() = StatusCode::NOT_FOUND,
    }
    Ok(response)
}

async fn take(mut body: Incoming, taken: &Taken) -> Result<(), hyper::Error> {
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        length += frame?.data_ref().map_or(0, |data| data.len() as u64);
    }
    taken.requests.fetch_add(1, Ordering::Relaxed);
    taken.bytes.fetch_add(length, Ordering::Relaxed);
    Ok(())
}
