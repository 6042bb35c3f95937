//! The `retry_on_failure` block.

use std::time::Duration;

use alloy_syntax::{Arguments, Invalid};

use crate::upstream::otlp::RetrySettings;

/// What may stand in the block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = RetryArguments::validate)]
pub(super) struct RetryArguments {
    /// Whether what may pass is tried again.
    #[alloy(attr, default = true)]
    enabled: bool,
    /// The delay before the second attempt.
    #[alloy(attr, default = Duration::from_secs(5))]
    initial_interval: Duration,
    /// The longest delay.
    #[alloy(attr, default = Duration::from_secs(30))]
    max_interval: Duration,
    /// How long a batch is tried; 0s for ever.
    #[alloy(attr, default = Duration::from_secs(300))]
    max_elapsed_time: Duration,
    /// By what each delay is longer than the last.
    #[alloy(attr, default = 1.5)]
    multiplier: f64,
    /// By how much of itself a delay is spread at random, from 0 to 1.
    #[alloy(attr, default = 0.5)]
    randomization_factor: f64,
}

impl RetryArguments {
    pub(super) fn settings(&self) -> RetrySettings {
        RetrySettings {
            enabled: self.enabled,
            initial_interval: self.initial_interval,
            max_interval: self.max_interval,
            max_elapsed_time: self.max_elapsed_time,
            multiplier: self.multiplier,
            randomization_factor: self.randomization_factor,
        }
    }

    fn validate(&self) -> Result<(), Invalid> {
        if !(self.multiplier.is_finite() && self.multiplier > 1.0) {
            return Err(Invalid::attribute("multiplier", "must be greater than 1.0"));
        }
        if !(0.0..=1.0).contains(&self.randomization_factor) {
            return Err(Invalid::attribute("randomization_factor", "must be from 0 to 1"));
        }
        if self.initial_interval.is_zero() {
            return Err(Invalid::attribute("initial_interval", "must be longer than 0s: a server would get no rest"));
        }
        if self.max_interval < self.initial_interval {
            return Err(Invalid::attribute("max_interval", "must not be shorter than initial_interval"));
        }
        Ok(())
    }
}
