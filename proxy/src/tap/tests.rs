use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use profiler_core::labels::Labels;
use profiler_core::pprof::{Profile as Pprof, ValueType};
use prost::Message;

use super::*;
use crate::pipeline::{Body, IngestBody, Origin, Outcome, Profile, PushError, RawSample, Share};
use crate::telemetry::traces::Trace;

fn batch(pods: &[&str], body: &Body) -> Batch {
    let memory = Share::unbounded();
    let origin =
        Origin { arrived: SystemTime::now(), trace: Trace::default(), forwarded: http::HeaderMap::new(), memory };
    let origin = Arc::new(origin);
    let profile = |pod: &&str| {
        let labels = Labels::from_pairs([("service_name", "shop"), ("pod", pod)]).unwrap();
        Profile::new(labels, body.clone(), origin.clone())
    };
    Batch { profiles: pods.iter().map(profile).collect() }
}

fn pprof() -> Body {
    let strings = ["", "cpu", "nanoseconds"].map(str::to_owned).to_vec();
    let profile =
        Pprof { string_table: strings, sample_type: vec![ValueType { kind: 1, unit: 2 }], ..Pprof::default() };
    Body::Pprof([RawSample { id: Bytes::new(), profile: profile.encode_to_vec().into() }].into())
}

fn wanted(component: &str, selector: &str) -> Wanted {
    Wanted { component: component.to_owned(), selector: selector.parse().unwrap(), rows: 3 }
}

/// What a tap is told of a profile of each of these pods that ends at a component.
fn pass(point: &Point, pods: &[&str]) {
    let batch = batch(pods, &pprof());
    if let Some(watch) = point.watch(&batch, Position::Between) {
        watch.end(&Outcome::accepted(pods.len()));
    }
}

fn pods(seen: &Seen) -> Vec<String> {
    let pod = |passed: &Arc<Passed>| passed.before.as_ref().unwrap().value("pod").unwrap().to_owned();
    seen.rows.iter().map(pod).collect()
}

#[test]
fn nothing_is_noted_while_nobody_looks() {
    let taps = Arc::new(Taps::default());
    let point = taps.point("a");
    let batch = batch(&["x"], &pprof());
    assert!(point.watch(&batch, Position::Between).is_none());
    let tap = taps.open(wanted("a", "")).unwrap();
    assert!(point.watch(&batch, Position::Between).is_some());
    assert!(taps.point("b").watch(&batch, Position::Between).is_none());
    drop(tap);
    assert!(point.watch(&batch, Position::Between).is_none());
}

#[test]
fn a_tap_is_of_a_component_with_all_inside_of_it() {
    let taps = Arc::new(Taps::default());
    let [all, module, other] = ["", "m.a", "m"].map(|component| taps.open(wanted(component, "")).unwrap());
    for (component, pod) in [("m.a/x.b", "inside"), ("m.a", "itself"), ("m.ab", "beside")] {
        pass(&taps.point(component), &[pod]);
    }
    assert_eq!(pods(&all.take()), ["inside", "itself", "beside"]);
    assert_eq!(pods(&module.take()), ["inside", "itself"]);
    assert!(other.take().rows.is_empty());
}

#[tokio::test]
async fn what_has_no_room_is_counted() {
    let taps = Arc::new(Taps::default());
    let (tap, point) = (taps.open(wanted("", r#"{pod!="skipped"}"#)).unwrap(), taps.point("a"));
    pass(&point, &["1", "2", "skipped", "3", "4", "5"]);
    let looked = tap.look();
    let seen = tap.next().await;
    assert_eq!((pods(&looked), pods(&seen)), (pods(&seen), ["3", "4", "5"].map(str::to_owned).to_vec()));
    assert_eq!(seen.missed, 2);
    pass(&point, &["6"]);
    let seen = tap.next().await;
    assert_eq!((pods(&seen), seen.missed), (vec!["6".to_owned()], 0));
}

#[test]
fn labels_take_bounded_memory() {
    let taps = Arc::new(Taps::default());
    let tap = taps.open(Wanted { rows: 1000, ..wanted("", "") }).unwrap();
    let large = "x".repeat(1_000_000);
    for _ in 0..10 {
        pass(&taps.point("a"), &[&large]);
    }
    let seen = tap.take();
    assert_eq!((seen.rows.len(), seen.missed), (4, 6));
}

#[test]
fn each_profile_has_its_own_end() {
    let taps = Arc::new(Taps::default());
    let tap = taps.open(Wanted { rows: 9, ..wanted("", "") }).unwrap();
    let batch = batch(&["on", "dropped", "refused", "failed"], &pprof());
    let mut watch = taps.point("a").watch(&batch, Position::Between).unwrap();
    let changed = Labels::from_pairs([("pod", "changed")]).unwrap();
    watch.goes_on(0, &changed);
    watch.dropped(1, "no rule".into());
    watch.goes_on(3, &changed);
    let mut outcome = Outcome::accepted(4);
    let error = PushError::sender("too old");
    outcome.profiles[2].error = Some(error.clone());
    outcome.profiles[3].error = Some(error.clone());
    watch.end(&outcome);
    let rows = tap.take().rows;
    let ends: Vec<(bool, End)> = rows.iter().map(|row| (row.after.is_some(), row.end.clone())).collect();
    let failed = End::Failed(error);
    let expected = [
        (true, End::Passed { taken: 0 }),
        (false, End::Dropped("no rule".into())),
        (false, failed.clone()),
        (true, failed),
    ];
    assert_eq!(ends, expected);
}

#[test]
fn a_source_has_no_labels_before_and_hears_the_worst_of_its_receivers() {
    let taps = Arc::new(Taps::default());
    let tap = taps.open(wanted("", "")).unwrap();
    let batch = batch(&["x"], &pprof());
    let error = PushError::sender("no");
    let outcomes = [Outcome::accepted(1), Outcome::failed(1, &error)];
    taps.point("a").watch(&batch, Position::Source).unwrap().end_of_each(&outcomes);
    let seen = tap.take();
    assert_eq!((&seen.rows[0].before, &seen.rows[0].end), (&None, &End::Failed(error)));
    // Nobody receives it.
    taps.point("a").watch(&batch, Position::Source).unwrap().end_of_each(&[]);
    assert_eq!(tap.take().rows[0].end, End::Passed { taken: 0 });
}

#[test]
fn what_is_in_a_profile_is_told_where_it_can_be() {
    let taps = Arc::new(Taps::default());
    let tap = taps.open(Wanted { rows: 9, ..wanted("", "") }).unwrap();
    let ingest = |query: &str, bytes: &'static [u8]| {
        let bytes = Bytes::from_static(bytes);
        Body::Ingest(Arc::new(IngestBody { query: query.to_owned(), content_types: Vec::new(), bytes }))
    };
    let bodies = [
        pprof(),
        ingest("name=x&format=pprof", b"no pprof"),
        ingest("name=x&format=jfr", b""),
        ingest("name=x", b"a;b 1"),
        ingest("format=%3Cscript%3E", b""),
        Body::Pprof([].into()),
    ];
    for body in &bodies {
        let batch = batch(&["x"], body);
        taps.point("a").watch(&batch, Position::Between).unwrap().end(&Outcome::accepted(1));
    }
    let rows = tap.take().rows;
    let mut opening = Opening::default();
    let told: Vec<(&str, &[String])> = rows.iter().map(|row| (&*row.format, row.sample_types(&mut opening))).collect();
    let none: &[String] = &[];
    let cpu: &[String] = &["cpu".to_owned()];
    let expected =
        [("pprof", cpu), ("pprof", none), ("jfr", none), ("folded", none), ("<script>", none), ("pprof", none)];
    assert_eq!(told, expected);
}

#[test]
fn copies_are_given_back() {
    let taps = Arc::new(Taps::default());
    let tap = taps.open(wanted("", "")).unwrap();
    pass(&taps.point("a"), &["1", "2"]);
    assert!(taps.held.bytes() > 0);
    drop(tap.take());
    assert_eq!(taps.held.bytes(), 0);
}

#[test]
fn taps_are_bounded() {
    let taps = Arc::new(Taps::default());
    let open: Vec<OpenTap> = (0..MOST_TAPS).map(|_| taps.open(wanted("", "")).unwrap()).collect();
    assert_eq!(taps.open(wanted("", "")).unwrap_err(), TooManyTaps);
    drop(open);
    assert!(taps.open(wanted("", "")).is_ok());
}
