use std::sync::Mutex;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue};
use profiler_core::labels::Labels;
use tokio::sync::Notify;

use super::*;
use crate::pipeline::{Origin, ProfileOutcome, PushError, RawSample, Receiver, Share, Stage};
use crate::telemetry::metrics::{ComponentLabels, Metrics};
use crate::telemetry::traces::Trace;

/// Endpoints as `pyroscope.write` has them: each takes what it is sent, or does not, and nothing twice.
#[derive(Default)]
struct Endpoints {
    names: Vec<&'static str>,
    down: Mutex<Vec<&'static str>>,
    /// By endpoint and profile.
    took: Mutex<Vec<(&'static str, String)>>,
    /// Where there is one, nothing ends before it is told to.
    gate: Option<Notify>,
}

impl Stage for Endpoints {
    fn push(&self, batch: Batch) -> BoxFuture<'_, Outcome> {
        async move {
            if let Some(gate) = &self.gate {
                gate.notified().await;
            }
            Outcome { profiles: batch.profiles.iter().map(|profile| self.take(profile)).collect() }
        }
        .boxed()
    }
}

impl Endpoints {
    fn take(&self, profile: &Profile) -> ProfileOutcome {
        let mut outcome = ProfileOutcome::default();
        for name in &self.names {
            let taken = Taken { endpoint: (*name).into(), series: profile.labels.clone() };
            let has_it = profile.taken.as_ref().is_some_and(|before| before.contains(&taken));
            if !has_it && self.down.lock().unwrap().contains(name) {
                outcome.error = Some(PushError::busy("down"));
                continue;
            }
            if !has_it {
                self.took.lock().unwrap().push((name, text(profile)));
            }
            outcome.taken.push(taken);
        }
        outcome
    }

    fn took(&self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut *self.took.lock().unwrap())
    }

    fn set_down(&self, down: &[&'static str]) {
        *self.down.lock().unwrap() = down.to_vec();
    }
}

fn text(profile: &Profile) -> String {
    let Body::Pprof(samples) = &profile.body else { panic!("a push") };
    String::from_utf8(samples[0].profile.to_vec()).unwrap()
}

/// A receiver before these endpoints.
struct Bench {
    endpoints: Arc<Endpoints>,
    forward_to: Fanout,
    resends: Arc<Resends>,
    metrics: ReceiveHttpMetrics,
}

impl Bench {
    fn new(endpoints: Endpoints) -> Self {
        let endpoints = Arc::new(endpoints);
        let component = ComponentLabels::top_level("pyroscope.receive_http.test".into());
        Self {
            forward_to: Fanout::new(vec![Receiver::new("write".into(), endpoints.clone())]),
            endpoints,
            resends: Arc::new(Resends::new()),
            metrics: Metrics::new().receive_http(&component),
        }
    }

    async fn send(&self, batch: Batch) -> Delivery {
        self.resends.deliver(batch, &self.forward_to, &self.metrics).await
    }

    /// Sends, and hears the answer: whether it was a success.
    async fn exchange(&self, batch: Batch) -> bool {
        let Delivery { outcomes, receipt } = self.send(batch).await;
        receipt.into_iter().for_each(Receipt::heard);
        is_success(&outcomes)
    }

    fn remembered(&self) -> usize {
        self.resends.remembered.load(Ordering::Relaxed)
    }
}

/// Profiles of one series each, from this tenant.
fn batch(tenant: &'static str, profiles: &[&'static str]) -> Batch {
    let mut forwarded = HeaderMap::new();
    forwarded.insert("x-scope-orgid", HeaderValue::from_static(tenant));
    let (arrived, memory) = (std::time::SystemTime::now(), Share::unbounded());
    let origin = Arc::new(Origin { arrived, trace: Trace::default(), forwarded, memory });
    let profile = |text: &&'static str| {
        let labels = Labels::from_pairs([("service_name", "shop")]).unwrap();
        let sample = RawSample { id: Bytes::new(), profile: Bytes::from_static(text.as_bytes()) };
        Profile::new(labels, Body::Pprof([sample].into()), origin.clone())
    };
    Batch { profiles: profiles.iter().map(profile).collect() }
}

fn two_of_them() -> Endpoints {
    Endpoints { names: vec!["a", "b"], ..Endpoints::default() }
}

#[tokio::test]
async fn what_comes_again_goes_to_those_who_lack_it() {
    let bench = Bench::new(two_of_them());
    bench.endpoints.set_down(&["b"]);
    let both = || batch("x", &["1", "2"]);
    assert!(!bench.exchange(both()).await);
    assert_eq!(bench.endpoints.took(), [("a", "1".into()), ("a", "2".into())]);
    assert!(!bench.exchange(both()).await);
    assert_eq!(bench.endpoints.took(), []);
    // Of another tenant, or with another profile, it is another request.
    assert!(!bench.exchange(batch("y", &["1", "2"])).await);
    assert!(!bench.exchange(batch("x", &["1", "3"])).await);
    assert_eq!(bench.endpoints.took().len(), 4);
    bench.endpoints.set_down(&[]);
    assert!(bench.exchange(both()).await);
    assert_eq!(bench.endpoints.took(), [("b", "1".into()), ("b", "2".into())]);
    // It is over: whoever sends it once more means it.
    assert!(bench.exchange(both()).await);
    assert_eq!(bench.endpoints.took().len(), 4);
}

#[tokio::test]
async fn nothing_is_remembered_while_all_succeeds_or_nobody_takes_it() {
    let bench = Bench::new(two_of_them());
    assert!(bench.exchange(batch("x", &["1"])).await);
    bench.endpoints.set_down(&["a", "b"]);
    assert!(!bench.exchange(batch("x", &["1"])).await);
    assert_eq!(bench.remembered(), 0);
}

#[tokio::test]
async fn a_success_that_was_not_heard_is_told_again() {
    let bench = Bench::new(two_of_them());
    drop(bench.send(batch("x", &["1"])).await);
    assert_eq!((bench.endpoints.took().len(), bench.remembered()), (2, 1));
    drop(bench.send(batch("x", &["1"])).await);
    assert!(bench.exchange(batch("x", &["1"])).await);
    assert_eq!((bench.endpoints.took().len(), bench.remembered()), (0, 0));
    assert!(bench.exchange(batch("x", &["1"])).await);
    assert_eq!(bench.endpoints.took().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_again_meanwhile_joins() {
    let bench = Arc::new(Bench::new(Endpoints { gate: Some(Notify::new()), ..two_of_them() }));
    let send = |bench: Arc<Bench>| tokio::spawn(async move { bench.exchange(batch("x", &["1"])).await });
    let first = send(bench.clone());
    tokio::time::sleep(2 * SLOW).await;
    assert_eq!(bench.remembered(), 1);
    let others = [send(bench.clone()), send(bench.clone())];
    tokio::time::sleep(2 * SLOW).await;
    bench.endpoints.gate.as_ref().unwrap().notify_one();
    assert!(first.await.unwrap());
    for other in others {
        assert!(other.await.unwrap());
    }
    assert_eq!((bench.endpoints.took().len(), bench.remembered()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_comes_to_no_end_leaves_the_others_theirs() {
    let bench = Arc::new(Bench::new(Endpoints { gate: Some(Notify::new()), ..two_of_them() }));
    let send = |bench: Arc<Bench>| tokio::spawn(async move { bench.exchange(batch("x", &["1"])).await });
    let first = send(bench.clone());
    tokio::time::sleep(2 * SLOW).await;
    let second = send(bench.clone());
    tokio::time::sleep(2 * SLOW).await;
    first.abort();
    assert!(first.await.is_err());
    bench.endpoints.gate.as_ref().unwrap().notify_one();
    assert!(second.await.unwrap());
    assert_eq!((bench.endpoints.took().len(), bench.remembered()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn the_memory_is_bounded_in_time_and_size() {
    let bench = Bench::new(two_of_them());
    drop(bench.send(batch("x", &["1"])).await);
    tokio::time::sleep(REMEMBERED_FOR).await;
    assert!(bench.exchange(batch("x", &["1"])).await);
    assert_eq!((bench.endpoints.took().len(), bench.remembered()), (4, 0));

    for index in 0..MOST_REQUESTS as u64 + 1 {
        bench.resends.remember([index, 0], Known::Delivered);
    }
    assert_eq!(bench.remembered(), MOST_REQUESTS);
    assert!(bench.resends.find([0, 0]).is_none() && bench.resends.find([1, 0]).is_some());

    let taken = Taken { endpoint: "a".into(), series: Labels::empty() };
    for index in 0..3 {
        let many = vec![vec![taken.clone(); MOST_TAKEN / 2].into()];
        bench.resends.remember([index, 1], Known::Taken(many));
    }
    assert_eq!(bench.remembered(), 2);
    assert!(bench.resends.find([0, 1]).is_none() && bench.resends.find([2, 1]).is_some());
}
