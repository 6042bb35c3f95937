//! The stream of rates.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use flamegate_tests::flamegate::Signal;
use flamegate_tests::polling::DEADLINE;
use flamegate_tests::push_client::PushClient;
use flamegate_tests::spine::{RECEIVE, good_push};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::Pipeline;

const LIVE: &str = "livedebugging {\n  enabled = true\n}\n";

/// An answer that goes on.
struct Stream {
    body: Incoming,
    read: String,
}

impl Stream {
    async fn open(url: &str) -> Self {
        let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let response = timeout(DEADLINE, client.get(url.parse().unwrap())).await.unwrap().unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/json");
        Self { body: response.into_body(), read: String::new() }
    }

    /// The next piece; `None` at the end.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((piece, rest)) = self.read.split_once("|;|") {
                let (piece, rest) = (serde_json::from_str(piece).unwrap(), rest.to_owned());
                self.read = rest;
                return Some(piece);
            }
            let frame = timeout(DEADLINE, self.body.frame()).await.unwrap()?;
            self.read += std::str::from_utf8(frame.unwrap().data_ref().unwrap()).unwrap();
        }
    }
}

#[tokio::test]
async fn rates_while_profiles_pass() {
    let pipeline = Pipeline::start(LIVE).await;
    let url = format!("http://{}", pipeline.flamegate.listener(RECEIVE).await.unwrap());
    let mut outer = Stream::open(&pipeline.url("/api/v0/web/graph?window=1")).await;
    assert_eq!(outer.next().await, Some(json!([])), "nothing passes");
    let pushes = 8;
    for _ in 0..pushes {
        assert_eq!(PushClient::CONNECT.push(&url, &good_push()).await.unwrap().error, None);
    }
    // They may lie in two windows, and the first of these may have been there already.
    let mut rates: BTreeMap<String, (Value, f64)> = BTreeMap::new();
    for _ in 0..4 {
        for rate in outer.next().await.unwrap().as_array().unwrap() {
            assert_eq!(rate["type"], "pyroscope_profile", "{rate}");
            assert_eq!(rate.as_object().unwrap().len(), 4, "{rate}");
            let id = rate["componentID"].as_str().unwrap().to_owned();
            let entry = rates.entry(id).or_insert((rate["targetComponentIDs"].clone(), 0.0));
            entry.1 += rate["rate"].as_f64().unwrap();
        }
    }
    let rules = "pyroscope.relabel.rules";
    let expected = [
        (RECEIVE.to_owned(), (json!([rules]), f64::from(pushes))),
        (rules.to_owned(), (json!(["send.out/pyroscope.write.inner", "pyroscope.write.beside"]), f64::from(pushes))),
    ];
    assert_eq!(rates, expected.into());

    // Inside of a module there is only what ends there.
    let mut inner = Stream::open(&pipeline.url("/api/v0/web/graph/send.out?window=1")).await;
    assert_eq!(inner.next().await, Some(json!([])));
}

#[tokio::test]
async fn it_ends_with_the_process() {
    let mut pipeline = Pipeline::idle(LIVE).await;
    // No piece comes within this window.
    let mut stream = Stream::open(&pipeline.url("/api/v0/web/graph?window=60")).await;
    pipeline.flamegate.signal(Signal::SIGTERM).unwrap();
    assert_eq!(timeout(Duration::from_secs(5), stream.next()).await.expect("the end"), None);
    let status = pipeline.flamegate.wait_exit(Duration::from_secs(5)).await.unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn it_ends_when_live_debugging_is_switched_off() {
    let pipeline = Pipeline::idle(LIVE).await;
    let mut stream = Stream::open(&pipeline.url("/api/v0/web/graph?window=1")).await;
    assert!(stream.next().await.is_some());
    pipeline.flamegate.reload(&pipeline.configuration.replace("enabled = true", "enabled = false")).await.unwrap();
    // A piece that was on its way may still come.
    assert!(stream.next().await.is_none() || stream.next().await.is_none());
    refused(&pipeline).await;
}

#[tokio::test]
async fn without_live_debugging() {
    refused(&Pipeline::idle("").await).await;
}

async fn refused(pipeline: &Pipeline) {
    let reply = pipeline.get("/api/v0/web/graph").await;
    assert_eq!(reply.status, 500);
    assert!(reply.text().contains("livedebugging { enabled = true }"), "{}", reply.text());
}

#[tokio::test]
async fn windows() {
    let pipeline = Pipeline::idle(LIVE).await;
    for window in ["0", "61", "-1", "1.5", "5s", "x", "1e1", "%201", "18446744073709551617"] {
        let reply = pipeline.get(&format!("/api/v0/web/graph?window={window}")).await;
        assert_eq!(reply.status, 400, "{window}: {}", reply.text());
        assert!(reply.text().contains("between 1 and 60"), "{window}: {}", reply.text());
    }
    for window in ["1", "60", ""] {
        Stream::open(&pipeline.url(&format!("/api/v0/web/graph?window={window}"))).await;
    }
    Stream::open(&pipeline.url("/api/v0/web/graph")).await;
    assert_eq!(pipeline.get("/api/v0/web/graph/none").await.status, 404);
}
