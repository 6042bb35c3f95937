//! Frames over TLS: one connection to each node, on which only the side that opened it speaks. A frame follows its length
//! in four bytes, big-endian.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::task::TaskTracker;

use super::Gate;
use crate::cluster::frame::{MOST_BYTES, MOST_NODES};
use crate::cluster::settings::ClusterTls;
use crate::telemetry::LogLimit;
use crate::telemetry::metrics::Traffic;

/// Connections that may come; as many again may go.
const MOST_LINKS: usize = 2 * MOST_NODES;
/// Frames that wait for one node; gossip that waits is old.
const MOST_WAITING: usize = 16;
/// From the first packet to the end of the handshake, and for each frame.
const PATIENCE: Duration = Duration::from_secs(5);
/// A connection is given up by the side that speaks on it after this silence, and by the other one later.
const SILENCE: Duration = Duration::from_secs(60);
/// Until what was sent is on its way, at the end.
const AT_THE_END: Duration = Duration::from_secs(2);
/// After a connection could not be accepted: there are no more file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// The connections to other nodes.
pub(in crate::cluster) struct Links {
    /// None at the end.
    outgoing: Mutex<Option<HashMap<SocketAddr, mpsc::Sender<Bytes>>>>,
    speaking: TaskTracker,
    shared: Arc<Shared>,
}

struct Shared {
    tls: ClusterTls,
    sent: Traffic,
    log: LogLimit,
}

impl Links {
    pub(super) fn open(
        listener: TcpListener,
        tls: ClusterTls,
        gate: Arc<Gate>,
        sent: Traffic,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let shared = Arc::new(Shared { tls, sent, log: LogLimit::default() });
        tasks.spawn(accept(listener, shared.clone(), gate));
        Self { outgoing: Mutex::new(Some(HashMap::new())), speaking: TaskTracker::new(), shared }
    }

    pub(super) fn send(&self, to: SocketAddr, frame: Bytes) {
        let mut outgoing = self.outgoing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(links) = &mut *outgoing else { return };
        let open = links.get(&to).is_some_and(|link| !link.is_closed());
        if !open {
            links.retain(|_, link| !link.is_closed());
            if links.len() < MOST_LINKS {
                let (link, frames) = mpsc::channel(MOST_WAITING);
                links.insert(to, link);
                self.speaking.spawn(speak(to, frames, self.shared.clone()));
            }
        }
        if links.get(&to).is_none_or(|link| link.try_send(frame).is_err()) {
            self.shared.sent.failed.inc();
        }
    }

    pub(super) async fn close(&self) {
        drop(self.outgoing.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.speaking.close();
        // What is not on its way by then is lost, as it would be on a network that is.
        let _in_time = timeout(AT_THE_END, self.speaking.wait()).await.is_ok();
    }
}

/// Says to one node what comes, until nothing does.
async fn speak(to: SocketAddr, mut frames: mpsc::Receiver<Bytes>, shared: Arc<Shared>) {
    let connected = timeout(PATIENCE, shared.connect(to)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let ended = match connected {
        Ok(stream) => pass_on(stream, &mut frames, &shared.sent).await,
        Err(error) => Err(error),
    };
    if let Err(error) = ended {
        shared.sent.failed.inc();
        if let Some(line) = shared.log.admit() {
            tracing::warn!(%to, err = %error, left_out = line.left_out, "no connection to another node of the cluster");
        }
    }
}

async fn pass_on(stream: TlsStream<TcpStream>, frames: &mut mpsc::Receiver<Bytes>, sent: &Traffic) -> io::Result<()> {
    let (mut read, mut write) = tokio::io::split(stream);
    loop {
        let frame = tokio::select! {
            frame = timeout(SILENCE, frames.recv()) => frame,
            // The other side says nothing but that it is gone, or that it lets nobody in with this certificate.
            said = read.read_u8() => return match said {
                Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
                _ => Ok(()),
            },
        };
        let Ok(Some(frame)) = frame else { break };
        let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
        let writing = async {
            write.write_u32(length).await?;
            write.write_all(&frame).await?;
            write.flush().await
        };
        timeout(PATIENCE, writing).await??;
        sent.bytes.add(frame.len() as u64);
        sent.packets.inc();
    }
    timeout(PATIENCE, write.shutdown()).await?
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, gate: Arc<Gate>) {
    let room = Arc::new(Semaphore::new(MOST_LINKS));
    // Ends with this task what it reads from.
    let mut reading = JoinSet::new();
    loop {
        while reading.try_join_next().is_some() {}
        // The semaphore is never closed.
        let Ok(place) = room.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, from)) => {
                let (shared, gate) = (shared.clone(), gate.clone());
                reading.spawn(async move {
                    if let Err(error) = listen(stream, from, &shared, &gate).await
                        && let Some(line) = shared.log.admit()
                    {
                        let left_out = line.left_out;
                        tracing::warn!(%from, err = %error, left_out, "a connection to this node of the cluster failed");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::error!(err = %error, "no other node can connect");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Listens to one node until it says no more.
async fn listen(stream: TcpStream, from: SocketAddr, shared: &Shared, gate: &Gate) -> io::Result<()> {
    let acceptor = TlsAcceptor::from(shared.tls.mutual.sides().server.clone());
    let mut stream = timeout(PATIENCE, acceptor.accept(stream)).await??;
    loop {
        let length = match timeout(2 * SILENCE, stream.read_u32()).await? {
            Ok(length) => usize::try_from(length).map_err(io::Error::other)?,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        if length > MOST_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a message that is longer than any"));
        }
        let mut frame = vec![0; length];
        timeout(PATIENCE, stream.read_exact(&mut frame)).await??;
        gate.pass(&frame, from, true);
    }
}

impl Shared {
    async fn connect(&self, to: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        let name = self.tls.server_name.clone().unwrap_or_else(|| ServerName::from(to.ip()));
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        TlsConnector::from(self.tls.mutual.sides().client.clone()).connect(name, stream).await
    }
}
