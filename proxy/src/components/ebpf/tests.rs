//! The conformance cases, and what the arguments make of a plan.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use alloy_syntax::{Scope, StdlibOptions, decode_block, parse_file};
use profiler_core::collection::{Kind, Names, ProfileBuilder, Style};
use profiler_core::kernel::{FileRef, Frame, Origin, Stop};
use profiler_core::labels::Labels;
use profiler_core::sampler::{Comm, FileInfo, Trace};
use profiler_core::symbolizer::Function;
use serde_json::{Value as Json, json};

use super::selection::Series;
use super::*;

fn arguments(body: &str) -> Result<EbpfArguments, String> {
    let file = parse_file("test.alloy", &format!("ebpf \"x\" {{\nforward_to = []\n{body}\n}}\n")).unwrap();
    let scope = Scope::stdlib(&StdlibOptions::default());
    decode_block(file.body.blocks().next().unwrap(), &scope).map_err(|error| error.to_string())
}

fn plan(body: &str) -> Plan {
    Plan::new(&arguments(body).unwrap(), 1, None).map_err(|invalid| invalid.message).unwrap()
}

fn plan_of_target(target: &Json, more: &str) -> Plan {
    plan(&format!("targets = [encoding.from_json({:?})]\n{more}", target.to_string()))
}

fn cases(file: &str) -> Vec<Json> {
    let file: Json = serde_json::from_str(file).unwrap();
    let cases = file["cases"].as_array().unwrap().clone();
    assert_eq!(cases.len() as u64, file["count"]);
    cases
}

fn text(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn expected(labels: &Json) -> BTreeMap<String, String> {
    serde_json::from_value(labels.clone()).unwrap()
}

#[test]
fn targets_select_as_the_cases_say() {
    for case in cases(include_str!("../../../../tests/conformance/ebpf_targets.json")) {
        if let Some(labels) = case.get("default_labels") {
            let selection = plan(&format!("targets_only = {}", case["targets_only"])).selection;
            let found = selection.series(4711, || None).unwrap();
            assert_eq!(text(&found.labels), expected(labels), "{case}");
            continue;
        }
        let selection = plan_of_target(&case["target"], "").selection;
        let mut selectors = 0;
        if let Some(by_container) = case.get("by_container") {
            selectors += 1;
            let id: Arc<str> = by_container["id"].as_str().unwrap().into();
            let found = selection.series(4711, || Some(id)).unwrap();
            assert_eq!(text(&found.labels), expected(&by_container["labels"]), "{case}");
        }
        if let Some(by_pid) = case.get("by_pid") {
            selectors += 1;
            let pid = by_pid["pid"].as_u64().unwrap().try_into().unwrap();
            let found = selection.series(pid, || None).unwrap();
            assert_eq!(text(&found.labels), expected(&by_pid["labels"]), "{case}");
        }
        assert_eq!(selection.len(), selectors, "{case}");
        assert!(selection.series(4711, || Some("another".into())).is_none(), "{case}");
    }
}

#[test]
fn a_pid_beats_a_container() {
    let targets = r#"targets = [
        {"__process_pid__" = "7", "__container_id__" = "c", "service_name" = "by pid"},
        {"__container_id__" = "c", "service_name" = "first"},
        {"__container_id__" = "c", "service_name" = "last"},
        {"__process_pid__" = "+8"},
    ]"#;
    let selection = plan(targets).selection;
    let name = |pid| selection.series(pid, || Some("c".into())).map(|series| series.service_name.to_string());
    assert_eq!(name(7).as_deref(), Some("by pid"));
    assert_eq!(name(8).as_deref(), Some("last"));
    assert_eq!(selection.len(), 2);
}

#[test]
fn services_are_named_as_the_cases_say() {
    for case in cases(include_str!("../../../../tests/conformance/service_name.json")) {
        let mut target = case["target"].clone();
        target["__process_pid__"] = json!("7");
        let selection = plan_of_target(&target, "").selection;
        assert_eq!(&*selection.series(7, || None).unwrap().service_name, case["ebpf"], "{case}");
    }
    for (target, name) in [
        (json!({"__meta_kubernetes_namespace": "a", "__meta_kubernetes_pod_container_name": "b"}), "ebpf/a/b"),
        (
            json!({
                "__meta_kubernetes_namespace": "a",
                "__meta_kubernetes_pod_container_name": "b",
                "__meta_kubernetes_pod_annotation_pyroscope_io_service_name": "c",
            }),
            "c",
        ),
        (json!({"__meta_dockerswarm_container_label_service_name": "d"}), "d"),
    ] {
        let mut target = target;
        target["__process_pid__"] = json!("7");
        let selection = plan_of_target(&target, "").selection;
        assert_eq!(&*selection.series(7, || None).unwrap().service_name, name, "{target}");
    }
}

struct Nothing;

impl Names for Nothing {
    fn file(&self, _: FileRef) -> Option<Arc<FileInfo>> {
        None
    }

    fn in_file(&self, _: &FileInfo, _: u64, _: &mut dyn FnMut(Function<'_>)) {}

    fn in_memory(&self, _: u32, _: u64, _: &mut dyn FnMut(Function<'_>)) {}

    fn in_runtime(&self, _: u32, _: &Frame, _: &mut dyn FnMut(Function<'_>)) {}

    fn in_kernel(&self, _: u64, _: &mut dyn FnMut(Function<'_>)) {}
}

#[test]
fn each_kind_of_event_has_its_profile() {
    let all: toml::Table = include_str!("../../../../tests/conformance/deviations.toml").parse().unwrap();
    let all = all["deviation"].as_array().unwrap();
    let deviations: Vec<_> = all.iter().filter(|one| one["file"].as_str() == Some("ebpf_profiles.json")).collect();
    let origins = [Origin::Cpu, Origin::OffCpu, Origin::Probe];
    let cases = cases(include_str!("../../../../tests/conformance/ebpf_profiles.json"));
    for (id, (case, origin)) in cases.iter().zip(origins).enumerate() {
        let trace = Trace {
            pid: 7,
            tid: 7,
            comm: Comm([b'a'; 16]),
            origin,
            kernel: [1].into(),
            user: Box::default(),
            stop: Stop::Complete,
            labels: Box::default(),
            count: 3,
            value: 5,
        };
        let kind = Kind::of(origin, 97);
        let mut builder = ProfileBuilder::new(kind, Style { kernel_frames: true, ..Style::default() }, &Nothing);
        builder.add(&trace);
        let profile = builder.finish(SystemTime::now(), Duration::from_secs(1));
        let shown = |value: &profiler_core::pprof::ValueType| [profile.string(value.kind), profile.string(value.unit)];
        assert_eq!(json!(profile.sample_type.first().map(shown)), case["sample_type"], "{case}");
        assert_eq!(json!(profile.period_type.as_ref().map(shown)), case["period_type"], "{case}");
        let period =
            if case["period"] == "1e9 / sample_rate" { json!(1_000_000_000 / 97) } else { case["period"].clone() };
        assert_eq!(json!(profile.period), period, "{case}");
        assert_eq!(profile.sample[0].value, [5 * profile.period], "{case}");
        let ours = deviations.iter().find(|one| one["id"].as_str() == Some(&id.to_string()));
        let name = ours.map_or(case["name"].as_str(), |one| one["ours"]["name"].as_str());
        assert_eq!(Some(kind.series()), name, "{case}");
    }
}

#[test]
fn the_scope_is_added_where_it_is_not_given() {
    let labels = |target: &[(&str, &str)]| {
        let labels = Labels::from_pairs(target.iter().copied()).unwrap();
        text(&Series { labels, service_name: "a".into() }.of_profile("offcpu").unwrap())
    };
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    let of = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    let ours = "com.grafana.alloy/pyroscope.ebpf";
    let added: BTreeMap<_, _> =
        of(&[("__name__", "offcpu"), ("otel.scope.name", ours), ("otel.scope.version", version)]);
    assert_eq!(labels(&[("__name__", "mine")]), added);
    let given: BTreeMap<_, _> = of(&[("__name__", "offcpu"), ("otel.scope.name", "x")]);
    assert_eq!(labels(&[("otel.scope.name", "x")]), given);
}

#[test]
fn what_needs_another_sampler_is_told_from_what_does_not() {
    let base = plan("");
    for same in
        ["comm = \"label\"", "pid_label = true", "collect_interval = \"1s\"", "lazy_mode = true", "targets = []"]
    {
        assert_eq!(plan(same).sampling, base.sampling, "{same}");
    }
    for other in [
        "sample_rate = 97",
        "kernel_frames = false",
        "targets_only = false",
        "off_cpu_threshold = 0.5",
        "demangle = \"full\"",
        "python_enabled = false",
        "hotspot_enabled = false",
        "v8_enabled = false",
        "ruby_enabled = false",
        "perl_enabled = false",
        "php_enabled = false",
        "go_enabled = false",
        "dotnet_enabled = false",
    ] {
        assert_ne!(plan(other).sampling, base.sampling, "{other}");
    }
    assert!(plan("lazy_mode = true").waits());
    assert!(!plan("lazy_mode = true\ntargets = [{\"__process_pid__\" = \"1\"}]").waits());
}

#[test]
fn links_of_probes_are_taken_in_both_spellings() {
    let links = |body: &str| -> Vec<String> { plan(body).sampling.probes.iter().map(ToString::to_string).collect() };
    assert_eq!(links("u_probe_links = [\"/bin/sh:entry\"]"), ["uprobe:/bin/sh:entry"]);
    let both = "probe_links = [\"uretprobe:/a:b\"]\nu_probe_links = [\"/bin/sh:entry\"]";
    assert_eq!(links(both), ["uretprobe:/a:b"]);
}

#[test]
fn symbols_are_kept_where_they_are_found_again() {
    let refused = arguments("symb_cache_path = \"cache\"").unwrap_err();
    assert!(refused.contains("must be an absolute path"), "{refused}");
}
