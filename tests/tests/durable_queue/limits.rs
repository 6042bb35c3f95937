//! When there is no room, or no time left.

use bytes::Bytes;
use flamegate_tests::backend::Script;
use flamegate_tests::push_api::PushRequest;
use flamegate_tests::spine::{GOOD_LABELS, Spine};

use super::{arrived, down, metric, push, spine, taken, wait_for_metric};

/// A profile of some tens of kilobytes.
fn large(id: &str) -> PushRequest {
    let names: Vec<String> = (0..1000).map(|number| format!("function_number_{number:010}_{id}")).collect();
    let stack: Vec<&str> = names.iter().map(String::as_str).collect();
    let profile: Bytes = flamegate_tests::pprof::ProfileBuilder::cpu().sample(&stack, &[10], &[]).encode();
    let mut push = PushRequest::one(&GOOD_LABELS, profile);
    push.series[0].samples[0].id = id.to_owned();
    push
}

#[tokio::test]
async fn a_full_queue_refuses_until_there_is_room() {
    let spine = spine("max_size = \"1MiB\"", down()).await;
    let mut ids = Vec::new();
    let refused = loop {
        let id = format!("{:03}", ids.len());
        let reply = push(&spine.url, &large(&id)).await;
        if reply.error.is_some() {
            break reply;
        }
        ids.push(id);
        assert!(ids.len() < 100, "a MiB holds no more than that");
    };
    let error = refused.error.unwrap();
    assert_eq!((refused.status.as_u16(), error.code.as_str()), (503, "unavailable"));
    assert_eq!(refused.headers["retry-after"], "5");
    assert!(error.message.contains("the queue is full") && error.message.contains(&spine.backend.url()), "{error:?}");
    assert_eq!(metric(&spine.flamegate, "refused_total").await, 1.0);
    spine.backend.follow(Script::judging());
    wait_for_metric(&spine.flamegate, "records", 0.0).await;
    assert_eq!(push(&spine.url, &large("late")).await.error, None);
    wait_for_metric(&spine.flamegate, "records", 0.0).await;
    let mut arrived = arrived(&spine.backend);
    arrived.sort();
    ids.push("late".to_owned());
    assert_eq!(arrived, ids);
}

#[tokio::test]
async fn a_full_queue_drops_the_oldest() {
    let spine = spine("max_size = \"1MiB\"\nwhen_full = \"drop_oldest\"", down()).await;
    for number in 0..60 {
        assert_eq!(push(&spine.url, &large(&format!("{number:03}"))).await.error, None, "{number}");
    }
    spine.backend.follow(Script::judging());
    wait_for_metric(&spine.flamegate, "records", 0.0).await;
    let arrived = arrived(&spine.backend);
    let dropped = metric(&spine.flamegate, "dropped_total").await;
    assert!(dropped >= 20.0, "{dropped} were dropped");
    // Those on their way when their segment went are not dropped until they come back.
    let missing: Vec<String> =
        (0..60).map(|number| format!("{number:03}")).filter(|id| !arrived.contains(id)).collect();
    assert_eq!(missing.len() as f64, dropped);
    assert!(missing.iter().all(|id| id.as_str() < "045"), "{missing:?}");
}

#[tokio::test]
async fn what_no_queue_of_this_size_can_take_is_refused_for_good() {
    let spine = spine("max_size = \"1MiB\"", down()).await;
    let body = Bytes::from(b"main;leaf 12345\n".repeat(40_000));
    let url = format!("{}/ingest?name=shop", spine.url);
    let reply = flamegate_tests::http_client::post(&url, &[], body).await.unwrap();
    assert_eq!(reply.status, 413, "{}", reply.text());
    assert!(reply.text().contains("max_size"), "{}", reply.text());
}

#[tokio::test]
async fn what_is_too_old_is_dropped_and_the_rest_arrives() {
    let spine: Spine = spine("max_age = \"1s\"", down()).await;
    for number in 0..20 {
        taken(&spine.url, &format!("old-{number}")).await;
    }
    wait_for_metric(&spine.flamegate, "expired_total", 20.0).await;
    assert_eq!(metric(&spine.flamegate, "records").await, 0.0);
    spine.backend.follow(Script::judging());
    taken(&spine.url, "new").await;
    wait_for_metric(&spine.flamegate, "acknowledged_total", 1.0).await;
    assert_eq!(arrived(&spine.backend), ["new"]);
}
