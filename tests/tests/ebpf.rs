//! `pyroscope.ebpf` on the real kernel. Needs root, or CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE, and a C compiler.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "all of this file is test code")]

#[path = "ebpf/command.rs"]
mod command;
#[path = "ebpf/container.rs"]
mod container;
#[cfg(target_arch = "x86_64")]
#[path = "ebpf/dotnet.rs"]
mod dotnet;
#[path = "ebpf/go_labels.rs"]
mod go_labels;
#[path = "ebpf/program.rs"]
mod program;
#[path = "ebpf/shops.rs"]
mod shops;

use std::collections::BTreeMap;
use std::time::Duration;

use container::Container;
use flamegate_tests::backend::{Backend, Received};
use flamegate_tests::blocks;
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::http_client;
use flamegate_tests::polling::{DEADLINE, eventually};
use flamegate_tests::pprof::{self, Profile};
use program::Program;

const COMPONENT: &str = "pyroscope.ebpf.host";
/// Names of functions, kept from one test to the next.
const SYMBOLS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/symbols");

fn configuration(backend: &Backend, settings: &str) -> String {
    let block = format!(
        "pyroscope.ebpf \"host\" {{\n  forward_to = [pyroscope.write.default.receiver]\n  symb_cache_path = \"{SYMBOLS}\"\n{settings}\n}}\n"
    );
    block + &blocks::write("default", &[backend.url()], "")
}

fn target(program: &Program, service: &str) -> String {
    format!("{{\"__process_pid__\" = \"{}\", \"service_name\" = \"{service}\", \"team\" = \"a\"}}", program.pid())
}

fn profile(received: &Received) -> Profile {
    assert_eq!(received.profiles.len(), 1);
    pprof::decode(&received.profiles[0].raw, 64 << 20).unwrap()
}

fn sum(profile: &Profile) -> i64 {
    profile.sample.iter().map(|sample| sample.value[0]).sum()
}

#[tokio::test]
async fn a_process_is_profiled_as_its_target_says() {
    let (backend, program) = (Backend::start().await.unwrap(), Program::start());
    let settings = |more: &str| {
        let target = target(&program, "burner");
        format!("  targets = [{target}]\n  collect_interval = \"1s\"\n  sample_rate = 499\n{more}")
    };
    let text = configuration(&backend, &settings("  comm = \"both\"\n  pid_label = true"));
    let flamegate = Flamegate::start(&text, &[]).await.unwrap();
    flamegate.wait_for_log("msg=sampling", DEADLINE).await.unwrap();
    let began = program.cpu_time();
    let profiles = || backend.received().iter().map(profile).collect::<Vec<Profile>>();
    let sampled = || profiles().iter().map(sum).sum::<i64>();
    eventually("a second of CPU time", async || (sampled() > 1_000_000_000).then_some(())).await.unwrap();

    let received = backend.received().pop().unwrap();
    let pid = program.pid().to_string();
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    for (name, value) in [
        ("__name__", "process_cpu"),
        ("service_name", "burner"),
        ("team", "a"),
        ("otel.scope.name", "com.grafana.alloy/pyroscope.ebpf"),
        ("otel.scope.version", version),
    ] {
        assert_eq!(received.labels.get(name).map(String::as_str), Some(value), "{name}: {received}");
    }
    let decoded = &received.profiles[0];
    assert_eq!(decoded.sample_types, ["cpu:nanoseconds"]);
    for label in [("comm", "burn"), ("pid", &pid)] {
        assert!(decoded.sample_labels.contains(&(label.0.to_owned(), label.1.to_owned())), "{received}");
    }
    // The thread's name is the outermost frame.
    for function in ["burn", "main", "burn_heavy", "burn_light"] {
        assert!(decoded.functions.contains(function), "{function}: {received}");
    }

    let last = profile(&received);
    assert_eq!(last.period, 1_000_000_000 / 499);
    assert!((500_000_000..10_000_000_000).contains(&last.duration_nanos), "{}", last.duration_nanos);
    assert!(last.mapping.iter().any(|mapping| mapping.memory_limit > mapping.memory_start), "{last:?}");

    let labels = [("component_id", COMPONENT)];
    let metrics = flamegate.metrics().await.unwrap();
    let metric = |name: &str| metrics.sum(name, &labels).unwrap_or_default();
    assert_eq!(metric("pyroscope_ebpf_active_targets"), 1.0);
    assert_eq!(metric("pyroscope_ebpf_profiling_sessions_total"), 1.0);
    for name in [
        "pyroscope_ebpf_pprofs_total",
        "pyroscope_ebpf_pprof_bytes_total",
        "pyroscope_ebpf_pprof_samples_total",
        "flamegate_ebpf_frames_total",
        "flamegate_ebpf_stacks_total",
        "pyroscope_forwarded_entries_total",
        "UnwindNativeFrames_total",
    ] {
        assert!(metric(name) > 0.0, "{name}");
    }

    let ran = program.cpu_time() - began;
    flamegate.into_folder(DEADLINE).await.unwrap();
    let share = sampled() as f64 / ran.as_nanos() as f64;
    assert!((0.9..1.2).contains(&share), "{share} of {ran:?} was sampled: {}", backend.summary());
    let mut by_function = BTreeMap::new();
    for (function, nanos) in profiles().iter().flat_map(|profile| program.by_function(profile)) {
        *by_function.entry(function).or_insert(0) += nanos;
    }
    let part = |name: &str| by_function.get(name).copied().unwrap_or_default() as f64 / sampled() as f64;
    assert!((part("burn_heavy") - 0.75).abs() < 0.12, "{by_function:?}");
    assert!((part("burn_light") - 0.25).abs() < 0.12, "{by_function:?}");
}

/// However often the arguments change while a program runs, its samples add up to its time.
#[tokio::test]
async fn no_change_of_the_arguments_loses_samples() {
    let (backend, program) = (Backend::start().await.unwrap(), Program::start());
    let settings = |round: usize| {
        let target = target(&program, ["one", "two", "three"][round % 3]);
        let (rate, kernel) = ([97, 199][round % 2], round % 4 < 2);
        format!(
            "  targets = [{target}]\n  collect_interval = \"1h\"\n  sample_rate = {rate}\n  kernel_frames = {kernel}\n"
        )
    };
    let before = program.cpu_time();
    let flamegate = Flamegate::start(&configuration(&backend, &settings(0)), &[]).await.unwrap();
    flamegate.wait_for_log("msg=sampling", DEADLINE).await.unwrap();
    let began = program.cpu_time();
    for round in 1..=10 {
        let until = program.cpu_time() + Duration::from_millis(500);
        eventually("the program runs on", async || (program.cpu_time() >= until).then_some(())).await.unwrap();
        flamegate.reload(&configuration(&backend, &settings(round))).await.unwrap();
    }
    let ran = program.cpu_time() - began;
    flamegate.into_folder(DEADLINE).await.unwrap();
    // It is sampled until the program ends, and before anybody can read that it is.
    let ran_at_most = program.cpu_time() - before;

    let received = backend.received();
    let sampled: i64 = received.iter().map(|received| sum(&profile(received))).sum();
    let sampled = Duration::from_nanos(sampled.cast_unsigned());
    let is_all = sampled > ran.mul_f64(0.92) && sampled < ran_at_most.mul_f64(1.08);
    assert!(is_all, "{sampled:?} of {ran:?} to {ran_at_most:?} were sampled: {}", backend.summary());
    for service in ["one", "two", "three"] {
        assert!(received.iter().any(|received| received.service_name() == service), "{}", backend.summary());
    }
}

/// Processes of a container are met when they begin, and others are left alone, or are their own service.
#[tokio::test]
async fn containers_are_known_by_their_cgroups() {
    let (backend, container, beside) = (Backend::start().await.unwrap(), Container::new(), Program::start());
    let settings = |targets_only: bool| {
        let id = format!("\"__meta_kubernetes_pod_container_id\" = \"containerd://{}\"", container.id);
        let name = "\"__meta_kubernetes_namespace\" = \"shop\", \"__meta_kubernetes_pod_container_name\" = \"cart\"";
        format!(
            "  targets = [{{{id}, {name}}}]\n  collect_interval = \"1s\"\n  sample_rate = 97\n  targets_only = {targets_only}"
        )
    };
    let flamegate = Flamegate::start(&configuration(&backend, &settings(true)), &[]).await.unwrap();
    flamegate.wait_for_log("msg=sampling", DEADLINE).await.unwrap();
    let inside = Program::start_in(&container);
    let of_inside =
        |received: &Received| received.service_name() == "ebpf/shop/cart" && received.has_function("burn_heavy");
    backend.wait_for(of_inside, DEADLINE).await.unwrap();
    let others = |received: &Received| received.service_name() != "ebpf/shop/cart";
    assert!(!backend.received().iter().any(others), "{}", backend.summary());

    flamegate.reload(&configuration(&backend, &settings(false))).await.unwrap();
    let of_beside =
        |received: &Received| received.service_name() == "ebpf/unspecified" && received.has_function("burn_heavy");
    backend.wait_for(of_beside, DEADLINE).await.unwrap();
    flamegate.into_folder(DEADLINE).await.unwrap();
    drop((inside, beside));
}

#[tokio::test]
async fn time_off_the_cpu_and_probes_have_profiles_of_their_own() {
    let (backend, program) = (Backend::start().await.unwrap(), Program::start());
    let settings = format!(
        "  targets = [{}]\n  collect_interval = \"1s\"\n  off_cpu_threshold = 1\n  u_probe_links = [\"{}:nap\"]",
        target(&program, "burner"),
        program.path().display()
    );
    let flamegate = Flamegate::start(&configuration(&backend, &settings), &[]).await.unwrap();
    for (name, kind) in
        [("process_cpu", "cpu:nanoseconds"), ("offcpu", "offcpu:nanoseconds"), ("uprobe", "uprobe:count")]
    {
        let of_kind = |received: &Received| {
            let functions = name == "process_cpu" || received.has_function("nap");
            received.labels["__name__"] == name && received.profiles[0].sample_types == [kind] && functions
        };
        backend.wait_for(of_kind, DEADLINE).await.unwrap();
    }
    flamegate.into_folder(DEADLINE).await.unwrap();
}

/// Nothing begins before there is a target, and what cannot begin is tried three times.
#[tokio::test]
async fn a_session_begins_when_it_is_wanted_and_can() {
    let (backend, program) = (Backend::start().await.unwrap(), Program::start());
    let settings = |targets: &str, more: &str| {
        format!("  targets = [{targets}]\n  collect_interval = \"100ms\"\n  lazy_mode = true\n{more}")
    };
    let flamegate = Flamegate::start(&configuration(&backend, &settings("", "")), &[]).await.unwrap();
    flamegate.wait_for_log("waiting for targets", DEADLINE).await.unwrap();
    let sum = async |name: &str| flamegate.metrics().await.unwrap().sum(name, &[]).unwrap_or_default();
    assert_eq!(sum("pyroscope_ebpf_profiling_sessions_total").await, 0.0);

    let target = target(&program, "burner");
    let nowhere = "  u_probe_links = [\"/nowhere:at_all\"]";
    flamegate.reload(&configuration(&backend, &settings(&target, nowhere))).await.unwrap();
    let failing = "pyroscope_ebpf_profiling_sessions_failing_total";
    eventually("three attempts", async || (sum(failing).await == 3.0).then_some(())).await.unwrap();
    let said = flamegate.wait_for_log("sampling cannot begin", DEADLINE).await.unwrap();
    assert!(said.contains("uprobe:/nowhere:at_all"), "{said}");
    let component = async || {
        let url = format!("http://{}/api/v0/web/components/{COMPONENT}", flamegate.admin());
        http_client::get(&url).await.unwrap().text()
    };
    let shown = component().await;
    assert!(
        shown.contains("\"unhealthy\"") && shown.contains("sampling cannot begin: uprobe:/nowhere:at_all"),
        "{shown}"
    );

    flamegate.reload(&configuration(&backend, &settings(&target, ""))).await.unwrap();
    backend.wait_for(|received| received.has_function("burn_heavy"), DEADLINE).await.unwrap();
    assert_eq!((sum(failing).await, sum("pyroscope_ebpf_profiling_sessions_total").await), (3.0, 1.0));
    let shown = component().await;
    let pid = format!("{{\"key\":\"pid\",\"value\":{{\"type\":\"number\",\"value\":{}}}}}", program.pid());
    assert!(shown.contains("\"healthy\"") && shown.contains(&pid), "{shown}");
}

#[tokio::test]
async fn what_cannot_be_done_is_refused() {
    let backend = Backend::start().await.unwrap();
    for (settings, says) in [
        ("sample_rate = 0", "must be 1 to 10000 samples a second"),
        ("off_cpu_threshold = 1.5", "is a probability"),
        ("symb_cache_size = 0", "must be greater than 0"),
        ("collect_interval = \"0s\"", "must be greater than 0"),
        ("demangle = \"some\"", "invalid demangle mode \"some\", valid values are: \"none\""),
        ("probe_links = [\"uprobe:malloc\"]", "\"uprobe:malloc\" is no probe: write uprobe:PATH:SYMBOL"),
        ("u_probe_links = [\"malloc\"]", "\"malloc\": write \"/path:symbol\""),
        ("debug_info { upload = true }", "debug_info.upload is not supported yet"),
    ] {
        let refused = Flamegate::start(&configuration(&backend, settings), &[]).await.unwrap_err().to_string();
        assert!(refused.contains(says), "{settings}: {refused}");
    }
}
