//! A bound on the requests that retries add: a backend that is down under load is not buried under more of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// What the first attempt of a call earns when it fails: retries stay under a fifth of the traffic.
const PER_FAILURE: f64 = 0.2;
/// What an attempt earns that succeeds, so that calls which wait find their way once the backend is back.
const PER_SUCCESS: f64 = 1.0;
/// Retries that are kept in hand: all of one call with the usual `max_backoff_retries`, twice over.
const MOST: f64 = 20.0;
/// Earned with time, so that a call now and then is retried as the reference retries it.
const PER_SECOND: f64 = 1.0;

/// The retries that an endpoint has left.
#[derive(Debug)]
pub(super) struct RetryBudget {
    /// Nothing can be earned: successes, which are the usual case, need not take the lock.
    full: AtomicBool,
    purse: Mutex<Purse>,
}

#[derive(Debug)]
struct Purse {
    retries: f64,
    counted: Instant,
}

impl RetryBudget {
    pub(super) fn new() -> Self {
        Self { full: AtomicBool::new(true), purse: Mutex::new(Purse { retries: MOST, counted: Instant::now() }) }
    }

    /// An attempt succeeded.
    pub(super) fn succeeded(&self) {
        if !self.full.load(Ordering::Relaxed) {
            self.earn(PER_SUCCESS);
        }
    }

    /// The first attempt of a call failed.
    pub(super) fn failed(&self) {
        self.earn(PER_FAILURE);
    }

    /// Takes a retry, if there is one.
    pub(super) fn take(&self) -> bool {
        let mut purse = self.purse();
        let now = Instant::now();
        let passed = now.saturating_duration_since(purse.counted);
        purse.add(PER_SECOND * passed.as_secs_f64());
        purse.counted = now;
        let taken = purse.retries >= 1.0;
        if taken {
            purse.retries -= 1.0;
            self.full.store(false, Ordering::Relaxed);
        }
        taken
    }

    fn earn(&self, part: f64) {
        let mut purse = self.purse();
        purse.add(part);
        self.full.store(purse.retries >= MOST, Ordering::Relaxed);
    }

    fn purse(&self) -> MutexGuard<'_, Purse> {
        self.purse.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Purse {
    fn add(&mut self, part: f64) {
        self.retries = (self.retries + part).min(MOST);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn retries_stay_under_a_fifth_of_the_traffic() {
        let budget = RetryBudget::new();
        let retries = (0..10_000)
            .map(|_| {
                budget.failed();
                (0..9).filter(|_| budget.take()).count()
            })
            .sum::<usize>();
        assert!((1_900..=2_020).contains(&retries), "{retries}");
    }

    #[tokio::test(start_paused = true)]
    async fn calls_now_and_then_are_retried_as_often_as_they_like() {
        let budget = RetryBudget::new();
        for _ in 0..100 {
            budget.failed();
            assert!((0..9).all(|_| budget.take()));
            tokio::time::advance(Duration::from_secs(9)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_retry_that_succeeds_costs_nothing() {
        let budget = RetryBudget::new();
        while budget.take() {}
        budget.succeeded();
        for _ in 0..1_000 {
            assert!(budget.take());
            budget.succeeded();
        }
    }
}
