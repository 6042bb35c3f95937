//! Where a listener listens: a host and a port, or a file.

use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};

use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};

/// Connections that wait to be accepted; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: u32 = 4096;

/// Where a listener is to listen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListenerAddress {
    /// On a port.
    Tcp {
        /// Host name or address; empty for all addresses.
        host: String,
        /// Port; 0 for any free one.
        port: u16,
    },
    /// On a Unix socket.
    Unix(PathBuf),
}

/// Where a listener listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LocalAddress {
    /// On a port.
    Tcp(SocketAddr),
    /// On a Unix socket.
    Unix(PathBuf),
}

/// A socket that is listened on.
pub(super) enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// A connection that was accepted.
pub(super) enum Accepted {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl ListenerAddress {
    /// Whether each that asks gets another one.
    pub fn is_any(&self) -> bool {
        matches!(self, Self::Tcp { port: 0, .. })
    }

    /// Must be called on a tokio runtime.
    pub(super) fn bind(&self) -> io::Result<Bound> {
        match self {
            Self::Tcp { host, port } => bind(host, *port).map(Bound::Tcp),
            Self::Unix(path) => bind_file(path),
        }
    }
}

impl Accepted {
    /// The connection on the runtime that asks: its events come there from now on.
    pub(super) fn move_here(self) -> io::Result<Self> {
        match self {
            Self::Tcp(stream) => TcpStream::from_std(stream.into_std()?).map(Self::Tcp),
            Self::Unix(stream) => UnixStream::from_std(stream.into_std()?).map(Self::Unix),
        }
    }
}

impl fmt::Display for ListenerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.is_empty() => write!(f, "[::]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

impl fmt::Display for LocalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

impl Bound {
    pub(super) fn local_address(&self) -> io::Result<LocalAddress> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(LocalAddress::Tcp),
            Self::Unix(_, file) => Ok(LocalAddress::Unix(file.0.clone())),
        }
    }

    pub(super) fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        match self {
            Self::Tcp(listener) => listener.poll_accept(context).map_ok(|(stream, _)| Accepted::Tcp(stream)),
            Self::Unix(listener, _) => listener.poll_accept(context).map_ok(|(stream, _)| Accepted::Unix(stream)),
        }
    }
}

/// The file of a Unix socket; it goes when nobody listens any more.
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Whoever removed it before us has done what is to be done.
        let _gone = fs::remove_file(&self.0);
    }
}

fn bind_file(path: &Path) -> io::Result<Bound> {
    let bound = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left_behind(path) => {
            fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    };
    Ok(Bound::Unix(bound?, SocketFile(path.to_owned())))
}

/// Whether a process that was killed left this socket: nobody answers on it.
fn is_left_behind(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    is_socket && StdUnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

fn bind(host: &str, port: u16) -> io::Result<TcpListener> {
    if host.is_empty() {
        // Both families on one socket, as Go does; where the kernel has no IPv6, the other one alone.
        let any = |host: [u8; 4]| SocketAddr::from((host, port));
        return listen(SocketAddr::from(([0u16; 8], port))).or_else(|_| listen(any([0; 4])));
    }
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    for candidate in (host, port).to_socket_addrs()? {
        match listen(candidate) {
            Ok(bound) => return Ok(bound),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
