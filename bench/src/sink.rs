//! The backend of every program under load: reads the whole body, answers at once, counts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
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
use tokio::net::TcpListener;
use tokio::task::JoinSet;

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
    /// How many addresses to listen on: those that follow, too
    #[arg(long, default_value_t = 1)]
    addresses: u8,
}

/// Serves until the process is ended.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let taken = Arc::new(Taken::default());
        let mut serving = JoinSet::new();
        for place in 0..arguments.addresses {
            serving.spawn(serve(following(arguments.listen, place), taken.clone()));
        }
        // The first that ends has failed.
        serving.join_next().await.context("there is no address to listen on")??
    })
}

/// The address so many places further on, for example 127.0.0.3 for 127.0.0.1 and 2.
fn following(mut address: SocketAddr, place: u8) -> SocketAddr {
    if let IpAddr::V4(first) = address.ip() {
        address.set_ip(Ipv4Addr::from_bits(first.to_bits().saturating_add(place.into())).into());
    }
    address
}

#[derive(Default)]
struct Taken {
    requests: AtomicU64,
    bytes: AtomicU64,
}

async fn serve(address: SocketAddr, taken: Arc<Taken>) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    loop {
        let (stream, _) = listener.accept().await.context("cannot accept a connection")?;
        stream.set_nodelay(true)?;
        let taken = taken.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, &taken));
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                eprintln!("sink: {error}");
            }
        });
    }
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
