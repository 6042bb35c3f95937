//! A label set while rules change it: what came in, and what was changed on top of it.

use std::borrow::Cow;

use smallvec::{SmallVec, smallvec};

use super::Verdict;

/// A label of the set that comes in.
pub trait Label {
    /// Its name.
    fn name(&self) -> &str;
    /// Its value.
    fn value(&self) -> &str;
}

/// How a label set was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Positions, ascending, of the labels that are gone.
    pub removed: Vec<usize>,
    /// Names and values of labels that are new or have another value, in no particular order.
    pub set: Vec<(String, String)>,
}

/// The label set under change. The order in which labels were written is kept, because it decides which one wins
/// when `labelmap` maps two of them to one name.
pub(super) struct Edit<'s, 'l, L> {
    original: &'l [L],
    /// By position: deleted or overwritten.
    hidden: SmallVec<[bool; 64]>,
    written: Vec<(Cow<'s, str>, Cow<'s, str>)>,
}

impl<L: Label> Label for &L {
    fn name(&self) -> &str {
        (**self).name()
    }
    fn value(&self) -> &str {
        (**self).value()
    }
}

impl<N: AsRef<str>, V: AsRef<str>> Label for (N, V) {
    fn name(&self) -> &str {
        self.0.as_ref()
    }
    fn value(&self) -> &str {
        self.1.as_ref()
    }
}

impl<'s, 'l, L: Label> Edit<'s, 'l, L> {
    pub(super) fn of(original: &'l [L]) -> Self {
        let mut hidden = smallvec![false; original.len()];
        for (hidden, label) in hidden.iter_mut().zip(original) {
            *hidden = label.value().is_empty();
        }
        Self { original, hidden, written: Vec::new() }
    }

    /// The value of a label; empty when it is missing.
    pub(super) fn value(&self, name: &str) -> &str {
        if let Some((_, value)) = self.written.iter().find(|(written, _)| written == name) {
            return value;
        }
        match self.position(name) {
            Some(position) if !self.is_hidden(position) => self.original.get(position).map_or("", Label::value),
            _ => "",
        }
    }

    /// The labels: first those of the original that still stand, by name, then the written ones in their order.
    pub(super) fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        let original = self.original.iter().zip(&self.hidden);
        original
            .filter(|(_, hidden)| !**hidden)
            .map(|(label, _)| (label.name(), label.value()))
            .chain(self.written.iter().map(|(name, value)| (&**name, &**value)))
    }

    /// Writes a label; an empty value deletes it.
    pub(super) fn set(&mut self, name: impl Into<Cow<'s, str>>, value: impl Into<Cow<'s, str>>) {
        let (name, value) = (name.into(), value.into());
        let written = self.written.iter().position(|(written, _)| *written == name);
        match (written, value.is_empty()) {
            (Some(index), true) => drop(self.written.remove(index)),
            (Some(index), false) => {
                if let Some(label) = self.written.get_mut(index) {
                    label.1 = value;
                }
            }
            (None, true) => self.hide(&name),
            (None, false) => {
                self.hide(&name);
                self.written.push((name, value));
            }
        }
    }

    /// Deletes the labels whose names are not wanted.
    pub(super) fn retain(&mut self, wanted: impl Fn(&str) -> bool) {
        for (hidden, label) in self.hidden.iter_mut().zip(self.original) {
            *hidden = *hidden || !wanted(label.name());
        }
        self.written.retain(|(name, _)| wanted(name));
    }

    /// What the changes come to; labels that were written with the value that they had are no change.
    pub(super) fn verdict(mut self) -> Verdict {
        let mut set = Vec::new();
        for (name, value) in std::mem::take(&mut self.written) {
            let before = self.position(&name);
            if let Some(hidden) = before.and_then(|position| self.hidden.get_mut(position)) {
                *hidden = false;
            }
            let same = before.and_then(|position| self.original.get(position)).is_some_and(|l| l.value() == value);
            if !same {
                set.push((name.into_owned(), value.into_owned()));
            }
        }
        if set.is_empty() && self.hidden.iter().all(|hidden| *hidden) {
            return Verdict::Drop("empty label set");
        }
        let removed: Vec<usize> =
            (0..).zip(&self.hidden).filter(|(_, hidden)| **hidden).map(|(position, _)| position).collect();
        if removed.is_empty() && set.is_empty() { Verdict::Unchanged } else { Verdict::Change(Change { removed, set }) }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.original.binary_search_by(|label| label.name().as_bytes().cmp(name.as_bytes())).ok()
    }

    fn is_hidden(&self, position: usize) -> bool {
        self.hidden.get(position).copied().unwrap_or(true)
    }

    fn hide(&mut self, name: &str) {
        if let Some(hidden) = self.position(name).and_then(|position| self.hidden.get_mut(position)) {
            *hidden = true;
        }
    }
}
