//! Exports that change while a component runs.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::telemetry::metrics::ComponentLabels;

/// The components whose exports have changed since they were last looked at. At most as many as run.
#[derive(Default)]
pub struct Changes {
    components: Mutex<BTreeSet<ComponentLabels>>,
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

    /// What has changed, which is then known.
    pub(crate) fn take(&self) -> BTreeSet<ComponentLabels> {
        std::mem::take(&mut *self.components.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Changed {
    /// What refers to the component's exports is to be evaluated again.
    pub fn tell(&self) {
        let mut components = self.changes.components.lock().unwrap_or_else(PoisonError::into_inner);
        components.insert(self.component.clone());
        drop(components);
        self.changes.told.notify_one();
    }
}
