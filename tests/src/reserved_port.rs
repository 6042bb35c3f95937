//! A port that a process under test is to be told of before it listens.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// A free port of 127.0.0.1, which stays free: the kernel gives it to nobody who asks for any port, and to whoever
/// names it and sets `SO_REUSEADDR`, as servers do.
#[derive(Debug)]
pub struct ReservedPort {
    address: SocketAddr,
    /// Bound, never listening.
    _socket: TcpSocket,
}

impl ReservedPort {
    /// Reserves one until it is dropped.
    ///
    /// # Errors
    /// When there is none.
    pub fn new() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(Self { address: socket.local_addr()?, _socket: socket })
    }

    /// The address with the port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
