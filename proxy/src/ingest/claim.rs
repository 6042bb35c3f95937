//! What a component has of a listener.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::task::TaskTracker;

use super::listener::Listener;
use super::tenure::Tenure;
use super::{App, LocalAddress};

/// The right to answer on an address. The address is listened on until the last claim on it is dropped or
/// [retired](Self::retire), so that it passes from one component to the next without a gap.
pub struct Claim {
    listener: Arc<Listener>,
    /// Requests that the app of this claim has begun.
    work: TaskTracker,
    given_up: AtomicBool,
}

impl Claim {
    pub(super) fn new(listener: Arc<Listener>) -> Self {
        Self { listener, work: TaskTracker::new(), given_up: AtomicBool::new(false) }
    }

    /// The listener, for further claims.
    pub fn listener(&self) -> &Arc<Listener> {
        &self.listener
    }

    /// The address that was really bound.
    pub fn local_address(&self) -> &LocalAddress {
        &self.listener.local
    }

    /// Lets this app answer from now on. Connections stay where the app serves them under the same timeouts as its
    /// predecessor; else they are told to go, each with its next answer. Must be called on a tokio runtime.
    pub fn serve(&self, app: Arc<dyn App>) {
        let work = [self.work.clone(), self.listener.work.clone()];
        self.listener.serve(|predecessor| Tenure::new(app, work, predecessor));
    }

    /// Gives the claim up, and returns when what its app has begun is finished, or the deadline is over. Where nobody
    /// else claims the address, connections are closed, and everything else that was begun on them is waited for, too.
    pub async fn retire(&self, deadline: Duration) {
        let Listener { local, connections, work, .. } = &*self.listener;
        let closes = self.give_up();
        self.work.close();
        let finished = async {
            self.work.wait().await;
            if closes {
                connections.wait().await;
                work.wait().await;
            }
        };
        if tokio::time::timeout(deadline, finished).await.is_err() {
            let (requests, connections) = if closes { (work.len(), connections.len()) } else { (self.work.len(), 0) };
            let says = "requests did not finish within graceful_shutdown_timeout; with the process they are cut off";
            tracing::warn!(addr = %local, requests, connections, "{says}");
        }
    }

    /// Whether the listener ends with it.
    fn give_up(&self) -> bool {
        !self.given_up.swap(true, Ordering::Relaxed) && self.listener.release()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.give_up();
    }
}
