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
/// Texts within each other.
const MAX_DEPTH: u32 = 32;

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
    append(heap, object, part, &mut found, MAX_DEPTH)?;
    Some(Characters(found))
}

/// Whether an object is a text.
pub(super) fn is_text(heap: Heap<'_>, object: u64) -> bool {
    heap.kind(object).is_some_and(|kind| kind < heap.layout.types.first_other_than_text)
}

/// Appends a part of a text, by its characters.
fn append(heap: Heap<'_>, object: u64, part: Range<usize>, found: &mut Vec<u16>, depth: u32) -> Option<()> {
    let depth = depth.checked_sub(1)?;
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
        THIN => append(heap, heap.field(object, layout.actual)?, part, found, depth),
        SLICED => {
            let from = usize::try_from(heap.number(object, layout.offset)?).ok()?;
            let part = part.start.checked_add(from)?..part.end.checked_add(from)?;
            append(heap, heap.field(object, layout.parent)?, part, found, depth)
        }
        CONCATENATED => {
            let first = heap.field(object, layout.first)?;
            let length = usize::try_from(heap.half(first, layout.length)?).ok()?;
            append(heap, first, part.start.min(length)..part.end.min(length), found, depth)?;
            let rest = part.start.saturating_sub(length)..part.end.saturating_sub(length);
            append(heap, heap.field(object, layout.second)?, rest, found, depth)
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
