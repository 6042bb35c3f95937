//! One level of the pipeline: the components of a module, each module inside of it as one node, and what is outside where
//! something comes from there or goes there.

use std::collections::BTreeMap;

use crate::graph::Detail;
use crate::overview::Severity;
use crate::web::ui::overview::{Component, by_component};
use crate::web::ui::pulse::History;

/// A level.
#[derive(Debug, Default)]
pub(super) struct Level {
    /// In the order of the configuration.
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
}

/// A component, or a module with components inside.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// Modules and id.
    pub path: String,
    /// What it is: a block's name; for an item of a `foreach` nothing.
    pub kind: String,
    pub label: String,
    /// The state of the worst inside.
    pub class: &'static str,
    pub word: &'static str,
    /// How many components it stands for.
    pub components: usize,
    /// Whether there is a level inside of it.
    pub has_inside: bool,
    /// Whether it stands elsewhere.
    pub is_outside: bool,
    /// Whether profiles pass it.
    pub takes_part: bool,
    /// What it has lost since the start, and loses a second.
    pub lost: f64,
    pub losing: f64,
    severity: Option<Severity>,
}

/// Something that goes from a node to another one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Edge {
    pub from: usize,
    pub to: usize,
    /// None where it is no profiles but targets, rules or texts; none inside where the rate is not known yet.
    pub carries: Option<Option<Carried>>,
}

/// A second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Carried {
    pub profiles: f64,
    pub bytes: f64,
}

impl Node {
    /// As it is called among its neighbours.
    pub(super) fn name(&self) -> String {
        if self.kind.is_empty() { self.label.clone() } else { format!("{}.{}", self.kind, self.label) }
    }
}

impl Level {
    /// The level inside of a component; of the whole pipeline where the path is empty. Without nodes where there is none.
    pub(super) fn of(details: &[Detail], history: &History, inside: &str) -> Self {
        let mut making = Making { inside, level: Self::default(), places: BTreeMap::new() };
        let losses = by_component(history);
        for detail in details {
            making.add(detail, losses.get(detail.path().as_str()).copied().unwrap_or_default());
        }
        if making.level.nodes.is_empty() {
            return making.level;
        }
        let mut edges: BTreeMap<(usize, usize), Option<Option<Carried>>> = BTreeMap::new();
        for detail in details {
            let path = detail.path();
            if let Some(flow) = detail.flow() {
                let carried = history
                    .flow(&path)
                    .map(|profiles| Carried { profiles, bytes: history.flow_bytes(&path).unwrap_or_default() });
                for to in &flow.to {
                    let Some(ends) = making.ends(&path, to, details) else { continue };
                    let carries = edges.entry(ends).or_default();
                    *carries = Some(sum(carries.flatten(), carried));
                }
            }
            for id in &detail.data_flow_edges_to {
                let to = if detail.module_id.is_empty() { id.clone() } else { format!("{}/{id}", detail.module_id) };
                // What is not on this level has its own.
                if making.node_of(&path).is_some()
                    && making.node_of(&to).is_some()
                    && let Some(ends) = making.ends(&path, &to, details)
                {
                    edges.entry(ends).or_default();
                }
            }
        }
        let edge = |((from, to), carries)| Edge { from, to, carries };
        Self { edges: edges.into_iter().map(edge).collect(), ..making.level }
    }
}

fn sum(one: Option<Carried>, other: Option<Carried>) -> Option<Carried> {
    match (one, other) {
        (Some(a), Some(b)) => Some(Carried { profiles: a.profiles + b.profiles, bytes: a.bytes + b.bytes }),
        (a, b) => a.or(b),
    }
}

/// A level that is being made.
struct Making<'a> {
    inside: &'a str,
    level: Level,
    /// Of the nodes, by their paths.
    places: BTreeMap<String, usize>,
}

impl Making<'_> {
    /// The path of the node that stands for a component on this level.
    fn node_of<'p>(&self, path: &'p str) -> Option<&'p str> {
        let rest = match self.inside {
            "" => path,
            inside => path.strip_prefix(inside)?.strip_prefix('/')?,
        };
        let step = rest.split('/').next()?;
        path.get(..path.len() - rest.len() + step.len())
    }

    fn add(&mut self, detail: &Detail, (losing, lost): (f64, f64)) {
        let path = detail.path();
        let Some(node) = self.node_of(&path).map(str::to_owned) else { return };
        let is_itself = node == path;
        let place = self.place(&node);
        let component = Component::of(detail);
        let Some(node) = self.level.nodes.get_mut(place) else { return };
        if is_itself {
            node.kind.clone_from(&detail.name);
            node.label.clone_from(&detail.label);
        }
        node.has_inside |= !is_itself;
        // A module stands for those inside of it, and not for itself.
        node.components += usize::from(detail.created_module_ids.is_empty());
        node.has_inside |= !detail.created_module_ids.is_empty();
        node.takes_part |= detail.is_on_the_way();
        node.lost += lost;
        node.losing += losing;
        let severity = Some(component.severity());
        if severity > node.severity {
            (node.class, node.word, node.severity) = (component.class(), component.word(), severity);
        }
    }

    fn place(&mut self, path: &str) -> usize {
        if let Some(place) = self.places.get(path) {
            return *place;
        }
        let place = self.level.nodes.len();
        let label = path.rsplit('/').next().unwrap_or(path).to_owned();
        self.level.nodes.push(Node { path: path.to_owned(), label, ..Node::default() });
        self.places.insert(path.to_owned(), place);
        place
    }

    /// The nodes at both ends of what goes from one component to another; none where it does not touch this level.
    fn ends(&mut self, from: &str, to: &str, details: &[Detail]) -> Option<(usize, usize)> {
        let (from_node, to_node) = (self.node_of(from), self.node_of(to));
        if from_node.is_none() && to_node.is_none() || from_node == to_node {
            return None;
        }
        let mut end = |node: Option<&str>, path: &str| match node {
            Some(node) => self.place(node),
            None => self.outside(path, details),
        };
        Some((end(from_node, from), end(to_node, to)))
    }

    fn outside(&mut self, path: &str, details: &[Detail]) -> usize {
        if let Some(place) = self.places.get(path) {
            return *place;
        }
        let place = self.place(path);
        let found = details.iter().find(|detail| detail.path() == path);
        if let (Some(detail), Some(node)) = (found, self.level.nodes.get_mut(place)) {
            let component = Component::of(detail);
            node.kind.clone_from(&detail.name);
            node.label.clone_from(&detail.label);
            (node.class, node.word) = (component.class(), component.word());
            node.takes_part = detail.is_on_the_way();
            node.components = 1;
        }
        if let Some(node) = self.level.nodes.get_mut(place) {
            node.is_outside = true;
        }
        place
    }
}
