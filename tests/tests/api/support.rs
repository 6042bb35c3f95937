//! `/-/support`.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::time::Duration;

use flamegate_tests::flamegate::{Flamegate, Metrics, Signal};
use flamegate_tests::http_client::{Reply, get};
use flamegate_tests::polling::eventually;
use flamegate_tests::push_client::PushClient;
use flamegate_tests::spine::{RECEIVE, good_push};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use zip::ZipArchive;

use super::{PASSWORD, Pipeline};

/// The files of an archive, without its folder.
fn files(reply: &Reply) -> BTreeMap<String, String> {
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.headers["content-type"], "application/zip");
    let disposition = reply.headers["content-disposition"].to_str().unwrap();
    assert_eq!(disposition, "attachment; filename=\"flamegate-support-bundle.zip\"");
    let mut zip = ZipArchive::new(Cursor::new(&reply.body)).unwrap();
    let indexes = 0..zip.len();
    indexes
        .map(|index| {
            let file = zip.by_index(index).unwrap();
            let name = file.name().unwrap().strip_prefix("flamegate-support-bundle/").unwrap().to_owned();
            (name, std::io::read_to_string(file).unwrap())
        })
        .collect()
}

/// A collection that has begun: another one is refused meanwhile.
async fn begin(pipeline: &Pipeline, path: &str) -> JoinHandle<Reply> {
    let ask = || {
        let url = pipeline.url(path);
        tokio::spawn(async move { get(&url).await.unwrap() })
    };
    let mut bundle = ask();
    eventually("the collection has begun", async || {
        let reply = pipeline.get("/-/support?duration=1").await;
        // The other one came first, and this one was refused.
        if bundle.is_finished() {
            bundle = ask();
            return None;
        }
        (reply.status == 429).then(|| assert!(reply.text().contains("already"), "{}", reply.text()))
    })
    .await
    .unwrap();
    bundle
}

#[tokio::test]
async fn what_is_inside() {
    let pipeline = Pipeline::start("").await;
    let bundle = begin(&pipeline, "/-/support?duration=2").await;
    let url = format!("http://{}", pipeline.flamegate.listener(RECEIVE).await.unwrap());
    assert_eq!(PushClient::CONNECT.push(&url, &good_push()).await.unwrap().error, None);
    pipeline.flamegate.reload(&pipeline.configuration).await.unwrap();

    let files = files(&bundle.await.unwrap());
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    let expected = [
        "README.txt",
        "flamegate-components.json",
        "flamegate-environment.txt",
        "flamegate-logs.txt",
        "flamegate-metadata.yaml",
        "flamegate-metrics-sample-end.txt",
        "flamegate-metrics-sample-start.txt",
        "flamegate-peers.json",
        "flamegate-runtime-flags.txt",
        "sources/config.alloy",
    ];
    assert_eq!(names, expected);
    for (name, text) in &files {
        assert!(!text.contains(PASSWORD), "{name}: {text}");
    }

    let components: Vec<Value> = serde_json::from_str(&files["flamegate-components.json"]).unwrap();
    let mut ids: Vec<String> = components
        .iter()
        .map(|component| format!("{}/{}", component["moduleID"], component["localID"]).replace('"', ""))
        .collect();
    ids.sort_unstable();
    let expected = [
        "/foreach.each",
        "/pyroscope.receive_http.default",
        "/pyroscope.relabel.rules",
        "/pyroscope.write.beside",
        "/send.out",
        "foreach.each/foreach_a_1/pyroscope.write.of_item",
        "foreach.each/foreach_b_1/pyroscope.write.of_item",
        "send.out/pyroscope.write.inner",
    ];
    assert_eq!(ids, expected);
    let inner = components.iter().find(|component| component["moduleID"] == "send.out").unwrap();
    let told = pipeline.json("components/send.out/pyroscope.write.inner").await;
    assert_eq!((&inner["arguments"], &inner["exports"]), (&told["arguments"], &told["exports"]));

    // What happened meanwhile lies between the two looks.
    let [start, end] =
        ["start", "end"].map(|when| Metrics::parse(&files[&format!("flamegate-metrics-sample-{when}.txt")]).unwrap());
    let sent = |metrics: &Metrics| metrics.sum("pyroscope_write_sent_profiles_total", &[]).unwrap();
    assert_eq!((sent(&start), sent(&end)), (0.0, 1.0));
    let logs = &files["flamegate-logs.txt"];
    // It listens before it is ready.
    assert!(logs.contains("config reloaded") && !logs.contains("msg=listening"), "{logs}");

    let source = &files["sources/config.alloy"];
    for kept in ["declare \"send\" {", "target_label = \"edge\"", "username = \"edge\"", "= argument.password.value"] {
        assert!(source.contains(kept), "{kept:?} is missing in\n{source}");
    }
    for line in ["os: linux", "build_version: v"] {
        assert!(files["flamegate-metadata.yaml"].contains(line), "{}", files["flamegate-metadata.yaml"]);
    }
    assert!(files["flamegate-runtime-flags.txt"].contains("--server.http.listen-addr=127.0.0.1:0\n"));
    assert!(files["flamegate-environment.txt"].lines().any(|line| line.starts_with("RUST_LOG=")));
}

#[tokio::test]
async fn durations() {
    let flamegate = Flamegate::start("", &[]).await.unwrap();
    for duration in ["0", "61", "-1", "1.5", "5s", "", "x", "18446744073709551617", "%2B"] {
        let reply = get(&format!("http://{}/-/support?duration={duration}", flamegate.admin())).await.unwrap();
        assert_eq!(reply.status, 400, "{duration}: {}", reply.text());
        assert!(reply.text().contains("from 1 to 60"), "{duration}: {}", reply.text());
    }
}

/// The end of the process ends a collection early.
#[tokio::test]
async fn it_ends_with_the_process() {
    let mut pipeline = Pipeline::idle("").await;
    let bundle = begin(&pipeline, "/-/support").await;
    pipeline.flamegate.signal(Signal::SIGTERM).unwrap();
    let reply = timeout(Duration::from_secs(10), bundle).await.expect("the bundle in time").unwrap();
    let logs = &files(&reply)["flamegate-logs.txt"];
    assert!(logs.contains("stopping"), "{logs}");
    let status = pipeline.flamegate.wait_exit(Duration::from_secs(10)).await.unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn it_can_be_disabled() {
    for (flag, allowed) in [
        ("--server.http.disable-support-bundle", false),
        ("--server.http.disable-support-bundle=true", false),
        ("--server.http.disable-support-bundle=false", true),
    ] {
        let flamegate = Flamegate::start("", &[flag]).await.unwrap();
        let reply = get(&format!("http://{}/-/support?duration=1", flamegate.admin())).await.unwrap();
        if allowed {
            assert!(files(&reply)["flamegate-runtime-flags.txt"].contains(flag));
        } else {
            assert_eq!(reply.status, 403, "{flag}");
            assert!(reply.text().contains("--server.http.disable-support-bundle"), "{}", reply.text());
        }
        assert!(!flamegate.logs().iter().any(|line| line.contains("level=warn")), "it has an effect");
    }
}
