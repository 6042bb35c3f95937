//! Spans that have ended wait here for the next batch.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{Consumer, FinishedSpan, SpanBatch};
use crate::telemetry::metrics::TracingMetrics;

/// Spans that wait at most; the default of OpenTelemetry's SDKs.
const QUEUE: usize = 2048;
/// Spans of a batch; theirs too.
const BATCH: usize = 512;
/// The longest that a span waits for others; theirs too.
const PATIENCE: Duration = Duration::from_secs(5);
/// In which consumers that end must have taken what is there.
const FLUSH: Duration = Duration::from_secs(5);

/// A bounded queue of spans, and the task that makes batches of them. What finds it full is dropped and counted.
#[derive(Debug)]
pub struct Recorder {
    spans: mpsc::Sender<FinishedSpan>,
    consumers: watch::Sender<Consumers>,
    stop: Arc<Notify>,
    batching: Mutex<Batching>,
    metrics: TracingMetrics,
}

/// To whom batches go.
#[derive(Debug, Clone, Default)]
struct Consumers {
    /// Counts the changes.
    generation: u64,
    all: Arc<[Consumer]>,
}

#[derive(Debug)]
enum Batching {
    NotYet(mpsc::Receiver<FinishedSpan>),
    Running {
        task: JoinHandle<()>,
        /// The generation of consumers that have batches by now.
        followed: watch::Receiver<u64>,
    },
    Over,
}

impl Recorder {
    /// A recorder that nothing leaves before it is told to whom.
    pub fn new(metrics: TracingMetrics) -> Self {
        let (spans, receiver) = mpsc::channel(QUEUE);
        let batching = Mutex::new(Batching::NotYet(receiver));
        Self { spans, consumers: watch::Sender::default(), stop: Arc::default(), batching, metrics }
    }

    /// Hands batches to these from now on, and what is there already to those before. The first call starts it, on the
    /// runtime.
    pub fn send_to(&self, consumers: Vec<Consumer>) {
        self.consumers.send_modify(|current| {
            *current = Consumers { generation: current.generation + 1, all: consumers.into() };
        });
        let mut batching = self.locked();
        *batching = match std::mem::replace(&mut *batching, Batching::Over) {
            Batching::NotYet(spans) => {
                let (following, followed) = watch::channel(0);
                let mut wanted = self.consumers.subscribe();
                let consumers = wanted.borrow_and_update().clone();
                let batcher = Batcher { spans, batch: Vec::new(), consumers, wanted, following };
                Batching::Running { task: tokio::spawn(batcher.run(self.stop.clone())), followed }
            }
            other => other,
        };
    }

    /// Returns once those before the present consumers have what is theirs, or did not take it within some seconds.
    pub async fn followed(&self) {
        let followed = match &*self.locked() {
            Batching::Running { followed, .. } => Some(followed.clone()),
            Batching::NotYet(_) | Batching::Over => None,
        };
        let Some(mut followed) = followed else { return };
        let wanted = self.consumers.borrow().generation;
        // Where the task is gone nobody gets anything any more.
        let _in_time = tokio::time::timeout(FLUSH, followed.wait_for(|generation| *generation >= wanted)).await.is_ok();
    }

    /// Hands on what is there, and ends; returns once it is taken, or was not within some seconds.
    pub async fn stop(&self) {
        let running = std::mem::replace(&mut *self.locked(), Batching::Over);
        let Batching::Running { mut task, .. } = running else { return };
        self.stop.notify_one();
        if tokio::time::timeout(FLUSH, &mut task).await.is_err() {
            task.abort();
            // Cancelled, as it was told to be.
            let _cancelled = task.await.is_err();
            tracing::warn!("the last spans were not taken within {FLUSH:?} and are lost");
        }
    }

    pub(super) fn record(&self, span: FinishedSpan) {
        match self.spans.try_send(span) {
            Ok(()) => self.metrics.recorded.inc(),
            Err(_) => self.metrics.dropped.inc(),
        }
    }

    fn locked(&self) -> MutexGuard<'_, Batching> {
        self.batching.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task's own.
struct Batcher {
    spans: mpsc::Receiver<FinishedSpan>,
    batch: Vec<FinishedSpan>,
    consumers: Consumers,
    wanted: watch::Receiver<Consumers>,
    following: watch::Sender<u64>,
}

impl Batcher {
    /// Until it is told to stop. While no span waits nothing wakes it.
    async fn run(mut self, stop: Arc<Notify>) {
        let mut due = Instant::now();
        self.following.send_replace(self.consumers.generation);
        loop {
            let was_empty = self.batch.is_empty();
            let room = BATCH - self.batch.len();
            tokio::select! {
                biased;
                () = stop.notified() => break,
                Ok(()) = self.wanted.changed() => self.follow().await,
                () = tokio::time::sleep_until(due), if !was_empty => self.hand_on().await,
                received = self.spans.recv_many(&mut self.batch, room) => {
                    if received == 0 {
                        // The recorder is gone.
                        break;
                    }
                    if was_empty {
                        due = Instant::now() + PATIENCE;
                    }
                    if self.batch.len() >= BATCH {
                        self.hand_on().await;
                    }
                }
            }
        }
        // Nothing comes in any more, and what is inside comes out.
        self.spans.close();
        self.flush().await;
    }

    /// Gives the consumers so far what is theirs and goes on to the next ones.
    async fn follow(&mut self) {
        self.flush().await;
        self.consumers = self.wanted.borrow_and_update().clone();
        self.following.send_replace(self.consumers.generation);
    }

    /// Hands on what there is now.
    async fn flush(&mut self) {
        // What comes meanwhile is not waited for.
        let mut left = self.spans.len();
        while left > 0 {
            let room = (BATCH - self.batch.len()).min(left);
            left -= self.spans.recv_many(&mut self.batch, room).await.clamp(1, left);
            self.hand_on().await;
        }
        self.hand_on().await;
    }

    async fn hand_on(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let batch: SpanBatch = std::mem::take(&mut self.batch).into();
        join_all(self.consumers.all.iter().map(|consumer| consumer.consume(batch.clone()))).await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;

    use super::super::{ConsumeSpans, Sampler, SpanKind, Tracer, TracerSettings};
    use super::*;

    /// Tells of each batch how large it was.
    struct Sizes(mpsc::Sender<usize>);

    impl ConsumeSpans for Sizes {
        fn consume(&self, batch: SpanBatch) -> BoxFuture<'_, ()> {
            async move { self.0.send(batch.len()).await.unwrap() }.boxed()
        }
    }

    /// A consumer, and the sizes of what it gets: one that waits and no more.
    fn sizes() -> (Consumer, mpsc::Receiver<usize>) {
        let (sender, receiver) = mpsc::channel(1);
        (Consumer::new("test".into(), Arc::new(Sizes(sender))), receiver)
    }

    struct Recording {
        recorder: Arc<Recorder>,
        tracer: Tracer,
        metrics: TracingMetrics,
    }

    impl Recording {
        fn start(consumer: Consumer) -> Self {
            let metrics = TracingMetrics::default();
            let recorder = Arc::new(Recorder::new(metrics.clone()));
            recorder.send_to(vec![consumer]);
            let tracer = Tracer::default();
            let sampler = Sampler::of_fraction(1.0);
            let settings = TracerSettings { sampler, send_traceparent: false, recorder: Some(recorder.clone()) };
            tracer.install(Arc::new(settings));
            Self { recorder, tracer, metrics }
        }

        fn record(&self, spans: usize) {
            for _ in 0..spans {
                drop(self.tracer.begin("test", SpanKind::Internal));
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_goes_when_it_is_full_or_has_waited() {
        let (consumer, mut sizes) = sizes();
        let recording = Recording::start(consumer);
        let began = Instant::now();
        recording.record(BATCH + 1);
        assert_eq!(sizes.recv().await, Some(BATCH));
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert_eq!(sizes.recv().await, Some(1));
        assert_eq!(began.elapsed(), PATIENCE);
        recording.record(2);
        recording.recorder.stop().await;
        assert_eq!(sizes.recv().await, Some(2));
        assert_eq!(began.elapsed(), PATIENCE);
        recording.record(3);
        let counts = (recording.metrics.recorded.count(), recording.metrics.dropped.count());
        assert_eq!(counts, (BATCH as u64 + 3, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn what_finds_the_queue_full_is_dropped_and_counted() {
        let (consumer, mut sizes) = sizes();
        let recording = Recording::start(consumer);
        // The first batch waits in the channel, the second one for room in it.
        for _ in 0..2 {
            recording.record(BATCH);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        recording.record(QUEUE + 7);
        assert_eq!(recording.metrics.dropped.count(), 7);
        for _ in 0..2 + QUEUE / BATCH {
            assert_eq!(sizes.recv().await, Some(BATCH));
        }
        recording.record(1);
        assert_eq!(sizes.recv().await, Some(1));
        assert_eq!(recording.metrics.dropped.count(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn other_consumers_get_what_comes_after_them() {
        let ((first, mut before), (second, mut after)) = (sizes(), sizes());
        let recording = Recording::start(first);
        recording.record(3);
        recording.recorder.send_to(vec![second]);
        recording.recorder.followed().await;
        assert_eq!(before.try_recv(), Ok(3));
        recording.record(2);
        assert_eq!(after.recv().await, Some(2));
        assert!(before.try_recv().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_consumer_that_takes_nothing_holds_nobody_up() {
        let (consumer, _sizes) = sizes();
        let recording = Recording::start(consumer);
        recording.record(3 * BATCH);
        let began = Instant::now();
        recording.recorder.send_to(Vec::new());
        recording.recorder.followed().await;
        recording.recorder.stop().await;
        assert_eq!(began.elapsed(), 2 * FLUSH);
    }
}
