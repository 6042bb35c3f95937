//! One JVM: what is to be done with it, and how that goes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::{Semaphore, watch};

use super::failure::Failure;
use super::plan::Order;

/// Recordings of one JVM that wait for the receivers; further ones are dropped.
const ON_THEIR_WAY: usize = 4;
/// Bytes of an error that are shown.
const ERROR: usize = 1_000;

/// One JVM.
pub(super) struct TargetLoop {
    pub(super) pid: u32,
    /// None: there is nothing more to do.
    orders: watch::Sender<Option<Arc<Order>>>,
    pub(super) sends: Arc<Semaphore>,
    shown: Mutex<Shown>,
}

/// What is shown of it.
#[derive(Clone)]
pub(super) struct Shown {
    pub(super) state: State,
    pub(super) total_bytes: u64,
    pub(super) total_samples: u64,
    pub(super) last_profiled: Option<SystemTime>,
    pub(super) last_error: Option<(SystemTime, Box<str>)>,
    /// Of the last recording, by the names of its profiles.
    pub(super) last_bytes: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Attaching,
    Recording,
    /// It is tried again.
    Failed,
}

impl TargetLoop {
    pub(super) fn new(pid: u32, order: Arc<Order>) -> Arc<Self> {
        let shown = Shown {
            state: State::Attaching,
            total_bytes: 0,
            total_samples: 0,
            last_profiled: None,
            last_error: None,
            last_bytes: BTreeMap::new(),
        };
        let sends = Arc::new(Semaphore::new(ON_THEIR_WAY));
        Arc::new(Self { pid, orders: watch::Sender::new(Some(order)), sends, shown: Mutex::new(shown) })
    }

    /// What is to be done from now on. What is recorded goes on where nothing of it is said.
    pub(super) fn aim(&self, order: &Arc<Order>) {
        self.orders.send_if_modified(|current| {
            let differs = current.as_ref().is_none_or(|current| current.differs(order));
            *current = Some(order.clone());
            differs
        });
    }

    pub(super) fn end(&self) {
        self.orders.send_if_modified(|current| current.take().is_some());
    }

    pub(super) fn orders(&self) -> watch::Receiver<Option<Arc<Order>>> {
        self.orders.subscribe()
    }

    /// What is to be done with it now.
    pub(super) fn order(&self) -> Option<Arc<Order>> {
        self.orders.borrow().clone()
    }

    pub(super) fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shown {
    pub(super) fn fail(&mut self, failure: &Failure) {
        let mut text = failure.to_string();
        text.truncate(text.floor_char_boundary(ERROR));
        self.last_error = Some((SystemTime::now(), text.into()));
    }
}

impl State {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Attaching => "attaching",
            Self::Recording => "recording",
            Self::Failed => "failed",
        }
    }
}
