//! Stacks of locations, each once, in one piece of memory: there are hundreds of thousands, of some dozen bytes each.

use std::hash::BuildHasher;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::Hasher;
use super::pools::Stack;
use crate::pprof::packed;

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
    /// Adds the stacks of a chunk, which are packed places of `locations`, and says of each under which place it is here.
    pub(super) fn add(
        &mut self,
        frames: &[u8],
        stacks: Vec<Stack>,
        locations: &[u32],
        mut placed: impl FnMut(Stack, u32),
    ) {
        self.reserve(stacks.len());
        let mut read = 0;
        for stack in stacks {
            let start = self.bytes.len();
            while read < stack.end as usize
                && let Some(frame) = packed::number_at(frames, &mut read)
            {
                packed::push(&mut self.bytes, location(locations, frame));
            }
            let (place, is_new) = self.place(start, self.bytes.len());
            if !is_new {
                self.bytes.truncate(start);
            }
            placed(stack, place);
        }
    }

    /// As [`add`](Self::add), where there are none yet and no place of a location is greater than that of its frame: then
    /// nothing becomes longer, and the stacks are written over the frames that they are read from.
    pub(super) fn adopt(
        &mut self,
        frames: Vec<u8>,
        stacks: Vec<Stack>,
        locations: &[u32],
        mut placed: impl FnMut(Stack, u32),
    ) {
        self.bytes = frames;
        self.reserve(stacks.len());
        let (mut read, mut written) = (0, 0);
        for stack in stacks {
            let start = written;
            while read < stack.end as usize
                && let Some(frame) = packed::number_at(&self.bytes, &mut read)
            {
                packed::put(&mut self.bytes, &mut written, location(locations, frame));
            }
            let (place, is_new) = self.place(start, written);
            if !is_new {
                written = start;
            }
            placed(stack, place);
        }
        self.bytes.truncate(written);
    }

    /// Makes room at once: tables that grow by and by are there twice while they do.
    fn reserve(&mut self, stacks: usize) {
        let Self { bytes, ends, places, hasher } = self;
        places.reserve(stacks, |place| hasher.hash_one(slice(bytes, ends, *place)));
        ends.reserve(stacks);
    }

    /// The place of the stack between these places of the bytes, and whether it is new.
    fn place(&mut self, start: usize, end: usize) -> (u32, bool) {
        let Self { bytes, ends, places, hasher } = self;
        let stack = bytes.get(start..end).unwrap_or_default();
        let at = |place: &u32| slice(bytes, ends, *place);
        match places.entry(hasher.hash_one(stack), |place| at(place) == stack, |place| hasher.hash_one(at(place))) {
            Entry::Occupied(known) => (*known.get(), false),
            Entry::Vacant(new) => {
                let place = ends.len() as u32;
                new.insert(place);
                ends.push(end as u32);
                (place, true)
            }
        }
    }

    /// After the last one was added.
    pub(super) fn finish(&mut self) {
        self.places = HashTable::new();
    }

    /// What all of them take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len() + self.ends.len() * ENTRY
    }

    pub(super) fn at(&self, place: u32) -> &[u8] {
        slice(&self.bytes, &self.ends, place)
    }
}

fn location(locations: &[u32], frame: u64) -> u64 {
    let location = usize::try_from(frame).ok().and_then(|frame| locations.get(frame));
    u64::from(location.copied().unwrap_or_default())
}

/// The budget of what is kept is far below what 32 bits count.
fn slice<'b>(bytes: &'b [u8], ends: &[u32], place: u32) -> &'b [u8] {
    let place = place as usize;
    let start = place.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or_default();
    let end = ends.get(place).copied().unwrap_or_default();
    bytes.get(start as usize..end as usize).unwrap_or_default()
}
