//! The queues of endpoints, kept over reloads, and those that no endpoint has any more.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use durable_queue::{Limits, OpenError, Orphan, Queue, Queues, Recovered, Stats};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::telemetry::metrics::{OrphanMetrics, WriteQueueMetrics};

/// The folder in that of the storage.
pub(crate) const FOLDER: &str = "queues";
/// How often to look for orphans that are too old. Those of a reload are seen at once.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);

/// All queues of the process, by the names of their folders.
pub struct WriteQueues {
    queues: Arc<Queues>,
    active: Mutex<HashMap<Arc<str>, Active>>,
    /// Told when a queue may have become an orphan.
    ended: Notify,
}

/// A queue from which is sent.
struct Active {
    queue: Queue,
    metrics: WriteQueueMetrics,
    /// What the metrics show.
    shown: Stats,
    stop: CancellationToken,
}

impl Active {
    fn show(&mut self) {
        let now = self.queue.stats();
        self.metrics.show(&self.shown, &now);
        self.shown = now;
    }
}

impl WriteQueues {
    /// Those beneath this storage folder.
    pub fn new(storage_path: &Path) -> Self {
        let queues = Arc::new(Queues::new(storage_path.join(FOLDER)));
        Self { queues, active: Mutex::default(), ended: Notify::new() }
    }

    /// Opens the queue of that name, which may be in use by whoever is to be replaced. It blocks.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn open(&self, name: &str, limits: Limits) -> Result<(Queue, Recovered), OpenError> {
        self.queues.open(name, limits)
    }

    /// Who sends from this queue from now on, and how it is told to stop; whoever did before is told so.
    pub fn begin(&self, name: &Arc<str>, queue: Queue, metrics: WriteQueueMetrics, stop: CancellationToken) {
        let mut active = self.locked();
        let mut shown = Stats::default();
        if let Some(mut before) = active.remove(name) {
            before.show();
            before.stop.cancel();
            shown = before.shown;
            if !before.metrics.are_those_of(&metrics) {
                before.metrics.forget();
            }
        }
        let mut begun = Active { queue, metrics, shown, stop };
        begun.show();
        active.insert(name.clone(), begun);
    }

    /// Whoever was told to stop has ended. Where nobody has taken over, there is nothing more to be shown of the queue.
    pub fn end(&self, name: &Arc<str>) {
        let mut active = self.locked();
        if active.get(name).is_some_and(|active| active.stop.is_cancelled())
            && let Some(ended) = active.remove(name)
        {
            ended.metrics.forget();
        }
        drop(active);
        self.ended.notify_one();
    }

    /// Brings the metrics up to date.
    pub fn show(&self) {
        self.locked().values_mut().for_each(Active::show);
    }

    /// Reports the queues that no endpoint has any more, once each, and removes them when all in them is too old; for as
    /// long as it is polled.
    pub async fn follow_orphans(&self, metrics: &OrphanMetrics) {
        let mut reported = HashSet::new();
        loop {
            let queues = self.queues.clone();
            let looked = tokio::task::spawn_blocking(move || look(&queues)).await;
            match looked {
                Ok(Ok(left)) => {
                    let bytes: u64 = left.iter().map(|orphan| orphan.bytes).sum();
                    metrics.queues.set(i64::try_from(left.len()).unwrap_or(i64::MAX));
                    metrics.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
                    reported.retain(|name| left.iter().any(|orphan| orphan.name == *name));
                    for Orphan { name, bytes, max_age, .. } in left {
                        if reported.insert(name.clone()) {
                            tracing::warn!(queue = %name, bytes, ?max_age, "a queue that no endpoint has: what waits in it is kept until max_age, and sent if an endpoint of that name comes back");
                        }
                    }
                }
                Ok(Err(error)) => tracing::warn!(err = %error, "the folder of the queues cannot be listed"),
                // The runtime ends.
                Err(_) => return,
            }
            tokio::select! {
                () = self.ended.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<Arc<str>, Active>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The orphans that are worth something; the others are removed.
fn look(queues: &Queues) -> io::Result<Vec<Orphan>> {
    let mut left = Vec::new();
    for orphan in queues.orphans()? {
        let age = SystemTime::now().duration_since(orphan.written).unwrap_or_default();
        if orphan.bytes > 0 && age <= orphan.max_age {
            left.push(orphan);
            continue;
        }
        match queues.remove_orphan(&orphan.name) {
            Ok(()) if orphan.bytes == 0 => {}
            Ok(()) => {
                let Orphan { name, bytes, max_age, .. } = orphan;
                tracing::warn!(queue = %name, bytes, ?max_age, "removed a queue that no endpoint has: all in it was too old");
            }
            // Somebody uses it by now.
            Err(OpenError::Locked(_)) => {}
            Err(error) => {
                tracing::warn!(err = %error, "a queue that no endpoint has cannot be removed");
                left.push(orphan);
            }
        }
    }
    Ok(left)
}
