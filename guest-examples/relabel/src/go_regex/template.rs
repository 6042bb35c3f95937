//! Templates: `$1`, `${1}`, `$name`, `$$`.

use super::{GoRegex, Groups, class};

/// A template, resolved against the groups of one pattern. What is malformed stays as it is written; a group that
/// does not exist is empty.
#[derive(Debug, Clone)]
pub struct Template {
    parts: Box<[Part]>,
}

#[derive(Debug, Clone)]
enum Part {
    Literal(String),
    Group(usize),
    /// Go lets several groups have one name: the first that took part counts.
    FirstOf(Box<[usize]>),
}

impl Template {
    /// Reads `template` for the groups of `regex`.
    #[must_use]
    pub fn parse(template: &str, regex: &GoRegex) -> Self {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('$') {
            literal.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                literal.push('$');
                rest = after;
            } else if let Some((name, after)) = variable(after) {
                rest = after;
                let Some(part) = Part::for_variable(name, regex) else { continue };
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(part);
            } else {
                literal.push('$');
                rest = after;
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Self { parts: parts.into() }
    }

    /// The text of a template that names no group.
    #[must_use]
    pub fn as_literal(&self) -> Option<&str> {
        match &*self.parts {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The template with the groups of one match put in.
    #[must_use]
    pub fn expand(&self, groups: &Groups<'_>) -> String {
        let mut expanded = String::new();
        self.expand_onto(groups, &mut expanded);
        expanded
    }

    pub(super) fn expand_onto(&self, groups: &Groups<'_>, expanded: &mut String) {
        for part in &self.parts {
            match part {
                Part::Literal(text) => expanded.push_str(text),
                Part::Group(index) => expanded.push_str(groups.group(*index).unwrap_or_default()),
                Part::FirstOf(indices) => {
                    expanded.push_str(indices.iter().find_map(|index| groups.group(*index)).unwrap_or_default());
                }
            }
        }
    }
}

impl Part {
    fn for_variable(name: &str, regex: &GoRegex) -> Option<Self> {
        if let Some(index) = group_number(name) {
            return (index < regex.group_count()).then_some(Self::Group(index));
        }
        let named: Vec<usize> = (0..)
            .zip(&regex.group_names)
            .filter(|(_, group)| group.as_deref() == Some(name))
            .map(|(index, _)| index)
            .collect();
        match *named {
            [] => None,
            [index] => Some(Self::Group(index)),
            _ => Some(Self::FirstOf(named.into())),
        }
    }
}

/// The name after a `$`, with or without braces, and what follows it.
fn variable(text: &str) -> Option<(&str, &str)> {
    let (braced, text) = match text.strip_prefix('{') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let (name, rest) = text.split_at(text.find(|c| !is_name_character(c)).unwrap_or(text.len()));
    let rest = if braced { rest.strip_prefix('}')? } else { rest };
    (!name.is_empty()).then_some((name, rest))
}

/// A decimal number without leading zeros is a group's number; Go reads eight digits and any ninth.
fn group_number(name: &str) -> Option<usize> {
    if name.len() > 9 || (name.len() > 1 && name.starts_with('0')) || !name.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    name.parse().ok()
}

fn is_name_character(c: char) -> bool {
    c == '_' || if c.is_ascii() { c.is_ascii_alphanumeric() } else { class::is_letter_or_digit(c) }
}
