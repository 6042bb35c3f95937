//! Profiles that a backend refuses for good.

use bytes::Bytes;
use flamegate_tests::backend::{Answer, Script, Verdict};
use flamegate_tests::http_client::post;
use flamegate_tests::push_api::PushRequest;
use flamegate_tests::spine::GOOD_LABELS;
use http::StatusCode;

use super::{arrived, down, metric, push, push_of, spine, taken, wait_for_metric};

/// A series that is no pprof.
fn bad() -> PushRequest {
    PushRequest::one(&GOOD_LABELS, Bytes::from_static(b"\xff\xff\xff no pprof"))
}

#[tokio::test]
async fn the_guilty_one_of_a_batch_is_found_and_the_others_arrive() {
    let spine = spine("", down()).await;
    let ids: Vec<String> = (0..100).map(|number| format!("{number:03}")).collect();
    for id in &ids {
        if id == "050" {
            assert_eq!(push(&spine.url, &bad()).await.error, None, "it is not looked into here");
        }
        taken(&spine.url, id).await;
    }
    // In one request a good one beside a bad one.
    let mut mixed = push_of("mixed");
    mixed.series.extend(bad().series);
    assert_eq!(push(&spine.url, &mixed).await.error, None);
    spine.backend.follow(Script::judging());
    wait_for_metric(&spine.flamegate, "records", 0.0).await;
    let mut arrived = arrived(&spine.backend);
    arrived.sort();
    let expected: Vec<&str> = ids.iter().map(String::as_str).chain(["mixed"]).collect();
    assert_eq!(arrived, expected);
    assert_eq!(metric(&spine.flamegate, "rejected_total").await, 2.0);
    let refused = |attempts: Vec<flamegate_tests::backend::Attempt>| {
        attempts.into_iter().filter(|attempt| matches!(attempt.verdict, Verdict::Refused(_))).count()
    };
    let refused = refused(spine.backend.attempts());
    assert!((2..=2 * 7).contains(&refused), "{refused} refusals");
    let kept = spine.flamegate.folder().join("data/queues/q/rejected");
    let bytes: u64 = std::fs::read_dir(kept).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes > 0);
    let line = "queued profile rejected";
    assert!(spine.flamegate.logs().iter().any(|log| log.contains(line)), "{:?}", spine.flamegate.logs());
}

#[tokio::test]
async fn a_refused_ingest_is_kept_alone() {
    let spine = spine("", Script::first([Answer::text(StatusCode::UNPROCESSABLE_ENTITY, "no")])).await;
    for _ in 0..3 {
        let reply = post(&format!("{}/ingest?name=shop", spine.url), &[], "main 1\n").await.unwrap();
        assert_eq!(reply.status, 200);
    }
    wait_for_metric(&spine.flamegate, "records", 0.0).await;
    assert_eq!(spine.backend.received().len(), 2);
    let metrics = spine.flamegate.metrics().await.unwrap();
    let sum = |name: &str, labels: &[(&str, &str)]| metrics.sum(name, labels);
    assert_eq!(sum("flamegate_write_queue_rejected_total", &[("queue", "q")]), Some(1.0));
    assert_eq!(sum("pyroscope_write_dropped_profiles_total", &[]), Some(1.0));
    assert_eq!(sum("pyroscope_write_sent_profiles_total", &[]), Some(2.0));
}

#[tokio::test]
async fn who_is_not_let_in_is_not_asked_again_in_parts() {
    let spine = spine("", Script::always(Answer::status(StatusCode::UNAUTHORIZED))).await;
    let series = (0..10).flat_map(|number| push_of(&number.to_string()).series).collect();
    assert_eq!(push(&spine.url, &PushRequest { series }).await.error, None);
    wait_for_metric(&spine.flamegate, "records", 0.0).await;
    assert_eq!(spine.backend.attempts().len(), 1);
    assert_eq!(metric(&spine.flamegate, "rejected_total").await, 10.0);
}
