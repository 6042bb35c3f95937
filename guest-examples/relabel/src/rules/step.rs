//! A compiled rule.

use std::borrow::Cow;
use std::num::NonZeroU64;

use md5::{Digest, Md5};

use super::edit::{Edit, Label};
use super::letter_case;
use super::rule::{Action, Rule};
use super::validate::{Refusal, is_label_name, modulus, validate};
use crate::go_regex::{GoRegex, GoRegexError, Template};

/// Whether a label set lives on after a rule.
pub(super) enum Fate {
    Keep,
    Drop(&'static str),
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Keep { source: Source, regex: GoRegex },
    Drop { source: Source, regex: GoRegex },
    KeepEqual { source: Source, target: String },
    DropEqual { source: Source, target: String },
    Replace { source: Source, regex: GoRegex, target: Template, replacement: Template },
    HashMod { source: Source, modulus: NonZeroU64, target: String },
    Lowercase { source: Source, target: String },
    Uppercase { source: Source, target: String },
    LabelMap { regex: GoRegex, name: Template },
    LabelDrop { regex: GoRegex },
    LabelKeep { regex: GoRegex },
}

/// Where the value comes from that a rule looks at.
#[derive(Debug, Clone)]
pub(super) struct Source {
    labels: Vec<String>,
    separator: String,
}

impl Step {
    pub(super) fn compile(rule: &Rule) -> Result<Self, Refusal> {
        let refused = |error: GoRegexError| ("regex", error.to_string());
        // The reference reads the pattern before it looks at anything else, also where the action has no use for it.
        GoRegex::check_syntax(&rule.regex).map_err(refused)?;
        validate(rule)?;
        let source = Source { labels: rule.source_labels.clone(), separator: rule.separator.clone() };
        let target = rule.target_label.clone();
        let regex = || GoRegex::compile(&rule.regex).map_err(refused);
        Ok(match rule.action {
            Action::Keep => Self::Keep { source, regex: regex()? },
            Action::Drop => Self::Drop { source, regex: regex()? },
            Action::KeepEqual => Self::KeepEqual { source, target },
            Action::DropEqual => Self::DropEqual { source, target },
            Action::Replace => {
                let regex = regex()?;
                let target = Template::parse(&rule.target_label, &regex);
                Self::Replace { source, target, replacement: Template::parse(&rule.replacement, &regex), regex }
            }
            Action::HashMod => Self::HashMod { source, modulus: modulus(rule)?, target },
            Action::Lowercase => Self::Lowercase { source, target },
            Action::Uppercase => Self::Uppercase { source, target },
            Action::LabelMap => {
                let regex = regex()?;
                Self::LabelMap { name: Template::parse(&rule.replacement, &regex), regex }
            }
            Action::LabelDrop => Self::LabelDrop { regex: regex()? },
            Action::LabelKeep => Self::LabelKeep { regex: regex()? },
        })
    }

    pub(super) fn regex(&self) -> Option<&GoRegex> {
        match self {
            Self::Keep { regex, .. }
            | Self::Drop { regex, .. }
            | Self::Replace { regex, .. }
            | Self::LabelMap { regex, .. }
            | Self::LabelDrop { regex }
            | Self::LabelKeep { regex } => Some(regex),
            Self::KeepEqual { .. }
            | Self::DropEqual { .. }
            | Self::HashMod { .. }
            | Self::Lowercase { .. }
            | Self::Uppercase { .. } => None,
        }
    }

    /// `joined` is room for joined values, kept from step to step.
    pub(super) fn apply<'s, L: Label>(&'s self, edit: &mut Edit<'s, '_, L>, joined: &mut String) -> Fate {
        match self {
            Self::Keep { source, regex } => return Fate::keep_if(regex.is_match(source.value(edit, joined)), "keep"),
            Self::Drop { source, regex } => return Fate::keep_if(!regex.is_match(source.value(edit, joined)), "drop"),
            Self::KeepEqual { source, target } => {
                return Fate::keep_if(source.value(edit, joined) == edit.value(target), "keepequal");
            }
            Self::DropEqual { source, target } => {
                return Fate::keep_if(source.value(edit, joined) != edit.value(target), "dropequal");
            }
            Self::Replace { source, regex, target, replacement } => {
                if let Some((name, value)) = replace(source.value(edit, joined), regex, target, replacement) {
                    edit.set(name, value);
                }
            }
            Self::HashMod { source, modulus, target } => {
                let remainder = hash(source.value(edit, joined)) % *modulus;
                edit.set(target, remainder.to_string());
            }
            Self::Lowercase { source, target } => {
                let value = letter_case::lowercase(source.value(edit, joined));
                edit.set(target, value);
            }
            Self::Uppercase { source, target } => {
                let value = letter_case::uppercase(source.value(edit, joined));
                edit.set(target, value);
            }
            Self::LabelMap { regex, name } => {
                // All are read before any is written.
                let mapped: Vec<(String, String)> = edit
                    .labels()
                    .filter_map(|(label, value)| Some((regex.replace_all(label, name)?, value.to_owned())))
                    .collect();
                for (name, value) in mapped {
                    edit.set(name, value);
                }
            }
            Self::LabelDrop { regex } => edit.retain(|name| !regex.is_match(name)),
            Self::LabelKeep { regex } => edit.retain(|name| regex.is_match(name)),
        }
        Fate::Keep
    }
}

impl Fate {
    fn keep_if(kept: bool, reason: &'static str) -> Self {
        if kept { Self::Keep } else { Self::Drop(reason) }
    }
}

impl Source {
    /// The joined values. A single one is borrowed where it lies.
    fn value<'v, L: Label>(&self, edit: &'v Edit<'_, '_, L>, joined: &'v mut String) -> &'v str {
        if let [only] = &*self.labels {
            return edit.value(only);
        }
        joined.clear();
        for (index, label) in self.labels.iter().enumerate() {
            if index > 0 {
                joined.push_str(&self.separator);
            }
            joined.push_str(edit.value(label));
        }
        joined
    }
}

/// The name and the value to write; `None` when the pattern does not match or when the name is none.
fn replace<'s>(
    value: &str,
    regex: &GoRegex,
    target: &'s Template,
    replacement: &'s Template,
) -> Option<(Cow<'s, str>, Cow<'s, str>)> {
    let (name, replaced) = match (target.as_literal(), replacement.as_literal()) {
        (Some(name), Some(replaced)) => regex.is_match(value).then(|| (name.into(), replaced.into()))?,
        (name, replaced) => {
            let groups = regex.captures(value)?;
            let expanded = |literal: Option<&'s str>, template: &Template| {
                literal.map_or_else(|| Cow::from(template.expand(&groups)), Cow::from)
            };
            (expanded(name, target), expanded(replaced, replacement))
        }
    };
    is_label_name(&name).then_some((name, replaced))
}

/// The last eight bytes of the MD5, as Prometheus has always hashed.
fn hash(value: &str) -> u64 {
    let [.., a, b, c, d, e, f, g, h] = <[u8; 16]>::from(Md5::digest(value));
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}
