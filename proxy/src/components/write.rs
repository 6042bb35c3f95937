//! `pyroscope.write`: sends profiles to every endpoint, each with its own retries.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_syntax::schema::Export;
use alloy_syntax::{Arguments, Capsule, Invalid, Value};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};

use self::balancers::Balancers;
use self::clients::Clients;
use self::endpoint::EndpointArguments;
use self::queue::QueuedTarget;
pub(crate) use self::queue::Resending;
use self::sent_labels::SentLabels;
use self::stage::{Target, WriteStage};
use crate::component::{Component, Context, RECEIVER_EXPORT, Trouble};
use crate::pipeline::Receiver;
use crate::telemetry::LogLimit;
use crate::telemetry::metrics::{ComponentLabels, Metrics};
use crate::telemetry::traces::Propagation;
use crate::upstream::Way;

mod backends;
mod balancers;
mod by_push;
mod clients;
mod endpoint;
mod labels;
mod queue;
mod sent_labels;
mod stage;
#[cfg(test)]
mod tests;

/// What may stand in the block.
#[derive(Debug, Clone, PartialEq, Arguments)]
pub struct WriteArguments {
    /// Set on every series that is sent; an empty value deletes the label.
    #[alloy(attr, optional)]
    external_labels: BTreeMap<String, String>,
    /// Where profiles are sent; with none they are accepted and discarded.
    #[alloy(block, optional, name = "endpoint")]
    endpoints: Vec<EndpointArguments>,
    /// How backends are told of the traces that requests to them belong to.
    #[alloy(block, optional)]
    tracing: TracingArguments,
}

#[derive(Debug, Clone, PartialEq, Arguments)]
struct TracingArguments {
    /// As Jaeger's clients do, in `uber-trace-id`.
    #[alloy(attr, default = true)]
    jaeger_propagator: bool,
    /// In `traceparent`.
    #[alloy(attr, default = true)]
    trace_context_propagator: bool,
}

impl TracingArguments {
    fn propagation(&self) -> Propagation {
        Propagation { trace_context: self.trace_context_propagator, jaeger: self.jaeger_propagator }
    }
}

/// The running component.
pub struct Write {
    stage: Arc<WriteStage>,
    clients: Clients,
    balancers: Balancers,
    component: ComponentLabels,
    metrics: Arc<Metrics>,
}

impl Component for Write {
    const NAME: &'static str = "pyroscope.write";
    const SUMMARY: &'static str = "Sends profiles to Pyroscope backends, each with its own retries.";
    const EXPORTS: &'static [Export] = &[RECEIVER_EXPORT];
    type Arguments = WriteArguments;

    fn build(arguments: &WriteArguments, context: &Context<'_>, previous: Option<&Self>) -> Result<Self, Invalid> {
        let Context { component, services } = context;
        let metrics = &services.metrics;
        let (mut clients, mut balancers) = (Clients::default(), Balancers::default());
        let mut identities: Vec<(Arc<str>, String)> = Vec::new();
        let (mut targets, mut queued) = (Vec::with_capacity(arguments.endpoints.len()), Vec::new());
        for block in &arguments.endpoints {
            let of_backends = metrics.backends(component, &block.url().into());
            let before = previous.map(|previous| &previous.balancers);
            let name: Arc<str> = block.name().into();
            let dialer = metrics.dialer(&name);
            let way = match balancers.balancer(block, of_backends, &dialer, before)? {
                Some(balancer) => Way::Balanced(balancer),
                None => {
                    let before = previous.map(|previous| &previous.clients);
                    Way::Direct(clients.client((block.connections(), name), dialer, before)?)
                }
            };
            let endpoint = block.build(way, arguments.tracing.propagation())?;
            let identity = (endpoint.name().clone(), endpoint.alias().to_owned());
            let twins = identities.iter().filter(|twin| **twin == identity).count();
            let target = Target {
                identity: format!("{component} {} {} {twins}", identity.0, identity.1).into(),
                required: block.required,
                tenant_label: block.tenant_label.clone(),
                hash_labels: block.hash_labels(),
                metrics: metrics.endpoint(component, endpoint.name()),
                failures: LogLimit::default(),
                endpoint,
            };
            identities.push(identity);
            match &block.queue {
                None => targets.push(target),
                Some(queue) => {
                    let name = block.queue_name()?.into();
                    queued.push(Arc::new(QueuedTarget::open(queue, name, target, context)?));
                }
            }
        }
        let stage = WriteStage {
            component: component.to_string().into(),
            point: context.point(),
            sent: SentLabels::new(arguments.external_labels.clone()),
            targets,
            queued,
            metrics: metrics.write(component),
            refusals: LogLimit::default(),
            renamed: LogLimit::default(),
        };
        Ok(Self { stage: Arc::new(stage), clients, balancers, component: component.clone(), metrics: metrics.clone() })
    }

    fn exports(&self) -> Value {
        let receiver = Receiver::new(self.component.to_string().into(), self.stage.clone());
        Value::object([("receiver", Value::Capsule(Capsule::new(receiver)))])
    }

    fn queues(&self) -> Vec<Arc<str>> {
        self.stage.queued.iter().map(|queued| queued.name.clone()).collect()
    }

    fn debug_info(&self) -> Option<Value> {
        let queues: Vec<_> = self.stage.queued.iter().map(|queued| queued.debug_info()).collect();
        let queues = (!queues.is_empty()).then(|| ("queue", Value::array(queues)));
        let shown: Vec<_> = queues.into_iter().chain(self.balancers.debug_info()).collect();
        (!shown.is_empty()).then(|| Value::object(shown))
    }

    fn trouble(&self) -> Option<Trouble> {
        self.targets().find_map(|target| target.endpoint.trouble())
    }

    fn activate(&self) {
        self.balancers.activate();
        self.stage.queued.iter().for_each(QueuedTarget::begin);
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        join_all(self.stage.queued.iter().map(|queued| queued.end())).map(drop).boxed()
    }

    fn forget(&self) {
        for target in self.targets() {
            self.metrics.forget_endpoint(&self.component, target.endpoint.name());
        }
        self.metrics.forget(&self.component);
    }
}

impl Write {
    fn targets(&self) -> impl Iterator<Item = &Target> {
        self.stage.targets.iter().chain(self.stage.queued.iter().map(|queued| queued.target()))
    }
}
