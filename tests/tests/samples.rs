//! `sample_rule`, from the socket to the backend: in every dress in which samples come.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "all of this file is test code")]

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use flamegate_tests::backend::{Answer, Backend, Options, Script};
use flamegate_tests::blocks;
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::gzip;
use flamegate_tests::http_client::{Reply, post};
use flamegate_tests::labels_snapshot::{Context, LabelsSnapshot};
use flamegate_tests::pprof::{self, ProfileBuilder};
use flamegate_tests::push_api::PushRequest;
use flamegate_tests::push_client::PushClient;
use flamegate_tests::spine::{GOOD_LABELS, RECEIVE};
use http::StatusCode;
use prost::Message;

const SAMPLES: &str = "pyroscope.relabel.default.sample_rule";
const FORM: (&str, &str) = ("content-type", "multipart/form-data; boundary=edge");

/// Names of users go, and with them the samples of robots.
const RULES: &str = r#"
    sample_rule {
        source_labels = ["kind"]
        regex         = "robot"
        action        = "drop"
    }
    sample_rule {
        regex  = "user"
        action = "labeldrop"
    }
"#;

struct Bench {
    flamegate: Flamegate,
    backend: Backend,
    url: String,
}

impl Bench {
    async fn start(script: Script) -> Self {
        let backend = Backend::start_as(Options { script, ..Options::default() }).await.unwrap();
        let configuration = format!(
            "pyroscope.receive_http \"default\" {{\n  http {{\n    listen_address = \"127.0.0.1\"\n    listen_port = 0\n  \
             }}\n  forward_to = [pyroscope.relabel.default.receiver]\n}}\n\
             pyroscope.relabel \"default\" {{\n{RULES}\n  forward_to = [pyroscope.write.default.receiver]\n}}\n"
        ) + &blocks::write("default", &[backend.url()], "");
        let flamegate = Flamegate::start(&configuration, &[]).await.unwrap();
        let url = format!("http://{}", flamegate.listener(RECEIVE).await.unwrap());
        Self { flamegate, backend, url }
    }

    async fn ingest(&self, query: &str, headers: &[(&str, &str)], body: Bytes) -> Reply {
        let reply = post(&format!("{}/ingest?name=shop&{query}", self.url), headers, body).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply
    }

    /// The profile that arrived last, decoded by the backend, and again here for what the backend does not keep.
    fn check_arrived(&self, gzipped: bool) {
        let received = self.backend.received();
        let profile = &received.last().unwrap().profiles[0];
        let labels = [("kind", "person"), ("team", "pay")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(profile.sample_labels, BTreeSet::from(labels));
        assert_eq!(profile.functions, BTreeSet::from(["main", "work"].map(str::to_owned)));
        assert_eq!(profile.raw.starts_with(&[0x1f, 0x8b]), gzipped);
        let decoded = pprof::decode(&profile.raw, 1 << 20).unwrap();
        assert_eq!(decoded.sample.iter().map(|sample| sample.value[0]).collect::<Vec<_>>(), [3, 16]);
        let texts = decoded.string_table;
        assert!(
            !texts.iter().any(|text| ["user", "alice", "bob", "robot", "crawl"].contains(&text.as_str())),
            "{texts:?}"
        );
    }

    async fn counted(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let metrics = self.flamegate.metrics().await.unwrap();
        metrics.sum(name, &[&[("component_id", SAMPLES)], labels].concat()).unwrap()
    }
}

fn profile() -> ProfileBuilder {
    ProfileBuilder::cpu()
        .sample(&["work", "main"], &[1], &[("user", "alice"), ("kind", "person"), ("team", "pay")])
        .sample(&["work", "main"], &[2], &[("user", "bob"), ("kind", "person"), ("team", "pay")])
        .sample(&["crawl", "main"], &[4], &[("kind", "robot")])
        .sample(&["main"], &[16], &[])
}

/// A form of these parts.
fn form(parts: &[(&str, &[u8])]) -> Bytes {
    let mut form = Vec::new();
    for (name, bytes) in parts {
        let head = format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{name}\"\r\n\r\n");
        form.extend([head.as_bytes(), bytes, b"\r\n"].concat());
    }
    form.extend(b"--edge--\r\n");
    form.into()
}

#[tokio::test]
async fn the_backend_gets_what_the_rules_leave() {
    let bench = Bench::start(Script::judging()).await;
    let (plain, packed) = (profile().encode(), profile().gzip().unwrap());
    for (bytes, gzipped) in [(&plain, false), (&packed, true)] {
        let request = PushRequest::one(&GOOD_LABELS, bytes.clone());
        let reply = PushClient::CONNECT.push(&bench.url, &request).await.unwrap();
        assert!(reply.error.is_none(), "{:?}", reply.error);
        bench.check_arrived(gzipped);

        bench.ingest("format=pprof", &[], bytes.clone()).await;
        bench.check_arrived(gzipped);

        let config = br#"{"cpu": {"units": "nanoseconds"}}"#;
        bench.ingest("", &[FORM], form(&[("sample_type_config", config), ("profile", bytes)])).await;
        bench.check_arrived(gzipped);
    }
    bench.ingest("format=pprof", &[("content-encoding", "gzip")], packed).await;
    bench.check_arrived(true);

    assert_eq!(bench.counted("flamegate_relabel_samples_dropped_total", &[]).await, 7.0);
    assert_eq!(
        bench.counted("flamegate_filter_calls_total", &[]).await,
        4.0,
        "verdicts are kept from profile to profile"
    );
}

#[tokio::test]
async fn what_has_no_samples_left_is_taken_and_not_sent() {
    let bench = Bench::start(Script::judging()).await;
    let robots = ProfileBuilder::cpu().sample(&["crawl"], &[1], &[("kind", "robot")]).encode();
    let request = PushRequest::one(&GOOD_LABELS, robots.clone());
    assert!(PushClient::CONNECT.push(&bench.url, &request).await.unwrap().error.is_none());
    bench.ingest("", &[FORM], form(&[("profile", &robots)])).await;
    assert!(bench.backend.attempts().is_empty());
    assert_eq!(bench.counted("flamegate_filter_drops_total", &[("reason", "no samples")]).await, 2.0);
}

#[tokio::test]
async fn labels_beside_a_jfr_follow_the_rules_and_contexts_stay() {
    let bench = Bench::start(Script::always(Answer::status(StatusCode::OK))).await;
    let texts = ["user", "alice", "kind", "robot", "person"];
    let snapshot = LabelsSnapshot {
        contexts: HashMap::from([(7, Context::of(&[(0, 1), (2, 4)])), (8, Context::of(&[(2, 3), (0, 1)]))]),
        strings: (0..).zip(texts.map(str::to_owned)).collect(),
    };
    let sent = gzip::compress(&snapshot.encode_to_vec()).unwrap();
    bench.ingest("format=jfr", &[FORM], form(&[("jfr", b"FLR\0 as it is"), ("labels", &sent)])).await;

    let attempts = bench.backend.attempts();
    let request = &attempts.last().unwrap().request;
    let parts = parts(request.body.clone()).await;
    assert_eq!(parts["jfr"], &b"FLR\0 as it is"[..]);
    let arrived = gzip::decompress_if_gzip(&parts["labels"], 1 << 20).unwrap();
    let arrived = LabelsSnapshot::decode(&*arrived).unwrap();
    assert_eq!(arrived.shown(7).unwrap(), [("kind", "person")]);
    // To be dropped by the rules, and still referred to by events.
    assert_eq!(arrived.shown(8).unwrap(), [("kind", "robot"), ("user", "alice")]);
    assert_eq!(bench.counted("flamegate_relabel_sample_rules_skipped_total", &[("kind", "context")]).await, 1.0);
}

#[tokio::test]
async fn what_cannot_be_opened_arrives_as_it_was() {
    let bench = Bench::start(Script::always(Answer::status(StatusCode::OK))).await;
    for (query, kind, body) in [("format=lines", "format", "main 1\n"), ("format=pprof", "damaged", "no pprof")] {
        for count in [1.0, 2.0] {
            bench.ingest(query, &[], body.into()).await;
            assert_eq!(bench.backend.attempts().last().unwrap().request.body, body);
            let skipped = bench.counted("flamegate_relabel_sample_rules_skipped_total", &[("kind", kind)]).await;
            assert_eq!(skipped, count);
        }
    }
    let said = bench.flamegate.logs().into_iter().filter(|line| line.contains("sample rules cannot be applied"));
    assert_eq!(said.count(), 2, "once for each kind");
}

async fn parts(body: Bytes) -> HashMap<String, Bytes> {
    let body = futures_util::stream::iter([Ok::<_, std::io::Error>(body)]);
    let mut form = multer::Multipart::new(body, "edge");
    let mut parts = HashMap::new();
    while let Some(part) = form.next_field().await.unwrap() {
        parts.insert(part.name().unwrap().to_owned(), part.bytes().await.unwrap());
    }
    parts
}
