//! The `endpoint` block.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alloy_syntax::{Arguments, Invalid, Secret};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::backends::{BackendsArguments, refuse_proxies};
use crate::telemetry::metrics::{BackendsMetrics, DialerMetrics};
use crate::telemetry::traces::Propagation;
use crate::upstream::http_client::{
    AuthorizationArguments, BasicAuthArguments, HttpClientArguments, OAuth2Arguments, TlsConfigArguments,
};
use crate::upstream::{Backoff, Balancer, BalancerSettings, ClientMaker, Endpoint, EndpointSettings, Target, Way};

use super::queue::{QueueArguments, folder_name};

/// An endpoint as written.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = EndpointArguments::validate)]
pub(super) struct EndpointArguments {
    /// Where the backend is: scheme, host, port and perhaps a base path.
    #[alloy(attr)]
    url: String,
    /// Names the endpoint in logs, and the folder of its queue.
    #[alloy(attr, optional)]
    name: String,
    /// The longest that one attempt may take.
    #[alloy(attr, default = Duration::from_secs(10))]
    remote_timeout: Duration,
    /// The longest that sending on a file of debug information may take.
    #[alloy(attr, default = Duration::from_secs(120))]
    debug_info_upload_timeout: Duration,
    /// Sent with every request.
    #[alloy(attr, optional)]
    headers: BTreeMap<String, String>,
    /// Keeps profiles on disk until they are sent: senders are answered when they are there.
    #[alloy(block, optional)]
    pub(super) queue: Option<QueueArguments>,
    /// Shortest delay before the second attempt.
    #[alloy(attr, default = Duration::from_millis(500))]
    min_backoff_period: Duration,
    /// Whether a profile that it does not take is answered with its error.
    #[alloy(attr, default = true)]
    pub(super) required: bool,
    /// The label whose value is the tenant (`X-Scope-OrgID`) of a profile that has it.
    #[alloy(attr, optional)]
    pub(super) tenant_label: String,
    /// Longest delay between attempts.
    #[alloy(attr, default = Duration::from_secs(300))]
    max_backoff_period: Duration,
    /// Requests in total; 0 for no limit.
    #[alloy(attr, default = 10)]
    max_backoff_retries: i64,
    /// Whether "too many requests" is tried again.
    #[alloy(attr, default = true)]
    retry_on_http_429: bool,
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
    /// How to speak TLS with the backend.
    #[alloy(block, optional)]
    tls_config: TlsConfigArguments,
    /// Whether redirects that keep method and body (307, 308) are followed.
    #[alloy(attr, default = true)]
    follow_redirects: bool,
    /// Whether HTTP/2 is spoken with a backend that offers it.
    #[alloy(attr, default = true)]
    enable_http2: bool,
    /// Sent with every request, but never to another server that a redirect leads to.
    #[alloy(attr, optional)]
    http_headers: BTreeMap<String, Vec<Secret>>,
    /// A proxy on the way to the backend.
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
    /// The servers that the URL stands for, where these are many.
    #[alloy(block, optional)]
    backends: Option<BackendsArguments>,
}

impl EndpointArguments {
    /// The folder of its queue.
    pub(super) fn queue_name(&self) -> Result<String, Invalid> {
        folder_name(&self.name, &self.url)
    }

    /// How its connections are made.
    pub(super) fn connections(&self) -> HttpClientArguments {
        self.http().connections()
    }

    /// Under which it is counted and logged; may be empty.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The servers that the URL stands for, where these are many.
    pub(super) fn targets(&self) -> Result<Option<BTreeSet<Target>>, Invalid> {
        self.backends.as_ref().map(|backends| backends.targets(&self.url)).transpose()
    }

    /// The labels by whose hash a backend is chosen, if it is: none of them means all.
    pub(super) fn hash_labels(&self) -> Option<Vec<String>> {
        self.backends.as_ref()?.hash_labels()
    }

    /// The same endpoint without the targets of its backends.
    pub(super) fn without_targets(&self) -> Self {
        let backends = self.backends.as_ref().map(BackendsArguments::without_targets);
        Self { backends, ..self.clone() }
    }

    /// Whether connections to its servers are as good for the other one.
    pub(super) fn leads_where(&self, other: &Self) -> bool {
        self.url == other.url && self.name == other.name && self.connections() == other.connections()
    }

    /// What balances over its backends.
    pub(super) fn balancer(
        &self,
        metrics: BackendsMetrics,
        dialer: DialerMetrics,
        previous: Option<&Balancer>,
    ) -> Result<Balancer, Invalid> {
        let http = self.http();
        let clients = ClientMaker::of(&http.connections(), Some(dialer))?;
        let mut headers = self.request_headers()?;
        for (name, value) in &http.headers()? {
            headers.append(name, value.clone());
        }
        let (mut policy, mut health_check) = Default::default();
        if let Some(backends) = &self.backends {
            policy = backends.policy;
            health_check = backends.health_check(headers, http.credentials()?)?;
        }
        let settings = BalancerSettings { url: self.url.clone(), policy, health_check, clients, metrics };
        Balancer::new(settings, previous).map_err(|error| Invalid::attribute("url", error.to_string()))
    }

    /// The endpoint, reached so.
    pub(super) fn build(&self, way: Way, propagation: Propagation) -> Result<Endpoint, Invalid> {
        let http = self.http();
        let settings = EndpointSettings {
            url: self.url.clone(),
            alias: self.name.clone(),
            headers: self.request_headers()?,
            secret_headers: http.headers()?,
            follow_redirects: self.follow_redirects,
            credentials: http.credentials()?,
            remote_timeout: self.remote_timeout,
            debug_info_upload_timeout: self.debug_info_upload_timeout,
            backoff: Backoff { min: self.min_backoff_period, max: self.max_backoff_period, attempts: self.attempts()? },
            retry_on_http_429: self.retry_on_http_429,
            propagation,
        };
        Endpoint::new(settings, way).map_err(|error| Invalid::attribute("url", error.to_string()))
    }

    fn validate(&self) -> Result<(), Invalid> {
        self.http().validate()?;
        if self.remote_timeout.is_zero() {
            return Err(Invalid::attribute("remote_timeout", "must be longer than 0s: no attempt could succeed"));
        }
        if self.debug_info_upload_timeout.is_zero() {
            let message = "must be longer than 0s: no file could be sent";
            return Err(Invalid::attribute("debug_info_upload_timeout", message));
        }
        if self.max_backoff_period < self.min_backoff_period {
            return Err(Invalid::attribute("max_backoff_period", "must not be shorter than min_backoff_period"));
        }
        self.attempts()?;
        Endpoint::check_url(&self.url).map_err(|error| Invalid::attribute("url", error.to_string()))?;
        self.request_headers()?;
        if self.backends.is_some() {
            refuse_proxies(&self.http())?;
        }
        self.targets().map(drop)
    }

    fn attempts(&self) -> Result<u32, Invalid> {
        let message = "must not be negative; 0 is no limit";
        u32::try_from(self.max_backoff_retries).map_err(|_| Invalid::attribute("max_backoff_retries", message))
    }

    fn request_headers(&self) -> Result<HeaderMap, Invalid> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let bad = |what: &str| Invalid::attribute("headers", format!("{name:?}: no HTTP header has such a {what}"));
            let header = HeaderName::try_from(name).map_err(|_| bad("name"))?;
            headers.insert(header, HeaderValue::try_from(value).map_err(|_| bad("value"))?);
        }
        Ok(headers)
    }

    /// The options that all clients have.
    fn http(&self) -> HttpClientArguments {
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
}
