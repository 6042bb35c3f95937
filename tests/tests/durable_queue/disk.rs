//! Disks that do not take what they should, and folders that cannot be used.

use std::time::Duration;

use flamegate_tests::backend::{Backend, Script};
use flamegate_tests::blocks::{self, ReceiveHttp};
use flamegate_tests::flamegate::{Flamegate, FlamegateError};
use flamegate_tests::polling::eventually;

use super::{arrived, down, endpoint, metric, push, push_of, spine, taken, wait_for_metric};

fn configuration(urls: &[String], endpoint: &str) -> String {
    let receive = ReceiveHttp { label: "default", writes: &["default"], ..ReceiveHttp::default() }.block();
    receive + &blocks::write("default", urls, endpoint)
}

#[tokio::test]
async fn a_disk_that_is_full_refuses_and_the_process_serves_on() {
    let spine = spine("", down()).await;
    taken(&spine.url, "before").await;
    spine.flamegate.limit_file_size(Some(0)).unwrap();
    let reply = push(&spine.url, &push_of("refused")).await;
    let error = reply.error.unwrap();
    assert_eq!((reply.status.as_u16(), error.code.as_str()), (503, "unavailable"), "{error:?}");
    assert_eq!(reply.headers["retry-after"], "5");
    assert!(error.message.contains("the queue cannot be written"), "{error:?}");
    assert!(metric(&spine.flamegate, "io_errors_total").await >= 1.0);
    spine.flamegate.limit_file_size(None).unwrap();
    taken(&spine.url, "after").await;
    spine.backend.follow(Script::judging());
    wait_for_metric(&spine.flamegate, "records", 0.0).await;
    let mut arrived = arrived(&spine.backend);
    arrived.sort();
    assert_eq!(arrived, ["after", "before"]);
}

#[tokio::test]
async fn what_arrives_while_the_disk_is_full_is_noted_later() {
    let spine = spine("", down()).await;
    taken(&spine.url, "one").await;
    spine.flamegate.limit_file_size(Some(0)).unwrap();
    spine.backend.follow(Script::judging());
    eventually("it arrived", async || (arrived(&spine.backend) == ["one"]).then_some(())).await.unwrap();
    let errors = metric(&spine.flamegate, "io_errors_total").await;
    let look = async || (metric(&spine.flamegate, "io_errors_total").await > errors).then_some(());
    eventually("to note it fails, and is tried again", look).await.unwrap();
    spine.flamegate.limit_file_size(None).unwrap();
    let folder = spine.flamegate.into_folder(Duration::from_secs(20)).await.unwrap();
    let flamegate = Flamegate::start_in(folder, &spine.configuration, &[]).await.unwrap();
    wait_for_metric(&flamegate, "records", 0.0).await;
    assert_eq!(arrived(&spine.backend), ["one"]);
}

async fn refusal(folder: tempfile::TempDir, configuration: &str, arguments: &[&str]) -> String {
    match Flamegate::start_in(folder, configuration, arguments).await {
        Err(FlamegateError::Ended { logs, .. }) => logs,
        other => panic!("it does not end: {other:?}"),
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_an_error_of_the_configuration() {
    let backend = Backend::start().await.unwrap();
    let configuration = configuration(&[backend.url()], &endpoint(""));
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    std::fs::write(folder.path().join("data/queues"), "a file").unwrap();
    let logs = refusal(folder, &configuration, &[]).await;
    assert!(logs.contains("data/queues/q cannot be opened"), "{logs}");
    assert!(logs.contains("--storage.path"), "{logs}");

    // Whatever the permissions, nobody makes a folder there.
    let logs = refusal(tempfile::tempdir().unwrap(), &configuration, &["--storage.path=/proc/self"]).await;
    assert!(logs.contains("/proc/self/queues/q cannot be opened"), "{logs}");
}

#[tokio::test]
async fn a_queue_has_one_process_and_one_endpoint() {
    let first = spine("", Script::judging()).await;
    let storage = format!("--storage.path={}", first.flamegate.folder().join("data").display());
    let logs = refusal(tempfile::tempdir().unwrap(), &first.configuration, &[&storage]).await;
    assert!(logs.contains("in use by another process"), "{logs}");

    let twice = configuration(&[first.backend.url(), first.backend.url()], &endpoint(""));
    let logs = refusal(tempfile::tempdir().unwrap(), &twice, &[]).await;
    assert!(logs.contains("has the same queue as one of pyroscope.write.default"), "{logs}");
    first.serves().await.unwrap();
}
