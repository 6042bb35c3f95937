//! The conformance cases of relabelling, each through the sandboxed component.
//!
//! `FLAMEGATE_RELABEL_COMPONENT` names another component than the one compiled in: `cargo xtask test` rebuilds it from
//! its sources and runs the same cases on that.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use flamegate::filters::{Builtin, ConfigureError, ConfiguredFilter, FilterHost, FilterSettings, Module, Verdict};
use profiler_core::labels::Labels;
use serde_json::{Value, json};

static MODULE: LazyLock<Module> = LazyLock::new(|| {
    let host = FilterHost::default();
    let loaded = match std::env::var_os("FLAMEGATE_RELABEL_COMPONENT") {
        None => host.builtin(Builtin::RELABEL),
        Some(path) => host.load(&std::fs::read(path).unwrap()),
    };
    loaded.unwrap().0
});

fn filter(rules: &Value) -> Result<ConfiguredFilter, ConfigureError> {
    let timeout = Duration::from_secs(10);
    let settings = FilterSettings { timeout, ..FilterSettings::built_in("conformance", rules.to_string()) };
    ConfiguredFilter::new(&MODULE, settings)
}

fn cases(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance").join(file);
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = file["cases"].as_array().unwrap().clone();
    assert_eq!(cases.len() as u64, file["count"].as_u64().unwrap());
    cases
}

fn labels(value: &Value) -> Labels {
    let labels: BTreeMap<String, String> = serde_json::from_value(value.clone()).unwrap();
    Labels::from_pairs(labels).unwrap()
}

/// What leaves relabel: `None` where the series is dropped.
fn outcome(filter: &ConfiguredFilter, input: &Labels) -> Option<Labels> {
    match filter.apply(input).unwrap() {
        Verdict::Unchanged => Some(input.clone()),
        Verdict::Replace(labels) => Some(labels),
        Verdict::Drop(_) => None,
    }
}

/// How `deviations.toml` has it, by id; those of this file.
fn deviations(file: &str) -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance/deviations.toml");
    let all: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
    let all = all.get("deviation").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let of_file = all.into_iter().filter(|deviation| deviation["file"].as_str() == Some(file));
    let text = |deviation: &toml::Value, key: &str| deviation[key].as_str().unwrap().to_owned();
    of_file.map(|deviation| (text(&deviation, "id"), text(&deviation, "ours"))).collect()
}

#[test]
fn rules() {
    let mut deviations = deviations("relabel.json");
    let mut applied = 0;
    for case in cases("relabel.json") {
        let id = case["id"].as_str().unwrap();
        // Decided: names of Prometheus' newer validation do not apply, here as in the reference.
        if case["name_validation"] == "utf8" {
            continue;
        }
        applied += 1;
        if let Some(expected) = case["validate_error"].as_str() {
            let error = filter(&case["rules"]).err().unwrap_or_else(|| panic!("{id}: accepted")).to_string();
            assert!(error.contains(expected), "{id}: {error}");
            continue;
        }
        let input = labels(&case["input"]);
        let left = outcome(&filter(&case["rules"]).unwrap_or_else(|error| panic!("{id}: {error}")), &input);
        match deviations.remove(id).as_deref() {
            Some("dropped") => assert_eq!(left, None, "{id}"),
            Some(other) => panic!("{id}: what is {other:?}?"),
            None if case["keep"] == true => assert_eq!(left, Some(labels(&case["output"])), "{id}"),
            None => assert_eq!(left, None, "{id}"),
        }
    }
    assert!(applied > 40, "{applied}");
    assert!(deviations.is_empty(), "no such cases: {deviations:?}");
}

#[test]
fn target_labels() {
    for case in cases("relabel_target_label.json") {
        let target = &case["target_label"];
        let replace = filter(&json!([{ "source_labels": ["a"], "target_label": target }]));
        assert_eq!(replace.is_ok(), case["valid"].as_bool().unwrap(), "{case}");
    }
}

/// `regex_expand.json`: the match and the template, as a rule that writes what it expands to.
#[test]
fn regular_expressions() {
    for case in cases("regex_expand.json") {
        let rules = json!([{
            "source_labels": ["in"],
            "regex": case["regex"],
            "target_label": "out",
            "replacement": case["template"],
        }]);
        if let Some(expected) = case["compile_error"].as_str() {
            let error = filter(&rules).err().unwrap_or_else(|| panic!("{case}: accepted")).to_string();
            assert!(error.contains(expected), "{case}: {error}");
            continue;
        }
        // A label that no rule touches keeps the set from being empty; an empty value is a label that is not there.
        let input = Labels::from_pairs([("in", case["input"].as_str().unwrap()), ("kept", "1"), ("out", "before")]);
        let left = outcome(&filter(&rules).unwrap(), &input.unwrap()).unwrap();
        let expected = if case["match"] == true {
            Some(case["expanded"].as_str().unwrap()).filter(|expanded| !expanded.is_empty())
        } else {
            Some("before")
        };
        assert_eq!(left.value("out"), expected, "{case}");
    }
}
