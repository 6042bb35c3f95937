//! The way to a backend: a pooled HTTP client for each endpoint, what its answers mean, and when to try again.

mod backoff;
mod balancer;
mod client;
mod connector;
mod endpoint;
mod failure;
mod fetcher;
pub mod http_client;
pub mod otlp;
mod retry_after;
mod retry_budget;
mod segments;

pub use backoff::Backoff;
pub use balancer::{
    BackendInfo, BackendState, Balancer, BalancerSettings, HealthCheckSettings, MOST_BACKENDS, Policy, Probe, Target,
    TargetError, Unresolved, hash_key,
};
pub use client::intake::Intake;
pub use client::{Client, ClientError, ClientMaker, ClientSettings};
pub use connector::Versions;
pub use endpoint::{Api, Attempt, Call, Endpoint, EndpointSettings, Settled, UrlError, Way};
pub use failure::{Evidence, Failure};
pub use fetcher::{FetchError, Fetcher};
pub(crate) use retry_after::retry_after;
pub use segments::Segments;
