//! A filter of profiles in the real binary: the names that it hides reach no backend, whatever they came in.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "all of this file is test code")]

use std::collections::BTreeSet;
use std::path::Path;

use bytes::Bytes;
use flamegate_tests::backend::Backend;
use flamegate_tests::blocks;
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::http_client::post;
use flamegate_tests::pprof::ProfileBuilder;
use flamegate_tests::push_api::PushRequest;
use flamegate_tests::push_client::PushClient;
use flamegate_tests::spine::{GOOD_LABELS, RECEIVE};

const FILTER: &str = "wasm.filter.redact";

async fn start(backend: &Backend, on_unsupported: &str) -> (Flamegate, String) {
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
    config         = "com.acme."
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
