//! The tables of a profile as hashes of what stands in them, which are the same in the next profile whatever ids and
//! indexes it uses; and what of them the delta needs.

use std::hash::{BuildHasher, Hasher};

use prost::Message;
use rapidhash::quality::RandomState;

use super::DeltaError;
use crate::pprof::fields::{Damaged, Field, Fields, fields};
use crate::pprof::sections::{FUNCTIONS, LOCATIONS, MAPPINGS, Sections, TEXTS};
use crate::pprof::{Function, Line, Mapping};

/// The field of a location in which its lines are.
const LINES: u32 = 4;

/// Entries by their index.
#[derive(Debug)]
pub(super) struct Texts {
    hashes: Vec<u64>,
    needed: Vec<bool>,
}

/// Entries by their id, sorted. Of several with one id the first is read.
#[derive(Debug)]
pub(super) struct Ids {
    entries: Vec<(u64, u64)>,
    needed: Vec<bool>,
}

/// All tables that samples refer to.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) texts: Texts,
    pub(super) mappings: Ids,
    pub(super) functions: Ids,
    pub(super) locations: Ids,
}

impl Tables {
    /// What they take of memory.
    pub(super) fn memory(sections: &Sections<'_>) -> usize {
        let ids =
            [MAPPINGS, LOCATIONS, FUNCTIONS].map(|tag| sections.count(tag)).into_iter().fold(0, usize::saturating_add);
        ids.saturating_mul(size_of::<(u64, u64, bool)>())
            .saturating_add(sections.count(TEXTS).saturating_mul(size_of::<u64>() + size_of::<bool>()))
    }

    pub(super) fn read(sections: &Sections<'_>, hash: &RandomState) -> Result<Self, DeltaError> {
        let count = sections.count(TEXTS);
        let mut texts = Texts { hashes: Vec::with_capacity(count), needed: vec![false; count] };
        for text in sections.fields(TEXTS) {
            texts.hashes.push(hash.hash_one(text?.bytes()?));
        }

        let mut mappings = Ids::with_capacity(sections.count(MAPPINGS));
        for mapping in sections.fields(MAPPINGS) {
            let mapping = decode::<Mapping>(mapping?, "a mapping")?;
            // Where it lies may change as it grows; which file it is may not.
            let file = (texts.hash(mapping.filename.cast_unsigned()), texts.hash(mapping.build_id.cast_unsigned()));
            mappings.entries.push((mapping.id, hash.hash_one(file)));
        }
        mappings.sort();

        let mut functions = Ids::with_capacity(sections.count(FUNCTIONS));
        for function in sections.fields(FUNCTIONS) {
            let function = decode::<Function>(function?, "a function")?;
            let names = [function.name, function.system_name, function.filename];
            let names = names.map(|index| texts.hash(index.cast_unsigned()));
            functions.entries.push((function.id, hash.hash_one((names, function.start_line))));
        }
        functions.sort();

        let mut locations = Ids::with_capacity(sections.count(LOCATIONS));
        for location in sections.fields(LOCATIONS) {
            let location = Location::read(location?.bytes()?)?;
            let mut hasher = hash.build_hasher();
            hasher.write_u64(location.address);
            hasher.write_u64(mappings.hash(location.mapping));
            for line in location.lines() {
                let line = line?;
                hasher.write_u64(functions.hash(line.function_id));
                hasher.write_i64(line.line);
                hasher.write_i64(line.column);
            }
            locations.entries.push((location.id, hasher.finish()));
        }
        locations.sort();
        Ok(Self { texts, mappings, functions, locations })
    }
}

/// For messages of numbers alone: decoded they own no memory.
pub(super) fn decode<M: Message + Default>(field: Field<'_>, part: &'static str) -> Result<M, Damaged> {
    M::decode(field.bytes()?).map_err(|_| Damaged(part))
}

/// A location, its lines as they are in the message.
pub(super) struct Location<'a> {
    pub(super) id: u64,
    pub(super) mapping: u64,
    address: u64,
    message: &'a [u8],
}

impl<'a> Location<'a> {
    pub(super) fn read(message: &'a [u8]) -> Result<Self, Damaged> {
        let mut location = Self { id: 0, mapping: 0, address: 0, message };
        for field in Fields::of(message, "a location") {
            let field = field?;
            match field.tag {
                1 => location.id = field.number()?,
                2 => location.mapping = field.number()?,
                3 => location.address = field.number()?,
                _ => {}
            }
        }
        Ok(location)
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = Result<Line, Damaged>> {
        fields(self.message, "a location", LINES).map(|line| decode(line?, "a line"))
    }
}

impl Texts {
    pub(super) fn place(&self, index: u64) -> Option<usize> {
        usize::try_from(index).ok().filter(|place| *place < self.hashes.len())
    }

    /// An index that leads nowhere is the empty text, as readers have it.
    pub(super) fn hash(&self, index: u64) -> u64 {
        self.place(index).and_then(|place| self.hashes.get(place)).copied().unwrap_or_default()
    }

    pub(super) fn need(&mut self, index: u64) {
        if let Some(needed) = self.place(index).and_then(|place| self.needed.get_mut(place)) {
            *needed = true;
        }
    }

    pub(super) fn need_all<const N: usize>(&mut self, indexes: [i64; N]) {
        indexes.into_iter().for_each(|index| self.need(index.cast_unsigned()));
    }

    pub(super) fn needed(&self) -> impl Iterator<Item = bool> {
        self.needed.iter().copied()
    }
}

impl Ids {
    fn with_capacity(capacity: usize) -> Self {
        Self { entries: Vec::with_capacity(capacity), needed: vec![false; capacity] }
    }

    fn sort(&mut self) {
        if !self.entries.is_sorted_by(|(id, _), (next, _)| id < next) {
            // Stable, for the first of an id to stay the first.
            self.entries.sort_by_key(|(id, _)| *id);
            self.entries.dedup_by_key(|(id, _)| *id);
        }
    }

    pub(super) fn place(&self, id: u64) -> Option<usize> {
        // Nearly all profilers count from 1.
        let counted = usize::try_from(id).ok()?.checked_sub(1);
        counted
            .filter(|place| self.entries.get(*place).is_some_and(|(counted, _)| *counted == id))
            .or_else(|| self.entries.binary_search_by_key(&id, |(id, _)| *id).ok())
    }

    /// What refers to an id that is not there refers to nothing.
    pub(super) fn hash(&self, id: u64) -> u64 {
        self.get(id).unwrap_or_default()
    }

    pub(super) fn get(&self, id: u64) -> Option<u64> {
        self.place(id).and_then(|place| self.entries.get(place)).map(|(_, hash)| *hash)
    }

    pub(super) fn need(&mut self, id: u64) {
        if let Some(needed) = self.place(id).and_then(|place| self.needed.get_mut(place)) {
            *needed = true;
        }
    }

    pub(super) fn is_needed(&self, id: u64) -> bool {
        self.place(id).and_then(|place| self.needed.get(place)).is_some_and(|needed| *needed)
    }
}
