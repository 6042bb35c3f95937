//! The process as its operator sees it: readiness, health, metrics, reloads, flags, its end.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "all of this file is test code")]

use flamegate_tests::backend::Backend;
use flamegate_tests::blocks::{self, ReceiveHttp};
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::http_client::{get, post, send};
use flamegate_tests::polling::eventually;
use flamegate_tests::push_client::PushClient;
use flamegate_tests::spine::{RECEIVE, Settings, Spine, good_push};
use http::Method;

#[path = "admin/blocks.rs"]
mod blocks_of_settings;
#[path = "admin/ending.rs"]
mod ending;
#[path = "admin/listeners.rs"]
mod listeners;
#[path = "admin/reload.rs"]
mod reload;

/// A rule that sets `edge`, between receiver and writer.
fn with_relabel(url: &str, edge: &str) -> String {
    let receive = ReceiveHttp { label: "default", writes: &["default"], ..ReceiveHttp::default() }.block();
    let receive = receive.replace("pyroscope.write.default.receiver", "pyroscope.relabel.default.receiver");
    let relabel = format!(
        "pyroscope.relabel \"default\" {{\n  forward_to = [pyroscope.write.default.receiver]\n  rule {{\n    \
         target_label = \"edge\"\n    replacement = \"{edge}\"\n  }}\n}}\n"
    );
    receive + &relabel + &blocks::write("default", &[url.to_owned()], "")
}

#[tokio::test]
async fn ready_and_healthy() {
    let spine = Spine::start(Settings::default()).await.unwrap();
    let admin = format!("http://{}", spine.flamegate.admin());
    for (path, says) in [("/-/ready", "ready"), ("/-/healthy", "healthy")] {
        let reply = get(&format!("{admin}{path}")).await.unwrap();
        assert_eq!(reply.status, 200, "{path}");
        assert!(reply.text().contains(says), "{path}: {}", reply.text());
        let refused = post(&format!("{admin}{path}"), &[], "").await.unwrap();
        assert_eq!(refused.status, 405, "{path}");
    }
    assert_eq!(get(&format!("{admin}/other")).await.unwrap().status, 404);
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let refused = send(method.clone(), &format!("{admin}/-/reload"), &[], "".into()).await.unwrap();
        assert_eq!(refused.status, 405, "{method}");
        assert!(refused.headers["allow"].to_str().unwrap().contains("POST"), "{method}: {refused:?}");
    }
    let refused = get(&format!("{admin}/-/reload")).await.unwrap();
    assert_eq!(refused.headers["allow"], "POST");
    assert!(refused.text().contains("POST"), "{}", refused.text());
}

#[tokio::test]
async fn every_series_says_whose_it_is() {
    let backend = Backend::start().await.unwrap();
    let flamegate = Flamegate::start(&with_relabel(&backend.url(), "a"), &[]).await.unwrap();
    let url = format!("http://{}", flamegate.listener(RECEIVE).await.unwrap());
    assert_eq!(PushClient::CONNECT.push(&url, &good_push()).await.unwrap().error, None);
    assert_eq!(post(&format!("{url}/ingest?name=shop"), &[], "main 1\n").await.unwrap().status, 200);
    assert_eq!(get(&format!("{url}/ingest")).await.unwrap().status, 405);

    let metrics = flamegate.metrics().await.unwrap();
    let owners = [RECEIVE, "pyroscope.relabel.default", "pyroscope.write.default"];
    let mut seen = std::collections::BTreeSet::new();
    for sample in &metrics.samples {
        let of_component = ["pyroscope_", "flamegate_receive_http_"].iter().any(|start| sample.name.starts_with(start));
        if of_component {
            let owner = sample.labels.get("component_id").unwrap_or_else(|| panic!("{sample:?} says not whose it is"));
            assert!(owners.contains(&owner.as_str()), "{sample:?}");
            assert_eq!(sample.labels.get("component_path").map(String::as_str), Some("/"), "{sample:?}");
            let part = sample.name.split('_').nth(1).unwrap();
            assert!(sample.name.starts_with("pyroscope_f") || owner.contains(part) || part == "receive", "{sample:?}");
            seen.insert(owner.as_str());
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), owners);
    // What the reference's dashboards ask for, after one push and one ingest.
    for (name, value) in [
        ("pyroscope_relabel_profiles_processed", 2.0),
        ("pyroscope_relabel_profiles_written", 2.0),
        ("pyroscope_relabel_profiles_dropped", 0.0),
        ("pyroscope_write_sent_profiles_total", 2.0),
        // Counts samples of pushes, never an ingest.
        ("pyroscope_forwarded_entries_total", 1.0),
        ("pyroscope_fanout_latency_count", 2.0),
        ("pyroscope_receive_http_tcp_connections_limit", 16_384.0),
        ("alloy_config_last_load_successful", 1.0),
        ("alloy_config_load_failures_total", 0.0),
    ] {
        assert_eq!(metrics.sum(name, &[]), Some(value), "{name}");
    }
    // A request counts once its answer is written, which its sender may see first.
    eventually("every request is counted once", async || {
        let metrics = flamegate.metrics().await.unwrap();
        let counted = |(method, route, status)| {
            let labels = [("method", method), ("route", route), ("status_code", status), ("ws", "false")];
            metrics.sum("pyroscope_receive_http_request_duration_seconds_count", &labels) == Some(1.0)
        };
        let expected =
            [("POST", "/push.v1.PusherService/Push", "200"), ("POST", "/ingest", "200"), ("GET", "other", "405")];
        expected.into_iter().all(counted).then_some(())
    })
    .await
    .unwrap();
}

/// Each with a value of its own kind, as the reference's manual writes them.
const REFERENCE_FLAGS: [&str; 16] = [
    "--server.http.memory-addr=alloy.internal:12345",
    "--server.http.ui-path-prefix=/",
    "--server.http.enable-pprof=true",
    "--server.http.enable-graphql",
    "--server.http.enable-graphql-playground",
    "--stability.level=generally-available",
    "--disable-reporting",
    "--config.format=alloy",
    "--config.bypass-conversion-errors",
    "--config.extra-args=a",
    "--feature.community-components.enabled",
    "--feature.component-shutdown-deadline=10m",
    "--feature.prometheus.direct-fanout.enabled",
    "--feature.prometheus.metric-validation-scheme=legacy",
    "--cluster.use-discovery-v1",
    "--windows.priority=normal",
];

/// Those that are true or false: alone they mean true, and their value never stands apart.
fn is_switch(name: &str) -> bool {
    let ends = [".enabled", "graphql", "-playground", "pprof", "-reporting", "-errors", "-tls", "-v1"];
    ends.iter().any(|end| name.ends_with(end))
}

#[tokio::test]
async fn the_references_flags_are_accepted_with_a_warning_each() {
    let joined = REFERENCE_FLAGS.to_vec();
    let apart = REFERENCE_FLAGS.iter().flat_map(|flag| {
        let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
        let value = (!is_switch(name)).then_some(value);
        std::iter::once(name).chain(value)
    });
    for arguments in [joined, apart.collect()] {
        let flamegate = Flamegate::start("", &arguments).await.unwrap();
        let logs = flamegate.logs();
        let warnings: Vec<_> = logs.iter().filter(|line| line.contains("level=warn")).collect();
        for flag in REFERENCE_FLAGS {
            let field = format!("flag={}", flag.split('=').next().unwrap());
            let of_flag = warnings.iter().filter(|line| line.split(' ').any(|other| other == field));
            assert_eq!(of_flag.count(), 1, "{field}: {warnings:#?}");
        }
        assert_eq!(warnings.len(), REFERENCE_FLAGS.len(), "{warnings:#?}");
    }
}

/// Flags of a node that cannot be one, and what is said of them.
const NO_CLUSTERS: [(&[&str], &str); 7] = [
    (&["--cluster.discover-peers=provider=k8s"], "--cluster.discover-peers: asking providers"),
    (&["--cluster.node-name=a", "--cluster.join-addresses=a:b"], "\"a:b\" is no address to join at"),
    (&["--cluster.advertise-address=0.0.0.0"], "--cluster.advertise-address: \"0.0.0.0\" is no address"),
    (&["--cluster.advertise-address=192.0.2.1:7"], "cannot listen on 192.0.2.1:7 (UDP)"),
    (&["--cluster.enable-tls"], "--cluster.tls-ca-path: --cluster.enable-tls needs the file"),
    (
        &["--cluster.enable-tls", "--cluster.tls-ca-path=a", "--cluster.tls-cert-path=b", "--cluster.tls-key-path=c"],
        "--cluster.tls-ca-path a: cannot be read",
    ),
    (&["--cluster.rejoin-interval=never"], "--cluster.rejoin-interval"),
];

#[tokio::test]
async fn a_process_that_cannot_be_a_node_as_it_is_told_ends_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.alloy"), "").unwrap();
    for (flags, says) in NO_CLUSTERS {
        let arguments = ["run", "--server.http.listen-addr=127.0.0.1:0", "--cluster.enabled", "config.alloy"];
        let arguments: Vec<_> = arguments.into_iter().chain(flags.iter().copied()).collect();
        let ended = Flamegate::command(folder.path(), &arguments, "").await.unwrap();
        assert_ne!(ended.code, Some(0), "{flags:?}");
        assert!(ended.stderr.contains(says), "{flags:?}: {says:?} is missing in:\n{}", ended.stderr);
    }
}

#[tokio::test]
async fn flags_of_clusters_alone_make_no_cluster() {
    let flags = ["--cluster.join-addresses=127.0.0.1:1", "--cluster.enable-tls", "--cluster.discover-peers=provider=x"];
    let flamegate = Flamegate::start("", &flags).await.unwrap();
    let logs = flamegate.logs().join("\n");
    assert!(logs.contains("flags of clusters have no effect without --cluster.enabled"), "{logs}");
    let reply = get(&format!("http://{}/api/v0/web/peers", flamegate.admin())).await.unwrap();
    let peers: Vec<serde_json::Value> = serde_json::from_str(&reply.text()).unwrap();
    let [own] = &peers[..] else { panic!("{peers:?}") };
    assert_eq!((&own["isSelf"], &own["state"]), (&true.into(), &"participant".into()));
    assert_eq!(own["addr"], flamegate.admin().to_string());
}

/// An admin listener where there is room.
const ANY: &str = "127.0.0.1:0";

/// A configuration that does not load, the line and column of its fault, and what is said of it.
const BROKEN: [(&str, &str, &str, &str); 6] = [
    ("pyroscope.write \"default\" {", "", "1:", "pyroscope.write"),
    ("\nnonsense.block \"x\" { }\n", "nonsense.block \"x\"", "2:1", "nonsense.block"),
    ("pyroscope.write \"a\" {\n  endpoint {\n    url = true\n  }\n}\n", "url = true", "3:11", "string"),
    ("pyroscope.write \"a\" {\n  endpoint { }\n}\n", "endpoint { }", "2:", "url"),
    (
        "pyroscope.receive_http \"a\" {\n  forward_to = [pyroscope.write.none.receiver]\n}\n",
        "pyroscope.write.none.receiver",
        "2:17",
        "does not exist",
    ),
    ("pyroscope.write \"a\" {\n  endpoint {\n    url = \"ftp://host\"\n  }\n}\n", "ftp://host", "3:", "ftp"),
];

#[tokio::test]
async fn a_first_load_that_fails_ends_the_process() {
    for (configuration, line, place, says) in BROKEN {
        let output = Flamegate::run_to_end(configuration, ANY).await.unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{configuration}: {stderr}");
        for part in [line, &format!("config.alloy:{place}"), says] {
            assert!(stderr.contains(part), "{configuration}: {part:?} is missing in:\n{stderr}");
        }
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "", "{configuration}");
    }
}

#[tokio::test]
async fn an_address_that_is_taken_ends_the_process() {
    let spine = Spine::start(Settings::default()).await.unwrap();
    let port = format!("listen_port = {}\n", spine.address.port());
    let configuration = spine.configuration.replace("listen_port = 0\n", &port);
    let output = Flamegate::run_to_end(&configuration, ANY).await.unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{stderr}");
    for part in ["config.alloy:1:1", &spine.address.to_string(), "pyroscope.receive_http \"default\""] {
        assert!(stderr.contains(part), "{part:?} is missing in:\n{stderr}");
    }

    let admin = spine.flamegate.admin().to_string();
    let output = Flamegate::run_to_end("", &admin).await.unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{stderr}");
    for part in [admin.as_str(), "--server.http.listen-addr"] {
        assert!(stderr.contains(part), "{part:?} is missing in:\n{stderr}");
    }
    spine.serves().await.unwrap();
}

/// As in the reference, whose units and charts append what their users add.
#[tokio::test]
async fn of_a_flag_that_is_given_twice_the_later_counts() {
    let flamegate = Flamegate::start("", &["--server.http.listen-addr=127.0.0.2:0"]).await.unwrap();
    assert_eq!(flamegate.admin().ip().to_string(), "127.0.0.2");
}
