//! Keeps a filter that is too slow from being asked, and tries it again from time to time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::FilterError;

/// So many timeouts in a row open the breaker.
const TIMEOUTS: u32 = 5;
/// Over this time a filter's share of the processors is measured.
const WINDOW: Duration = Duration::from_secs(1);
/// How long the filter rests at first; twice as long after each trial that fails.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(60);
/// After so long without a rest the next one is a first one again.
const FORGIVEN: Duration = Duration::from_secs(120);

/// Whether a filter is asked.
#[derive(Debug)]
pub(super) struct Breaker {
    /// The most processor time in each [`WINDOW`], where it is bounded.
    allowed: Option<Duration>,
    state: Mutex<State>,
}

/// What a breaker does with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// All are made.
    Closed,
    /// One is made, to see how the filter is by now.
    HalfOpen,
    /// None is made.
    Open,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    timeouts: u32,
    window: Window,
    rests: u32,
    rested: Option<Instant>,
    /// Why it opened last.
    cause: Arc<str>,
}

#[derive(Debug)]
enum Phase {
    Closed,
    Open { until: Instant },
    Trial,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    used: Duration,
}

/// What a call has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Settled {
    /// Nothing.
    AsBefore,
    /// The filter rests from now on, for this reason.
    Opened(Arc<str>),
    /// The filter is asked again.
    Closed,
}

/// A call that may be made. Dropped without a [`settle`](Self::settle), it was not made.
#[derive(Debug)]
#[must_use]
pub(super) struct Admitted<'a> {
    breaker: &'a Breaker,
    is_trial: bool,
    settled: bool,
}

impl Breaker {
    /// A closed one; the share is of all processors that the process may use, 1 and more is no bound.
    pub(super) fn new(cpu_share: f64) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let allowed = (cpu_share < 1.0).then(|| WINDOW.mul_f64((cpu_share * processors as f64).max(0.0)));
        Self::with_allowance(allowed)
    }

    fn with_allowance(allowed: Option<Duration>) -> Self {
        let window = Window { began: Instant::now(), used: Duration::ZERO };
        let state = State { phase: Phase::Closed, timeouts: 0, window, rests: 0, rested: None, cause: "".into() };
        Self { allowed, state: Mutex::new(state) }
    }

    /// Whether a call may be made.
    ///
    /// # Errors
    /// [`FilterError::Resting`], with the reason.
    pub(super) fn admit(&self) -> Result<Admitted<'_>, FilterError> {
        self.admit_at(Instant::now())
    }

    pub(super) fn state(&self) -> BreakerState {
        match self.locked().phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Open { .. } => BreakerState::Open,
            Phase::Trial => BreakerState::HalfOpen,
        }
    }

    fn admit_at(&self, now: Instant) -> Result<Admitted<'_>, FilterError> {
        let mut state = self.locked();
        let is_trial = match state.phase {
            Phase::Closed => false,
            Phase::Open { until } if until <= now => {
                state.phase = Phase::Trial;
                true
            }
            Phase::Open { .. } | Phase::Trial => return Err(FilterError::Resting(state.cause.clone())),
        };
        Ok(Admitted { breaker: self, is_trial, settled: false })
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        // Whoever panicked under the lock left counts that are at worst one call behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admitted<'_> {
    /// The call was made: how it ended, and the processor time that it took.
    pub(super) fn settle(self, timed_out: bool, used: Duration) -> Settled {
        self.settle_at(Instant::now(), timed_out, used)
    }

    fn settle_at(mut self, now: Instant, timed_out: bool, used: Duration) -> Settled {
        self.settled = true;
        let mut state = self.breaker.locked();
        state.timeouts = if timed_out { state.timeouts.saturating_add(1) } else { 0 };
        let used = state.window.add(now, used);
        let over = self.breaker.allowed.filter(|allowed| used > *allowed);
        let cause = if let Some(allowed) = over {
            format!("it took {used:.0?} of processor time within {WINDOW:?}, and its cpu_share is {allowed:.0?}")
        } else if state.timeouts >= TIMEOUTS || (self.is_trial && timed_out) {
            format!("it timed out {} times in a row", state.timeouts)
        } else {
            if !self.is_trial {
                return Settled::AsBefore;
            }
            state.phase = Phase::Closed;
            return Settled::Closed;
        };
        // Calls that were made before it opened end afterwards: they open it no second time.
        if !self.is_trial && !matches!(state.phase, Phase::Closed) {
            return Settled::AsBefore;
        }
        Settled::Opened(state.open(now, &cause))
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        if self.is_trial && !self.settled {
            self.breaker.locked().phase = Phase::Open { until: Instant::now() };
        }
    }
}

impl State {
    fn open(&mut self, now: Instant, cause: &str) -> Arc<str> {
        let forgiven = self.rested.is_none_or(|rested| now.saturating_duration_since(rested) > FORGIVEN);
        self.rests = if forgiven { 0 } else { self.rests.saturating_add(1) };
        let rest = FIRST_REST.saturating_mul(1 << self.rests.min(16)).min(LONGEST_REST);
        self.phase = Phase::Open { until: now + rest };
        self.rested = Some(now + rest);
        self.cause = format!("{cause}; it rests for {rest:?}").into();
        self.cause.clone()
    }
}

impl Window {
    /// Processor time within the window that `now` is in.
    fn add(&mut self, now: Instant, used: Duration) -> Duration {
        if now.saturating_duration_since(self.began) >= WINDOW {
            *self = Self { began: now, used: Duration::ZERO };
        }
        self.used += used;
        self.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Duration = Duration::from_millis(1);

    fn at(breaker: &Breaker, now: Instant) -> Result<Admitted<'_>, String> {
        breaker.admit_at(now).map_err(|error| error.to_string())
    }

    fn opens(call: Admitted<'_>, now: Instant, timed_out: bool) -> bool {
        matches!(call.settle_at(now, timed_out, CALL), Settled::Opened(_))
    }

    #[test]
    fn timeouts_in_a_row_open_it_and_each_failed_trial_doubles_the_rest() {
        let breaker = Breaker::with_allowance(None);
        let mut now = Instant::now();
        for timed_out in [true, true, true, true, false, true, true, true, true] {
            assert_eq!(at(&breaker, now).unwrap().settle_at(now, timed_out, CALL), Settled::AsBefore);
        }
        assert!(opens(at(&breaker, now).unwrap(), now, true));
        for rest in [1, 2, 4, 8, 16, 32, 60, 60] {
            let rest = Duration::from_secs(rest);
            assert_eq!(breaker.state(), BreakerState::Open);
            let refusal = at(&breaker, now + rest - CALL).unwrap_err();
            assert!(refusal.contains("in a row") && refusal.contains(&format!("{rest:?}")), "{refusal}");
            now += rest;
            let trial = at(&breaker, now).unwrap();
            assert_eq!(breaker.state(), BreakerState::HalfOpen);
            assert!(at(&breaker, now).is_err(), "one trial at a time");
            assert!(opens(trial, now, true));
        }
        now += LONGEST_REST;
        assert_eq!(at(&breaker, now).unwrap().settle_at(now, false, CALL), Settled::Closed);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn too_much_processor_time_in_a_second_opens_it() {
        let breaker = Breaker::with_allowance(Some(Duration::from_millis(100)));
        let began = Instant::now();
        let used = Duration::from_millis(40);
        // Two in each second.
        for calls in 0..9 {
            let now = began + Duration::from_millis(500) * calls;
            assert_eq!(at(&breaker, now).unwrap().settle_at(now, false, used), Settled::AsBefore, "{calls}");
        }
        let now = began + Duration::from_secs(10);
        for expected in [false, false, true] {
            let settled = at(&breaker, now).unwrap().settle_at(now, false, used);
            assert_eq!(matches!(&settled, Settled::Opened(cause) if cause.contains("cpu_share")), expected);
        }
    }

    #[test]
    fn a_trial_that_was_not_made_is_made_by_the_next() {
        let breaker = Breaker::with_allowance(Some(Duration::ZERO));
        let now = Instant::now();
        assert!(opens(at(&breaker, now).unwrap(), now, false));
        drop(at(&breaker, now + FIRST_REST).unwrap());
        assert_eq!(breaker.state(), BreakerState::Open);
        assert!(at(&breaker, Instant::now() + FIRST_REST).is_ok());
    }

    #[test]
    fn calls_that_end_after_it_opened_change_nothing() {
        let breaker = Breaker::with_allowance(None);
        let now = Instant::now();
        let running: Vec<_> = (0..20).map(|_| at(&breaker, now).unwrap()).collect();
        let opened = running.into_iter().map(|call| opens(call, now, true)).filter(|opened| *opened).count();
        assert_eq!(opened, 1);
        assert!(at(&breaker, now + FIRST_REST).is_ok());
    }
}
