//! Which traces are recorded.

use std::num::NonZeroU128;

/// Keeps a fraction of traces, by their ids: every process with the same fraction keeps the same ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampler {
    /// Of 2⁶³.
    below: u64,
}

impl Sampler {
    /// Keeps this fraction: from 1 on all, up to 0 (and for what is no number) none.
    pub fn of_fraction(fraction: f64) -> Self {
        const ALL: u64 = 1 << 63;
        // Conversion saturates: what is below 0 becomes 0, and what is no number as well.
        let below = if fraction >= 1.0 { ALL } else { (fraction * ALL as f64) as u64 };
        Self { below }
    }

    /// Whether a trace that begins here is recorded. As in the reference the upper 63 bits of the id's second half decide.
    pub(super) fn keeps(self, trace_id: NonZeroU128) -> bool {
        (trace_id.get() as u64) >> 1 < self.below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fraction_is_kept() {
        let trace = |half: u64| NonZeroU128::new((7 << 64) | u128::from(half)).unwrap();
        for (fraction, kept, lost) in [
            (1.0, Some(u64::MAX), None),
            (7.5, Some(u64::MAX), None),
            (f64::INFINITY, Some(u64::MAX), None),
            (0.5, Some((1 << 63) - 1), Some(1 << 63)),
            (0.25, Some((1 << 62) - 1), Some(1 << 62)),
            (0.0, None, Some(0)),
            (-1.0, None, Some(0)),
            (f64::NAN, None, Some(0)),
        ] {
            let sampler = Sampler::of_fraction(fraction);
            assert!(kept.is_none_or(|half| sampler.keeps(trace(half))), "{fraction}");
            assert!(lost.is_none_or(|half| !sampler.keeps(trace(half))), "{fraction}");
        }
    }
}
