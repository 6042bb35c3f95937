//! A backend that speaks TLS or not, HTTP/1.1 or HTTP/2, and keeps what it was asked.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use alloy_syntax::{Scope, StdlibOptions, decode_block, parse_file};
use bytes::Bytes;
use http::{HeaderMap, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::telemetry::metrics::Metrics;
use crate::tls::{ServerTls, TlsArguments};

/// A request as it came.
#[derive(Debug, Clone)]
pub(in crate::components::write) struct Asked {
    pub(in crate::components::write) version: Version,
    /// As in the request line: a whole URL where it came as to a proxy.
    pub(in crate::components::write) target: String,
    pub(in crate::components::write) headers: HeaderMap,
    pub(in crate::components::write) body: Bytes,
}

/// Status and headers by path; 200 for all others.
pub(in crate::components::write) type Answers = HashMap<&'static str, (u16, Vec<(&'static str, String)>)>;

/// A status for those requests that it has a word for.
type Judge = Box<dyn Fn(&Asked) -> Option<u16> + Send>;

pub(in crate::components::write) struct Backend {
    pub(in crate::components::write) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    answers: Arc<Mutex<Answers>>,
    judge: Arc<Mutex<Judge>>,
    connections: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl Backend {
    pub(in crate::components::write) async fn start(answers: Answers) -> Self {
        Self::start_as(answers, None).await
    }

    /// With the `tls` block of a listener.
    pub(in crate::components::write) async fn start_tls(tls: &str) -> Self {
        let file = parse_file("test", &format!("tls {{\n{tls}\n}}")).unwrap();
        let block = file.body.blocks().next().unwrap();
        let arguments: TlsArguments = decode_block(block, &Scope::stdlib(&StdlibOptions::default())).unwrap();
        let metrics = Metrics::new().tls(&"test".into());
        let tls = ServerTls::new(&arguments, &["h2", "http/1.1"], "test".into(), metrics).unwrap();
        Self::start_as(Answers::new(), Some(tls)).await
    }

    async fn start_as(answers: Answers, tls: Option<ServerTls>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let answers = Arc::new(Mutex::new(answers));
        let (kept, answering) = (asked.clone(), answers.clone());
        let judge: Arc<Mutex<Judge>> = Arc::new(Mutex::new(Box::new(|_| None)));
        let judging = judge.clone();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let (kept, answers) = (kept.clone(), (answering.clone(), judging.clone()));
                let config = tls.as_ref().map(ServerTls::config);
                connections.spawn(async move {
                    let Some(config) = config else { return serve(stream, false, kept, answers).await };
                    // A client that does not trust us hangs up.
                    let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else { return };
                    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    serve(stream, http2, kept, answers).await;
                });
            }
        });
        Self { address, asked, answers, judge, connections, _serving: serving }
    }

    /// Answers a path with this status from now on.
    pub(in crate::components::write) fn answer(&self, path: &'static str, status: u16) {
        self.answers.lock().unwrap().insert(path, (status, Vec::new()));
    }

    pub(in crate::components::write) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Has it answer so from now on.
    pub(in crate::components::write) fn judge(&self, judge: impl Fn(&Asked) -> Option<u16> + Send + 'static) {
        *self.judge.lock().unwrap() = Box::new(judge);
    }

    /// By the name that the tests' certificates have.
    pub(in crate::components::write) fn https(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// Connections so far.
    pub(in crate::components::write) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub(in crate::components::write) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// What it was asked, also when it is gone.
    pub(in crate::components::write) fn record(&self) -> Arc<Mutex<Vec<Asked>>> {
        self.asked.clone()
    }

    /// As if nothing had been asked.
    pub(in crate::components::write) fn forget(&self) {
        self.asked.lock().unwrap().clear();
    }

    pub(in crate::components::write) fn last(&self) -> Asked {
        self.asked().pop().unwrap()
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    http2: bool,
    asked: Arc<Mutex<Vec<Asked>>>,
    (answers, judge): (Arc<Mutex<Answers>>, Arc<Mutex<Judge>>),
) {
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (asked, answers, judge) = (asked.clone(), answers.clone(), judge.clone());
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let (version, target) = (head.version, head.uri.to_string());
            let request = Asked { version, target, headers: head.headers, body };
            let judged = judge.lock().unwrap()(&request);
            asked.lock().unwrap().push(request);
            let (mut status, headers) =
                answers.lock().unwrap().get(head.uri.path()).cloned().unwrap_or((200, Vec::new()));
            if let Some(judged) = judged {
                status = judged;
            }
            let mut response = Response::builder().status(status);
            if status == 200 {
                response = response.header("content-type", "application/proto");
            }
            for (name, value) in headers {
                response = response.header(name, value);
            }
            Ok::<_, hyper::Error>(response.body(Full::new(Bytes::new())).unwrap())
        }
    });
    let stream = TokioIo::new(stream);
    // A client that goes away is no matter.
    let _ended = if http2 {
        http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await
    } else {
        http1::Builder::new().serve_connection(stream, service).await
    };
}
