//! A node of the graph as it was last evaluated.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use alloy_syntax::{Arguments, Diagnostics, EncodedStatement, Value, ast};

use super::environment::Environment;
use crate::component::{AnyComponent, Health};
use crate::telemetry::metrics::ComponentLabels;

/// The nodes of one text, each after those that it refers to. A clone shares them.
#[derive(Clone, Default)]
pub struct Graph {
    nodes: Vec<Arc<Node>>,
    by_id: HashMap<Arc<str>, usize>,
    /// What a module gives away: an object.
    pub(super) exports: Value,
}

/// A node. It never changes: whatever is evaluated again becomes another one, which may hold the same component.
#[derive(Clone)]
pub(super) struct Node {
    pub labels: ComponentLabels,
    /// The block's name.
    pub name: Arc<str>,
    pub block: Arc<ast::Block>,
    pub refers_to: Vec<Arc<str>>,
    /// An object.
    pub exports: Value,
    pub part: Part,
    /// How the last evaluation went.
    pub evaluation: Health,
}

/// What is behind a node.
#[derive(Clone)]
pub(super) enum Part {
    /// A component, an import or a block of settings.
    Running(Running),
    /// An import that was read.
    Import {
        source: Running,
        library: Arc<Environment>,
        /// The imports in what was imported.
        inner: Graph,
    },
    /// A custom component.
    Module { arguments: Arc<[(String, Value)]>, inner: Graph },
    /// A graph for each item.
    Foreach { arguments: Arc<dyn AnyArguments>, inner: Vec<(Arc<str>, Graph)> },
    /// Only looked at.
    Checked,
}

/// A component that is built, and what it was built with.
#[derive(Clone)]
pub(super) struct Running {
    pub arguments: Arc<dyn AnyArguments>,
    pub component: Arc<dyn AnyComponent>,
}

/// Arguments whose type is forgotten.
pub(super) trait AnyArguments: Any + Send + Sync {
    /// What stands in the block, with values for expressions.
    fn encode_body(&self) -> Vec<EncodedStatement>;
}

impl<A: Arguments + Send + Sync + 'static> AnyArguments for A {
    fn encode_body(&self) -> Vec<EncodedStatement> {
        Arguments::encode_body(self)
    }
}

impl Graph {
    pub(super) fn push(&mut self, node: Arc<Node>) {
        self.by_id.insert(node.labels.component_id.clone(), self.nodes.len());
        self.nodes.push(node);
    }

    pub(super) fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    pub(super) fn node(&self, id: &str) -> Option<&Arc<Node>> {
        self.nodes.get(*self.by_id.get(id)?)
    }

    /// Whether one of its nodes is another thing than before to those that refer to it.
    pub(super) fn differs_from(&self, previous: &Self) -> bool {
        let same = |node: &Arc<Node>| {
            previous.node(&node.labels.component_id).is_some_and(|before| !node.differs_from(before))
        };
        self.nodes.len() != previous.nodes.len() || !self.nodes.iter().all(same)
    }

    /// All nodes, those inside of others before them.
    pub(super) fn deep(&self) -> Vec<&Arc<Node>> {
        let mut found = Vec::with_capacity(self.nodes.len());
        self.collect(&mut found);
        found
    }

    fn collect<'g>(&'g self, found: &mut Vec<&'g Arc<Node>>) {
        for node in &self.nodes {
            for inner in node.inner() {
                inner.collect(found);
            }
            found.push(node);
        }
    }
}

impl Node {
    /// The graphs inside of it.
    pub(super) fn inner(&self) -> Vec<&Graph> {
        match &self.part {
            Part::Running(_) | Part::Checked => Vec::new(),
            Part::Import { inner, .. } | Part::Module { inner, .. } => vec![inner],
            Part::Foreach { inner, .. } => inner.iter().map(|(_, graph)| graph).collect(),
        }
    }

    pub(super) fn running(&self) -> Option<&Running> {
        match &self.part {
            Part::Running(running) | Part::Import { source: running, .. } => Some(running),
            Part::Module { .. } | Part::Foreach { .. } | Part::Checked => None,
        }
    }

    /// The path of what is inside of it.
    pub(super) fn inner_path(&self) -> Arc<str> {
        inner_path(&self.labels)
    }

    /// Whether those that refer to it see another thing than before.
    pub(super) fn differs_from(&self, previous: &Self) -> bool {
        let library = match (&self.part, &previous.part) {
            (Part::Import { library, .. }, Part::Import { library: before, .. }) => !Arc::ptr_eq(library, before),
            _ => false,
        };
        library || self.exports != previous.exports
    }

    /// The same node, which could not be evaluated again and goes on as it is.
    pub(super) fn failed(&self, errors: &Diagnostics) -> Self {
        Self { evaluation: Health::unhealthy(format!("component evaluation failed: {errors}")), ..self.clone() }
    }

    /// How it is: the worst of its last evaluation, its component and what is inside of it.
    pub(super) fn health(&self) -> Health {
        let component = self.running().and_then(|running| running.component.health());
        let inner = self.inner().into_iter().flat_map(|graph| graph.nodes.iter().map(|node| node.health()));
        component.into_iter().chain(inner).fold(self.evaluation.clone(), Health::worse)
    }
}

/// The path of what is inside of a component.
pub(super) fn inner_path(labels: &ComponentLabels) -> Arc<str> {
    format!("{}/{}", labels.component_path.trim_end_matches('/'), labels.component_id).into()
}

/// The moment of an evaluation that went well.
pub(super) fn evaluated() -> Health {
    Health { since: SystemTime::now(), ..Health::healthy("component evaluated") }
}
