//! Clusters: processes that know each other and divide work among them without asking one another.
//!
//! Who is there is gossiped (`chitchat`); what belongs to whom follows from the names alone ([`Cluster::owns`]). A
//! process that is in no cluster is one of its own.

use std::net::SocketAddr;

use arc_swap::ArcSwap;
use tokio::sync::watch;

mod admission;
mod frame;
mod interfaces;
mod join;
mod members;
mod node;
mod peer;
mod readiness;
mod rendezvous;
mod settings;
#[cfg(test)]
pub(crate) mod tests;
mod transport;

use self::rendezvous::Rendezvous;
pub use interfaces::{AdvertiseError, advertised};
pub use join::{JoinAddress, JoinAddressError};
pub use node::{Node, NodeError};
pub use peer::{Peer, PeerState};
pub use settings::{ClusterName, ClusterSettings, ClusterTls, NameError, NodeName};

/// The cluster that this process is in.
#[derive(Debug)]
pub struct Cluster {
    own: Peer,
    view: ArcSwap<View>,
    generation: watch::Sender<u64>,
}

/// What is known at a time.
#[derive(Debug, PartialEq, Eq)]
struct View {
    peers: Vec<Peer>,
    shares: Shares,
}

/// What belongs to this process.
#[derive(Debug, PartialEq, Eq)]
enum Shares {
    All,
    None,
    Own(Rendezvous),
}

impl Cluster {
    /// A process that is in no cluster: everything is its own.
    #[must_use]
    pub fn alone(name: String, addr: SocketAddr) -> Self {
        Self::of(Peer { name, addr: addr.to_string(), is_self: true, state: PeerState::Participant }, Shares::All)
    }

    /// One that is about to join a cluster: nothing is its own yet. [`Node::start`] lets it join.
    #[must_use]
    pub fn joining(settings: &ClusterSettings) -> Self {
        let (name, addr) = (settings.node_name.to_string(), settings.advertised.to_string());
        Self::of(Peer { name, addr, is_self: true, state: PeerState::Viewer }, Shares::None)
    }

    fn of(own: Peer, shares: Shares) -> Self {
        let view = ArcSwap::from_pointee(View { peers: vec![own.clone()], shares });
        Self { own, view, generation: watch::Sender::new(0) }
    }

    /// Whether what this number stands for belongs to this process; to exactly one of a cluster, where all know of each
    /// other. The number must be spread well: a hash.
    #[must_use]
    pub fn owns(&self, key: u64) -> bool {
        match &self.view.load().shares {
            Shares::All => true,
            Shares::None => false,
            Shares::Own(nodes) => nodes.owns(&self.own.name, key),
        }
    }

    /// Counts how often the answers of [`owns`](Self::owns) may have changed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Every node, this one among them, by name.
    #[must_use]
    pub fn peers(&self) -> Vec<Peer> {
        self.view.load().peers.clone()
    }

    /// These are the nodes from now on; whether that is news.
    fn show(&self, view: View) -> bool {
        let before = self.view.load_full();
        if *before == view {
            return false;
        }
        let divided_anew = before.shares != view.shares;
        self.view.store(view.into());
        if divided_anew {
            self.generation.send_modify(|generation| *generation += 1);
        }
        true
    }
}

/// Alone, and without an address: for programs that serve nothing.
impl Default for Cluster {
    fn default() -> Self {
        Self::alone(NodeName::of_host().to_string(), SocketAddr::from(([127, 0, 0, 1], 0)))
    }
}
