//! What is different between two graphs.

use std::collections::BTreeMap;
use std::fmt;

use super::{Graph, address_of};
use crate::telemetry::metrics::ComponentLabels;

/// The components of two graphs, by what becomes of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    /// They run on.
    pub kept: Vec<ComponentLabels>,
    /// They were not there before.
    pub added: Vec<ComponentLabels>,
    /// They are built again, in the place of one of the same id.
    pub replaced: Vec<ComponentLabels>,
    /// They are no longer wanted.
    pub removed: Vec<ComponentLabels>,
}

impl Diff {
    pub(super) fn between(before: &Graph, after: &Graph) -> Self {
        let running = |graph: &Graph| -> BTreeMap<ComponentLabels, *const ()> {
            let components = graph.components().into_iter();
            components.map(|(labels, component)| (labels.clone(), address_of(component))).collect()
        };
        let (mut before, after) = (running(before), running(after));
        let mut diff = Self::default();
        for (labels, component) in after {
            let place = match before.remove(&labels) {
                None => &mut diff.added,
                Some(same) if same == component => &mut diff.kept,
                Some(_) => &mut diff.replaced,
            };
            place.push(labels);
        }
        diff.removed = before.into_keys().collect();
        diff
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kept, added, replaced, removed } = self;
        let (kept, added, replaced, removed) = (kept.len(), added.len(), replaced.len(), removed.len());
        write!(f, "{kept} kept, {added} added, {replaced} replaced, {removed} removed")
    }
}
