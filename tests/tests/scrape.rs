//! Real programs are scraped: what they are doing arrives, under the labels of their targets.
#![allow(clippy::unwrap_used, clippy::panic, reason = "all of this file is test code")]

use std::collections::BTreeSet;
use std::error::Error;
use std::time::Duration;

use flamegate_tests::backend::{Backend, Received};
use flamegate_tests::destination::{Destination, Expected, Kind};
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::http_client;
use flamegate_tests::scrape_target::{Runtime, ScrapeTarget};
use serde_json::Value;

/// Two intervals and the time to collect; the rest is for a busy machine.
const ARRIVAL: Duration = Duration::from_secs(60);
const SERVICE: &str = "busy.app";

fn configuration(target: &ScrapeTarget, backend: &str, profiling: &str) -> String {
    format!(
        r#"
        pyroscope.scrape "default" {{
            targets                  = [{{"__address__" = "{}", "env" = "test", "service_name" = "{SERVICE}"}}]
            scrape_interval          = "3s"
            delta_profiling_duration = "2s"
            forward_to               = [pyroscope.write.default.receiver]

            profiling_config {{
                {profiling}
            }}
        }}

        pyroscope.write "default" {{
            endpoint {{
                url = "{backend}"
            }}
        }}
        "#,
        target.address()
    )
}

fn expected(kind: Kind, function: &str) -> Expected<'_> {
    Expected {
        service: SERVICE,
        labels: &[("env", "test")],
        absent: &["__address__"],
        sample_labels: &[],
        kind,
        function,
    }
}

/// Both destinations, our own and a real server where one is named, get what is expected.
async fn arrives(runtime: Runtime, profiling: &str, all: &[Expected<'_>]) -> Result<(), Box<dyn Error>> {
    let target = ScrapeTarget::start(runtime).await?;
    for destination in Destination::start_all(Duration::ZERO).await? {
        let flamegate = Flamegate::start(&configuration(&target, &destination.url(), profiling), &[]).await?;
        for expected in all {
            if let Err(error) = destination.wait_for(expected, ARRIVAL).await {
                return Err(format!("{error}\nflamegate wrote:\n{}", flamegate.logs().join("\n")).into());
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn go() {
    let all = [expected(Kind::Cpu, Runtime::Go.busy_function()), expected(Kind::Heap, "allocateOnTheHeap")];
    arrives(Runtime::Go, "", &all).await.unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test]
async fn node() {
    let profiling = r#"profile.memory { path = "/debug/pprof/heap" }"#;
    let all = [expected(Kind::Cpu, Runtime::Node.busy_function())];
    arrives(Runtime::Node, profiling, &all).await.unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test]
async fn rust() {
    let all = [expected(Kind::Cpu, Runtime::Rust.busy_function())];
    arrives(Runtime::Rust, "", &all).await.unwrap_or_else(|error| panic!("{error}"));
}

/// What has no such kind is told so once, and harms none of the others.
#[tokio::test]
async fn every_kind_is_named_and_what_is_missing_is_shown() {
    let target = ScrapeTarget::start(Runtime::Go).await.unwrap();
    let backend = Backend::start().await.unwrap();
    let profiling = r#"
        profile.godeltaprof_memory { enabled = true }
        profile.godeltaprof_block { enabled = true }
        profile.godeltaprof_mutex { enabled = true }
        profile.fgprof { enabled = true }
        profile.custom "threads" {
            enabled = true
            path    = "/debug/pprof/threadcreate"
        }
    "#;
    let flamegate = Flamegate::start(&configuration(&target, &backend.url(), profiling), &[]).await.unwrap();
    let mut names = BTreeSet::new();
    let wanted = ["block", "goroutine", "memory", "mutex", "process_cpu", "threads"];
    for name in wanted {
        let named = |series: &Received| series.labels.get("__name__").is_some_and(|of| of == name);
        backend.wait_for(named, ARRIVAL).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        names.extend(backend.received().iter().filter_map(|series| series.labels.get("__name__").cloned()));
    }
    assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), wanted, "godeltaprof's go by the usual names");
    // The runtime's own heap profile counts from the start; godeltaprof's do not, and are not marked.
    let is_delta = |series: &Received| {
        let label = |name| series.labels.get(name).map(String::as_str);
        label("__name__") == Some("memory") && label("__delta__") == Some("false")
    };
    backend.wait_for(is_delta, ARRIVAL).await.unwrap_or_else(|error| panic!("a delta of memory: {error}"));
    let line = flamegate.wait_for_log("the target has no such profile", ARRIVAL).await.unwrap();
    assert!(
        line.contains("/debug/fgprof?seconds=2") && line.contains("component_id=pyroscope.scrape.default"),
        "{line}"
    );

    let url = format!("http://{}/api/v0/web/components/pyroscope.scrape.default", flamegate.admin());
    let shown: Value = serde_json::from_str(&http_client::get(&url).await.unwrap().text()).unwrap();
    let shown = shown["debugInfo"].to_string();
    for part in ["/debug/pprof/delta_heap", "server returned HTTP status (404)", "last_scrape", "\"down\"", "\"up\""] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let metrics = flamegate.metrics().await.unwrap();
    let component = [("component_id", "pyroscope.scrape.default")];
    assert_eq!(metrics.sum("pyroscope_scrape_loops", &component), Some(10.0));
    assert!(metrics.sum("pyroscope_forwarded_entries_total", &component).unwrap() >= 6.0);
    assert!(metrics.sum("pyroscope_fanout_latency_count", &component).unwrap() >= 6.0);
}
