//! An API server with the semantics of a real one: versions, pages, watches from a version, bookmarks, and what goes
//! wrong.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::super::transport::Ask;

/// The server.
pub(super) struct ApiServer {
    pub(super) address: SocketAddr,
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
    _serving: JoinSet<()>,
}

/// What goes wrong with the next request of its kind.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// Another status, with a header.
    Status(u16, Option<(&'static str, &'static str)>, &'static str),
    /// A watch says this and breaks off, without the end of the body.
    Breaks(String),
    /// A watch is answered and says nothing more.
    Silence,
    /// A watch ends when it has begun.
    EndsAtOnce,
}

#[derive(Default)]
struct State {
    version: u64,
    /// By plural, namespace and name.
    objects: BTreeMap<(String, String, String), Value>,
    events: Vec<Event>,
    /// Versions before it are forgotten.
    oldest: u64,
    lists: VecDeque<Fault>,
    watches: VecDeque<Fault>,
    asked: Vec<String>,
    headers: Vec<HashMap<String, String>>,
}

#[derive(Clone)]
struct Event {
    version: u64,
    plural: String,
    namespace: String,
    line: String,
}

/// What is asked for.
#[derive(Clone)]
struct Question {
    plural: String,
    namespace: Option<String>,
    query: HashMap<String, String>,
}

impl ApiServer {
    pub(super) async fn start(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state: Arc<Mutex<State>> = Arc::default();
        let (changed, changes) = watch::channel(0);
        let mut serving = JoinSet::new();
        let shared = state.clone();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (state, changes, tls) = (shared.clone(), changes.clone(), tls.clone());
                connections.spawn(async move {
                    let service = service_fn(|request| {
                        let answer = answer(&request, &state, changes.clone());
                        async move { Ok::<_, Infallible>(answer) }
                    });
                    let http = hyper::server::conn::http1::Builder::new();
                    // A test may end while its watches go on.
                    let _ended = match tls {
                        None => http.serve_connection(TokioIo::new(stream), service).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => http.serve_connection(TokioIo::new(stream), service).await,
                            Err(_) => return,
                        },
                    };
                });
            }
        });
        Self { address, state, changed, _serving: serving }
    }

    /// Asks it without a socket: on a simulated clock, which would not wait for one.
    pub(super) fn ask(&self) -> Ask {
        let (state, changed) = (self.state.clone(), self.changed.clone());
        Arc::new(move |request| {
            let answer = answer(&request, &state, changed.subscribe());
            let answer = answer.map(|body| body.map_err(Into::into).boxed_unsync());
            std::future::ready(Ok(answer)).boxed()
        })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Puts an object there, or in the place of the one of this name; a version becomes its own.
    pub(super) fn put(&self, plural: &str, mut object: Value) {
        let mut state = self.state();
        let key = key(plural, &object);
        state.version += 1;
        object["metadata"]["resourceVersion"] = state.version.to_string().into();
        let what = if state.objects.contains_key(&key) { "MODIFIED" } else { "ADDED" };
        state.tell(what, &key, &object);
        state.objects.insert(key, object);
        self.changed.send_replace(state.version);
    }

    pub(super) fn delete(&self, plural: &str, namespace: &str, name: &str) {
        let mut state = self.state();
        let key = (plural.to_owned(), namespace.to_owned(), name.to_owned());
        let mut object = state.objects.remove(&key).unwrap();
        state.version += 1;
        object["metadata"]["resourceVersion"] = state.version.to_string().into();
        state.tell("DELETED", &key, &object);
        self.changed.send_replace(state.version);
    }

    /// Changes something that nobody sees: a watch that was told nothing is behind.
    pub(super) fn bookmark(&self, plural: &str) {
        let mut state = self.state();
        state.version += 1;
        let object = json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": state.version.to_string(), "creationTimestamp": null}, "spec": {"containers": null}, "status": {}});
        state.tell("BOOKMARK", &(plural.to_owned(), String::new(), String::new()), &object);
        self.changed.send_replace(state.version);
    }

    /// Forgets what was before.
    pub(super) fn compact(&self) {
        let mut state = self.state();
        state.oldest = state.version;
        state.events.clear();
    }

    pub(super) fn fail_list(&self, fault: Fault) {
        self.state().lists.push_back(fault);
    }

    pub(super) fn fail_watch(&self, fault: Fault) {
        self.state().watches.push_back(fault);
    }

    /// The targets of all requests so far.
    pub(super) fn asked(&self) -> Vec<String> {
        self.state().asked.clone()
    }

    /// The headers of the last request.
    pub(super) fn headers(&self) -> HashMap<String, String> {
        self.state().headers.last().unwrap().clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn tell(&mut self, what: &str, (plural, namespace, _): &(String, String, String), object: &Value) {
        let line = format!("{}\n", json!({"type": what, "object": object}));
        let event = Event { version: self.version, plural: plural.clone(), namespace: namespace.clone(), line };
        self.events.push(event);
    }
}

type Body = StreamBody<BoxStream<'static, Result<Frame<Bytes>, std::io::Error>>>;

fn whole(status: u16, body: &str) -> Response<Body> {
    let bytes = Bytes::copy_from_slice(body.as_bytes());
    let frames = futures_util::stream::once(async move { Ok(Frame::data(bytes)) });
    let mut response = Response::new(StreamBody::new(frames.boxed()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response.headers_mut().insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    response
}

fn key(plural: &str, object: &Value) -> (String, String, String) {
    let of = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
    (plural.to_owned(), of("namespace"), of("name"))
}

fn answer<B>(request: &Request<B>, state: &Arc<Mutex<State>>, changes: watch::Receiver<u64>) -> Response<Body> {
    let mut locked = state.lock().unwrap();
    locked.asked.push(request.uri().path_and_query().unwrap().to_string());
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    locked.headers.push(headers);
    let Some(question) = question(request) else { return whole(404, "404 page not found") };
    let is_watch = question.query.contains_key("watch");
    let faults = if is_watch { &mut locked.watches } else { &mut locked.lists };
    let fault = faults.pop_front();
    if let Some(Fault::Status(status, header, body)) = fault {
        let mut response = whole(status, body);
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        return response;
    }
    if !is_watch {
        return whole(200, &locked.page(&question).to_string());
    }
    drop(locked);
    let (send, receive) = mpsc::unbounded_channel();
    tokio::spawn(follow(question, state.clone(), changes, fault, send));
    let frames =
        futures_util::stream::unfold(receive, |mut receive| async move { Some((receive.recv().await?, receive)) });
    let mut response = Response::new(StreamBody::new(frames.boxed()));
    response.headers_mut().insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    response
}

fn question<B>(request: &Request<B>) -> Option<Question> {
    let parts: Vec<&str> = request.uri().path().split('/').skip(1).collect();
    let rest = match &parts[..] {
        ["api", "v1", rest @ ..]
        | ["apis", "discovery.k8s.io", "v1", rest @ ..]
        | ["apis", "networking.k8s.io", "v1", rest @ ..] => rest,
        _ => return None,
    };
    let (namespace, plural) = match rest {
        ["namespaces", namespace, plural] => (Some((*namespace).to_owned()), *plural),
        [plural] => (None, *plural),
        _ => return None,
    };
    let query = form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()).into_owned().collect();
    Some(Question { plural: plural.to_owned(), namespace, query })
}

impl State {
    fn page(&self, question: &Question) -> Value {
        let wanted = |(plural, namespace, _): &&(String, String, String)| {
            *plural == question.plural && question.namespace.as_ref().is_none_or(|only| only == namespace)
        };
        let from: usize = question.query.get("continue").map_or(0, |token| token.parse().unwrap());
        let limit: usize = question.query["limit"].parse().unwrap();
        let all: Vec<&Value> = self.objects.keys().filter(wanted).map(|key| &self.objects[key]).skip(from).collect();
        let items = &all[..limit.min(all.len())];
        let token = if all.len() > limit { (from + limit).to_string() } else { String::new() };
        json!({
            "kind": "List", "apiVersion": "v1",
            "metadata": {"resourceVersion": self.version.to_string(), "continue": token},
            "items": items,
        })
    }
}

/// Says all changes from a version on.
async fn follow(
    question: Question,
    state: Arc<Mutex<State>>,
    mut changes: watch::Receiver<u64>,
    fault: Option<Fault>,
    send: mpsc::UnboundedSender<Result<Frame<Bytes>, std::io::Error>>,
) {
    let say = |line: String| send.send(Ok(Frame::data(Bytes::from(line)))).is_ok();
    let mut version: u64 = question.query["resourceVersion"].parse().unwrap();
    let seconds: u64 = question.query["timeoutSeconds"].parse().unwrap();
    match fault {
        Some(Fault::EndsAtOnce) => return,
        Some(Fault::Silence) => return send.closed().await,
        Some(Fault::Breaks(said)) => {
            say(said);
            let _gone = send.send(Err(std::io::Error::other("broken")));
            return;
        }
        _ => {}
    }
    let following = async {
        loop {
            changes.borrow_and_update();
            let (oldest, events) = {
                let state = state.lock().unwrap();
                (state.oldest, state.events.clone())
            };
            if version < oldest {
                let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired",
                    "message": format!("too old resource version: {version} ({oldest})"), "code": 410});
                say(format!("{}\n", json!({"type": "ERROR", "object": status})));
                return;
            }
            let from = version;
            for event in events.into_iter().filter(|event| event.version > from) {
                version = event.version;
                let is_there = question.namespace.as_ref().is_none_or(|only| *only == event.namespace);
                if event.plural == question.plural && is_there && !say(event.line) {
                    return;
                }
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    };
    let _timed_out = tokio::time::timeout(Duration::from_secs(seconds), following).await;
}
