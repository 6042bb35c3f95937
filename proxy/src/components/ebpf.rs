//! `pyroscope.ebpf`: samples the CPUs of this host, and sends a profile for each process of a target.

use std::sync::Arc;

use alloy_syntax::{Invalid, Value};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use self::arguments::EbpfArguments;
use self::plan::Plan;
use self::session::Session;
use crate::component::{Component, Context, Health};
use crate::pipeline::Flow;
use crate::telemetry::metrics::{ComponentLabels, Metrics};

mod arguments;
mod build;
mod counts;
mod plan;
mod probe_link;
mod sampling;
mod selection;
mod send;
mod session;

/// The running component.
pub struct Ebpf {
    plan: Arc<Plan>,
    /// Outlives changes of the arguments.
    session: Arc<Session>,
    component: ComponentLabels,
    metrics: Arc<Metrics>,
}

impl Component for Ebpf {
    const NAME: &'static str = "pyroscope.ebpf";
    const SUMMARY: &'static str = "Samples the CPUs of this host, and sends a profile for each process of a target.";
    type Arguments = EbpfArguments;

    fn build(arguments: &EbpfArguments, context: &Context<'_>, previous: Option<&Self>) -> Result<Self, Invalid> {
        let Context { component, services } = context;
        let metrics = services.metrics.clone();
        let session = match previous {
            Some(previous) => previous.session.clone(),
            None => Session::new(component, metrics.ebpf(component), metrics.fanout(component)),
        };
        let before = previous.map(|previous| &previous.plan.forward_to);
        let plan = Plan::new(arguments, session.next_plan(), before)?;
        let plan = Arc::new(Plan { forward_to: plan.forward_to.seen_at(context.point()), ..plan });
        Ok(Self { plan, session, component: component.clone(), metrics })
    }

    fn health(&self) -> Option<Health> {
        Some(self.session.health())
    }

    fn debug_info(&self) -> Option<Value> {
        Some(self.session.debug_info(&self.plan))
    }

    fn flow(&self) -> Option<Flow> {
        Some(self.plan.forward_to.flow())
    }

    fn activate(&self) {
        self.session.follow(self.plan.clone());
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        self.session.leave(&self.plan).boxed()
    }

    fn forget(&self) {
        self.metrics.forget(&self.component);
    }
}

#[cfg(test)]
mod tests;
