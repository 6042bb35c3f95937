//! The conformance cases of enriching, each through the sandboxed component.
//!
//! `FLAMEGATE_ENRICH_COMPONENT` names another component than the one compiled in: `cargo xtask test` rebuilds it from
//! its sources and runs the same cases on that.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use flamegate::filters::{Builtin, ConfiguredFilter, FilterHost, FilterSettings, Module, Rows, Tables, Verdict};
use profiler_core::labels::Labels;
use serde::Deserialize;

static MODULE: LazyLock<Module> = LazyLock::new(|| {
    let host = FilterHost::default();
    let loaded = match std::env::var_os("FLAMEGATE_ENRICH_COMPONENT") {
        None => host.builtin(Builtin::ENRICH),
        Some(path) => host.load(&std::fs::read(path).unwrap()),
    };
    loaded.unwrap().0
});

#[derive(Deserialize)]
struct Cases {
    count: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    args: Arguments,
    input: BTreeMap<String, String>,
    output: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    targets: Option<Vec<BTreeMap<String, String>>>,
    target_match_label: String,
    profiles_match_label: Option<String>,
    #[serde(default)]
    labels_to_copy: Vec<String>,
}

/// Configured as the component does it: a label's name a line, first the profiles' match label.
fn filter(arguments: &Arguments) -> ConfiguredFilter {
    let match_label = arguments.profiles_match_label.as_ref().unwrap_or(&arguments.target_match_label);
    let names = std::iter::once(match_label).chain(&arguments.labels_to_copy).map(String::as_str);
    let targets = arguments.targets.iter().flatten().map(labels).collect();
    let mut tables = Tables::default();
    tables.add("targets", &arguments.target_match_label, Rows::new(targets).unwrap()).unwrap();
    let settings = FilterSettings {
        tables: Arc::new(tables),
        timeout: Duration::from_secs(10),
        ..FilterSettings::built_in("conformance", names.collect::<Vec<_>>().join("\n"))
    };
    ConfiguredFilter::new(&MODULE, settings).unwrap()
}

fn labels(labels: &BTreeMap<String, String>) -> Labels {
    Labels::from_pairs(labels).unwrap()
}

fn enriched(filter: &ConfiguredFilter, input: &Labels) -> Labels {
    match filter.apply(input).unwrap() {
        Verdict::Unchanged => input.clone(),
        Verdict::Replace(labels) => labels,
        Verdict::Drop(reason) => panic!("{input} is dropped: {reason}"),
    }
}

#[test]
fn targets() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance/enrich.json");
    let Cases { count, cases } = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(cases.len(), count);
    for Case { id, args, input, output } in cases {
        assert_eq!(enriched(&filter(&args), &labels(&input)), labels(&output), "{id}");
    }
}

/// What the cases leave out, and the specification says.
#[test]
fn an_empty_label_of_a_target_deletes_where_all_are_copied() {
    let strings = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>()
    };
    let mut arguments = Arguments {
        targets: Some(vec![strings(&[("h", "a"), ("env", ""), ("team", "shop")])]),
        target_match_label: "h".to_owned(),
        profiles_match_label: None,
        labels_to_copy: Vec::new(),
    };
    let input = labels(&strings(&[("h", "a"), ("env", "prod")]));
    assert_eq!(enriched(&filter(&arguments), &input).to_string(), r#"{h="a", team="shop"}"#);
    arguments.labels_to_copy = vec!["env".to_owned(), "team".to_owned()];
    assert_eq!(enriched(&filter(&arguments), &input).to_string(), r#"{env="prod", h="a", team="shop"}"#);
}

/// The host would refuse such an answer whole.
#[test]
fn a_label_without_a_name_is_not_copied() {
    let target = BTreeMap::from([("h".to_owned(), "a".to_owned()), (String::new(), "nameless".to_owned())]);
    let arguments = Arguments {
        targets: Some(vec![target]),
        target_match_label: "h".to_owned(),
        profiles_match_label: None,
        labels_to_copy: Vec::new(),
    };
    let input = Labels::from_pairs([("h", "a")]).unwrap();
    assert_eq!(enriched(&filter(&arguments), &input), input);
}
