//! What may stand in a `pyroscope.scrape` block.

use std::collections::BTreeMap;
use std::time::Duration;

use alloy_syntax::{Arguments, Invalid, Secret};
use bytesize::ByteSize;

use super::profile_types::ProfilingArguments;
use crate::components::clustering::ClusteringArguments;
use crate::components::size::Size;
use crate::components::targets::Targets;
use crate::pipeline::Receiver;
use crate::upstream::http_client::{
    AuthorizationArguments, BasicAuthArguments, HttpClientArguments, OAuth2Arguments, TlsConfigArguments,
};

/// Where it is not another one, it is not the length of a profile but stands for one second less than the interval.
pub(super) const DEFAULT_DELTA_DURATION: Duration = Duration::from_secs(14);
/// Shorter ones would only ask servers that are still answering.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// What may stand in the block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = ScrapeArguments::validate)]
pub struct ScrapeArguments {
    /// Whom to ask for profiles: each target's `__address__` names a host and a port.
    #[alloy(attr)]
    pub(super) targets: Targets,
    /// Where profiles go.
    #[alloy(attr)]
    pub(super) forward_to: Vec<Receiver>,
    /// The value of the label `job`, where a target has none.
    #[alloy(attr, optional)]
    pub(super) job_name: String,
    /// Parameters of each request.
    #[alloy(attr, optional)]
    pub(super) params: BTreeMap<String, Vec<String>>,
    /// From one profile of a kind to the next.
    #[alloy(attr, default = Duration::from_secs(15))]
    pub(super) scrape_interval: Duration,
    /// The longest that an answer may take, beyond the time for which the target collects.
    #[alloy(attr, default = Duration::from_secs(10))]
    pub(super) scrape_timeout: Duration,
    /// `http` or `https`, where a target does not say it.
    #[alloy(attr, default = "http".to_owned())]
    pub(super) scheme: String,
    /// For how long targets collect where a kind's `delta` is set. Left at 14 seconds, it is a second less than
    /// `scrape_interval`.
    #[alloy(attr, default = DEFAULT_DELTA_DURATION)]
    pub(super) delta_profiling_duration: Duration,
    /// Bytes of a profile, as sent and with its transfer encoding undone.
    #[alloy(attr, default = Size(ByteSize::mib(64)))]
    pub(super) max_body_size: Size,
    /// Bytes of all profiles held at once: scrapes wait for each other's.
    #[alloy(attr, default = Size(ByteSize::mib(256)))]
    pub(super) max_inflight_bytes: Size,
    /// Whether the nodes of a cluster divide the targets among themselves.
    #[alloy(block, optional)]
    pub(super) clustering: Option<ClusteringArguments>,
    /// Bytes that are remembered of profiles of memory, locks and waiting, for the difference to the next. Targets with
    /// more stacks than the others go without when it is used up.
    #[alloy(attr, default = Size(ByteSize::mib(256)))]
    pub(super) max_delta_bytes: Size,
    /// Which profiles targets are asked for.
    #[alloy(block, optional)]
    pub(super) profiling_config: ProfilingArguments,
    /// A token for the Authorization header.
    #[alloy(attr, optional)]
    bearer_token: Secret,
    /// A file with such a token.
    #[alloy(attr, optional)]
    bearer_token_file: String,
    /// Tokens of a server for the Authorization header.
    #[alloy(block, optional)]
    oauth2: Option<OAuth2Arguments>,
    /// A user for the Authorization header.
    #[alloy(block, optional)]
    basic_auth: Option<BasicAuthArguments>,
    /// The Authorization header as such.
    #[alloy(block, optional)]
    authorization: Option<AuthorizationArguments>,
    /// How to speak TLS with targets.
    #[alloy(block, optional)]
    tls_config: TlsConfigArguments,
    /// Whether redirects are followed.
    #[alloy(attr, default = true)]
    follow_redirects: bool,
    /// Whether HTTP/2 is spoken with a target that offers it.
    #[alloy(attr, default = true)]
    enable_http2: bool,
    /// Sent with every request, but never to another server that a redirect leads to.
    #[alloy(attr, optional)]
    http_headers: BTreeMap<String, Vec<Secret>>,
    /// A proxy on the way to targets.
    #[alloy(attr, optional)]
    proxy_url: String,
    /// Who is reached without the proxy: names, addresses and networks, with commas between them.
    #[alloy(attr, optional)]
    no_proxy: String,
    /// Whether the environment says which proxy to use.
    #[alloy(attr, optional)]
    proxy_from_environment: bool,
    /// Sent to the proxy where it is asked for a tunnel.
    #[alloy(attr, optional)]
    proxy_connect_header: BTreeMap<String, Vec<Secret>>,
}

impl ScrapeArguments {
    /// How targets are asked.
    pub(super) fn client(&self) -> HttpClientArguments {
        HttpClientArguments {
            basic_auth: self.basic_auth.clone(),
            authorization: self.authorization.clone(),
            oauth2: self.oauth2.clone(),
            bearer_token: self.bearer_token.clone(),
            bearer_token_file: self.bearer_token_file.clone(),
            tls_config: self.tls_config.clone(),
            follow_redirects: self.follow_redirects,
            enable_http2: self.enable_http2,
            http_headers: self.http_headers.clone(),
            proxy_url: self.proxy_url.clone(),
            no_proxy: self.no_proxy.clone(),
            proxy_from_environment: self.proxy_from_environment,
            proxy_connect_header: self.proxy_connect_header.clone(),
        }
    }

    fn validate(&self) -> Result<(), Invalid> {
        if self.scrape_timeout.is_zero() {
            return Err(Invalid::attribute("scrape_timeout", "scrape_timeout must be greater than 0"));
        }
        if self.scrape_interval < SHORTEST_INTERVAL {
            let message = format!("scrape_interval must be at least {SHORTEST_INTERVAL:?}");
            return Err(Invalid::attribute("scrape_interval", message));
        }
        if self.profiling_config.enabled().any(|kind| kind.delta) {
            self.validate_delta()?;
        }
        if self.max_body_size.bytes() > self.max_inflight_bytes.bytes() {
            let message = "max_body_size must not be greater than max_inflight_bytes: no such profile would ever fit";
            return Err(Invalid::attribute("max_body_size", message));
        }
        self.client().validate()
    }

    /// The parameter `seconds` is at least one, and targets that collect for so long answer before they are asked again.
    fn validate_delta(&self) -> Result<(), Invalid> {
        let second = Duration::from_secs(1);
        let (interval, duration) = (self.scrape_interval, self.delta_profiling_duration);
        if interval < 2 * second {
            let message = "scrape_interval must be at least 2 seconds when using delta profiling";
            return Err(Invalid::attribute("scrape_interval", message));
        }
        let message = if duration <= second {
            "delta_profiling_duration must be larger than 1 second when using delta profiling"
        } else if duration > interval.saturating_sub(second) {
            "delta_profiling_duration must be at least 1 second smaller than scrape_interval when using delta profiling"
        } else {
            return Ok(());
        };
        Err(Invalid::attribute("delta_profiling_duration", message))
    }
}
