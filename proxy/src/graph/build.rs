//! Evaluates the nodes of a text, one after the other, against those that run.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Instant;

use alloy_syntax::{Arguments, Checked, Diagnostics, Scope, StdlibOptions, Value, ast, check_block};

use super::environment::Environment;
use super::node::{Graph, Node, Part, Running, evaluated};
use super::plan::{Inside, Plan, Planned, Surroundings, What};
use super::{Kind, Role};
use crate::component::Services;
use crate::config::Source;
use crate::telemetry::metrics::ComponentLabels;
use crate::telemetry::traces::{SpanKind, Trace};

mod foreach;
mod language;
mod library;
mod module;

pub use language::{LANGUAGE_BLOCKS, LanguageBlock};

/// Why nodes are evaluated.
#[derive(Clone, Copy)]
pub(super) enum Occasion<'a> {
    /// A configuration is loaded: an error anywhere refuses all of it.
    Load,
    /// These components export other values than before: what refers to them is evaluated. What cannot be goes on as
    /// it is, unhealthy.
    Changed(&'a BTreeSet<ComponentLabels>),
    /// A text is looked at. Nothing is built; what components will export is not known, and nothing is fetched.
    Check,
}

/// What one evaluation needs and gathers.
pub(super) struct Builder<'a> {
    pub occasion: Occasion<'a>,
    pub kinds: &'static [Kind],
    pub stdlib: Scope,
    pub warnings: Diagnostics,
    /// Texts that imports have brought, so that what is wrong in them can be shown.
    pub sources: Vec<Source>,
    /// Of this evaluation.
    pub trace: Trace,
    /// The declares that are being made use of, the innermost last.
    within: Vec<Arc<ast::Block>>,
    /// How many imports lie around what is evaluated.
    imports: usize,
    /// The declares that something is made of.
    used: HashSet<*const ast::Block>,
}

/// A text to evaluate.
pub(super) struct Level<'a> {
    pub statements: Vec<&'a ast::Statement>,
    pub inside: Inside,
    /// The `component_path` of its nodes.
    pub path: Arc<str>,
    /// What names mean besides its own nodes.
    pub scope: Scope,
    /// The nodes around a template, as a tree.
    pub outer: BTreeMap<String, Value>,
    pub environment: Arc<Environment>,
    pub services: &'a Services,
    pub previous: Option<&'a Graph>,
    /// Whether what surrounds it is another thing than before, so that each node is evaluated.
    pub all: bool,
}

/// What became of a text.
pub(super) struct Built {
    pub graph: Graph,
    /// What it declares and imports.
    pub environment: Arc<Environment>,
}

/// One node in the making.
struct Making<'a> {
    planned: &'a Planned,
    labels: ComponentLabels,
    /// The nodes that it refers to, as a tree.
    around: BTreeMap<String, Value>,
    scope: Scope,
    level: &'a Level<'a>,
    environment: &'a Arc<Environment>,
    previous: Option<&'a Arc<Node>>,
    /// Whether all that is inside of it is to be evaluated.
    all: bool,
}

/// A module's `export` block.
#[derive(Arguments)]
struct ExportArguments {
    /// What is given away.
    #[alloy(attr)]
    value: Value,
}

impl<'a> Builder<'a> {
    pub(super) fn new(occasion: Occasion<'a>, kinds: &'static [Kind]) -> Self {
        let stdlib = Scope::stdlib(&StdlibOptions {
            experimental: true,
            version: concat!("v", env!("CARGO_PKG_VERSION")).to_owned(),
            ..StdlibOptions::default()
        });
        let (warnings, sources, within) = (Diagnostics::new(), Vec::new(), Vec::new());
        let (trace, used) = (Trace::default(), HashSet::new());
        Self { occasion, kinds, stdlib, warnings, sources, trace, within, imports: 0, used }
    }

    /// Evaluates a text. What is wrong inside a module says in which.
    pub(super) fn level(&mut self, level: &Level<'_>) -> Result<Built, Diagnostics> {
        self.evaluate(level).map_err(|mut errors| {
            if &*level.path != "/" {
                for error in errors.0.iter_mut().filter(|error| !error.message.contains(" (in /")) {
                    error.message = format!("{} (in {})", error.message, level.path);
                }
            }
            errors
        })
    }

    fn evaluate(&mut self, level: &Level<'_>) -> Result<Built, Diagnostics> {
        let around = Surroundings {
            inside: level.inside,
            kinds: self.kinds,
            scope: &level.scope,
            outer: &level.outer,
            environment: &level.environment,
        };
        let plan = Plan::new(level.statements.iter().copied(), &around)?;
        let mut environment = Arc::new(Environment {
            declares: plan.declares,
            libraries: BTreeMap::new(),
            remote: level.environment.remote,
            module_path: level.environment.module_path.clone(),
            outer: (level.inside != Inside::Library).then(|| level.environment.clone()),
        });
        let mut graph = Graph::default();
        let mut progress = Progress { errors: plan.errors, failed: plan.failed, ..Progress::default() };
        for planned in &plan.nodes {
            // What refers to a node that failed cannot be judged: its own errors would only be echoes.
            if progress.failed.contains(&planned.id) || planned.refers_to.iter().any(|id| progress.failed.contains(id))
            {
                progress.failed.insert(planned.id.clone());
                continue;
            }
            if matches!(planned.what, What::Export) {
                match export(planned, &level.scope.extend(tree(planned, level, &graph))) {
                    Ok(value) => {
                        progress.exports.insert(planned.block.label_text().unwrap_or_default().to_owned(), value);
                    }
                    Err(errors) => progress.fail(planned, errors),
                }
                continue;
            }
            let previous = level.previous.and_then(|graph| graph.node(&planned.id));
            let previous = previous.filter(|node| *node.name == *planned.block.full_name());
            let labels = ComponentLabels { component_id: planned.id.clone(), component_path: level.path.clone() };
            let around = level.all || planned.refers_to.iter().any(|id| progress.fresh.contains(id));
            let node = match previous.filter(|node| !around && !self.concerns(node)) {
                Some(unconcerned) => Ok(unconcerned.clone()),
                None => {
                    let tree = tree(planned, level, &graph);
                    let scope = level.scope.extend(tree.clone());
                    let environment = &environment;
                    let began = Instant::now();
                    let mut span = self.trace.child("EvaluateNode", SpanKind::Internal);
                    let node = self.node(Making {
                        planned,
                        labels,
                        around: tree,
                        scope,
                        level,
                        environment,
                        previous,
                        all: around,
                    });
                    let controller = level.services.metrics.controller();
                    controller.evaluated(&level.path, &planned.id, began.elapsed());
                    span.record(|span| {
                        span.set("node_id", &*planned.id);
                        span.set("component_path", &*level.path);
                        if let Err(errors) = &node {
                            span.fail(&errors.to_string());
                        }
                    });
                    node
                }
            };
            match (node, previous, self.occasion) {
                (Ok(node), _, _) => {
                    if previous.is_none_or(|previous| node.differs_from(previous)) {
                        progress.fresh.insert(planned.id.clone());
                    }
                    bring(&mut environment, &node, planned);
                    graph.push(node);
                }
                (Err(errors), Some(previous), Occasion::Changed(_)) => {
                    tracing::warn!(component_id = %previous.labels, err = %errors, "the component goes on with its last arguments");
                    let node = Arc::new(previous.failed(&errors));
                    bring(&mut environment, &node, planned);
                    graph.push(node);
                }
                (Err(errors), _, _) => progress.fail(planned, errors),
            }
        }
        if self.looks_only() {
            progress.errors.extend(self.unused(&environment, level));
        }
        if progress.errors.has_errors() {
            return Err(progress.errors);
        }
        graph.exports = Value::object(progress.exports);
        Ok(Built { graph, environment })
    }

    /// Whether something has changed in a node, or inside of it.
    fn concerns(&self, node: &Node) -> bool {
        let Occasion::Changed(changed) = self.occasion else { return true };
        let path = node.inner_path();
        let inside = |labels: &ComponentLabels| {
            let rest = labels.component_path.strip_prefix(&*path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        changed.iter().any(|labels| *labels == node.labels || inside(labels))
    }

    fn node(&mut self, making: Making<'_>) -> Result<Arc<Node>, Diagnostics> {
        let (part, exports) = match making.planned.what {
            What::Kind(kind) if self.looks_only() && kind.role != Role::Import => self.check(kind, &making)?,
            What::Kind(kind) if kind.role.is_import() => self.import(kind, &making)?,
            What::Kind(kind) => {
                let running = self.run(kind, &making)?;
                let exports = running.component.exports();
                (Part::Running(running), exports)
            }
            What::Custom => self.module(&making)?,
            What::Foreach | What::Export => (self.foreach(&making)?, Value::object::<&str>([])),
        };
        let Making { planned, labels, .. } = making;
        let name = planned.block.full_name().into();
        let (block, refers_to) = (planned.block.clone(), planned.refers_to.clone());
        Ok(Arc::new(Node { labels, name, block, refers_to, exports, part, evaluation: evaluated() }))
    }

    fn looks_only(&self) -> bool {
        matches!(self.occasion, Occasion::Check)
    }

    /// Looks at a block without building anything.
    fn check(&mut self, kind: &Kind, making: &Making<'_>) -> Result<(Part, Value), Diagnostics> {
        self.warnings.extend((kind.check)(&making.planned.block, &making.scope)?);
        Ok((Part::Checked, kind.unbuilt_exports()))
    }

    /// Decodes a block and builds its component, or keeps the one that runs.
    fn run(&mut self, kind: &Kind, making: &Making<'_>) -> Result<Running, Diagnostics> {
        let Making { planned, labels, scope, level, previous, .. } = making;
        let previous = previous.and_then(|node| node.running());
        let (running, warnings) = (kind.evaluate)(&planned.block, scope, labels.clone(), level.services, previous)?;
        self.warnings.extend(warnings);
        Ok(running)
    }
}

/// What has happened so far on a level.
#[derive(Default)]
struct Progress {
    /// Nodes that are another thing than before to those that refer to them.
    fresh: BTreeSet<Arc<str>>,
    failed: BTreeSet<Arc<str>>,
    errors: Diagnostics,
    exports: BTreeMap<String, Value>,
}

impl Progress {
    fn fail(&mut self, planned: &Planned, errors: Diagnostics) {
        self.failed.insert(planned.id.clone());
        self.errors.extend(errors);
    }
}

/// Adds what an import has brought.
fn bring(environment: &mut Arc<Environment>, node: &Node, planned: &Planned) {
    let library = match &node.part {
        Part::Import { library, .. } => Some(library.clone()),
        Part::Checked if matches!(planned.what, What::Kind(kind) if kind.role.is_import()) => None,
        _ => return,
    };
    let namespace = planned.block.label_text().unwrap_or_default().to_owned();
    let mut libraries = environment.libraries.clone();
    libraries.insert(namespace, library);
    let before = &**environment;
    *environment = Arc::new(Environment {
        declares: before.declares.clone(),
        libraries,
        remote: before.remote,
        module_path: before.module_path.clone(),
        outer: before.outer.clone(),
    });
}

fn export(planned: &Planned, scope: &Scope) -> Result<Value, Diagnostics> {
    Ok(match check_block::<ExportArguments>(&planned.block, scope)? {
        Checked::Known(decoded) => decoded.value.value,
        Checked::Unknown { .. } => Value::unknown(),
    })
}

/// The nodes that a node refers to, and those around its level.
fn tree(planned: &Planned, level: &Level<'_>, graph: &Graph) -> BTreeMap<String, Value> {
    let mut tree = level.outer.clone();
    for node in planned.refers_to.iter().filter_map(|id| graph.node(id)) {
        let path: Vec<&str> =
            node.block.name.iter().map(|part| part.name.as_str()).chain(node.block.label_text()).collect();
        insert(&mut tree, &path, &node.exports);
    }
    tree
}

/// Puts a value into a tree of objects, under a path of names.
fn insert(tree: &mut BTreeMap<String, Value>, path: &[&str], value: &Value) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        tree.insert((*first).to_owned(), value.clone());
        return;
    }
    let below = tree.get(*first).and_then(Value::fields);
    let mut below = below.map_or_else(BTreeMap::new, |fields| (*fields).clone());
    insert(&mut below, rest, value);
    tree.insert((*first).to_owned(), Value::object(below));
}
