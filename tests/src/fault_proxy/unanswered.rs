//! A port that does not answer at all, as behind a firewall that drops what comes.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

/// A connection on loopback is open by then, or never.
const OPENS_WITHIN: Duration = Duration::from_millis(200);
/// The kernel lets one or two more wait than it is asked to.
const AT_MOST: usize = 16;

/// A port of loopback whose queue is full: the kernel drops whoever wants to connect, without a word.
#[derive(Debug)]
pub struct UnansweredPort {
    address: SocketAddr,
    /// Never accepts.
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl UnansweredPort {
    /// On a free port.
    ///
    /// # Errors
    /// When there is none, or its queue does not fill.
    pub async fn start() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let listener = socket.listen(0)?;
        let address = listener.local_addr()?;
        let mut queue = Vec::new();
        while let Ok(opened) = timeout(OPENS_WITHIN, TcpStream::connect(address)).await {
            queue.push(opened?);
            if queue.len() > AT_MOST {
                return Err(io::Error::other(format!("more than {AT_MOST} connections fit into a queue for none")));
            }
        }
        Ok(Self { address, _listener: listener, _queue: queue })
    }

    /// Where nobody answers.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
