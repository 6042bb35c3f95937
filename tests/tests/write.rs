//! `pyroscope.write` as backends see it: the reference's cases, and what a request carries.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "all of this file is test code")]

use std::collections::BTreeMap;

use flamegate_tests::backend::{Answer, Api, Backend, Code, Options, Script};
use flamegate_tests::blocks::{self, ReceiveHttp};
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::http_client::post;
use flamegate_tests::push_api::PushRequest;
use flamegate_tests::push_client::PushClient;
use flamegate_tests::spine::{RECEIVE, Settings, Spine, WRITE, good_profile, good_push};
use http::{HeaderMap, StatusCode};

#[path = "write/conformance.rs"]
mod conformance;
#[path = "write/dialers.rs"]
mod dialers;
#[path = "write/names.rs"]
mod names;

/// A receiver, and a `pyroscope.write` of these lines and one endpoint of those.
async fn pipeline(url: &str, write: &str, endpoint: &str) -> (Flamegate, String) {
    let receive = ReceiveHttp { label: "default", writes: &["default"], ..ReceiveHttp::default() }.block();
    let block =
        format!("pyroscope.write \"default\" {{\n{write}\n  endpoint {{\n    url = \"{url}\"\n{endpoint}\n  }}\n}}\n");
    let flamegate = Flamegate::start(&(receive + &block), &[]).await.unwrap();
    let receiver = format!("http://{}", flamegate.listener(RECEIVE).await.unwrap());
    (flamegate, receiver)
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn headers_and_credentials() {
    /// Headers that every request has; `None` where there must be none.
    type Headers<'h> = &'h [(&'h str, Option<&'h str>)];
    let cases: [(&str, Headers<'_>); 7] = [
        ("", &[("authorization", None), ("x-scope-orgid", None)]),
        (r#"headers = { "X-Scope-OrgID" = "tenant-1", "X-Other" = "é" }"#, &[("x-scope-orgid", Some("tenant-1"))]),
        // What the call itself needs is not replaced.
        (r#"headers = { "Content-Type" = "evil", "User-Agent" = "mine" }"#, &[("user-agent", Some("mine"))]),
        (
            "basic_auth {\n username = \"user\"\n password = \"se:cret\"\n}",
            &[("authorization", Some("Basic dXNlcjpzZTpjcmV0"))],
        ),
        (r#"bearer_token = "token-1""#, &[("authorization", Some("Bearer token-1"))]),
        ("authorization {\n credentials = \"token-2\"\n}", &[("authorization", Some("Bearer token-2"))]),
        (
            "authorization {\n type = \"Token\"\n credentials = \"token-3\"\n}",
            &[("authorization", Some("Token token-3"))],
        ),
    ];
    for (endpoint, expected) in cases {
        let backend = Backend::start().await.unwrap();
        let lines = format!("remote_timeout = \"7s\"\n{endpoint}");
        let (_flamegate, url) = pipeline(&backend.url(), "", &lines).await;
        let pushed = PushClient::CONNECT.push(&url, &good_push()).await.unwrap();
        assert_eq!(pushed.error, None, "{endpoint}");
        let content_type = ("content-type", "text/plain");
        let credentials = ("authorization", "Bearer of-the-sender");
        let headers = [content_type, credentials, ("x-scope-orgid", "of-the-sender")];
        let reply = post(&format!("{url}/ingest?name=shop"), &headers, "main 1\n").await.unwrap();
        assert_eq!(reply.status, 200, "{endpoint}");
        let received = backend.received();
        for series in &received {
            for (name, value) in expected {
                assert_eq!(text(&series.headers, name), *value, "{endpoint}, {:?}: {name}", series.api);
            }
            let agent = text(&series.headers, "user-agent").unwrap();
            assert!(agent.starts_with("Flamegate/") || agent == "mine", "{agent}");
        }
        let (push, ingest) = (&received[0].headers, &received[1].headers);
        assert_eq!(text(push, "content-type"), Some("application/proto"));
        assert_eq!(text(push, "connect-protocol-version"), Some("1"));
        assert_eq!(text(push, "connect-timeout-ms"), Some("7000"));
        let types: Vec<_> = ingest.get_all("content-type").iter().collect();
        assert_eq!(types, ["text/plain"]);
    }
}

#[tokio::test]
async fn the_base_path_stands_before_both_apis() {
    for (base_path, end) in [("", ""), ("", "/"), ("/base", ""), ("/base", "/"), ("/a/b", "/")] {
        let options = Options { base_path: base_path.to_owned(), ..Options::default() };
        let backend = Backend::start_as(options).await.unwrap();
        let (_flamegate, url) = pipeline(&format!("{}{end}", backend.url()), "", "").await;
        assert_eq!(PushClient::CONNECT.push(&url, &good_push()).await.unwrap().error, None);
        let reply = post(&format!("{url}/ingest?name=shop"), &[], "main 1\n").await.unwrap();
        assert_eq!(reply.status, 200);
        let paths: Vec<_> = backend.received().into_iter().map(|series| series.path).collect();
        let expected = ["/push.v1.PusherService/Push", "/ingest"].map(|path| format!("{base_path}{path}"));
        assert_eq!(paths, expected);
    }
}

#[tokio::test]
async fn external_labels_and_reserved_ones() {
    let external = r#"external_labels = { "region" = "eu", "cluster" = "c1", "secret" = "", "__tenant__" = "t" }"#;
    let backend = Backend::start().await.unwrap();
    let (_flamegate, url) = pipeline(&backend.url(), external, "").await;
    let labels = [
        ("__name__", "process_cpu"),
        ("__delta__", "false"),
        ("__session_id__", "1"),
        ("service_name", "shop"),
        ("region", "us"),
        ("secret", "x"),
    ];
    let push = PushRequest::one(&labels, good_profile());
    assert_eq!(PushClient::CONNECT.push(&url, &push).await.unwrap().error, None);
    let name = "shop%7B__session_id__=1,region=us,secret=x%7D";
    let reply = post(&format!("{url}/ingest?until=2&name={name}&from=1"), &[], "main 1\n").await.unwrap();
    assert_eq!(reply.status, 200);

    let received = backend.received();
    let owned = |labels: &[(&str, &str)]| -> BTreeMap<String, String> {
        labels.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let everywhere = [("service_name", "shop"), ("region", "eu"), ("cluster", "c1"), ("__tenant__", "t")];
    let pushed = [("__name__", "process_cpu"), ("__delta__", "false"), ("app_name", "process_cpu")];
    assert_eq!(received[0].api, Api::Push);
    assert_eq!(received[0].labels, owned(&[&everywhere[..], &pushed].concat()));
    let ingested = [("__name__", "shop"), ("__session_id__", "1")];
    assert_eq!(received[1].api, Api::Ingest);
    assert_eq!(received[1].labels, owned(&[&everywhere[..], &ingested].concat()));
    let keys: Vec<_> = received[1].query.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["from", "name", "until"], "sorted, as the reference sends them");
}

#[tokio::test]
async fn labels_that_no_backend_takes_are_refused_here() {
    let spine = Spine::start(Settings::default()).await.unwrap();
    // The receiver gives each series a service_name or app_name, so that only characters are left to refuse.
    for name in ["a-b", "ä", "a b"] {
        let push = PushRequest::one(&[("__name__", "process_cpu"), (name, "x")], good_profile());
        let reply = PushClient::CONNECT.push(&spine.url, &push).await.unwrap();
        let error = reply.error.unwrap();
        assert_eq!((reply.status.as_u16(), error.code.as_str()), (400, "invalid_argument"), "{name}");
        assert!(error.message.contains("invalid labels in profile") && error.message.contains(name), "{error:?}");
    }
    assert_eq!(spine.backend.attempts().len(), 0);
    spine.serves().await.unwrap();
}

#[tokio::test]
async fn what_was_sent_and_given_up_is_counted() {
    let endpoint = "min_backoff_period = \"1ms\"\nmax_backoff_retries = 3";
    let unavailable = || Answer::connect_error(Code::Unavailable, "away");
    let backend = Backend::start_with(Script::first([unavailable()])).await.unwrap();
    let dead = Backend::start_with(Script::always(Answer::text(StatusCode::BAD_REQUEST, "no"))).await.unwrap();
    let receive = ReceiveHttp { label: "default", writes: &["default"], ..ReceiveHttp::default() }.block();
    let configuration = receive + &blocks::write("default", &[backend.url(), dead.url()], endpoint);
    let flamegate = Flamegate::start(&configuration, &[]).await.unwrap();
    let url = format!("http://{}", flamegate.listener(RECEIVE).await.unwrap());

    let profile = good_profile();
    let mut push = PushRequest::one(&flamegate_tests::spine::GOOD_LABELS, profile.clone());
    let sample = push.series[0].samples[0].clone();
    push.series[0].samples.push(sample);
    assert!(PushClient::CONNECT.push(&url, &push).await.unwrap().error.is_some(), "one endpoint refuses it");
    let folded = "main 1\n";
    assert_eq!(post(&format!("{url}/ingest?name=shop"), &[], folded).await.unwrap().status, 400);

    let metrics = flamegate.metrics().await.unwrap();
    let bytes = (2 * profile.len() + folded.len()) as f64;
    // A plain 400 is final on both APIs.
    let expected = [("sent_bytes", bytes, 0.0), ("dropped_bytes", 0.0, bytes), ("sent_profiles", 3.0, 0.0)];
    let more = [("dropped_profiles", 0.0, 3.0), ("retries", 1.0, 0.0)];
    for (name, good, bad) in expected.into_iter().chain(more) {
        for (endpoint, value) in [(backend.url(), good), (dead.url(), bad)] {
            let labels = [("component_id", WRITE), ("component_path", "/"), ("endpoint", endpoint.as_str())];
            let name = format!("pyroscope_write_{name}_total");
            assert_eq!(metrics.sum(&name, &labels), Some(value), "{name} of {endpoint}");
        }
    }
    let latencies = [
        ("push_total", "-", 1.0),
        ("ingest_total", "-", 1.0),
        ("push_endpoint", &*backend.url(), 1.0),
        ("push_downstream", &*backend.url(), 2.0),
        ("ingest_downstream", &*backend.url(), 1.0),
        ("push_downstream", &*dead.url(), 1.0),
        ("ingest_downstream", &*dead.url(), 1.0),
    ]
    .map(|(kind, endpoint, count)| (kind, endpoint.to_owned(), count));
    for (kind, endpoint, count) in latencies {
        let labels = [("component_id", WRITE), ("type", kind), ("endpoint", &endpoint)];
        assert_eq!(metrics.sum("pyroscope_write_latency_count", &labels), Some(count), "{kind} of {endpoint}");
    }
}
