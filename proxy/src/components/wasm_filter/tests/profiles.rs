//! The component with a filter of profiles: that of `guest-examples/probe`.

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use profiler_core::pprof::Profile as Pprof;
use profiler_core::pprof::{Function, Line, Location, Sample, ValueType};
use prost::Message;

use super::*;
use crate::pipeline::{IngestBody, RawSample};

const PROBE: &[u8] = include_bytes!("../../../../../guest-examples/probe.wasm");
const SERIES: &[(&str, &str)] = &[("service_name", "shop")];

/// A filter with these orders.
pub(super) fn start(bench: &Bench, orders: &[&str], rest: &str) -> WasmFilter {
    bench.replace_module(PROBE);
    let config = orders.join("\\n");
    bench.start(&format!("config = \"{config}\"\ncapabilities = [\"clock\"]\ntimeout = \"1s\"\n{rest}"), None)
}

/// A function's name, once for each sample.
fn pprof(names: &[&str]) -> Bytes {
    let places = 0..names.len() as u64;
    let profile = Pprof {
        sample_type: vec![ValueType::default()],
        sample: places.clone().map(|id| Sample { location_id: vec![id + 1], value: vec![1], label: vec![] }).collect(),
        location: (places.clone())
            .map(|id| Location {
                id: id + 1,
                line: vec![Line { function_id: id + 1, line: 1, column: 0 }],
                ..Location::default()
            })
            .collect(),
        function: places.map(|id| Function { id: id + 1, name: id as i64 + 1, ..Function::default() }).collect(),
        string_table: [""].iter().chain(names).map(|text| (*text).to_owned()).collect(),
        ..Pprof::default()
    };
    profile.encode_to_vec().into()
}

fn pushed(profiles: &[Bytes]) -> Body {
    let sample = |profile: &Bytes| RawSample { id: Bytes::from_static(b"id"), profile: profile.clone() };
    Body::Pprof(profiles.iter().map(sample).collect())
}

pub(super) fn ingested(query: &str, content_type: &'static str, bytes: impl Into<Bytes>) -> Body {
    let content_types = vec![HeaderValue::from_static(content_type)];
    Body::Ingest(Arc::new(IngestBody { query: query.to_owned(), content_types, bytes: bytes.into() }))
}

pub(super) fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let part = |(name, bytes): &(&str, &[u8])| {
        let head = format!("--x\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n");
        [head.as_bytes(), bytes, b"\r\n"].concat()
    };
    [parts.iter().flat_map(part).collect::<Vec<_>>(), b"--x--\r\n".to_vec()].concat()
}

/// The functions of each profile that went on, wherever it stood.
pub(super) fn functions(profile: &Profile) -> Vec<Vec<String>> {
    let names = |bytes: &Bytes| {
        let profile = Pprof::from_bytes(bytes, 1 << 20).unwrap();
        profile.function_names().map(str::to_owned).collect::<Vec<_>>()
    };
    match &profile.body {
        Body::Pprof(samples) => samples.iter().map(|sample| names(&sample.profile)).collect(),
        Body::Ingest(body) => vec![names(&body.bytes)],
    }
}

#[tokio::test]
async fn profiles_are_changed_wherever_they_stand() {
    let bench = Bench::new();
    let filter = start(&bench, &["rename 0 hidden"], "on_unsupported = \"fail\"");
    let (error, went_on) = bench.push_body(&filter, SERIES, pushed(&[pprof(&["a", "b"]), pprof(&["c"])])).await;
    assert_eq!(error, None);
    assert_eq!(functions(&went_on.unwrap()), [vec!["hidden", "b"], vec!["hidden"]]);

    let raw = ingested("name=shop&format=pprof", "application/octet-stream", pprof(&["a"]));
    let (error, went_on) = bench.push_body(&filter, SERIES, raw).await;
    assert_eq!(error, None);
    assert_eq!(functions(&went_on.unwrap()), [["hidden"]]);

    let body = form(&[("profile", &pprof(&["a"])), ("sample_type_config", b"{}"), ("prev_profile", &pprof(&["b"]))]);
    let (error, went_on) =
        bench.push_body(&filter, SERIES, ingested("name=shop", "multipart/form-data; boundary=x", body)).await;
    assert_eq!(error, None);
    let Body::Ingest(body) = went_on.unwrap().body else { panic!("another body") };
    let expected = form(&[("profile", &renamed("a")), ("sample_type_config", b"{}"), ("prev_profile", &renamed("b"))]);
    assert_eq!(body.bytes, expected);
}

/// What the editing of such a profile writes.
fn renamed(name: &str) -> Bytes {
    use profiler_core::pprof::edit::{Edited, Editing};
    let mut editing = Editing::open(&pprof(&[name]), 1 << 20).unwrap();
    editing.changes().rename_function(0, "hidden", None).unwrap();
    let Edited::Changed(bytes) = editing.finish().unwrap() else { panic!("unchanged") };
    bytes
}

#[tokio::test]
async fn what_is_left_of_a_series_goes_on() {
    let bench = Bench::new();
    let two = || pushed(&[pprof(&["a"]), pprof(&["a", "b"])]);
    let filter = start(&bench, &["drop-samples 0"], "");
    let (error, went_on) = bench.push_body(&filter, SERIES, two()).await;
    assert_eq!((error, functions(&went_on.unwrap())), (None, vec![vec!["b".to_owned()]]));
    let (error, went_on) = bench.push_body(&filter, SERIES, pushed(&[pprof(&["a"])])).await;
    assert!(error.is_none() && went_on.is_none());

    // What a server takes off a profile may be nothing.
    let only_old = form(&[("profile", &pprof(&["a", "b"])), ("prev_profile", &pprof(&["a"]))]);
    let (error, went_on) =
        bench.push_body(&filter, SERIES, ingested("name=shop", "multipart/form-data; boundary=x", only_old)).await;
    assert_eq!(error, None);
    let Body::Ingest(body) = went_on.unwrap().body else { panic!("another body") };
    assert!(!body.bytes.windows(4).any(|bytes| bytes == b"prev"));

    let filter = start(&bench, &["drop noise"], "");
    let (error, went_on) = bench.push_body(&filter, SERIES, two()).await;
    assert!(error.is_none() && went_on.is_none());
    let metrics = bench.services.metrics.text().unwrap();
    for reason in ["noise", "no samples"] {
        assert!(metrics.contains(&format!("reason=\"{reason}\"}} 1")), "{metrics}");
    }
}

#[tokio::test]
async fn profiles_of_one_series_stay_together() {
    let bench = Bench::new();
    let filter = start(&bench, &["range 0 9"], "");
    let (error, went_on) = bench.push_body(&filter, SERIES, pushed(&[pprof(&["a"]), pprof(&["b"])])).await;
    assert_eq!(error, None);
    assert_eq!(went_on.unwrap().labels.value("range"), Some("1"));
    let (error, went_on) = bench.push_body(&filter, SERIES, pushed(&[pprof(&["a"]), pprof(&["b", "c"])])).await;
    assert!(error.unwrap().to_string().contains("different labels"));
    assert!(went_on.is_none());
}

#[tokio::test]
async fn what_cannot_be_looked_into_passes_or_is_refused() {
    let bench = Bench::new();
    let bodies = || {
        [
            ingested("name=shop&format=jfr", "application/octet-stream", "FLR"),
            ingested("name=shop&format=jfr", "multipart/form-data; boundary=x", form(&[("labels", b"")])),
            ingested("name=shop&format=lines", "text/plain", "a;b 1"),
            ingested("name=shop", "multipart/form-data; boundary=y", form(&[("profile", b"")])),
            ingested("name=shop&format=pprof", "application/octet-stream", "no pprof"),
            pushed(&[Bytes::from_static(b"no pprof")]),
        ]
    };
    let filter = start(&bench, &["read"], "");
    for body in bodies() {
        let (error, went_on) = bench.push_body(&filter, SERIES, body).await;
        assert_eq!(error, None);
        assert_eq!(went_on.unwrap().labels.to_string(), r#"{service_name="shop"}"#);
    }
    let metrics = bench.services.metrics.text().unwrap();
    for (kind, count) in [("unsupported", 4), ("unreadable", 2)] {
        assert!(metrics.contains(&format!("kind=\"{kind}\"}} {count}")), "{metrics}");
    }

    let filter = start(&bench, &["read"], "on_unsupported = \"fail\"\non_error = \"drop\"");
    for body in bodies() {
        let (error, went_on) = bench.push_body(&filter, SERIES, body).await;
        let error = error.unwrap();
        assert_eq!(error.status, StatusCode::BAD_REQUEST);
        assert!(error.to_string().contains("cannot look into the profile"), "{error}");
        assert!(went_on.is_none());
    }
}

#[tokio::test]
async fn a_damaged_profile_of_a_series_does_not_spare_the_others() {
    let bench = Bench::new();
    let damaged = || Bytes::from_static(b"no pprof");
    let filter = start(&bench, &["rename 0 hidden"], "");
    for (profiles, damaged_at) in [([pprof(&["a"]), damaged()], 1), ([damaged(), pprof(&["a"])], 0)] {
        let (error, went_on) = bench.push_body(&filter, SERIES, pushed(&profiles)).await;
        assert_eq!(error, None);
        let Body::Pprof(went_on) = went_on.unwrap().body else { panic!("another body") };
        assert_eq!(went_on[damaged_at].profile, damaged());
        assert_eq!(went_on[1 - damaged_at].profile, renamed("a"));
    }
    let filter = start(&bench, &["rename 0 hidden"], "on_unsupported = \"fail\"");
    let (error, went_on) = bench.push_body(&filter, SERIES, pushed(&[pprof(&["a"]), damaged()])).await;
    assert_eq!(error.unwrap().status, StatusCode::BAD_REQUEST);
    assert!(went_on.is_none());
}

#[tokio::test]
async fn a_filter_of_profiles_takes_the_place_of_one_of_labels() {
    let bench = Bench::new();
    let filter = bench.start("config = \"unchanged\"\ncapabilities = [\"clock\"]", None);
    let (_, went_on) = bench.push_body(&filter, SERIES, pushed(&[pprof(&["a"])])).await;
    assert_eq!(functions(&went_on.unwrap()), [["a"]]);
    let other = start(&bench, &["rename 0 hidden"], "");
    let (_, went_on) = bench.push_body(&other, SERIES, pushed(&[pprof(&["a"])])).await;
    assert_eq!(functions(&went_on.unwrap()), [["hidden"]]);
    filter.stage.filter.swap(other.stage.filter.generation());
    let (_, went_on) = bench.push_body(&filter, SERIES, pushed(&[pprof(&["a"])])).await;
    assert_eq!(functions(&went_on.unwrap()), [["hidden"]]);
}
