//! Bodies that want more memory than there is for them.

use std::io::Write;

use bytes::Bytes;
use flamegate_tests::backend::{Answer, Script};
use flamegate_tests::gzip;
use flamegate_tests::http_client::post;
use flamegate_tests::polling::{DEADLINE, eventually};
use flamegate_tests::push_api::PUSH_PATH;
use flamegate_tests::push_client::{Protocol, PushClient};
use flamegate_tests::raw_http::RawConnection;
use flamegate_tests::spine::{Settings, Spine};

const BOMB: usize = 600 << 20;
const MAY_GROW: u64 = 50 << 20;

/// 600 MiB of zeros in as little as gzip can.
fn bomb() -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![0; 1 << 20];
    for _ in 0..BOMB / zeros.len() {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.finish().unwrap().into()
}

#[tokio::test]
async fn a_gzip_bomb_does_not_go_off() {
    let bomb = bomb();
    let receive = "max_body_size = \"16MiB\"";
    let spine = Spine::start(Settings { receive, ..Settings::default() }).await.unwrap();
    spine.serves().await.unwrap();
    let before = spine.flamegate.rss_bytes().unwrap();
    let gzip = ("content-encoding", "gzip");
    let proto = ("content-type", "application/proto");
    let json = ("content-type", "application/json");
    let cases = [("/ingest?name=shop", vec![gzip]), (PUSH_PATH, vec![gzip, proto]), (PUSH_PATH, vec![gzip, json])];
    for (count, (path, headers)) in (1..).zip(cases) {
        let reply = post(&format!("{}{path}", spine.url), &headers, bomb.clone()).await.unwrap();
        assert_eq!(reply.status, 413, "{path} {headers:?}: {}", reply.text());
        assert_eq!(spine.refused("too_large").await.unwrap(), f64::from(count));
    }
    let grown = spine.flamegate.peak_rss_bytes().unwrap().saturating_sub(before);
    assert!(grown < MAY_GROW, "it grew by {grown} bytes");
    spine.serves().await.unwrap();
}

const QUARTER: usize = 256 << 10;
const TIGHT: &str = "max_inflight_bytes = \"1MiB\"\nmax_body_size = \"1MiB\"";
/// The one attempt ends by itself, and with it what it holds.
const ONE_ATTEMPT: &str = "remote_timeout = \"3s\"\nmax_backoff_retries = 1";

/// As [`TIGHT`] with all but a part of it held by a request that the backend does not answer.
async fn nearly_full() -> (Spine, tokio::task::JoinHandle<u16>) {
    let script = Script::first([Answer::Silence]);
    let settings = Settings { receive: TIGHT, endpoint: ONE_ATTEMPT, script, ..Settings::default() };
    let spine = Spine::start(settings).await.unwrap();
    let url = format!("{}/ingest?name=held", spine.url);
    let held = tokio::spawn(async move { post(&url, &[], folded(3 * QUARTER)).await.unwrap().status.as_u16() });
    spine.backend.wait_for_attempts(1, DEADLINE).await.unwrap();
    (spine, held)
}

/// So many bytes of folded stacks.
fn folded(bytes: usize) -> Bytes {
    b"main;leaf 12345\n".repeat(bytes / 16).into()
}

#[tokio::test]
async fn without_memory_the_sender_is_told_to_come_again() {
    let (spine, held) = nearly_full().await;
    let url = format!("{}/ingest?name=late", spine.url);
    let refused = post(&url, &[], folded(2 * QUARTER)).await.unwrap();
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(refused.headers["retry-after"], "1");
    let message = folded(2 * QUARTER);
    let reply = PushClient::CONNECT.send(&spine.url, &message, &[]).await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.error.unwrap().code.as_str()), (503, "unavailable"));
    assert_eq!(reply.headers["retry-after"], "1");
    assert_eq!(spine.refused("busy").await.unwrap(), 2.0);
    // What fits is served meanwhile.
    spine.serves().await.unwrap();

    assert_eq!(held.await.unwrap(), 504);
    assert_eq!(post(&url, &[], folded(2 * QUARTER)).await.unwrap().status, 200, "what was held is free again");
    eventually("nothing is held once everything was answered", async || {
        let held = spine.metric("flamegate_receive_http_inflight_bytes", &[]).await.unwrap();
        (held == 0.0).then_some(())
    })
    .await
    .unwrap();
}

/// Small when it arrives, too large for what is left when it is unpacked.
#[tokio::test]
async fn without_memory_to_unpack_the_sender_is_told_to_come_again() {
    let (spine, _held) = nearly_full().await;
    let packed = gzip::compress(&folded(2 * QUARTER)).unwrap();
    let gzip = ("content-encoding", "gzip");
    let ingested = post(&format!("{}/ingest?name=late", spine.url), &[gzip], packed.clone()).await.unwrap();
    assert_eq!(ingested.status, 503, "{}", ingested.text());
    for (protocol, http2, status) in [(Protocol::Connect, false, 503), (Protocol::Grpc, true, 200)] {
        let client = PushClient { protocol, http2, gzip: true };
        let pushed = client.send(&spine.url, &folded(2 * QUARTER), &[]).await.unwrap();
        assert_eq!((pushed.status.as_u16(), pushed.error.unwrap().code.as_str()), (status, "unavailable"));
        assert_eq!(pushed.headers.get("retry-after").map(|value| value.as_bytes()), Some(&b"1"[..]), "{client:?}");
    }
    assert_eq!(spine.refused("busy").await.unwrap(), 3.0);
    spine.serves().await.unwrap();
    assert_eq!(ingested.headers.get("retry-after").map(|value| value.as_bytes()), Some(&b"1"[..]), "ingest");
}

/// Announcing a large body is not enough to take the memory of others.
#[tokio::test]
async fn memory_is_not_given_on_a_mere_announcement() {
    let receive = "max_inflight_bytes = \"64MiB\"\nmax_body_size = \"32MiB\"";
    let spine = Spine::start(Settings { receive, ..Settings::default() }).await.unwrap();
    let mut announcing = Vec::new();
    for _ in 0..20 {
        let mut connection = RawConnection::open(spine.address).await.unwrap();
        let head = "POST /ingest?name=a HTTP/1.1\r\nhost: a\r\ncontent-length: 33554432\r\n\r\nx";
        connection.send(head).await.unwrap();
        announcing.push(connection);
    }
    let inflight = [("route", "/ingest")];
    eventually("twenty requests in flight", async || {
        let requests = spine.metric("pyroscope_receive_http_inflight_requests", &inflight).await.unwrap();
        (requests >= 20.0).then_some(())
    })
    .await
    .unwrap();
    spine.serves().await.unwrap();
    drop(announcing);
    spine.wait_refused("broken", 20.0).await.unwrap();
}
