//! `pyroscope.receive_http` as its senders see it: the reference's cases, and every protocol in every dress.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "all of this file is test code")]

use std::collections::BTreeMap;

use bytes::Bytes;
use flamegate_tests::backend::{Api, Backend};
use flamegate_tests::blocks::{self, ReceiveHttp};
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::gzip;
use flamegate_tests::http_client::{post, post_http2};
use flamegate_tests::polling::eventually;
use flamegate_tests::pprof::ProfileBuilder;
use flamegate_tests::push_api::{LabelPair, PUSH_PATH, PushRequest, RawProfileSeries, RawSample};
use flamegate_tests::push_client::{Protocol, PushClient};
use flamegate_tests::raw_http::RawConnection;
use flamegate_tests::spine::{RECEIVE, Settings, Spine, good_profile, good_push};
use prost::Message;

#[path = "receive/conformance.rs"]
mod conformance;
#[path = "receive/debug_info.rs"]
mod debug_info;
#[path = "receive/extensions.rs"]
mod extensions;
#[path = "receive/http2.rs"]
mod http2;
#[path = "receive/tls.rs"]
mod tls;
#[path = "receive/unix_socket.rs"]
mod unix_socket;

const PROTOCOLS: [(Protocol, &[bool]); 4] = [
    (Protocol::Connect, &[false, true]),
    (Protocol::ConnectJson, &[false, true]),
    // Its trailers need HTTP/2.
    (Protocol::Grpc, &[true]),
    (Protocol::GrpcWeb, &[false, true]),
];

/// Three series with one, two and three samples; no two of all of these are alike.
fn several(run: &str) -> PushRequest {
    let series = (0..3).map(|series| {
        let service = format!("{run}-{series}");
        let labels = [("__name__", "process_cpu"), ("service_name", service.as_str()), ("region", "eu")];
        let pair = |&(name, value): &(&str, &str)| LabelPair { name: name.to_owned(), value: value.to_owned() };
        let sample = |sample| RawSample {
            raw_profile: ProfileBuilder::cpu().sample(&[&format!("{service}-{sample}"), "main"], &[1], &[]).encode(),
            id: format!("{service}-id-{sample}"),
        };
        let samples = (0..=series).map(sample).collect();
        RawProfileSeries { labels: labels.iter().map(pair).collect(), samples, annotations: Vec::new() }
    });
    PushRequest { series: series.collect() }
}

#[tokio::test]
async fn every_protocol_delivers_every_sample_as_it_was() {
    let spine = Spine::start(Settings::default()).await.unwrap();
    for (protocol, versions) in PROTOCOLS {
        for (&http2, gzip) in versions.iter().flat_map(|http2| [(http2, false), (http2, true)]) {
            let run = format!("{protocol:?}-{http2}-{gzip}");
            let request = several(&run);
            let reply = PushClient { protocol, http2, gzip }.push(&spine.url, &request).await.unwrap();
            assert_eq!(reply.error, None, "{run}");
            let received = spine.backend.received();
            for sent in &request.series {
                let service = &sent.labels[1].value;
                let found: Vec<_> = received.iter().filter(|series| series.service_name() == service).collect();
                assert_eq!(found.len(), 1, "{service} arrived {} times", found.len());
                let labels: BTreeMap<_, _> =
                    sent.labels.iter().map(|label| (label.name.clone(), label.value.clone())).collect();
                let without_app = found[0].labels.iter().filter(|(name, _)| *name != "app_name");
                assert_eq!(without_app.map(|(n, v)| (n.clone(), v.clone())).collect::<BTreeMap<_, _>>(), labels);
                let arrived = found[0].profiles.iter().map(|profile| (&profile.id, &profile.raw));
                assert!(arrived.eq(sent.samples.iter().map(|sample| (&sample.id, &sample.raw_profile))), "{service}");
            }
        }
    }
}

#[tokio::test]
async fn errors_reach_the_sender_in_its_protocol() {
    use flamegate_tests::backend::{Answer, Code, Script};
    let refusing = Script::always(Answer::connect_error(Code::ResourceExhausted, "slow down"));
    let endpoint = "max_backoff_retries = 1";
    let spine = Spine::start(Settings { script: refusing, endpoint, ..Settings::default() }).await.unwrap();
    for (protocol, versions) in PROTOCOLS {
        for &http2 in versions {
            let client = PushClient { protocol, http2, gzip: false };
            let reply = client.push(&spine.url, &good_push()).await.unwrap();
            let error = reply.error.unwrap();
            assert_eq!(error.code, "resource_exhausted", "{client:?}");
            assert!(error.message.ends_with("resource_exhausted: slow down"), "{client:?}: {}", error.message);
            let grpc = matches!(protocol, Protocol::Grpc | Protocol::GrpcWeb);
            assert_eq!(reply.status, if grpc { 200 } else { 429 }, "{client:?}");
        }
    }
}

/// In every format the backend gets what it can read: a bare pprof gzipped as it came, any other one decompressed.
#[tokio::test]
async fn ingest_compressed_and_not() {
    let spine = Spine::start(Settings::default()).await.unwrap();
    let folded = Bytes::from_static(b"main;leaf 10\nmain 5\n");
    let packed = |bytes: &Bytes| Bytes::from(gzip::compress(bytes).unwrap());
    let profile = good_profile();
    let (packed_folded, packed_profile) = (packed(&folded), packed(&profile));
    let cases = [
        ("folded", "format=folded", None, &folded, &folded),
        ("folded.gzip", "format=folded", Some("gzip"), &packed_folded, &folded),
        ("folded.x-gzip", "", Some("x-GZIP"), &packed_folded, &folded),
        ("folded.identity", "", Some("identity"), &folded, &folded),
        ("pprof", "format=pprof", None, &profile, &profile),
        ("pprof.packed", "format=pprof", None, &packed_profile, &packed_profile),
        ("pprof.gzip", "format=pprof", Some("gzip"), &packed_profile, &packed_profile),
    ];
    for (service, query, encoding, sent, arrives) in cases {
        for http2 in [false, true] {
            let url = format!("{}/ingest?{query}&name={service}{{http2={http2}}}", spine.url);
            let headers: Vec<_> = encoding.map(|encoding| ("content-encoding", encoding)).into_iter().collect();
            let reply = if http2 {
                post_http2(&url, &headers, sent.clone()).await
            } else {
                post(&url, &headers, sent.clone()).await
            };
            let reply = reply.unwrap();
            assert_eq!((reply.status.as_u16(), reply.text().as_str()), (200, ""), "{service}");
            let received = spine.backend.received();
            let last = received.last().unwrap();
            assert_eq!((last.api, last.service_name()), (Api::Ingest, service));
            assert_eq!(last.labels["http2"], http2.to_string());
            assert_eq!(&last.body, arrives, "{service}");
        }
    }
}

#[tokio::test]
async fn every_receiver_gets_every_series() {
    let labels = ["first", "second", "third"];
    let mut backends = Vec::new();
    let mut configuration = ReceiveHttp { label: "default", writes: &labels, ..ReceiveHttp::default() }.block();
    for label in labels {
        let backend = Backend::start().await.unwrap();
        configuration += &blocks::write(label, &[backend.url()], "");
        backends.push(backend);
    }
    let flamegate = Flamegate::start(&configuration, &[]).await.unwrap();
    let url = format!("http://{}", flamegate.listener(RECEIVE).await.unwrap());

    let request = several("fan");
    assert_eq!(PushClient::CONNECT.push(&url, &request).await.unwrap().error, None);
    let reply = post(&format!("{url}/ingest?name=ingested"), &[], "main 1\n").await.unwrap();
    assert_eq!(reply.status, 200);
    for backend in &backends {
        let mut services: Vec<_> = backend.received().iter().map(|series| series.service_name().to_owned()).collect();
        services.sort();
        assert_eq!(services, ["fan-0", "fan-1", "fan-2", "ingested"]);
    }
}

fn head(path: &str, length: usize, more: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: flamegate\r\ncontent-length: {length}\r\n{more}\r\n")
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let spine = Spine::start(Settings::default()).await.unwrap();
    let mut connection = RawConnection::open(spine.address).await.unwrap();
    let push = good_push().encode_to_vec();
    for _ in 0..3 {
        connection.send(head("/ingest?name=a", 7, "") + "main 1\n").await.unwrap();
        assert_eq!(connection.reply().await.unwrap().unwrap().status, 200);
        // A refusal with its body read keeps the connection as well.
        connection.send(head("/ingest", 7, "") + "main 1\n").await.unwrap();
        assert_eq!(connection.reply().await.unwrap().unwrap().status, 400);
        connection.send(head(PUSH_PATH, push.len(), "content-type: application/proto\r\n")).await.unwrap();
        connection.send(&push).await.unwrap();
        assert_eq!(connection.reply().await.unwrap().unwrap().status, 200);
    }
    assert_eq!(spine.backend.received().len(), 6);
    let open = spine.metric("pyroscope_receive_http_tcp_connections", &[("component_id", RECEIVE)]).await;
    assert_eq!(open.unwrap(), 1.0, "one connection for nine requests");
    drop(connection);
    eventually("no connection open", async || {
        let open = spine.metric("pyroscope_receive_http_tcp_connections", &[]).await.unwrap();
        (open == 0.0).then_some(())
    })
    .await
    .unwrap();
}

/// A second request that does not wait for the first answer: it is answered as well, or the first answer says that the
/// connection ends here, so that the sender knows to come again.
#[tokio::test]
async fn a_pipelined_request_is_never_lost_in_silence() {
    let spine = Spine::start(Settings::default()).await.unwrap();
    let mut connection = RawConnection::open(spine.address).await.unwrap();
    let both = head("/ingest?name=a", 7, "") + "main 1\n" + &head("/ingest?name=b", 7, "") + "main 2\n";
    connection.send(both).await.unwrap();
    let first = connection.reply().await.unwrap().unwrap();
    assert_eq!(first.status, 200);
    let second = connection.reply().await.unwrap();
    let closing = first.headers.get("connection").is_some_and(|value| value == "close");
    assert!(closing || second.is_some_and(|reply| reply.status == 200), "{first:?}, then nothing");
}

#[tokio::test]
async fn a_chunked_body_in_pieces() {
    let spine = Spine::start(Settings::default()).await.unwrap();
    let mut connection = RawConnection::open(spine.address).await.unwrap();
    connection.send("POST /ingest?name=b HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
    for piece in ["5\r\nma", "in \r\n2", "\r\n2\n\r\n0\r\n", "\r\n"] {
        connection.send(piece).await.unwrap();
    }
    assert_eq!(connection.reply().await.unwrap().unwrap().status, 200);
    assert_eq!(spine.backend.received()[0].body, "main 2\n");
}

/// What the reference calls a timeout chain: there a sender's deadline ends the retries too.
#[tokio::test]
async fn a_sender_s_timeout_bounds_its_own_wait_alone() {
    use std::time::Duration;

    use flamegate_tests::backend::{Answer, Script};
    use flamegate_tests::polling::DEADLINE;
    let late = || Answer::Judge.after(Duration::from_millis(500));
    let down = || Answer::status(http::StatusCode::SERVICE_UNAVAILABLE).after(Duration::from_millis(300));
    for (protocol, http2, timeout) in [
        (Protocol::Connect, false, ("connect-timeout-ms", "200")),
        (Protocol::Connect, true, ("connect-timeout-ms", "200")),
        (Protocol::Grpc, true, ("grpc-timeout", "200m")),
        (Protocol::GrpcWeb, false, ("grpc-timeout", "200m")),
    ] {
        let script = Script::first([down(), down(), late()]);
        let spine = Spine::start(Settings { script, ..Settings::default() }).await.unwrap();
        let client = PushClient { protocol, http2, gzip: false };
        let message = good_push().encode_to_vec();
        let reply = client.send(&spine.url, &message, &[timeout]).await.unwrap();
        assert_eq!(reply.error.unwrap().code, "deadline_exceeded", "{client:?}");
        let series = spine.backend.wait_for(|series| series.service_name() == "shop", DEADLINE).await.unwrap();
        // Each attempt has the time that the endpoint gives it.
        assert_eq!(series.headers["connect-timeout-ms"], "10000", "{client:?}");
        assert_eq!(spine.backend.attempts().len(), 3, "{client:?}");
        spine.wait_refused("unanswered", 1.0).await.unwrap();
    }
}

#[tokio::test]
async fn expect_100_continue() {
    let spine = Spine::start(Settings { receive: "max_body_size = \"1KiB\"", ..Settings::default() }).await.unwrap();
    let mut connection = RawConnection::open(spine.address).await.unwrap();
    connection.send(head("/ingest?name=a", 7, "expect: 100-continue\r\n")).await.unwrap();
    let interim = connection.reply().await.unwrap().unwrap();
    assert_eq!(interim.status, 100, "{interim:?}");
    connection.send("main 1\n").await.unwrap();
    assert_eq!(connection.reply().await.unwrap().unwrap().status, 200);
    assert_eq!(spine.backend.received().len(), 1);

    // What the head alone decides is said before the body is asked for.
    for (path, length, status) in [("/ingest?name=a", 2048, 413), ("/other", 7, 404)] {
        let mut connection = RawConnection::open(spine.address).await.unwrap();
        connection.send(head(path, length, "expect: 100-continue\r\n")).await.unwrap();
        let reply = connection.reply().await.unwrap().unwrap();
        assert_eq!(reply.status, status, "{path}: {reply:?}");
    }
}
