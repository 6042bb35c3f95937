//! `flamegate queue`.

use std::path::Path;

use flamegate_tests::backend::{Answer, Backend, Script};
use flamegate_tests::flamegate::{Ended, Flamegate};
use http::StatusCode;

use super::{arrived, down, spine, taken, wait_for_metric};

async fn queue(data: &Path, arguments: &[&str]) -> Ended {
    let storage = format!("--storage.path={}", data.display());
    let all: Vec<&str> = ["queue"].into_iter().chain(arguments.iter().copied()).chain([storage.as_str()]).collect();
    Flamegate::command(data, &all, "").await.unwrap()
}

#[tokio::test]
async fn what_waits_is_listed_while_it_waits() {
    let spine = spine("", down()).await;
    for id in ["1", "2", "3"] {
        taken(&spine.url, id).await;
    }
    let data = spine.flamegate.folder().join("data");
    let listed = queue(&data, &["list"]).await;
    let line = listed.stdout.lines().nth(1).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!((words[0], words[1], words[4]), ("q", "3", "yes"), "{listed:?}");
    // Whoever only looks changes nothing.
    spine.backend.follow(Script::judging());
    wait_for_metric(&spine.flamegate, "records", 0.0).await;
    assert_eq!(arrived(&spine.backend).len(), 3);
}

#[tokio::test]
async fn what_was_rejected_is_listed_sent_elsewhere_and_dropped() {
    let spine = spine("", Script::always(Answer::text(StatusCode::BAD_REQUEST, "not here"))).await;
    for id in ["1", "2"] {
        taken(&spine.url, id).await;
    }
    wait_for_metric(&spine.flamegate, "records", 0.0).await;
    let data = spine.flamegate.folder().join("data");
    let listed = queue(&data, &["rejected", "q"]).await;
    assert_eq!(listed.stdout.lines().filter(|line| line.contains("not here")).count(), 2, "{listed:?}");
    let busy = queue(&data, &["rejected", "q", "--drop"]).await;
    assert!(busy.code == Some(1) && busy.stderr.contains("in use by another process"), "{busy:?}");

    let folder = spine.flamegate.kill_into_folder().await.unwrap();
    let data = folder.path().join("data");
    let refusing =
        Backend::start_with(Script::first([Answer::Judge, Answer::status(StatusCode::FORBIDDEN)])).await.unwrap();
    let sent = queue(&data, &["rejected", "q", "--to", &refusing.url()]).await;
    assert!(sent.code == Some(1) && sent.stdout.contains("1 records sent"), "{sent:?}");
    let left = queue(&data, &["rejected", "q"]).await;
    assert_eq!(left.stdout.lines().count(), 1, "{left:?}");
    let dropped = queue(&data, &["rejected", "q", "--drop"]).await;
    assert!(dropped.code == Some(0) && dropped.stdout.contains("1 records dropped"), "{dropped:?}");
    assert_eq!(queue(&data, &["rejected", "q"]).await.stdout, "");
    assert_eq!(arrived(&refusing).len(), 1);
    let unknown = queue(&data, &["rejected", "other"]).await;
    assert!(unknown.code == Some(1) && unknown.stderr.contains("there is no queue"), "{unknown:?}");
}
