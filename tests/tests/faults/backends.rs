//! Backends that fail: each failure is tried again, counted, and told to the sender when it lasts.

use std::time::Duration;

use flamegate_tests::backend::{Answer, Attempt, Backend, Options, Script, Verdict};
use flamegate_tests::blocks::{self, ReceiveHttp};
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::http_client::post;
use flamegate_tests::polling::{DEADLINE, eventually};
use flamegate_tests::push_client::PushClient;
use flamegate_tests::spine::{Settings, Spine, WRITE, good_push};
use http::StatusCode;
use prost::Message;

/// Name, what the backend does, and what the sender hears if it goes on: status, Connect's code.
fn faults() -> [(&'static str, Answer, u16, &'static str); 8] {
    let garbage = |bytes: &'static [u8]| Answer::Garbage(bytes.into());
    [
        ("nonsense", garbage(b"\0\xffnonsense\r\n\r\n"), 503, "unavailable"),
        ("half_a_head", garbage(b"HTTP/1.1 200 OK\r\ncontent-le"), 503, "unavailable"),
        ("bad_chunks", garbage(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"), 503, "unavailable"),
        ("half_an_answer", Answer::HalfReply, 503, "unavailable"),
        ("closes", Answer::Close, 503, "unavailable"),
        ("silence", Answer::Silence, 504, "deadline_exceeded"),
        ("late", Answer::Judge.after(Duration::from_secs(60)), 504, "deadline_exceeded"),
        ("unavailable", Answer::status(StatusCode::SERVICE_UNAVAILABLE), 503, "unavailable"),
    ]
}

const ENDPOINT: &str = "remote_timeout = \"300ms\"\nmin_backoff_period = \"1ms\"\nmax_backoff_retries = 3";

/// A pipeline for each fault in one process.
struct Pipelines {
    flamegate: Flamegate,
    backends: Vec<Backend>,
}

impl Pipelines {
    async fn start(script: impl Fn(&Answer) -> Script) -> Self {
        let mut configuration = String::new();
        let mut backends = Vec::new();
        for (name, answer, ..) in faults() {
            let backend = Backend::start_with(script(&answer)).await.unwrap();
            configuration += &ReceiveHttp { label: name, writes: &[name], ..ReceiveHttp::default() }.block();
            configuration += &blocks::write(name, &[backend.url()], ENDPOINT);
            backends.push(backend);
        }
        Self { flamegate: Flamegate::start(&configuration, &[]).await.unwrap(), backends }
    }

    async fn url(&self, name: &str) -> String {
        format!("http://{}", self.flamegate.listener(&format!("pyroscope.receive_http.{name}")).await.unwrap())
    }

    async fn count(&self, metric: &str, name: &str) -> f64 {
        let metrics = self.flamegate.metrics().await.unwrap();
        metrics.sum(metric, &[("component_id", &format!("pyroscope.write.{name}"))]).unwrap()
    }
}

#[tokio::test]
async fn what_passes_is_survived() {
    let pipelines = Pipelines::start(|answer| Script::first([answer.clone(), answer.clone()])).await;
    for ((name, answer, ..), backend) in faults().into_iter().zip(&pipelines.backends) {
        let url = pipelines.url(name).await;
        let pushed = PushClient::CONNECT.push(&url, &good_push()).await.unwrap();
        assert_eq!(pushed.error, None, "{name}: {}", backend.summary());
        let attempts = backend.wait_for_attempts(3, DEADLINE).await.unwrap();
        assert!(attempts.iter().all(|attempt| attempt.request.body == attempts[0].request.body), "{name}");
        assert_eq!(pipelines.count("pyroscope_write_retries_total", name).await, 2.0, "{name}");

        backend.follow(Script::first([answer.clone(), answer]));
        let ingested = post(&format!("{url}/ingest?name=shop"), &[], "main 1\n").await.unwrap();
        assert_eq!(ingested.status, 200, "{name}: {}", backend.summary());
        // A connection that was open before and closes without a word costs no attempt: it may have been closed before.
        let retries = if name == "closes" { 3.0 } else { 4.0 };
        assert_eq!(pipelines.count("pyroscope_write_retries_total", name).await, retries, "{name}");
        assert_eq!(pipelines.count("pyroscope_write_sent_profiles_total", name).await, 2.0, "{name}");
        assert_eq!(pipelines.count("pyroscope_write_dropped_profiles_total", name).await, 0.0, "{name}");
    }
}

#[tokio::test]
async fn what_lasts_is_told() {
    let pipelines = Pipelines::start(|answer| Script::always(answer.clone())).await;
    for ((name, _, status, code), backend) in faults().into_iter().zip(&pipelines.backends) {
        let url = pipelines.url(name).await;
        let pushed = PushClient::CONNECT.push(&url, &good_push()).await.unwrap();
        let error = pushed.error.unwrap();
        assert_eq!((pushed.status.as_u16(), error.code.as_str()), (status, code), "{name}: {}", error.message);
        assert!(error.message.contains(&backend.url()), "{name} does not say which endpoint: {}", error.message);
        let ingested = post(&format!("{url}/ingest?name=shop"), &[], "main 1\n").await.unwrap();
        assert_eq!(ingested.status, status, "{name}: {}", ingested.text());
        assert_eq!(pipelines.count("pyroscope_write_retries_total", name).await, 4.0, "{name}");
        assert_eq!(pipelines.count("pyroscope_write_dropped_profiles_total", name).await, 2.0, "{name}");

        backend.follow(Script::judging());
        let pushed = PushClient::CONNECT.push(&url, &good_push()).await.unwrap();
        assert_eq!(pushed.error, None, "{name}: after it the same pipeline delivers");
    }
}

#[tokio::test]
async fn a_backend_that_comes_back_is_found_again() {
    let endpoint = "min_backoff_period = \"1ms\"\nmax_backoff_period = \"50ms\"\nmax_backoff_retries = 0";
    let mut spine = Spine::start(Settings { endpoint, ..Settings::default() }).await.unwrap();
    spine.serves().await.unwrap();
    let address = spine.backend.address();
    let placeholder = Backend::start().await.unwrap();
    std::mem::replace(&mut spine.backend, placeholder).stop().await;

    let url = spine.url.clone();
    let waiting = tokio::spawn(async move { PushClient::CONNECT.push(&url, &good_push()).await });
    eventually("five retries", async || {
        let retries = spine.metric("pyroscope_write_retries_total", &[("component_id", WRITE)]).await.unwrap();
        (retries >= 5.0).then_some(())
    })
    .await
    .unwrap();
    let options = Options { address, ..Options::default() };
    spine.backend = Backend::start_as(options).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().error, None);
    assert_eq!(spine.backend.received().len(), 1);
}

/// The sender hears that it takes too long, by our limit or by its own; the profile is delivered all the same.
#[tokio::test]
async fn an_answer_that_comes_too_late_for_the_sender() {
    let slow = Script::first([Answer::Judge.after(Duration::from_millis(1500))]);
    for (http, header) in [("server_write_timeout = \"300ms\"", None), ("", Some(("connect-timeout-ms", "300")))] {
        let settings = Settings { http, script: slow.clone(), ..Settings::default() };
        let spine = Spine::start(settings).await.unwrap();
        let headers: Vec<_> = header.into_iter().collect();
        let message = good_push().encode_to_vec();
        let reply = PushClient::CONNECT.send(&spine.url, &message, &headers).await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.error.unwrap().code.as_str()), (504, "deadline_exceeded"));
        assert_eq!(spine.refused("unanswered").await.unwrap(), 1.0);
        let attempts = spine.backend.wait_for_attempts(1, DEADLINE).await.unwrap();
        let taken = |attempt: &Attempt| matches!(attempt.verdict, Verdict::Taken(_));
        assert!(attempts.iter().all(taken), "{}", spine.backend.summary());
        spine.serves().await.unwrap();
    }
}
