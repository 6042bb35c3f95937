//! `receive_http_ingest.json` and `receive_http_push.json`: each receiver of a case is a `pyroscope.write` with one
//! endpoint.

use std::collections::BTreeMap;

use bytes::Bytes;
use flamegate_tests::backend::{Answer, Attempt, Backend, Script, parse_name};
use flamegate_tests::blocks::{self, ReceiveHttp};
use flamegate_tests::conformance::{Case, cases};
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::http_client::{post, send};
use flamegate_tests::push_api::{LabelPair, PushRequest, RawProfileSeries, RawSample};
use flamegate_tests::push_client::{Protocol, PushClient};
use flamegate_tests::spine::{RECEIVE, Settings, Spine};
use http::{Method, StatusCode};
use prost::Message;
use serde_json::Value;

struct Receivers {
    flamegate: Flamegate,
    url: String,
    backends: Vec<Backend>,
}

/// A receiver for each of the case's `receiver_errors`; one without an error answers `ok`.
async fn receivers(case: &Case, ok: &Answer) -> Receivers {
    let errors = case.value["receiver_errors"].as_array().unwrap();
    let mut backends = Vec::new();
    let labels: Vec<String> = (0..errors.len()).map(|index| format!("to_{index}")).collect();
    let writes: Vec<&str> = labels.iter().map(String::as_str).collect();
    let mut configuration = ReceiveHttp { label: "default", writes: &writes, ..ReceiveHttp::default() }.block();
    for (label, error) in labels.iter().zip(errors) {
        let answer = match error {
            Value::Null => ok.clone(),
            Value::String(text) => Answer::text(StatusCode::INTERNAL_SERVER_ERROR, text),
            upstream => {
                let status = u16::try_from(upstream["upstream_status"].as_u64().unwrap()).unwrap();
                Answer::text(StatusCode::from_u16(status).unwrap(), "upstream")
            }
        };
        let backend = Backend::start_with(Script::always(answer)).await.unwrap();
        configuration += &blocks::write(label, &[backend.url()], "max_backoff_retries = 1");
        backends.push(backend);
    }
    let flamegate = Flamegate::start(&configuration, &[]).await.unwrap();
    let url = format!("http://{}", flamegate.listener(RECEIVE).await.unwrap());
    Receivers { flamegate, url, backends }
}

#[tokio::test]
async fn ingest() {
    for case in cases("receive_http_ingest.json").unwrap() {
        let Case { id, value } = &case;
        let receivers = receivers(&case, &Answer::status(StatusCode::OK)).await;
        let text = |key: &str| value[key].as_str().unwrap().to_owned();
        let query = text("query");
        let url = format!("{}{}?{query}", receivers.url, text("path"));
        // Bytes of every value: nothing on the way may take them for text.
        let length = usize::try_from(value["body_bytes"].as_u64().unwrap()).unwrap();
        let body: Bytes = (0..=u8::MAX).cycle().take(length).collect();
        let content_types = strings(&value["content_type"]);
        let headers: Vec<_> = content_types.iter().map(|value| ("content-type", value.as_str())).collect();
        let method = Method::try_from(text("method").as_str()).unwrap();
        let reply = send(method, &url, &headers, body.clone()).await.unwrap();

        let logs = || receivers.flamegate.logs().join("\n");
        assert_eq!(u64::from(reply.status.as_u16()), value["status"].as_u64().unwrap(), "{id}: {}", reply.text());
        let forwarded: Vec<Attempt> = receivers.backends.iter().flat_map(Backend::attempts).collect();
        assert_eq!(forwarded.len() as u64, value["forwarded"].as_u64().unwrap(), "{id}: {}", logs());
        for Attempt { request, .. } in forwarded {
            assert_eq!(request.body, body, "{id}");
            let arrived: Vec<_> =
                request.headers.get_all("content-type").iter().map(|value| value.to_str().unwrap()).collect();
            assert_eq!(arrived, content_types, "{id}");
            let mut sent: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            sent.retain(|(key, _)| key != "name");
            sent.sort();
            let (names, mut others): (Vec<_>, Vec<_>) = request.query.into_iter().partition(|(key, _)| key == "name");
            others.sort();
            assert_eq!(others, sent, "{id}");
            let mut expected: BTreeMap<String, String> = serde_json::from_value(value["labels"].clone()).unwrap();
            // Of write, which follows here: the service's name stands before the braces.
            let service = expected["service_name"].clone();
            expected.insert("__name__".to_owned(), service);
            assert_eq!(names.len(), 1, "{id}: {names:?}");
            assert_eq!(parse_name(&names[0].1).unwrap(), expected, "{id}");
        }
    }
}

#[tokio::test]
async fn push() {
    let taken = Answer::status(StatusCode::OK).with_header("content-type", "application/proto");
    for case in cases("receive_http_push.json").unwrap() {
        let Case { id, value } = &case;
        let receivers = receivers(&case, &taken).await;
        let request = push_request(&value["series"]);
        let (protocol, http2) = match value["protocol"].as_str().unwrap() {
            "connect+proto" => (Protocol::Connect, false),
            "connect+json" => (Protocol::ConnectJson, false),
            "grpc" => (Protocol::Grpc, true),
            "grpc-web" => (Protocol::GrpcWeb, false),
            other => panic!("{id}: no protocol is called {other}"),
        };
        let reply = PushClient { protocol, http2, gzip: false }.push(&receivers.url, &request).await.unwrap();

        match (&value["error"], reply.error) {
            (Value::Null, None) => {}
            (expected, Some(error)) if !expected.is_null() => {
                assert_eq!(error.code, expected["code"].as_str().unwrap(), "{id}: {error:?}");
                for part in strings(&expected["contains"]) {
                    assert!(error.message.contains(&part), "{id}: {error:?} lacks {part:?}");
                }
            }
            (expected, error) => panic!("{id}: expected {expected}, got {error:?}"),
        }
        for backend in &receivers.backends {
            // One request a series; their order among each other is free.
            let mut arrived: Vec<RawProfileSeries> = Vec::new();
            for attempt in backend.attempts() {
                let PushRequest { series } = PushRequest::decode(attempt.request.body).unwrap();
                arrived.extend(series);
            }
            arrived.sort_by_key(written);
            let labels: Vec<_> = arrived.iter().map(written).collect();
            assert_eq!(labels, strings(&value["expected_series_per_receiver"]), "{id}");
            let samples: Vec<_> = arrived.into_iter().map(|series| series.samples).collect();
            let sent: Vec<_> = request.series.iter().map(|series| series.samples.clone()).collect();
            assert_eq!(samples, sent, "{id}");
        }
    }
}

fn push_request(series: &Value) -> PushRequest {
    let mut request = PushRequest::default();
    for series in series.as_array().unwrap() {
        let labels: BTreeMap<String, String> = serde_json::from_value(series["labels"].clone()).unwrap();
        let samples = series["samples"].as_array().unwrap().iter().zip(1_u8..).map(|(sample, fill)| RawSample {
            raw_profile: vec![fill; usize::try_from(sample["bytes"].as_u64().unwrap()).unwrap()].into(),
            id: sample["id"].as_str().unwrap().to_owned(),
        });
        request.series.push(RawProfileSeries {
            labels: labels.into_iter().map(|(name, value)| LabelPair { name, value }).collect(),
            samples: samples.collect(),
            annotations: Vec::new(),
        });
    }
    request
}

/// Labels as Prometheus writes them.
fn written(series: &RawProfileSeries) -> String {
    let pairs: Vec<_> = series.labels.iter().map(|label| format!("{}={:?}", label.name, label.value)).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// A text, or an array of them.
fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        several => several.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect(),
    }
}

/// `ingest_name.json`, each name escaped as a form has it, and byte by byte.
#[tokio::test]
async fn names_however_they_are_escaped() {
    let script = Script::always(Answer::status(StatusCode::OK));
    let spine = Spine::start(Settings { script, ..Settings::default() }).await.unwrap();
    for case in cases("ingest_name.json").unwrap() {
        let name = case.value["name"].as_str().unwrap();
        let mut expected: BTreeMap<String, String> =
            serde_json::from_value(case.value["labels_forwarded"].clone()).unwrap();
        let form: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
        let bytes: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
        for query in [format!("name={form}"), format!("a=b&n%61me={bytes}&name=second")] {
            let before = spine.backend.attempts().len();
            let reply = post(&format!("{}/ingest?{query}", spine.url), &[], "main 1\n").await.unwrap();
            let attempts = spine.backend.attempts();
            if expected.is_empty() {
                assert_eq!((reply.status.as_u16(), attempts.len()), (400, before), "{query}");
                continue;
            }
            assert_eq!((reply.status.as_u16(), attempts.len()), (200, before + 1), "{query}");
            // Write puts the service before the braces.
            if let Some(service) = expected.get("service_name").cloned() {
                expected.insert("__name__".to_owned(), service);
            }
            let sent = attempts[before].request.query.iter().find(|(key, _)| key == "name").unwrap();
            assert_eq!(parse_name(&sent.1).as_ref(), Ok(&expected), "{query}");
        }
    }
}
