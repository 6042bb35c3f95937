//! How long something short takes: all of it in a row, and each time alone.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::Context;
use hdrhistogram::Histogram;

/// Calls by which the clock itself is measured.
const LOOKS: usize = 10_000;
/// What a call is recorded with at most.
const LONGEST: u64 = 1_000_000_000;

/// Nanoseconds for one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// The mean of the fastest round.
    pub(crate) fastest: f64,
    /// Half of the calls are faster, without the time that the clock takes.
    pub(crate) p50: f64,
    /// Of a hundred calls ninety-nine are faster, without the time that the clock takes.
    pub(crate) p99: f64,
}

/// Calls `judge` on all that `prepare` makes for a round, in half of the rounds with a look at the clock after each.
///
/// # Errors
/// A call that does not do what it should.
pub(crate) fn measure<T>(
    rounds: u32,
    mut prepare: impl FnMut() -> Vec<T>,
    mut judge: impl FnMut(T) -> bool,
) -> anyhow::Result<Timing> {
    let mut fastest = f64::INFINITY;
    let mut each = Histogram::<u64>::new_with_bounds(1, LONGEST, 3)?;
    let clock = clock_cost();
    let mut right = true;
    for _ in 0..rounds {
        let inputs = prepare();
        let calls = inputs.len() as f64;
        let began = Instant::now();
        for input in inputs {
            right &= black_box(judge(black_box(input)));
        }
        fastest = fastest.min(began.elapsed().as_secs_f64() * 1e9 / calls);

        for input in prepare() {
            let began = Instant::now();
            right &= black_box(judge(black_box(input)));
            let took = began.elapsed().saturating_sub(clock);
            each.saturating_record(u64::try_from(took.as_nanos())?.max(1));
        }
    }
    right.then_some(()).context("a call failed while it was measured")?;
    let at = |quantile| each.value_at_quantile(quantile) as f64;
    Ok(Timing { fastest, p50: at(0.5), p99: at(0.99) })
}

/// Milliseconds of the fastest of these rounds, as the least disturbed.
///
/// # Errors
/// A round that fails.
pub(crate) fn fastest<T>(rounds: u32, mut case: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<f64> {
    let mut fastest = f64::INFINITY;
    for _ in 0..rounds {
        let began = Instant::now();
        black_box(case()?);
        fastest = fastest.min(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(fastest)
}

/// The least that two looks at the clock are apart.
fn clock_cost() -> Duration {
    let apart = |_| {
        let began = Instant::now();
        began.elapsed()
    };
    (0..LOOKS).map(apart).min().unwrap_or_default()
}
