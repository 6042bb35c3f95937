//! The process' figures over the last minutes, taken while someone looks and forgotten some time after.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::graph::Controller;

mod history;

pub(super) use history::{History, Key};

/// Between two looks at the figures.
pub(super) const INTERVAL: Duration = Duration::from_secs(2);
/// So long after the last look at a page the figures are taken no more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10 * 60);

/// Takes the figures.
pub(super) struct Pulse {
    controller: Arc<Controller>,
    history: watch::Sender<Arc<History>>,
    /// When a page was last asked for; none where no figures are taken.
    looked: Mutex<Option<Instant>>,
}

impl Pulse {
    pub(super) fn new(controller: Arc<Controller>) -> Arc<Self> {
        Arc::new(Self { controller, history: watch::Sender::new(Arc::default()), looked: Mutex::new(None) })
    }

    /// What is known by now, and the changes to come.
    pub(super) fn watch(self: &Arc<Self>) -> watch::Receiver<Arc<History>> {
        let begins = self.looked.lock().unwrap_or_else(PoisonError::into_inner).replace(Instant::now()).is_none();
        if begins {
            self.take();
            let pulse = self.clone();
            tokio::spawn(async move {
                tokio::select! {
                    () = pulse.beat() => {}
                    () = pulse.controller.stopping() => {}
                }
            });
        }
        self.history.subscribe()
    }

    async fn beat(&self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            if self.is_forgotten() {
                self.history.send_replace(Arc::default());
                return;
            }
            self.take();
        }
    }

    fn is_forgotten(&self) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = looked.is_none_or(|looked| looked.elapsed() > FORGOTTEN_AFTER);
        let forgotten = is_old && self.history.receiver_count() == 0;
        if forgotten {
            *looked = None;
        }
        forgotten
    }

    fn take(&self) {
        // The text is written into memory, which does not fail.
        let text = self.controller.metrics().unwrap_or_default();
        let graph = self.controller.graph();
        let flows = graph.all_details().into_iter().filter_map(|detail| Some((detail.path(), detail.flow()?)));
        let history = self.history.borrow().with(Instant::now(), &text, flows);
        self.history.send_replace(Arc::new(history));
    }
}
