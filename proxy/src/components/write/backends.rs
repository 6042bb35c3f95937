//! The `backends` block: an endpoint that is many servers.

use std::collections::BTreeSet;
use std::time::Duration;

use alloy_syntax::{Arguments, Invalid, TextValue};

use crate::components::targets::{ADDRESS, Targets};
use crate::upstream::http_client::{Credentials, HttpClientArguments};
use crate::upstream::{Endpoint, HealthCheckSettings, MOST_BACKENDS, Policy, Probe, Target};

/// Where Pyroscope says whether it takes profiles.
const READY: &str = "/ready";

/// The block as written.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = BackendsArguments::validate)]
pub(super) struct BackendsArguments {
    /// Where the backends are, in the label `__address__` of each.
    #[alloy(attr)]
    pub(super) targets: Targets,
    /// How a backend is chosen.
    #[alloy(attr, default = Policy::RoundRobin)]
    pub(super) policy: Policy,
    /// The labels of a series by which `consistent_hash` chooses; where none is given, all of them.
    #[alloy(attr, optional)]
    hash_labels: Vec<String>,
    /// How backends are asked whether they are well.
    #[alloy(block, optional)]
    health_check: Option<HealthCheckArguments>,
}

/// The `health_check` block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = HealthCheckArguments::validate)]
pub(super) struct HealthCheckArguments {
    /// What a check does.
    #[alloy(attr, name = "type", default = CheckKind::Http)]
    kind: CheckKind,
    /// What is asked for over HTTP.
    #[alloy(attr, optional)]
    path: String,
    /// Between two checks.
    #[alloy(attr, default = Duration::from_secs(5))]
    interval: Duration,
    /// The longest that a check may take.
    #[alloy(attr, default = Duration::from_secs(1))]
    timeout: Duration,
    /// Checks in a row that must succeed until a backend gets requests again.
    #[alloy(attr, default = 1)]
    healthy_threshold: i64,
    /// Checks in a row that must fail until it gets none.
    #[alloy(attr, default = 2)]
    unhealthy_threshold: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CheckKind {
    Http,
    Tcp,
}

impl TextValue for CheckKind {
    fn parse_text(text: &str) -> Result<Self, String> {
        match text {
            "http" => Ok(Self::Http),
            "tcp" => Ok(Self::Tcp),
            _ => Err("is no check: write \"http\" or \"tcp\"".to_owned()),
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
        }
        .to_owned()
    }
}

impl BackendsArguments {
    fn validate(&self) -> Result<(), Invalid> {
        if !self.hash_labels.is_empty() && self.policy != Policy::ConsistentHash {
            let message = "is for the policy \"consistent_hash\" alone: leave it out, or set that policy";
            return Err(Invalid::attribute("hash_labels", message));
        }
        Ok(())
    }

    /// The backends of an endpoint with this URL.
    pub(super) fn targets(&self, url: &str) -> Result<BTreeSet<Target>, Invalid> {
        let refused = |message: String| Invalid::attribute("backends", format!("targets: {message}"));
        let port = Endpoint::port_of(url).map_err(|error| Invalid::attribute("url", error.to_string()))?;
        let rows = self.targets.rows(None);
        if rows.targets().len() > MOST_BACKENDS {
            let count = rows.targets().len();
            return Err(refused(format!("{count} are more than the {MOST_BACKENDS} that an endpoint can have")));
        }
        let target = |(index, labels): (usize, &profiler_core::labels::Labels)| {
            let address = labels.value(ADDRESS).ok_or_else(|| refused(format!("[{index}] has no {ADDRESS}")))?;
            Target::parse(address, port).map_err(|error| refused(format!("[{index}]: {ADDRESS} {error}")))
        };
        rows.targets().iter().enumerate().map(target).collect()
    }

    /// The labels that are hashed, if any are: none of them means all.
    pub(super) fn hash_labels(&self) -> Option<Vec<String>> {
        (self.policy == Policy::ConsistentHash).then(|| self.hash_labels.clone())
    }

    /// The same block without its targets, which may change while its backends are in use.
    pub(super) fn without_targets(&self) -> Self {
        Self { targets: Targets::default(), ..self.clone() }
    }

    /// How the backends are asked; over HTTP as the endpoint's requests are made.
    pub(super) fn health_check(
        &self,
        headers: http::HeaderMap,
        credentials: Option<Credentials>,
    ) -> Result<Option<HealthCheckSettings>, Invalid> {
        let Some(check) = &self.health_check else { return Ok(None) };
        let path = if check.path.is_empty() { READY } else { &check.path };
        let probe = match check.kind {
            CheckKind::Tcp => Probe::Tcp,
            CheckKind::Http => Probe::Http { path: path.to_owned(), headers, credentials },
        };
        Ok(Some(HealthCheckSettings {
            probe,
            interval: check.interval,
            timeout: check.timeout,
            healthy_threshold: threshold("healthy_threshold", check.healthy_threshold)?,
            unhealthy_threshold: threshold("unhealthy_threshold", check.unhealthy_threshold)?,
        }))
    }
}

impl HealthCheckArguments {
    fn validate(&self) -> Result<(), Invalid> {
        for (attribute, time) in [("interval", self.interval), ("timeout", self.timeout)] {
            if time.is_zero() {
                return Err(Invalid::attribute(attribute, "must be longer than 0s"));
            }
        }
        threshold("healthy_threshold", self.healthy_threshold)?;
        threshold("unhealthy_threshold", self.unhealthy_threshold)?;
        if self.kind == CheckKind::Tcp && !self.path.is_empty() {
            return Err(Invalid::attribute("path", "is for the type \"http\" alone"));
        }
        let is_path = self.path.parse::<http::uri::PathAndQuery>().is_ok();
        if !self.path.is_empty() && (!is_path || !self.path.starts_with('/')) {
            return Err(Invalid::attribute("path", "must be a path that begins with a slash, for example \"/ready\""));
        }
        Ok(())
    }
}

fn threshold(attribute: &'static str, checks: i64) -> Result<usize, Invalid> {
    let checks = usize::try_from(checks).ok().filter(|checks| *checks > 0);
    checks.ok_or_else(|| Invalid::attribute(attribute, "must be 1 or more"))
}

/// Backends need an address that can be dialled.
pub(super) fn refuse_proxies(http: &HttpClientArguments) -> Result<(), Invalid> {
    let attribute = if http.proxy_from_environment {
        "proxy_from_environment"
    } else if http.proxy_url.is_empty() {
        return Ok(());
    } else {
        "proxy_url"
    };
    Err(Invalid::attribute(attribute, "cannot stand beside `backends`, which are connected to directly"))
}
