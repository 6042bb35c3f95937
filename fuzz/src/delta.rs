//! Deltas of profiles.

use bytes::Bytes;
use profiler_core::pprof::delta::{
    ALLOCATIONS, CONTENTIONS, Counter, Counters, Delta, DeltaLimits, DeltaMemory, DeltaSeries,
};
use profiler_core::pprof::{Profile, ValueType};

/// Most bytes of a profile after decompression.
const LIMIT: usize = 1 << 20;
/// Little enough that some series are let go.
const LIMITS: DeltaLimits = DeltaLimits { message: LIMIT, series: 1 << 12, total: 1 << 12 };

/// What does not hold, and for which profile.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// What came of a profile that any reader reads cannot be read.
    #[error("the delta cannot be read: {0}")]
    Unreadable(#[from] profiler_core::pprof::PprofError),
    /// A sample is there that says nothing.
    #[error("the delta has samples of nothing but zero: {0:?}")]
    Nothing(Box<Profile>),
    /// A sample refers to what was taken away.
    #[error("the delta has no location {0}")]
    Location(u64),
    /// A counter is negative.
    #[error("the delta has counted less than nothing: {0:?}")]
    Negative(Box<Profile>),
    /// Between two equal profiles something was counted.
    #[error("the delta of two equal profiles has counted something: {0:?}")]
    Restless(Box<Profile>),
    /// More is remembered than allowed.
    #[error("{0} bytes are remembered")]
    Memory(usize),
}

/// Whether everything holds that must hold for any input. A panic is a failure too, and comes through.
///
/// The first two bytes say how long the first of two profiles is.
///
/// # Errors
/// The first thing that does not hold.
pub fn check(input: &[u8]) -> Result<(), Broken> {
    let Some((length, profiles)) = input.split_first_chunk() else { return Ok(()) };
    let (first, second) = profiles.split_at(profiles.len().min(u16::from_le_bytes(*length).into()));
    let [first, second] = [first, second].map(Bytes::copy_from_slice);
    let memory = DeltaMemory::new(LIMITS);
    let mut series = [ALLOCATIONS, CONTENTIONS].map(|counters| (counters, memory.series(counters)));
    for (profile, again) in [(&first, false), (&second, false), (&second, true)] {
        for (counters, series) in &mut series {
            if let Some(delta) = check_delta(series, profile)? {
                let counted = counted(&delta, counters);
                if counted.iter().any(|counted| *counted < 0) {
                    return Err(Broken::Negative(Box::new(delta)));
                }
                if again && counted.iter().any(|counted| *counted > 0) {
                    return Err(Broken::Restless(Box::new(delta)));
                }
            }
            let remembered = memory.usage().bytes;
            if remembered > LIMITS.total {
                return Err(Broken::Memory(remembered));
            }
        }
    }
    Ok(())
}

fn check_delta(series: &mut DeltaSeries, profile: &Bytes) -> Result<Option<Profile>, Broken> {
    let Ok(Delta::Profile(delta)) = series.delta(profile, 1) else { return Ok(None) };
    if Profile::from_bytes(profile, LIMIT).is_err() {
        // Texts that are none, or wrong where nothing has to be read.
        return Ok(None);
    }
    let delta = Profile::from_bytes(&delta, 2 * LIMIT)?;
    if delta.sample.is_empty() || delta.sample.iter().any(|sample| sample.value.iter().all(|value| *value == 0)) {
        return Err(Broken::Nothing(Box::new(delta)));
    }
    let mut ids = delta.sample.iter().flat_map(|sample| &sample.location_id);
    let lost = ids.find(|id| !delta.location.iter().any(|location| location.id == **id));
    if let Some(lost) = lost {
        return Err(Broken::Location(*lost));
    }
    Ok(Some(delta))
}

/// The values of all samples that are counters.
fn counted(profile: &Profile, counters: &Counters) -> Vec<i64> {
    let column = |counter: &Counter| {
        let is_it = |kind: &ValueType| {
            profile.text(kind.kind) == Some(counter.kind) && profile.text(kind.unit) == Some(counter.unit)
        };
        profile.sample_type.iter().position(is_it)
    };
    let columns: Vec<usize> = counters.iter().filter_map(column).collect();
    let values = profile.sample.iter().flat_map(|sample| columns.iter().filter_map(|column| sample.value.get(*column)));
    values.copied().collect()
}
