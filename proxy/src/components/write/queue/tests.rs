//! The queue in a component that is driven by hand: on a clock that the test moves, and with a backend that tells one
//! request from another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use alloy_syntax::{Scope, StdlibOptions, decode_block, parse_file};
use bytes::Bytes;
use http::HeaderMap;
use profiler_core::labels::Labels;

use super::batch::{Batch as Request, Item};
use super::record::{self, QueuedCall};
use crate::component::{Component, Context, Services};
use crate::components::write::tests::backend::{Answers, Backend};
use crate::components::write::{Write, WriteArguments};
use crate::filters::FilterHost;
use crate::pipeline::{Batch, Body, Code, Fault, Origin, Profile, PushError, RawSample, Retry, Share, Stage};
use crate::telemetry::metrics::ComponentLabels;
use crate::telemetry::traces::Trace;
use crate::upstream::{Api, Call};
use crate::wire::{KnownLabels, push};

fn write(services: &Services, url: &str, endpoint: &str) -> Write {
    let text = format!("write \"test\" {{\nendpoint {{\nurl = \"{url}\"\n{endpoint}\nqueue {{ }}\n}}\n}}");
    let file = parse_file("test", &text).unwrap();
    let scope = Scope::stdlib(&StdlibOptions::default());
    let arguments: WriteArguments = decode_block(file.body.blocks().next().unwrap(), &scope).unwrap();
    let context = Context { component: ComponentLabels::top_level(Write::NAME.into()), services };
    Write::build(&arguments, &context, None).unwrap()
}

/// A profile of this tenant, known by an id.
fn profile(id: &str, tenant: &str) -> Profile {
    let labels = Labels::from_pairs([("service_name", "shop"), ("tenant", tenant)]).unwrap();
    let sample = RawSample { id: Bytes::copy_from_slice(id.as_bytes()), profile: Bytes::from_static(b"pprof") };
    let origin = Arc::new(Origin {
        arrived: SystemTime::now(),
        trace: Trace::default(),
        forwarded: HeaderMap::new(),
        memory: Share::unbounded(),
    });
    Profile::new(labels, Body::Pprof(vec![sample].into()), origin)
}

async fn send(write: &Write, profiles: Vec<Profile>) {
    let outcome = write.stage.push(Batch { profiles }).await;
    assert_eq!(outcome.worst(), None);
}

/// Ids of what was answered 200.
fn ids(body: &Bytes) -> Vec<String> {
    let series = push::decode(body, &KnownLabels::default()).unwrap();
    let samples = series.iter().flat_map(|series| series.samples.iter());
    samples.map(|sample| String::from_utf8(sample.id.to_vec()).unwrap()).collect()
}

/// Sockets, and the thread of the queue, take time that the clock does not show.
async fn real_time(milliseconds: u64) {
    let slept = tokio::task::spawn_blocking(move || std::thread::sleep(Duration::from_millis(milliseconds)));
    slept.await.unwrap();
}

/// As long as it lives the clock stands still, but for what the test moves it by.
struct Still {
    _until: mpsc::Sender<()>,
}

fn stop_the_clock() -> Still {
    let (until, dropped) = mpsc::channel::<()>();
    tokio::task::spawn_blocking(move || dropped.recv().is_err());
    Still { _until: until }
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_of_outage_cost_few_requests_and_no_profile() {
    let _still = stop_the_clock();
    let folder = tempfile::tempdir().unwrap();
    let services = Services::new(folder.path().to_owned(), FilterHost::default());
    let backend = Backend::start(Answers::new()).await;
    let down = Arc::new(AtomicBool::new(true));
    let is_down = down.clone();
    backend.judge(move |_| is_down.load(Ordering::SeqCst).then_some(503));
    let write = write(&services, &backend.url(), "");
    write.activate();
    let expected: Vec<String> = (0..600).map(|second| format!("{second:03}")).collect();
    for id in &expected {
        send(&write, vec![profile(id, "")]).await;
        tokio::time::advance(Duration::from_secs(1)).await;
        real_time(2).await;
    }
    // Eight senders, the delays of each from half a second to five minutes.
    let during = backend.asked().len();
    assert!((8..=8 * 11).contains(&during), "{during} requests to an endpoint that is down");

    down.store(false, Ordering::SeqCst);
    let (mut waited, mut first) = (0, None);
    let arrived = loop {
        let asked = backend.asked();
        let taken: Vec<String> = asked.iter().skip(during).flat_map(|asked| ids(&asked.body)).collect();
        if taken.len() >= expected.len() {
            break taken;
        }
        // The longest delay; once one has arrived no other waits for the end of its own.
        if !taken.is_empty() {
            first.get_or_insert(waited);
        }
        let most = first.map_or(301, |first| first + 10);
        assert!(waited <= most, "after {waited} s there are {} of {}", taken.len(), expected.len());
        tokio::time::advance(Duration::from_secs(1)).await;
        real_time(20).await;
        waited += 1;
    };
    let mut sorted = arrived.clone();
    sorted.sort();
    assert_eq!(sorted, expected, "each once");
    for (place, id) in arrived.iter().enumerate().skip(8) {
        let was: usize = id.parse().unwrap();
        assert!(was < 8 || place.abs_diff(was) <= 8 * 64, "{id} came {place}th");
    }
    let requests = backend.asked().len() - during;
    assert!(requests < 8 + 600 / 32, "{requests} requests for what waited");
    write.stop().await;
}

/// A part of a request has arrived, the rest cannot now: after a reload the rest alone is sent.
#[tokio::test]
async fn of_a_request_that_arrived_in_part_the_rest_is_sent_after_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let services = Services::new(folder.path().to_owned(), FilterHost::default());
    let backend = Backend::start(Answers::new()).await;
    let down = Arc::new(AtomicBool::new(true));
    let is_down = down.clone();
    backend.judge(move |asked| {
        let is_of_b = asked.headers.get("x-scope-orgid").is_some_and(|tenant| tenant == "b");
        (is_of_b && is_down.load(Ordering::SeqCst)).then_some(503)
    });
    let endpoint = "tenant_label = \"tenant\"\nmin_backoff_period = \"1ms\"";
    let before = write(&services, &backend.url(), endpoint);
    before.activate();
    send(&before, vec![profile("1", "a"), profile("2", "b"), profile("3", "a"), profile("4", "b")]).await;
    while backend.asked().len() < 3 {
        tokio::task::yield_now().await;
    }
    let after = write(&services, &backend.url(), endpoint);
    after.activate();
    before.stop().await;
    down.store(false, Ordering::SeqCst);
    let seen = |tenant: &str| -> Vec<Vec<String>> {
        let asked = backend.asked().into_iter().filter(|asked| asked.headers["x-scope-orgid"] == tenant);
        asked.map(|asked| ids(&asked.body)).collect()
    };
    let empty = async {
        while after.stage.queued[0].queue.stats().records > 0 {
            real_time(5).await
        }
    };
    tokio::time::timeout(Duration::from_secs(20), empty).await.unwrap();
    after.stop().await;
    assert_eq!(seen("a"), [["1", "3"]]);
    assert!(seen("b").len() >= 3 && seen("b").iter().all(|ids| *ids == ["2", "4"]), "{:?}", seen("b"));
    let stats = after.stage.queued[0].queue.stats();
    assert_eq!((stats.appended, stats.acknowledged), (2, 2), "the rest became a record of its own");
}

#[tokio::test]
async fn of_a_request_that_was_refused_in_part_that_part_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let services = Services::new(folder.path().to_owned(), FilterHost::default());
    let backend = Backend::start(Answers::new()).await;
    backend.judge(|asked| ids(&asked.body).contains(&"3".to_owned()).then_some(422));
    let write = write(&services, &backend.url(), "name = \"a/b ..\"");
    write.activate();
    send(&write, ["1", "2", "3", "4", "5"].map(|id| profile(id, "")).into()).await;
    let empty = async {
        while write.stage.queued[0].queue.stats().records > 0 {
            real_time(5).await
        }
    };
    tokio::time::timeout(Duration::from_secs(20), empty).await.unwrap();
    write.stop().await;
    assert_eq!(write.stage.queued[0].queue.stats().rejected, 1);
    drop(write);
    let requests: Vec<_> = backend.asked().iter().map(|asked| ids(&asked.body)).collect();
    let halves: [&[&str]; 5] = [&["1", "2", "3", "4", "5"], &["1", "2"], &["3", "4", "5"], &["3"], &["4", "5"]];
    assert_eq!(requests, halves);
    let kept = durable_queue::read_rejected(&folder.path().join("queues/a%2Fb%20%2E%2E")).unwrap();
    let kept: Vec<_> = kept.collect();
    let [kept] = kept.as_slice() else { panic!("{kept:?}") };
    assert!(kept.reason.contains("422"), "{}", kept.reason);
    let calls = record::decode(&kept.payload).unwrap().calls;
    let bodies: Vec<Bytes> = calls[0].call.body.pieces().cloned().collect();
    assert_eq!((calls.len(), ids(&bodies.concat().into())), (1, vec!["3".to_owned()]));
}

fn call(api: Api, body: &[u8], tenant: &str) -> QueuedCall {
    let mut headers = HeaderMap::new();
    headers.append("x-scope-orgid", tenant.parse().unwrap());
    headers.append("x-two", "1".parse().unwrap());
    headers.append("x-two", b"\xe4".as_slice().try_into().unwrap());
    let (query, content_types) = match api {
        Api::Push => (None, Vec::new()),
        Api::Ingest => (Some("name=ä".to_owned()), vec!["text/plain".parse().unwrap()]),
    };
    let body = vec![Bytes::copy_from_slice(body), Bytes::from_static(b"-"), Bytes::new()].into();
    QueuedCall { call: Call { api, query, content_types, headers, body, hash_key: 9 }, profiles: 2, profile_bytes: 7 }
}

#[test]
fn a_record_is_read_as_it_was_written() {
    let written = [call(Api::Push, b"one", "a"), call(Api::Ingest, &[7; 100_000], "b"), call(Api::Push, b"", "c")];
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
    let bytes = Bytes::from(record::encode(&written, Some(&traceparent)).concat());
    let read = record::decode(&bytes).unwrap();
    assert_eq!(read.trace["traceparent"], traceparent);
    assert_eq!(read.calls.len(), written.len());
    for (read, written) in read.calls.iter().zip(&written) {
        let whole = |call: &Call| call.body.pieces().cloned().collect::<Vec<_>>().concat();
        let (call, expected) = (&read.call, &written.call);
        assert_eq!((call.api, &call.query, &call.headers), (expected.api, &expected.query, &expected.headers));
        assert_eq!((&call.content_types, whole(call)), (&expected.content_types, whole(expected)));
        assert_eq!((read.profiles, read.profile_bytes), (2, 7));
    }
    assert!(record::decode(&Bytes::from(record::encode(&written, None).concat())).unwrap().trace.is_empty());
}

#[test]
fn what_is_no_record_is_told_so() {
    let error = |bytes: &'static [u8]| record::decode(&Bytes::from_static(bytes)).unwrap_err().to_string();
    assert!(error(b"").contains("version"), "{}", error(b""));
    assert!(error(b"\x02").contains("version"));
    assert!(error(b"\x01\xff").contains("cannot be read"));
    assert!(error(b"\x01\x0a\x02\x08\x09").contains("API"));
    assert!(error(b"\x01\x0a\x06\x22\x04\x0a\x02a ").contains("cannot be read"));
}

#[test]
fn what_has_the_same_headers_goes_together_in_order() {
    let item =
        |loan, api, tenant: &str| Item { loan, queued: call(api, &[b'0' + u8::try_from(loan).unwrap()], tenant) };
    let items = [
        item(0, Api::Push, "a"),
        item(1, Api::Ingest, "a"),
        item(2, Api::Push, "b"),
        item(3, Api::Push, "a"),
        item(4, Api::Ingest, "a"),
    ];
    let requests = Request::of(items);
    let places: Vec<Vec<usize>> =
        requests.iter().map(|request| request.items.iter().map(|item| item.loan).collect()).collect();
    assert_eq!(places, [vec![0, 3], vec![1], vec![2], vec![4]]);
    let body: Vec<Bytes> = requests[0].call().unwrap().body.pieces().cloned().collect();
    assert_eq!(body.concat(), b"0-3-");
}

#[test]
fn a_request_is_bounded_by_series_and_bytes() {
    let many = Request::of((0..200).map(|loan| Item { loan, queued: call(Api::Push, b"x", "a") }));
    assert_eq!(many.iter().map(|request| request.items.len()).collect::<Vec<_>>(), [64, 64, 64, 8]);
    let large = Request::of((0..5).map(|loan| Item { loan, queued: call(Api::Push, &vec![0; 900 << 10], "a") }));
    assert_eq!(large.iter().map(|request| request.items.len()).collect::<Vec<_>>(), [2, 2, 1]);
    let huge = Request::of((0..2).map(|loan| Item { loan, queued: call(Api::Push, &vec![0; 3 << 20], "a") }));
    assert_eq!(huge.len(), 2);
}

#[test]
fn only_what_is_of_the_content_is_asked_in_parts() {
    let refusal = |status: u16, fault| PushError {
        fault,
        retry: Retry::Never,
        status: status.try_into().unwrap(),
        code: Code::Unknown,
        cause: "x".into(),
    };
    let two = || Request::of((0..2).map(|loan| Item { loan, queued: call(Api::Push, b"x", "a") })).remove(0);
    for (status, parts) in
        [(400, true), (413, true), (422, true), (401, false), (403, false), (429, false), (501, false)]
    {
        assert_eq!(two().halves(&refusal(status, Fault::Backend)).is_ok(), parts, "{status}");
    }
    assert!(two().halves(&refusal(400, Fault::Us)).is_err());
    let [one, _] = two().halves(&refusal(400, Fault::Backend)).unwrap();
    assert!(one.halves(&refusal(400, Fault::Backend)).is_err());
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let refused = |queue: &str| {
        let text = format!("write \"test\" {{\nendpoint {{\nurl = \"http://a\"\nqueue {{\n{queue}\n}}\n}}\n}}");
        let file = parse_file("test", &text).unwrap();
        let scope = Scope::stdlib(&StdlibOptions::default());
        decode_block::<WriteArguments>(file.body.blocks().next().unwrap(), &scope).unwrap_err().to_string()
    };
    for (queue, words) in [
        ("max_size = \"1000KiB\"", "at least 1MiB"),
        ("max_size = \"much\"", "is no size"),
        ("max_age = \"0s\"", "longer than 0s"),
        ("when_full = \"drop\"", "\"reject\" or \"drop_oldest\""),
    ] {
        let error = refused(queue);
        assert!(error.contains(words), "{queue}: {error}");
    }
}

#[test]
fn folders_are_named_by_the_endpoint() {
    use super::folder_name;
    assert_eq!(folder_name("eu-1_a", "http://a").unwrap(), "eu-1_a");
    assert_eq!(folder_name("../ä", "http://a").unwrap(), "%2E%2E%2F%C3%A4");
    let of_url = folder_name("", "http://a").unwrap();
    assert!(of_url.starts_with("url.") && of_url.len() == 20, "{of_url}");
    assert_ne!(of_url, folder_name("", "http://b").unwrap());
    assert!(folder_name(&"x".repeat(201), "http://a").is_err());
}
