//! What a node is told when it starts.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;

use super::join::JoinAddress;
use crate::tls::MutualTls;

/// How a process is a node of a cluster.
#[derive(Debug, Clone)]
pub struct ClusterSettings {
    /// Its name, unique in the cluster.
    pub node_name: NodeName,
    /// The cluster's name: those of another name are not let in.
    pub cluster_name: ClusterName,
    /// Where the others find it. Without TLS it gossips there over UDP, with TLS over TCP.
    pub advertised: SocketAddr,
    /// Where it finds others.
    pub join: Vec<JoinAddress>,
    /// How often it looks for them there; zero for at the start alone.
    pub rejoin_interval: Duration,
    /// How many of those that it finds are asked, chosen anew each time; zero for all.
    pub max_join_peers: usize,
    /// Without this many nodes there is no work for any.
    pub wait_for_size: usize,
    /// How long it is waited for so many; none for as long as it takes.
    pub wait_timeout: Option<Duration>,
    /// Who is let in, and how it is spoken to; none for all who can reach it, in the clear.
    pub tls: Option<ClusterTls>,
}

/// TLS between nodes.
#[derive(Debug, Clone)]
pub struct ClusterTls {
    /// Both sides.
    pub mutual: Arc<MutualTls>,
    /// The name that each node's certificate must hold; none for the address that it is found at.
    pub server_name: Option<ServerName<'static>>,
}

/// The name of a node: from 1 to 253 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeName(Arc<str>);

/// The name of a cluster: at most 253 bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterName(Arc<str>);

/// As long as the names of hosts.
pub(super) const MOST_NAME_BYTES: usize = 253;

/// Why a text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing.
    #[error("a node must have a name: leave the flag out for that of the host")]
    Empty,
    /// Too much.
    #[error("a name may have {MOST_NAME_BYTES} bytes, this has {0}")]
    Long(usize),
}

impl NodeName {
    /// What this host is called.
    #[must_use]
    pub fn of_host() -> Self {
        let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        host.and_then(|name| name.parse().ok()).unwrap_or_else(|| Self("localhost".into()))
    }

    pub(super) fn shared(&self) -> Arc<str> {
        self.0.clone()
    }
}

impl ClusterName {
    /// The name.
    #[must_use]
    pub fn shared(&self) -> Arc<str> {
        self.0.clone()
    }
}

impl FromStr for NodeName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() { Err(NameError::Empty) } else { short(text).map(Self) }
    }
}

impl FromStr for ClusterName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        short(text).map(Self)
    }
}

fn short(text: &str) -> Result<Arc<str>, NameError> {
    if text.len() > MOST_NAME_BYTES { Err(NameError::Long(text.len())) } else { Ok(text.into()) }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
