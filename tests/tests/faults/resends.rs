//! Senders that come again until they hear of success: no backend takes a profile twice.

use std::time::Duration;

use flamegate_tests::backend::{Answer, Backend, Script};
use flamegate_tests::blocks::{self, ReceiveHttp};
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::http_client::{Reply, post};
use flamegate_tests::polling::eventually;
use flamegate_tests::push_client::PushClient;
use flamegate_tests::spine::{RECEIVE, Settings, Spine, WRITE, good_push};
use http::StatusCode;

/// One attempt for each time that the sender comes.
const ONCE: &str = "max_backoff_retries = 1";

fn unavailable(times: usize) -> Script {
    Script::first(vec![Answer::status(StatusCode::SERVICE_UNAVAILABLE); times])
}

/// Two backends, of which the second one is down at first.
struct Pair {
    flamegate: Flamegate,
    backends: [Backend; 2],
    configuration: String,
    url: String,
}

impl Pair {
    async fn start(down: Script, endpoint: &str) -> Self {
        let backends = [Backend::start().await.unwrap(), Backend::start_with(down).await.unwrap()];
        let urls = backends.each_ref().map(Backend::url);
        let receive = ReceiveHttp { label: "default", writes: &["default"], ..ReceiveHttp::default() };
        let configuration = receive.block() + &blocks::write("default", &urls, endpoint);
        let flamegate = Flamegate::start(&configuration, &[]).await.unwrap();
        let url = format!("http://{}", flamegate.listener(RECEIVE).await.unwrap());
        Self { flamegate, backends, configuration, url }
    }

    async fn ingest(&self) -> Reply {
        post(&format!("{}/ingest?name=shop&from=1&until=2", self.url), &[], "main 1\n").await.unwrap()
    }

    async fn resent(&self, kind: &str) -> f64 {
        let metrics = self.flamegate.metrics().await.unwrap();
        metrics.sum("flamegate_receive_http_resent_total", &[("kind", kind)]).unwrap_or_default()
    }
}

#[tokio::test]
async fn each_backend_takes_each_profile_once() {
    let pair = Pair::start(unavailable(6), ONCE).await;
    let push = good_push();
    let ingested = eventually("a success on /ingest", async || {
        let status = pair.ingest().await.status;
        assert!(status == 200 || status == 503, "{status}");
        (status == 200).then_some(())
    });
    let pushed = eventually("a success on the push API", async || {
        PushClient::CONNECT.push(&pair.url, &push).await.unwrap().error.is_none().then_some(())
    });
    let (ingested, pushed) = tokio::join!(ingested, pushed);
    ingested.unwrap();
    pushed.unwrap();
    for backend in &pair.backends {
        let taken: Vec<_> = backend.received().iter().map(|received| received.api).collect();
        assert_eq!(taken.len(), 2, "{taken:?}");
    }
    assert_eq!(pair.backends[0].attempts().len(), 2);
    assert_eq!(pair.resent("completed").await, 6.0);
    // It is another one now.
    assert_eq!(pair.ingest().await.status, 200);
    assert_eq!(pair.backends.each_ref().map(|backend| backend.received().len()), [3, 3]);
}

#[tokio::test]
async fn a_reload_forgets_nothing() {
    let pair = Pair::start(unavailable(1), ONCE).await;
    assert_eq!(pair.ingest().await.status, 503);
    // Built again, with other limits before and other patience behind.
    let changed = pair.configuration.replace(ONCE, "max_backoff_retries = 2");
    let changed = changed.replace("forward_to", "max_body_size = \"1MiB\"\nforward_to");
    pair.flamegate.reload(&changed).await.unwrap();
    assert_eq!(pair.ingest().await.status, 200);
    assert_eq!(pair.backends.each_ref().map(|backend| backend.received().len()), [1, 1]);
}

#[tokio::test]
async fn who_is_not_required_decides_nothing() {
    let down = Backend::start_with(Script::always(Answer::status(StatusCode::BAD_GATEWAY))).await.unwrap();
    let spine = Spine::start(Settings { endpoint: ONCE, ..Settings::default() }).await.unwrap();
    let second = format!("  endpoint {{\n    url = \"{}\"\n    required = false\n    {ONCE}\n  }}\n}}\n", down.url());
    let configuration = spine.configuration.trim_end().strip_suffix('}').unwrap().to_owned() + &second;
    spine.flamegate.reload(&configuration).await.unwrap();
    spine.serves().await.unwrap();
    let pushed = PushClient::CONNECT.push(&spine.url, &good_push()).await.unwrap();
    assert_eq!(pushed.error, None);
    // It is counted and told all the same.
    let metrics = spine.flamegate.metrics().await.unwrap();
    let of_it = [("component_id", WRITE), ("endpoint", &down.url())];
    assert!(metrics.sum("pyroscope_write_dropped_profiles_total", &of_it).unwrap() >= 2.0);
    assert!(spine.flamegate.logs().iter().any(|line| line.contains("profile not delivered")));
}

/// The sender does not wait for the answer, and comes again while the first attempt goes on.
#[tokio::test]
async fn who_gave_up_joins_what_still_runs() {
    let slow = Script::always(Answer::Judge.after(Duration::from_secs(1)));
    let http = "server_write_timeout = \"300ms\"";
    let spine = Spine::start(Settings { http, script: slow, ..Settings::default() }).await.unwrap();
    let url = format!("{}/ingest?name=shop&from=1&until=2", spine.url);
    let mut answers = Vec::new();
    eventually("a success", async || {
        let status = post(&url, &[], "main 1\n").await.unwrap().status.as_u16();
        answers.push(status);
        (status == 200).then_some(())
    })
    .await
    .unwrap();
    let (last, before) = answers.split_last().unwrap();
    assert_eq!(*last, 200);
    assert!(!before.is_empty() && before.iter().all(|status| *status == 504), "{answers:?}");
    assert_eq!(spine.backend.attempts().len(), 1);
    assert_eq!(spine.backend.received().len(), 1);
}
