//! The component with a filter of profiles, and recordings of Java.

use bytes::Bytes;
use http::StatusCode;

use super::profiles::{form, functions, ingested, start};
use super::*;
use crate::pipeline::{Budget, Retry};

/// Of a JVM: seven kinds of profiles, three of them of memory.
const RECORDING: &[u8] = include_bytes!("../../../../../profiler-core/tests/recordings/async-profiler-4.6.jfr.gz");
/// Samples of the CPU with contexts 5 and 6, and without; a monitor without.
const CONTEXTS: &[u8] = include_bytes!("../../../../../profiler-core/tests/recordings/contexts.jfr");
/// What the SDK sends beside it: context 5 is of the user alice, and the text 3 names a span.
const LABELS: &[u8] = b"\x0a\x0a\x08\x05\x12\x06\x0a\x04\x08\x01\x10\x02\
    \x12\x08\x08\x01\x12\x04user\x12\x09\x08\x02\x12\x05alice\x12\x07\x08\x03\x12\x03pay";
const SERIES: &[(&str, &str)] =
    &[("__name__", "shop"), ("__session_id__", "7"), ("region", "eu"), ("service_name", "shop")];
const QUERY: &str = "name=shop&format=jfr&spyName=javaspy";
const FORM: &str = "multipart/form-data; boundary=x";

fn bare(recording: impl Into<Bytes>) -> Body {
    ingested(QUERY, "application/octet-stream", recording)
}

fn in_form(recording: &[u8], labels: &[u8]) -> Body {
    ingested(QUERY, FORM, form(&[("jfr", recording), ("labels", labels)]))
}

impl Bench {
    /// What the sender hears.
    async fn deliver(&self, filter: &WasmFilter, body: Body, memory: Share) -> Option<PushError> {
        let origin = Origin {
            arrived: std::time::SystemTime::now(),
            trace: Trace::default(),
            forwarded: http::HeaderMap::new(),
            memory,
        };
        let labels = Labels::from_pairs(SERIES.iter().copied()).unwrap();
        let profile = Profile::new(labels, body, Arc::new(origin));
        filter.stage.push(Batch { profiles: vec![profile] }).await.worst().cloned()
    }

    /// All that goes on of a recording that is taken.
    async fn sift(&self, filter: &WasmFilter, body: Body) -> Vec<Profile> {
        assert_eq!(self.deliver(filter, body, Share::unbounded()).await, None);
        std::mem::take(&mut *self.sink.profiles())
    }
}

fn series(profiles: &[Profile]) -> Vec<(String, usize)> {
    profiles.iter().map(|profile| (profile.labels.to_string(), profile.body.profile_count())).collect()
}

#[tokio::test]
async fn each_kind_of_a_recording_is_changed_as_servers_would_have_it() {
    let bench = Bench::new();
    let filter = start(&bench, &["rename 0 hidden"], "on_unsupported = \"fail\"");
    for body in [bare(RECORDING), in_form(RECORDING, b"")] {
        let went_on = bench.sift(&filter, body).await;
        let labels = |name: &str, event: &str| {
            format!(
                "{{__delta__=\"false\", __name__={name:?}, __session_id__=\"7\", app_name=\"shop\", jfr_event={event:?}, \
                 pyroscope_spy=\"javaspy\", region=\"eu\", service_name=\"shop\"}}"
            )
        };
        let expected = [("process_cpu", 1), ("wall", 1), ("memory", 3), ("mutex", 1), ("block", 1)];
        assert_eq!(series(&went_on), expected.map(|(name, profiles)| (labels(name, "cpu"), profiles)));
        for profile in &went_on {
            assert!(functions(profile).iter().all(|names| names.contains(&"hidden".to_owned())));
        }
    }
}

#[tokio::test]
async fn what_no_filter_changes_goes_on_as_the_recording() {
    let bench = Bench::new();
    let filter = start(&bench, &["unchanged"], "on_unsupported = \"fail\"");
    for body in [bare(RECORDING), in_form(CONTEXTS, b""), bare(CONTEXTS)] {
        let went_on = bench.sift(&filter, body.clone()).await;
        assert_eq!(went_on.len(), 1);
        assert_eq!(went_on[0].labels, Labels::from_pairs(SERIES.iter().copied()).unwrap());
        assert!(went_on[0].body.is(&body));
    }
    let metrics = bench.services.metrics.text().unwrap();
    let counted = |line: &str| line.starts_with("flamegate_filter_calls_total{") && line.ends_with(" 11");
    assert!(metrics.lines().any(counted), "once for each kind: {metrics}");
}

#[tokio::test]
async fn labels_beside_a_recording_are_those_of_its_samples() {
    let bench = Bench::new();
    let filter = start(&bench, &["read-labels"], "");
    let went_on = bench.sift(&filter, in_form(CONTEXTS, LABELS)).await;
    let read: Vec<_> = went_on.iter().map(|profile| profile.labels.value("read").unwrap()).collect();
    for label in ["alice", "0000000000000abc", "pay"] {
        assert!(read[0].contains(label) && !read[1].contains(label), "{label}: {read:?}");
    }
}

#[tokio::test]
async fn a_recording_that_a_filter_drops_is_dropped_whole() {
    let bench = Bench::new();
    let filter = start(&bench, &["drop noise"], "");
    assert!(bench.sift(&filter, bare(RECORDING)).await.is_empty());
    let metrics = bench.services.metrics.text().unwrap();
    assert!(metrics.contains("reason=\"noise\"} 5"), "{metrics}");
}

#[tokio::test]
async fn a_recording_that_cannot_be_read_passes_or_is_refused() {
    let bench = Bench::new();
    let bodies = || {
        [
            bare(&CONTEXTS[..CONTEXTS.len() - 1]),
            bare(&RECORDING[..RECORDING.len() / 2]),
            in_form(b"FLR\0", b""),
            in_form(CONTEXTS, b"\xff"),
            ingested(QUERY, FORM, form(&[("labels", b"")])),
            ingested(QUERY, FORM, "no form"),
        ]
    };
    let filter = start(&bench, &["rename 0 hidden"], "");
    for body in bodies() {
        let went_on = bench.sift(&filter, body.clone()).await;
        assert!(went_on.len() == 1 && went_on[0].body.is(&body));
    }
    let metrics = bench.services.metrics.text().unwrap();
    assert!(metrics.contains("kind=\"unsupported\"} 6"), "{metrics}");

    let filter = start(&bench, &["rename 0 hidden"], "on_unsupported = \"fail\"");
    for body in bodies() {
        let error = bench.deliver(&filter, body, Share::unbounded()).await.unwrap();
        assert_eq!(error.status, StatusCode::BAD_REQUEST);
        assert!(error.to_string().contains("JFR recording that cannot be read"), "{error}");
    }
}

#[tokio::test]
async fn reading_a_recording_is_paid_for() {
    let bench = Bench::new();
    let filter = start(&bench, &["rename 0 hidden"], "on_unsupported = \"fail\"");
    let push = async |memory| bench.deliver(&filter, bare(RECORDING), memory).await;
    let budget = Budget::new(64 << 20);
    assert_eq!(push(budget.take(RECORDING.len()).unwrap()).await, None);
    let held: usize = bench.sink.profiles().drain(..).map(|profile| profile.body.byte_len()).sum();
    assert!(held > 0);
    assert_eq!(budget.used(), 0, "nothing holds memory once the profiles are gone");

    let others = budget.take((64 << 20) - RECORDING.len() - 10).unwrap();
    let busy = push(budget.take(RECORDING.len()).unwrap()).await.unwrap();
    assert_eq!((busy.status, busy.retry), (StatusCode::SERVICE_UNAVAILABLE, Retry::Later(None)));
    drop(others);
    // Coming again would not help.
    let small = Budget::new(1 << 20);
    let never = push(small.take(RECORDING.len()).unwrap()).await.unwrap();
    assert_eq!((never.status, never.retry), (StatusCode::BAD_REQUEST, Retry::Never));
}
