//! HotSpot's, as `bpf/hotspot.h` reads them.

use super::packed;

/// `struct hotspot_process`. Addresses are in the process, all else are offsets in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HotSpotProcess {
    /// The parts of the code cache, at most [`HotSpotProcess::HEAPS`].
    pub heaps: Vec<CodeHeap>,
    /// The interpreter's code.
    pub interpreter: std::ops::Range<u64>,
    /// A segment has two to the power of this bytes.
    pub segment_shift: u8,
    /// Bytes of a block before its blob.
    pub block_header: u8,
    /// From an interpreter's frame pointer on: the bytecode that runs.
    pub frame_place: i16,
    /// In a blob: its name.
    pub blob_name: u16,
    /// In a blob: where its code begins.
    pub blob_code: HotSpotField,
    /// In a blob: words of a frame.
    pub blob_frame: u16,
    /// In a blob: bytes of code until the frame is complete, of 16 bits or of 32.
    pub blob_complete: HotSpotField,
    /// In a compiled method's blob: the method.
    pub compiled_method: u16,
    /// In a compiled method's blob: its number among all.
    pub compiled_number: u16,
    /// In a compiled method's blob: the entry of callers who know the class.
    pub compiled_entry: HotSpotField,
    /// In a method: what does not change of it.
    pub method_const: u16,
    /// In that: bytes of bytecode.
    pub const_length: u16,
    /// In that: where the bytecode begins.
    pub const_code: u16,
}

/// A part of the code cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeHeap {
    /// Where its blocks begin.
    pub start: u64,
    /// Behind the last one that there may be.
    pub end: u64,
    /// Where each segment has a byte that leads to its block's first.
    pub segments: u64,
}

/// A field of a blob that is narrower in later versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HotSpotField {
    /// An address, or a number of 32 bits.
    Wide(u16),
    /// An offset, or a number of 16 bits.
    Narrow(u16),
}

/// Words of `struct hotspot_process`.
pub(super) const WORDS: usize = 18;

/// The map of them, by pid.
pub(super) const PROCESSES: &str = "hotspot_processes";

impl HotSpotProcess {
    /// As many parts has a code cache at most.
    pub const HEAPS: usize = 4;

    pub(super) fn words(&self) -> [u64; WORDS] {
        let (code, code_is_offset) = self.blob_code.split();
        let (entry, entry_is_offset) = self.compiled_entry.split();
        let (complete, complete_is_short) = self.blob_complete.split();
        let none = CodeHeap { start: 0, end: 0, segments: 0 };
        let heaps = self.heaps.iter().chain(std::iter::repeat(&none)).take(Self::HEAPS);
        let heaps: Vec<u8> =
            heaps.flat_map(|heap| [heap.start, heap.end, heap.segments]).flat_map(u64::to_le_bytes).collect();
        packed(&[
            &heaps,
            &self.interpreter.start.to_le_bytes(),
            &self.interpreter.end.to_le_bytes(),
            &[self.segment_shift, self.block_header],
            &[code_is_offset, entry_is_offset, complete_is_short, 0],
            &self.frame_place.to_le_bytes(),
            &self.blob_name.to_le_bytes(),
            &code.to_le_bytes(),
            &self.blob_frame.to_le_bytes(),
            &complete.to_le_bytes(),
            &self.compiled_method.to_le_bytes(),
            &self.compiled_number.to_le_bytes(),
            &entry.to_le_bytes(),
            &self.method_const.to_le_bytes(),
            &self.const_length.to_le_bytes(),
            &self.const_code.to_le_bytes(),
        ])
    }
}

impl HotSpotField {
    fn split(self) -> (u16, u8) {
        match self {
            Self::Wide(offset) => (offset, 0),
            Self::Narrow(offset) => (offset, 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::runtimes::tests::fields;

    #[test]
    fn a_hotspot_process_is_laid_out_as_the_kernel_reads_it() {
        let heap = |start| CodeHeap { start, end: start + 1, segments: start + 2 };
        let process = HotSpotProcess {
            heaps: vec![heap(10), heap(20)],
            interpreter: 1..2,
            segment_shift: 3,
            block_header: 4,
            frame_place: -64,
            blob_name: 5,
            blob_code: HotSpotField::Narrow(6),
            blob_frame: 7,
            blob_complete: HotSpotField::Narrow(8),
            compiled_method: 9,
            compiled_number: 10,
            compiled_entry: HotSpotField::Wide(11),
            method_const: 12,
            const_length: 13,
            const_code: 14,
        };
        let words = process.words();
        assert_eq!(words[..12], [10, 11, 12, 20, 21, 22, 0, 0, 0, 0, 0, 0]);
        let read = fields(include_str!("../../../../bpf/hotspot.h"), "hotspot_process", &words[12..]);
        let expected = [
            ("interpreter", 1),
            ("interpreter_end", 2),
            ("segment_shift", 3),
            ("block_header", 4),
            ("code_is_offset", 1),
            ("entry_is_offset", 0),
            ("complete_is_short", 1),
            ("pad", 0),
            ("frame_place", -64),
            ("blob_name", 5),
            ("blob_code", 6),
            ("blob_frame", 7),
            ("blob_complete", 8),
            ("compiled_method", 9),
            ("compiled_number", 10),
            ("compiled_entry", 11),
            ("method_const", 12),
            ("const_length", 13),
            ("const_code", 14),
            ("pad2", 0),
        ];
        assert_eq!(read, expected);
    }
}
