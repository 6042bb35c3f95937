//! `discovery.docker`: targets that are containers of a Docker Engine, or of what speaks as one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use alloy_syntax::{Arguments, Invalid};
use profiler_core::labels::Labels;

use self::engine::{Engine, EngineError};
use self::targets::Settings;
use super::asked::{Asked, Source};
use super::{Discovery, Search};
use crate::component::Context;
use crate::upstream::http_client::{HttpClient, HttpClientArguments, parse_url};

mod engine;
mod targets;
#[cfg(test)]
mod tests;

/// What may stand in the block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = DiscoveryDockerArguments::validate)]
pub struct DiscoveryDockerArguments {
    /// Where the daemon listens: `unix:///var/run/docker.sock`, or `tcp://`, `http://` or `https://` with host and port.
    #[alloy(attr)]
    host: String,
    /// The port of a container's address where it exposes none.
    #[alloy(attr, default = 80)]
    port: i64,
    /// The address of containers in the network of the host.
    #[alloy(attr, default = "localhost".to_owned())]
    host_networking_host: String,
    /// How often the containers are asked for, and the longest that one answer may take.
    #[alloy(attr, default = Duration::from_secs(60))]
    refresh_interval: Duration,
    /// Whether a container is only found in the first of its networks, by their names.
    #[alloy(attr, default = true)]
    match_first_network: bool,
    /// Which containers are asked for.
    #[alloy(block, optional, name = "filter")]
    filters: Vec<FilterArguments>,
    /// How the daemon is asked. On a Unix socket there is neither TLS nor a proxy.
    #[alloy(flatten)]
    client: HttpClientArguments,
}

/// One condition, in the daemon's words.
#[derive(Debug, Clone, PartialEq, Arguments)]
struct FilterArguments {
    /// What is compared, for example `label`.
    #[alloy(attr)]
    name: String,
    /// With what; one of them is enough.
    #[alloy(attr)]
    values: Vec<String>,
}

/// Where a daemon listens.
#[derive(Debug, PartialEq, Eq)]
enum Host {
    Socket(PathBuf),
    /// Without a slash at its end.
    Url(String),
}

impl DiscoveryDockerArguments {
    fn validate(&self) -> Result<(), Invalid> {
        if self.refresh_interval.is_zero() {
            return Err(Invalid::attribute("refresh_interval", "must be longer than 0s"));
        }
        self.port()?;
        self.host().map(drop)
    }

    fn port(&self) -> Result<u16, Invalid> {
        u16::try_from(self.port).map_err(|_| Invalid::attribute("port", "must be a number from 0 to 65535"))
    }

    fn host(&self) -> Result<Host, Invalid> {
        let refused = |why: &str| Err(Invalid::attribute("host", format!("{:?} {why}", self.host)));
        let Some((scheme, rest)) = self.host.split_once("://") else {
            return refused("has no scheme: write unix:///var/run/docker.sock, or tcp://host:2375");
        };
        let url = match scheme {
            "unix" if rest.starts_with('/') => return Ok(Host::Socket(rest.into())),
            "unix" => return refused("is no whole path: write unix:///var/run/docker.sock"),
            "tcp" => format!("http://{rest}"),
            "http" | "https" => self.host.clone(),
            _ => return refused("has a scheme that is not known here: write unix, tcp, http or https"),
        };
        parse_url(&url).map_err(|error| Invalid::attribute("host", error.to_string()))?;
        Ok(Host::Url(url.trim_end_matches('/').to_owned()))
    }
}

/// The daemon of a block.
pub struct Docker(Arc<Asked<Daemon>>);

struct Daemon {
    engine: Engine,
    host: String,
    settings: Settings,
}

impl Discovery for Docker {
    const NAME: &'static str = "discovery.docker";
    const SUMMARY: &'static str =
        "Exports the containers of a Docker Engine, one target for each port in each network.";
    type Arguments = DiscoveryDockerArguments;

    fn build(arguments: &Self::Arguments, _: &Context<'_>, previous: Option<&Self>) -> Result<Self, Invalid> {
        let (client, base) = match arguments.host()? {
            Host::Socket(path) => (HttpClient::on_socket(&arguments.client, path)?, "http://localhost".to_owned()),
            Host::Url(url) => (HttpClient::new(&arguments.client)?, url),
        };
        let filters = arguments.filters.iter().map(|filter| (filter.name.as_str(), filter.values.as_slice()));
        let engine =
            Engine::new(client, &base, filters).map_err(|error| Invalid::attribute("host", error.to_string()))?;
        let settings = Settings {
            port: arguments.port()?,
            host_networking_host: arguments.host_networking_host.clone(),
            match_first_network: arguments.match_first_network,
        };
        let daemon = Daemon { engine, host: arguments.host.clone(), settings };
        Ok(Self(Asked::new(daemon, arguments.refresh_interval, previous.map(|previous| &*previous.0))))
    }

    fn search(&self) -> impl Search {
        self.0.search()
    }
}

impl Source for Daemon {
    type Error = EngineError;

    async fn ask(&self) -> Result<Vec<Labels>, EngineError> {
        let (containers, networks) = self.engine.ask().await?;
        Ok(targets::targets(&containers, &networks, &self.settings)?)
    }

    fn name(&self) -> &str {
        &self.host
    }
}
