//! What is told of the graph: its components, what they were built with, how they are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alloy_syntax::ast::Traversal;
use alloy_syntax::{EncodedStatement, Value};

use super::Graph;
use super::node::{Node, Part};
use crate::component::{AnyComponent, Health, HealthState, Trouble};
use crate::kept::Store;
use crate::pipeline::{Flow, Receiver};
use crate::telemetry::metrics::{ComponentLabels, ModuleLabels};

/// A component as the API tells of it.
pub struct Detail {
    /// The block's name.
    pub name: String,
    /// The id inside its module.
    pub local_id: String,
    /// The module it stands in; empty for none.
    pub module_id: String,
    /// The block's label.
    pub label: String,
    /// Local ids of the components that it refers to.
    pub references_to: Vec<String>,
    /// Local ids of the components that refer to it.
    pub referenced_by: Vec<String>,
    /// Local ids of the components that it sends to.
    pub data_flow_edges_to: Vec<String>,
    /// How it is.
    pub health: Health,
    /// The modules inside of it.
    pub created_module_ids: Vec<String>,
    node: Arc<Node>,
}

impl Graph {
    /// The components of a module, the outermost for an empty id; `None` where there is no such module.
    pub fn details(&self, module: &str) -> Option<Vec<Detail>> {
        let graph = self.module(module)?;
        let relations = Relations::of(graph);
        let components = graph.nodes().iter().filter(|node| node.is_component());
        Some(components.map(|node| relations.detail(module, node)).collect())
    }

    /// The components of every module, those inside of a component after it.
    pub fn all_details(&self) -> Vec<Detail> {
        let mut details = Vec::new();
        self.each_graph("/", &mut |path, graph| {
            let relations = Relations::of(graph);
            let components = graph.nodes().iter().filter(|node| node.is_component());
            details.extend(components.map(|node| relations.detail(path.trim_start_matches('/'), node)));
        });
        details
    }

    /// A component, by the path of modules and its id.
    pub fn detail(&self, path: &str) -> Option<Detail> {
        let (module, id) = path.rsplit_once('/').unwrap_or(("", path));
        let graph = self.module(module)?;
        let node = graph.node(id).filter(|node| node.is_component())?;
        Some(Relations::of(graph).detail(module, node))
    }

    /// Which component sends to which, by their ids, in every module.
    pub(super) fn all_edges(&self) -> Vec<(ModuleLabels, Arc<str>, Arc<str>)> {
        let mut edges = Vec::new();
        self.each_graph("/", &mut |path, graph| {
            let module = ModuleLabels::of(path);
            for (from, related) in Relations::of(graph).0 {
                edges.extend(related.sends_to.into_iter().map(|to| (module.clone(), from.clone(), to)));
            }
        });
        edges
    }

    /// How many components of each module are how.
    pub(super) fn health_counts(&self) -> Vec<(ModuleLabels, &'static str, usize)> {
        let mut counts = Vec::new();
        self.each_graph("/", &mut |path, graph| {
            let mut of_module: BTreeMap<HealthState, usize> = BTreeMap::new();
            for node in graph.nodes() {
                *of_module.entry(node.health().state).or_default() += 1;
            }
            let module = ModuleLabels::of(path);
            counts.extend(of_module.into_iter().map(|(state, count)| (module.clone(), state.name(), count)));
        });
        counts
    }

    fn each_graph(&self, path: &str, then: &mut impl FnMut(&str, &Self)) {
        then(path, self);
        for node in self.nodes() {
            let path = node.inner_path();
            match &node.part {
                Part::Import { inner, .. } | Part::Module { inner, .. } => inner.each_graph(&path, then),
                Part::Foreach { inner, .. } => {
                    inner.iter().for_each(|(id, graph)| graph.each_graph(&format!("{path}/{id}"), then));
                }
                Part::Running(_) | Part::Checked => {}
            }
        }
    }

    /// What has gone from each component to others by now, in a module and not inside of its modules.
    pub fn flows(&self, module: &str) -> Option<Vec<(String, Flow)>> {
        let graph = self.module(module)?;
        let flow = |node: &Arc<Node>| Some((node.labels.to_string(), node.running()?.component.flow()?));
        Some(graph.nodes().iter().filter_map(flow).collect())
    }

    /// The profiles that components keep for people to look at, by the paths of the components.
    pub fn kept(&self) -> Vec<(String, Arc<Store>)> {
        let kept = |(labels, component): (&ComponentLabels, &Arc<dyn AnyComponent>)| {
            Some((labels.to_string(), component.kept()?))
        };
        self.components().into_iter().filter_map(kept).collect()
    }

    /// The paths of the components that profiles begin at, pass through or end at.
    pub fn on_the_way(&self) -> Vec<String> {
        let details = self.all_details().into_iter();
        details.filter(Detail::is_on_the_way).map(|detail| detail.path()).collect()
    }

    /// The graph of a module: `a.b/c.d`, and for an item of a `foreach` its id behind that.
    fn module(&self, path: &str) -> Option<&Self> {
        let mut graph = self;
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        while let Some(id) = parts.next() {
            graph = match &graph.node(id)?.part {
                Part::Import { inner, .. } | Part::Module { inner, .. } => inner,
                Part::Foreach { inner, .. } => {
                    let item = parts.next()?;
                    inner.iter().find(|(id, _)| **id == *item).map(|(_, graph)| graph)?
                }
                Part::Running(_) | Part::Checked => return None,
            };
        }
        Some(graph)
    }
}

/// Who refers and sends to whom among the components of one graph.
struct Relations(BTreeMap<Arc<str>, Related>);

#[derive(Clone, Default)]
struct Related {
    refers_to: BTreeSet<Arc<str>>,
    referred_by: BTreeSet<Arc<str>>,
    sends_to: BTreeSet<Arc<str>>,
}

impl Relations {
    fn of(graph: &Graph) -> Self {
        let mut related: BTreeMap<Arc<str>, Related> = BTreeMap::new();
        for node in graph.nodes().iter().filter(|node| node.is_component()) {
            let from = &node.labels.component_id;
            related.entry(from.clone()).or_default();
            for other in node.refers_to.iter().filter_map(|id| graph.node(id)).filter(|other| other.is_component()) {
                let to = &other.labels.component_id;
                related.entry(from.clone()).or_default().refers_to.insert(to.clone());
                related.entry(to.clone()).or_default().referred_by.insert(from.clone());
                for value in referred(node, other) {
                    // Data goes to a receiver, and from anything else.
                    let (from, to) = if is_receiver(&value) { (from, to) } else { (to, from) };
                    related.entry(from.clone()).or_default().sends_to.insert(to.clone());
                }
            }
        }
        Self(related)
    }

    fn detail(&self, module: &str, node: &Arc<Node>) -> Detail {
        let id = &node.labels.component_id;
        let related = self.0.get(id).cloned().unwrap_or_default();
        let ids = |ids: BTreeSet<Arc<str>>| ids.iter().map(ToString::to_string).collect();
        Detail {
            name: node.name.to_string(),
            local_id: id.to_string(),
            module_id: module.to_owned(),
            label: node.block.label_text().unwrap_or_default().to_owned(),
            references_to: ids(related.refers_to),
            referenced_by: ids(related.referred_by),
            data_flow_edges_to: ids(related.sends_to),
            health: node.health(),
            created_module_ids: node.modules(),
            node: node.clone(),
        }
    }
}

impl Detail {
    /// What it was built with.
    pub fn arguments(&self) -> Vec<EncodedStatement> {
        match &self.node.part {
            Part::Running(running) | Part::Import { source: running, .. } => running.arguments.encode_body(),
            Part::Module { arguments, .. } => {
                let attribute = |(name, value): &(String, Value)| EncodedStatement::Attribute {
                    name: name.clone(),
                    value: value.clone(),
                };
                arguments.iter().map(attribute).collect()
            }
            Part::Foreach { arguments, .. } => arguments.encode_body(),
            Part::Checked => Vec::new(),
        }
    }

    /// What it exports.
    pub fn exports(&self) -> Vec<EncodedStatement> {
        EncodedStatement::attributes_of(&self.node.exports)
    }

    /// What it shows of itself.
    pub fn debug_info(&self) -> Option<Vec<EncodedStatement>> {
        let info = self.node.running()?.component.debug_info()?;
        Some(EncodedStatement::attributes_of(&info))
    }

    /// What it has sent on, where it sends.
    pub fn flow(&self) -> Option<Flow> {
        self.node.running()?.component.flow()
    }

    /// What goes wrong in it, though it is healthy.
    pub fn trouble(&self) -> Option<Trouble> {
        self.node.running()?.component.trouble()
    }

    /// The modules that it stands in and its id, as one path.
    pub fn path(&self) -> String {
        self.node.labels.to_string()
    }

    /// Whether profiles begin there, pass through it or end there.
    pub fn is_on_the_way(&self) -> bool {
        let exports = || self.node.exports.fields().unwrap_or_default().values().any(is_receiver);
        self.node.running().is_some() && (self.flow().is_some() || exports())
    }

    /// Whether it tells what it sends on.
    pub fn live_debugging(&self) -> bool {
        self.node.running().is_some_and(|running| running.component.flow().is_some())
    }
}

impl Node {
    /// Whether it is a part of the pipeline, and not what says how to make one.
    fn is_component(&self) -> bool {
        self.block.label.is_some() && !matches!(self.part, Part::Import { .. })
    }

    /// The ids of the modules inside of it.
    fn modules(&self) -> Vec<String> {
        let path = self.labels.to_string();
        match &self.part {
            Part::Import { .. } | Part::Module { .. } => vec![path],
            Part::Foreach { inner, .. } => inner.iter().map(|(id, _)| format!("{path}/{id}")).collect(),
            Part::Running(_) | Part::Checked => Vec::new(),
        }
    }
}

/// The exports of one node that another one refers to.
fn referred(from: &Node, to: &Node) -> Vec<Value> {
    let id = &to.labels.component_id;
    let exports = to.exports.fields().unwrap_or_default();
    let export = |reference: &Traversal| {
        let names: Vec<&str> = reference.names().skip(id.split('.').count()).take(1).collect();
        let of_it = reference.names().zip(id.split('.')).all(|(name, part)| name == part);
        exports.get(*names.first().filter(|_| of_it)?).cloned()
    };
    from.block.references().iter().filter_map(export).collect()
}

fn is_receiver(value: &Value) -> bool {
    matches!(value, Value::Capsule(capsule) if capsule.downcast_ref::<Receiver>().is_some())
}
