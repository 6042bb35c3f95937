//! A server of spans that is away, busy or slow: the pipeline does not feel it, and every span is accounted for.

use std::time::Duration;

use flamegate_tests::backend::{Answer as BackendAnswer, Script};
use flamegate_tests::flamegate::Signal;
use flamegate_tests::otlp::{Answer, OtlpReceiver};
use flamegate_tests::polling::{DEADLINE, eventually};
use flamegate_tests::push_client::PushClient;
use flamegate_tests::spine::good_push;
use futures_util::future::join_all;

use super::{ALL, GRPC, HTTP, Traced, no_violations, over_grpc, over_http, servers};

/// Spans of a push.
const SPANS: f64 = 4.0;

const SENT: &str = "otelcol_exporter_sent_spans_total";
const FAILED: &str = "otelcol_exporter_send_failed_spans_total";
const REFUSED: &str = "otelcol_exporter_enqueue_failed_spans_total";

const QUICK_RETRY: &str = "retry_on_failure {\n  initial_interval = \"50ms\"\n  max_interval = \"100ms\"\n}\n";

/// The same pipeline with each exporter: its blocks and its id.
fn each(receiver: &OtlpReceiver, exporter: &str) -> [(String, &'static str); 2] {
    [(over_http(receiver, ALL, exporter), HTTP), (over_grpc(receiver, ALL, exporter), GRPC)]
}

#[tokio::test]
async fn what_a_server_is_too_busy_for_comes_again() {
    let cases = (0..2).map(async |index: usize| {
        let receiver = OtlpReceiver::start().await.unwrap();
        receiver.answer(Answer::Busy);
        let (blocks, exporter) = each(&receiver, QUICK_RETRY)[index].clone();
        let traced = Traced::start(Script::judging(), &blocks).await;
        traced.push(&[]).await;
        let attempts = async || (receiver.requests().len() >= 3).then_some(());
        eventually("three attempts", attempts).await.unwrap();
        assert_eq!((receiver.spans().len(), traced.metric(SENT, exporter).await), (0, 0.0));
        receiver.answer(Answer::Take);
        traced.wait_metric(SENT, exporter, SPANS).await.unwrap();
        assert_eq!(receiver.spans().len() as f64, SPANS);
        assert_eq!(traced.metric(FAILED, exporter).await, 0.0);
        no_violations(&receiver);
    });
    // Side by side: most of their time is the batch's.
    join_all(cases).await;
}

#[tokio::test]
async fn what_a_server_refuses_does_not_come_again() {
    let cases = (0..2).map(async |index: usize| {
        let receiver = OtlpReceiver::start().await.unwrap();
        receiver.answer(Answer::Refuse);
        let (blocks, exporter) = each(&receiver, QUICK_RETRY)[index].clone();
        let traced = Traced::start(Script::judging(), &blocks).await;
        traced.push(&[]).await;
        assert_eq!(traced.wait_metric(FAILED, exporter, SPANS).await.unwrap(), SPANS);
        let line = traced.flamegate.wait_for_log("spans not exported", DEADLINE).await.unwrap();
        assert!(line.contains("level=warn") && line.contains(exporter) && line.contains("spans=4"), "{line}");

        receiver.answer(Answer::TakeAllBut(1));
        traced.push(&[]).await;
        assert_eq!(traced.wait_metric(FAILED, exporter, SPANS + 1.0).await.unwrap(), SPANS + 1.0);
        assert_eq!(traced.metric(SENT, exporter).await, SPANS - 1.0);
        traced.flamegate.wait_for_log("too old", DEADLINE).await.unwrap();
        assert_eq!(receiver.requests().len(), 2);
        no_violations(&receiver);
    });
    // Side by side: most of their time is the batch's.
    join_all(cases).await;
}

#[tokio::test]
async fn a_server_that_is_away_costs_spans_alone() {
    let receiver = OtlpReceiver::start().await.unwrap();
    let address = receiver.address();
    // One batch waits, one is tried: whatever comes then is lost.
    let queue = "sending_queue {\n  queue_size = 1\n  num_consumers = 1\n}\n";
    let blocks = over_http(&receiver, ALL, &format!("{QUICK_RETRY}{queue}"));
    drop(receiver);
    let traced = Traced::start(Script::judging(), &blocks).await;
    // More than a batch of 512 each time, so that it goes at once.
    let batch_of_pushes = 130;
    let mut pushes = 0.0;
    let full = async || {
        for _ in 0..batch_of_pushes {
            traced.push(&[]).await;
        }
        pushes += f64::from(batch_of_pushes);
        let refused = traced.metric(REFUSED, HTTP).await;
        (refused > 0.0).then_some(refused)
    };
    eventually("the queue is full", full).await.unwrap();
    assert_eq!(traced.backend.received().len() as f64, pushes, "every profile arrived");
    let recorded = traced.metric("flamegate_tracing_spans_total", "").await;
    let dropped = traced.metric("flamegate_tracing_dropped_spans_total", "").await;
    assert_eq!(recorded + dropped, pushes * SPANS);
    traced.flamegate.wait_for_log("sending_queue is full", DEADLINE).await.unwrap();

    let receiver = OtlpReceiver::start_on(address).await.unwrap();
    let settled = async || {
        let settled = traced.metric(REFUSED, HTTP).await + traced.metric(SENT, HTTP).await;
        (settled == recorded).then_some(())
    };
    eventually("each span is taken or counted as lost", settled).await.unwrap();
    assert_eq!(receiver.spans().len() as f64, traced.metric(SENT, HTTP).await);
    no_violations(&receiver);
}

#[tokio::test]
async fn without_retry_or_queue_a_batch_has_one_attempt() {
    let receiver = OtlpReceiver::start().await.unwrap();
    receiver.answer(Answer::Silence);
    let once = "retry_on_failure {\n  enabled = false\n}\nsending_queue {\n  enabled = false\n}\n";
    let blocks = over_grpc(&receiver, ALL, &format!("timeout = \"200ms\"\n{once}"));
    let traced = Traced::start(Script::judging(), &blocks).await;
    traced.push(&[]).await;
    assert_eq!(traced.wait_metric(FAILED, GRPC, SPANS).await.unwrap(), SPANS);
    assert_eq!(receiver.requests().len(), 1);
    assert_eq!(receiver.requests()[0].headers["grpc-timeout"], "200m");
    traced.flamegate.wait_for_log("no answer within timeout", DEADLINE).await.unwrap();
    receiver.answer(Answer::Take);
    traced.push(&[]).await;
    traced.wait_metric(SENT, GRPC, SPANS).await.unwrap();
    no_violations(&receiver);
}

#[tokio::test]
async fn the_last_spans_leave_before_the_process_does() {
    let cases = (0..2).map(async |index: usize| {
        let receiver = OtlpReceiver::start().await.unwrap();
        let (blocks, _) = each(&receiver, "")[index].clone();
        let slowly = Script::always(BackendAnswer::Judge.after(Duration::from_secs(1)));
        let mut traced = Traced::start(slowly, &blocks).await;
        let url = traced.url.clone();
        let in_flight = tokio::spawn(async move { PushClient::CONNECT.push(&url, &good_push()).await.unwrap().error });
        let relabelled =
            async || Some(traced.metric("flamegate_tracing_spans_total", "").await >= 1.0).filter(|is| *is);
        eventually("the profile is on its way", relabelled).await.unwrap();
        traced.flamegate.signal(Signal::SIGTERM).unwrap();
        let status = traced.flamegate.wait_exit(DEADLINE).await.unwrap();
        assert!(status.success(), "{status}");
        assert_eq!(in_flight.await.unwrap(), None);
        assert_eq!(receiver.spans().len() as f64, SPANS, "{:#?}", receiver.spans());
        no_violations(&receiver);
    });
    // Side by side: most of their time is the batch's.
    join_all(cases).await;
}

#[tokio::test]
async fn a_server_that_is_silent_holds_nobody_up_at_the_end() {
    let receiver = OtlpReceiver::start().await.unwrap();
    receiver.answer(Answer::Silence);
    let mut traced = Traced::start(Script::judging(), &over_http(&receiver, ALL, "")).await;
    traced.push(&[]).await;
    traced.flamegate.signal(Signal::SIGTERM).unwrap();
    let status = traced.flamegate.wait_exit(DEADLINE).await.unwrap();
    assert!(status.success(), "{status}");
    let line = traced.flamegate.wait_for_log("the last spans were not taken", Duration::from_secs(1)).await.unwrap();
    assert!(line.contains(HTTP), "{line}");
}

#[tokio::test]
async fn an_exporter_that_is_replaced_gets_what_was_recorded_before() {
    let receiver = OtlpReceiver::start().await.unwrap();
    let other = OtlpReceiver::start().await.unwrap();
    let traced = Traced::start(Script::judging(), &over_http(&receiver, ALL, "")).await;
    traced.push(&[]).await;
    traced.reload(&over_http(&other, ALL, "")).await;
    traced.push(&[]).await;
    receiver.wait_for("the push before", |spans| servers(spans).len() == 1).await.unwrap();
    other.wait_for("the push after", |spans| servers(spans).len() == 1).await.unwrap();
    assert_eq!(traced.metric("flamegate_tracing_dropped_spans_total", "").await, 0.0);
    no_violations(&receiver);
    no_violations(&other);
}
