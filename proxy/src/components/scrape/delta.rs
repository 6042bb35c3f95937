//! Deltas of what targets count from their start; those of large profiles are made on threads for slow calls, few at a
//! time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use profiler_core::pprof::delta::{Counters, Delta, DeltaError, DeltaLimits, DeltaMemory, DeltaSeries, DeltaUsage};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::fetch::ScrapeError;
use crate::telemetry::metrics::ScrapeMetrics;

/// Bytes that one series may remember: some million stacks.
const MOST_OF_A_SERIES: usize = 16 << 20;
/// Deltas of large profiles at once: each holds a profile unpacked, and its tables.
const MOST_AT_ONCE: usize = 4;
/// Bytes of a profile that is not worth another thread, nor unpacks to much: at most a thousand times as many.
const SMALL: usize = 16 << 10;

/// What all series of one component remember.
pub(super) struct Deltas {
    memory: DeltaMemory,
    turns: Arc<Semaphore>,
    metrics: ScrapeMetrics,
    /// What the metrics say.
    told: Mutex<DeltaUsage>,
}

/// One target's profiles of one kind. What they left is given back when it is dropped.
pub(super) struct Series {
    counters: &'static Counters,
    /// Of one target there is one scrape at a time: nobody waits here.
    series: Mutex<DeltaSeries>,
    deltas: Arc<Deltas>,
}

impl Deltas {
    pub(super) fn new(metrics: ScrapeMetrics) -> Arc<Self> {
        let cores = available_parallelism().map_or(1, usize::from);
        Arc::new(Self {
            memory: DeltaMemory::new(limits(0, 0)),
            turns: Arc::new(Semaphore::new(cores.min(MOST_AT_ONCE))),
            metrics,
            told: Mutex::default(),
        })
    }

    /// Bytes that all series may remember, and those of a profile once unpacked.
    pub(super) fn limit(&self, total: usize, message: usize) {
        self.memory.limit(limits(total, message));
        self.tell();
    }

    pub(super) fn series(self: &Arc<Self>, counters: &'static Counters) -> Arc<Series> {
        let series = Mutex::new(self.memory.series(*counters));
        Arc::new(Series { counters, series, deltas: self.clone() })
    }

    fn tell(&self) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let usage = self.memory.usage();
        let gauge = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.metrics.delta_series.set(gauge(usage.series));
        self.metrics.delta_bytes.set(gauge(usage.bytes));
        self.metrics.delta_resets.add(usage.resets.saturating_sub(told.resets));
        self.metrics.delta_evictions.add(usage.evictions.saturating_sub(told.evictions));
        *told = usage;
    }
}

impl Series {
    /// Whether it is of these counters.
    pub(super) fn counts(&self, counters: &Counters) -> bool {
        self.counters == counters
    }

    /// What was counted since the profile before. `at` is when it came, for one that does not say when it was taken.
    ///
    /// # Errors
    /// The profile cannot be read, or the process ends.
    pub(super) async fn delta(self: &Arc<Self>, profile: Bytes, at: SystemTime) -> Result<Delta, ScrapeError> {
        if profile.len() <= SMALL {
            return Ok(self.compare(&profile, at)?);
        }
        // Nobody closes it. It is the thread's: who waits here may go away.
        let turn = self.deltas.turns.clone().acquire_owned().await.ok();
        let this = self.clone();
        let delta = spawn_blocking(move || {
            let delta = this.compare(&profile, at);
            drop(turn);
            delta
        });
        Ok(delta.await??)
    }

    fn compare(&self, profile: &Bytes, at: SystemTime) -> Result<Delta, DeltaError> {
        let delta = self.series().delta(profile, nanoseconds(at));
        self.deltas.tell();
        delta
    }

    fn series(&self) -> MutexGuard<'_, DeltaSeries> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Series {
    fn drop(&mut self) {
        self.series().forget();
        self.deltas.tell();
    }
}

fn nanoseconds(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

fn limits(total: usize, message: usize) -> DeltaLimits {
    DeltaLimits { message, series: MOST_OF_A_SERIES, total }
}
