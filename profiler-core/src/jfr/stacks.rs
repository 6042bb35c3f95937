//! Stacks of locations, each once, in one piece of memory: there are hundreds of thousands, of some dozen bytes each.

use std::hash::BuildHasher;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::Hasher;

/// What one takes besides its bytes.
const ENTRY: usize = 12;

/// Packed stacks by their places.
#[derive(Default)]
pub(super) struct Stacks {
    bytes: Vec<u8>,
    /// Where in the bytes each ends.
    ends: Vec<u32>,
    places: HashTable<u32>,
    hasher: Hasher,
}

impl Stacks {
    /// The place of a stack.
    pub(super) fn insert(&mut self, stack: &[u8]) -> u32 {
        let Self { bytes, ends, places, hasher } = self;
        let at = |place: &u32| slice(bytes, ends, *place);
        let hash = hasher.hash_one(stack);
        match places.entry(hash, |place| at(place) == stack, |place| hasher.hash_one(at(place))) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                let place = ends.len() as u32;
                new.insert(place);
                bytes.extend_from_slice(stack);
                ends.push(bytes.len() as u32);
                place
            }
        }
    }

    /// What all of them take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len() + self.ends.len() * ENTRY
    }

    pub(super) fn at(&self, place: u32) -> &[u8] {
        slice(&self.bytes, &self.ends, place)
    }
}

/// The budget of what is kept is far below what 32 bits count.
fn slice<'b>(bytes: &'b [u8], ends: &[u32], place: u32) -> &'b [u8] {
    let place = place as usize;
    let start = place.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or_default();
    let end = ends.get(place).copied().unwrap_or_default();
    bytes.get(start as usize..end as usize).unwrap_or_default()
}
