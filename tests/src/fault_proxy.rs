//! A TCP proxy before a backend that breaks connections as networks and hosts do: on real sockets, without a word to
//! either side that they would not hear from the kernel.

mod unanswered;
mod way;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::reserved_port::ReservedPort;

pub use unanswered::UnansweredPort;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// What becomes of a connection that is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: bytes pass both ways.
    None,
    /// It is reset as soon as it was accepted.
    ResetAtOnce,
    /// It is reset when so many bytes have passed to the backend.
    ResetRequest(usize),
    /// It is reset when so many bytes of the answer have passed to the sender.
    ResetAnswer(usize),
    /// It is closed, as if all had been said, when so many bytes of the answer have passed to the sender.
    CloseAnswer(usize),
    /// The answer passes byte by byte, this long after one another.
    Dribble(Duration),
    /// What is sent is read, nothing passes, nothing is answered.
    Blackhole,
    /// Not even what is sent is read, nor that the sender closes: it stays open until it is cut.
    Deaf,
}

/// What becomes of the connections that are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Each is closed, as idle ones are by servers.
    Close,
    /// Each is reset.
    Reset,
    /// Half-open: the host behind it is gone and could say nothing. What is sent to it stays unanswered.
    HalfOpen,
    /// Half-open, and the host is back without a memory: what is sent to it is answered by a reset.
    Forget,
}

/// A running proxy; dropping it closes the port and every connection.
#[derive(Debug)]
pub struct FaultProxy {
    port: ReservedPort,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
    /// Holds all connections, also while the port is closed.
    connections: JoinHandle<()>,
    accepted: mpsc::Sender<TcpStream>,
}

#[derive(Debug)]
struct Shared {
    backend: SocketAddr,
    plan: Mutex<Plan>,
    cuts: watch::Sender<Cut>,
    accepted: AtomicUsize,
    open: AtomicUsize,
}

/// One fault a connection, in order, then one for ever.
#[derive(Debug)]
struct Plan {
    upcoming: VecDeque<Fault>,
    finally: Fault,
}

impl FaultProxy {
    /// Before a backend, on a free port of loopback, without any fault.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn before(backend: SocketAddr) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            backend,
            plan: Mutex::new(Plan { upcoming: VecDeque::new(), finally: Fault::None }),
            cuts: watch::Sender::new(Cut::Close),
            accepted: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        });
        let (accepted, incoming) = mpsc::channel(1);
        let connections = tokio::spawn(hold(incoming, Arc::clone(&shared)));
        let mut proxy = Self { port: ReservedPort::new()?, shared, acceptor: None, connections, accepted };
        proxy.listen()?;
        Ok(proxy)
    }

    /// Where it listens, or would.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// URL for `endpoint { url = … }`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// What becomes of all connections from the next one on.
    pub fn always(&self, fault: Fault) {
        *self.shared.plan() = Plan { upcoming: VecDeque::new(), finally: fault };
    }

    /// What becomes of the next connections, in order; those after them have no fault.
    pub fn first(&self, faults: impl IntoIterator<Item = Fault>) {
        *self.shared.plan() = Plan { upcoming: faults.into_iter().collect(), finally: Fault::None };
    }

    /// What becomes of the connections that are open.
    pub fn cut(&self, cut: Cut) {
        self.shared.cuts.send_replace(cut);
    }

    /// Closes the port: whoever connects is refused. Open connections stay.
    pub async fn refuse(&mut self) {
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.abort();
            // It ends as cancelled: that is what was asked for.
            let _ = acceptor.await;
        }
    }

    /// Opens the port again.
    ///
    /// # Errors
    /// When it cannot be bound.
    pub fn listen(&mut self) -> io::Result<()> {
        if self.acceptor.is_some() {
            return Ok(());
        }
        let socket = TcpSocket::new_v4()?;
        // The port is reserved, and connections of before may still be there.
        socket.set_reuseaddr(true)?;
        socket.bind(self.address())?;
        let listener = socket.listen(BACKLOG)?;
        self.acceptor = Some(tokio::spawn(accept(listener, self.accepted.clone())));
        Ok(())
    }

    /// How many connections were accepted so far.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// How many of them the sender has not closed yet.
    #[must_use]
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.acceptor.iter().for_each(JoinHandle::abort);
        self.connections.abort();
    }
}

impl Shared {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_fault(&self) -> Fault {
        let mut plan = self.plan();
        plan.upcoming.pop_front().unwrap_or(plan.finally)
    }
}

/// Accepts until dropped; the connections outlive it.
async fn accept(listener: TcpListener, accepted: mpsc::Sender<TcpStream>) {
    loop {
        if let Ok((stream, _)) = listener.accept().await
            && accepted.send(stream).await.is_err()
        {
            return;
        }
    }
}

async fn hold(mut incoming: mpsc::Receiver<TcpStream>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(stream) = incoming.recv() => {
                // Before its fault is done: who is told of the fault finds the connection counted.
                shared.accepted.fetch_add(1, Ordering::SeqCst);
                shared.open.fetch_add(1, Ordering::SeqCst);
                let (fault, cuts, shared) = (shared.next_fault(), shared.cuts.subscribe(), Arc::clone(&shared));
                connections.spawn(async move {
                    way::serve(stream, fault, shared.backend, cuts).await;
                    shared.open.fetch_sub(1, Ordering::SeqCst);
                });
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

#[cfg(test)]
mod tests;
