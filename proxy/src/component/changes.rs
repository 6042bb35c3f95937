//! Exports that change while a component runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use crate::telemetry::metrics::ComponentLabels;

/// The components whose exports have changed since they were last looked at. At most as many as run.
#[derive(Default)]
pub struct Changes {
    components: Mutex<BTreeMap<ComponentLabels, Instant>>,
    told: Notify,
}

/// With this a component says that its exports are others by now.
#[derive(Clone)]
pub struct Changed {
    component: ComponentLabels,
    changes: Arc<Changes>,
}

impl Changes {
    /// The handle of one component.
    pub fn of(self: &Arc<Self>, component: &ComponentLabels) -> Changed {
        Changed { component: component.clone(), changes: self.clone() }
    }

    /// Waits until something has changed.
    pub(crate) async fn wait(&self) {
        self.told.notified().await;
    }

    /// What has changed and when first, which is then known.
    pub(crate) fn take(&self) -> BTreeMap<ComponentLabels, Instant> {
        std::mem::take(&mut *self.locked())
    }

    /// How many have changed.
    pub(crate) fn len(&self) -> usize {
        self.locked().len()
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<ComponentLabels, Instant>> {
        self.components.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Changed {
    /// What refers to the component's exports is to be evaluated again.
    pub fn tell(&self) {
        self.changes.locked().entry(self.component.clone()).or_insert_with(Instant::now);
        self.changes.told.notify_one();
    }
}
