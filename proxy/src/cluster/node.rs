//! This process as a node: it joins, learns who is there, and leaves.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use chitchat::{ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, NodeState, spawn_chitchat};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::join::look_up;
use super::members::Members;
use super::readiness::Readiness;
use super::rendezvous::Rendezvous;
use super::settings::ClusterSettings;
use super::transport::{Bound, Gate, Gossip, Incoming, Opened, Wire};
use super::{Cluster, Peer, PeerState, Shares, View, frame};
use crate::telemetry::LogLimit;
use crate::telemetry::metrics::ClusterMetrics;

/// How often a node talks to three others.
const GOSSIP_INTERVAL: Duration = Duration::from_millis(500);
/// A node is dead when its heart has not beaten for eight times what is usual. What is usual is reckoned as five
/// intervals of a second and the last one, of at most three: between 6.7 and 10.7 seconds of silence. Of more intervals
/// it would depend on how many nodes there are, for the more there are the more often a heart is heard of.
const FAILURE_DETECTOR: FailureDetectorConfig = FailureDetectorConfig {
    phi_threshold: 8.0,
    sampling_window_size: 1,
    max_interval: Duration::from_secs(3),
    initial_interval: Duration::from_secs(1),
    dead_node_grace_period: DEAD_KEPT,
};
/// How long one that died is looked for, so that a network that was cut in two is one again afterwards.
const DEAD_KEPT: Duration = Duration::from_secs(30 * 60);
/// `chitchat` has forgotten by then whom nobody has spoken of.
pub(super) const FORGOTTEN_AFTER: Duration = Duration::from_secs(2 * DEAD_KEPT.as_secs());
/// How long another node may take to answer, before this one begins alone.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two questions to those who do not answer.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// From the first answer on, the hearts of all others are heard beating by then.
const SETTLING: Duration = Duration::from_millis(2_500);
/// A farewell may be lost, as all datagrams may: it is said so often.
const FAREWELLS: usize = 3;
const BETWEEN_FAREWELLS: Duration = Duration::from_millis(50);

/// This process as a node of its cluster, until it leaves.
pub struct Node {
    cluster: Arc<Cluster>,
    id: ChitchatId,
    cluster_name: Arc<str>,
    chitchat: Arc<ChitchatHandle>,
    wire: Arc<Wire>,
    metrics: ClusterMetrics,
    /// Reads what comes.
    _reading: JoinSet<()>,
    following: JoinSet<()>,
}

/// Why a process is no node.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address} ({protocol}), the address that other nodes are told: {error}; --cluster.advertise-address=IP:PORT chooses another one of this host"
    )]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Of what kind.
        protocol: &'static str,
        /// Why.
        error: io::Error,
    },
    /// Gossip cannot begin.
    #[error("gossip cannot begin: {0}")]
    Gossip(String),
}

impl Node {
    /// Joins. What belongs to this process is known a few seconds later, and until then nothing does.
    ///
    /// # Errors
    /// An address that cannot be listened on.
    pub async fn start(
        settings: ClusterSettings,
        cluster: Arc<Cluster>,
        metrics: ClusterMetrics,
    ) -> Result<Self, NodeError> {
        let (tls, protocol) = (settings.tls.is_some(), if settings.tls.is_some() { "TCP" } else { "UDP" });
        let (bound, addr) = Bound::to(settings.advertised, settings.tls.clone())
            .await
            .map_err(|error| NodeError::Listen { address: settings.advertised, protocol, error })?;
        let id = ChitchatId::new(settings.node_name.shared(), generation(), addr);
        let mut reading = JoinSet::new();
        let (gate, Incoming { gossip: came, farewells, contact }) =
            Gate::new(&settings.cluster_name.shared(), &id, &metrics);
        let wire = Arc::new(Wire::open(bound, gate, metrics.sent.clone(), &mut reading));
        let (node, cluster_name) = (&*id.node_id, settings.cluster_name.shared());
        tracing::info!(node, %addr, cluster = &*cluster_name, tls, "cluster node listening");
        if !tls {
            tracing::warn!(%addr, "what nodes of the cluster tell each other is not authenticated: whoever can send to this address can take targets away; --cluster.enable-tls lets in those with a certificate");
        }
        let socket = Gossip { wire: wire.clone(), cluster: cluster_name.clone(), own: id.clone(), came };
        let opened = Opened(Mutex::new(Some(socket)));
        let chitchat = spawn_chitchat(config(&id, &cluster_name), Vec::new(), &opened).await;
        let chitchat = Arc::new(chitchat.map_err(|error| NodeError::Gossip(error.to_string()))?);

        metrics.minimum_size.set(i64::try_from(settings.wait_for_size).unwrap_or(i64::MAX));
        let (state, stated) = watch::channel(PeerState::Viewer);
        let follow = Follow {
            cluster: cluster.clone(),
            id: id.clone(),
            left: HashSet::new(),
            readiness: Readiness::new(settings.wait_for_size, settings.wait_timeout, Instant::now()),
            metrics: metrics.clone(),
            before: Members::default(),
        };
        let mut following = JoinSet::new();
        let living = chitchat.chitchat().lock().await.live_nodes_watcher();
        following.spawn(follow.follow(living, farewells, stated, chitchat.clone()));
        let join = Join { settings, own: addr, chitchat: chitchat.clone(), contact, log: LogLimit::default() };
        following.spawn(join.join(state));
        Ok(Self { cluster, id, cluster_name, chitchat, wire, metrics, _reading: reading, following })
    }

    /// Where this node is found.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.id.gossip_advertise_addr
    }

    /// Ends without a word, as a process that is killed.
    #[cfg(test)]
    pub(super) fn kill(self) {
        self.chitchat.abort();
    }

    /// Tells the others that this node takes nothing any more, and is gone.
    pub async fn leave(mut self) {
        self.following.shutdown().await;
        let mut peers = self.cluster.peers();
        for own in peers.iter_mut().filter(|peer| peer.is_self) {
            own.state = PeerState::Terminating;
        }
        show(&self.cluster, &self.metrics, View { peers, shares: Shares::None });
        let living = self.chitchat.chitchat().lock().await.live_nodes().cloned().collect::<BTreeSet<_>>();
        self.chitchat.abort();
        let frame = Bytes::from(frame::farewell(&self.cluster_name, &self.id));
        for time in 0..FAREWELLS {
            if time > 0 {
                sleep(BETWEEN_FAREWELLS).await;
            }
            for other in living.iter().filter(|id| **id != self.id) {
                self.wire.send(other.gossip_advertise_addr, frame.clone()).await;
            }
        }
        self.wire.close().await;
    }
}

fn config(id: &ChitchatId, cluster_name: &str) -> ChitchatConfig {
    ChitchatConfig {
        chitchat_id: id.clone(),
        cluster_id: cluster_name.to_owned(),
        gossip_interval: GOSSIP_INTERVAL,
        listen_addr: id.gossip_advertise_addr,
        // Those are looked up and asked as the flags say: see `Join`.
        seed_nodes: Vec::new(),
        failure_detector_config: FAILURE_DETECTOR,
        // Of keys, of which there are none.
        marked_for_deletion_grace_period: DEAD_KEPT,
        catchup_callback: None,
        extra_liveness_predicate: None,
    }
}

/// Tells one life of a node from the next: milliseconds of Unix time.
fn generation() -> u64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn show(cluster: &Cluster, metrics: &ClusterMetrics, view: View) {
    for state in PeerState::ALL {
        metrics.peers(state.name(), view.peers.iter().filter(|peer| peer.state == state).count());
    }
    if let Some(own) = view.peers.iter().find(|peer| peer.is_self) {
        metrics.is(own.state.name());
    }
    cluster.show(view);
}

/// Looks for other nodes where the flags say.
struct Join {
    settings: ClusterSettings,
    own: SocketAddr,
    chitchat: Arc<ChitchatHandle>,
    contact: watch::Receiver<bool>,
    log: LogLimit,
}

impl Join {
    async fn join(mut self, state: watch::Sender<PeerState>) {
        self.first_contact().await;
        // Fails where nobody follows any more.
        let _told = state.send(PeerState::Participant).is_ok();
        while !self.settings.join.is_empty() && !self.settings.rejoin_interval.is_zero() {
            sleep(self.settings.rejoin_interval).await;
            self.ask().await;
        }
        // The state's end would be the end of this node.
        pending::<()>().await;
    }

    /// Until it is known who is there, or that nobody answers.
    async fn first_contact(&mut self) {
        if self.settings.join.is_empty() {
            return;
        }
        let asking = async {
            while self.ask().await {
                if timeout(ASK_AGAIN, self.contact.clone().wait_for(|contact| *contact)).await.is_ok() {
                    return true;
                }
            }
            false
        };
        match timeout(PATIENCE, asking).await {
            Ok(true) => return sleep(SETTLING).await,
            // There is nobody else by now.
            Ok(false) => return,
            Err(_) => {}
        }
        tracing::warn!(
            "no other node of the cluster answers: this one begins alone; is --cluster.name the same, and does the \
             network let them through?"
        );
    }

    /// Asks some of those that may be there; whether there may be any but this node.
    async fn ask(&self) -> bool {
        let found = look_up(&self.settings.join, self.own.port(), &self.log).await;
        let others: Vec<_> = found.iter().copied().filter(|address| *address != self.own).collect();
        let most = match self.settings.max_join_peers {
            0 => others.len(),
            most => most,
        };
        for address in fastrand::choose_multiple(others.iter().copied(), most) {
            // Fails where gossip has ended.
            let _asked = self.chitchat.gossip(address).is_ok();
        }
        found.is_empty() || !others.is_empty()
    }
}

/// Keeps the cluster as it is shown what it is.
struct Follow {
    cluster: Arc<Cluster>,
    id: ChitchatId,
    /// Those that said so, and that live on for `chitchat`.
    left: HashSet<ChitchatId>,
    readiness: Readiness,
    metrics: ClusterMetrics,
    before: Members,
}

impl Follow {
    async fn follow(
        mut self,
        mut living: watch::Receiver<BTreeMap<ChitchatId, NodeState>>,
        mut farewells: mpsc::Receiver<ChitchatId>,
        mut state: watch::Receiver<PeerState>,
        chitchat: Arc<ChitchatHandle>,
    ) {
        let ended = chitchat.termination_watcher();
        tokio::pin!(ended);
        loop {
            let ids: Vec<_> = living.borrow_and_update().keys().cloned().collect();
            let stated = *state.borrow_and_update();
            self.look(ids, stated);
            tokio::select! {
                _ = living.changed() => {}
                _ = state.changed() => {}
                Some(id) = farewells.recv() => self.leaves(id),
                () = due(self.readiness.due()) => {}
                ended = &mut ended => {
                    let why = ended.err().map(|error| error.to_string()).unwrap_or_default();
                    tracing::error!(err = why, "gossip with the cluster ended: this node takes no targets until it is started again");
                    self.look(Vec::new(), PeerState::Terminating);
                    return;
                }
            }
        }
    }

    fn leaves(&mut self, id: ChitchatId) {
        if self.left.len() >= frame::MOST_NODES {
            self.left.retain(|id| self.before.nodes.contains(id));
        }
        self.left.insert(id);
    }

    fn look(&mut self, living: Vec<ChitchatId>, stated: PeerState) {
        let others = living.into_iter().filter(|id| *id != self.id && !self.left.contains(id));
        let members = Members::among(others.chain([self.id.clone()]));
        let takes_part = members.nodes.contains(&self.id);
        let state = if takes_part { stated } else { PeerState::Viewer };
        self.tell(&members, takes_part);

        let own = self.peer(&self.id, state);
        let others = members.nodes.iter().filter(|id| **id != self.id);
        let mut peers: Vec<_> = others.map(|id| self.peer(id, PeerState::Participant)).chain([own]).collect();
        peers.sort_by(|one, other| (&one.name, &one.addr).cmp(&(&other.name, &other.addr)));
        let ready = self.readiness.look(members.nodes.len(), Instant::now());
        self.metrics.ready.set(i64::from(ready));
        let shares = if ready && state == PeerState::Participant {
            Shares::Own(Rendezvous::new(members.nodes.iter().map(|id| &*id.node_id)))
        } else {
            Shares::None
        };
        self.before = members;
        show(&self.cluster, &self.metrics, View { peers, shares });
    }

    fn peer(&self, id: &ChitchatId, state: PeerState) -> Peer {
        let (name, addr) = (id.node_id.to_string(), id.gossip_advertise_addr.to_string());
        Peer { name, addr, is_self: *id == self.id, state }
    }

    fn tell(&self, members: &Members, takes_part: bool) {
        let news = |ids: &'_ [ChitchatId], before: &'_ [ChitchatId]| {
            ids.iter().filter(|id| !before.contains(id)).cloned().collect::<Vec<_>>()
        };
        let (came, went) = (news(&members.nodes, &self.before.nodes), news(&self.before.nodes, &members.nodes));
        self.metrics.joined.add(came.iter().filter(|id| **id != self.id).count() as u64);
        self.metrics.left.add(went.len() as u64);
        for (ids, what) in [(&came, "a node joined the cluster"), (&went, "a node left the cluster")] {
            for id in ids.iter().filter(|id| **id != self.id) {
                tracing::info!(node = &*id.node_id, addr = %id.gossip_advertise_addr, nodes = members.nodes.len(), "{what}");
            }
        }
        for id in news(&members.rivals, &self.before.rivals) {
            self.metrics.conflicts.inc();
            let (node, addr) = (&*id.node_id, id.gossip_advertise_addr);
            if takes_part {
                tracing::error!(node, %addr, "a node has the name of another one and takes no targets: give it a --cluster.node-name of its own");
            } else {
                tracing::error!(node, %addr, "another node has the name of this one, which takes no targets until that one is gone: give it a --cluster.node-name of its own");
            }
        }
    }
}

/// Never, where nothing is due.
async fn due(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}
