//! What a sender hears.

use flamegate_tests::http_client::post;
use flamegate_tests::push_api::PushRequest;
use flamegate_tests::spine::good_profile;

use super::{arrived, down, metric, push, spine, wait_for_metric};

#[tokio::test]
async fn labels_are_validated_before_the_answer() {
    let spine = spine("", down()).await;
    let bad = PushRequest::one(&[("__name__", "process_cpu"), ("a-b", "x")], good_profile());
    let reply = push(&spine.url, &bad).await;
    assert_eq!((reply.status.as_u16(), reply.error.unwrap().code.as_str()), (400, "invalid_argument"));
    assert_eq!(post(&format!("{}/ingest?name=shop%7Ba-b=x%7D", spine.url), &[], "main 1\n").await.unwrap().status, 400);
    assert_eq!(metric(&spine.flamegate, "appended_total").await, 0.0);
    assert_eq!(arrived(&spine.backend), Vec::<String>::new());
}

/// What waits on disk holds no memory of the listener.
#[tokio::test]
async fn what_waits_holds_no_memory_of_the_receiver() {
    let endpoint = super::endpoint("");
    let settings = flamegate_tests::spine::Settings {
        receive: "max_inflight_bytes = \"1MiB\"\nmax_body_size = \"1MiB\"",
        endpoint: &endpoint,
        script: down(),
        ..Default::default()
    };
    let spine = flamegate_tests::spine::Spine::start(settings).await.unwrap();
    let body = bytes::Bytes::from(b"main;leaf 12345\n".repeat(40_000));
    for _ in 0..10 {
        let reply = post(&format!("{}/ingest?name=shop", spine.url), &[], body.clone()).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    wait_for_metric(&spine.flamegate, "records", 10.0).await;
}
