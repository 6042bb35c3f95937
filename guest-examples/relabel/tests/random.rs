//! Patterns, templates and rules that nobody would write: they are refused or they work, and never panic.

use flamegate_relabel::go_regex::{GoRegex, Template};
use flamegate_relabel::{Action, Rule, RuleSet};
use proptest::prelude::*;

/// Pieces of Go's syntax, so that most patterns get past the first character.
fn pattern() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b",
        "K",
        "é",
        "日",
        ".",
        "*",
        "+",
        "?",
        "{",
        "}",
        "{2}",
        "{2,}",
        "{0,3}",
        "{1001}",
        "(",
        ")",
        "(?:",
        "(?i)",
        "(?P<n>",
        "(?<m>",
        "(?-s:",
        "(?U)",
        "(?m)",
        "|",
        "[",
        "]",
        "^",
        "-",
        "$",
        "\\d",
        "\\W",
        "\\b",
        "\\B",
        "\\Q",
        "\\E",
        "\\z",
        "\\pL",
        "\\p{Greek}",
        "\\P{^Lu}",
        "[:alpha:]",
        "[:^word:]",
        "&&",
        "~~",
        "\\x{D800}",
        "\\x4",
        "\\12",
        "\\",
        ",",
        "0",
        "\n",
    ]);
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn patterns(pattern in prop_oneof![pattern(), any::<String>()], text in "[abKé日.\n0]{0,6}", template in "[$n1{}é_]{0,8}") {
        let Ok(regex) = GoRegex::compile(&pattern) else { return Ok(()) };
        prop_assert!(GoRegex::check_syntax(&pattern).is_ok());
        let template = Template::parse(&template, &regex);
        let groups = regex.captures(&text);
        prop_assert_eq!(groups.is_some(), regex.is_match(&text));
        prop_assert_eq!(regex.replace_all(&text, &template).is_some(), groups.is_some());
        if let Some(groups) = groups {
            let _ = template.expand(&groups);
        }
    }

    #[test]
    fn rules(
        action in prop::sample::select(Action::ALL.to_vec()),
        regex in pattern(),
        target_label in "[ab$1{}é]{0,4}",
        replacement in prop_oneof![Just("$1".to_owned()), "[ab$1{}é]{0,4}"],
        source_labels in prop::collection::vec("[abc]", 0..3),
        modulus in any::<u64>(),
        labels in prop::collection::btree_map("[a-dé]{1,2}", "[a-dé;]{0,3}", 0..6),
    ) {
        let rule = Rule { action, regex, target_label, replacement, source_labels, modulus, ..Rule::default() };
        let json = serde_json::to_string(&rule).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Rule>(&json).unwrap(), &rule);
        let Ok(rules) = RuleSet::compile(vec![rule]) else { return Ok(()) };
        let sorted: Vec<(&String, &String)> = labels.iter().collect();
        let _ = rules.apply(&sorted);
    }
}
