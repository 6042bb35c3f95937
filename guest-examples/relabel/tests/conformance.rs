//! The reference's own cases, natively. The proxy's tests run the same files through the sandbox.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of this is test code, also what is outside of #[test]"
)]

use std::collections::BTreeMap;
use std::path::Path;

use flamegate_relabel::go_regex::{GoRegex, Template};
use flamegate_relabel::{Action, Rule, RuleSet, Verdict};
use serde::Deserialize;
use serde::de::DeserializeOwned;

type Labels = BTreeMap<String, String>;

fn cases<T: DeserializeOwned>(file: &str) -> Vec<T> {
    #[derive(Deserialize)]
    struct File<T> {
        count: usize,
        cases: Vec<T>,
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file: File<T> = serde_json::from_str(&text).unwrap();
    assert_eq!(file.count, file.cases.len());
    file.cases
}

/// What remains of `labels`; `None` when they are dropped.
fn relabelled(rules: &RuleSet, labels: &Labels) -> Option<Labels> {
    let sorted: Vec<(&String, &String)> = labels.iter().collect();
    let mut result = labels.clone();
    match rules.apply(&sorted) {
        Verdict::Unchanged => {}
        Verdict::Drop(_) => return None,
        Verdict::Change(change) => {
            for position in change.removed {
                result.remove(sorted[position].0);
            }
            for (name, value) in change.set {
                assert!(!value.is_empty(), "{name} is set to nothing instead of being removed");
                assert_ne!(labels.get(&name), Some(&value), "{name} is set to the value that it has");
                result.insert(name, value);
            }
        }
    }
    Some(result)
}

#[test]
fn relabelling() {
    #[derive(Deserialize)]
    struct Case {
        id: String,
        input: Labels,
        rules: Vec<Rule>,
        name_validation: String,
        #[serde(default)]
        keep: bool,
        #[serde(default)]
        output: Labels,
        validate_error: Option<String>,
    }
    let cases: Vec<Case> = cases("relabel.json");
    // The product knows the legacy rule for label names alone.
    let legacy: Vec<&Case> = cases.iter().filter(|case| case.name_validation == "legacy").collect();
    assert!(legacy.len() > 60, "{} legacy cases", legacy.len());
    for case in legacy {
        let compiled = RuleSet::compile(case.rules.clone());
        if let Some(expected) = &case.validate_error {
            assert_eq!(&compiled.expect_err(&case.id).message, expected, "{}", case.id);
            continue;
        }
        // An emptied label set is dropped: the reference passes it on once and drops it afterwards.
        let expected = (case.keep && !case.output.is_empty()).then(|| case.output.clone());
        assert_eq!(relabelled(&compiled.expect(&case.id), &case.input), expected, "{}", case.id);
    }
}

#[test]
fn target_labels() {
    #[derive(Deserialize)]
    struct Case {
        target_label: String,
        valid: bool,
    }
    for Case { target_label, valid } in cases("relabel_target_label.json") {
        let labelmap = Rule { action: Action::LabelMap, replacement: target_label.clone(), ..Rule::default() };
        assert_eq!(RuleSet::compile(vec![labelmap]).is_ok(), valid, "labelmap to {target_label:?}");
        if target_label.contains('$') {
            let replace = Rule { target_label: target_label.clone(), ..Rule::default() };
            assert_eq!(RuleSet::compile(vec![replace]).is_ok(), valid, "replace into {target_label:?}");
        }
    }
}

#[test]
fn patterns_and_templates() {
    #[derive(Deserialize)]
    struct Case {
        regex: String,
        input: String,
        template: String,
        #[serde(default, rename = "match")]
        matches: bool,
        expanded: Option<String>,
        #[serde(default)]
        groups: Vec<String>,
        compile_error: Option<String>,
    }
    for case in cases::<Case>("regex_expand.json") {
        let regex = match (GoRegex::compile(&case.regex), &case.compile_error) {
            (Ok(regex), None) => regex,
            (Err(error), Some(expected)) => {
                assert_eq!(&error.to_string(), expected, "{}", case.regex);
                continue;
            }
            (compiled, expected) => panic!("{}: {compiled:?} instead of {expected:?}", case.regex),
        };
        assert_eq!(regex.is_match(&case.input), case.matches, "{}", case.regex);
        let groups = regex.captures(&case.input);
        let expanded = groups.as_ref().map(|groups| Template::parse(&case.template, &regex).expand(groups));
        assert_eq!(expanded, case.expanded, "{} {}", case.regex, case.template);
        if let Some(groups) = groups {
            let found: Vec<&str> =
                (0..regex.group_count()).map(|index| groups.group(index).unwrap_or_default()).collect();
            assert_eq!(found, case.groups, "{}", case.regex);
        }
    }
}
