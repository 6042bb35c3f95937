//! Objects of a process, by tagged pointers. They are moved when memory is collected, and any word may be anything.

use super::layout::{ARRAY, ARRAY_LENGTH, Layout};
use crate::runtime::memory::ReadMemory;

/// The lowest bits of a pointer to an object (`kHeapObjectTag`), without those that mark a weak one.
const TAG: u64 = 1;
const WEAK: u64 = 2;
/// Most elements of an array that are read, and most bytes.
const MAX_ELEMENTS: u64 = 64 << 10;
const MAX_BYTES: u64 = 4 << 20;

/// The objects of a process.
#[derive(Clone, Copy)]
pub(super) struct Heap<'a> {
    pub(super) memory: &'a dyn ReadMemory,
    pub(super) layout: &'a Layout,
}

/// Whether a word is a pointer to an object.
pub(super) fn is_object(word: u64) -> bool {
    word & TAG != 0
}

/// A small number, where a word is one.
pub(super) fn number(word: u64) -> Option<i32> {
    (word as u32 == 0).then_some((word >> 32) as i32)
}

impl Heap<'_> {
    /// The address of a field.
    pub(super) fn at(object: u64, offset: u16) -> u64 {
        (object & !(TAG | WEAK)).wrapping_add(offset.into())
    }

    pub(super) fn field(&self, object: u64, offset: u16) -> Option<u64> {
        self.memory.word(Self::at(object, offset))
    }

    pub(super) fn number(&self, object: u64, offset: u16) -> Option<i32> {
        number(self.field(object, offset)?)
    }

    /// A field of 32 bits.
    pub(super) fn half(&self, object: u64, offset: u16) -> Option<u32> {
        let mut bytes = [0; 4];
        self.memory.read(Self::at(object, offset), &mut bytes).then(|| u32::from_le_bytes(bytes))
    }

    /// The type of an object; none of what is no object.
    pub(super) fn kind(&self, object: u64) -> Option<u16> {
        let map = self.field(object, 0).filter(|_| is_object(object)).filter(|map| is_object(*map))?;
        let mut bytes = [0; 2];
        self.memory.read(Self::at(map, self.layout.map_type), &mut bytes).then(|| u16::from_le_bytes(bytes))
    }

    /// A field that is an object of this type.
    pub(super) fn object(&self, of: u64, offset: u16, kind: u16) -> Option<u64> {
        self.field(of, offset).filter(|object| self.kind(*object) == Some(kind))
    }

    /// An element of an array.
    pub(super) fn element(&self, array: u64, place: u64) -> Option<u64> {
        let length = u64::try_from(self.number(array, ARRAY_LENGTH)?).ok()?;
        (place < length.min(MAX_ELEMENTS)).then(|| self.memory.word(Self::at(array, ARRAY).wrapping_add(place * 8)))?
    }

    /// The bytes of an array of bytes; of another array nonsense.
    pub(super) fn bytes(&self, array: u64) -> Option<Vec<u8>> {
        let length = u64::try_from(self.number(array, ARRAY_LENGTH)?).ok()?;
        let mut bytes = vec![0; usize::try_from(length).ok().filter(|_| length <= MAX_BYTES)?];
        self.memory.read(Self::at(array, ARRAY), &mut bytes).then_some(bytes)
    }
}
