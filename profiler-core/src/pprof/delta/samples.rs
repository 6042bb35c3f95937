//! The samples of one profile: what each has counted, and under which key.

use std::hash::{BuildHasher, Hasher};

use rapidhash::quality::RandomState;

use super::counts::{Counted, Counts, Key, Writer, join};
use super::fields::{Damaged, Fields};
use super::tables::{Sizes, Tables, decode, fields};
use super::{Counters, DeltaError};
use crate::pprof::{Label, ValueType};

/// More types of values than profilers have, for a profile that is made of nothing else.
const MOST_TYPES: usize = 64;

/// Where the counters stand among the values; none where a profile lacks one.
pub(super) type Places = [Option<usize>; 2];

/// All samples. Those of equal stacks and labels are one: the first of them has the sum of their values.
#[derive(Debug)]
pub(super) struct Samples {
    types: usize,
    /// Sorted; for each key its first sample.
    keys: Vec<(Key, u32)>,
    /// A row for each sample of the message. The rows of those that another one holds the sum of are zero.
    values: Vec<i64>,
    pub(super) counters: Places,
}

impl Samples {
    /// What reading them takes of memory, and remembering them.
    pub(super) fn memory(sizes: &Sizes) -> usize {
        let one = size_of::<(Key, u32)>() + sizes.types.saturating_mul(size_of::<i64>()) + 2 * size_of::<Counted>();
        sizes.samples.saturating_mul(one)
    }

    pub(super) fn read(
        message: &[u8],
        sizes: &Sizes,
        tables: &Tables,
        counters: &Counters,
        hash: &RandomState,
    ) -> Result<Self, DeltaError> {
        if !(1..=MOST_TYPES).contains(&sizes.types) {
            return Err(DeltaError::Types(sizes.types));
        }
        let mut samples = Self {
            types: sizes.types,
            keys: Vec::with_capacity(sizes.samples),
            values: Vec::with_capacity(sizes.samples.saturating_mul(sizes.types)),
            counters: places(message, tables, counters, hash)?,
        };
        for (place, sample) in (0_u32..).zip(fields(message, 2)) {
            let sample = sample?.bytes()?;
            let key = key(sample, place, tables, hash)?;
            samples.keys.push((key, place));
            samples.read_values(sample, place)?;
        }
        samples.merge();
        Ok(samples)
    }

    fn read_values(&mut self, sample: &[u8], place: u32) -> Result<(), DeltaError> {
        let mut found = 0;
        for field in fields(sample, 2) {
            for value in field?.numbers()? {
                let value = value?.cast_signed();
                found += 1;
                if found > self.types {
                    return Err(DeltaError::Values { sample: place, found, types: self.types });
                }
                self.values.push(value);
            }
        }
        if found < self.types {
            return Err(DeltaError::Values { sample: place, found, types: self.types });
        }
        Ok(())
    }

    fn merge(&mut self) {
        self.keys.sort_unstable();
        let Self { types, keys, values, .. } = self;
        keys.dedup_by(|(key, place), (first_key, first)| {
            if key != first_key {
                return false;
            }
            for column in 0..*types {
                let value = values.get_mut(cell(*place, *types, column)).map(std::mem::take).unwrap_or_default();
                if let Some(sum) = values.get_mut(cell(*first, *types, column)) {
                    *sum = sum.saturating_add(value);
                }
            }
            true
        });
    }

    /// Whether a stack has counted less than before.
    pub(super) fn fell(&self, before: &Counts) -> bool {
        join(before.iter(), self.keys.iter().copied()).any(|joined| {
            let Some((_, place)) = joined.now else { return false };
            let before = joined.before.map(|before| before.counted).unwrap_or_default();
            self.counters.iter().zip(before).any(|(column, before)| {
                let now = column.map(|column| self.value(place, column)).unwrap_or_default();
                now < before.cast_signed()
            })
        })
    }

    /// Takes what was counted before off the counters; what comes back is what they counted in all.
    pub(super) fn subtract(&mut self, before: &Counts) -> Counts {
        let mut writer = Writer::default();
        for joined in join(before.iter(), self.keys.iter().copied()) {
            match (joined.before, joined.now) {
                (Some(before), None) => writer.absent(before),
                (before, Some((key, place))) => {
                    let before = before.map(|before| before.counted).unwrap_or_default();
                    let mut counted = Counted::default();
                    for ((column, before), counted) in self.counters.iter().zip(before).zip(&mut counted) {
                        let Some(column) = *column else { continue };
                        if let Some(value) = self.values.get_mut(cell(place, self.types, column)) {
                            // Where it is negative nothing was counted.
                            *counted = u64::try_from(*value).unwrap_or_default();
                            *value = value.saturating_sub_unsigned(before);
                        }
                    }
                    writer.present(key, counted);
                }
                (None, None) => {}
            }
        }
        writer.finish()
    }

    /// Those that have a value other than zero, in the order of the message.
    pub(super) fn rows(&self) -> impl Iterator<Item = Option<&[i64]>> {
        self.values.chunks_exact(self.types).map(|row| row.iter().any(|value| *value != 0).then_some(row))
    }

    fn value(&self, place: u32, column: usize) -> i64 {
        self.values.get(cell(place, self.types, column)).copied().unwrap_or_default()
    }
}

fn cell(place: u32, types: usize, column: usize) -> usize {
    place as usize * types + column
}

/// The stack's locations in their order, and the labels in any.
fn key(sample: &[u8], place: u32, tables: &Tables, hash: &RandomState) -> Result<Key, DeltaError> {
    let mut hasher = hash.build_hasher();
    let (mut depth, mut labels) = (0_u64, 0_u64);
    for field in Fields::of(sample, "a sample") {
        let field = field?;
        match field.tag {
            1 => {
                for id in field.numbers()? {
                    let id = id?;
                    let location = tables.locations.get(id).ok_or(DeltaError::Location { sample: place, id })?;
                    hasher.write_u64(location);
                    depth += 1;
                }
            }
            3 => {
                let label = decode::<Label>(field, "a label")?;
                let texts = [label.key, label.str, label.num_unit].map(i64::cast_unsigned);
                if let Some(index) = texts.into_iter().find(|index| *index != 0 && tables.texts.place(*index).is_none())
                {
                    return Err(DeltaError::Text { sample: place, index });
                }
                labels = labels.wrapping_add(hash.hash_one((texts.map(|index| tables.texts.hash(index)), label.num)));
            }
            _ => {}
        }
    }
    hasher.write_u64(depth);
    hasher.write_u64(labels);
    Ok(Key::of_hash(hasher.finish()))
}

fn places(message: &[u8], tables: &Tables, counters: &Counters, hash: &RandomState) -> Result<Places, Damaged> {
    let mut places = Places::default();
    for (column, field) in fields(message, 1).enumerate() {
        let found = decode::<ValueType>(field?, "a type of values")?;
        let found = [found.kind, found.unit].map(|index| tables.texts.hash(index.cast_unsigned()));
        for (counter, place) in counters.iter().zip(&mut places) {
            if place.is_none() && found == [counter.kind, counter.unit].map(|text| hash.hash_one(text.as_bytes())) {
                *place = Some(column);
            }
        }
    }
    Ok(places)
}
