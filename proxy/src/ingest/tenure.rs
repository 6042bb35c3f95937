//! The app that answers on a listener, from one reload to the next.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{App, Limits, Protocols};

/// An app while it answers, and what it has begun until that is finished.
pub(super) struct Tenure {
    pub app: Arc<dyn App>,
    /// The app's, asked once.
    pub limits: Limits,
    /// The app's, asked once.
    pub protocols: Protocols,
    /// Tells the connections that were accepted under these terms to go. Successors with the same terms share it.
    leave: Arc<watch::Sender<bool>>,
    /// Requests of this app, and of the listener under whatever app.
    work: [TaskTracker; 2],
}

/// A request that is not finished, with or without its sender.
pub(super) struct Unfinished {
    _work: [TaskTrackerToken; 2],
}

impl Tenure {
    /// Of an app whose own requests are counted in the first tracker, in place of another.
    pub(super) fn new(app: Arc<dyn App>, work: [TaskTracker; 2], predecessor: Option<&Self>) -> Self {
        let (limits, protocols) = (app.limits(), app.protocols());
        let same = predecessor.filter(|predecessor| {
            terms(&predecessor.limits) == terms(&limits) && predecessor.protocols.are(&protocols)
        });
        let leave = same.map_or_else(|| Arc::new(watch::Sender::new(false)), |same| same.leave.clone());
        Self { app, limits, protocols, leave, work }
    }

    /// Whether a connection may stay when the other takes over.
    pub(super) fn keeps_connections_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.leave, &other.leave)
    }

    /// Tells the connections to go: with their next answer, or once they were idle for long enough.
    pub(super) fn dismiss(&self) {
        self.leave.send_replace(true);
    }

    /// Becomes `true` when a connection that is accepted now is to go.
    pub(super) fn leave(&self) -> watch::Receiver<bool> {
        let mut leave = self.leave.subscribe();
        // Pingora waits for a change, whatever the value: one that came first must show as well.
        if *leave.borrow() {
            leave.mark_changed();
        }
        leave
    }

    /// A request begins.
    pub(super) fn begin(&self) -> Unfinished {
        Unfinished { _work: self.work.each_ref().map(TaskTracker::token) }
    }
}

/// What a connection is served under for as long as it lives: where these change, it is to go.
fn terms(limits: &Limits) -> [Duration; 3] {
    [limits.read_timeout, limits.write_timeout, limits.idle_timeout]
}
