//! One series of profiles.

use bytes::Bytes;

use super::memory::{DeltaMemory, Memory};
use super::samples::{Places, Samples};
use super::tables::Tables;
use super::write::{Span, write};
use super::{Cause, Counters, Delta, DeltaError};
use crate::pprof::decompress;
use crate::pprof::sections::{Sections, TIME};

/// The profiles of one kind of one target, in their order. What it remembers lies in its [`DeltaMemory`] and is given back
/// when the series is dropped.
///
/// ```
/// use profiler_core::pprof::delta::{ALLOCATIONS, Cause, Delta, DeltaLimits, DeltaMemory};
/// # use prost::Message;
/// # use profiler_core::pprof::{Function, Line, Location, Profile, Sample, ValueType};
/// # let profile = |allocated| Profile {
/// #     sample_type: vec![ValueType { kind: 1, unit: 2 }],
/// #     sample: vec![Sample { location_id: vec![1], value: vec![allocated], label: vec![] }],
/// #     location: vec![Location { id: 1, line: vec![Line { function_id: 1, ..Line::default() }], ..Location::default() }],
/// #     function: vec![Function { id: 1, name: 3, ..Function::default() }],
/// #     string_table: ["", "alloc_space", "bytes", "main"].map(String::from).to_vec(),
/// #     ..Profile::default()
/// # };
/// # let [first, second] = [100, 130].map(|allocated| bytes::Bytes::from(profile(allocated).encode_to_vec()));
/// let memory = DeltaMemory::new(DeltaLimits { message: 64 << 20, series: 16 << 20, total: 256 << 20 });
/// let mut series = memory.series(ALLOCATIONS);
/// assert_eq!(series.delta(&first, 1_700_000_000_000_000_000)?, Delta::Begins(Cause::First));
/// assert!(matches!(series.delta(&second, 1_700_000_015_000_000_000)?, Delta::Profile(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DeltaSeries {
    id: u64,
    counters: Counters,
    last: Last,
    memory: DeltaMemory,
}

/// What became of the profile before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    None,
    Remembered,
    Unreadable,
}

impl DeltaSeries {
    pub(super) fn new(id: u64, counters: Counters, memory: DeltaMemory) -> Self {
        Self { id, counters, last: Last::None, memory }
    }

    /// What was counted since the profile before. `profile` is gzipped or not, and `now` is its time in nanoseconds since
    /// 1970 where it does not say one itself.
    ///
    /// It takes as long as the profile is large, some milliseconds a megabyte: not for a thread that serves.
    ///
    /// # Errors
    /// A profile that cannot be read; what was remembered is forgotten, and the next profile is a first one.
    pub fn delta(&mut self, profile: &Bytes, now: i64) -> Result<Delta, DeltaError> {
        let before = self.memory.take(self.id);
        let delta = self.compare(before, profile, now);
        if delta.is_err() && self.last == Last::Remembered {
            self.memory.count_reset();
        }
        self.last = if delta.is_ok() { Last::Remembered } else { Last::Unreadable };
        delta
    }

    /// Gives back what it remembers: the next profile is a first one.
    pub fn forget(&mut self) {
        drop(self.memory.take(self.id));
        self.last = Last::None;
    }

    fn compare(&self, before: Option<Memory>, profile: &Bytes, now: i64) -> Result<Delta, DeltaError> {
        let limit = self.memory.limits().message.min(u32::MAX as usize);
        let message = decompress(profile, limit)?;
        let sections = Sections::of(&message)?;
        let tables_limit = limit.saturating_mul(2);
        if Tables::memory(&sections).saturating_add(Samples::memory(&sections)) > tables_limit {
            return Err(DeltaError::TooManyEntries(tables_limit));
        }
        let hash = self.memory.hash();
        let mut tables = Tables::read(&sections, hash)?;
        let read = |tables: &Tables| Samples::read(&sections, tables, &self.counters, hash);
        let mut samples = read(&tables)?;
        let time = match time(&sections)? {
            0 => now,
            time => time,
        };

        let compared = match self.comparable(before, &samples) {
            Ok(before) => samples.subtract(&before.counts).map(|counts| (counts, before.time)).ok_or(Cause::Fell),
            Err(cause) => Err(cause),
        };
        let (delta, counts) = match compared {
            Ok((counts, last)) => {
                let duration = time.saturating_sub(last).max(0);
                let delta = if samples.rows().all(|row| row.is_none()) {
                    Delta::Empty
                } else {
                    Delta::Profile(write(&sections, &samples, &mut tables, Span { time, duration })?)
                };
                (delta, counts)
            }
            Err(cause) => {
                if cause == Cause::Fell {
                    samples = read(&tables)?;
                }
                if matches!(cause, Cause::Fell | Cause::OtherCounters) {
                    self.memory.count_reset();
                }
                (Delta::Begins(cause), samples.counts())
            }
        };
        self.memory.keep(self.id, Memory { time, counters: samples.counters, counts });
        Ok(delta)
    }

    /// What a profile can be compared with.
    fn comparable(&self, before: Option<Memory>, samples: &Samples) -> Result<Memory, Cause> {
        let before = before.ok_or(match self.last {
            Last::None => Cause::First,
            Last::Remembered => Cause::LetGo,
            Last::Unreadable => Cause::Unreadable,
        })?;
        let present = |counters: &Places| counters.map(|place| place.is_some());
        if present(&before.counters) == present(&samples.counters) { Ok(before) } else { Err(Cause::OtherCounters) }
    }
}

impl Drop for DeltaSeries {
    fn drop(&mut self) {
        self.forget();
    }
}

/// When a profile was taken, by itself; 0 where it does not say.
fn time(sections: &Sections<'_>) -> Result<i64, DeltaError> {
    let mut time = 0;
    for field in sections.rest() {
        let field = field?;
        if field.tag == TIME {
            time = field.number()?.cast_signed();
        }
    }
    Ok(time)
}
