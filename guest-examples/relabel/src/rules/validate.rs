//! What the reference refuses, in its order and words.

use std::num::NonZeroU64;

use super::rule::{Action, Rule};

/// An attribute and what is wrong with it.
pub(super) type Refusal = (&'static str, String);

pub(super) fn validate(rule: &Rule) -> Result<(), Refusal> {
    let default = Rule::default();
    let action = rule.action;
    if action == Action::HashMod {
        modulus(rule)?;
    }
    let writes_or_compares = matches!(
        action,
        Action::Replace
            | Action::HashMod
            | Action::Lowercase
            | Action::Uppercase
            | Action::KeepEqual
            | Action::DropEqual
    );
    if writes_or_compares && rule.target_label.is_empty() {
        let message = format!("relabel configuration for {action} action requires 'target_label' value");
        return Err(("target_label", message));
    }
    // Without a variable any UTF-8 passes.
    if action == Action::Replace && rule.target_label.contains('$') && !is_label_template(&rule.target_label) {
        let message = format!("{:?} is invalid 'target_label' for {action} action", rule.target_label);
        return Err(("target_label", message));
    }
    let takes_no_replacement =
        matches!(action, Action::Lowercase | Action::Uppercase | Action::KeepEqual | Action::DropEqual);
    if takes_no_replacement && rule.replacement != default.replacement {
        return Err(("replacement", format!("'replacement' can not be set for {action} action")));
    }
    if action == Action::LabelMap && !is_label_template(&rule.replacement) {
        let message = format!("{:?} is invalid 'replacement' for {action} action", rule.replacement);
        return Err(("replacement", message));
    }

    let (needs, forbidden): (&str, &[_]) = match action {
        Action::LabelDrop | Action::LabelKeep => (
            "'regex'",
            &[
                ("source_labels", rule.source_labels != default.source_labels),
                ("target_label", rule.target_label != default.target_label),
                ("modulus", rule.modulus != default.modulus),
                ("separator", rule.separator != default.separator),
                ("replacement", rule.replacement != default.replacement),
            ],
        ),
        Action::KeepEqual | Action::DropEqual => (
            "'source_labels' and 'target_label'",
            &[
                ("regex", rule.regex != default.regex),
                ("modulus", rule.modulus != default.modulus),
                ("separator", rule.separator != default.separator),
            ],
        ),
        _ => return Ok(()),
    };
    match forbidden.iter().find(|(_, set)| *set) {
        Some((field, _)) => Err((field, format!("{action} action requires only {needs}, and no other fields"))),
        None => Ok(()),
    }
}

pub(super) fn modulus(rule: &Rule) -> Result<NonZeroU64, Refusal> {
    NonZeroU64::new(rule.modulus)
        .ok_or_else(|| ("modulus", "relabel configuration for hashmod requires non-zero modulus".to_owned()))
}

/// Why an accepted rule will never do anything.
pub(super) fn without_effect(rule: &Rule) -> Option<String> {
    let target = &rule.target_label;
    let inert = rule.action == Action::Replace && !target.contains('$') && !is_label_name(target);
    inert.then(|| {
        format!("{target:?} is no label name that the replace action writes ([a-zA-Z_][a-zA-Z0-9_]*): the rule has no effect")
    })
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`
pub(super) fn is_label_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.bytes().all(is_word)
}

/// A label name in which `$var` and `${var}` may stand anywhere.
fn is_label_template(template: &str) -> bool {
    let mut rest = template;
    let mut may_be_digit = false;
    while let Some(first) = rest.bytes().next() {
        rest = match rest.strip_prefix('$') {
            Some(after) => match after.strip_prefix('{') {
                Some(braced) => match braced.split_once('}') {
                    Some((name, after)) if !name.is_empty() && name.bytes().all(is_word) => after,
                    _ => return false,
                },
                None if after.bytes().next().is_some_and(is_word) => after,
                None => return false,
            },
            None if is_word(first) && (may_be_digit || !first.is_ascii_digit()) => rest.get(1..).unwrap_or_default(),
            None => return false,
        };
        may_be_digit = true;
    }
    may_be_digit
}

fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}
