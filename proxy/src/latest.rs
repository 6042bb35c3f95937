//! Content that is read again while a component runs: the last good one, and how the last attempt went.

use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinSet;

use crate::component::{Changed, Context, Health, HealthState};
use crate::telemetry::metrics::ComponentLabels;

/// Where content comes from, again and again.
pub(crate) trait Reread: Send + 'static {
    /// What is read.
    type Content: Send + 'static;
    /// Why it cannot be read.
    type Error: Display + Send;

    /// Waits until it is time, and reads. What is wrong is told to the user.
    fn next(&mut self) -> impl Future<Output = Result<Self::Content, Self::Error>> + Send;
}

/// The last good content.
pub(crate) struct Latest<T> {
    kept: Arc<Kept<T>>,
    /// Reads again, once the component has its place; ends with it.
    reading: Mutex<JoinSet<()>>,
}

struct Kept<T> {
    state: Mutex<State<T>>,
    component: ComponentLabels,
    changed: Changed,
}

struct State<T> {
    content: T,
    health: Health,
}

impl<T: Clone + PartialEq + Send + 'static> Latest<T> {
    /// Of what was read when the component was built.
    pub(crate) fn new(content: T, context: &Context<'_>) -> Self {
        let state = Mutex::new(State { content, health: Health::healthy(READ) });
        let kept = Kept { state, component: context.component.clone(), changed: context.changed() };
        Self { kept: Arc::new(kept), reading: Mutex::default() }
    }

    /// The last good content.
    pub(crate) fn content(&self) -> T {
        self.kept.state().content.clone()
    }

    /// How the last attempt went.
    pub(crate) fn health(&self) -> Health {
        self.kept.state().health.clone()
    }

    /// Reads again until [`stop`](Self::stop), on the runtime, and tells of content that is another than before.
    pub(crate) fn follow(&self, mut source: impl Reread<Content = T>) {
        let kept = self.kept.clone();
        let reading = async move {
            loop {
                let read = source.next().await;
                kept.take(read);
            }
        };
        self.reading().spawn(reading);
    }

    /// Reads no more.
    pub(crate) fn stop(&self) {
        self.reading().abort_all();
    }

    fn reading(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const READ: &str = "content read";

impl<T: PartialEq> Kept<T> {
    fn take(&self, read: Result<T, impl Display>) {
        let component_id = &self.component;
        let mut state = self.state();
        let read = match read {
            Ok(content) => content,
            Err(error) => {
                let message = format!("{error}; the last content stays");
                if state.health.message != message {
                    tracing::error!(%component_id, err = %error, "cannot read again, the last content stays");
                    state.health = Health::unhealthy(message);
                }
                return;
            }
        };
        if state.health.state != HealthState::Healthy {
            tracing::info!(%component_id, "content read again");
            state.health = Health::healthy(READ);
        }
        if state.content != read {
            state.content = read;
            drop(state);
            self.changed.tell();
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
