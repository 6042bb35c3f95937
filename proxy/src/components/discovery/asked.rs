//! Sources that are asked for all of their targets, from time to time.

use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use profiler_core::labels::Labels;
use tokio::time::{sleep, timeout};

use super::{Found, Search};

/// Who can be asked.
pub(super) trait Source: Send + Sync + 'static {
    /// Why there is no good answer.
    type Error: Display + Send;

    /// Asks for all targets. The deadline is the caller's.
    fn ask(&self) -> impl Future<Output = Result<Vec<Labels>, Self::Error>> + Send;

    /// How it is called in what the user is told.
    fn name(&self) -> &str;

    /// There was no good answer.
    fn failed(&self) {}
}

/// A source, and its last good answer.
pub(super) struct Asked<S> {
    source: S,
    refresh_interval: Duration,
    seen: Mutex<Vec<Labels>>,
}

impl<S: Source> Asked<S> {
    /// Knows what `previous` was answered.
    pub(super) fn new(source: S, refresh_interval: Duration, previous: Option<&Self>) -> Arc<Self> {
        let seen = Mutex::new(previous.map(|previous| previous.seen().clone()).unwrap_or_default());
        Arc::new(Self { source, refresh_interval, seen })
    }

    /// Asks at once, and then in each interval.
    pub(super) fn search(self: &Arc<Self>) -> impl Search {
        Following { asked: self.clone(), began: false }
    }

    /// Asks once; no longer than an interval. Where there is no good answer the targets of the last one stay.
    pub(super) async fn look(&self) -> Found {
        let problem = match timeout(self.refresh_interval, self.source.ask()).await {
            Ok(Ok(targets)) => {
                self.seen().clone_from(&targets);
                return Found { targets, problems: Vec::new() };
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no whole answer within refresh_interval ({:?})", self.refresh_interval),
        };
        self.source.failed();
        Found { targets: self.seen().clone(), problems: vec![format!("{}: {problem}", self.source.name())] }
    }

    fn seen(&self) -> MutexGuard<'_, Vec<Labels>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Following<S> {
    asked: Arc<Asked<S>>,
    began: bool,
}

impl<S: Source> Search for Following<S> {
    async fn next(&mut self) -> Found {
        if std::mem::replace(&mut self.began, true) {
            sleep(self.asked.refresh_interval).await;
        }
        self.asked.look().await
    }
}
