//! `sample_rule`, and recordings of Java with the labels that come beside them.

use bytes::Bytes;
use http::HeaderValue;

use super::samples::{push_bodies, shown, with_sample_rules};
use super::*;
use crate::pipeline::IngestBody;
use crate::telemetry::metrics::SkippedKind;
use crate::wire::jfr_labels::LabelsSnapshot;
use crate::wire::multipart::Form;

/// Samples of the CPU with contexts 5 and 6, and without; a monitor without.
const CONTEXTS: &[u8] = include_bytes!("../../../../../profiler-core/tests/recordings/contexts.jfr");
/// What the SDK sends beside it: context 5 is of the user alice, and the text 3 names a span.
const LABELS: &[u8] = b"\x0a\x0a\x08\x05\x12\x06\x0a\x04\x08\x01\x10\x02\
    \x12\x08\x08\x01\x12\x04user\x12\x09\x08\x02\x12\x05alice\x12\x07\x08\x03\x12\x03pay";
const FORM: &str = "multipart/form-data; boundary=x";
/// Nanoseconds that a sample of the CPU stands for, where nothing is said of it.
const PERIOD: &str = "10000000";

fn body(recording: &[u8], labels: &[u8]) -> Body {
    let part = |name: &str, bytes: &[u8]| {
        let head = format!("--x\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n");
        [head.as_bytes(), bytes, b"\r\n"].concat()
    };
    let bytes = [part("jfr", recording), part("labels", labels), b"--x--\r\n".to_vec()].concat();
    ingested(FORM, bytes)
}

fn ingested(content_type: &'static str, bytes: impl Into<Bytes>) -> Body {
    let content_types = vec![HeaderValue::from_static(content_type)];
    Body::Ingest(Arc::new(IngestBody { query: "name=shop&format=jfr".into(), content_types, bytes: bytes.into() }))
}

/// What the rules leave: of each series its name and its samples.
async fn relabelled(bench: &Bench, rules: Json, body: Body) -> Vec<(String, Vec<String>)> {
    let relabel = bench.build(&with_sample_rules(&rules), None);
    push_bodies(&relabel, body, Share::unbounded()).await.unwrap();
    let sent = std::mem::take(&mut *bench.sink.profiles());
    let samples = |profile: Profile| {
        let name = profile.labels.value("__name__").unwrap_or("a recording").to_owned();
        let Body::Pprof(messages) = &profile.body else { return (name, Vec::new()) };
        (name, messages.iter().flat_map(|message| shown(&message.profile)).collect())
    };
    sent.into_iter().map(samples).collect()
}

fn series(name: &str, samples: &[&str]) -> (String, Vec<String>) {
    let mut samples: Vec<String> = samples.iter().map(|sample| sample.replace("PERIOD", PERIOD)).collect();
    samples.sort();
    (name.to_owned(), samples)
}

const RUN: &str = "a/B.run;[truncated]";

#[tokio::test]
async fn samples_of_a_recording_are_dropped() {
    let bench = Bench::new();
    let drop = serde_json::json!([{ "source_labels": ["user"], "regex": "alice", "action": "drop" }]);
    let span = format!("{RUN} PERIOD profile_id=0000000000000abc span_name=pay");
    let left = [series("process_cpu", &[&format!("{RUN} PERIOD"), &span]), series("mutex", &[&format!("{RUN} 1")])];
    assert_eq!(relabelled(&bench, drop, body(CONTEXTS, LABELS)).await, left);

    // Those without any label go, too.
    let keep = serde_json::json!([{ "source_labels": ["user"], "regex": "alice", "action": "keep" }]);
    let left = [series("process_cpu", &["a/B.run;a/B.<init> PERIOD user=alice"])];
    assert_eq!(relabelled(&bench, keep, body(CONTEXTS, LABELS)).await, left);

    let all = serde_json::json!([{ "action": "drop" }]);
    assert!(relabelled(&bench, all.clone(), body(CONTEXTS, LABELS)).await.is_empty());
    assert!(relabelled(&bench, all, ingested("", CONTEXTS)).await.is_empty());
}

#[tokio::test]
async fn samples_of_a_recording_get_labels() {
    let bench = Bench::new();
    let label = serde_json::json!([{ "target_label": "env", "replacement": "prod" }]);
    let span = format!("{RUN} PERIOD env=prod profile_id=0000000000000abc");
    let left = [
        series("process_cpu", &["a/B.run;a/B.<init> PERIOD env=prod", &format!("{RUN} PERIOD env=prod"), &span]),
        series("mutex", &[&format!("{RUN} 1 env=prod")]),
    ];
    assert_eq!(relabelled(&bench, label, ingested("", CONTEXTS)).await, left);
}

#[tokio::test]
async fn where_labels_alone_change_the_recording_goes_on() {
    let bench = Bench::new();
    let relabel =
        bench.build(&with_sample_rules(&serde_json::json!([{ "regex": "user", "action": "labeldrop" }])), None);
    push_bodies(&relabel, body(CONTEXTS, LABELS), Share::unbounded()).await.unwrap();
    let sent = bench.sink.profiles().pop().unwrap();
    let Body::Ingest(sent) = sent.body else { panic!("another body") };
    let mut form = Form::read(FORM.as_bytes(), &sent.bytes).await.unwrap();
    let parts: Vec<Bytes> = form.parts_mut().map(|part| part.bytes.clone()).collect();
    assert_eq!(parts[0], CONTEXTS);
    assert_eq!(LabelsSnapshot::read(&parts[1]).unwrap().contexts().collect::<Vec<_>>(), [(5, vec![])]);
}

#[tokio::test]
async fn a_recording_that_cannot_be_read_goes_on_and_is_counted() {
    let bench = Bench::new();
    let drop = serde_json::json!([{ "source_labels": ["user"], "regex": "alice", "action": "drop" }]);
    let relabel = bench.build(&with_sample_rules(&drop), None);
    let damaged = body(&CONTEXTS[..CONTEXTS.len() - 1], LABELS);
    push_bodies(&relabel, damaged.clone(), Share::unbounded()).await.unwrap();
    assert!(bench.sink.profiles().pop().unwrap().body.is(&damaged));
    let metrics = &relabel.stage.samples.as_ref().unwrap().metrics;
    assert_eq!(metrics.skipped(SkippedKind::Context).count(), 1);
}
