//! Profiles that count from the start of the process.

use profiler_core::pprof::{Function, Line, Location, Profile as Pprof, Sample, ValueType};
use prost::Message;
use tokio::sync::watch;

use super::server::{Reply, Server, profile};
use super::*;
use crate::pipeline::Body;

const PATH: &str = "/debug/pprof/allocs";
const KINDS: &str = r#"profiling_config {
    profile.block { enabled = false }
    profile.goroutine { enabled = false }
    profile.mutex { enabled = false }
    profile.process_cpu { enabled = false }
}
"#;

/// What was allocated by one stack, and what is in use of it.
fn allocated(values: [i64; 2]) -> Vec<u8> {
    let texts = ["", "alloc_space", "bytes", "inuse_space", "main"];
    let pprof = Pprof {
        sample_type: vec![ValueType { kind: 1, unit: 2 }, ValueType { kind: 3, unit: 2 }],
        sample: vec![Sample { location_id: vec![1], value: values.to_vec(), label: vec![] }],
        location: vec![Location {
            id: 1,
            line: vec![Line { function_id: 1, ..Line::default() }],
            ..Location::default()
        }],
        function: vec![Function { id: 1, name: 4, ..Function::default() }],
        string_table: texts.map(str::to_owned).to_vec(),
        ..Pprof::default()
    };
    profile(&pprof.encode_to_vec())
}

fn values(profile: &Profile) -> Vec<Vec<i64>> {
    let Body::Pprof(samples) = &profile.body else { panic!("{:?}", profile.body) };
    let pprof = Pprof::from_bytes(&samples[0].profile, 1 << 20).unwrap();
    pprof.sample.into_iter().map(|sample| sample.value).collect()
}

/// A target whose heap changes.
struct Heap {
    server: Server,
    current: watch::Sender<Vec<u8>>,
}

impl Heap {
    async fn start(values: [i64; 2]) -> Self {
        let (current, reply) = watch::channel(allocated(values));
        let server = Server::start([
            (PATH, Reply::Current(reply)),
            ("/debug/pprof/delta_heap", Reply::Bytes(allocated([70, 7]))),
            ("/debug/pprof/goroutine", Reply::Bytes(allocated([80, 8]))),
        ])
        .await;
        Self { server, current }
    }

    fn body(&self, more: &str) -> String {
        format!("targets = [{{\"__address__\" = \"{}\"}}]\n{OFTEN}{more}", self.server.address)
    }

    /// Lets the profile be scraped, whatever of it was under way before.
    async fn is(&self, reply: Vec<u8>) {
        self.current.send_replace(reply);
        let asked = self.server.asked(PATH).len();
        until("it is scraped", || self.server.asked(PATH).len() > asked + 2).await;
    }
}

fn delta_metric(services: &Services, name: &str) -> u64 {
    metric(services, &format!("pyroscope_scrape_delta_{name}{{"))
}

#[tokio::test]
async fn what_was_counted_since_is_sent_and_marked() {
    let heap = Heap::start([100, 0]).await;
    let mut takers = Takers::new(ALL);
    let (scrape, services) = start(&heap.body(KINDS), &takers.taker);
    heap.is(allocated([100, 0])).await;
    heap.is(allocated([130, 0])).await;
    let delta = takers.next().await;
    assert_eq!(values(&delta), [[30, 0]]);
    assert_eq!(delta.labels.value("__delta__"), Some("false"));
    assert_eq!(delta.labels.value("__name__"), Some("memory"));
    // The same once more is nothing to send, and no failure.
    heap.is(allocated([135, 0])).await;
    assert_eq!(values(&takers.next().await), [[5, 0]]);
    assert!(takers.taken.try_recv().is_err());
    assert_eq!(shown(&scrape)[0].1, "up");
    assert_eq!(delta_metric(&services, "states"), 1);
    assert!(delta_metric(&services, "bytes") > 0);

    // Another process, or a profile that is none: from there on anew.
    heap.is(allocated([20, 0])).await;
    heap.is(allocated([21, 0])).await;
    assert_eq!(values(&takers.next().await), [[1, 0]]);
    assert_eq!(delta_metric(&services, "resets_total"), 1);
    heap.is(profile(b"\x0a\x04\x08\x01\x10\x02\x12\x02\x0a\x00")).await;
    until("it is told", || shown(&scrape)[0].2.starts_with("no difference to the profile before can be made")).await;
    heap.is(allocated([50, 0])).await;
    heap.is(allocated([52, 0])).await;
    assert_eq!(values(&takers.next().await), [[2, 0]]);
    assert!(takers.taken.try_recv().is_err());
}

#[tokio::test]
async fn other_kinds_pass_as_they_are() {
    let heap = Heap::start([100, 0]).await;
    let mut takers = Takers::new(ALL);
    let kinds = KINDS.replace("goroutine { enabled = false", "godeltaprof_memory { enabled = true");
    let kinds = kinds.replace("profile.block", "profile.memory { enabled = false }\nprofile.block");
    let (_scrape, _services) = start(&heap.body(&kinds), &takers.taker);
    let mut seen = [false; 2];
    while seen != [true; 2] {
        let profile = takers.next().await;
        assert_eq!(profile.labels.value("__delta__"), None);
        match profile.labels.value("__name__") {
            Some("memory") => {
                assert_eq!(values(&profile), [[70, 7]]);
                seen[0] = true;
            }
            Some("goroutine") => {
                assert_eq!(values(&profile), [[80, 8]]);
                seen[1] = true;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_reload_forgets_what_goes_and_nothing_else() {
    let heap = Heap::start([100, 0]).await;
    let mut takers = Takers::new(ALL);
    let (first, services) = start(&heap.body(KINDS), &takers.taker);
    heap.is(allocated([100, 0])).await;
    let second = build(&heap.body(&format!("{KINDS}scrape_timeout = \"9s\"")), &takers.taker, &services, Some(&first));
    second.activate();
    first.stop().await;
    heap.is(allocated([104, 0])).await;
    assert_eq!(values(&takers.next().await), [[4, 0]]);
    assert_eq!(delta_metric(&services, "states"), 1);

    let none = format!("targets = []\n{OFTEN}{KINDS}scrape_timeout = \"8s\"");
    let third = build(&none, &takers.taker, &services, Some(&second));
    third.activate();
    second.stop().await;
    until("it is given back", || delta_metric(&services, "states") == 0 && delta_metric(&services, "bytes") == 0).await;
}

#[tokio::test]
async fn without_memory_there_are_no_deltas() {
    let heap = Heap::start([100, 0]).await;
    let mut takers = Takers::new(ALL);
    let (scrape, services) = start(&heap.body(&format!("{KINDS}max_delta_bytes = \"10B\"")), &takers.taker);
    heap.is(allocated([110, 0])).await;
    heap.is(allocated([120, 0])).await;
    until("it is let go", || delta_metric(&services, "evictions_total") > 3).await;
    assert_eq!(delta_metric(&services, "states"), 0);
    assert!(takers.taken.try_recv().is_err());
    assert_eq!(shown(&scrape)[0].1, "up");
}
