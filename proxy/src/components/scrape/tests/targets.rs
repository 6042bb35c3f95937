//! What the arguments make of targets.

use std::sync::Arc;
use std::time::Duration;

use profiler_core::labels::Labels;

use super::arguments;
use crate::components::scrape::target::{Settings, Target, distinct};

fn settings(body: &str) -> Arc<Settings> {
    Arc::new(Settings::of(&arguments(&format!("targets = []\nforward_to = []\n{body}"), None).unwrap()))
}

fn target(labels: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(labels.iter().copied()).unwrap()
}

fn urls(labels: &[(&str, &str)], body: &str) -> Vec<String> {
    let all = Target::all_of(&target(labels), &settings(body)).unwrap();
    all.iter().map(|target| target.url.path_and_query().unwrap().to_string()).collect()
}

const CPU_ALONE: &str = r#"profiling_config {
    profile.memory { enabled = false }
    profile.block { enabled = false }
    profile.goroutine { enabled = false }
    profile.mutex { enabled = false }
}"#;

#[test]
fn what_targets_are_refused() {
    let error = |labels: &[(&str, &str)]| Target::all_of(&target(labels), &settings("")).unwrap_err().to_string();
    assert_eq!(error(&[("a", "b")]), "no address");
    assert_eq!(error(&[("__address__", "h:1"), ("__scheme__", "ftp")]), "invalid scheme: \"ftp\"");
    assert_eq!(error(&[("__address__", "h/x:1")]), "\"h/x:1\" is not a valid hostname");
    let refused = error(&[("__address__", "h x:1")]);
    assert!(refused.starts_with("\"http://h x:1/debug/pprof/block\" is no URL: "), "{refused}");
}

#[test]
fn the_time_to_collect_is_said_once() {
    let url = |params: &str, label: &[(&str, &str)]| {
        let labels = [&[("__address__", "h:1")], label].concat();
        urls(&labels, &format!("{CPU_ALONE}\n{params}")).join(" ")
    };
    assert_eq!(url("", &[]), "/debug/pprof/profile?seconds=14");
    assert_eq!(url("delta_profiling_duration = \"5s\"", &[]), "/debug/pprof/profile?seconds=5");
    assert_eq!(url("scrape_interval = \"1m\"", &[]), "/debug/pprof/profile?seconds=59");
    assert_eq!(url("params = { seconds = [\"3\"] }", &[]), "/debug/pprof/profile?seconds=3");
    assert_eq!(url("params = { a = [\"1\", \"2\"] }", &[]), "/debug/pprof/profile?a=1&a=2&seconds=14");
    assert_eq!(url("", &[("__param_seconds", "4")]), "/debug/pprof/profile?seconds=4");
    // The arguments overwrite a target's.
    assert_eq!(
        url("params = { seconds = [\"3\"], a = [] }", &[("__param_seconds", "4")]),
        "/debug/pprof/profile?seconds=3"
    );
}

#[test]
fn a_target_that_collects_has_more_time_to_answer() {
    let timeouts = |body: &str| {
        let all = Target::all_of(&target(&[("__address__", "h:1")]), &settings(body)).unwrap();
        all.iter().map(|target| (target.type_name().to_owned(), target.timeout())).collect::<Vec<_>>()
    };
    for (name, timeout) in timeouts("scrape_timeout = \"2s\"") {
        let seconds = if name == "process_cpu" { 16 } else { 2 };
        assert_eq!(timeout, Duration::from_secs(seconds), "{name}");
    }
}

#[test]
fn each_target_is_scraped_once() {
    let targets = [
        target(&[("__address__", "a:1"), ("__meta_x", "1")]),
        target(&[("__address__", "a:1"), ("__meta_x", "2")]),
        target(&[("__address__", "a:1"), ("__param_x", "2")]),
        target(&[("__address__", "a:1"), ("env", "prod")]),
        target(&[("__address__", "a:1")]),
    ];
    let kept: Vec<_> = distinct(&targets).map(|(_, target)| target.to_string()).collect();
    assert_eq!(kept.len(), 3, "{kept:?}");
    assert!(kept[0].contains("__meta_x=\"1\""), "the first stays: {kept:?}");
}

#[test]
fn own_kinds() {
    let custom = |name: &str| format!("profile.custom \"{name}\" {{\nenabled = true\npath = \"/mine\"\n}}\n");
    let body = |blocks: String| format!("targets = []\nforward_to = []\nprofiling_config {{\n{blocks}}}");
    let twice = arguments(&body(custom("a") + &custom("a")), None).unwrap_err();
    assert!(twice.contains("two blocks profile.custom \"a\""), "{twice}");
    let left_out = arguments(&body("profile.custom \"a\" { enabled = true }\n".to_owned()), None).unwrap_err();
    assert!(left_out.contains("missing required attribute \"path\""), "{left_out}");
    // One of a usual name takes its place; profiles of the others stay.
    let all = urls(&[("__address__", "h:1")], &format!("profiling_config {{\n{}}}", custom("memory")));
    assert!(all.contains(&"/mine".to_owned()) && !all.contains(&"/debug/pprof/allocs".to_owned()), "{all:?}");
    assert_eq!(all.len(), 5);
}

#[test]
fn what_is_sent_has_a_scope() {
    let sent = |labels: &[(&str, &str)]| {
        let labels = [&[("__address__", "h:1"), ("__meta_x", "y")], labels].concat();
        let all = Target::all_of(&target(&labels), &settings(CPU_ALONE)).unwrap();
        all[0].profile_labels().unwrap()
    };
    let usual = sent(&[]);
    assert_eq!(usual.value("otel.scope.name"), Some("com.grafana.alloy/pyroscope.scrape"));
    assert_eq!(usual.value("otel.scope.version"), Some(concat!("v", env!("CARGO_PKG_VERSION"))));
    assert_eq!((usual.value("__meta_x"), usual.value("__delta__")), (Some("y"), None));
    let own = sent(&[("otel.scope.name", "mine")]);
    assert_eq!((own.value("otel.scope.name"), own.value("otel.scope.version")), (Some("mine"), None));
}

#[test]
fn arguments_that_cannot_hold_are_refused() {
    for (body, says) in [
        ("scrape_interval = \"0s\"\nprofiling_config { profile.process_cpu { enabled = false } }", "at least 10ms"),
        ("max_body_size = \"300MiB\"", "must not be greater than max_inflight_bytes"),
        ("clustering { }", "enabled"),
        ("http_headers = { \"User-Agent\" = [\"x\"] }", "User-Agent"),
        ("proxy_connect_header = { \"X\" = [\"x\"] }", "proxy_url"),
    ] {
        let refused = arguments(&format!("targets = []\nforward_to = []\n{body}"), None).unwrap_err();
        assert!(refused.contains(says), "{body}: {refused}");
    }
}
