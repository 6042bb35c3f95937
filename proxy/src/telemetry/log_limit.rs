//! Keeps what goes wrong again and again from flooding the log.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines that are written at once after a silence: enough to see what is going on.
const FIRST: u32 = 10;
/// After them one line in this time.
const THEN_EVERY: Duration = Duration::from_secs(1);

/// Lets the first lines through, then one a second, and counts those in between.
///
/// ```
/// # use flamegate::telemetry::LogLimit;
/// let limit = LogLimit::default();
/// if let Some(line) = limit.admit() {
///     tracing::warn!(left_out = line.left_out, "a backend does not answer");
/// }
/// ```
#[derive(Debug, Default)]
pub struct LogLimit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// When as many lines as were written would have been due, one in each [`THEN_EVERY`].
    due: Option<Instant>,
    left_out: u64,
}

/// A line that may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// Lines since the last one that were not written; none if there were none. Belongs into the line.
    pub left_out: Option<u64>,
}

impl LogLimit {
    /// As [`default`](Self::default), for a static.
    pub const fn new() -> Self {
        Self(Mutex::new(State { due: None, left_out: 0 }))
    }

    /// Whether a line may be written now.
    pub fn admit(&self) -> Option<Admitted> {
        self.admit_at(Instant::now())
    }

    fn admit_at(&self, now: Instant) -> Option<Admitted> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = state.due.map_or(now, |due| due.max(now));
        if due.saturating_duration_since(now) > THEN_EVERY * (FIRST - 1) {
            state.left_out = state.left_out.saturating_add(1);
            return None;
        }
        state.due = Some(due + THEN_EVERY);
        let left_out = std::mem::take(&mut state.left_out);
        Some(Admitted { left_out: (left_out > 0).then_some(left_out) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_lines_then_one_a_second_with_the_number_left_out() {
        let limit = LogLimit::default();
        let began = Instant::now();
        let at = |millis| limit.admit_at(began + Duration::from_millis(millis)).map(|line| line.left_out);
        for _ in 0..FIRST {
            assert_eq!(at(0), Some(None));
        }
        for (millis, expected) in [
            (0, None),
            (999, None),
            (1000, Some(Some(2))),
            (1001, None),
            (2500, Some(Some(1))),
            (2900, None),
            (3000, Some(Some(1))),
            (3999, None),
        ] {
            assert_eq!(at(millis), expected, "{millis}");
        }
        // After a silence as at first.
        let silence = 3999 + 1000 * u64::from(FIRST + 1);
        assert_eq!(at(silence), Some(Some(1)));
        for _ in 1..FIRST {
            assert_eq!(at(silence), Some(None));
        }
        assert_eq!(at(silence), None);
    }
}
