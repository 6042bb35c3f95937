//! Addresses that are listened on, kept over reloads: a listener that is still wanted is never closed in between.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::ingest::{BindError, Claim, Listener, ListenerAddress};
use crate::telemetry::metrics::ComponentLabels;

/// All listeners of the process, by address. They belong to the components; here they are only found.
#[derive(Default)]
pub struct Listeners(Mutex<HashMap<Key, Weak<Listener>>>);

/// Port 0 is another free port for each component that asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    address: ListenerAddress,
    component: Option<ComponentLabels>,
}

/// Why a component cannot have an address.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ClaimError(#[from] BindError);

impl Listeners {
    /// A claim on an address: on the listener that is there, whoever has it now, or on a new one.
    pub fn claim(&self, address: &ListenerAddress, component: &ComponentLabels) -> Result<Claim, ClaimError> {
        let component = address.is_any().then(|| component.clone());
        let key = Key { address: address.clone(), component };
        let mut bound = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bound.retain(|_, listener| listener.strong_count() > 0);
        if let Some(claim) = bound.get(&key).and_then(Weak::upgrade).and_then(|listener| listener.claim()) {
            return Ok(claim);
        }
        let claim = Listener::bind(address)?;
        bound.insert(key, Arc::downgrade(claim.listener()));
        Ok(claim)
    }
}
