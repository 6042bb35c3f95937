//! Texts of a process: `String` and those derived from it (`string.tq`).

use std::ops::Range;

use super::heap::Heap;

/// `kStringRepresentationMask` and its values, and `kStringEncodingMask` (instance-type.h): the same in all versions.
const REPRESENTATION: u16 = 7;
const SEQUENTIAL: u16 = 0;
const CONCATENATED: u16 = 1;
const EXTERNAL: u16 = 2;
const SLICED: u16 = 3;
const THIN: u16 = 5;
const ONE_BYTE: u16 = 8;
/// Of an external text: its characters' place is not kept in it.
const UNCACHED: u16 = 16;
/// Texts within each other, and in all: each of them may be two of others.
const MAX_DEPTH: u32 = 32;
const MAX_PARTS: u32 = 4096;

/// A text's characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Characters(Vec<u16>);

impl Characters {
    pub(super) fn units(&self) -> &[u16] {
        &self.0
    }
}

impl std::fmt::Display for Characters {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        char::decode_utf16(self.0.iter().copied())
            .try_for_each(|character| write!(formatter, "{}", character.unwrap_or(char::REPLACEMENT_CHARACTER)))
    }
}

/// The text of an object, up to so many characters; none of any other object.
pub(super) fn read(heap: Heap<'_>, object: u64, longest: usize) -> Option<Characters> {
    part(heap, object, 0..longest)
}

/// These characters of it, or as many as are there.
pub(super) fn part(heap: Heap<'_>, object: u64, part: Range<usize>) -> Option<Characters> {
    let mut found = Vec::new();
    let mut parts = MAX_PARTS;
    append(heap, object, part, &mut found, MAX_DEPTH, &mut parts)?;
    Some(Characters(found))
}

/// Whether an object is a text.
pub(super) fn is_text(heap: Heap<'_>, object: u64) -> bool {
    heap.kind(object).is_some_and(|kind| kind < heap.layout.types.first_other_than_text)
}

/// Appends a part of a text, by its characters.
fn append(
    heap: Heap<'_>,
    object: u64,
    part: Range<usize>,
    found: &mut Vec<u16>,
    depth: u32,
    parts: &mut u32,
) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    *parts = parts.checked_sub(1)?;
    let layout = &heap.layout.text;
    let kind = heap.kind(object).filter(|kind| *kind < heap.layout.types.first_other_than_text)?;
    let length = usize::try_from(heap.half(object, layout.length)?).ok()?;
    let part = part.start..part.end.min(length);
    if part.is_empty() {
        return Some(());
    }
    match kind & REPRESENTATION {
        SEQUENTIAL => characters(heap, Heap::at(object, layout.characters), kind, part, found),
        EXTERNAL if kind & UNCACHED == 0 => characters(heap, heap.field(object, layout.external)?, kind, part, found),
        THIN => append(heap, heap.field(object, layout.actual)?, part, found, depth, parts),
        SLICED => {
            let from = usize::try_from(heap.number(object, layout.offset)?).ok()?;
            let part = part.start.checked_add(from)?..part.end.checked_add(from)?;
            append(heap, heap.field(object, layout.parent)?, part, found, depth, parts)
        }
        CONCATENATED => {
            let first = heap.field(object, layout.first)?;
            let length = usize::try_from(heap.half(first, layout.length)?).ok()?;
            append(heap, first, part.start.min(length)..part.end.min(length), found, depth, parts)?;
            let rest = part.start.saturating_sub(length)..part.end.saturating_sub(length);
            append(heap, heap.field(object, layout.second)?, rest, found, depth, parts)
        }
        _ => None,
    }
}

fn characters(heap: Heap<'_>, address: u64, kind: u16, part: Range<usize>, found: &mut Vec<u16>) -> Option<()> {
    let size = if kind & ONE_BYTE == 0 { 2 } else { 1 };
    let mut bytes = vec![0; part.len().checked_mul(size)?];
    let from = u64::try_from(part.start.checked_mul(size)?).ok()?;
    heap.memory.read(address.wrapping_add(from), &mut bytes).then_some(())?;
    if size == 1 {
        found.extend(bytes.iter().map(|byte| u16::from(*byte)));
    } else {
        found.extend(bytes.as_chunks().0.iter().map(|unit| u16::from_le_bytes(*unit)));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::assumed;
    use super::*;
    use crate::runtime::memory::ReadMemory;

    /// Objects of 32 bytes, after one with all types: a text of one character, and those that are two of the one before.
    struct Doubled {
        bytes: Vec<u8>,
        reads: Cell<usize>,
    }

    const SIZE: u64 = 32;
    /// Where the maps are, which say the types.
    const OF_ONE: u64 = 1 << 16;
    const OF_TWO: u64 = OF_ONE + SIZE;

    impl Doubled {
        fn of(doublings: u64) -> Self {
            let mut bytes = vec![0; (OF_TWO + SIZE) as usize];
            let mut put = |at: u64, word: u64| bytes[at as usize..][..8].copy_from_slice(&word.to_le_bytes());
            let known = assumed::known(2).unwrap();
            let layout = &known.layout.text;
            put(OF_ONE + 8, u64::from(SEQUENTIAL | ONE_BYTE) << 32);
            put(OF_TWO + 8, u64::from(CONCATENATED) << 32);
            assert_eq!((known.layout.map_type, layout.length), (12, 12));
            put(0, OF_ONE | 1);
            put(8, 1 << 32);
            put(layout.characters.into(), b'a'.into());
            for number in 1..=doublings {
                let (at, before) = (number * SIZE, ((number - 1) * SIZE) | 1);
                put(at, OF_TWO | 1);
                put(at + 8, 1 << number << 32);
                put(at + u64::from(layout.first), before);
                put(at + u64::from(layout.second), before);
            }
            Self { bytes, reads: Cell::new(0) }
        }
    }

    impl ReadMemory for Doubled {
        fn read(&self, address: u64, into: &mut [u8]) -> bool {
            self.reads.set(self.reads.get() + 1);
            let part = usize::try_from(address).ok().and_then(|from| self.bytes.get(from..)?.get(..into.len()));
            part.map(|part| into.copy_from_slice(part)).is_some()
        }
    }

    #[test]
    fn a_text_of_very_many_parts_is_none() {
        let read_doubled = |doublings: u64| {
            let memory = Doubled::of(doublings);
            let known = assumed::known(2).unwrap();
            let heap = Heap { memory: &memory, layout: &known.layout };
            let text = read(heap, (doublings * SIZE) | 1, 1 << 20).map(|text| text.to_string());
            (text, memory.reads.get())
        };
        assert_eq!(read_doubled(3).0.as_deref(), Some("aaaaaaaa"));
        let (text, reads) = read_doubled(20);
        assert_eq!(text, None);
        assert!(reads < 50_000, "{reads}");
    }
}
