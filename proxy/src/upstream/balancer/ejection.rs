//! Backends whose requests fail get none for a while.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row after which a backend is ejected; as Envoy has it.
const FAILURES: u32 = 5;
/// How long the first time, and how much longer each time that it fails when it is tried again.
const PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Whether a backend is ejected.
#[derive(Debug, Default)]
pub(super) struct Ejection {
    /// Something failed since the last success: where nothing did, which is the usual case, nobody takes the lock.
    suspected: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// In a row.
    failures: u32,
    ejections: u32,
    until: Option<Instant>,
    /// The time is over, and one request tries.
    on_trial: bool,
}

impl Ejection {
    /// Whether requests may go there. Once the time is over one of them may; the others when that has succeeded.
    pub(super) fn admits(&self) -> bool {
        if !self.suspected.load(Ordering::Relaxed) {
            return true;
        }
        let now = Instant::now();
        let mut state = self.state();
        match state.until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                // Where nobody hears of the request that tries, another one tries later.
                state.until = Some(now + PAUSE);
                state.on_trial = true;
                true
            }
        }
    }

    /// A request succeeded; tells whether that ended an ejection.
    pub(super) fn succeeded(&self) -> bool {
        if !self.suspected.load(Ordering::Relaxed) {
            return false;
        }
        let mut state = self.state();
        self.suspected.store(false, Ordering::Relaxed);
        std::mem::take(&mut *state).until.is_some()
    }

    /// A request failed; tells for how long the backend is ejected, if it is by this one.
    pub(super) fn failed(&self) -> Option<Duration> {
        let mut state = self.state();
        self.suspected.store(true, Ordering::Relaxed);
        state.failures = state.failures.saturating_add(1);
        // Ejected already: it was sent before, or since there is no other backend.
        let counts = state.until.is_none() || state.on_trial;
        if state.failures < FAILURES || !counts {
            return None;
        }
        state.ejections = state.ejections.saturating_add(1);
        let pause = PAUSE.saturating_mul(state.ejections).min(LONGEST_PAUSE);
        state.until = Some(Instant::now() + pause);
        state.on_trial = false;
        Some(pause)
    }

    pub(super) fn is_on(&self) -> bool {
        self.suspected.load(Ordering::Relaxed) && self.state().until.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_eject_and_one_request_tries_again() {
        let ejection = Ejection::default();
        for _ in 1..FAILURES {
            assert_eq!(ejection.failed(), None);
        }
        assert!(!ejection.succeeded() && ejection.admits(), "a success in between");
        for _ in 1..FAILURES {
            assert_eq!(ejection.failed(), None);
            assert!(ejection.admits());
        }
        assert_eq!(ejection.failed(), Some(PAUSE));
        assert!(!ejection.admits() && ejection.is_on());
        assert_eq!(ejection.failed(), None, "it is ejected already");
        for ejections in 2..10 {
            let pause = PAUSE.saturating_mul(ejections - 1).min(LONGEST_PAUSE);
            tokio::time::advance(pause - Duration::from_millis(1)).await;
            assert!(!ejection.admits());
            tokio::time::advance(Duration::from_millis(1)).await;
            assert!(ejection.admits() && !ejection.admits(), "one alone tries");
            assert_eq!(ejection.failed(), Some(PAUSE.saturating_mul(ejections).min(LONGEST_PAUSE)));
        }
        tokio::time::advance(LONGEST_PAUSE).await;
        assert!(ejection.admits());
        assert!(ejection.succeeded() && !ejection.is_on());
        assert!(ejection.admits() && ejection.admits());
        assert_eq!(ejection.failed(), None, "it starts anew");
    }

    #[tokio::test(start_paused = true)]
    async fn a_trial_that_is_never_heard_of_is_followed_by_another_one() {
        let ejection = Ejection::default();
        for _ in 0..FAILURES {
            ejection.failed();
        }
        tokio::time::advance(PAUSE).await;
        assert!(ejection.admits() && !ejection.admits());
        tokio::time::advance(PAUSE).await;
        assert!(ejection.admits());
    }
}
