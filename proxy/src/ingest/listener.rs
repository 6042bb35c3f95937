//! A bound address and its accept loop.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use pingora_core::apps::ServerApp;
use pingora_core::protocols::l4::stream::Stream;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::session::Session;
use super::{App, Limits, preface};
use crate::telemetry::LogLimit;

/// Where a listener listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ListenerAddress {
    /// Host name or address; empty for all addresses.
    pub host: String,
    /// Port; 0 for any free one.
    pub port: u16,
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {error}")]
pub struct BindError {
    address: String,
    error: io::Error,
}

/// After an error of accept, such as too many open files, wait for some to close.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);
/// Connections that wait to be accepted; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: u32 = 4096;

/// The app that answers the next request; a reload puts another one there.
pub(super) type CurrentApp = Arc<ArcSwapOption<Arc<dyn App>>>;

/// A bound address. Connections wait unanswered until [`serve`](Self::serve) is called.
pub struct Listener {
    local: SocketAddr,
    bound: std::sync::Mutex<Option<TcpListener>>,
    app: CurrentApp,
    stop: watch::Sender<bool>,
    drained: watch::Sender<bool>,
}

impl Listener {
    /// Binds an address. Must be called on a tokio runtime.
    pub fn bind(address: &ListenerAddress) -> Result<Arc<Self>, BindError> {
        let host = if address.host.is_empty() { "[::]" } else { address.host.as_str() };
        let error = |error| BindError { address: format!("{host}:{}", address.port), error };
        let bound = bind(address).map_err(error)?;
        Ok(Arc::new(Self {
            local: bound.local_addr().map_err(error)?,
            bound: std::sync::Mutex::new(Some(bound)),
            app: CurrentApp::default(),
            stop: watch::Sender::new(false),
            drained: watch::Sender::new(false),
        }))
    }

    /// The address that was really bound.
    pub fn local_address(&self) -> SocketAddr {
        self.local
    }

    /// Lets this app answer from now on; the first call starts accepting.
    pub fn serve(self: &Arc<Self>, app: Arc<dyn App>) {
        self.app.store(Some(Arc::new(app)));
        let bound = self.bound.lock().map_or(None, |mut bound| bound.take());
        if let Some(bound) = bound {
            tokio::spawn(self.clone().accept(bound));
        }
    }

    /// Stops, unless another app than this one answers here by now: accepts no more, lets requests in flight finish, and
    /// returns when they have or the deadline is over.
    pub async fn retire(&self, app: &Arc<dyn App>, deadline: Duration) {
        if self.app.load().as_ref().is_some_and(|current| !Arc::ptr_eq(current.as_ref(), app)) {
            return;
        }
        self.stop.send_replace(true);
        if self.bound.lock().is_ok_and(|mut bound| bound.take().is_some()) {
            // Never served: nothing is in flight.
            return;
        }
        let mut drained = self.drained.subscribe();
        let waited = tokio::time::timeout(deadline, drained.wait_for(|drained| *drained)).await.is_ok();
        if !waited {
            tracing::warn!(addr = %self.local, "requests in flight did not finish in time and were cut off");
        }
    }

    /// Whether it was retired.
    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    async fn accept(self: Arc<Self>, bound: TcpListener) {
        let mut stop = self.stop.subscribe();
        let mut connections = JoinSet::new();
        let failures = LogLimit::default();
        while !*stop.borrow() {
            while connections.try_join_next().is_some() {}
            let full = self.limit().is_some_and(|limit| connections.len() >= limit);
            tokio::select! {
                biased;
                () = stopped(&mut stop) => {}
                _ = connections.join_next(), if full => {}
                accepted = bound.accept(), if !full => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(self.clone().connection(stream));
                    }
                    Err(error) => {
                        if let Some(line) = failures.admit() {
                            let left_out = line.left_out;
                            tracing::warn!(addr = %self.local, err = %error, left_out, "a connection could not be accepted");
                        }
                        tokio::time::sleep(ACCEPT_AGAIN).await;
                    }
                },
            }
        }
        drop(bound);
        while connections.join_next().await.is_some() {}
        self.drained.send_replace(true);
    }

    fn limit(&self) -> Option<usize> {
        self.app.load().as_ref().and_then(|app| app.limits().connections)
    }

    async fn connection(self: Arc<Self>, stream: TcpStream) {
        let Some(app) = self.app.load_full() else { return };
        app.connections(1);
        self.serve_connection(stream, &app.limits()).await;
        app.connections(-1);
    }

    async fn serve_connection(&self, stream: TcpStream, limits: &Limits) {
        let mut stop = self.stop.subscribe();
        // A connection on which nothing was said yet is as idle as one between two requests.
        let deadline = Instant::now() + limits.idle_timeout;
        let http2 = tokio::select! {
            http2 = preface::is_http2(&stream, deadline) => http2,
            () = stopped(&mut stop) => return,
        };
        let Ok(http2) = http2 else { return };
        let session = Arc::new(Session::new(self.app.clone(), limits.idle_timeout, http2));
        let mut stream = Stream::from(stream);
        // Without it an answer may wait 40 ms for an acknowledgement; a connection that refuses is served all the same.
        let _unset = stream.set_nodelay();
        // Pingora serves every request of the connection in this one call.
        let _reusable = session.process_new(Box::new(stream), &stop).await;
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error says that the listener is gone, which is as good.
    let _stopped = stop.wait_for(|stop| *stop).await.is_ok();
}

fn bind(address: &ListenerAddress) -> io::Result<TcpListener> {
    if address.host.is_empty() {
        // Both families on one socket, as Go does; where the kernel has no IPv6, the other one alone.
        let any = |host: [u8; 4]| SocketAddr::from((host, address.port));
        return listen(SocketAddr::from(([0u16; 8], address.port))).or_else(|_| listen(any([0; 4])));
    }
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    for candidate in (address.host.as_str(), address.port).to_socket_addrs()? {
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
