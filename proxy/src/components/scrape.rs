//! `pyroscope.scrape`: asks targets for their profiles, again and again.
//!
//! Each target and each kind of profile is a loop; thousands of them share one timer, and a task runs only while a target
//! is asked. What is asked for with `delta` is collected by the target for as long as `seconds` says.

use std::sync::Arc;

use alloy_syntax::{Invalid, Value};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_util::task::TaskTracker;

use self::arguments::ScrapeArguments;
use self::plan::Plan;
use self::session::Session;
use self::target::Settings;
use crate::component::{Component, Context, Health};
use crate::pipeline::{Fanout, Flow};
use crate::telemetry::metrics::{ComponentLabels, Metrics};
use crate::upstream::http_client::HttpClientArguments;
use crate::upstream::{Client, Fetcher};

mod arguments;
mod check;
mod debug;
mod delta;
mod fetch;
mod identity;
mod plan;
mod profile_types;
mod scrape_loop;
mod session;
mod target;
mod url;

/// The running component.
pub struct Scrape {
    plan: Arc<Plan>,
    /// Outlives changes of the arguments.
    session: Arc<Session>,
    client: Client,
    /// What the client and the fetcher are made of, and the name under which connections are counted.
    made_of: (HttpClientArguments, Arc<str>),
    component: ComponentLabels,
    metrics: Arc<Metrics>,
}

impl Component for Scrape {
    const NAME: &'static str = "pyroscope.scrape";
    const SUMMARY: &'static str = "Asks targets for their profiles over HTTP, again and again.";
    type Arguments = ScrapeArguments;

    fn build(arguments: &ScrapeArguments, context: &Context<'_>, previous: Option<&Self>) -> Result<Self, Invalid> {
        let Context { component, services } = context;
        let metrics = services.metrics.clone();
        let name: Arc<str> = match arguments.job_name.as_str() {
            "" => component.to_string().into(),
            name => name.into(),
        };
        let made_of = (arguments.client(), name);
        let connections = |(client, name): &(HttpClientArguments, Arc<str>)| (client.connections(), name.clone());
        let kept = previous.filter(|previous| connections(&previous.made_of) == connections(&made_of));
        let client = match kept {
            Some(previous) => previous.client.clone(),
            None => Client::of(&made_of.0, Some(metrics.dialer(&made_of.1)))?,
        };
        let fetcher = match previous.filter(|previous| previous.made_of == made_of) {
            // Its tokens hold on.
            Some(previous) => previous.plan.fetcher.clone(),
            None => Arc::new(Fetcher::new(client.clone(), &made_of.0)?),
        };
        let plan = Plan {
            settings: Arc::new(Settings::of(arguments)),
            targets: arguments.targets.rows(previous.map(|previous| &previous.plan.targets)),
            clustered: arguments.clustering.is_some_and(|clustering| clustering.enabled),
            max_inflight_bytes: arguments.max_inflight_bytes.bytes(),
            max_delta_bytes: arguments.max_delta_bytes.bytes(),
            fetcher,
            forward_to: Fanout::following(
                previous.map(|previous| &previous.plan.forward_to),
                arguments.forward_to.clone(),
            )
            .seen_at(context.point()),
            pushes: TaskTracker::new(),
        };
        let session = match previous {
            Some(previous) => previous.session.clone(),
            None => {
                let cluster = services.cluster.clone();
                Session::new(component, metrics.scrape(component), metrics.fanout(component), cluster)
            }
        };
        Ok(Self { plan: Arc::new(plan), session, client, made_of, component: component.clone(), metrics })
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
