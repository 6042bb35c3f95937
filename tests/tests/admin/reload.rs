//! Another configuration in place of the one that runs.

use std::net::SocketAddr;
use std::time::Duration;

use flamegate_tests::backend::{Answer, Backend, Script};
use flamegate_tests::blocks::{self, ReceiveHttp};
use flamegate_tests::flamegate::{Flamegate, FlamegateError, Signal};
use flamegate_tests::http_client::post;
use flamegate_tests::polling::{DEADLINE, eventually};
use flamegate_tests::push_client::PushClient;
use flamegate_tests::raw_http::RawConnection;
use flamegate_tests::spine::{RECEIVE, Settings, Spine, good_push};
use http::StatusCode;

use super::{BROKEN, with_relabel};

/// The address of the last line that says so: a receiver that moved has several.
fn last_listener(flamegate: &Flamegate, component: &str) -> SocketAddr {
    let logs = flamegate.logs();
    let of_component = logs.iter().rev().find(|line| line.contains("msg=listening ") && line.contains(component));
    of_component.and_then(|line| line.rsplit_once("addr=")).unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn a_broken_configuration_changes_nothing() {
    let spine = Spine::start(Settings::default()).await.unwrap();
    let failures = || spine.metric("alloy_config_load_failures_total", &[]);
    let successful = || spine.metric("alloy_config_last_load_successful", &[]);
    for ((configuration, line, place, says), count) in BROKEN.into_iter().zip(1..) {
        let refused = match spine.flamegate.reload(configuration).await {
            Err(FlamegateError::Answer { status: 400, body, .. }) => body,
            other => panic!("{configuration}: {other:?}"),
        };
        for part in [line, &format!("config.alloy:{place}"), says] {
            assert!(refused.contains(part), "{configuration}: {part:?} is missing in:\n{refused}");
        }
        assert_eq!(failures().await.unwrap(), f64::from(count));
        assert_eq!(successful().await.unwrap(), 0.0);
        spine.serves().await.unwrap();
    }
    // One good component beside a broken one: not even that is put in place.
    let half = spine.configuration.clone() + BROKEN[2].0;
    assert!(spine.flamegate.reload(&half).await.is_err());
    let ready = format!("http://{}/-/ready", spine.flamegate.admin());
    assert_eq!(flamegate_tests::http_client::get(&ready).await.unwrap().status, 200, "what runs is ready");
    spine.flamegate.reload(&spine.configuration).await.unwrap();
    assert_eq!(successful().await.unwrap(), 1.0);
    spine.serves().await.unwrap();
}

#[tokio::test]
async fn sighup_reloads() {
    let spine = Spine::start(Settings::default()).await.unwrap();
    spine.flamegate.replace_configuration(BROKEN[2].0).unwrap();
    spine.flamegate.signal(Signal::SIGHUP).unwrap();
    let line = spine.flamegate.wait_for_log("failed to reload config", DEADLINE).await.unwrap();
    assert!(line.contains("level=error") && line.contains("3:11"), "{line}");
    spine.serves().await.unwrap();

    let other = Backend::start().await.unwrap();
    let configuration = spine.configuration.replace(&spine.backend.url(), &other.url());
    spine.flamegate.replace_configuration(&configuration).unwrap();
    spine.flamegate.signal(Signal::SIGHUP).unwrap();
    spine.flamegate.wait_for_log("msg=\"config reloaded\"", DEADLINE).await.unwrap();
    spine.serves().await.unwrap();
    assert_eq!((spine.backend.received().len(), other.received().len()), (1, 1));
}

/// The answers of a backend that takes its time, recorded when the request arrives.
fn slowly(status: StatusCode) -> Script {
    Script::always(Answer::status(status).after(Duration::from_secs(1)))
}

#[tokio::test]
async fn a_receiver_that_moves_finishes_what_it_has() {
    let spine = Spine::start(Settings { script: slowly(StatusCode::OK), ..Settings::default() }).await.unwrap();
    let url = format!("{}/ingest?name=shop", spine.url);
    let in_flight = tokio::spawn(async move { post(&url, &[], "main 1\n").await.unwrap().status });
    spine.backend.wait_for_attempts(1, DEADLINE).await.unwrap();

    // Another address of loopback: with any free port, so that it is another port as well.
    let moved = spine.configuration.replace("127.0.0.1\"\n    listen_port", "127.0.0.2\"\n    listen_port");
    assert_ne!(moved, spine.configuration);
    spine.flamegate.reload(&moved).await.unwrap();
    let address = last_listener(&spine.flamegate, RECEIVE);
    assert_ne!(address, spine.address);
    spine.backend.follow(Script::judging());
    let pushed = PushClient::CONNECT.push(&format!("http://{address}"), &good_push()).await.unwrap();
    assert_eq!(pushed.error, None, "the new address serves");
    assert_eq!(in_flight.await.unwrap(), 200, "the old one finishes what it had");
    eventually("the old address is closed", async || RawConnection::open(spine.address).await.err()).await.unwrap();
}

/// Neither the address nor a connection is closed, and what comes over the connection meets the new settings.
#[tokio::test]
async fn a_connection_outlives_a_change_of_its_receiver() {
    let spine = Spine::start(Settings::default()).await.unwrap();
    let mut connection = RawConnection::open(spine.address).await.unwrap();
    let request = "POST /ingest?name=shop HTTP/1.1\r\nhost: a\r\ncontent-length: 7\r\n\r\nmain 1\n";
    for (limit, status) in [("1MiB", 200), ("6B", 413)] {
        let changed = spine.configuration.replace("forward_to", &format!("max_body_size = \"{limit}\"\nforward_to"));
        spine.flamegate.reload(&changed).await.unwrap();
        connection.send(request).await.unwrap();
        let reply = connection.reply().await.unwrap().expect("the connection outlives the reload");
        assert_eq!(reply.status, status, "max_body_size = {limit}: {reply:?}");
    }
    assert_eq!(last_listener(&spine.flamegate, RECEIVE), spine.address);
}

fn two_pipelines(urls: [String; 2]) -> [String; 2] {
    let [first, second] = urls;
    [("default", first), ("other", second)].map(|(label, url)| {
        let receive = ReceiveHttp { label, writes: &[label], ..ReceiveHttp::default() }.block();
        receive + &blocks::write(label, &[url], "min_backoff_period = \"1ms\"")
    })
}

fn series_of(metrics: &flamegate_tests::flamegate::Metrics, component: &str) -> Vec<String> {
    let of = metrics.samples.iter().filter(|s| s.labels.get("component_id").is_some_and(|id| id == component));
    of.map(|sample| format!("{} {:?}", sample.name, sample.labels)).collect()
}

#[tokio::test]
async fn the_series_of_a_removed_component_disappear() {
    let backend = Backend::start().await.unwrap();
    let [stays, goes] = two_pipelines([backend.url(), backend.url()]);
    let flamegate = Flamegate::start(&format!("{stays}{goes}"), &[]).await.unwrap();
    let removed = ["pyroscope.receive_http.other", "pyroscope.write.other"];
    let address = flamegate.listener(removed[0]).await.unwrap();
    let url = format!("http://{address}");
    assert_eq!(PushClient::CONNECT.push(&url, &good_push()).await.unwrap().error, None);
    assert_eq!(post(&format!("{url}/other"), &[], "").await.unwrap().status, 404);
    for id in removed {
        assert!(!series_of(&flamegate.metrics().await.unwrap(), id).is_empty(), "{id}");
    }
    flamegate.reload(&stays).await.unwrap();
    for id in removed {
        eventually(&format!("no series of {id}"), async || {
            series_of(&flamegate.metrics().await.unwrap(), id).is_empty().then_some(())
        })
        .await
        .unwrap();
    }
    eventually("its address is closed", async || RawConnection::open(address).await.err()).await.unwrap();
    let metrics = flamegate.metrics().await.unwrap();
    assert!(!series_of(&metrics, RECEIVE).is_empty());
    assert!(!series_of(&metrics, "pyroscope.write.default").is_empty());
}

/// A component that is removed, and comes back while what it had in flight is not finished: the old one's end must not
/// take the series of the new one.
#[tokio::test]
async fn a_component_that_comes_back_keeps_its_series() {
    let slow = Backend::start_with(slowly(StatusCode::OK)).await.unwrap();
    let backend = Backend::start().await.unwrap();
    let [stays, goes] = two_pipelines([backend.url(), slow.url()]);
    let both = format!("{stays}{goes}");
    let flamegate = Flamegate::start(&both, &[]).await.unwrap();
    let id = "pyroscope.receive_http.other";
    let old = flamegate.listener(id).await.unwrap();
    let url = format!("http://{old}/ingest?name=shop");
    let in_flight = tokio::spawn(async move { post(&url, &[], "main 1\n").await.unwrap().status });
    slow.wait_for_attempts(1, DEADLINE).await.unwrap();

    flamegate.reload(&stays).await.unwrap();
    // Its writer ends after it and does not come back, so that its series tell when both have ended.
    let back = ReceiveHttp { label: "other", writes: &["default"], ..ReceiveHttp::default() }.block();
    flamegate.reload(&format!("{stays}{back}")).await.unwrap();
    assert_eq!(in_flight.await.unwrap(), 200);
    eventually("the old writer has ended", async || {
        series_of(&flamegate.metrics().await.unwrap(), "pyroscope.write.other").is_empty().then_some(())
    })
    .await
    .unwrap();
    let limit = [("component_id", id)];
    let metrics = flamegate.metrics().await.unwrap();
    let limit = metrics.sum("pyroscope_receive_http_tcp_connections_limit", &limit);
    assert_eq!(limit, Some(16_384.0), "series of the new one: {:?}", series_of(&metrics, id));
}

const SENDERS: usize = 4;

#[tokio::test]
async fn no_request_is_lost_while_rules_change() {
    let backend = Backend::start().await.unwrap();
    let flamegate = Flamegate::start(&with_relabel(&backend.url(), "edge-0"), &[]).await.unwrap();
    let url = format!("http://{}", flamegate.listener(RECEIVE).await.unwrap());
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let (url, stopped) = (url.clone(), stopped.clone());
            tokio::spawn(async move {
                let mut sent = 0;
                while !*stopped.borrow() {
                    let reply = PushClient::CONNECT.push(&url, &good_push()).await.unwrap();
                    assert_eq!(reply.error, None);
                    sent += 1;
                }
                sent
            })
        })
        .collect();
    let edges = ["edge-0", "edge-1", "edge-2", "edge-3"];
    for (index, edge) in edges.iter().enumerate() {
        if index > 0 {
            flamegate.reload(&with_relabel(&backend.url(), edge)).await.unwrap();
        }
        // Requests arrive under each rule before the next one comes.
        let relabelled = |series: &flamegate_tests::backend::Received| series.labels["edge"] == *edge;
        backend.wait_for(relabelled, DEADLINE).await.unwrap();
    }
    stop.send_replace(true);
    let mut sent = 0;
    for sender in senders {
        sent += sender.await.unwrap();
    }
    let received = backend.received();
    assert_eq!(received.len(), sent, "each request arrived, and once");
    assert!(received.iter().all(|series| edges.contains(&series.labels["edge"].as_str())));
    // What comes after the last reload is under the last rule alone.
    assert_eq!(PushClient::CONNECT.push(&url, &good_push()).await.unwrap().error, None);
    assert_eq!(backend.received().last().unwrap().labels["edge"], "edge-3");
}
