//! Frames as datagrams of UDP, without authentication.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Gate;
use crate::cluster::frame::MOST_BYTES;
use crate::telemetry::metrics::Traffic;

/// After an error, which is another host's word that nobody listens there, or the kernel's that it has no memory.
const PAUSE: Duration = Duration::from_millis(10);

/// A socket on the address that others are told.
pub(in crate::cluster) struct Datagrams {
    socket: Arc<UdpSocket>,
    sent: Traffic,
}

impl Datagrams {
    pub(super) fn open(socket: UdpSocket, gate: Arc<Gate>, sent: Traffic, tasks: &mut JoinSet<()>) -> Self {
        let socket = Arc::new(socket);
        tasks.spawn(read(socket.clone(), gate));
        Self { socket, sent }
    }

    pub(super) async fn send(&self, to: SocketAddr, frame: &[u8]) {
        match self.socket.send_to(frame, to).await {
            Ok(bytes) => {
                self.sent.bytes.add(bytes as u64);
                self.sent.packets.inc();
            }
            Err(error) => {
                self.sent.failed.inc();
                tracing::debug!(%to, err = %error, "a message to another node cannot be sent");
            }
        }
    }
}

async fn read(socket: Arc<UdpSocket>, gate: Arc<Gate>) {
    let mut bytes = vec![0; MOST_BYTES];
    loop {
        match socket.recv_from(&mut bytes).await {
            Ok((length, from)) => gate.pass(bytes.get(..length).unwrap_or_default(), from, false),
            Err(error) => {
                tracing::debug!(err = %error, "no message can be received");
                sleep(PAUSE).await;
            }
        }
    }
}
