//! A filter as a component has it: the generation that runs, and what keeps a slow one from hurting others.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use bytes::Bytes;
use nix::time::{ClockId, clock_gettime};
use profiler_core::labels::Labels;
use profiler_core::pprof::edit::Edited;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::breaker::{Admitted, BreakerState, Settled};
use super::pool::Pool;
use super::{AnswerError, FilterError, FilterHost, Generation, Verdict, World};
use crate::pipeline::Share;
use crate::telemetry::metrics::FilterMetrics;

/// A call that takes longer moves its filter's calls away from the threads that serve.
const QUICK: Duration = Duration::from_millis(1);
/// So many quick calls in a row bring them back.
const PROBATION: u32 = 256;
/// The longest that a call waits for its turn on the other threads.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// A filter that runs.
pub struct Filter {
    current: ArcSwap<Generation>,
    /// Bounds what one slow filter takes from the other slow ones.
    turns: Semaphore,
    pool: Pool,
    metrics: FilterMetrics,
    observed: Mutex<Observed>,
}

/// A verdict, and whether it was made before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The verdict.
    pub verdict: Verdict,
    /// Whether it was kept from an earlier call.
    pub from_cache: bool,
}

/// A verdict on a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgedProfile {
    /// The verdict.
    pub verdict: Verdict,
    /// What became of the profile, where it is not dropped.
    pub profile: Edited,
}

/// What was seen of a filter, for whoever looks for a fault.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// The last call that gave no verdict: when, and why.
    pub last_error: Option<(SystemTime, String)>,
    /// The longest call.
    pub slowest_call: Duration,
}

/// A call that was made.
struct Call<T> {
    answer: Result<T, FilterError>,
    took: Duration,
    /// Processor time.
    used: Duration,
}

impl Filter {
    /// Runs a generation.
    pub fn new(generation: Arc<Generation>, host: &FilterHost, metrics: FilterMetrics) -> Self {
        Self {
            current: ArcSwap::new(generation),
            turns: Semaphore::new((Pool::size() / 2).max(1)),
            pool: host.pool().clone(),
            metrics,
            observed: Mutex::default(),
        }
    }

    /// What becomes of a series with these labels.
    ///
    /// # Errors
    /// [`FilterError::NeedsProfile`] where [`judge_profile`](Self::judge_profile) is to be asked; else why there is no
    /// verdict, which is counted.
    pub async fn judge(&self, labels: &Labels) -> Result<Judged, FilterError> {
        if let Some(verdict) = self.current.load().find(labels) {
            self.metrics.cache_hits.inc();
            return Ok(Judged { verdict, from_cache: true });
        }
        // Held over the call: the verdict belongs to this generation, whichever runs afterwards.
        let generation = self.current.load_full();
        if generation.filter().module().world() == World::Profile {
            return Err(FilterError::NeedsProfile);
        }
        if generation.remembers() {
            self.metrics.cache_misses.inc();
        }
        let asked = self.ask_on_labels(&generation, labels).await;
        if let Ok(verdict) = &asked {
            generation.remember(labels, verdict);
        }
        let verdict = self.seen_to_end(asked)?;
        Ok(Judged { verdict, from_cache: false })
    }

    /// What becomes of a series with these labels and this pprof profile. Of filters of either kind.
    ///
    /// Always on a thread that may take its time: to open a profile takes some milliseconds a megabyte. The memory that
    /// it takes is charged to `memory`.
    ///
    /// # Errors
    /// Why there is no verdict; it is counted.
    pub async fn judge_profile(
        &self,
        labels: &Labels,
        profile: &Bytes,
        memory: Share,
    ) -> Result<JudgedProfile, FilterError> {
        let generation = self.current.load_full();
        let asked = self.ask_on_profile(&generation, labels, profile, memory).await;
        self.seen_to_end(asked)
    }

    /// Counts an answer that fits none before it.
    pub fn wrong_answer(&self, wrong: AnswerError) -> FilterError {
        let error = FilterError::from(wrong);
        self.note(&error);
        error
    }

    /// The generation that runs.
    pub fn generation(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// Another generation takes its place; calls that run end where they began.
    pub fn swap(&self, generation: Arc<Generation>) {
        // Whoever sees the new one sees it counted.
        self.metrics.swaps.inc();
        self.current.store(generation);
        self.show();
    }

    /// Its series.
    pub fn metrics(&self) -> &FilterMetrics {
        &self.metrics
    }

    /// Whether it is asked.
    pub fn breaker(&self) -> BreakerState {
        self.current.load().breaker.state()
    }

    /// What was seen of it.
    pub fn seen(&self) -> Observed {
        self.observed().clone()
    }

    /// Brings the gauges up to date.
    pub fn show(&self) {
        let generation = self.current.load();
        let (usage, cache) = (generation.filter().usage(), generation.cache_size());
        let gauge = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.metrics.instances.set(gauge(usage.instances()));
        self.metrics.memory_max.set(gauge(usage.memory_high_water()));
        self.metrics.cache_entries.set(gauge(cache.entries));
        self.metrics.cache_bytes.set(gauge(cache.bytes));
        self.metrics.breaker.set(match generation.breaker.state() {
            BreakerState::Closed => 0,
            BreakerState::HalfOpen => 1,
            BreakerState::Open => 2,
        });
    }

    async fn ask_on_labels(&self, generation: &Arc<Generation>, labels: &Labels) -> Result<Verdict, FilterError> {
        let admitted = generation.breaker.admit()?;
        let here = match generation.probation.load(Ordering::Relaxed) {
            0 => call_here(generation, labels),
            _ => None,
        };
        let call = match here {
            Some(call) => call,
            None => {
                let (asked, labels) = (generation.clone(), labels.clone());
                self.call_aside(move || asked.filter().apply(&labels)).await?
            }
        };
        if call.took > QUICK {
            generation.probation.store(PROBATION, Ordering::Relaxed);
        } else {
            // Never below 0, whoever counts at the same time.
            let fewer = |missing: u32| missing.checked_sub(1);
            let _counted = generation.probation.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_ok();
        }
        self.settle(generation, admitted, call)
    }

    async fn ask_on_profile(
        &self,
        generation: &Arc<Generation>,
        labels: &Labels,
        profile: &Bytes,
        memory: Share,
    ) -> Result<JudgedProfile, FilterError> {
        let admitted = generation.breaker.admit()?;
        let (asked, labels, profile) = (generation.clone(), labels.clone(), profile.clone());
        let call = self.call_aside(move || {
            let applied = asked.filter().apply_to_profile(&labels, &profile, memory);
            applied.map(|(verdict, profile)| JudgedProfile { verdict, profile })
        });
        self.settle(generation, admitted, call.await?)
    }

    /// What a call tells of its filter.
    fn settle<T>(&self, generation: &Generation, admitted: Admitted<'_>, call: Call<T>) -> Result<T, FilterError> {
        self.metrics.calls.inc();
        self.metrics.call_seconds.observe(call.took.as_secs_f64());
        if call.took > QUICK {
            let mut observed = self.observed();
            observed.slowest_call = observed.slowest_call.max(call.took);
        }
        let timed_out = matches!(call.answer, Err(FilterError::Timeout(_)));
        let component_id = &*generation.filter().settings().name;
        match admitted.settle(timed_out, call.used) {
            Settled::AsBefore => {}
            Settled::Opened(reason) => {
                self.metrics.breaker_openings.inc();
                tracing::warn!(component_id, %reason, "the filter is not asked for a while");
            }
            Settled::Closed => tracing::info!(component_id, "the filter is asked again"),
        }
        call.answer
    }

    /// Counts an error, and brings the gauges up to date.
    fn seen_to_end<T>(&self, asked: Result<T, FilterError>) -> Result<T, FilterError> {
        if let Err(error) = &asked {
            self.note(error);
        }
        self.show();
        asked
    }

    fn note(&self, error: &FilterError) {
        self.metrics.error(error.kind());
        self.observed().last_error = Some((SystemTime::now(), error.to_string()));
    }

    /// On a thread that may take its time.
    async fn call_aside<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> Result<T, FilterError> + Send + 'static,
    ) -> Result<Call<T>, FilterError> {
        let turn = timeout(LONGEST_WAIT, self.turns.acquire()).await;
        let call = self.pool.run(move || {
            let (began, processor) = (Instant::now(), processor_time());
            let answer = call();
            Call { answer, took: began.elapsed(), used: processor_time().saturating_sub(processor) }
        });
        match turn {
            Ok(Ok(_turn)) => call.await.ok_or(FilterError::Busy),
            // Nobody closes the semaphore: it was the wait that took too long.
            Ok(Err(_)) | Err(_) => Err(FilterError::Busy),
        }
    }

    fn observed(&self) -> std::sync::MutexGuard<'_, Observed> {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// On this thread, where an instance waits.
fn call_here(generation: &Generation, labels: &Labels) -> Option<Call<Verdict>> {
    let began = Instant::now();
    let answer = generation.filter().apply_waiting(labels)?;
    let took = began.elapsed();
    // Such calls are short: what else ran meanwhile cannot have been much.
    Some(Call { answer, took, used: took })
}

/// Of this thread so far.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}
