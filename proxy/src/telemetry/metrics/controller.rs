//! `alloy_component_*`: the graph and its evaluation.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{HistogramFamily, IntGauge, gauges, histograms, process::FloatGauge};

/// The reference's buckets, in seconds.
const EVALUATION_BUCKETS: [f64; 12] = [0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];
/// From here on an evaluation is slow.
const SLOW: Duration = Duration::from_secs(60);

/// The series of the graph.
#[derive(Clone)]
pub struct ControllerMetrics {
    running: Family<RunningLabels, IntGauge>,
    evaluating: Family<ModuleLabels, IntGauge>,
    evaluation: HistogramFamily<ModuleLabels>,
    waiting: HistogramFamily<ModuleLabels>,
    queued: Family<ModuleLabels, IntGauge>,
    slow: Family<SlowLabels, FloatGauge>,
    connections: Family<ConnectionLabels, IntGauge>,
}

/// A module, as the reference names it: `/` and nothing for the configuration itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ModuleLabels {
    controller_path: Arc<str>,
    controller_id: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RunningLabels {
    health_type: &'static str,
    controller_path: Arc<str>,
    controller_id: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SlowLabels {
    component_id: Arc<str>,
    controller_path: Arc<str>,
    controller_id: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConnectionLabels {
    from: Arc<str>,
    to: Arc<str>,
    controller_path: Arc<str>,
    controller_id: Arc<str>,
}

impl ModuleLabels {
    /// The module with this `component_path`.
    pub fn of(component_path: &str) -> Self {
        let (path, id) = component_path.rsplit_once('/').unwrap_or(("", component_path));
        let path = if path.is_empty() { "/" } else { path };
        Self { controller_path: path.into(), controller_id: id.into() }
    }
}

impl ControllerMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let (name, help) = ("alloy_component_controller_running_components", "Components that run, by how they are");
        let running = gauges(registry, name, help);
        let (name, help) = ("alloy_component_controller_evaluating", "1 while the graph is evaluated");
        let evaluating = gauges(registry, name, help);
        let (name, help) = ("alloy_component_evaluation_seconds", "How long evaluating one component took");
        let evaluation = histograms(registry, name, help, &EVALUATION_BUCKETS);
        let name = "alloy_component_dependencies_wait_seconds";
        let help = "From a change of a component's exports to the evaluation of those that refer to it";
        let waiting = histograms(registry, name, help, &EVALUATION_BUCKETS);
        let name = "alloy_component_evaluation_queue_size";
        let queued = gauges(registry, name, "Components whose changed exports have not been followed yet");
        let slow = Family::default();
        let name = "alloy_component_evaluation_slow_seconds";
        registry.register(name, "Seconds spent in evaluations that took more than a minute", slow.clone());
        let (name, help) = ("alloy_component_graph_connection", "1 where a component sends to another one");
        let connections = gauges(registry, name, help);
        Self { running, evaluating, evaluation, waiting, queued, slow, connections }
    }

    /// An evaluation begins or ends.
    pub fn evaluating(&self, evaluating: bool) {
        self.evaluating.get_or_create_owned(&ModuleLabels::of("/")).set(i64::from(evaluating));
    }

    /// A component was evaluated.
    pub fn evaluated(&self, component_path: &str, component_id: &Arc<str>, took: Duration) {
        let module = ModuleLabels::of(component_path);
        self.evaluation.get_or_create_owned(&module).observe(took.as_secs_f64());
        if took >= SLOW {
            let ModuleLabels { controller_path, controller_id } = module;
            let labels = SlowLabels { component_id: component_id.clone(), controller_path, controller_id };
            self.slow.get_or_create_owned(&labels).inc_by(took.as_secs_f64());
        }
    }

    /// A change of exports was followed.
    pub fn followed(&self, component_path: &str, waited: Duration) {
        self.waiting.get_or_create_owned(&ModuleLabels::of(component_path)).observe(waited.as_secs_f64());
    }

    /// How many changes wait.
    pub fn queued(&self, changes: usize) {
        self.queued.get_or_create_owned(&ModuleLabels::of("/")).set(i64::try_from(changes).unwrap_or(i64::MAX));
    }

    /// The components that run: module, health and their number.
    pub fn running(&self, counts: impl IntoIterator<Item = (ModuleLabels, &'static str, usize)>) {
        self.running.clear();
        for (ModuleLabels { controller_path, controller_id }, health_type, count) in counts {
            let labels = RunningLabels { health_type, controller_path, controller_id };
            self.running.get_or_create_owned(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// The edges between the components of the graph.
    pub fn connections(&self, edges: impl IntoIterator<Item = (ModuleLabels, Arc<str>, Arc<str>)>) {
        self.connections.clear();
        for (ModuleLabels { controller_path, controller_id }, from, to) in edges {
            let labels = ConnectionLabels { from, to, controller_path, controller_id };
            self.connections.get_or_create_owned(&labels).set(1);
        }
    }
}
