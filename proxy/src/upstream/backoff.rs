//! How long to wait before the next attempt.

use std::time::Duration;

/// The reference's backoff: the delay before attempt `k + 1` is drawn evenly from `[min·2^(k-1), min·2^k)`, and never
/// longer than `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Shortest first delay.
    pub min: Duration,
    /// Longest delay.
    pub max: Duration,
    /// Requests in total; 0 for no limit. (The argument is called `max_backoff_retries`, and counts the first one.)
    pub attempts: u32,
}

impl Backoff {
    /// Whether another attempt may follow after this many.
    pub fn allows_another(&self, attempts: u32) -> bool {
        self.attempts == 0 || attempts < self.attempts
    }

    /// A delay to wait after this many failed attempts (1 or more).
    pub fn delay(&self, failures: u32) -> Duration {
        let (low, high) = self.range(failures);
        low + high.saturating_sub(low).mul_f64(fastrand::f64())
    }

    fn range(&self, failures: u32) -> (Duration, Duration) {
        let power = |exponent: u32| {
            let factor = 1u32.checked_shl(exponent).unwrap_or(u32::MAX);
            self.min.saturating_mul(factor).min(self.max)
        };
        (power(failures.saturating_sub(1)), power(failures))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `write_behaviour.json`, `backoff`.
    #[test]
    fn ranges_are_the_reference_s() {
        let cases: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/conformance/write_behaviour.json")).unwrap();
        let table = &cases["backoff"];
        let millis = |value: &serde_json::Value| Duration::from_millis(value.as_u64().unwrap());
        let backoff = Backoff { min: millis(&table["min_ms"]), max: millis(&table["max_ms"]), attempts: 10 };
        let ranges = table["ranges_ms"].as_array().unwrap();
        assert_eq!(ranges.len(), 12);
        for (failures, range) in (1..).zip(ranges) {
            assert_eq!(backoff.range(failures), (millis(&range[0]), millis(&range[1])), "after {failures}");
            let delay = backoff.delay(failures);
            assert!(delay >= millis(&range[0]) && delay <= millis(&range[1]), "{delay:?} after {failures}");
        }
    }

    #[test]
    fn very_many_failures_do_not_overflow() {
        let backoff = Backoff { min: Duration::from_secs(1), max: Duration::from_secs(60), attempts: 0 };
        assert_eq!(backoff.delay(u32::MAX), Duration::from_secs(60));
        assert!(backoff.allows_another(u32::MAX));
    }
}
