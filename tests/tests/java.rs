//! `pyroscope.java` on real JVMs. Needs root, JDKs and async-profiler: `cargo xtask test` provides both.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "all of this file is test code")]

#[path = "java/jvm.rs"]
mod jvm;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use flamegate_tests::backend::{Backend, Received};
use flamegate_tests::blocks;
use flamegate_tests::destination::{Destination, Expected, Kind};
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::http_client;
use flamegate_tests::polling::eventually;
use flamegate_tests::pprof::{self, Profile};
use jvm::{Jvm, Options};
use tokio::time::{Instant, sleep};

const COMPONENT: &str = "pyroscope.java.host";
/// JVMs take seconds to begin and to be attached to where many do at once on few cores.
const PATIENCE: Duration = Duration::from_secs(90);

/// A `pyroscope.java` that writes to a URL.
fn configuration(url: String, targets: &str, settings: &str, config: &str) -> String {
    let block = format!(
        "pyroscope.java \"host\" {{\n  targets = {targets}\n  forward_to = [pyroscope.write.default.receiver]\n{settings}\n  \
         profiling_config {{\n{config}\n  }}\n}}\n"
    );
    block + &blocks::write("default", &[url], "")
}

fn target(jvm: &Jvm, service: &str) -> String {
    format!("{{\"__process_pid__\" = \"{}\", \"service_name\" = \"{service}\", \"team\" = \"a\"}},", jvm.pid())
}

fn list(targets: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", targets.into_iter().collect::<String>())
}

fn profile(received: &Received) -> Profile {
    assert_eq!(received.profiles.len(), 1);
    pprof::decode(&received.profiles[0].raw, 64 << 20).unwrap()
}

fn is_cpu(received: &Received) -> bool {
    received.labels["__name__"] == "process_cpu"
}

/// Waits for as long as JVMs may take.
async fn until(is_so: impl Fn() -> bool, shown: impl Fn() -> String) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{}", shown());
        sleep(Duration::from_millis(50)).await;
    }
}

/// What the page of the component shows.
async fn component(flamegate: &Flamegate) -> String {
    let url = format!("http://{}/api/v0/web/components/{COMPONENT}", flamegate.admin());
    http_client::get(&url).await.unwrap().text()
}

#[tokio::test]
async fn each_kind_of_profile_arrives_from_each_jdk() {
    let jdks = jvm::jdks();
    let name = |java: &Path| java.display().to_string();
    let jvms: Vec<Jvm> = jdks.iter().map(|java| Jvm::start(&Options { java, ..Options::default() })).collect();
    let targets = list(jvms.iter().zip(&jdks).map(|(jvm, java)| target(jvm, &name(java))));
    let config = "interval = \"2s\"\nalloc = \"16k\"\nlock = \"1ms\"\nwall = \"20ms\"\nlive = true\nper_thread = true";
    for destination in Destination::start_all(Duration::ZERO).await.unwrap() {
        let flamegate = Flamegate::start(&configuration(destination.url(), &targets, "", config), &[]).await.unwrap();
        for java in &jdks {
            for (kind, function, thread) in [
                ("cpu", "Work.burn", "burner"),
                ("wall", "Work.nap", "sleeper"),
                ("alloc_in_new_tlab_bytes", "Work.allocate", "allocator"),
                ("delay", "Work.enter", "enterer"),
                ("live", "Work.allocate", "allocator"),
            ] {
                let expected = Expected {
                    service: &name(java),
                    labels: &[("team", "a"), ("jfr_event", "itimer"), ("pyroscope_spy", "alloy.java")],
                    absent: &["__process_pid__"],
                    sample_labels: &[("thread", thread)],
                    kind: Kind::Named(kind),
                    function,
                };
                if let Err(error) = destination.wait_for(&expected, PATIENCE).await {
                    panic!("{kind}: {error}\n{}", flamegate.logs().join("\n"));
                }
            }
        }
        let labels = [("component_id", COMPONENT)];
        let metrics = flamegate.metrics().await.unwrap();
        for name in [
            "pyroscope_java_recordings_total",
            "pyroscope_java_recording_bytes_total",
            "pyroscope_java_profile_bytes_total",
            "pyroscope_java_events_total",
            "pyroscope_java_parse_seconds_count",
            "pyroscope_forwarded_entries_total",
        ] {
            assert!(metrics.sum(name, &labels).unwrap_or_default() > 0.0, "{name}");
        }
        assert_eq!(metrics.sum("pyroscope_java_failures_total", &labels), None);
        assert_eq!(metrics.sum("pyroscope_java_targets", &labels), Some(jvms.len() as f64));
        let shown = component(&flamegate).await;
        for part in ["profiled_targets", "\"recording\"", "last_profile_bytes_per_type", "process_cpu", "\"healthy\""] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        flamegate.into_folder(PATIENCE).await.unwrap();
    }
    jvms.iter().for_each(is_clean);
}

/// Nothing of ours is left among the files of a JVM.
fn is_clean(jvm: &Jvm) {
    let left = std::fs::read_dir(format!("/proc/{}/root/tmp", jvm.pid())).unwrap();
    let mut names = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let ours = names.find(|name| name.starts_with("flamegate-") && name.ends_with(&format!("-{}", jvm.pid())));
    assert_eq!(ours, None);
}

/// However often the arguments change while a program runs, its samples add up to its time.
#[tokio::test]
async fn no_change_of_the_arguments_loses_samples() {
    let (backend, jvm) = (Backend::start().await.unwrap(), Jvm::start(&Options { rest: 0, ..Options::default() }));
    let text = |round: usize| {
        let targets = list([target(&jvm, ["one", "two", "three"][round % 3])]);
        let config = format!("interval = \"1h\"\nsample_rate = {}\nalloc = \"\"\nlock = \"\"", [100, 250][round % 2]);
        configuration(backend.url(), &targets, "", &config)
    };
    let flamegate = Flamegate::start(&text(0), &[]).await.unwrap();
    let recording = async || component(&flamegate).await.contains("\"recording\"").then_some(());
    eventually("a recording", recording).await.unwrap();
    let began = jvm.cpu_time();
    for round in 1..=6 {
        let until = jvm.cpu_time() + Duration::from_secs(1);
        eventually("the program runs on", async || (jvm.cpu_time() >= until).then_some(())).await.unwrap();
        flamegate.reload(&text(round)).await.unwrap();
    }
    let ran = jvm.cpu_time() - began;
    flamegate.into_folder(PATIENCE).await.unwrap();

    let received: Vec<Received> = backend.received().into_iter().filter(is_cpu).collect();
    let sum = |received| profile(received).sample.iter().map(|sample| sample.value[0]).sum::<i64>();
    let sampled: i64 = received.iter().map(sum).sum();
    let share = sampled as f64 / ran.as_nanos() as f64;
    assert!((0.85..1.15).contains(&share), "{share} of {ran:?} was sampled: {}", backend.summary());
    for service in ["one", "two", "three"] {
        assert!(received.iter().any(|received| received.service_name() == service), "{}", backend.summary());
    }
}

#[tokio::test]
async fn twenty_jvms_are_recorded_at_once() {
    let backend = Backend::start().await.unwrap();
    let jvms: Vec<Jvm> = (0..20).map(|_| Jvm::start(&Options { rest: 100, ..Options::default() })).collect();
    let targets = list(jvms.iter().enumerate().map(|(number, jvm)| target(jvm, &format!("service-{number}"))));
    let config = "interval = \"3s\"";
    let flamegate = Flamegate::start(&configuration(backend.url(), &targets, "", config), &[]).await.unwrap();
    let services = || -> BTreeSet<String> {
        let received = backend.received();
        let burning = received.iter().filter(|received| is_cpu(received) && received.has_function("Work.burn"));
        burning.map(|received| received.service_name().to_owned()).collect()
    };
    until(|| services().len() == jvms.len(), || format!("{:?}\n{}", services(), flamegate.logs().join("\n"))).await;
    flamegate.into_folder(PATIENCE).await.unwrap();
    jvms.iter().for_each(is_clean);
}

/// The example of the documentation on JVMs of this test alone; they come and go while one stays.
#[tokio::test]
async fn jvms_that_discovery_finds_may_come_and_go() {
    let backend = Backend::start().await.unwrap();
    let mark = format!("mark-{}", std::process::id());
    let example = include_str!("../examples/java_processes.alloy");
    let ours = format!(
        "  rule {{\n    action = \"keep\"\n    regex = \".*-Dmark={mark} .*\"\n    \
         source_labels = [\"__meta_process_commandline\"]\n  }}\n  rule {{\n    action = \"replace\"\n    \
         source_labels = [\"__process_pid__\"]\n    target_label = \"pid\"\n  }}\n}}\n\npyroscope.java"
    );
    let text = example
        .replace("http://localhost:4040", &backend.url())
        .replace("60s", "1s")
        .replace("}\n\npyroscope.java", &ours)
        .replace("pyroscope.java \"java\"", "pyroscope.java \"host\"");
    let options = Options { mark: &mark, rest: 50, ..Options::default() };
    let stays = Jvm::start(&options);
    let flamegate = Flamegate::start(&text, &[]).await.unwrap();
    let of = |jvm: &Jvm| {
        let pid = jvm.pid().to_string();
        move |received: &Received| received.labels["pid"] == pid && received.has_function("Work.burn")
    };
    backend.wait_for(of(&stays), PATIENCE).await.unwrap();
    for _ in 0..5 {
        let comes = Jvm::start(&options);
        backend.wait_for(of(&comes), PATIENCE).await.unwrap();
        // Killed in the midst of a recording.
        drop(comes);
    }
    let targets = async || flamegate.metrics().await.unwrap().sum("pyroscope_java_targets", &[]);
    eventually("one is left", async || (targets().await == Some(1.0)).then_some(())).await.unwrap();
    let seen = backend.received().iter().filter(|received| of(&stays)(received)).count();
    let more =
        async || (backend.received().iter().filter(|received| of(&stays)(received)).count() > seen).then_some(());
    eventually("the one that stays is recorded on", more).await.unwrap();
    assert!(!flamegate.logs().iter().any(|line| line.contains("level=error")), "{}", flamegate.logs().join("\n"));
    flamegate.into_folder(PATIENCE).await.unwrap();
    is_clean(&stays);
}

/// What is killed in mid-recording leaves a profiler that runs on for seconds; its successor waits for its end, or takes over.
#[tokio::test]
async fn recording_goes_on_after_the_proxy_was_killed() {
    let (backend, jvm) = (Backend::start().await.unwrap(), Jvm::start(&Options::default()));
    let text = configuration(backend.url(), &list([target(&jvm, "survivor")]), "", "interval = \"2s\"");
    let flamegate = Flamegate::start(&text, &[]).await.unwrap();
    backend.wait_for(|received| received.has_function("Work.burn"), PATIENCE).await.unwrap();
    let folder = flamegate.kill_into_folder().await.unwrap();
    let before = backend.received().len();

    let flamegate = Flamegate::start_in(folder, &text, &[]).await.unwrap();
    let arrived = || backend.received()[before..].iter().any(|received| received.has_function("Work.burn"));
    until(arrived, || format!("{}\n{}", backend.summary(), flamegate.logs().join("\n"))).await;
    flamegate.into_folder(PATIENCE).await.unwrap();
    is_clean(&jvm);
}

#[tokio::test]
async fn a_jvm_in_a_container_is_recorded() {
    let (backend, jvm) = (Backend::start().await.unwrap(), Jvm::start_in_container(&Options::default()));
    let text = configuration(backend.url(), &list([target(&jvm, "contained")]), "", "interval = \"2s\"");
    let flamegate = Flamegate::start(&text, &[]).await.unwrap();
    if let Err(error) = backend.wait_for(|received| received.has_function("Work.burn"), PATIENCE).await {
        panic!("{error}\n{}", flamegate.logs().join("\n"));
    }
    flamegate.into_folder(PATIENCE).await.unwrap();
    is_clean(&jvm);
}

/// Each target that cannot be recorded says why, and harms no other.
#[tokio::test]
async fn what_cannot_be_recorded_is_told() {
    let (backend, jvm) = (Backend::start().await.unwrap(), Jvm::start(&Options::default()));
    let mut sleeper = tokio::process::Command::new("sleep").arg("1000").kill_on_drop(true).spawn().unwrap();
    let mut targets = target(&jvm, "works");
    write!(targets, "{{\"__process_pid__\" = \"{}\"}}, {{\"a\" = \"b\"}},", sleeper.id().unwrap()).unwrap();
    let text = configuration(backend.url(), &format!("[{targets}]"), "", "interval = \"1s\"");
    let flamegate = Flamegate::start(&text, &[]).await.unwrap();
    backend.wait_for(|received| received.has_function("Work.burn"), PATIENCE).await.unwrap();
    flamegate.wait_for_log("targets are left out", PATIENCE).await.unwrap();
    flamegate.wait_for_log("the JVM is not recorded", PATIENCE).await.unwrap();
    let metrics = flamegate.metrics().await.unwrap();
    let reason = [("component_id", COMPONENT), ("reason", "not_jvm")];
    assert!(metrics.sum("pyroscope_java_failures_total", &reason).unwrap() > 0.0);
    assert_eq!(metrics.sum("pyroscope_java_targets_refused", &[]), Some(1.0));
    let shown = component(&flamegate).await;
    for part in ["\"failed\"", "\"recording\"", "\"healthy\""] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    drop(jvm);
    let all_fail = async || {
        let shown = component(&flamegate).await;
        (shown.contains("\"unhealthy\"") && shown.contains("this is no JVM")).then_some(())
    };
    eventually("no JVM is left", all_fail).await.unwrap();
    assert!(sleeper.try_wait().unwrap().is_none(), "what is no JVM was harmed");
    flamegate.into_folder(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_done_is_refused() {
    let backend = Backend::start().await.unwrap();
    for (settings, config, says) in [
        ("dist = \"/nowhere\"", "", "/nowhere"),
        ("tmp_dir = \"tmp\"", "", "\"tmp\" is no absolute path"),
        ("", "tlab = true\nalloc = \"\"", "profiling_config.tlab requires profiling_config.alloc to be set"),
        ("", "custom_arguments = [\"--flame\"]", "\"--flame\" is no option of asprof"),
        ("", "custom_arguments = [\"-f\", \"/tmp/x\"]", "-f is not for a configuration to say"),
    ] {
        let text = configuration(backend.url(), "[]", settings, config);
        let refused = Flamegate::start(&text, &[]).await.unwrap_err().to_string();
        assert!(refused.contains(says), "{settings} {config}: {refused}");
    }
}
