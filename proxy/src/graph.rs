//! Blocks become nodes, nodes become running components.
//!
//! A graph is prepared as a whole, against the one that runs: what is unchanged is taken over, the rest is built, and
//! nothing is observable until [`Prepared::commit`]. An error on the way leaves the running graph as it is.
//!
//! A module is a node with a graph inside; so is an import, and a `foreach` has one for each item.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use alloy_syntax::{Diagnostic, Diagnostics, Value, ast};

use self::build::{Builder, Level, Occasion};
use self::environment::Environment;
use self::node::Node;
use self::plan::Inside;
use crate::component::{AnyComponent, HealthState, Services};
use crate::config::{Source, Sources};
use crate::ingest::LocalAddress;
use crate::telemetry::metrics::ComponentLabels;
use crate::telemetry::traces::SpanKind;

mod build;
mod controller;
mod detail;
mod diff;
mod environment;
mod kind;
mod node;
mod plan;
#[cfg(test)]
mod tests;

pub use build::{LANGUAGE_BLOCKS, LanguageBlock};
pub use controller::{Controller, LoadError};
pub use detail::Detail;
pub use diff::Diff;
pub use kind::{Kind, Role};
pub use node::Graph;

/// A graph that could be built and waits to take its place.
pub struct Prepared {
    graph: Graph,
    previous: Graph,
    /// What to tell the user besides.
    pub warnings: Diagnostics,
    /// Texts that were imported.
    pub imported: Vec<Source>,
}

/// Why a graph cannot be built.
pub struct Refused {
    /// What is wrong.
    pub diagnostics: Diagnostics,
    /// Texts that were imported.
    pub imported: Vec<Source>,
}

impl Graph {
    /// Builds what these files describe. Nothing of it can be observed yet.
    ///
    /// # Errors
    /// Everything that is wrong with the files: first what can be said of their text, then of references, then of
    /// values. What was built is thrown away.
    pub fn prepare(&self, text: &Text, kinds: &'static [Kind], services: &Services) -> Result<Prepared, Refused> {
        self.prepared(text, Builder::new(Occasion::Load, kinds), services)
    }

    /// Evaluates what refers to these components, whose exports are others by now. Where that fails a component goes on
    /// with its last arguments, unhealthy.
    ///
    /// # Errors
    /// What makes the whole of it impossible.
    pub fn prepare_again(
        &self,
        text: &Text,
        kinds: &'static [Kind],
        services: &Services,
        changed: &BTreeSet<ComponentLabels>,
    ) -> Result<Prepared, Refused> {
        self.prepared(text, Builder::new(Occasion::Changed(changed), kinds), services)
    }

    /// Looks at what these files describe, and builds nothing of it: neither is anything opened, bound or fetched, nor is
    /// known what components will export.
    ///
    /// # Errors
    /// Everything that is wrong with the files.
    pub fn check(text: &Text, kinds: &'static [Kind], services: &Services) -> Result<Prepared, Refused> {
        Self::default().prepared(text, Builder::new(Occasion::Check, kinds), services)
    }

    fn prepared(&self, text: &Text, mut builder: Builder<'_>, services: &Services) -> Result<Prepared, Refused> {
        let module_path: Arc<str> = text.module_path.as_str().into();
        let level = Level {
            statements: text.files.iter().flat_map(|file| &file.body.statements).collect(),
            inside: Inside::Root,
            path: "/".into(),
            scope: builder.stdlib.with("module_path", Value::from(&*module_path)),
            outer: BTreeMap::new(),
            environment: Arc::new(Environment { module_path, ..Environment::default() }),
            services,
            previous: Some(self),
            all: false,
        };
        let mut span = services.tracer.begin("GraphEvaluate", SpanKind::Internal);
        builder.trace = span.trace().clone();
        let built = builder.level(&level).and_then(|built| {
            addresses_taken(&built.graph).and_then(|()| queues_taken(&built.graph)).map(|()| built.graph)
        });
        let Builder { warnings, sources: imported, .. } = builder;
        let errors = built.as_ref().err();
        span.record(|span| errors.into_iter().for_each(|errors| span.fail(&errors.to_string())));
        match built {
            Ok(graph) => Ok(Prepared { graph, previous: self.clone(), warnings, imported }),
            Err(mut diagnostics) => {
                diagnostics.extend(warnings);
                Err(Refused { diagnostics, imported })
            }
        }
    }

    /// Ends every component, sources first: what they were given is passed on before what follows them ends.
    pub async fn stop(&self) {
        for (_, component) in self.components().iter().rev() {
            component.stop().await;
        }
    }

    /// The paths of the components that are not as they should be, those inside of others after these.
    pub fn unhealthy(&self) -> Vec<String> {
        let unhealthy = |node: &&Arc<Node>| node.health().state > HealthState::Unknown;
        self.deep().into_iter().filter(unhealthy).map(|node| node.labels.to_string()).collect()
    }

    fn listening(&self) -> Vec<(ComponentLabels, LocalAddress)> {
        let components = self.components().into_iter();
        components.filter_map(|(labels, component)| Some((labels.clone(), component.address()?))).collect()
    }

    /// Everything that runs, wherever it stands, each after those that it refers to.
    fn components(&self) -> Vec<(&ComponentLabels, &Arc<dyn AnyComponent>)> {
        self.deep().into_iter().filter_map(|node| Some((&node.labels, &node.running()?.component))).collect()
    }
}

/// A configuration that was read and parsed.
pub struct Text {
    /// Its files.
    pub files: Vec<ast::File>,
    /// The folder that they stand in.
    pub module_path: String,
}

impl Text {
    /// Parses every file.
    ///
    /// # Errors
    /// All errors of all files.
    pub fn parse(sources: &Sources) -> Result<Self, Diagnostics> {
        Ok(Self { files: sources.parse()?, module_path: sources.folder.display().to_string() })
    }
}

impl Prepared {
    /// What is another thing than before.
    pub fn diff(&self) -> Diff {
        Diff::between(&self.previous, &self.graph)
    }

    /// Puts the new graph in its place, sinks before sources. What is no longer wanted still runs: it is to be ended.
    pub fn commit(self) -> (Graph, Retired) {
        let Self { graph, previous, .. } = self;
        let running = addresses_of(&previous);
        for (_, component) in graph.components() {
            if !running.contains(&address_of(component)) {
                component.activate();
            }
        }
        let kept = addresses_of(&graph);
        let retired = previous.components().into_iter().filter(|(_, component)| !kept.contains(&address_of(component)));
        let retired = Retired(retired.map(|(labels, component)| (labels.clone(), component.clone())).collect());
        retired.removed(&graph).for_each(|component| component.withdraw());
        (graph, retired)
    }
}

/// Components that were replaced or removed.
pub struct Retired(Vec<(ComponentLabels, Arc<dyn AnyComponent>)>);

impl Retired {
    /// Ends them, sources first; returns when what they had begun is finished.
    pub async fn stop(&self) {
        for (_, component) in self.0.iter().rev() {
            component.stop().await;
        }
    }

    /// Removes what is left of those whose id no longer runs.
    pub fn forget(&self, running: &Graph) {
        self.removed(running).for_each(|component| component.forget());
    }

    fn removed(&self, running: &Graph) -> impl Iterator<Item = &Arc<dyn AnyComponent>> {
        let running: HashSet<&ComponentLabels> = running.components().into_iter().map(|(labels, _)| labels).collect();
        self.0.iter().filter(move |(labels, _)| !running.contains(labels)).map(|(_, component)| component)
    }
}

/// Tells one component from another.
fn address_of(component: &Arc<dyn AnyComponent>) -> *const () {
    Arc::as_ptr(component).cast()
}

fn addresses_of(graph: &Graph) -> HashSet<*const ()> {
    graph.components().into_iter().map(|(_, component)| address_of(component)).collect()
}

/// Refuses two components on one address.
fn addresses_taken(graph: &Graph) -> Result<(), Diagnostics> {
    let mut taken: HashMap<LocalAddress, &ComponentLabels> = HashMap::new();
    for node in graph.deep() {
        let Some(address) = node.running().and_then(|running| running.component.address()) else { continue };
        if let Some(first) = taken.insert(address, &node.labels) {
            let message = format!("listens on the same address as {}", first.component_id);
            return Err(Diagnostic::error(&node.block.file, node.block.header, message).into());
        }
    }
    Ok(())
}

/// Refuses two endpoints on one queue.
fn queues_taken(graph: &Graph) -> Result<(), Diagnostics> {
    let mut taken: HashMap<Arc<str>, &ComponentLabels> = HashMap::new();
    for node in graph.deep() {
        let Some(running) = node.running() else { continue };
        for queue in running.component.queues() {
            let message = match taken.insert(queue, &node.labels) {
                None => continue,
                Some(first) => format!(
                    "an endpoint has the same queue as one of {first}: give each endpoint with a queue a `name` of its own"
                ),
            };
            return Err(Diagnostic::error(&node.block.file, node.block.header, message).into());
        }
    }
    Ok(())
}
