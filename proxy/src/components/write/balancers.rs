//! The backends of all endpoints of a component.

use std::collections::BTreeSet;
use std::sync::Arc;

use alloy_syntax::{Invalid, Value};

use super::endpoint::EndpointArguments;
use crate::telemetry::metrics::{BackendsMetrics, DialerMetrics};
use crate::upstream::{BackendInfo, Balancer, Target, Unresolved};

/// Balancers, each with the endpoint that it was made for.
#[derive(Default)]
pub(super) struct Balancers(Vec<Balanced>);

struct Balanced {
    /// Without the targets, which the balancer follows.
    endpoint: EndpointArguments,
    balancer: Arc<Balancer>,
    targets: BTreeSet<Target>,
}

impl Balancers {
    /// The balancer of an endpoint, if it has backends: that of the predecessor where nothing but the targets differs,
    /// or a new one, which takes over what connections it can.
    ///
    /// # Errors
    /// Arguments that cannot be used.
    pub(super) fn balancer(
        &mut self,
        endpoint: &EndpointArguments,
        metrics: BackendsMetrics,
        dialer: &DialerMetrics,
        previous: Option<&Self>,
    ) -> Result<Option<Arc<Balancer>>, Invalid> {
        let Some(targets) = endpoint.targets()? else { return Ok(None) };
        let endpoint = endpoint.without_targets();
        let free = |before: &&Balanced| !self.0.iter().any(|taken| Arc::ptr_eq(&taken.balancer, &before.balancer));
        let before: Vec<&Balanced> = previous.map(|all| all.0.iter().filter(free).collect()).unwrap_or_default();
        let balancer = match before.iter().find(|before| before.endpoint == endpoint) {
            Some(same) => same.balancer.clone(),
            None => {
                let similar = before.iter().find(|before| before.endpoint.leads_where(&endpoint));
                Arc::new(endpoint.balancer(metrics, dialer.clone(), similar.map(|similar| &*similar.balancer))?)
            }
        };
        self.0.push(Balanced { endpoint, balancer: balancer.clone(), targets });
        Ok(Some(balancer))
    }

    /// From now on the targets hold.
    pub(super) fn activate(&self) {
        for balanced in &self.0 {
            balanced.balancer.balance_over(balanced.targets.clone());
        }
    }

    /// How the backends are; nothing where there are none.
    pub(super) fn debug_info(&self) -> Option<(&'static str, Value)> {
        let endpoint = |balanced: &Balanced| {
            Value::object([
                ("url", Value::from(balanced.endpoint.url())),
                ("backends", Value::array(balanced.balancer.backends().iter().map(backend))),
                ("unresolved", Value::array(balanced.balancer.unresolved().iter().map(unresolved))),
            ])
        };
        if self.0.is_empty() {
            return None;
        }
        Some(("endpoint", Value::array(self.0.iter().map(endpoint))))
    }
}

fn backend(info: &BackendInfo) -> Value {
    let (failed_at, error) = info.last_error.as_ref().map_or((Value::Null, Value::Null), |(at, text)| {
        (Value::from(humantime::format_rfc3339_seconds(*at).to_string()), Value::from(&**text))
    });
    Value::object([
        ("address", Value::from(info.address.to_string())),
        ("target", Value::from(&*info.target)),
        ("state", Value::from(info.state.name())),
        ("requests", Value::from(info.requests)),
        ("failures", Value::from(info.failures)),
        ("in_flight", Value::from(info.in_flight)),
        ("last_error", error),
        ("last_error_time", failed_at),
    ])
}

fn unresolved(name: &Unresolved) -> Value {
    Value::object([("target", Value::from(&*name.target)), ("error", Value::from(name.error.clone()))])
}
