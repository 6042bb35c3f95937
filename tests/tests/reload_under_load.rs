//! Reload after reload under constant load: no request is lost, none fails, and none sees half a configuration.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "all of this file is test code")]

use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use flamegate_tests::backend::Backend;
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::push_api::{PUSH_PATH, PushRequest};
use flamegate_tests::push_client::PushClient;
use flamegate_tests::reserved_port::ReservedPort;
use flamegate_tests::spine::good_push;
use http::Request;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use prost::Message;
use tokio::time::{MissedTickBehavior, interval, timeout};

#[path = "reload_under_load/configuration.rs"]
mod configuration;

use configuration::{CHANGES, Configuration, Ports, Seen};

const RELOADS: usize = 1000;
/// Senders that share a client, and so an HTTP/2 connection.
const SENDERS: usize = 2;
/// Between two requests of a sender.
const PACE: Duration = Duration::from_millis(10);
const DEADLINE: Duration = Duration::from_secs(20);

/// The reloads so far, by their numbers; the configuration of the start is 0.
#[derive(Default)]
struct Progress {
    begun: AtomicUsize,
    finished: AtomicUsize,
    over: AtomicBool,
}

/// A request that was answered 200.
struct Sent {
    id: String,
    port: usize,
    /// The reloads that were finished when it began, and begun when it was answered.
    during: [usize; 2],
}

#[derive(Clone)]
struct Sender {
    name: String,
    client: Client<HttpConnector, Full<Bytes>>,
    http2: bool,
    port: usize,
    address: SocketAddr,
    progress: Arc<Progress>,
}

impl Sender {
    fn new(name: String, http2: bool, port: usize, address: SocketAddr, progress: &Arc<Progress>) -> Self {
        // Whatever fails is to show.
        let client =
            Client::builder(TokioExecutor::new()).http2_only(http2).retry_canceled_requests(false).build_http();
        Self { name, client, http2, port, address, progress: progress.clone() }
    }

    async fn send(&self, number: usize) -> Sent {
        let id = format!("{}-{number}", self.name);
        let finished = self.progress.finished.load(Ordering::SeqCst);
        let mut request = Request::post(format!("http://{}{PUSH_PATH}", self.address));
        for (name, value) in PushClient::CONNECT.headers() {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(push(&id).encode_to_vec().into())).unwrap();
        let answering = async {
            loop {
                match self.client.request(request.clone()).await {
                    Err(error) if self.http2 && was_not_looked_at(&error) => {}
                    answer => return answer,
                }
            }
        };
        let answer = timeout(DEADLINE, answering).await;
        let begun = self.progress.begun.load(Ordering::SeqCst);
        match answer {
            Ok(Ok(reply)) if reply.status() == 200 => Sent { id, port: self.port, during: [finished, begun] },
            other => panic!("{id}, between reloads {finished} and {begun}: {other:?}"),
        }
    }

    async fn send_constantly(self) -> Vec<Sent> {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sent = Vec::new();
        while !self.progress.over.load(Ordering::SeqCst) {
            pace.tick().await;
            sent.push(self.send(sent.len()).await);
        }
        sent
    }
}

/// Over HTTP/2 a request and the word that a connection takes no more may cross: it comes again over another one. The
/// error says that, or that nothing was sent yet.
fn was_not_looked_at(error: &hyper_util::client::legacy::Error) -> bool {
    let hyper: Option<&hyper::Error> = error.source().and_then(<dyn Error>::downcast_ref);
    let http2: Option<&h2::Error> = hyper.and_then(Error::source).and_then(<dyn Error>::downcast_ref);
    let gone =
        |error: &h2::Error| error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR);
    http2.is_some_and(gone) || hyper.is_some_and(hyper::Error::is_canceled)
}

fn push(id: &str) -> PushRequest {
    let mut push = good_push();
    push.series[0].samples[0].id = id.to_owned();
    push
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_under_load_lose_nothing() {
    let reserved = [(); 3].map(|()| ReservedPort::new().unwrap());
    let ports: Ports = reserved.each_ref().map(ReservedPort::address);
    let backends = [Backend::start().await.unwrap(), Backend::start().await.unwrap()];
    let urls = backends.each_ref().map(Backend::url);
    let mut now = Configuration::default();
    let flamegate = Flamegate::start(&now.text(&ports, &urls), &[]).await.unwrap();

    let progress = Arc::new(Progress::default());
    let of_all = [(0, false), (0, true), (1, false), (1, true)];
    let senders: Vec<_> = of_all
        .into_iter()
        .flat_map(|(port, http2)| {
            let sender = Sender::new(String::new(), http2, port, ports[port], &progress);
            (0..SENDERS).map(move |number| Sender { name: format!("{port}-{http2}-{number}"), ..sender.clone() })
        })
        .map(|sender| tokio::spawn(sender.send_constantly()))
        .collect();

    let mut configurations = vec![now.clone()];
    let mut sent = Vec::new();
    let mut took: HashMap<&str, Vec<Duration>> = HashMap::new();
    for number in 1..=RELOADS {
        let (what, change) = CHANGES[number % CHANGES.len()];
        change(&mut now);
        configurations.push(now.clone());
        progress.begun.store(number, Ordering::SeqCst);
        let began = Instant::now();
        flamegate.reload(&now.text(&ports, &urls)).await.unwrap_or_else(|error| panic!("{number}, {what}: {error}"));
        took.entry(what).or_default().push(began.elapsed());
        progress.finished.store(number, Ordering::SeqCst);
        if now.extra {
            // The one that was added takes requests as soon as the reload is answered.
            sent.push(Sender::new(format!("extra-{number}"), false, 2, ports[2], &progress).send(0).await);
        }
    }
    progress.over.store(true, Ordering::SeqCst);
    for sender in senders {
        let of_sender = sender.await.unwrap();
        sent.extend(of_sender);
    }
    assert!(sent.len() > RELOADS, "{} requests are no load", sent.len());
    for (what, took) in took {
        let (sum, max) = (took.iter().sum::<Duration>(), took.iter().max().unwrap());
        println!(
            "{what}: {} reloads, {:?} each, {max:?} at most",
            took.len(),
            sum / u32::try_from(took.len()).unwrap()
        );
    }
    println!("{} requests, {} bytes of memory", sent.len(), flamegate.rss_bytes().unwrap());

    let mut arrived: HashMap<String, Vec<Seen>> = HashMap::new();
    for (endpoint, backend) in backends.iter().enumerate() {
        for series in backend.received() {
            let seen = Seen::of(endpoint, &series.labels);
            arrived.entry(series.profiles[0].id.clone()).or_default().push(seen);
        }
    }
    assert_eq!(arrived.len(), sent.len());
    for Sent { id, port, during: [first, last] } in sent {
        let seen = arrived.remove(&id).unwrap_or_else(|| panic!("{id} was answered and did not arrive"));
        let in_force: Vec<_> = configurations[first..=last].iter().map(|one| one.sees(port)).collect();
        let [seen] = seen.as_slice() else { panic!("{id} arrived {} times", seen.len()) };
        assert!(in_force.contains(seen), "{id}, {first}-{last}: {seen:?} is none of {in_force:?}");
    }
}
