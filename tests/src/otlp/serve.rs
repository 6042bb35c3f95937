//! The HTTP side: HTTP/1.1 and HTTP/2 with prior knowledge on one port.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use prost::Message;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::message::{ExportTraceServiceResponse, PartialSuccess};
use super::{Answer, Request, Shared, Via, locked, read};

type Body = BoxBody<Bytes, Infallible>;

/// Bytes of a request.
const MAX_BODY: usize = 16 << 20;

/// Accepts until dropped; its connections end with it.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn(connection(stream, Arc::clone(&shared)));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(request, &shared).await) }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    let connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // A client that hangs up is no matter.
    let _ended = connection.await;
}

async fn answer(request: http::Request<Incoming>, shared: &Shared) -> Response<Body> {
    let (head, body) = request.into_parts();
    let violation = |what: String| {
        locked(&shared.violations).push(format!("{} {}: {what}", head.method, head.uri));
        http_reply(StatusCode::BAD_REQUEST, Bytes::new())
    };
    let Some(via) = read::via(head.uri.path()) else { return violation("no such path".to_owned()) };
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(whole) => whole.to_bytes(),
        Err(error) => return violation(error.to_string()),
    };
    let spans = match read::spans(via, &head, &body) {
        Ok(spans) => spans,
        Err(what) => return violation(what),
    };
    let answer = *locked(&shared.answer);
    let taken = matches!(answer, Answer::Take | Answer::TakeAllBut(_));
    locked(&shared.requests).push(Request { via, headers: head.headers, spans, taken });
    match (via, answer) {
        (Via::Http, Answer::Take) => http_reply(StatusCode::OK, Bytes::new()),
        (Via::Http, Answer::TakeAllBut(rejected)) => http_reply(StatusCode::OK, partial(rejected)),
        (Via::Http, Answer::Busy) => http_reply(StatusCode::SERVICE_UNAVAILABLE, Bytes::new()),
        (Via::Http, Answer::Refuse) => http_reply(StatusCode::BAD_REQUEST, Bytes::new()),
        (Via::Grpc, Answer::Take) => grpc_reply(0, Some(Bytes::new())),
        (Via::Grpc, Answer::TakeAllBut(rejected)) => grpc_reply(0, Some(partial(rejected))),
        (Via::Grpc, Answer::Busy) => grpc_reply(14, None),
        (Via::Grpc, Answer::Refuse) => grpc_reply(3, None),
        (_, Answer::Silence) => std::future::pending().await,
    }
}

fn partial(rejected: u8) -> Bytes {
    let partial = PartialSuccess { rejected_spans: rejected.into(), error_message: "too old".to_owned() };
    ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec().into()
}

fn http_reply(status: StatusCode, message: Bytes) -> Response<Body> {
    let mut response = Response::new(Full::new(message).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    response
}

fn grpc_reply(status: u16, message: Option<Bytes>) -> Response<Body> {
    let mut body = BytesMut::new();
    if let Some(message) = message {
        body.put_u8(0);
        body.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
        body.put_slice(&message);
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(status));
    let body = Full::new(body.freeze()).with_trailers(async { Some(Ok(trailers)) });
    let mut response = Response::new(body.boxed());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}
