//! A bound address and its accept loop.

use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{Notify, watch};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::address::{Accepted, Bound, ListenerAddress, LocalAddress};
use super::claim::Claim;
use super::connection;
use super::tenure::Tenure;
use crate::telemetry::LogLimit;
use crate::workers::Workers;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {error}")]
pub struct BindError {
    address: ListenerAddress,
    error: io::Error,
}

/// After an error of accept, such as too many open files, wait for some to close.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// A bound address, for as long as anyone has a [`Claim`] on it.
pub struct Listener {
    pub(super) local: LocalAddress,
    /// Serve the connections.
    pub(super) workers: Workers,
    socket: Mutex<Socket>,
    /// What answers the next request; a reload puts another one there.
    pub(super) tenure: ArcSwapOption<Tenure>,
    /// `true` once nobody claims the address.
    stop: watch::Sender<bool>,
    /// Something changed that accepting depends on.
    changed: Notify,
    pub(super) connections: TaskTracker,
    /// Requests, also those that outlive their connection.
    pub(super) work: TaskTracker,
}

struct Socket {
    /// `None` when it is closed.
    bound: Option<Bound>,
    claims: usize,
    accepting: bool,
}

impl Listener {
    /// Binds an address. Connections wait unanswered until [`Claim::serve`] is called. Must be called on a tokio runtime.
    pub fn bind(address: &ListenerAddress, workers: Workers) -> Result<Claim, BindError> {
        let error = |error| BindError { address: address.clone(), error };
        let bound = address.bind().map_err(error)?;
        let listener = Self {
            local: bound.local_address().map_err(error)?,
            workers,
            socket: Mutex::new(Socket { bound: Some(bound), claims: 1, accepting: false }),
            tenure: ArcSwapOption::empty(),
            stop: watch::Sender::new(false),
            changed: Notify::new(),
            connections: TaskTracker::new(),
            work: TaskTracker::new(),
        };
        Ok(Claim::new(Arc::new(listener)))
    }

    /// Another claim on the same address; `None` when the last one was given up already, and the address is free.
    pub fn claim(self: &Arc<Self>) -> Option<Claim> {
        let mut socket = self.socket();
        if socket.claims == 0 {
            return None;
        }
        socket.claims += 1;
        Some(Claim::new(self.clone()))
    }

    /// Gives up a claim. With the last one the address is free when this returns, idle connections are closed, and those
    /// on which a request is under way are when it is answered.
    pub(super) fn release(&self) -> bool {
        let mut socket = self.socket();
        socket.claims -= 1;
        if socket.claims > 0 {
            return false;
        }
        socket.bound = None;
        drop(socket);
        self.stop.send_replace(true);
        if let Some(tenure) = &*self.tenure.load() {
            tenure.dismiss();
        }
        self.connections.close();
        self.work.close();
        self.changed.notify_one();
        true
    }

    /// Lets this one answer from now on; the first call starts accepting.
    pub(super) fn serve(self: &Arc<Self>, successor: impl FnOnce(Option<&Tenure>) -> Tenure) {
        let mut socket = self.socket();
        let predecessor = self.tenure.load_full();
        let tenure = Arc::new(successor(predecessor.as_deref()));
        self.tenure.store(Some(tenure.clone()));
        if let Some(predecessor) = predecessor.filter(|predecessor| !tenure.keeps_connections_of(predecessor)) {
            predecessor.dismiss();
        }
        if !std::mem::replace(&mut socket.accepting, true) {
            tokio::spawn(self.clone().accept());
        }
        self.changed.notify_one();
    }

    /// Becomes `true` when the listener ends.
    pub(super) fn stop(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    async fn accept(self: Arc<Self>) {
        let failures = LogLimit::default();
        while let Some(accepted) = self.next_connection().await {
            match accepted {
                Ok(stream) => {
                    let open = Open { _counted: self.connections.token(), ends: Ends(self.clone()) };
                    self.workers.place().spawn(open.serve(stream));
                }
                Err(error) => {
                    if let Some(line) = failures.admit() {
                        let left_out = line.left_out;
                        tracing::warn!(addr = %self.local, err = %error, left_out, "a connection could not be accepted");
                    }
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    }

    /// The next connection for which there is room; `None` when there will be none.
    async fn next_connection(&self) -> Option<io::Result<Accepted>> {
        loop {
            let changed = self.changed.notified();
            tokio::select! {
                biased;
                accepted = poll_fn(|context| self.poll_accept(context)) => return accepted.transpose(),
                () = changed => {}
            }
        }
    }

    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<Option<Accepted>>> {
        let socket = self.socket();
        let Some(bound) = &socket.bound else { return Poll::Ready(Ok(None)) };
        let limit = self.tenure.load().as_ref().and_then(|tenure| tenure.limits.connections);
        if limit.is_some_and(|limit| self.connections.len() >= limit) {
            return Poll::Pending;
        }
        bound.poll_accept(context).map_ok(Some)
    }

    fn socket(&self) -> MutexGuard<'_, Socket> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that counts. In this order: room is made before anyone is told of it.
struct Open {
    _counted: TaskTrackerToken,
    ends: Ends,
}

impl Open {
    async fn serve(self, stream: Accepted) {
        // One that cannot be moved is closed, as by a network that fails.
        if let Ok(stream) = stream.move_here() {
            connection::serve(&self.ends.0, stream).await;
        }
    }
}

/// Tells the accept loop of a connection's end, also where it panicked.
struct Ends(Arc<Listener>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.changed.notify_one();
    }
}
