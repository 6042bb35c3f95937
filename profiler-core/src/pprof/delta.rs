//! Deltas of profiles that count from the start of their process: what was counted from one profile of a series to the
//! next.
//!
//! A series remembers no profile, only what each stack had counted: a keyed hash of 62 bits in place of the stack, and its
//! counters as variable-length integers, some 17 bytes a stack, in one piece of memory ([`counts`]). A profile is never
//! decoded as a whole: its samples are joined with what is remembered in the order of the hashes, and the parts of it that
//! stay are copied into the gzip stream.
//!
//! Two stacks of one profile share a hash with a probability of n²/2⁶³: for 100,000 stacks, one profile in a billion; the
//! two then count as one stack. The key is random and never leaves the process, and who found a pair all the same would
//! blur its own series alone.

use std::{fmt, io};

use bytes::Bytes;

use super::{Damaged, PprofError};

mod counts;
mod memory;
mod samples;
mod series;
mod tables;
mod write;

pub use memory::{DeltaLimits, DeltaMemory, DeltaUsage};
pub use series::DeltaSeries;

/// A kind of value that grows from the start of the process on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// For example `alloc_space`.
    pub kind: &'static str,
    /// For example `bytes`.
    pub unit: &'static str,
}

/// The counters of a kind of profile.
pub type Counters = [Counter; 2];

/// Of memory: what was allocated. What is in use is no counter.
pub const ALLOCATIONS: Counters =
    [Counter { kind: "alloc_objects", unit: "count" }, Counter { kind: "alloc_space", unit: "bytes" }];

/// Of locks and of waiting: profiles of mutexes, and of blocking operations.
pub const CONTENTIONS: Counters =
    [Counter { kind: "contentions", unit: "count" }, Counter { kind: "delay", unit: "nanoseconds" }];

/// The counters of the profiles of a series by its `__name__`; none for those that no delta is made of.
pub fn counters_of(name: &str) -> Option<&'static Counters> {
    match name {
        "memory" => Some(&ALLOCATIONS),
        "mutex" | "block" => Some(&CONTENTIONS),
        _ => None,
    }
}

/// What came of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    /// What was counted since the one before, gzipped.
    Profile(Bytes),
    /// Nothing was counted since, and no other value is there.
    Empty,
    /// There is nothing to compare it with: the next one will be compared with it.
    Begins(Cause),
}

/// Why there is nothing to compare a profile with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It is the first of its series.
    First,
    /// The one before could not be read.
    Unreadable,
    /// A counter is smaller than before: the process is another one. How much it has counted since the profile before is
    /// not known, for a counter that is wrong looks the same.
    Fell,
    /// It has counters that the one before did not have, or lacks some of its.
    OtherCounters,
    /// What was remembered of the one before was let go, for want of memory.
    LetGo,
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::First => "it is the first",
            Self::Unreadable => "the one before could not be read",
            Self::Fell => "its counters have fallen",
            Self::OtherCounters => "its counters are others than before",
            Self::LetGo => "what was remembered of the one before was let go for want of memory",
        })
    }
}

/// There is no delta of a profile.
#[derive(Debug, thiserror::Error)]
pub enum DeltaError {
    /// It cannot be unpacked, or is too large.
    #[error(transparent)]
    Pprof(#[from] PprofError),
    /// Its message cannot be read.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// Its entries are more than the memory allowed can hold; holds the bytes allowed.
    #[error("the profile's entries would take more than {0} bytes of memory")]
    TooManyEntries(usize),
    /// It has no type of value, or more than profilers have.
    #[error("the profile has {0} types of values; from 1 to 64 can be read")]
    Types(usize),
    /// A sample has another number of values than the profile has types.
    #[error("sample {sample} of the profile has {found} values for {types} types")]
    Values {
        /// Its place, from 0.
        sample: u32,
        /// How many values it has; those beyond the types are not counted.
        found: usize,
        /// How many types there are.
        types: usize,
    },
    /// A sample names a location that is not there.
    #[error("sample {sample} of the profile names the location {id}, which is not there")]
    Location {
        /// Its place, from 0.
        sample: u32,
        /// The id.
        id: u64,
    },
    /// A label names a text that is not there.
    #[error("sample {sample} of the profile has a label with the text {index}, which is not there")]
    Text {
        /// The sample's place, from 0.
        sample: u32,
        /// The index.
        index: u64,
    },
    /// The delta cannot be compressed.
    #[error("the delta cannot be compressed: {0}")]
    Compress(#[from] io::Error),
}

#[cfg(test)]
mod tests;
