//! Filters that look into profiles, by the filter in `guest-examples/probe`, which does what its configuration says.
//!
//! The example filter `guest-examples/redact` is here too. `FLAMEGATE_PROBE_COMPONENT` and `FLAMEGATE_REDACT_COMPONENT`
//! name other builds than those in the repository: `cargo xtask test` rebuilds them from their sources and runs the same
//! tests on that.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use flamegate::filters::cases::{self, Limits};
use flamegate::filters::{
    Capability, ConfiguredFilter, FilterError, FilterHost, FilterSettings, MAX_PROFILE, Module, Verdict, World,
};
use flamegate::pipeline::{Budget, Share};
use profiler_core::labels::Labels;
use profiler_core::pprof::edit::{Edited, Editing, LabelValue};
use profiler_core::pprof::{Function, Label, Line, Location, Mapping, Profile, Sample, ValueType};
use prost::Message;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    orders: Vec<String>,
    /// The label that tells what was read.
    label: Option<String>,
    after: Option<After>,
    drop: Option<String>,
    /// The kind of the error.
    error: Option<String>,
    /// What its text holds.
    #[serde(default)]
    says: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase", untagged)]
enum After {
    Word(String),
    Profile {
        samples: Vec<String>,
        /// Texts that are nowhere in it.
        #[serde(default)]
        gone: Vec<String>,
        #[serde(default)]
        kept: Vec<String>,
    },
}

static PROBE: LazyLock<Module> =
    LazyLock::new(|| load("FLAMEGATE_PROBE_COMPONENT", include_bytes!("../../guest-examples/probe.wasm")));
static REDACT: LazyLock<Module> =
    LazyLock::new(|| load("FLAMEGATE_REDACT_COMPONENT", include_bytes!("../../guest-examples/redact.wasm")));

fn load(variable: &str, committed: &[u8]) -> Module {
    let bytes = std::env::var_os(variable).map_or(committed.to_vec(), |path| std::fs::read(path).unwrap());
    FilterHost::default().load(&bytes).unwrap().0
}

#[test]
fn cases() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("profile_filters/cases.json")).unwrap();
    let plain = Bytes::from(profile().encode_to_vec());
    for case in &cases {
        for profile in [&plain, &gzip(&plain)] {
            meets(case, filter(&case.orders.join("\n")).apply_to_profile(&labels(), profile, Share::unbounded()));
        }
    }
}

fn meets(case: &Case, applied: Result<(Verdict, Edited), FilterError>) {
    let Case { name, label, after, drop, error, says, .. } = case;
    match (applied, error, drop) {
        (Err(failed), Some(kind), _) => {
            assert_eq!(failed.kind(), kind, "{name}: {failed}");
            assert!(failed.to_string().contains(says.as_str()), "{name}: {failed}");
        }
        (Ok((verdict, edited)), None, Some(reason)) => {
            assert_eq!((verdict, edited), (Verdict::Drop(reason.as_str().into()), Edited::Unchanged), "{name}");
        }
        (Ok((verdict, edited)), None, None) => {
            let said = match &verdict {
                Verdict::Unchanged => None,
                Verdict::Replace(labels) => labels.value("read").or(labels.value("range")),
                Verdict::Drop(reason) => panic!("{name}: dropped for {reason}"),
            };
            assert_eq!(said, label.as_deref(), "{name}");
            after.as_ref().expect("what is expected of the profile").check(name, &edited);
        }
        (applied, ..) => panic!("{name}: {applied:?}"),
    }
}

impl After {
    fn check(&self, name: &str, edited: &Edited) {
        match (self, edited) {
            (Self::Word(word), Edited::Unchanged) => assert_eq!(word, "unchanged", "{name}"),
            (Self::Word(word), Edited::Empty) => assert_eq!(word, "empty", "{name}"),
            (Self::Profile { samples, gone, kept }, Edited::Changed(bytes)) => {
                let editing = Editing::open(bytes, MAX_PROFILE).unwrap();
                assert_eq!(shown(&editing), *samples, "{name}");
                let texts = editing.original().profile().string_table.join("\n");
                for text in gone {
                    assert!(!texts.contains(text.as_str()), "{name}: {text} stays in {texts}");
                }
                for text in kept {
                    assert!(texts.contains(text.as_str()), "{name}: {text} is gone from {texts}");
                }
            }
            (_, edited) => panic!("{name}: {edited:?}"),
        }
    }
}

/// Each sample: function names from the leaf on, values, labels.
fn shown(editing: &Editing) -> Vec<String> {
    let original = editing.original();
    let profile = original.profile();
    let frames = |id: &u64| {
        let location = &profile.location[original.location(*id).unwrap()];
        if location.line.is_empty() {
            return vec![format!("{:#x}", location.address)];
        }
        let name = |line: &Line| profile.string(profile.function[original.function(line.function_id).unwrap()].name);
        location.line.iter().map(|line| name(line).to_owned()).collect()
    };
    let sample = |sample: &Sample| {
        let mut stack: Vec<String> = sample.location_id.iter().flat_map(frames).collect();
        stack.dedup();
        let values: Vec<String> = sample.value.iter().map(i64::to_string).collect();
        let labels = original.labels(sample).map(|label| match label.value {
            LabelValue::Text(text) => format!(" {}={text}", label.key),
            LabelValue::Number(number, unit) => format!(" {}={number}{unit}", label.key),
        });
        format!("{} {}{}", stack.join(";"), values.join("/"), labels.collect::<String>())
    };
    profile.sample.iter().map(sample).collect()
}

#[test]
fn a_profile_that_is_none_is_told_apart_from_a_fault_of_the_filter() {
    let filter = filter("read");
    for damaged in [&b"\x0a\xff"[..], b"\x1f\x8b\x08 no gzip"] {
        let error = filter.apply_to_profile(&labels(), &Bytes::from_static(damaged), Share::unbounded()).unwrap_err();
        assert_eq!(error.kind(), "unreadable", "{error}");
    }
    let bomb = gzip(&vec![0; MAX_PROFILE + 1]);
    let error = filter.apply_to_profile(&labels(), &bomb, Share::unbounded()).unwrap_err();
    assert_eq!(error.kind(), "unreadable", "{error}");
    // The next one is looked into.
    let (verdict, _) =
        filter.apply_to_profile(&labels(), &Bytes::from(profile().encode_to_vec()), Share::unbounded()).unwrap();
    assert!(matches!(verdict, Verdict::Replace(_)));
}

#[test]
fn a_profile_is_opened_where_there_is_memory_for_it() {
    let bytes = Bytes::from(profile().encode_to_vec());
    let budget = Budget::new(bytes.len() + 100);
    let share = || budget.take(bytes.len()).unwrap();
    let error = filter("read").apply_to_profile(&labels(), &bytes, share().another()).unwrap_err();
    assert_eq!(error.kind(), "no_memory");
    budget.resize(1 << 20);
    filter("read").apply_to_profile(&labels(), &bytes, share().another()).unwrap();
    assert_eq!(budget.used(), 0);
}

#[test]
fn what_is_not_asked_for_is_not_decoded() {
    let filter = filter("");
    let applied = filter.apply_to_profile(&labels(), &Bytes::from_static(b"no profile"), Share::unbounded()).unwrap();
    assert_eq!(applied, (Verdict::Unchanged, Edited::Unchanged));
}

#[test]
fn long_tables_are_handed_over_in_parts() {
    let mut large = profile();
    let one = large.sample[1].clone();
    large.sample = vec![one; 40_000];
    let count = |orders: &str| {
        let applied =
            filter(orders).apply_to_profile(&labels(), &Bytes::from(large.encode_to_vec()), Share::unbounded());
        let (Verdict::Replace(labels), _) = applied.unwrap() else { panic!("no range") };
        labels.value("range").unwrap().parse::<u32>().unwrap()
    };
    assert_eq!(count("range 0 40000"), 16_384);
    assert_eq!(count("range 32768 40000"), 40_000 - 32_768);
}

#[test]
fn names_are_redacted() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-examples/redact");
    let read = |path: &Path| std::fs::read(folder.join(path)).map(Bytes::from).map_err(|error| error.to_string());
    let written = std::fs::read_to_string(folder.join("cases.json")).unwrap();
    let limits = Limits { capabilities: Vec::new(), timeout: Duration::from_secs(1), memory_limit: 64 << 20 };
    for case in cases::Case::read_all(&written, read).unwrap() {
        let differences = case.differences(&REDACT, &limits);
        assert!(differences.is_empty(), "{}: {differences:#?}", case.name);
    }
}

#[test]
fn who_is_granted_the_clock_may_ask_it_and_who_is_not_does_not_run() {
    assert_eq!((PROBE.needs(), REDACT.needs()), (vec![Capability::Clock], vec![]));
    let told = || {
        let (verdict, _) = filter("now").apply_to_profile(&labels(), &Bytes::new(), Share::unbounded()).unwrap();
        let Verdict::Replace(labels) = verdict else { panic!("{verdict:?}") };
        Duration::from_nanos(labels.value("read").unwrap().parse().unwrap())
    };
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let told = told();
    assert!(before <= told && told <= SystemTime::now().duration_since(UNIX_EPOCH).unwrap(), "{told:?}");

    let settings = FilterSettings { capabilities: Vec::new(), ..settings("now") };
    let refused = ConfiguredFilter::new(&PROBE, settings).err().unwrap().to_string();
    assert!(refused.contains(r#"capabilities = ["clock"]"#), "{refused}");
}

#[test]
fn it_is_of_its_world_and_asks_for_profiles() {
    assert_eq!(PROBE.world(), World::Profile);
    assert!(matches!(filter("").apply(&labels()), Err(FilterError::NeedsProfile)));
}

fn filter(orders: &str) -> ConfiguredFilter {
    configured(&PROBE, orders)
}

fn configured(module: &Module, config: &str) -> ConfiguredFilter {
    ConfiguredFilter::new(module, settings(config)).unwrap()
}

fn settings(config: &str) -> FilterSettings {
    FilterSettings {
        name: "test".into(),
        config: config.to_owned(),
        tables: Arc::default(),
        capabilities: vec![Capability::Clock],
        timeout: Duration::from_secs(1),
        memory_limit: 64 << 20,
        cpu_share: 1.0,
    }
}

fn labels() -> Labels {
    Labels::from_pairs([("service_name", "shop")]).unwrap()
}

/// `main` calls `secret.pay`, which is inlined nowhere; one place has no function, one function no name but the binary's.
fn profile() -> Profile {
    let texts = [
        "",
        "cpu",
        "nanoseconds",
        "samples",
        "count",
        "main",
        "main.go",
        "secret.pay",
        "pay.go",
        "_in_binary",
        "secret.unused",
        "app",
        "thread",
        "a",
        "b",
        "c",
        "bytes",
        "B",
    ];
    let text = |wanted: &str| texts.iter().position(|text| *text == wanted).unwrap() as i64;
    let value_type = |kind, unit| ValueType { kind: text(kind), unit: text(unit) };
    let function = |id, name, file, start_line| Function {
        id,
        name: text(name),
        system_name: text(name),
        filename: text(file),
        start_line,
    };
    let line = |function_id, line| Line { function_id, line, column: 0 };
    let location = |id, mapping_id, address, line| Location { id, mapping_id, address, line, is_folded: false };
    let thread = |name| Label { key: text("thread"), str: text(name), ..Label::default() };
    let bytes = Label { key: text("bytes"), num: 5, num_unit: text("B"), str: 0 };
    let sample = |location_id: &[u64], value: [i64; 2], label: &[Label]| Sample {
        location_id: location_id.to_vec(),
        value: value.to_vec(),
        label: label.to_vec(),
    };
    Profile {
        sample_type: vec![value_type("cpu", "nanoseconds"), value_type("samples", "count")],
        sample: vec![
            sample(&[20, 10], [7, 1], &[thread("a"), bytes]),
            sample(&[10], [3, 1], &[thread("b")]),
            sample(&[20, 10], [2, 2], &[]),
            sample(&[30], [4, 4], &[thread("a"), thread("c")]),
        ],
        mapping: vec![Mapping { id: 1, filename: text("app"), ..Mapping::default() }],
        location: vec![
            location(10, 1, 0x1000, vec![line(100, 11)]),
            // The first is inlined into the second.
            location(20, 1, 0x2000, vec![line(200, 21), line(100, 12)]),
            location(30, 0, 0x3000, vec![]),
        ],
        function: vec![
            function(100, "main", "main.go", 10),
            function(200, "secret.pay", "pay.go", 20),
            Function { name: 0, ..function(300, "_in_binary", "", 0) },
            function(400, "secret.unused", "pay.go", 30),
        ],
        string_table: texts.map(str::to_owned).to_vec(),
        ..Profile::default()
    }
}

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap().into()
}
