//! Addresses that are listened on, kept over reloads: a listener that is still wanted is never closed in between.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::ingest::{BindError, Claim, Listener, ListenerAddress};
use crate::telemetry::metrics::ComponentLabels;
use crate::workers::Workers;

/// All listeners of the process, by address. They belong to the components; here they are only found.
#[derive(Default)]
pub struct Listeners(Mutex<Known>);

#[derive(Default)]
struct Known {
    bound: HashMap<Key, Weak<Listener>>,
    /// Serve the connections of all of them; started when they are first wanted.
    workers: Option<Workers>,
}

/// Port 0 is another free port for each component that asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    address: ListenerAddress,
    component: Option<ComponentLabels>,
}

/// Why a component cannot have an address.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The system does not let us listen.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The system gives no threads.
    #[error("no threads to serve connections: {0}")]
    Workers(#[source] io::Error),
}

impl Listeners {
    /// A claim on an address: on the listener that is there, whoever has it now, or on a new one.
    pub fn claim(&self, address: &ListenerAddress, component: &ComponentLabels) -> Result<Claim, ClaimError> {
        let component = address.is_any().then(|| component.clone());
        let key = Key { address: address.clone(), component };
        let mut known = self.known();
        known.bound.retain(|_, listener| listener.strong_count() > 0);
        if let Some(claim) = known.bound.get(&key).and_then(Weak::upgrade).and_then(|listener| listener.claim()) {
            return Ok(claim);
        }
        let claim = Listener::bind(address, known.workers().map_err(ClaimError::Workers)?)?;
        known.bound.insert(key, Arc::downgrade(claim.listener()));
        Ok(claim)
    }

    /// The threads that serve connections, for what is as short-lived there.
    ///
    /// # Errors
    /// When there are none yet, and the system gives none.
    pub fn workers(&self) -> io::Result<Workers> {
        self.known().workers()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn workers(&mut self) -> io::Result<Workers> {
        match &self.workers {
            Some(workers) => Ok(workers.clone()),
            None => Ok(self.workers.insert(Workers::start()?).clone()),
        }
    }
}
