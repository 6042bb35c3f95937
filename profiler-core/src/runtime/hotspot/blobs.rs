//! The code cache: heaps of blocks, each with a blob. A map of segments leads from any address to its block.

use super::super::memory::ReadMemory;
use super::layout::Layout;
use super::structs::Structs;
use crate::kernel::{CodeHeap, HotSpotProcess};

/// `CodeHeap::free_sentinel`
const FREE: u8 = 0xff;
/// `HOTSPOT_HOPS`
const HOPS: usize = 128;
/// Segments have 64 bytes to 4 KiB.
const SHIFTS: std::ops::RangeInclusive<u8> = 6..=12;
/// The largest code cache that HotSpot allows.
const MAX_HEAP: u64 = 2 << 30;
/// Blocks that are looked at for a few compiled methods.
const MAX_BLOCKS: usize = 4096;
const LONGEST_NAME: usize = 64;

/// The heaps of a process.
#[derive(Debug)]
pub(super) struct Blobs {
    pub(super) heaps: Vec<CodeHeap>,
    pub(super) shift: u8,
}

/// What a blob is called, by the address of its name.
pub(super) fn name(memory: &dyn ReadMemory, text: u64) -> Option<String> {
    let name = memory.terminated(text, LONGEST_NAME).and_then(|name| String::from_utf8(name).ok());
    name.filter(|name| !name.is_empty() && !name.contains(char::is_control))
}

/// Whether blobs of this name are compiled methods, or wrappers of native ones.
pub(super) fn is_compiled(name: &str) -> bool {
    ["nmethod", "native nmethod"].contains(&name)
}

impl Blobs {
    /// None where there are none (yet).
    pub(super) fn read(layout: &Layout, memory: &dyn ReadMemory, structs: &Structs) -> Option<Self> {
        let mut heaps = Vec::new();
        let mut shift = 0;
        for heap in heap_addresses(memory, structs)? {
            let at = |offset: u16| heap.checked_add(offset.into());
            let word = |space: u16, field: u16| memory.pointer(at(space)?.checked_add(field.into())?);
            let start = word(layout.heap_memory, layout.space_low_boundary)?;
            let end = word(layout.heap_memory, layout.space_high_boundary)?;
            let segments = word(layout.heap_segments, layout.space_low)?;
            shift = u8::try_from(memory.word(at(layout.heap_shift)?)? as u32).ok()?;
            if !SHIFTS.contains(&shift) || end.checked_sub(start).is_none_or(|size| size > MAX_HEAP) {
                return None;
            }
            heaps.push(CodeHeap { start, end, segments });
        }
        (!heaps.is_empty()).then_some(Self { heaps, shift })
    }

    pub(super) fn holds(&self, address: u64) -> bool {
        self.heap(address).is_some()
    }

    fn heap(&self, address: u64) -> Option<&CodeHeap> {
        self.heaps.iter().find(|heap| (heap.start..heap.end).contains(&address))
    }

    /// As `hotspot_blob` of `bpf/hotspot.h`.
    pub(super) fn at(&self, layout: &Layout, memory: &dyn ReadMemory, address: u64) -> Option<u64> {
        let heap = self.heap(address)?;
        let mut segment = (address - heap.start) >> self.shift;
        for _ in 0..HOPS {
            let back = back(memory, heap, segment)?;
            if back == 0 {
                let block = heap.start.checked_add(segment << self.shift)?;
                return block.checked_add(layout.block_header.into());
            }
            segment = segment.checked_sub(back.into())?;
        }
        None
    }

    /// Some of the compiled methods.
    pub(super) fn compiled(&self, layout: &Layout, memory: &dyn ReadMemory, most: usize) -> Vec<u64> {
        let mut found = Vec::new();
        for heap in &self.heaps {
            let mut block = heap.start;
            for _ in 0..MAX_BLOCKS {
                // Its length in segments, of 64 bits or of 32 with what else is in the word.
                let Some(length) = memory.word(block).map(|word| u64::from(word as u32)).filter(|length| *length != 0)
                else {
                    break;
                };
                let Some(blob) = block.checked_add(layout.block_header.into()) else { break };
                let is_used = back(memory, heap, (block - heap.start) >> self.shift) == Some(0);
                let text = memory.pointer(blob.wrapping_add(layout.blob_name.into()));
                if is_used && text.and_then(|text| name(memory, text)).is_some_and(|name| is_compiled(&name)) {
                    found.push(blob);
                }
                block = block.saturating_add(length << self.shift);
                if found.len() >= most || block >= heap.end {
                    break;
                }
            }
        }
        found.truncate(most);
        found
    }
}

/// How many segments its block begins before a segment; none of one that is free.
fn back(memory: &dyn ReadMemory, heap: &CodeHeap, segment: u64) -> Option<u8> {
    let mut byte = [0];
    let is_there = memory.read(heap.segments.checked_add(segment)?, &mut byte);
    Some(u8::from_le_bytes(byte)).filter(|back| is_there && *back != FREE)
}

fn heap_addresses(memory: &dyn ReadMemory, structs: &Structs) -> Option<Vec<u64>> {
    if let Ok(heap) = structs.field("CodeCache::_heap") {
        return Some(vec![memory.pointer(heap.place)?]);
    }
    let list = memory.pointer(structs.field("CodeCache::_heaps").ok()?.place)?;
    let length = structs.one_of(&["GrowableArrayBase::_len", "GenericGrowableArray::_len"]).ok()?;
    let length = usize::try_from(memory.word(list.checked_add(length.place)?)? as u32).ok()?;
    let data = memory.pointer(list.checked_add(structs.field("GrowableArray<int>::_data").ok()?.place)?)?;
    if length > HotSpotProcess::HEAPS {
        return None;
    }
    let heaps = memory.words(data, length);
    (heaps.len() == length && !heaps.contains(&0)).then_some(heaps)
}
