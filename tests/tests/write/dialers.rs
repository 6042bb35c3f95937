//! Connections are counted by who opens them, under the names of the reference.

use flamegate_tests::backend::{Answer, Backend, Script};
use flamegate_tests::blocks::{self, ReceiveHttp};
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::http_client::post;
use flamegate_tests::polling::eventually;
use flamegate_tests::reserved_port::ReservedPort;
use flamegate_tests::spine::RECEIVE;

const REASONS: [&str; 4] = ["resolution", "refused", "timeout", "unknown"];

async fn counted(flamegate: &Flamegate, what: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let metrics = flamegate.metrics().await.unwrap();
    metrics.sum(&format!("net_conntrack_dialer_conn_{what}_total"), labels)
}

#[tokio::test]
async fn connections_are_counted_by_the_endpoint_s_name() {
    let backend = Backend::start_with(Script::first([Answer::Judge, Answer::Close])).await.unwrap();
    let refused = ReservedPort::new().unwrap();
    let endpoint = |name: &str, url: &str| {
        blocks::write(name, &[url.to_owned()], &format!("name = \"{name}\"\nmax_backoff_retries = 1"))
    };
    let configuration = ReceiveHttp { label: "default", writes: &["up", "down", "nowhere"], ..ReceiveHttp::default() }
        .block()
        + &endpoint("up", &backend.url())
        + &endpoint("down", &format!("http://{}", refused.address()))
        // No label of a name has so many letters, which the resolver knows without asking anyone.
        + &endpoint("nowhere", &format!("http://{}.invalid:4040", "x".repeat(64)));
    let flamegate = Flamegate::start(&configuration, &[]).await.unwrap();
    let url = format!("http://{}/ingest?name=shop", flamegate.listener(RECEIVE).await.unwrap());
    for name in ["up", "down", "nowhere"] {
        let dialer = [("dialer_name", name)];
        for what in ["attempted", "established", "failed", "closed"] {
            assert_eq!(counted(&flamegate, what, &dialer).await, Some(0.0), "{name}: {what}");
        }
    }
    post(&url, &[], "main 1\n").await.unwrap();
    for (name, established, reason) in [("up", 1.0, ""), ("down", 0.0, "refused"), ("nowhere", 0.0, "resolution")] {
        let dialer = ("dialer_name", name);
        assert_eq!(counted(&flamegate, "attempted", &[dialer]).await, Some(1.0), "{name}");
        assert_eq!(counted(&flamegate, "established", &[dialer]).await, Some(established), "{name}");
        for other in REASONS {
            let expected = if other == reason { 1.0 } else { 0.0 };
            assert_eq!(counted(&flamegate, "failed", &[dialer, ("reason", other)]).await, Some(expected), "{name}");
        }
        assert_eq!(counted(&flamegate, "closed", &[dialer]).await, Some(0.0), "{name}");
    }
    // The backend closes, and nothing is left of it when the component is gone.
    post(&url, &[], "main 2\n").await.unwrap();
    flamegate.reload(&configuration.replace("name = \"up\"", "name = \"other\"")).await.unwrap();
    let up = [("dialer_name", "up")];
    eventually("all connections are closed", async || {
        (counted(&flamegate, "closed", &up).await == counted(&flamegate, "established", &up).await).then_some(())
    })
    .await
    .unwrap();
}
