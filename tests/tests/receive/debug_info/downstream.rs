//! A server that takes debug information, and tells what it was sent while it comes.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use flamegate_tests::polling::DEADLINE;
use http::{HeaderMap, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

/// A request.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Whether the body came to its end.
    pub(super) whole: bool,
}

pub(super) struct Downstream {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    asked: Mutex<Vec<Asked>>,
    answer: Mutex<Answer>,
    /// Bytes of the latest body.
    read: watch::Sender<usize>,
}

#[derive(Clone)]
enum Answer {
    Usual,
    Refuse(u16, String),
    Stall,
}

impl Downstream {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, usual) = (Mutex::default(), Mutex::new(Answer::Usual));
        let shared = Arc::new(Shared { asked, answer: usual, read: watch::Sender::new(0) });
        let serving = shared.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let shared = serving.clone();
                let service = service_fn(move |request| {
                    let shared = shared.clone();
                    async move { Ok::<_, Infallible>(answer(request, &shared).await) }
                });
                tokio::spawn(async move {
                    let builder = auto::Builder::new(TokioExecutor::new());
                    let _ended = builder.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, shared }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn refuse(&self, status: u16, json: &str) {
        *self.shared.answer.lock().unwrap() = Answer::Refuse(status, json.to_owned());
    }

    pub(super) fn stall(&self) {
        *self.shared.answer.lock().unwrap() = Answer::Stall;
    }

    pub(super) fn count(&self) -> usize {
        self.shared.asked.lock().unwrap().len()
    }

    /// The latest request; one without a path where there is none.
    pub(super) fn last(&self) -> Asked {
        let none = Asked { path: String::new(), headers: HeaderMap::new(), body: Bytes::new(), whole: true };
        self.shared.asked.lock().unwrap().last().cloned().unwrap_or(none)
    }

    pub(super) fn forget(&self) {
        self.shared.asked.lock().unwrap().clear();
        self.shared.read.send_replace(0);
    }

    /// Waits until so much of the latest body was read.
    pub(super) async fn has_read(&self, bytes: usize) {
        let mut read = self.shared.read.subscribe();
        let waiting = read.wait_for(|read| *read >= bytes);
        timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("no {bytes} bytes within {DEADLINE:?}")).unwrap();
    }
}

async fn answer(request: http::Request<Incoming>, shared: &Shared) -> Response<Full<Bytes>> {
    let (head, mut incoming) = request.into_parts();
    shared.read.send_replace(0);
    let (mut body, mut whole) = (BytesMut::new(), true);
    while let Some(frame) = incoming.frame().await {
        let Ok(frame) = frame else {
            whole = false;
            break;
        };
        body.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new()));
        shared.read.send_replace(body.len());
    }
    let path = head.uri.path().to_owned();
    let json = head.headers.get("content-type").is_some_and(|value| value == "application/json");
    let upload = path.contains("/Upload/");
    shared.asked.lock().unwrap().push(Asked { path, headers: head.headers, body: body.freeze(), whole });
    let answer = shared.answer.lock().unwrap().clone();
    match answer {
        Answer::Usual if upload => Response::new(Full::default()),
        Answer::Usual => {
            let (content_type, body): (_, &[u8]) = match json {
                true => ("application/json", br#"{"shouldInitiateUpload":true}"#),
                false => ("application/proto", super::YES),
            };
            let response = Response::builder().header("content-type", content_type);
            response.body(Full::new(Bytes::from_static(body))).unwrap()
        }
        Answer::Refuse(status, json) => {
            let response = Response::builder().status(status).header("content-type", "application/json");
            response.body(Full::new(Bytes::from(json))).unwrap()
        }
        Answer::Stall => std::future::pending().await,
    }
}
