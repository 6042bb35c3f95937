//! What the reference's own cases leave open.
#![allow(clippy::unwrap_used, reason = "all of this is test code, also what is outside of #[test]")]

use flamegate_relabel::go_regex::{GoRegex, GoRegexError, MAX_PATTERN_LEN};
use flamegate_relabel::{Action, Change, Rule, RuleSet, Verdict};

fn rule(action: Action) -> Rule {
    Rule { action, ..Rule::default() }
}

fn refusal(rule: Rule) -> (&'static str, String) {
    let error = RuleSet::compile(vec![Rule { target_label: "ok".into(), ..Rule::default() }, rule]).unwrap_err();
    assert_eq!(error.index, 1);
    (error.field, error.message)
}

fn set(name: &str, value: &str) -> Verdict {
    Verdict::Change(Change { removed: vec![], set: vec![(name.into(), value.into())] })
}

#[test]
fn refusals_name_the_attribute() {
    let replace = |target: &str| Rule { target_label: target.into(), ..rule(Action::Replace) };
    let cases = [
        (
            Rule { target_label: "a".into(), replacement: "x".into(), ..rule(Action::Uppercase) },
            ("replacement", "'replacement' can not be set for uppercase action"),
        ),
        (
            Rule { separator: ",".into(), ..rule(Action::LabelKeep) },
            ("separator", "labelkeep action requires only 'regex', and no other fields"),
        ),
        (
            Rule { target_label: "a".into(), regex: ".*".into(), ..rule(Action::DropEqual) },
            ("regex", "dropequal action requires only 'source_labels' and 'target_label', and no other fields"),
        ),
        (replace("a$"), ("target_label", "\"a$\" is invalid 'target_label' for replace action")),
        (
            Rule { regex: "(".into(), ..rule(Action::HashMod) },
            ("regex", "error parsing regexp: missing closing ): `^(?s:()$`"),
        ),
    ];
    for (rule, (field, message)) in cases {
        assert_eq!(refusal(rule), (field, message.to_owned()));
    }
}

#[test]
fn limits_are_refused_not_suffered() {
    let refused = |pattern: &str| GoRegex::compile(pattern).unwrap_err();
    let too_long = "a".repeat(MAX_PATTERN_LEN + 1);
    assert_eq!(refused(&too_long), GoRegexError::PatternTooLong { length: MAX_PATTERN_LEN + 1 });
    assert_eq!(refused(r"(\pL{1000}){1}"), GoRegexError::ProgramTooLarge);
    assert!(refused(&r"[\pL0]".repeat(1000)).to_string().contains("expression too large"));
    for deep in ["(".repeat(300) + &")".repeat(300), "a".to_owned() + &"*(?i)".repeat(300)] {
        assert!(refused(&deep).to_string().contains("expression nests too deeply"));
    }
    assert!(GoRegex::compile(&("(".repeat(200) + &")".repeat(200))).is_ok());

    let large = Rule { regex: r"\w*\pL{60}.*".into(), target_label: "a".into(), ..rule(Action::Replace) };
    let error = RuleSet::compile(vec![large; 100]).unwrap_err();
    assert!(error.index > 1 && error.field == "regex" && error.message.contains("more than 33554432 bytes"), "{error}");
}

#[test]
fn actions_are_lower_case() {
    let error = serde_json::from_str::<Rule>(r#"{"action": "Keep"}"#).unwrap_err();
    assert!(error.to_string().starts_with("unrecognized action type \"Keep\""), "{error}");
    assert!(serde_json::from_str::<Rule>(r#"{"source_label": []}"#).is_err());
    assert_eq!(serde_json::from_str::<Rule>("{}").unwrap(), Rule::default());
}

#[test]
fn empty_sets_and_empty_values() {
    let drop_all = RuleSet::compile(vec![rule(Action::Drop)]).unwrap();
    assert_eq!(drop_all.apply::<(&str, &str)>(&[]), Verdict::Unchanged);
    let none = RuleSet::default();
    assert_eq!(none.apply(&[("a", "1")]), Verdict::Unchanged);
    assert_eq!(none.apply(&[("a", "")]), Verdict::Drop("empty label set"));
    assert_eq!(none.apply(&[("a", ""), ("b", "1")]), Verdict::Change(Change { removed: vec![0], set: vec![] }));
}

#[test]
fn writing_what_is_there_is_no_change() {
    let replace = Rule { source_labels: vec!["a".into()], target_label: "b".into(), ..rule(Action::Replace) };
    let rules = RuleSet::compile(vec![replace]).unwrap();
    assert_eq!(rules.apply(&[("a", "1"), ("b", "1")]), Verdict::Unchanged);
    assert_eq!(rules.apply(&[("a", "1"), ("b", "2")]), set("b", "1"));
}

#[test]
fn the_last_of_two_labels_mapped_to_one_name_wins() {
    let map = Rule { regex: "[ab].*".into(), replacement: "c".into(), ..rule(Action::LabelMap) };
    assert_eq!(RuleSet::compile(vec![map.clone()]).unwrap().apply(&[("a1", "x"), ("b1", "y")]), set("c", "y"));

    // Labels that rules wrote come after all others, whatever their names.
    let write = Rule { target_label: "a1".into(), replacement: "z".into(), ..rule(Action::Replace) };
    let Verdict::Change(change) = RuleSet::compile(vec![write, map]).unwrap().apply(&[("a1", "x"), ("b1", "y")]) else {
        panic!("nothing changed");
    };
    assert!(change.set.contains(&("c".into(), "z".into())), "{change:?}");
}

#[test]
fn rules_without_effect_are_told() {
    let inert = Rule { target_label: "a.b".into(), ..rule(Action::Replace) };
    let rules = RuleSet::compile(vec![inert, Rule { target_label: "ab".into(), ..rule(Action::Replace) }]).unwrap();
    let [warning] = rules.warnings() else { panic!("{:?}", rules.warnings()) };
    assert!(warning.starts_with("rule 0, target_label: \"a.b\""), "{warning}");
    assert_eq!(rules.apply(&[("a", "1")]), Verdict::Unchanged);
}

#[test]
fn case_is_mapped_character_by_character() {
    let changed = |action, value: &str| {
        let rule = Rule { source_labels: vec!["a".into()], target_label: "b".into(), ..rule(action) };
        RuleSet::compile(vec![rule]).unwrap().apply(&[("a", value)])
    };
    assert_eq!(changed(Action::Lowercase, "ΣΑΣ İ ẞ"), set("b", "σασ i ß"));
    // The capital of `ᾳ` is a single title-case letter; those of `ß`, `ŉ` and `ᾴ` would be two letters.
    assert_eq!(changed(Action::Uppercase, "ß\u{149}\u{1fb3}\u{1fb4}"), set("b", "ß\u{149}\u{1fbc}\u{1fb4}"));
}
