//! Blocks become nodes, nodes become running components.
//!
//! A graph is prepared as a whole, against the one that runs: what is unchanged is taken over, the rest is built, and
//! nothing is observable until [`Prepared::commit`]. An error on the way leaves the running graph as it is.

use std::any::Any;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use alloy_syntax::{Diagnostic, Diagnostics, Scope, StdlibOptions, Value, ast};

use crate::component::{AnyComponent, Services};
use crate::telemetry::metrics::ComponentLabels;

mod controller;
mod kind;
mod plan;

pub use controller::{Controller, LoadError};
pub use kind::Kind;
use plan::{Plan, PlannedNode};

/// The running components, each after those that it refers to.
#[derive(Clone, Default)]
pub struct Graph {
    nodes: Vec<Arc<Node>>,
}

/// A component that is built.
struct Node {
    labels: ComponentLabels,
    kind: &'static str,
    arguments: Box<dyn Any + Send + Sync>,
    component: Arc<dyn AnyComponent>,
    exports: Value,
}

/// A graph that could be built and waits to take its place.
pub struct Prepared {
    graph: Graph,
    previous: Graph,
    /// What to tell the user besides.
    pub warnings: Diagnostics,
}

impl Graph {
    /// Builds what these files describe. Nothing of it can be observed yet.
    ///
    /// # Errors
    /// Everything that is wrong with the files: first what can be said of their text, then of references, then of
    /// values. What was built is thrown away.
    pub fn prepare(&self, files: &[ast::File], kinds: &[Kind], services: &Services) -> Result<Prepared, Diagnostics> {
        let stdlib = Scope::stdlib(&StdlibOptions {
            experimental: true,
            version: concat!("v", env!("CARGO_PKG_VERSION")).to_owned(),
            ..StdlibOptions::default()
        });
        let plan = Plan::new(files, kinds, &stdlib)?;
        let mut building = Building { previous: self, services, stdlib, exports: BTreeMap::new(), nodes: Vec::new() };
        let mut warnings = Diagnostics::new();
        let mut errors = Diagnostics::new();
        let mut failed = Vec::new();
        for planned in plan.nodes() {
            // What refers to a component that failed cannot be judged: its own errors would only be echoes.
            if planned.refers_to.iter().any(|id| failed.contains(&id)) {
                failed.push(&planned.id);
                continue;
            }
            match building.node(planned) {
                Ok(more) => warnings.extend(more),
                Err(more) => {
                    failed.push(&planned.id);
                    errors.extend(more);
                }
            }
        }
        if errors.has_errors() {
            errors.extend(warnings);
            return Err(errors);
        }
        Ok(Prepared { graph: Graph { nodes: building.nodes }, previous: self.clone(), warnings })
    }

    /// Ends every component, sources first: what they were given is passed on before what follows them ends.
    pub async fn stop(&self) {
        for node in self.nodes.iter().rev() {
            node.component.stop().await;
        }
    }

    fn listening(&self) -> Vec<(Arc<str>, SocketAddr)> {
        let address = |node: &Arc<Node>| Some((node.labels.component_id.clone(), node.component.address()?));
        self.nodes.iter().filter_map(address).collect()
    }

    fn node(&self, id: &str) -> Option<&Arc<Node>> {
        self.nodes.iter().find(|node| &*node.labels.component_id == id)
    }

    fn runs(&self, node: &Arc<Node>) -> bool {
        self.nodes.iter().any(|other| Arc::ptr_eq(other, node))
    }
}

impl Prepared {
    /// Puts the new graph in its place, sinks before sources. What is no longer wanted still runs: it is to be ended.
    pub fn commit(self) -> (Graph, Retired) {
        let Self { graph, previous, .. } = self;
        for node in graph.nodes.iter().filter(|node| !previous.runs(node)) {
            node.component.activate();
        }
        let nodes = previous.nodes.into_iter().filter(|node| !graph.runs(node)).collect();
        (graph, Retired(Graph { nodes }))
    }
}

/// Components that were replaced or removed.
pub struct Retired(Graph);

impl Retired {
    /// Ends them; returns when what they had begun is finished.
    pub async fn stop(&self) {
        self.0.stop().await;
    }

    /// Removes the series of those whose id no longer runs.
    pub fn forget(&self, running: &Graph) {
        for node in self.0.nodes.iter().filter(|node| running.node(&node.labels.component_id).is_none()) {
            node.component.forget();
        }
    }
}

struct Building<'a> {
    previous: &'a Graph,
    services: &'a Services,
    stdlib: Scope,
    /// The exports of what is built, as a tree of their ids' parts.
    exports: BTreeMap<String, Value>,
    nodes: Vec<Arc<Node>>,
}

impl Building<'_> {
    fn node(&mut self, planned: &PlannedNode<'_>) -> Result<Diagnostics, Diagnostics> {
        let scope = self.stdlib.extend(self.exports.clone());
        let labels = ComponentLabels::top_level(planned.id.as_str().into());
        let previous = self.previous.node(&planned.id).filter(|node| node.kind == planned.kind.name);
        let (node, warnings) = (planned.kind.evaluate)(planned.block, &scope, labels, self.services, previous)?;
        if let Some(taken) = self.address_taken(&node) {
            let message = format!("listens on the same address as {taken}");
            return Err(Diagnostic::error(&planned.block.file, planned.block.header, message).into());
        }
        insert(&mut self.exports, &planned.path, &node.exports);
        self.nodes.push(node);
        Ok(warnings)
    }

    fn address_taken(&self, node: &Node) -> Option<Arc<str>> {
        let address: SocketAddr = node.component.address()?;
        let other = self.nodes.iter().find(|other| other.component.address() == Some(address))?;
        Some(other.labels.component_id.clone())
    }
}

/// Puts a value into a tree of objects, under a path of names.
fn insert(tree: &mut BTreeMap<String, Value>, path: &[String], value: &Value) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        tree.insert(first.clone(), value.clone());
        return;
    }
    let below = tree.get(first).and_then(Value::fields);
    let mut below = below.map_or_else(BTreeMap::new, |fields| (*fields).clone());
    insert(&mut below, rest, value);
    tree.insert(first.clone(), Value::object(below));
}
