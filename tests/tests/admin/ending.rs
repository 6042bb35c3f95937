//! The end of the process.

use std::time::Duration;

use flamegate_tests::backend::{Answer, Attempt, Script, Verdict};
use flamegate_tests::flamegate::Signal;
use flamegate_tests::http_client::post;
use flamegate_tests::polling::{DEADLINE, eventually};
use flamegate_tests::raw_http::RawConnection;
use flamegate_tests::spine::{Settings, Spine};
use http::StatusCode;

#[tokio::test]
async fn a_request_in_flight_finishes() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let slow = Script::always(Answer::status(StatusCode::OK).after(Duration::from_secs(1)));
        let mut spine = Spine::start(Settings { script: slow, ..Settings::default() }).await.unwrap();
        let mut idle = RawConnection::open(spine.address).await.unwrap();
        let url = format!("{}/ingest?name=shop", spine.url);
        let in_flight = tokio::spawn(async move { post(&url, &[], "main 1\n").await.unwrap().status });
        spine.backend.wait_for_attempts(1, DEADLINE).await.unwrap();

        spine.flamegate.signal(signal).unwrap();
        eventually("no new connection is taken", async || RawConnection::open(spine.address).await.err())
            .await
            .unwrap();
        assert_eq!(idle.reply().await.unwrap(), None, "an idle connection is closed");
        assert_eq!(in_flight.await.unwrap(), 200, "{signal}");
        let status = spine.flamegate.wait_exit(DEADLINE).await.unwrap();
        assert!(status.success(), "{signal}: {status}, {:#?}", spine.flamegate.logs());
    }
}

/// Whoever never finishes is not waited for without end.
#[tokio::test]
async fn a_request_that_does_not_finish_is_cut_off() {
    let receive = "graceful_shutdown_timeout = \"1s\"";
    let settings = Settings { receive, script: Script::always(Answer::Silence), ..Settings::default() };
    let mut spine = Spine::start(settings).await.unwrap();
    let url = format!("{}/ingest?name=shop", spine.url);
    let in_flight = tokio::spawn(async move { post(&url, &[], "main 1\n").await.is_err() });
    spine.backend.wait_for_attempts(1, DEADLINE).await.unwrap();
    spine.flamegate.signal(Signal::SIGTERM).unwrap();
    let status = spine.flamegate.wait_exit(DEADLINE).await.unwrap();
    assert!(status.success(), "{status}");
    assert!(in_flight.await.unwrap());
    let line = spine.flamegate.wait_for_log("cut off", DEADLINE).await.unwrap();
    assert!(line.contains("level=warn"), "{line}");
}

/// The sender was told that the delivery goes on: so it does, to its end.
#[tokio::test]
async fn what_outlives_its_answer_is_finished() {
    let slow = Script::always(Answer::Judge.after(Duration::from_secs(3)));
    let settings = Settings { http: "server_write_timeout = \"1s\"", script: slow, ..Settings::default() };
    let mut spine = Spine::start(settings).await.unwrap();
    let url = format!("{}/ingest?name=shop", spine.url);
    assert_eq!(post(&url, &[], "main 1\n").await.unwrap().status, 504);
    assert_eq!(spine.backend.received().len(), 0);
    spine.flamegate.signal(Signal::SIGTERM).unwrap();
    let status = spine.flamegate.wait_exit(DEADLINE).await.unwrap();
    assert!(status.success(), "{status}");
    let attempts = spine.backend.wait_for_attempts(1, DEADLINE).await.unwrap();
    assert!(matches!(attempts.as_slice(), [Attempt { verdict: Verdict::Taken(_), .. }]), "{}", spine.backend.summary());
}

#[tokio::test]
async fn what_outlives_its_answer_is_not_waited_for_without_end() {
    let settings = Settings {
        receive: "graceful_shutdown_timeout = \"1s\"",
        http: "server_write_timeout = \"1s\"",
        script: Script::always(Answer::Silence),
        ..Settings::default()
    };
    let mut spine = Spine::start(settings).await.unwrap();
    let url = format!("{}/ingest?name=shop", spine.url);
    for _ in 0..2 {
        assert_eq!(post(&url, &[], "main 1\n").await.unwrap().status, 504);
    }
    spine.flamegate.signal(Signal::SIGTERM).unwrap();
    let status = spine.flamegate.wait_exit(DEADLINE).await.unwrap();
    assert!(status.success(), "{status}");
    let line = spine.flamegate.wait_for_log("cut off", DEADLINE).await.unwrap();
    assert!(line.contains("level=warn") && line.contains(" requests=2"), "{line}");
}
