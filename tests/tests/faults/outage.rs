//! Ten minutes without a backend at a sixtieth of the scale, with senders that send again what was not taken.

use std::collections::BTreeMap;
use std::time::Duration;

use flamegate_tests::backend::Backend;
use flamegate_tests::blocks::{self, ReceiveHttp};
use flamegate_tests::fault_proxy::{Cut, Fault, FaultProxy};
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::http_client::get;
use flamegate_tests::polling::eventually;
use flamegate_tests::push_api::PushRequest;
use flamegate_tests::push_client::PushClient;
use flamegate_tests::spine::{RECEIVE, good_profile};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};

/// Ten minutes.
const OUTAGE: Duration = Duration::from_secs(10);
/// Of ten seconds, in which an SDK makes one profile.
const PERIOD: Duration = Duration::from_millis(167);
const SENDERS: usize = 4;
/// Between an answer that is no success and the next try.
const AGAIN: Duration = Duration::from_secs(1);
/// A profile that was not taken after so many tries never will be.
const TRIES: usize = 60;
/// A backend that answers at all does so by then, so that none takes a profile and its answer comes too late.
const ENDPOINT: &str = "remote_timeout = \"2s\"\nmin_backoff_period = \"10ms\"\nmax_backoff_retries = 2";
const MAY_GROW: u64 = 50 << 20;

/// What is wrong on the way to the backend, one after another; none lets a whole request through. Without a fault the
/// port is closed.
const FAULTS: [(Option<Fault>, Cut); 4] = [
    (Some(Fault::Blackhole), Cut::HalfOpen),
    (None, Cut::Forget),
    (Some(Fault::ResetRequest(300)), Cut::Reset),
    (Some(Fault::Deaf), Cut::HalfOpen),
];

/// One of the two backends is back when so many of them are over.
const SOONER: usize = 2;

/// A backend, and the way to it.
struct Way {
    backend: Backend,
    proxy: FaultProxy,
}

impl Way {
    async fn open() -> Self {
        let backend = Backend::start().await.unwrap();
        let proxy = FaultProxy::before(backend.address()).await.unwrap();
        Self { backend, proxy }
    }

    async fn fail(&mut self, fault: Option<Fault>, cut: Cut) {
        match fault {
            None => self.proxy.refuse().await,
            Some(fault) => {
                self.proxy.always(fault);
                self.proxy.listen().unwrap();
            }
        }
        self.proxy.cut(cut);
    }

    /// New connections are well again.
    fn mend(&mut self) {
        self.proxy.always(Fault::None);
        self.proxy.listen().unwrap();
    }

    /// What arrived, by service, and how often.
    fn arrivals(&self) -> BTreeMap<String, usize> {
        let mut arrivals = BTreeMap::new();
        for series in self.backend.received() {
            *arrivals.entry(series.service_name().to_owned()).or_default() += 1;
        }
        arrivals
    }
}

struct Sent {
    /// Answers that were no success.
    refusals: usize,
}

/// Sends one profile until it is taken.
async fn deliver(url: String, name: String) -> Sent {
    let labels = [("__name__", "process_cpu"), ("service_name", name.as_str())];
    let push = PushRequest::one(&labels, good_profile());
    for refusals in 0..TRIES {
        let reply = PushClient::CONNECT.push(&url, &push).await.unwrap();
        let Some(error) = reply.error else { return Sent { refusals } };
        let told = (reply.status.as_u16(), error.code.as_str());
        assert!([(503, "unavailable"), (504, "deadline_exceeded")].contains(&told), "{name}: {told:?} {error:?}");
        sleep(AGAIN).await;
    }
    panic!("{name} was not taken in {TRIES} tries");
}

#[tokio::test]
async fn nothing_is_lost_and_nothing_comes_twice() {
    let mut ways = [Way::open().await, Way::open().await];
    let urls = ways.each_ref().map(|way| way.proxy.url());
    let receive = ReceiveHttp { label: "default", writes: &["default"], ..ReceiveHttp::default() };
    let configuration = receive.block() + &blocks::write("default", &urls, ENDPOINT);
    let flamegate = Flamegate::start(&configuration, &[]).await.unwrap();
    let url = format!("http://{}", flamegate.listener(RECEIVE).await.unwrap());

    let ingest = format!("{url}/ingest");
    let mut deliveries = JoinSet::new();
    // Before the outage, so that connections are open and all that is made once is there.
    for number in 0..20 {
        deliveries.spawn(deliver(url.clone(), format!("before-{number}")));
    }
    while let Some(delivered) = deliveries.join_next().await {
        assert_eq!(delivered.unwrap().refusals, 0);
    }
    let memory = flamegate.rss_bytes().unwrap();

    let sending = tokio::spawn(async move {
        let mut deliveries = JoinSet::new();
        let mut period = interval(PERIOD);
        for number in 0..OUTAGE.as_millis() / PERIOD.as_millis() {
            period.tick().await;
            for sender in 0..SENDERS {
                deliveries.spawn(deliver(url.clone(), format!("sender-{sender}-{number}")));
            }
        }
        deliveries.join_all().await
    });
    for (number, (fault, cut)) in FAULTS.into_iter().enumerate() {
        let [sooner, later] = &mut ways;
        later.fail(fault, cut).await;
        if number < SOONER {
            sooner.fail(fault, cut).await;
        } else {
            sooner.mend();
        }
        sleep(OUTAGE / u32::try_from(FAULTS.len()).unwrap()).await;
        assert_eq!(ways[1].backend.received().len(), 20, "something passed {fault:?}");
    }
    ways[1].mend();
    let sent = sending.await.unwrap();

    for way in &ways {
        let arrivals = way.arrivals();
        assert_eq!(arrivals.len(), 20 + sent.len(), "{} profiles arrived", arrivals.len());
        let twice: Vec<_> = arrivals.into_iter().filter(|(_, times)| *times != 1).collect();
        assert_eq!(twice, [], "came more than once");
    }
    let refusals: usize = sent.iter().map(|sent| sent.refusals).sum();
    assert!(refusals > sent.len() / 2, "{refusals} refusals: where was the outage?");
    let metrics = flamegate.metrics().await.unwrap();
    let count = |name: &str| metrics.sum(name, &[]).unwrap_or_default();
    assert_eq!(count("pyroscope_write_sent_profiles_total"), 2.0 * (20 + sent.len()) as f64);
    // Each refusal is that of one endpoint, or of both.
    let dropped = count("pyroscope_write_dropped_profiles_total");
    assert!((refusals as f64..=2.0 * refusals as f64).contains(&dropped), "{dropped} of {refusals} refusals");
    eventually("nothing is held any more", async || {
        // The gauge is set with each answer.
        assert_eq!(get(&ingest).await.unwrap().status, 405);
        let metrics = flamegate.metrics().await.unwrap();
        let inflight = metrics.sum("flamegate_receive_http_inflight_bytes", &[]).unwrap();
        let grown = flamegate.rss_bytes().unwrap().saturating_sub(memory);
        (inflight == 0.0 && grown < MAY_GROW).then_some(())
    })
    .await
    .unwrap();
}
