//! A network that fails between write and a backend: what the sender hears, and that all is well once it is mended.

use std::net::SocketAddr;
use std::time::Duration;

use flamegate_tests::backend::{Answer, Backend, Script};
use flamegate_tests::blocks::{self, ReceiveHttp};
use flamegate_tests::destination::{Destination, Expected, Kind};
use flamegate_tests::fault_proxy::{Cut, Fault, FaultProxy, UnansweredPort};
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::http_client::{get, post};
use flamegate_tests::polling::{DEADLINE, eventually};
use flamegate_tests::push_api::PushRequest;
use flamegate_tests::push_client::{PushClient, PushReply};
use flamegate_tests::spine::{RECEIVE, WRITE, good_profile, good_push};
use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

/// One retry, soon.
const TWO_ATTEMPTS: &str = "remote_timeout = \"500ms\"\nmin_backoff_period = \"1ms\"\nmax_backoff_retries = 2";
/// The server answers when it has stored what came, which may take it half a second.
const PATIENT: &str = "remote_timeout = \"2s\"\nmin_backoff_period = \"1ms\"\nmax_backoff_retries = 2";
const ONE_ATTEMPT: &str = "max_backoff_retries = 1";
const SLOW: Fault = Fault::Dribble(Duration::from_millis(50));

/// A process that writes through a proxy.
struct Network {
    flamegate: Flamegate,
    proxy: FaultProxy,
    url: String,
}

impl Network {
    async fn before(backend: SocketAddr, endpoint: &str) -> Self {
        let proxy = FaultProxy::before(backend).await.unwrap();
        let (flamegate, url) = writing_to(proxy.url(), endpoint).await;
        Self { flamegate, proxy, url }
    }

    async fn start(endpoint: &str) -> (Backend, Self) {
        let backend = Backend::start().await.unwrap();
        let network = Self::before(backend.address(), endpoint).await;
        (backend, network)
    }

    async fn push(&self) -> PushReply {
        PushClient::CONNECT.push(&self.url, &good_push()).await.unwrap()
    }

    async fn ingest(&self) -> u16 {
        let reply = post(&format!("{}/ingest?name=shop", self.url), &[], "main 1\n").await.unwrap();
        reply.status.as_u16()
    }

    /// What a counter of write shows.
    async fn count(&self, metric: &str) -> f64 {
        let metrics = self.flamegate.metrics().await.unwrap();
        metrics.sum(metric, &[("component_id", WRITE)]).unwrap_or_default()
    }

    /// As a listing of what happened: requests sent again, profiles delivered, profiles not delivered.
    async fn counts(&self) -> [f64; 3] {
        let all = ["retries", "sent_profiles", "dropped_profiles"].map(|name| format!("pyroscope_write_{name}_total"));
        let [retries, sent, dropped] = &all;
        [self.count(retries).await, self.count(sent).await, self.count(dropped).await]
    }

    /// Bytes of bodies that count as held.
    async fn held(&self) -> f64 {
        // The gauge is set with each answer.
        assert_eq!(get(&format!("{}/ingest", self.url)).await.unwrap().status, 405);
        let metrics = self.flamegate.metrics().await.unwrap();
        metrics.sum("flamegate_receive_http_inflight_bytes", &[]).unwrap()
    }

    /// Keeps so many connections to the backend open, all of them idle.
    async fn pool(&self, backend: &Backend, connections: usize) {
        backend.follow(Script::always(Answer::Judge.after(Duration::from_millis(300))));
        for pushed in join_all((0..connections).map(|_| self.push())).await {
            assert_eq!(pushed.error, None);
        }
        backend.follow(Script::judging());
        assert!(self.proxy.open() >= connections, "{} connections", self.proxy.open());
    }

    /// Waits until write has closed what was cut.
    async fn forgets(&self) {
        eventually("write has closed its connections", async || (self.proxy.open() == 0).then_some(())).await.unwrap();
    }
}

/// A process, and the URL where it receives.
async fn writing_to(url: String, endpoint: &str) -> (Flamegate, String) {
    let receive = ReceiveHttp { label: "default", writes: &["default"], ..ReceiveHttp::default() };
    let configuration = receive.block() + &blocks::write("default", &[url], endpoint);
    let flamegate = Flamegate::start(&configuration, &[]).await.unwrap();
    let url = format!("http://{}", flamegate.listener(RECEIVE).await.unwrap());
    (flamegate, url)
}

fn added(before: [f64; 3], after: [f64; 3]) -> [f64; 3] {
    let [a, b, c] = before;
    let [x, y, z] = after;
    [x - a, y - b, z - c]
}

#[tokio::test]
async fn what_happens_once_costs_the_sender_nothing() {
    // With how many of the two requests the backend takes although their answers do not come through.
    let cases = [
        (Fault::ResetAtOnce, 0),
        (Fault::ResetRequest(0), 0),
        (Fault::ResetRequest(100), 0),
        (Fault::ResetAnswer(0), 0),
        (Fault::ResetAnswer(20), 2),
        (Fault::CloseAnswer(20), 2),
        (SLOW, 2),
        (Fault::Blackhole, 0),
        (Fault::Deaf, 0),
    ];
    let (backend, network) = Network::start(TWO_ATTEMPTS).await;
    for (fault, taken) in cases {
        let (before, received) = (network.counts().await, backend.received().len());
        network.proxy.first([fault]);
        let pushed = network.push().await;
        assert_eq!(pushed.error, None, "{fault:?}: {}", backend.summary());
        network.proxy.cut(Cut::Reset);
        network.forgets().await;
        network.proxy.first([fault]);
        assert_eq!(network.ingest().await, 200, "{fault:?}: {}", backend.summary());
        assert_eq!(added(before, network.counts().await), [2.0, 2.0, 0.0], "{fault:?}");
        assert_eq!(backend.received().len(), received + 2 + taken, "{fault:?}: {}", backend.summary());
        network.proxy.cut(Cut::Reset);
        network.forgets().await;
    }
}

#[tokio::test]
async fn what_lasts_is_told_and_what_is_sent_again_arrives() {
    // Without a fault the port is closed.
    let cases = [
        (None, 503, "unavailable"),
        (Some(Fault::ResetAtOnce), 503, "unavailable"),
        (Some(Fault::ResetRequest(100)), 503, "unavailable"),
        (Some(Fault::ResetAnswer(20)), 503, "unavailable"),
        (Some(Fault::CloseAnswer(20)), 503, "unavailable"),
        (Some(SLOW), 504, "deadline_exceeded"),
        (Some(Fault::Blackhole), 504, "deadline_exceeded"),
        (Some(Fault::Deaf), 504, "deadline_exceeded"),
    ];
    let (backend, mut network) = Network::start(TWO_ATTEMPTS).await;
    for (fault, status, code) in cases {
        let (before, accepted) = (network.counts().await, network.proxy.accepted());
        match fault {
            None => network.proxy.refuse().await,
            Some(fault) => network.proxy.always(fault),
        }
        let pushed = network.push().await;
        let error = pushed.error.unwrap_or_else(|| panic!("{fault:?} is not told"));
        assert_eq!((pushed.status.as_u16(), error.code.as_str()), (status, code), "{fault:?}: {}", error.message);
        assert!(error.message.contains(&network.proxy.url()), "{fault:?}: which endpoint? {}", error.message);
        assert_eq!(network.ingest().await, status, "{fault:?}");
        assert_eq!(added(before, network.counts().await), [2.0, 0.0, 2.0], "{fault:?}");
        let attempts = if fault.is_some() { 4 } else { 0 };
        assert_eq!(network.proxy.accepted() - accepted, attempts, "{fault:?}: each attempt has its connection");

        network.proxy.always(Fault::None);
        network.proxy.listen().unwrap();
        let received = backend.received().len();
        assert_eq!(network.push().await.error, None, "{fault:?}: once it is over");
        assert_eq!(network.ingest().await, 200, "{fault:?}: once it is over");
        assert_eq!(backend.received().len(), received + 2, "{fault:?}: {}", backend.summary());
        network.proxy.cut(Cut::Reset);
        network.forgets().await;
    }
}

#[tokio::test]
async fn a_port_that_does_not_answer() {
    let port = UnansweredPort::start().await.unwrap();
    let (_flamegate, url) = writing_to(format!("http://{}", port.address()), TWO_ATTEMPTS).await;
    let pushed = PushClient::CONNECT.push(&url, &good_push()).await.unwrap();
    assert_eq!((pushed.status.as_u16(), pushed.error.unwrap().code.as_str()), (504, "deadline_exceeded"));
    assert_eq!(post(&format!("{url}/ingest?name=shop"), &[], "main 1\n").await.unwrap().status, 504);
}

#[tokio::test]
async fn an_answer_that_comes_slowly_but_in_time() {
    let endpoint = "remote_timeout = \"15s\"\nmax_backoff_retries = 1";
    let (backend, network) = Network::start(endpoint).await;
    network.proxy.always(Fault::Dribble(Duration::from_millis(2)));
    assert_eq!(network.push().await.error, None);
    assert_eq!(network.ingest().await, 200);
    assert_eq!(backend.received().len(), 2);
}

/// Large bodies wait in a process whose backend is silent: what they held is free when they have been answered.
#[tokio::test]
async fn memory_returns_when_the_senders_were_told() {
    const BODY: usize = 4 << 20;
    const BODIES: usize = 32;
    const GIVEN_UP: Duration = Duration::from_secs(60);
    let (backend, network) = Network::start(TWO_ATTEMPTS).await;
    assert_eq!(network.push().await.error, None);
    let before = network.flamegate.rss_bytes().unwrap();
    let body = bytes::Bytes::from(b"main;leaf 12345\n".repeat(BODY / 16));
    let url = format!("{}/ingest?name=shop", network.url);
    for fault in [Fault::Blackhole, Fault::Deaf] {
        network.proxy.always(fault);
        network.proxy.cut(Cut::HalfOpen);
        let sending = (0..BODIES).map(|_| post(&url, &[], body.clone()));
        for reply in join_all(sending).await {
            assert_eq!(reply.unwrap().status, 504, "{fault:?}");
        }
        // What a connection was writing is held, and counts, until the kernel gives the connection up.
        let counted = async {
            while network.held().await > 0.0 {
                sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(GIVEN_UP, counted).await.unwrap_or_else(|_| panic!("{fault:?}: the bodies are held for ever"));
        eventually("what is not counted is not there", async || {
            let grown = network.flamegate.rss_bytes().unwrap().saturating_sub(before);
            (grown < (BODIES * BODY / 3) as u64).then_some(())
        })
        .await
        .unwrap();
    }
    let peak = network.flamegate.peak_rss_bytes().unwrap() - before;
    assert!(peak > (BODIES * BODY / 2) as u64, "the bodies were never there: it grew by {peak} bytes");
    network.proxy.always(Fault::None);
    assert_eq!(network.ingest().await, 200);
    assert_eq!(backend.received().len(), 2);
}

#[tokio::test]
async fn connections_that_the_backend_closed_meanwhile_cost_nothing() {
    for cut in [Cut::Close, Cut::Reset] {
        let (backend, network) = Network::start(ONE_ATTEMPT).await;
        network.pool(&backend, 8).await;
        network.proxy.cut(cut);
        for _ in 0..8 {
            assert_eq!(network.push().await.error, None, "{cut:?}");
        }
        assert_eq!(network.counts().await, [0.0, 16.0, 0.0], "{cut:?}");
    }
}

/// The close may cross the next request on its way: that one is sent again, and the sender hears nothing of it.
#[tokio::test]
async fn a_backend_that_closes_after_each_answer_without_a_word() {
    let (backend, network) = Network::start(TWO_ATTEMPTS).await;
    let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/proto\r\ncontent-length: 0\r\n\r\n";
    backend.follow(Script::always(Answer::Garbage(answer.as_slice().into())));
    for _ in 0..50 {
        assert_eq!(network.push().await.error, None);
    }
    let [_, sent, dropped] = network.counts().await;
    assert_eq!((sent, dropped), (50.0, 0.0));
}

/// However many connections are dead without anyone knowing, a retry is not another one's victim.
#[tokio::test]
async fn a_retry_goes_on_a_connection_of_its_own() {
    for cut in [Cut::HalfOpen, Cut::Forget] {
        let (backend, network) = Network::start(TWO_ATTEMPTS).await;
        network.pool(&backend, 8).await;
        network.proxy.cut(cut);
        let pushed = network.push().await;
        assert_eq!(pushed.error, None, "{cut:?}");
        let [retries, sent, dropped] = network.counts().await;
        // A connection that says at once that it is dead need not count as an attempt.
        assert!(retries <= 1.0, "{cut:?}: {retries} retries");
        assert_eq!((sent, dropped), (9.0, 0.0), "{cut:?}");
        // All the others find their way as well.
        for pushed in join_all((0..8).map(|_| network.push())).await {
            assert_eq!(pushed.error, None, "{cut:?}");
        }
        assert_eq!(backend.received().len(), 17, "{cut:?}: each once");
    }
}

#[tokio::test]
async fn a_backend_that_restarts_under_load() {
    let endpoint = "min_backoff_period = \"1ms\"\nmax_backoff_period = \"50ms\"\nmax_backoff_retries = 0";
    let (backend, mut network) = Network::start(endpoint).await;
    let url = network.url.clone();
    let senders: Vec<_> = (0..4)
        .map(|sender| {
            let url = url.clone();
            tokio::spawn(async move {
                for number in 0..50 {
                    let name = format!("shop-{sender}-{number}");
                    let labels = [("__name__", "process_cpu"), ("service_name", name.as_str())];
                    let push = PushRequest::one(&labels, good_profile());
                    assert_eq!(PushClient::CONNECT.push(&url, &push).await.unwrap().error, None, "{name}");
                }
            })
        })
        .collect();
    for restart in 1..=3 {
        backend.wait_for_attempts(30 * restart, DEADLINE).await.unwrap();
        network.proxy.refuse().await;
        network.proxy.cut(Cut::Reset);
        sleep(Duration::from_millis(300)).await;
        network.proxy.listen().unwrap();
    }
    for sender in senders {
        sender.await.unwrap();
    }
    let [retries, sent, dropped] = network.counts().await;
    assert!(retries > 0.0, "no restart was noticed");
    assert_eq!((sent, dropped), (200.0, 0.0));
    let names: std::collections::BTreeSet<String> =
        backend.received().iter().map(|series| series.service_name().to_owned()).collect();
    assert_eq!(names.len(), 200);
}

/// Our own backend, and the real server where one is named.
#[tokio::test]
async fn every_fault_before_a_real_server() {
    for destination in Destination::start_all(Duration::ZERO).await.unwrap() {
        let backend = destination.url().strip_prefix("http://").unwrap().parse().unwrap();
        let mut network = Network::before(backend, PATIENT).await;
        let faults = [
            None,
            Some(Fault::ResetAtOnce),
            Some(Fault::ResetRequest(100)),
            Some(Fault::ResetAnswer(20)),
            Some(SLOW),
            Some(Fault::Blackhole),
        ];
        for (number, fault) in faults.into_iter().enumerate() {
            let service = format!("shop-{number}");
            let labels = [("__name__", "process_cpu"), ("service_name", service.as_str())];
            let push = PushRequest::one(&labels, good_profile());
            match fault {
                None => network.proxy.refuse().await,
                Some(fault) => network.proxy.always(fault),
            }
            network.proxy.cut(Cut::HalfOpen);
            let refused = PushClient::CONNECT.push(&network.url, &push).await.unwrap();
            assert!([503, 504].contains(&refused.status.as_u16()), "{fault:?}: {refused:?}");
            network.proxy.always(Fault::None);
            network.proxy.listen().unwrap();
            assert_eq!(PushClient::CONNECT.push(&network.url, &push).await.unwrap().error, None, "{fault:?}");
            let (kind, function) = (Kind::Cpu, "leaf");
            let expected = Expected { service: &service, labels: &[], absent: &[], sample_labels: &[], kind, function };
            destination.wait_for(&expected, DEADLINE).await.unwrap();
        }
    }
}
