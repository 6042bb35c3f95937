//! A filter of profiles in the real binary: the names that it hides reach no backend, whatever they came in.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "all of this file is test code")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use flamegate_tests::backend::{Answer, Api, Backend, Received, Script};
use flamegate_tests::blocks;
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::gzip;
use flamegate_tests::http_client::post;
use flamegate_tests::pprof::ProfileBuilder;
use flamegate_tests::push_api::PushRequest;
use flamegate_tests::push_client::PushClient;
use flamegate_tests::sdk::Sdk;
use flamegate_tests::spine::{GOOD_LABELS, RECEIVE};
use http::StatusCode;

const FILTER: &str = "wasm.filter.redact";

async fn start(backend: &Backend, on_unsupported: &str) -> (Flamegate, String) {
    start_with("com.acme.", backend, on_unsupported).await
}

/// Hides the names that begin like this.
async fn start_with(prefix: &str, backend: &Backend, on_unsupported: &str) -> (Flamegate, String) {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-examples/redact.wasm").canonicalize().unwrap();
    let configuration = format!(
        r#"
pyroscope.receive_http "default" {{
    http {{
        listen_address = "127.0.0.1"
        listen_port    = 0
    }}
    forward_to = [{FILTER}.receiver]
}}
wasm.filter "redact" {{
    module         = {module:?}
    config         = "{prefix}"
    timeout        = "5s"
    on_unsupported = "{on_unsupported}"
    forward_to     = [pyroscope.write.default.receiver]
}}
"#
    ) + &blocks::write("default", &[backend.url()], "");
    let flamegate = Flamegate::start(&configuration, &[]).await.unwrap();
    let url = format!("http://{}", flamegate.listener(RECEIVE).await.unwrap());
    (flamegate, url)
}

fn profile() -> ProfileBuilder {
    ProfileBuilder::cpu().sample(&["com.acme.pay", "com.acme.shop", "main"], &[1], &[]).sample(&["main"], &[2], &[])
}

#[tokio::test]
async fn names_are_hidden_whatever_they_come_in() {
    let backend = Backend::start().await.unwrap();
    let (flamegate, url) = start(&backend, "fail").await;
    let (plain, packed) = (profile().encode(), profile().gzip().unwrap());
    for bytes in [&plain, &packed] {
        let reply = PushClient::CONNECT.push(&url, &PushRequest::one(&GOOD_LABELS, bytes.clone())).await.unwrap();
        assert!(reply.error.is_none(), "{:?}", reply.error);
        check_arrived(&backend, bytes);
        let ingest = format!("{url}/ingest?name=shop&format=pprof");
        let reply = post(&ingest, &[("content-type", "application/octet-stream")], bytes.clone()).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        check_arrived(&backend, bytes);
    }
    let metrics = flamegate.metrics().await.unwrap();
    assert_eq!(metrics.sum("flamegate_filter_calls_total", &[("component_id", FILTER)]), Some(4.0));

    let lines = format!("{url}/ingest?name=shop&format=groups");
    let reply = post(&lines, &[], Bytes::from_static(b"main;com.acme.pay 1")).await.unwrap();
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("cannot look into the profile"), "{}", reply.text());
    assert_eq!(backend.received().len(), 4);
}

fn check_arrived(backend: &Backend, sent: &Bytes) {
    let received = backend.received();
    let profile = &received.last().unwrap().profiles[0];
    assert_eq!(profile.functions, BTreeSet::from(["main", "[redacted]"].map(str::to_owned)));
    assert_eq!(profile.raw.starts_with(&[0x1f, 0x8b]), sent.starts_with(&[0x1f, 0x8b]));
}

/// Of a real JVM: the names that the SDKs' backends would know are hidden in each kind of profile.
#[tokio::test]
async fn names_in_recordings_of_java_are_hidden() {
    let backend = Backend::start().await.unwrap();
    let (flamegate, url) = start_with("java/", &backend, "fail").await;
    let packed = Bytes::from_static(include_bytes!("../../profiler-core/tests/recordings/async-profiler-4.6.jfr.gz"));
    let plain = Bytes::from(gzip::decompress_if_gzip(&packed, 1 << 24).unwrap().into_owned());
    let form = [b"--x\r\ncontent-disposition: form-data; name=\"jfr\"\r\n\r\n", &*packed, b"\r\n--x--\r\n"].concat();
    for (content_type, body) in [
        ("application/octet-stream", packed.clone()),
        ("application/octet-stream", plain.clone()),
        ("multipart/form-data; boundary=x", form.into()),
    ] {
        let ingest = format!("{url}/ingest?name=shop%7Bregion%3Deu%7D&format=jfr&spyName=javaspy");
        let before = backend.received().len();
        let reply = post(&ingest, &[("content-type", content_type)], body).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        let received = backend.received().split_off(before);
        let mut types = Vec::new();
        for series in &received {
            let label = |name: &str| series.labels.get(name).map(String::as_str);
            assert_eq!((series.api, label("region"), label("service_name")), (Api::Push, Some("eu"), Some("shop")));
            assert_eq!((label("jfr_event"), label("pyroscope_spy")), (Some("cpu"), Some("javaspy")));
            for profile in &series.profiles {
                assert!(
                    profile.has_function("[redacted]") && !profile.has_function("java/"),
                    "{:?}",
                    profile.functions
                );
                types.push((label("__name__").unwrap().to_owned(), profile.sample_types.concat()));
            }
        }
        types.sort();
        let expected = [
            ("block", "contentions:countdelay:nanoseconds"),
            ("memory", "alloc_in_new_tlab_objects:countalloc_in_new_tlab_bytes:bytes"),
            ("memory", "live:count"),
            ("memory", "malloc_objects:countmalloc_bytes:bytes"),
            ("mutex", "contentions:countdelay:nanoseconds"),
            ("process_cpu", "cpu:nanoseconds"),
            ("wall", "wall:nanoseconds"),
        ];
        assert_eq!(types, expected.map(|(name, types)| (name.to_owned(), types.to_owned())));
    }
    // Where nothing is hidden it goes on as it came.
    let (_running, untouched) = start_with("com.acme.", &backend, "fail").await;
    let reply = post(&format!("{untouched}/ingest?name=shop&format=jfr"), &[], plain.clone()).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    let last = backend.received().pop().unwrap();
    assert_eq!((last.api, &last.body), (Api::Ingest, &plain));

    let before = backend.received().len();
    let cut = packed.slice(..packed.len() / 2);
    let reply = post(&format!("{url}/ingest?name=shop&format=jfr"), &[], cut).await.unwrap();
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("JFR recording that cannot be read"), "{}", reply.text());
    assert_eq!(backend.received().len(), before);
    drop(flamegate);
}

#[tokio::test]
async fn what_the_java_sdk_sends_is_redacted() {
    let backend = Backend::start().await.unwrap();
    let (_flamegate, url) = start_with("Busy.", &backend, "fail").await;
    Sdk::Java.run(&url, "busy.app").await.unwrap();
    let is_cpu = |series: &Received| series.labels.get("__name__").is_some_and(|name| name == "process_cpu");
    backend.wait_for(is_cpu, Duration::from_secs(30)).await.unwrap();
    for series in backend.received() {
        assert_eq!((series.api, series.service_name()), (Api::Push, "busy.app"));
        assert_eq!(series.labels.get("region").map(String::as_str), Some("eu-west"));
        assert!(!series.has_function("Busy."), "{series}");
        assert!(!is_cpu(&series) || series.has_function("[redacted]"), "{series}");
    }
}

#[tokio::test]
async fn a_hostile_recording_goes_on_where_that_is_wanted() {
    let backend = Backend::start_with(Script::always(Answer::status(StatusCode::OK))).await.unwrap();
    let (flamegate, url) = start_with("java/", &backend, "pass").await;
    // Unpacked it is larger than any recording that is opened.
    let bomb = gzip::compress(&[b"FLR\0".to_vec(), vec![0; 65 << 20]].concat()).unwrap();
    let headless = Bytes::from_static(b"FLR\0\0\x02\0\x01 and nothing behind it");
    for (count, body) in [(1.0, Bytes::from(bomb)), (2.0, headless)] {
        let reply = post(&format!("{url}/ingest?name=shop&format=jfr"), &[], body.clone()).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(backend.attempts().last().unwrap().request.body, body);
        let metrics = flamegate.metrics().await.unwrap();
        let unsupported = [("component_id", FILTER), ("kind", "unsupported")];
        assert_eq!(metrics.sum("flamegate_filter_errors_total", &unsupported), Some(count));
    }
}

#[tokio::test]
async fn what_it_cannot_look_into_goes_on_where_that_is_wanted() {
    let backend = Backend::start().await.unwrap();
    let (flamegate, url) = start(&backend, "pass").await;
    let lines = format!("{url}/ingest?name=shop&format=groups");
    let reply = post(&lines, &[], Bytes::from_static(b"main;com.acme.pay 1")).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(backend.received().len(), 1);
    let metrics = flamegate.metrics().await.unwrap();
    let unsupported = [("component_id", FILTER), ("kind", "unsupported")];
    assert_eq!(metrics.sum("flamegate_filter_errors_total", &unsupported), Some(1.0));
}
