//! `pyroscope.write`: sends profiles to every endpoint, each with its own retries.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_syntax::schema::Export;
use alloy_syntax::{Arguments, Capsule, Invalid, Value};

use self::balancers::Balancers;
use self::clients::Clients;
use self::endpoint::EndpointArguments;
use self::sent_labels::SentLabels;
use self::stage::{Target, WriteStage};
use crate::component::{Component, Context, RECEIVER_EXPORT};
use crate::pipeline::Receiver;
use crate::telemetry::LogLimit;
use crate::telemetry::metrics::{ComponentLabels, Metrics};
use crate::upstream::Way;

mod backends;
mod balancers;
mod clients;
mod endpoint;
mod labels;
mod sent_labels;
mod stage;
#[cfg(test)]
mod tests;

/// What may stand in the block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(unsupported("tracing"))]
pub struct WriteArguments {
    /// Set on every series that is sent; an empty value deletes the label.
    #[alloy(attr, optional)]
    external_labels: BTreeMap<String, String>,
    /// Where profiles are sent; with none they are accepted and discarded.
    #[alloy(block, optional, name = "endpoint")]
    endpoints: Vec<EndpointArguments>,
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
        let mut targets = Vec::with_capacity(arguments.endpoints.len());
        for endpoint in &arguments.endpoints {
            let tenant_label = endpoint.tenant_label.clone();
            let hash_labels = endpoint.hash_labels();
            let of_backends = metrics.backends(component, &endpoint.url().into());
            let before = previous.map(|previous| &previous.balancers);
            let way = match balancers.balancer(endpoint, of_backends, before)? {
                Some(balancer) => Way::Balanced(balancer),
                None => {
                    let before = previous.map(|previous| &previous.clients);
                    Way::Direct(clients.client(endpoint.connections(), before)?)
                }
            };
            let endpoint = endpoint.build(way)?;
            let metrics = metrics.endpoint(component, endpoint.name());
            targets.push(Target { endpoint, tenant_label, hash_labels, metrics, failures: LogLimit::default() });
        }
        let stage = WriteStage {
            component: component.to_string().into(),
            sent: SentLabels::new(arguments.external_labels.clone()),
            targets,
            metrics: metrics.write(component),
            refusals: LogLimit::default(),
        };
        Ok(Self { stage: Arc::new(stage), clients, balancers, component: component.clone(), metrics: metrics.clone() })
    }

    fn exports(&self) -> Value {
        let receiver = Receiver::new(self.component.to_string().into(), self.stage.clone());
        Value::object([("receiver", Value::Capsule(Capsule::new(receiver)))])
    }

    fn debug_info(&self) -> Option<Value> {
        self.balancers.debug_info()
    }

    fn activate(&self) {
        self.balancers.activate();
    }

    fn forget(&self) {
        for target in &self.stage.targets {
            self.metrics.forget_endpoint(&self.component, target.endpoint.name());
        }
        self.metrics.forget(&self.component);
    }
}
