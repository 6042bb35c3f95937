//! The conformance cases of relabelling as targets, and what is shared.

use std::collections::BTreeMap;

use alloy_syntax::{Scope, StdlibOptions, decode_block, parse_file};
use serde_json::Value as Json;

use super::super::tests::{context, services};
use super::*;

const CASES: &str = include_str!("../../../../../tests/conformance/relabel.json");
const DEVIATIONS: &str = include_str!("../../../../../tests/conformance/deviations.toml");

/// A component with these rules, over these targets.
fn build(rules: &Json, targets: &[Labels], previous: Option<&DiscoveryRelabel>) -> Result<DiscoveryRelabel, String> {
    let rule = |rule: &Json| {
        let attributes = rule.as_object().unwrap().iter().map(|(name, value)| format!("{name} = {value}\n"));
        format!("rule {{\n{}}}\n", attributes.collect::<String>())
    };
    let rules: String = rules.as_array().unwrap().iter().map(rule).collect();
    let file = parse_file("test", &format!("relabel {{\ntargets = found\n{rules}}}")).unwrap();
    let found = TargetSet::new(targets.to_vec()).value;
    let scope = Scope::stdlib(&StdlibOptions::default()).with("found", found);
    let arguments: DiscoveryRelabelArguments =
        decode_block(file.body.blocks().next().unwrap(), &scope).map_err(|error| error.to_string())?;
    DiscoveryRelabel::build(&arguments, &context(&services(), "discovery.relabel.a"), previous)
        .map_err(|error| error.message)
}

fn labels(value: &Json) -> Labels {
    let labels: BTreeMap<String, String> = serde_json::from_value(value.clone()).unwrap();
    Labels::from_pairs(labels).unwrap()
}

fn deviates(id: &str) -> bool {
    let all: toml::Table = DEVIATIONS.parse().unwrap();
    all["deviation"].as_array().unwrap().iter().any(|deviation| {
        let is = |key: &str, text: &str| deviation[key].as_str() == Some(text);
        is("file", "relabel.json") && is("id", id) && is("ours", "dropped")
    })
}

#[test]
fn targets_are_relabelled_as_series_are() {
    let cases: Json = serde_json::from_str(CASES).unwrap();
    // Names of Prometheus' newer validation do not apply, as in the reference.
    let cases = cases["cases"].as_array().unwrap().iter().filter(|case| case["name_validation"] != "utf8");
    let mut applied = 0;
    for case in cases {
        let id = case["id"].as_str().unwrap();
        let built = build(&case["rules"], &[labels(&case["input"])], None);
        applied += 1;
        if let Some(expected) = case["validate_error"].as_str() {
            let error = built.err().unwrap_or_else(|| panic!("{id}: accepted"));
            assert!(error.contains(expected), "{id}: {error}");
            continue;
        }
        let output = built.unwrap_or_else(|error| panic!("{id}: {error}")).output.targets;
        let kept = case["keep"] == true && !deviates(id);
        let expected: Vec<Labels> = kept.then(|| labels(&case["output"])).into_iter().collect();
        assert_eq!(*output, *expected, "{id}");
    }
    assert!(applied > 40, "{applied}");
}

#[test]
fn what_no_rule_changes_is_the_same_memory() {
    let [web, db] =
        [("web", "1"), ("db", "2")].map(|label| Labels::from_pairs([("app", label.0), ("n", label.1)]).unwrap());
    let rules = serde_json::json!([
        { "source_labels": ["app"], "regex": "db", "target_label": "kind", "replacement": "store" },
    ]);
    let component = build(&rules, &[web.clone(), db.clone()], None).unwrap();
    let [first, second] = &*component.output.targets else { panic!("two") };
    assert!(std::ptr::eq(first.text(), web.text()));
    assert_eq!(second.to_string(), r#"{app="db", kind="store", n="2"}"#);

    // Of another list only what is new is looked at, in the order of the list.
    let cache = Labels::from_pairs([("app", "cache")]).unwrap();
    let next = build(&rules, &[cache, db.clone(), web], Some(&component)).unwrap();
    let [_, again, _] = &*next.output.targets else { panic!("three") };
    assert!(std::ptr::eq(again.text(), second.text()));
    assert_eq!(next.judged.len(), 3);
    let fewer = build(&rules, std::slice::from_ref(&db), Some(&next)).unwrap();
    assert_eq!(fewer.judged.len(), 1, "what is gone is forgotten");
    let same = build(&rules, &[db], Some(&fewer)).unwrap();
    assert!(std::sync::Arc::ptr_eq(&same.output.targets, &fewer.output.targets));
}

#[test]
fn other_rules_judge_again() {
    let target = Labels::from_pairs([("app", "db")]).unwrap();
    let rules = |value: &str| serde_json::json!([{ "target_label": "kind", "replacement": value }]);
    let before = build(&rules("old"), std::slice::from_ref(&target), None).unwrap();
    let after = build(&rules("new"), &[target], Some(&before)).unwrap();
    assert_eq!(after.output.targets[0].value("kind"), Some("new"));
}

#[test]
fn targets_without_labels_are_none_unless_a_rule_writes_some() {
    let without = [Labels::empty(), Labels::from_pairs([("a", "")]).unwrap()];
    assert!(build(&serde_json::json!([]), &without, None).unwrap().output.targets.is_empty());
    let rules = serde_json::json!([{ "target_label": "kind", "replacement": "made" }]);
    let made = build(&rules, &without, None).unwrap().output.targets;
    assert_eq!(made.iter().map(ToString::to_string).collect::<Vec<_>>(), [r#"{kind="made"}"#, r#"{kind="made"}"#]);
}

#[test]
fn a_target_that_grows_too_large_is_left_out_alone() {
    let [large, small] = [("large", 600 << 10), ("small", 1)]
        .map(|(app, length)| Labels::from_pairs([("app", app.to_owned()), ("long", "x".repeat(length))]).unwrap());
    let rules = serde_json::json!([{ "source_labels": ["long"], "target_label": "twice" }]);
    let component = build(&rules, &[large.clone(), small.clone()], None).unwrap();
    let again = build(&rules, &[large, small], Some(&component)).unwrap();
    for component in [component, again] {
        assert_eq!(component.output.targets.len(), 1);
        let message = component.health().unwrap().message;
        assert!(message.starts_with("a target is left out: labels hold 122"), "{message}");
    }
}
