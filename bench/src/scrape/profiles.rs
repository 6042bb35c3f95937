//! What the targets answer with.

use std::io::Write;

use anyhow::Context;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use profiler_core::pprof::{Function, Label, Line, Location, Mapping, Profile, Sample, ValueType};
use prost::Message;

const SEED: u64 = 11;
/// Of the stacks of a heap, one in so many allocates between two scrapes.
const ACTIVE: u64 = 10;
/// Frames that all stacks share, the most that one has, and in how many of 256 cases it has one more.
const OUTER: usize = 5;
const DEEPEST: usize = 16;
const DEEPER: u8 = 170;
/// Samples of the small profiles: some 5 KB of gzip.
pub(super) const SMALL: usize = 120;

/// Profiles of one kind, one after the other.
pub(super) struct Series {
    profile: Profile,
    /// How often it was taken.
    version: u64,
}

impl Series {
    /// Of a heap: what was allocated grows from one to the next. In a real one of 5,676 samples there was a function for
    /// five samples and a location for three, and a sample took 55 bytes of the message.
    pub(super) fn heap(samples: usize) -> Self {
        let types = [
            ("alloc_objects", "count"),
            ("alloc_space", "bytes"),
            ("inuse_objects", "count"),
            ("inuse_space", "bytes"),
        ];
        Self { profile: profile(samples, &types), version: 0 }
    }

    /// As [`heap`](Self::heap), of about so many bytes once unpacked.
    pub(super) fn heap_of(size: usize) -> Self {
        const TRIAL: usize = 10_000;
        let trial = Self::heap(TRIAL).profile.encoded_len();
        Self::heap((size * TRIAL).div_ceil(trial))
    }

    /// Of anything else: each counts from nothing.
    pub(super) fn of(kind: &'static str, unit: &'static str) -> Self {
        Self { profile: profile(SMALL, &[(kind, unit)]), version: 0 }
    }

    /// The next one, gzipped as Go's runtime does.
    pub(super) fn next(&mut self) -> anyhow::Result<Bytes> {
        self.version += 1;
        self.profile.time_nanos += 15_000_000_000;
        for (place, sample) in (0..).zip(&mut self.profile.sample) {
            if (self.version + place).is_multiple_of(ACTIVE)
                && let [objects, bytes, ..] = sample.value.as_mut_slice()
            {
                let size = 16 << (place % 12);
                *objects += 100;
                *bytes += 100 * size;
            }
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&self.profile.encode_to_vec()).context("gzip")?;
        Ok(encoder.finish().context("gzip")?.into())
    }
}

fn profile(samples: usize, types: &[(&'static str, &'static str)]) -> Profile {
    let mut random = fastrand::Rng::with_seed(SEED);
    let (functions, locations) = ((samples / 5).max(40) as u64, (samples / 3).max(60) as u64);
    let mut string_table: Vec<String> = ["", "/usr/bin/checkout", "bytes"].map(str::to_owned).into();
    let mut sample_type = Vec::new();
    for (kind, unit) in types {
        let kind_index = string_table.len() as i64;
        string_table.extend([kind, unit].map(|text| (*text).to_owned()));
        sample_type.push(ValueType { kind: kind_index, unit: kind_index + 1 });
    }
    let files = string_table.len() as i64;
    string_table.extend((0..40).map(|number| format!("github.com/shop/checkout/order{number}.go")));
    let function = (1..=functions)
        .map(|id| {
            let name = string_table.len() as i64;
            string_table.push(format!("shop.(*Order{id}).step{:x}", random.u32(..)));
            let filename = files + (id % 40) as i64;
            Function { id, name, system_name: name, filename, start_line: random.i64(1..2000) }
        })
        .collect();
    let location = (1..=locations)
        .map(|id| Location {
            id,
            mapping_id: 1,
            address: 0x40_0000 + 64 * id,
            line: vec![Line { function_id: 1 + id % functions, line: random.i64(1..2000), column: 0 }],
            is_folded: false,
        })
        .collect();
    // Stacks are paths of a tree of calls: one differs from the one before it in its innermost frames alone. With them the
    // profile compresses to 0.49 of its size, with random stacks to 0.78; that real heap does to 0.39.
    let mut calls: Vec<u64> = Vec::new();
    let sample = (0..samples)
        .map(|place| {
            calls.truncate(random.usize(OUTER..=calls.len().clamp(OUTER, DEEPEST - 1)));
            calls.push(random.u64(1..=locations));
            while calls.len() <= OUTER || (calls.len() < DEEPEST && random.u8(..) < DEEPER) {
                calls.push(random.u64(1..=locations));
            }
            let objects = random.i64(1..10_000);
            let size = 16 << (place % 12);
            let value = [objects, objects * size, objects / 100, objects / 100 * size];
            Sample {
                location_id: calls.iter().rev().copied().collect(),
                value: value.iter().take(types.len()).copied().collect(),
                label: vec![Label { key: 2, num: size, ..Label::default() }],
            }
        })
        .collect();
    Profile {
        period_type: sample_type.last().copied(),
        sample_type,
        sample,
        mapping: vec![Mapping { id: 1, filename: 1, has_functions: true, ..Mapping::default() }],
        location,
        function,
        string_table,
        time_nanos: 1_700_000_000_000_000_000,
        period: 512 << 10,
        ..Profile::default()
    }
}

#[cfg(test)]
mod tests {
    use profiler_core::pprof::delta::{ALLOCATIONS, Delta, DeltaLimits, DeltaMemory};

    use super::*;

    #[test]
    fn a_heap_has_its_size_and_grows_by_a_tenth_of_its_stacks() {
        let mut heap = Series::heap_of(200_000);
        let memory = DeltaMemory::new(DeltaLimits { message: 1 << 20, series: 1 << 20, total: 1 << 20 });
        let mut series = memory.series(ALLOCATIONS);
        series.delta(&heap.next().unwrap(), 0).unwrap();
        let second = heap.next().unwrap();
        let whole = Profile::from_bytes(&second, 1 << 20).unwrap();
        assert!((190_000..210_000).contains(&whole.encoded_len()), "{} bytes", whole.encoded_len());
        let Delta::Profile(delta) = series.delta(&second, 0).unwrap() else { panic!("no delta") };
        let delta = Profile::from_bytes(&delta, 1 << 20).unwrap();
        let active = delta.sample.iter().filter(|sample| sample.value[0] > 0).count();
        assert!(active.abs_diff(whole.sample.len() / 10) <= 1, "{active} of {}", whole.sample.len());
    }
}
