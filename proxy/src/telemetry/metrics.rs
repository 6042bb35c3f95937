//! The metrics of one process, under the reference's names.
//!
//! A component asks for its series once, when it is built, and holds them: counting is an atomic addition. Every series
//! carries `component_id` and `component_path`. The names are those of the specification's section 14.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
pub use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::Registry;

mod backends;
mod cluster;
mod controller;
mod dialer;
mod discovery_http;
mod ebpf;
mod fanout;
mod filter;
mod java;
mod local_file;
mod process;
pub mod receive_http;
mod relabel;
mod scrape;
mod tls;
mod traces;
mod write;
mod write_queue;

pub use backends::{BackendMetrics, BackendsMetrics};
pub use cluster::{ClusterMetrics, Traffic};
pub use controller::{ControllerMetrics, ModuleLabels};
pub use dialer::{DialerMetrics, OpenConnection};
pub use ebpf::{EbpfMetrics, ProfilerCounter};
pub use fanout::FanoutMetrics;
pub use filter::FilterMetrics;
pub use java::JavaMetrics;
pub use process::{ConfigMetrics, ProcessMetrics};
pub use receive_http::{ReceiveHttpMetrics, RequestLabels};
pub use relabel::{RelabelMetrics, SampleRulesMetrics, SkippedKind};
pub use scrape::{ScrapeMetrics, ScrapeResult};
pub use tls::TlsMetrics;
pub use traces::{ExporterMetrics, TracingMetrics};
pub use write::{EndpointMetrics, WriteLatency, WriteMetrics};
pub use write_queue::{OrphanMetrics, WriteQueueMetrics};

/// The buckets of Prometheus' client libraries, in seconds.
const DEFAULT_BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// All metric families of the process.
pub struct Metrics {
    registry: Registry,
    backends: backends::Families,
    cluster: cluster::Families,
    dialer: dialer::Families,
    discovery_http: discovery_http::Families,
    ebpf: ebpf::Families,
    fanout: fanout::Families,
    filter: filter::Families,
    java: java::Families,
    local_file: local_file::Families,
    receive_http: receive_http::Families,
    relabel: relabel::Families,
    scrape: scrape::Families,
    write: write::Families,
    write_queue: write_queue::Families,
    orphans: OrphanMetrics,
    tls: tls::Families,
    exporters: traces::Families,
    tracing: TracingMetrics,
    process: ProcessMetrics,
    config: ConfigMetrics,
    controller: ControllerMetrics,
}

impl Metrics {
    /// Registers every family.
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::default();
        Arc::new(Self {
            backends: backends::Families::register(&mut registry),
            cluster: cluster::Families::register(&mut registry),
            dialer: dialer::Families::register(&mut registry),
            discovery_http: discovery_http::Families::register(&mut registry),
            ebpf: ebpf::Families::register(&mut registry),
            fanout: fanout::Families::register(&mut registry),
            filter: filter::Families::register(&mut registry),
            java: java::Families::register(&mut registry),
            local_file: local_file::Families::register(&mut registry),
            receive_http: receive_http::Families::register(&mut registry),
            relabel: relabel::Families::register(&mut registry),
            scrape: scrape::Families::register(&mut registry),
            write: write::Families::register(&mut registry),
            write_queue: write_queue::Families::register(&mut registry),
            orphans: OrphanMetrics::register(&mut registry),
            tls: tls::Families::register(&mut registry),
            exporters: traces::Families::register(&mut registry),
            tracing: TracingMetrics::register(&mut registry),
            process: ProcessMetrics::register(&mut registry),
            config: ConfigMetrics::register(&mut registry),
            controller: ControllerMetrics::register(&mut registry),
            registry,
        })
    }

    /// Everything, in Prometheus' text format.
    pub fn text(&self) -> Result<String, fmt::Error> {
        self.process.refresh();
        let mut text = String::with_capacity(16 * 1024);
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// How often a `discovery.http` has failed.
    pub fn discovery_http(&self, component: &ComponentLabels) -> Counter {
        self.discovery_http.of(component)
    }

    /// The series of a process that is a node of this cluster.
    pub fn cluster(&self, cluster_name: Arc<str>) -> ClusterMetrics {
        self.config.name_cluster(cluster_name.clone());
        self.cluster.of(cluster_name)
    }

    /// The series of a `pyroscope.ebpf`.
    pub fn ebpf(&self, component: &ComponentLabels) -> EbpfMetrics {
        self.ebpf.of(component)
    }

    /// The fan-out series of a component.
    pub fn fanout(&self, component: &ComponentLabels) -> FanoutMetrics {
        self.fanout.of(component)
    }

    /// The series of a filter: of a `pyroscope.relabel`, a `pyroscope.enrich` or a `wasm.filter`.
    pub fn filter(&self, component: &ComponentLabels) -> FilterMetrics {
        self.filter.of(component)
    }

    /// The series of a `pyroscope.java`.
    pub fn java(&self, component: &ComponentLabels) -> JavaMetrics {
        self.java.of(component)
    }

    /// When a `local.file` last read its file, in Unix seconds.
    pub fn local_file(&self, component: &ComponentLabels) -> IntGauge {
        self.local_file.of(component)
    }

    /// The series of a `pyroscope.receive_http`.
    pub fn receive_http(&self, component: &ComponentLabels) -> ReceiveHttpMetrics {
        self.receive_http.of(component)
    }

    /// The series of a `pyroscope.relabel`.
    pub fn relabel(&self, component: &ComponentLabels) -> RelabelMetrics {
        self.relabel.of(component)
    }

    /// The series of the rules for samples of a `pyroscope.relabel`.
    pub fn sample_rules(&self, component: &ComponentLabels) -> SampleRulesMetrics {
        self.relabel.samples_of(component)
    }

    /// The series of a `pyroscope.scrape`.
    pub fn scrape(&self, component: &ComponentLabels) -> ScrapeMetrics {
        self.scrape.of(component)
    }

    /// The series of a `pyroscope.write`.
    pub fn write(&self, component: &ComponentLabels) -> WriteMetrics {
        self.write.of(component)
    }

    /// The series of one endpoint of a `pyroscope.write`.
    pub fn endpoint(&self, component: &ComponentLabels, endpoint: &Arc<str>) -> EndpointMetrics {
        self.write.endpoint(component, endpoint)
    }

    /// The series of the queue before an endpoint.
    pub fn write_queue(&self, component: &ComponentLabels, endpoint: &Arc<str>, queue: &Arc<str>) -> WriteQueueMetrics {
        self.write_queue.of(component, endpoint, queue)
    }

    /// The series of the queues that no endpoint has any more.
    pub fn orphans(&self) -> &OrphanMetrics {
        &self.orphans
    }

    /// The series of the backends of one endpoint of a `pyroscope.write`.
    pub fn backends(&self, component: &ComponentLabels, endpoint: &Arc<str>) -> BackendsMetrics {
        self.backends.of(component, endpoint)
    }

    /// The series of who opens connections under this name.
    pub fn dialer(&self, name: &Arc<str>) -> DialerMetrics {
        self.dialer.of(name)
    }

    /// The series of a listener that speaks TLS: the admin listener or that of a component, by its id.
    pub fn tls(&self, listener: &Arc<str>) -> TlsMetrics {
        self.tls.of(listener)
    }

    /// The series of an exporter of spans.
    pub fn exporter(&self, component: &ComponentLabels) -> ExporterMetrics {
        self.exporters.of(component)
    }

    /// The series of the `tracing` block.
    pub fn tracing(&self) -> &TracingMetrics {
        &self.tracing
    }

    /// Removes the series of an endpoint that is no more.
    pub fn forget_endpoint(&self, component: &ComponentLabels, endpoint: &Arc<str>) {
        self.write.forget(component, Some(endpoint));
        self.backends.forget(component, endpoint);
    }

    /// Removes the series of a component that is no more, but for those of its endpoints.
    pub fn forget(&self, component: &ComponentLabels) {
        self.discovery_http.forget(component);
        self.ebpf.forget(component);
        self.fanout.forget(component);
        self.filter.forget(component);
        self.java.forget(component);
        self.local_file.forget(component);
        self.relabel.forget(component);
        self.scrape.forget(component);
        self.write.forget(component, None);
        self.receive_http.forget(component);
        self.tls.forget(&component.component_id);
        self.exporters.forget(component);
    }

    /// The series of the graph.
    pub fn controller(&self) -> &ControllerMetrics {
        &self.controller
    }

    /// The series of loading the configuration.
    pub fn config(&self) -> &ConfigMetrics {
        &self.config
    }
}

/// Whose series it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct ComponentLabels {
    /// For example `pyroscope.write.default`.
    pub component_id: Arc<str>,
    /// The module it stands in; `/` for none.
    pub component_path: Arc<str>,
}

impl fmt::Display for ComponentLabels {
    /// As one path, without a slash before what stands in no module.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.component_path.trim_matches('/') {
            "" => f.write_str(&self.component_id),
            path => write!(f, "{path}/{}", self.component_id),
        }
    }
}

impl ComponentLabels {
    /// A component of the main configuration.
    pub fn top_level(component_id: Arc<str>) -> Self {
        Self { component_id, component_path: "/".into() }
    }

    /// A part of the component with series of its own. No component has its name: labels hold no dot.
    #[must_use]
    pub fn part(&self, name: &str) -> Self {
        let component_id = format!("{}.{name}", self.component_id).into();
        Self { component_id, component_path: self.component_path.clone() }
    }
}

/// A counter whose series is named as it was registered.
///
/// prometheus-client's own counter appends `_total`, which half of the reference's names lack.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// The count by now.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl TypedMetric for Counter {
    const TYPE: MetricType = MetricType::Counter;
}

impl EncodeMetric for Counter {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_gauge(&self.count())
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

/// A gauge of whole numbers.
pub type IntGauge = Gauge;

/// Makes the histograms of a family.
#[derive(Debug, Clone, Copy)]
struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

type HistogramFamily<L> = Family<L, Histogram, Buckets>;

fn counters<L>(registry: &mut Registry, name: &str, help: &str) -> Family<L, Counter>
where
    L: Clone + Hash + Eq + EncodeLabelSet + fmt::Debug + Send + Sync + 'static,
{
    let family = Family::default();
    registry.register(name, help, family.clone());
    family
}

fn gauges<L>(registry: &mut Registry, name: &str, help: &str) -> Family<L, IntGauge>
where
    L: Clone + Hash + Eq + EncodeLabelSet + fmt::Debug + Send + Sync + 'static,
{
    let family = Family::default();
    registry.register(name, help, family.clone());
    family
}

fn histograms<L>(registry: &mut Registry, name: &str, help: &str, buckets: &'static [f64]) -> HistogramFamily<L>
where
    L: Clone + Hash + Eq + EncodeLabelSet + fmt::Debug + Send + Sync + 'static,
{
    let family = Family::new_with_constructor(Buckets(buckets));
    registry.register(name, help, family.clone());
    family
}
