//! What the `discovery.*` components share: where targets come from, and how they are exported.
//!
//! A [`Discovery`] is a kind of block, and [`Discovering`] makes it a component: its [`Search`] looks again and again, and
//! what it finds is exported as targets that all consumers share. Each is a capsule around its labels, which reads as an
//! object and is never copied.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy_syntax::schema::Export;
use alloy_syntax::{Arguments, Capsule, CapsuleValue, Invalid, Value};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use profiler_core::labels::Labels;
use tokio::task::JoinSet;

use super::targets::ADDRESS;
use crate::component::{Changed, Component, Context, Health};
use crate::telemetry::metrics::{ComponentLabels, Metrics};

mod asked;
mod dns;
mod docker;
mod file;
mod groups;
mod http;
mod kubernetes;
mod process;
mod relabel;

pub use relabel::DiscoveryRelabel;

/// `discovery.dns`.
pub type DiscoveryDns = Discovering<dns::Dns>;
/// `discovery.docker`.
pub type DiscoveryDocker = Discovering<docker::Docker>;
/// `discovery.file`.
pub type DiscoveryFile = Discovering<file::Files>;
/// `discovery.http`.
pub type DiscoveryHttp = Discovering<http::Http>;
/// `discovery.kubernetes`.
pub type DiscoveryKubernetes = Discovering<kubernetes::Kubernetes>;
/// `discovery.process`.
pub type DiscoveryProcess = Discovering<process::Processes>;

/// What every discovery exports.
const TARGETS: Export = Export { name: "targets", type_name: "list(map(string))", doc: "The targets that were found." };

/// A kind of block that finds targets.
pub trait Discovery: Sized + Send + Sync + 'static {
    /// The block's name, for example `discovery.dns`.
    const NAME: &'static str;

    /// What it is for, in one line.
    const SUMMARY: &'static str;

    /// What may stand in the block.
    type Arguments: Arguments + PartialEq + Send + Sync + 'static;

    /// Builds one without any effect that can be observed; `previous` is the one of the same id that runs now.
    ///
    /// # Errors
    /// Arguments that cannot be used.
    fn build(arguments: &Self::Arguments, context: &Context<'_>, previous: Option<&Self>) -> Result<Self, Invalid>;

    /// What is exported until the search has found something: what `before` was found by the block's predecessor, where it
    /// takes time to look.
    fn first(&self, before: Vec<Labels>) -> Found {
        Found { targets: before, problems: Vec::new() }
    }

    /// Begins to look. Runs on the runtime.
    fn search(&self) -> impl Search;
}

/// Looks for targets, again and again.
pub trait Search: Send + 'static {
    /// Waits until it is time, and looks.
    fn next(&mut self) -> impl Future<Output = Found> + Send;
}

/// What a look found.
#[derive(Debug, Default)]
pub struct Found {
    /// All targets that there are by now; from where nothing could be learned, those of before.
    pub targets: Vec<Labels>,
    /// What went wrong, for the user.
    pub problems: Vec<String>,
}

/// The component that a discovery is.
pub struct Discovering<D> {
    discovery: D,
    discovered: Discovered,
    metrics: Arc<Metrics>,
}

impl<D: Discovery> Component for Discovering<D> {
    const NAME: &'static str = D::NAME;
    const SUMMARY: &'static str = D::SUMMARY;
    const EXPORTS: &'static [Export] = &[TARGETS];
    type Arguments = D::Arguments;

    fn build(arguments: &Self::Arguments, context: &Context<'_>, previous: Option<&Self>) -> Result<Self, Invalid> {
        let before = previous.map(|previous| previous.discovered.targets()).unwrap_or_default();
        let discovery = D::build(arguments, context, previous.map(|previous| &previous.discovery))?;
        let discovered = Discovered::new(discovery.first(before), context);
        Ok(Self { discovery, discovered, metrics: context.services.metrics.clone() })
    }

    fn exports(&self) -> Value {
        self.discovered.exports()
    }

    fn health(&self) -> Option<Health> {
        Some(self.discovered.health())
    }

    fn debug_info(&self) -> Option<Value> {
        Some(self.discovered.debug_info())
    }

    fn activate(&self) {
        self.discovered.follow(self.discovery.search());
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        self.discovered.stop();
        futures_util::future::ready(()).boxed()
    }

    fn forget(&self) {
        self.metrics.forget(&self.discovered.kept.component);
    }
}

/// What a running discovery has found.
struct Discovered {
    kept: Arc<Kept>,
    /// Looks again, once the component has its place; ends with it.
    looking: Mutex<JoinSet<()>>,
}

struct Kept {
    state: Mutex<State>,
    component: ComponentLabels,
    changed: Changed,
}

struct State {
    targets: TargetSet,
    health: Health,
    problems: Vec<String>,
}

impl Discovered {
    /// Of what was found when the component was built.
    fn new(found: Found, context: &Context<'_>) -> Self {
        let targets = TargetSet::new(found.targets);
        let state = State { targets, health: health(&found.problems), problems: found.problems };
        let kept = Kept { state: Mutex::new(state), component: context.component.clone(), changed: context.changed() };
        Self { kept: Arc::new(kept), looking: Mutex::default() }
    }

    /// The targets by now.
    fn targets(&self) -> Vec<Labels> {
        self.kept.state().targets.targets.to_vec()
    }

    fn exports(&self) -> Value {
        Value::object([(TARGETS.name, self.kept.state().targets.value.clone())])
    }

    fn health(&self) -> Health {
        self.kept.state().health.clone()
    }

    /// How many targets there are, and what went wrong.
    fn debug_info(&self) -> Value {
        let state = self.kept.state();
        let problems = state.problems.iter().map(|problem| Value::from(problem.as_str()));
        Value::object([
            ("targets", Value::from(state.targets.targets.len() as u64)),
            ("problems", Value::array(problems)),
        ])
    }

    /// Looks again and again until [`stop`](Self::stop), on the runtime, and tells of targets that are others than before.
    fn follow(&self, mut search: impl Search) {
        let kept = self.kept.clone();
        let looking = async move {
            loop {
                let found = search.next().await;
                kept.take(found);
            }
        };
        self.looking().spawn(looking);
    }

    /// Looks no more.
    fn stop(&self) {
        self.looking().abort_all();
    }

    fn looking(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.looking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn take(&self, found: Found) {
        let component_id = &self.component;
        let mut state = self.state();
        if state.problems != found.problems {
            for problem in found.problems.iter().filter(|problem| !state.problems.contains(problem)) {
                tracing::error!(%component_id, err = %problem, "cannot look for targets; those of before stay");
            }
            if found.problems.is_empty() {
                tracing::info!(%component_id, "all targets are looked for again");
            }
            state.health = health(&found.problems);
            state.problems = found.problems;
        }
        if *state.targets.targets != *found.targets {
            tracing::debug!(%component_id, targets = found.targets.len(), "other targets than before");
            state.targets = TargetSet::new(found.targets);
            drop(state);
            self.changed.tell();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn health(problems: &[String]) -> Health {
    match problems {
        [] => Health::healthy("targets are looked for"),
        [only] => Health::unhealthy(format!("{only}; the targets of before stay")),
        [first, others @ ..] => {
            Health::unhealthy(format!("{first}, and {} more; the targets of before stay", others.len()))
        }
    }
}

/// Targets, and the value that they are to other components.
#[derive(Clone)]
struct TargetSet {
    targets: Arc<[Labels]>,
    value: Value,
}

impl TargetSet {
    fn new(targets: Vec<Labels>) -> Self {
        let value = Value::array(targets.iter().map(|target| Value::Capsule(Capsule::new(Target(target.clone())))));
        Self { targets: targets.into(), value }
    }
}

/// A target as a value: an object for expressions, labels for those who know it.
#[derive(Debug, PartialEq)]
pub(super) struct Target(Labels);

impl Target {
    /// Its labels, where a value is a target.
    pub(super) fn labels(value: &Value) -> Option<&Labels> {
        match value {
            Value::Capsule(capsule) => capsule.downcast_ref::<Self>().map(|target| &target.0),
            _ => None,
        }
    }
}

impl CapsuleValue for Target {
    fn type_name(&self) -> &str {
        "Target"
    }

    fn equals(&self, other: &dyn CapsuleValue) -> bool {
        let other: &dyn std::any::Any = other;
        other.downcast_ref::<Self>().is_some_and(|other| self == other)
    }

    fn to_object(&self) -> Option<Value> {
        Some(Value::object(self.0.iter().map(|(name, value)| (name, Value::from(value)))))
    }
}

/// The label sets of one source, in the order of the sources.
type BySource<S> = BTreeMap<S, Vec<Labels>>;

#[cfg(test)]
mod tests;
