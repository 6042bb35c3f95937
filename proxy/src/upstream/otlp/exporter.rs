//! Batches on their way to a server.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::super::Client;
use super::request::Body;
use super::{OtlpServer, RetrySettings};
use crate::telemetry::LogLimit;
use crate::telemetry::metrics::ExporterMetrics;
use crate::telemetry::traces::{ConsumeSpans, SpanBatch};
use crate::wire::otlp;

/// In which what is there must be taken when the exporter ends.
const FLUSH: Duration = Duration::from_secs(5);

/// What an exporter is made with.
#[derive(Debug)]
pub struct ExporterSettings {
    /// Names it in the log.
    pub component_id: Arc<str>,
    /// Where spans go.
    pub server: OtlpServer,
    /// How it is reached.
    pub client: Client,
    /// What is tried again.
    pub retry: RetrySettings,
    /// Where batches wait; `None`: whoever hands one over waits for its answer.
    pub queue: Option<QueueSettings>,
}

/// Where batches wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueSettings {
    /// Batches that wait at most.
    pub size: usize,
    /// Batches that are sent side by side.
    pub consumers: usize,
}

/// Exports spans.
pub struct SpanExporter {
    sending: Arc<Sending>,
    queue: Option<Queue>,
    capacity: usize,
}

struct Queue {
    consumers: usize,
    /// `None` once it is to end.
    sender: Mutex<Option<mpsc::Sender<Pending>>>,
    /// `None` once it has begun.
    receiver: Mutex<Option<mpsc::Receiver<Pending>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// What all batches share.
struct Sending {
    component_id: Arc<str>,
    server: OtlpServer,
    client: Client,
    retry: RetrySettings,
    metrics: ExporterMetrics,
    /// Of lines about spans that were not taken.
    failures: LogLimit,
    stopping: watch::Sender<bool>,
}

/// An encoded batch. Unless it is settled its spans count as failed when it is dropped.
struct Pending {
    body: Body,
    spans: u64,
    settled: bool,
    metrics: ExporterMetrics,
}

impl SpanExporter {
    /// An exporter, which sends nothing from its queue before it is started.
    pub fn new(settings: ExporterSettings, metrics: ExporterMetrics) -> Self {
        let ExporterSettings { component_id, server, client, retry, queue } = settings;
        let capacity = queue.map_or(0, |queue| queue.size);
        let queue = queue.map(|QueueSettings { size, consumers }| {
            let (sender, receiver) = mpsc::channel(size);
            let (sender, receiver) = (Mutex::new(Some(sender)), Mutex::new(Some(receiver)));
            Queue { consumers, sender, receiver, task: Mutex::default() }
        });
        let (failures, stopping) = (LogLimit::default(), watch::Sender::new(false));
        let sending = Arc::new(Sending { component_id, server, client, retry, metrics, failures, stopping });
        Self { sending, queue, capacity }
    }

    /// Begins to send, on the runtime.
    pub fn start(&self) {
        self.sending.metrics.capacity.set(i64::try_from(self.capacity).unwrap_or(i64::MAX));
        let Some(queue) = &self.queue else { return };
        let Some(receiver) = locked(&queue.receiver).take() else { return };
        let (sending, consumers) = (self.sending.clone(), queue.consumers);
        *locked(&queue.task) = Some(tokio::spawn(async move {
            let batches = stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
            batches.for_each_concurrent(consumers, |pending| sending.deliver(pending)).await;
        }));
    }

    /// Sends what is there once more, and ends; returns within some seconds.
    pub async fn stop(&self) {
        self.sending.stopping.send_replace(true);
        let Some(queue) = &self.queue else { return };
        drop(locked(&queue.sender).take());
        let Some(mut task) = locked(&queue.task).take() else { return };
        if tokio::time::timeout(FLUSH, &mut task).await.is_err() {
            task.abort();
            // Cancelled, as it was told to be.
            let _cancelled = task.await.is_err();
            let component_id = &self.sending.component_id;
            tracing::warn!(%component_id, "the last spans were not taken within {FLUSH:?} and are lost");
        }
    }
}

impl ConsumeSpans for SpanExporter {
    fn consume(&self, batch: SpanBatch) -> BoxFuture<'_, ()> {
        async move {
            let pending = self.sending.pending(&batch);
            drop(batch);
            match &self.queue {
                Some(queue) => queue.put(pending, &self.sending),
                None => self.sending.deliver(pending).await,
            }
        }
        .boxed()
    }
}

impl Queue {
    fn put(&self, pending: Pending, sending: &Sending) {
        let refused = match &*locked(&self.sender) {
            Some(sender) => sender.try_send(pending).err().map(mpsc::error::TrySendError::into_inner),
            None => Some(pending),
        };
        if let Some(mut refused) = refused {
            refused.settled = true;
            sending.metrics.refused.add(refused.spans);
            if let Some(line) = sending.failures.admit() {
                let (component_id, left_out) = (&sending.component_id, line.left_out);
                tracing::warn!(%component_id, left_out, "sending_queue is full: spans are lost");
            }
        }
    }
}

impl Sending {
    fn pending(&self, batch: &SpanBatch) -> Pending {
        self.metrics.queue.inc();
        let body = self.server.body(otlp::encode(batch));
        Pending { body, spans: batch.len() as u64, settled: false, metrics: self.metrics.clone() }
    }

    /// Sends a batch until it is taken, refused, or given up.
    async fn deliver(&self, mut pending: Pending) {
        let mut stopping = self.stopping.subscribe();
        let began = Instant::now();
        let mut failures = 0;
        loop {
            let failed = match self.server.attempt(&self.client, &pending.body).await {
                Ok(taken) => {
                    pending.settled = true;
                    let rejected = taken.rejected.min(pending.spans);
                    self.metrics.sent.add(pending.spans - rejected);
                    self.metrics.failed.add(rejected);
                    if rejected > 0 || !taken.message.is_empty() {
                        self.say(rejected, &taken.message);
                    }
                    return;
                }
                Err(failed) => failed,
            };
            failures += 1;
            let delay = self.retry.delay(failed.again, failures, began.elapsed());
            let Some(delay) = delay.filter(|_| !*stopping.borrow()) else {
                self.say(pending.spans, &failed.cause);
                return;
            };
            let (component_id, err) = (&self.component_id, &failed.cause);
            tracing::debug!(%component_id, failures, err, "spans not exported, trying again");
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                // What is left of the time is for one last attempt.
                _ = stopping.wait_for(|stop| *stop) => {}
            }
        }
    }

    fn say(&self, spans: u64, why: &str) {
        if let Some(line) = self.failures.admit() {
            let (component_id, left_out) = (&self.component_id, line.left_out);
            tracing::warn!(%component_id, spans, err = why, left_out, "spans not exported");
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.metrics.queue.dec();
        if !self.settled {
            self.metrics.failed.add(self.spans);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
