//! Senders that are slow, or go away.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use flamegate_tests::backend::{Answer, Attempt, Script, Verdict};
use flamegate_tests::http_client::{post, post_http2};
use flamegate_tests::polling::{DEADLINE, eventually};
use flamegate_tests::push_api::PUSH_PATH;
use flamegate_tests::raw_http::{RawConnection, RawReply};
use flamegate_tests::spine::{RECEIVE, Settings, Spine, good_push};
use futures_util::stream;
use http::{Request, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use prost::Message;
use tokio::time::{sleep, timeout};

/// Between two bytes: never so long that a timeout between two reads would do.
const DRIP: Duration = Duration::from_millis(100);
const TIMEOUTS: &str = "server_read_timeout = \"1s\"\nserver_idle_timeout = \"1s\"";

/// Sends these bytes at once, then one every now and then for as long as somebody takes them.
async fn drip(spine: &Spine, at_once: &str, then: &str) -> Option<RawReply> {
    let mut connection = RawConnection::open(spine.address).await.unwrap();
    connection.send(at_once).await.unwrap();
    let dripping = async {
        for byte in then.bytes().cycle() {
            if connection.has_news().unwrap_or(true) || connection.send([byte]).await.is_err() {
                return;
            }
            sleep(DRIP).await;
        }
    };
    timeout(DEADLINE, dripping).await.unwrap_or_else(|_| panic!("{at_once:?}: still taken after {DEADLINE:?}"));
    // A reset over bytes that nobody read takes what was answered with it.
    connection.reply().await.unwrap_or_default()
}

#[tokio::test]
async fn a_dripping_sender_is_cut_off() {
    let spine = Spine::start(Settings { http: TIMEOUTS, ..Settings::default() }).await.unwrap();
    let ingest = "POST /ingest?name=shop HTTP/1.1\r\nhost: a\r\n";
    let push = format!("POST {PUSH_PATH} HTTP/1.1\r\nhost: a\r\ncontent-type: application/proto\r\n");
    // What is sent at once, what drips, and the answer: a head is none.
    let cases = [
        (String::new(), ingest.repeat(9), None),
        (ingest.to_owned(), "x-filler: 1\r\n".to_owned(), None),
        // The beginning of HTTP/2.
        (String::new(), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), None),
        (format!("{ingest}content-length: 100000\r\n\r\n"), "1".to_owned(), Some("server_read_timeout")),
        (format!("{ingest}transfer-encoding: chunked\r\n\r\n"), "1\r\na\r\n".to_owned(), Some("server_read_timeout")),
        (format!("{push}content-length: 100000\r\n\r\n"), "1".to_owned(), Some("deadline_exceeded")),
    ];
    let mut slow = 0.0;
    for (at_once, then, says) in cases {
        let reply = drip(&spine, &at_once, &then).await;
        match says {
            None => assert_eq!(reply, None, "{at_once:?}"),
            Some(says) => {
                slow += 1.0;
                let reply = reply.unwrap_or_else(|| panic!("{at_once:?}: closed without an answer"));
                assert_eq!(reply.status, 408, "{at_once:?}: {reply:?}");
                assert!(reply.body.contains(says), "{at_once:?}: {reply:?}");
            }
        }
        assert_eq!(spine.refused("slow").await.unwrap(), slow, "{at_once:?}");
        spine.serves().await.unwrap();
    }
}

/// Over HTTP/2 the stream is cut off, and the connection serves the others.
#[tokio::test]
async fn a_dripping_http2_sender_is_cut_off() {
    let spine = Spine::start(Settings { http: TIMEOUTS, ..Settings::default() }).await.unwrap();
    let client: Client<HttpConnector, BoxBody<Bytes, Infallible>> =
        Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let request = |body| Request::post(format!("{}/ingest?name=shop", spine.url)).body(body).unwrap();
    let whole = || Full::new(Bytes::from_static(b"main 1\n")).boxed();
    assert_eq!(client.request(request(whole())).await.unwrap().status(), 200);
    let drops = stream::unfold((), |()| async {
        sleep(DRIP).await;
        Some((Ok(Frame::data(Bytes::from_static(b"1"))), ()))
    });
    let reply = timeout(DEADLINE, client.request(request(BodyExt::boxed(StreamBody::new(Box::pin(drops)))))).await;
    assert_eq!(reply.unwrap().unwrap().status(), 408);
    assert_eq!(spine.refused("slow").await.unwrap(), 1.0);
    assert_eq!(timeout(DEADLINE, client.request(request(whole()))).await.unwrap().unwrap().status(), 200);
    spine.serves().await.unwrap();
}

/// A sender that has said HTTP/2 and then nothing, or a frame that never ends.
#[tokio::test]
async fn a_silent_http2_sender_is_cut_off() {
    let spine = Spine::start(Settings { http: TIMEOUTS, ..Settings::default() }).await.unwrap();
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = "\0\0\0\x04\0\0\0\0\0";
    let half_a_frame = "\0\x40\0\x01\x04\0\0\0\x01";
    let cases = [preface.to_owned(), format!("{preface}{settings}"), format!("{preface}{settings}{half_a_frame}")];
    for said in cases {
        let mut connection = RawConnection::open(spine.address).await.unwrap();
        connection.send(&said).await.unwrap();
        let what = format!("the connection that said {said:?} is closed");
        eventually(&what, async || {
            let open = spine.metric("pyroscope_receive_http_tcp_connections", &[("component_id", RECEIVE)]).await;
            (open.unwrap() == 0.0).then_some(())
        })
        .await
        .unwrap();
        spine.serves().await.unwrap();
    }
}

#[tokio::test]
async fn hanging_up_in_the_middle_of_a_body() {
    let spine = Spine::start(Settings::default()).await.unwrap();
    let ingest = "POST /ingest?name=shop HTTP/1.1\r\nhost: a\r\n";
    let halves = [
        format!("{ingest}content-length: 100\r\n\r\nmain 1\n"),
        format!("{ingest}transfer-encoding: chunked\r\n\r\n7\r\nmain 1\n\r\n"),
    ];
    for (half, count) in halves.iter().zip([1.0, 2.0]) {
        let mut connection = RawConnection::open(spine.address).await.unwrap();
        connection.send(half).await.unwrap();
        drop(connection);
        spine.wait_refused("broken", count).await.unwrap();
        spine.serves().await.unwrap();
    }
    assert_eq!(spine.refused("broken").await.unwrap(), 2.0);
    let services: Vec<_> = spine.backend.received().iter().map(|series| series.profiles.len()).collect();
    assert_eq!(services, [1, 1], "nothing but the good ones was forwarded");
}

/// Some SDKs do not wait for the answer to their last upload.
#[tokio::test]
async fn hanging_up_right_after_the_body() {
    let later = Script::always(Answer::Judge.after(Duration::from_millis(500)));
    let spine = Spine::start(Settings { script: later, ..Settings::default() }).await.unwrap();
    let push = good_push().encode_to_vec();
    let ingest = b"POST /ingest?name=shop HTTP/1.1\r\nhost: a\r\ncontent-length: 7\r\n\r\nmain 1\n".to_vec();
    let head = format!(
        "POST {PUSH_PATH} HTTP/1.1\r\nhost: a\r\ncontent-type: application/proto\r\ncontent-length: {}\r\n\r\n",
        push.len()
    );
    for (request, count) in [(ingest, 1), ([head.as_bytes(), &push].concat(), 2)] {
        let mut connection = RawConnection::open(spine.address).await.unwrap();
        connection.send(request).await.unwrap();
        drop(connection);
        let attempts = spine.backend.wait_for_attempts(count, DEADLINE).await.unwrap();
        let taken = |attempt: &Attempt| matches!(attempt.verdict, Verdict::Taken(_));
        assert!(attempts.iter().all(taken), "{}", spine.backend.summary());
    }
    spine.serves().await.unwrap();
}

/// What fails after its sender has gone is tried again all the same, over either version of HTTP.
#[tokio::test]
async fn hanging_up_while_the_backend_fails() {
    for http2 in [false, true] {
        let failing = Answer::status(StatusCode::SERVICE_UNAVAILABLE).after(Duration::from_millis(500));
        let spine = Spine::start(Settings { script: Script::first([failing]), ..Settings::default() }).await.unwrap();
        let url = format!("{}/ingest?name=shop", spine.url);
        let sender = tokio::spawn(async move {
            if http2 { post_http2(&url, &[], "main 1\n").await } else { post(&url, &[], "main 1\n").await }
        });
        spine.backend.wait_for_attempts(1, DEADLINE).await.unwrap();
        // Its client and its connection end with it.
        sender.abort();
        assert!(sender.await.unwrap_err().is_cancelled());
        let delivered = spine.backend.wait_for(|series| series.service_name() == "shop", DEADLINE).await;
        assert_eq!(delivered.unwrap().body, "main 1\n");
        spine.serves().await.unwrap();
    }
}
