//! The HTTP side: HTTP/1.1 and HTTP/2 with prior knowledge on one port.

use std::convert::Infallible;
use std::io::{self, Write};
use std::net::{Shutdown, TcpStream as StdTcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::refusal::{Code, Refusal};
use super::script::Answer;
use super::{Request, Shared, Verdict, ingest, locked, push};
use crate::gzip;
use crate::push_api::PUSH_PATH;

type Body = BoxBody<Bytes, io::Error>;

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

async fn connection(stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // A second handle, to write past HTTP and to close without an answer.
    let stream = stream.into_std()?;
    let raw = Arc::new(stream.try_clone()?);
    let stream = TokioIo::new(TcpStream::from_std(stream)?);
    let service = service_fn(move |request| {
        let (shared, raw) = (Arc::clone(&shared), Arc::clone(&raw));
        async move { Ok::<_, Infallible>(answer(request, &shared, &raw).await) }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    let connection = pin!(builder.serve_connection(stream, service));
    connection.await.map_err(io::Error::other)
}

#[derive(Debug, Clone, Copy)]
enum Route {
    Push,
    Ingest,
}

async fn answer(request: http::Request<Incoming>, shared: &Shared, raw: &StdTcpStream) -> Response<Body> {
    let Some(path) = request.uri().path().strip_prefix(shared.base_path.as_str()) else {
        return empty(StatusCode::NOT_FOUND);
    };
    let (route, method) = match path {
        "/ready" => (None, Method::GET),
        "/ingest" => (Some(Route::Ingest), Method::POST),
        PUSH_PATH => (Some(Route::Push), Method::POST),
        _ => return empty(StatusCode::NOT_FOUND),
    };
    if request.method() != method {
        let mut refused = empty(StatusCode::METHOD_NOT_ALLOWED);
        if let Ok(allow) = HeaderValue::from_str(method.as_str()) {
            refused.headers_mut().insert(http::header::ALLOW, allow);
        }
        return refused;
    }
    match route {
        None => {
            let status = *locked(&shared.ready);
            reply(status, HeaderMap::new(), Bytes::from_static(b"ready\n"))
        }
        Some(route) => profiles(route, request, shared, raw).await,
    }
}

async fn profiles(
    route: Route,
    request: http::Request<Incoming>,
    shared: &Shared,
    raw: &StdTcpStream,
) -> Response<Body> {
    let (request, whole) = read(request, shared.limits.body_bytes).await;
    if let Err(refusal) = whole {
        shared.record(request, Verdict::Broken(refusal.message.clone()));
        return refused(&refusal);
    }
    let scripted = locked(&shared.script).next();
    let mut answer = &scripted;
    while let Answer::After(_, then) = answer {
        answer = then;
    }
    // One that is judged is recorded with its verdict, or when its sender hangs up first.
    let judged = *answer == Answer::Judge;
    if !judged {
        shared.record(request.clone(), Verdict::Scripted(scripted.clone()));
    }
    let mut waiting = Waiting { request: judged.then(|| request.clone()), shared };
    let mut answer = scripted;
    while let Answer::After(wait, then) = answer {
        tokio::time::sleep(wait).await;
        answer = *then;
    }
    waiting.request = None;
    match answer {
        Answer::Judge => judge(route, request, shared).await,
        Answer::Reply { status, headers, body } => {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                let name = http::HeaderName::try_from(name.as_str());
                let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value.as_str())) else {
                    let what = "the script has a header that HTTP cannot carry";
                    return refused(&Refusal::new(Code::Internal, what));
                };
                map.append(name, value);
            }
            reply(status, map, body)
        }
        Answer::HalfReply => half_reply(),
        Answer::Close => cut(raw, b"").await,
        Answer::Garbage(bytes) => cut(raw, &bytes).await,
        Answer::Silence | Answer::After(..) => std::future::pending().await,
    }
}

/// A request that is not judged yet.
struct Waiting<'s> {
    request: Option<Request>,
    shared: &'s Shared,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(request) = self.request.take() {
            let why = "the sender hung up before it was answered".to_owned();
            self.shared.record(request, Verdict::Broken(why));
        }
    }
}

async fn judge(route: Route, request: Request, shared: &Shared) -> Response<Body> {
    let judged = match route {
        Route::Push => push::read(&request, &shared.limits),
        Route::Ingest => ingest::read(&request, &shared.limits).await,
    };
    let gzip = matches!(route, Route::Push) && push::answers_gzip(&request.headers);
    match judged {
        Ok(series) => {
            shared.record(request, Verdict::Taken(series));
            match route {
                Route::Push => pushed(gzip),
                Route::Ingest => empty(StatusCode::OK),
            }
        }
        Err(refusal) => {
            let answer = refused(&refusal);
            shared.record(request, Verdict::Refused(refusal));
            answer
        }
    }
}

/// Reads a body up to the limit; what had come by then is not kept.
async fn read(request: http::Request<Incoming>, limit: usize) -> (Request, Result<(), Refusal>) {
    let (head, body) = request.into_parts();
    let whole = match Limited::new(body, limit).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::too_large(limit)),
        Err(error) => Err(Refusal {
            status: StatusCode::REQUEST_TIMEOUT,
            code: Code::Canceled,
            message: format!("failed to read request body: {error}"),
        }),
    };
    let query = head.uri.query().unwrap_or_default();
    let request = Request {
        at: Instant::now(),
        version: head.version,
        method: head.method,
        path: head.uri.path().to_owned(),
        query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        headers: head.headers,
        body: whole.clone().unwrap_or_default(),
    };
    (request, whole.map(|_| ()))
}

fn empty(status: StatusCode) -> Response<Body> {
    reply(status, HeaderMap::new(), Bytes::new())
}

fn reply(status: StatusCode, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let body = Full::new(body).map_err(|never| match never {}).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn typed(content_type: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type))])
}

fn refused(refusal: &Refusal) -> Response<Body> {
    reply(refusal.status, typed("application/json"), refusal.json())
}

/// The empty PushResponse.
fn pushed(gzip: bool) -> Response<Body> {
    let mut headers = typed("application/proto");
    let packed = if gzip { gzip::compress(b"").ok() } else { None };
    if packed.is_some() {
        headers.insert(http::header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    reply(StatusCode::OK, headers, packed.unwrap_or_default().into())
}

fn half_reply() -> Response<Body> {
    let parts = stream::unfold(0, |sent| async move {
        let part = match sent {
            0 => Ok(Frame::data(Bytes::from_static(b"half"))),
            _ => {
                // Once around the executor, so that the first part is on the wire before the end.
                tokio::task::yield_now().await;
                Err(io::Error::other("as scripted"))
            }
        };
        Some((part, sent + 1))
    });
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(Box::pin(parts))));
    response.headers_mut().insert(http::header::CONTENT_LENGTH, HeaderValue::from_static("8"));
    response
}

/// Writes past HTTP, then closes the connection; HTTP never gets to answer.
async fn cut(mut raw: &StdTcpStream, bytes: &[u8]) -> Response<Body> {
    // A sender that is gone already has its connection cut as well.
    let _ = raw.write_all(bytes);
    let _ = raw.shutdown(Shutdown::Both);
    std::future::pending().await
}
