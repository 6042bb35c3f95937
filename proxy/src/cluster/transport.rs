//! How frames pass between nodes, and the gate that what comes has to pass.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use chitchat::transport::{Socket, Transport};
use chitchat::{ChitchatId, ChitchatMessage};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::admission::Admission;
use super::frame::{self, Frame, Said};
use super::node::FORGOTTEN_AFTER;
use super::settings::ClusterTls;
use crate::telemetry::LogLimit;
use crate::telemetry::metrics::{ClusterMetrics, Traffic};

mod datagrams;
mod links;

use self::datagrams::Datagrams;
use self::links::Links;

/// Messages that wait for this node to look at them; what comes while so many wait is lost, as datagrams may be.
const MOST_WAITING: usize = 256;

/// What carries frames to other nodes.
pub(super) enum Wire {
    Datagrams(Datagrams),
    Links(Links),
}

/// What came, by kinds.
pub(super) struct Incoming {
    pub(super) gossip: mpsc::Receiver<(SocketAddr, ChitchatMessage)>,
    pub(super) farewells: mpsc::Receiver<ChitchatId>,
    /// Whether any other node was heard.
    pub(super) contact: watch::Receiver<bool>,
}

/// The address that others are told, open already.
pub(super) enum Bound {
    Datagrams(UdpSocket),
    Links(TcpListener, ClusterTls),
}

impl Bound {
    /// Port 0 is one that is free.
    pub(super) async fn to(address: SocketAddr, tls: Option<ClusterTls>) -> io::Result<(Self, SocketAddr)> {
        if let Some(tls) = tls {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            return Ok((Self::Links(listener, tls), address));
        }
        let socket = UdpSocket::bind(address).await?;
        let address = socket.local_addr()?;
        Ok((Self::Datagrams(socket), address))
    }
}

impl Wire {
    /// Reads what comes, as long as `tasks` lives.
    pub(super) fn open(bound: Bound, gate: Arc<Gate>, sent: Traffic, tasks: &mut JoinSet<()>) -> Self {
        match bound {
            Bound::Datagrams(socket) => Self::Datagrams(Datagrams::open(socket, gate, sent, tasks)),
            Bound::Links(listener, tls) => Self::Links(Links::open(listener, tls, gate, sent, tasks)),
        }
    }

    /// Sends a frame, if it can be sent without waiting for the other side.
    pub(super) async fn send(&self, to: SocketAddr, frame: Bytes) {
        match self {
            Self::Datagrams(datagrams) => datagrams.send(to, &frame).await,
            Self::Links(links) => links.send(to, frame),
        }
    }

    /// Waits, within a deadline, until what was sent is on its way, and sends no more.
    pub(super) async fn close(&self) {
        match self {
            Self::Datagrams(_) => {}
            Self::Links(links) => links.close().await,
        }
    }
}

/// What comes passes here or not at all.
pub(super) struct Gate {
    cluster: Arc<str>,
    own: ChitchatId,
    admission: Mutex<Admission>,
    gossip: mpsc::Sender<(SocketAddr, ChitchatMessage)>,
    farewells: mpsc::Sender<ChitchatId>,
    contact: watch::Sender<bool>,
    metrics: ClusterMetrics,
    log: LogLimit,
}

/// Why a frame does not pass.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Frame(#[from] frame::FrameError),
    #[error("it comes from another cluster, {0:?}: nodes of one have the same --cluster.name")]
    Cluster(String),
    #[error("it comes from another address than it says, {0}")]
    Sender(SocketAddr),
    #[error(
        "there are too many nodes: a cluster may have {} nodes, or as many as fill {} bytes with their names",
        frame::MOST_NODES,
        frame::MOST_DIGEST_BYTES
    )]
    Nodes,
    #[error("too much waits to be looked at")]
    Busy,
}

impl Gate {
    pub(super) fn new(cluster: &Arc<str>, own: &ChitchatId, metrics: &ClusterMetrics) -> (Arc<Self>, Incoming) {
        let (gossip, gossip_came) = mpsc::channel(MOST_WAITING);
        let (farewells, farewells_came) = mpsc::channel(MOST_WAITING);
        let (contact, had_contact) = watch::channel(false);
        let admission = Mutex::new(Admission::new(own.clone(), FORGOTTEN_AFTER));
        let (own, metrics, log) = (own.clone(), metrics.clone(), LogLimit::default());
        let gate = Self { cluster: cluster.clone(), own, admission, gossip, farewells, contact, metrics, log };
        let incoming = Incoming { gossip: gossip_came, farewells: farewells_came, contact: had_contact };
        (Arc::new(gate), incoming)
    }

    /// Takes bytes that came from an address. Those of a sender that has proven who it is may come from any.
    fn pass(&self, bytes: &[u8], from: SocketAddr, proven: bool) {
        self.metrics.received.bytes.add(bytes.len() as u64);
        self.metrics.received.packets.inc();
        if let Err(error) = self.take(bytes, from, proven) {
            self.metrics.received.failed.inc();
            if let Some(line) = self.log.admit() {
                let left_out = line.left_out;
                tracing::warn!(%from, err = %error, left_out, "a message to this node of the cluster was refused");
            }
        }
    }

    fn take(&self, bytes: &[u8], from: SocketAddr, proven: bool) -> Result<(), Refused> {
        let Frame { cluster, sender, said } = Frame::read(bytes)?;
        if cluster != *self.cluster {
            return Err(Refused::Cluster(cluster));
        }
        if sender != from && !proven {
            return Err(Refused::Sender(sender));
        }
        // To itself: one of the addresses to join at is its own, or was that of its predecessor.
        if sender == self.own.gossip_advertise_addr {
            return Ok(());
        }
        let mut admission = self.admission.lock().unwrap_or_else(PoisonError::into_inner);
        match said {
            Said::Gossip { message, about } => {
                if !admission.admit(&about, Instant::now()) {
                    return Err(Refused::Nodes);
                }
                self.gossip.try_send((sender, message)).map_err(|_| Refused::Busy)?;
                self.contact.send_if_modified(|contact| !std::mem::replace(contact, true));
                Ok(())
            }
            // Of one that was never heard of there is nothing to take back.
            Said::Farewell(id) if !admission.knows(&id) => Ok(()),
            Said::Farewell(id) => self.farewells.try_send(id).map_err(|_| Refused::Busy),
        }
    }
}

/// What `chitchat` sends and receives by.
pub(super) struct Gossip {
    pub(super) wire: Arc<Wire>,
    pub(super) cluster: Arc<str>,
    pub(super) own: ChitchatId,
    pub(super) came: mpsc::Receiver<(SocketAddr, ChitchatMessage)>,
}

#[async_trait]
impl Socket for Gossip {
    /// What cannot be sent is counted: the next round says it again.
    async fn send(&mut self, to: SocketAddr, message: ChitchatMessage) -> anyhow::Result<()> {
        let frame = frame::gossip(&self.cluster, self.own.gossip_advertise_addr, &message);
        self.wire.send(to, frame.into()).await;
        Ok(())
    }

    async fn recv(&mut self) -> anyhow::Result<(SocketAddr, ChitchatMessage)> {
        self.came.recv().await.ok_or_else(|| anyhow::anyhow!("nothing can come any more"))
    }
}

/// Hands `chitchat` the socket that is open already.
pub(super) struct Opened(pub(super) Mutex<Option<Gossip>>);

#[async_trait]
impl Transport for Opened {
    async fn open(&self, _: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        let opened = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        opened.map(|socket| Box::new(socket) as _).ok_or_else(|| anyhow::anyhow!("the socket is in use already"))
    }
}
