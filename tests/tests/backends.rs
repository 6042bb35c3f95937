//! Backends that discovery finds: they come, go and die while profiles flow, and none is lost.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "all of this file is test code")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use flamegate_tests::backend::{Backend, Received};
use flamegate_tests::blocks::{self, ReceiveHttp};
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::polling::eventually;
use flamegate_tests::push_api::PushRequest;
use flamegate_tests::push_client::PushClient;
use flamegate_tests::spine::{RECEIVE, WRITE, good_profile};

const SENDERS: usize = 4;

fn configuration(files: &Path) -> String {
    let receive = ReceiveHttp { label: "default", writes: &["default"], ..ReceiveHttp::default() }.block();
    let discovery = format!("discovery.file \"backends\" {{\n  files = [{files:?}]\n}}\n");
    let endpoint = r#"
    min_backoff_period = "10ms"
    backends {
      targets = discovery.file.backends.targets
      health_check {
        type     = "tcp"
        interval = "200ms"
      }
    }"#;
    receive + &discovery + &blocks::write("default", &["http://pyroscope.invalid:4040".to_owned()], endpoint)
}

/// Writes aside and renames, as careful programs do.
fn put(folder: &Path, backends: &[&Backend]) {
    let targets: Vec<String> = backends.iter().map(|backend| backend.address().to_string()).collect();
    let aside = folder.join("aside");
    fs::write(&aside, serde_json::json!([{ "targets": targets, "labels": { "zone": "1" } }]).to_string()).unwrap();
    fs::rename(aside, folder.join("backends.json")).unwrap();
}

fn ids(received: &[Received]) -> BTreeSet<String> {
    received.iter().map(|received| received.labels["id"].clone()).collect()
}

#[tokio::test]
async fn nothing_is_lost_while_backends_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b, c, d] = [(); 4].map(|()| Backend::start());
    let (a, b, c, d) = (a.await.unwrap(), b.await.unwrap(), c.await.unwrap(), d.await.unwrap());
    put(folder.path(), &[&a, &b]);
    let flamegate = Flamegate::start(&configuration(&folder.path().join("*.json")), &[]).await.unwrap();
    let url = format!("http://{}", flamegate.listener(RECEIVE).await.unwrap());
    let (sent, over) = (AtomicUsize::new(0), AtomicBool::new(false));

    let sending = async {
        let sender = async || {
            while !over.load(Ordering::Relaxed) {
                let id = sent.fetch_add(1, Ordering::Relaxed).to_string();
                let labels = [("__name__", "process_cpu"), ("service_name", "shop"), ("id", id.as_str())];
                let reply = PushClient::CONNECT.push(&url, &PushRequest::one(&labels, good_profile())).await.unwrap();
                assert_eq!(reply.error, None, "{}", flamegate.logs().join("\n"));
            }
        };
        let senders: [_; SENDERS] = std::array::from_fn(|_| sender());
        futures_util::future::join_all(senders).await;
    };
    let changing = async {
        let gets_some = async |backend: &Backend| {
            let before = backend.received().len();
            let more = async || (backend.received().len() > before + 5).then_some(());
            eventually("it gets profiles", more)
                .await
                .unwrap_or_else(|error| panic!("{error}\n{}", flamegate.logs().join("\n")));
        };
        gets_some(&a).await;
        gets_some(&b).await;
        put(folder.path(), &[&b, &c]);
        gets_some(&c).await;
        put(folder.path(), &[&c, &d]);
        gets_some(&d).await;
        // A file that is no list changes nothing.
        fs::write(folder.path().join("backends.json"), "[{").unwrap();
        gets_some(&d).await;
        put(folder.path(), &[&a, &d]);
        gets_some(&a).await;
        // It dies without a word, under load.
        let address = d.address();
        let of_d = ids(&d.stop().await);
        gets_some(&a).await;
        let labels = [("component_id", WRITE), ("backend", &*address.to_string())];
        let unhealthy = async || {
            let state = flamegate.metrics().await.ok()?.sum("flamegate_write_backend_state", &labels)?;
            (state == 2.0).then_some(())
        };
        eventually("its checks fail", unhealthy).await.unwrap();
        over.store(true, Ordering::Relaxed);
        of_d
    };
    let ((), of_d) = tokio::join!(sending, changing);

    let mut all = of_d;
    for backend in [&a, &b, &c] {
        all.extend(ids(&backend.received()));
    }
    let missing: Vec<usize> = (0..sent.load(Ordering::Relaxed)).filter(|id| !all.contains(&id.to_string())).collect();
    assert!(
        missing.is_empty(),
        "{missing:?} of {} are lost\n{}",
        sent.load(Ordering::Relaxed),
        flamegate.logs().join("\n")
    );
    let text = flamegate.metrics().await.unwrap();
    let gone = text.sum("flamegate_write_backend_requests_total", &[("backend", &*b.address().to_string())]);
    assert_eq!(gone, None, "who is no target any more has no series");
}
