//! The samples of one profile: what each has counted, and under which key.

use std::hash::{BuildHasher, Hasher};

use rapidhash::quality::RandomState;

use super::counts::{Counted, Counts, Key, Writer, join};
use super::tables::{Tables, decode};
use super::{Counters, DeltaError};
use crate::pprof::fields::{Damaged, Fields};
use crate::pprof::sections::{SAMPLES, Sections, TYPES};
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
    pub(super) fn memory(sections: &Sections<'_>) -> usize {
        let values = sections.count(TYPES).saturating_mul(size_of::<i64>());
        sections.count(SAMPLES).saturating_mul(size_of::<(Key, u32)>() + values + 2 * size_of::<Counted>())
    }

    pub(super) fn read(
        sections: &Sections<'_>,
        tables: &Tables,
        counters: &Counters,
        hash: &RandomState,
    ) -> Result<Self, DeltaError> {
        let (types, count) = (sections.count(TYPES), sections.count(SAMPLES));
        if !(1..=MOST_TYPES).contains(&types) {
            return Err(DeltaError::Types(types));
        }
        let mut samples = Self {
            types,
            keys: Vec::with_capacity(count),
            values: Vec::with_capacity(count.saturating_mul(types)),
            counters: places(sections, tables, counters, hash)?,
        };
        for (place, sample) in (0_u32..).zip(sections.fields(SAMPLES)) {
            samples.read_one(sample?.bytes()?, place, tables, hash)?;
        }
        samples.merge();
        Ok(samples)
    }

    /// Its key is the stack's locations in their order, and the labels in any.
    fn read_one(&mut self, sample: &[u8], place: u32, tables: &Tables, hash: &RandomState) -> Result<(), DeltaError> {
        let mut hasher = hash.build_hasher();
        let (mut depth, mut labels, mut found) = (0_u64, 0_u64, 0);
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
                2 => {
                    for value in field.numbers()? {
                        found += 1;
                        if found > self.types {
                            return Err(DeltaError::Values { sample: place, found, types: self.types });
                        }
                        self.values.push(value?.cast_signed());
                    }
                }
                3 => {
                    let label = decode::<Label>(field, "a label")?;
                    let texts = [label.key, label.str, label.num_unit].map(i64::cast_unsigned);
                    let missing = |index: &u64| *index != 0 && tables.texts.place(*index).is_none();
                    if let Some(index) = texts.into_iter().find(missing) {
                        return Err(DeltaError::Text { sample: place, index });
                    }
                    let texts = texts.map(|index| tables.texts.hash(index));
                    labels = labels.wrapping_add(hash.hash_one((texts, label.num)));
                }
                _ => {}
            }
        }
        if found < self.types {
            return Err(DeltaError::Values { sample: place, found, types: self.types });
        }
        hasher.write_u64(depth);
        hasher.write_u64(labels);
        self.keys.push((Key::of_hash(hasher.finish()), place));
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

    /// What the counters count in all.
    pub(super) fn counts(&self) -> Counts {
        let mut writer = Writer::default();
        for (key, place) in &self.keys {
            let row = self.values.get(cell(*place, self.types, 0)..).unwrap_or_default();
            let value = |column: Option<usize>| column.and_then(|column| row.get(column)).copied().unwrap_or_default();
            writer.present(*key, self.counters.map(value).map(counted));
        }
        writer.finish()
    }

    /// Takes what was counted before off the counters. What comes back is what they counted in all; none where a stack has
    /// counted less than before, and then the values are of no use any more.
    pub(super) fn subtract(&mut self, before: &Counts) -> Option<Counts> {
        let mut writer = Writer::with_room_of(before);
        for joined in join(before.iter(), self.keys.iter().copied()) {
            match (joined.before, joined.now) {
                (Some(before), None) => writer.absent(before),
                (before, Some((key, place))) => {
                    let before = before.map(|before| before.counted).unwrap_or_default();
                    let row = self.values.get_mut(cell(place, self.types, 0)..).unwrap_or_default();
                    let mut all = Counted::default();
                    for ((column, before), all) in self.counters.iter().zip(before).zip(&mut all) {
                        let Some(value) = column.and_then(|column| row.get_mut(column)) else { continue };
                        *all = counted(*value);
                        *value = value.checked_sub_unsigned(before).filter(|value| *value >= 0)?;
                    }
                    writer.present(key, all);
                }
                (None, None) => {}
            }
        }
        Some(writer.finish())
    }

    /// Those that have a value other than zero, in the order of the message.
    pub(super) fn rows(&self) -> impl Iterator<Item = Option<&[i64]>> {
        self.values.chunks_exact(self.types).map(|row| row.iter().any(|value| *value != 0).then_some(row))
    }
}

/// Where a value is negative nothing was counted.
fn counted(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}

fn cell(place: u32, types: usize, column: usize) -> usize {
    place as usize * types + column
}

fn places(
    sections: &Sections<'_>,
    tables: &Tables,
    counters: &Counters,
    hash: &RandomState,
) -> Result<Places, Damaged> {
    let mut places = Places::default();
    for (column, field) in sections.fields(TYPES).enumerate() {
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
