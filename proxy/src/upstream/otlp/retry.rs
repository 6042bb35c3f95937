//! How long to wait before a batch is sent again.

use std::time::Duration;

use super::attempt::Again;

/// The collector's backoff: each delay is longer than the last by a factor, and all of them are spread at random.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetrySettings {
    /// Whether anything is sent again.
    pub enabled: bool,
    /// The first delay.
    pub initial_interval: Duration,
    /// The longest delay before it is spread.
    pub max_interval: Duration,
    /// How long a batch is sent again and again; zero for ever.
    pub max_elapsed_time: Duration,
    /// The factor; more than 1.
    pub multiplier: f64,
    /// A delay is spread by so much of itself in both directions; from 0 to 1.
    pub randomization_factor: f64,
}

impl RetrySettings {
    /// The delay after so many failures (1 or more) in this time; `None` where the batch is given up.
    pub(super) fn delay(&self, again: Again, failures: u32, elapsed: Duration) -> Option<Duration> {
        let Again::Later(asked) = again else { return None };
        if !self.enabled {
            return None;
        }
        let delay = self.spread(self.interval(failures), fastrand::f64()).max(asked.unwrap_or_default());
        let in_time = self.max_elapsed_time.is_zero() || elapsed.saturating_add(delay) <= self.max_elapsed_time;
        in_time.then_some(delay)
    }

    fn interval(&self, failures: u32) -> Duration {
        let power = self.multiplier.powf(f64::from(failures.saturating_sub(1)));
        let seconds = self.initial_interval.as_secs_f64() * power;
        Duration::try_from_secs_f64(seconds).unwrap_or(self.max_interval).min(self.max_interval)
    }

    /// `random` is from 0 to 1.
    fn spread(&self, interval: Duration, random: f64) -> Duration {
        let factor = 1.0 + self.randomization_factor * (2.0 * random - 1.0);
        Duration::try_from_secs_f64(interval.as_secs_f64() * factor).unwrap_or(interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn settings() -> RetrySettings {
        RetrySettings {
            enabled: true,
            initial_interval: 4 * SECOND,
            max_interval: 8 * SECOND,
            max_elapsed_time: 60 * SECOND,
            multiplier: 1.5,
            randomization_factor: 0.5,
        }
    }

    #[test]
    fn delays_grow_up_to_a_bound_and_are_spread() {
        let settings = settings();
        let intervals = [1, 2, 3, u32::MAX].map(|failures| settings.interval(failures));
        assert_eq!(intervals, [4 * SECOND, 6 * SECOND, 8 * SECOND, 8 * SECOND]);
        let spread = [0.0, 0.5, 1.0].map(|random| settings.spread(4 * SECOND, random));
        assert_eq!(spread, [2 * SECOND, 4 * SECOND, 6 * SECOND]);
    }

    #[test]
    fn a_batch_is_given_up_when_its_time_is_over() {
        let exact = RetrySettings { randomization_factor: 0.0, ..settings() };
        let later = Again::Later(None);
        assert_eq!(exact.delay(later, 1, 56 * SECOND), Some(4 * SECOND));
        assert_eq!(exact.delay(later, 1, 57 * SECOND), None);
        assert_eq!(exact.delay(Again::Later(Some(9 * SECOND)), 1, SECOND), Some(9 * SECOND));
        assert_eq!(exact.delay(Again::Later(Some(61 * SECOND)), 1, SECOND), None);
        assert_eq!(exact.delay(Again::Never, 1, SECOND), None);
        assert_eq!(RetrySettings { enabled: false, ..exact }.delay(later, 1, SECOND), None);
        let for_ever = RetrySettings { max_elapsed_time: Duration::ZERO, ..exact };
        assert_eq!(for_ever.delay(later, 9, Duration::MAX), Some(8 * SECOND));
    }
}
