//! A queue outlives its component.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flamegate_tests::backend::Script;
use flamegate_tests::blocks::{self, ReceiveHttp};
use flamegate_tests::polling::{DEADLINE, eventually};

use super::{arrived, counted, down, metric, spine, taken, wait_for_metric};

const RELOADS: u32 = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_under_load_lose_nothing_and_send_nothing_twice() {
    let spine = spine("", Script::judging()).await;
    let over = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..4)
        .map(|sender| {
            // The port may change with a reload: that of the start is kept by what listens on it.
            let (over, url) = (over.clone(), spine.url.clone());
            tokio::spawn(async move {
                let mut sent = 0;
                while !over.load(Ordering::SeqCst) {
                    taken(&url, &format!("{sender}-{sent}")).await;
                    sent += 1;
                }
                sent
            })
        })
        .collect();
    for reload in 0..RELOADS {
        // Another write each time, now and then with nothing behind it.
        if reload % 4 == 0 {
            spine.backend.follow(if reload % 8 == 0 { down() } else { Script::judging() });
        }
        let timeout = format!("remote_timeout = \"{}s\"", 10 + reload);
        let changed = spine.configuration.replace("name = \"q\"", &format!("name = \"q\"\n{timeout}"));
        spine.flamegate.reload(&changed).await.unwrap();
    }
    spine.backend.follow(Script::judging());
    over.store(true, Ordering::SeqCst);
    let mut expected = HashMap::new();
    for (sender, sending) in senders.into_iter().enumerate() {
        let sent: usize = sending.await.unwrap();
        assert!(sent > 0);
        expected.extend((0..sent).map(|number| (format!("{sender}-{number}"), 1)));
    }
    wait_for_metric(&spine.flamegate, "records", 0.0).await;
    assert_eq!(counted(&spine.backend), expected);
}

#[tokio::test]
async fn a_queue_without_an_endpoint_is_reported_and_comes_back() {
    let spine = spine("", down()).await;
    taken(&spine.url, "one").await;
    let receive = ReceiveHttp { label: "default", writes: &["default"], ..ReceiveHttp::default() }.block();
    let without = receive + &blocks::write("default", &[spine.backend.url()], "");
    spine.flamegate.reload(&without).await.unwrap();
    wait_for_metric(&spine.flamegate, "orphans", 1.0).await;
    assert!(metric(&spine.flamegate, "orphan_bytes").await > 0.0);
    let line = spine.flamegate.wait_for_log("a queue that no endpoint has", DEADLINE).await.unwrap();
    assert!(line.contains("queue=q"), "{line}");
    let metrics = spine.flamegate.metrics().await.unwrap();
    assert_eq!(metrics.sum("flamegate_write_queue_records", &[]), None, "its series are gone");

    spine.backend.follow(Script::judging());
    spine.flamegate.reload(&spine.configuration).await.unwrap();
    eventually("it arrived", async || (arrived(&spine.backend) == ["one"]).then_some(())).await.unwrap();
}

#[tokio::test]
async fn a_queue_without_an_endpoint_is_removed_when_it_is_too_old() {
    let mut spine = spine("max_age = \"1s\"", down()).await;
    taken(&spine.url, "one").await;
    let queue = spine.flamegate.folder().join("data/queues/q");
    assert!(queue.is_dir());
    let folder = spine.flamegate.kill_into_folder().await.unwrap();
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let receive = ReceiveHttp { label: "default", writes: &["default"], ..ReceiveHttp::default() }.block();
    let without = receive + &blocks::write("default", &[spine.backend.url()], "");
    spine.flamegate = flamegate_tests::flamegate::Flamegate::start_in(folder, &without, &[]).await.unwrap();
    spine.flamegate.wait_for_log("removed a queue that no endpoint has", DEADLINE).await.unwrap();
    assert!(!spine.flamegate.folder().join("data/queues/q").exists());
}

/// The endpoint's name stays, its URL does not: what waits goes to the new one at once.
#[tokio::test]
async fn what_waits_goes_where_the_new_configuration_says() {
    let spine = spine("", down()).await;
    for number in 0..20 {
        taken(&spine.url, &number.to_string()).await;
    }
    let other = flamegate_tests::backend::Backend::start().await.unwrap();
    spine.flamegate.reload(&spine.configuration.replace(&spine.backend.url(), &other.url())).await.unwrap();
    eventually("all arrived", async || (arrived(&other).len() == 20).then_some(())).await.unwrap();
}
