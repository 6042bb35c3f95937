//! `pyroscope.java`: attaches async-profiler to the JVMs of this host, and sends what it records.
//!
//! Each JVM has a loop: its recording is stopped at the end of each interval, or when what is asked for changes, and the
//! next one begins at once. What the recording holds is made into profiles and sent meanwhile.

use std::sync::Arc;

use alloy_syntax::{Invalid, Value};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use self::arguments::JavaArguments;
use self::plan::Plan;
use self::session::Session;
use crate::component::{Component, Context, Health};
use crate::pipeline::Flow;
use crate::telemetry::metrics::{ComponentLabels, Metrics};

mod agent_options;
mod arguments;
mod debug;
mod failure;
mod harvest;
mod launcher_words;
mod plan;
mod recorder;
mod send;
mod series;
mod session;
mod target_loop;

/// The running component.
pub struct Java {
    plan: Arc<Plan>,
    /// Outlives changes of the arguments.
    session: Arc<Session>,
    component: ComponentLabels,
    metrics: Arc<Metrics>,
}

impl Component for Java {
    const NAME: &'static str = "pyroscope.java";
    const SUMMARY: &'static str = "Attaches async-profiler to the JVMs of this host, and sends what it records.";
    type Arguments = JavaArguments;

    fn build(arguments: &JavaArguments, context: &Context<'_>, previous: Option<&Self>) -> Result<Self, Invalid> {
        let Context { component, services } = context;
        let metrics = services.metrics.clone();
        let plan = Plan::new(arguments, previous.map(|previous| &*previous.plan))?;
        let plan = Arc::new(Plan { forward_to: plan.forward_to.seen_at(context.point()), ..plan });
        let session = match previous {
            Some(previous) => previous.session.clone(),
            None => Session::new(component, metrics.java(component), metrics.fanout(component)),
        };
        Ok(Self { plan, session, component: component.clone(), metrics })
    }

    fn health(&self) -> Option<Health> {
        Some(self.session.health())
    }

    fn debug_info(&self) -> Option<Value> {
        Some(self.session.debug_info())
    }

    fn flow(&self) -> Option<Flow> {
        Some(self.plan.forward_to.flow())
    }

    fn activate(&self) {
        self.session.follow(&self.plan);
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
