//! Puts nodes in an order in which each comes after those that it refers to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alloy_syntax::{Diagnostic, Diagnostics};

use super::{Planned, Role, What};

type Nodes = BTreeMap<Arc<str>, Planned>;

/// Kahn's algorithm; what is left over is in a cycle or behind one. Where the order is open, settings of the process and
/// what they refer to come first, and then it is by id: they are in force before anything begins, and until all has
/// ended.
pub(super) fn sorted(mut nodes: Nodes) -> Result<Vec<Planned>, Diagnostics> {
    let mut waits_for: BTreeMap<Arc<str>, usize> = BTreeMap::new();
    let mut waiting: BTreeMap<Arc<str>, Vec<Arc<str>>> = BTreeMap::new();
    for (id, node) in &nodes {
        waits_for.insert(id.clone(), node.refers_to.len());
        for referred in &node.refers_to {
            waiting.entry(referred.clone()).or_default().push(id.clone());
        }
    }
    let settings = settings(&nodes);
    let rank = |id: Arc<str>| (!settings.contains(&id), id);
    let mut ready: BTreeSet<(bool, Arc<str>)> =
        waits_for.iter().filter(|(_, count)| **count == 0).map(|(id, _)| rank(id.clone())).collect();
    let mut ordered = Vec::with_capacity(nodes.len());
    while let Some((_, id)) = ready.pop_first() {
        for next in waiting.remove(&id).unwrap_or_default() {
            if let Some(count) = waits_for.get_mut(&next) {
                *count -= 1;
                if *count == 0 {
                    ready.insert(rank(next));
                }
            }
        }
        ordered.extend(nodes.remove(&id));
    }
    match cycle(&nodes) {
        None => Ok(ordered),
        Some((ids, at)) => {
            let message = format!("cycle detected: {}", ids.join(" -> "));
            Err(Diagnostic::error(&at.block.file, at.block.header, message).into())
        }
    }
}

/// The blocks of settings and all that they refer to.
fn settings(nodes: &Nodes) -> BTreeSet<Arc<str>> {
    let is_settings = |node: &&Planned| matches!(node.what, What::Kind(kind) if kind.role == Role::Settings);
    let mut found = BTreeSet::new();
    let mut open: Vec<&Planned> = nodes.values().filter(is_settings).collect();
    while let Some(node) = open.pop() {
        if found.insert(node.id.clone()) {
            open.extend(node.refers_to.iter().filter_map(|id| nodes.get(id)));
        }
    }
    found
}

/// One cycle among nodes of which each refers to another one.
fn cycle(nodes: &Nodes) -> Option<(Vec<&str>, &Planned)> {
    let mut ids: Vec<&str> = Vec::new();
    let mut at = nodes.values().next()?;
    loop {
        if let Some(start) = ids.iter().position(|id| **id == *at.id) {
            let mut around = ids.split_off(start);
            around.push(&at.id);
            return Some((around, at));
        }
        ids.push(&at.id);
        at = at.refers_to.iter().find_map(|id| nodes.get(id))?;
    }
}
