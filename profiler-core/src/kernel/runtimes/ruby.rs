//! Ruby's, as `bpf/ruby.h` reads them.

use std::ops::Range;

use super::ThreadSlot;

/// `struct ruby_process`. Ranges are of addresses in the process, all else are offsets in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RubyProcess {
    /// Ruby's own machine code.
    pub text: Range<u64>,
    /// The interpreter's loop in it.
    pub loop_code: Range<u64>,
    /// From the thread pointer to what `pthread_self()` gives.
    pub self_offset: i32,
    /// Where a thread of the system has that of Ruby.
    pub slot: ThreadSlot,
    /// In a thread: its execution context.
    pub thread_context: u16,
    /// In an execution context: its thread.
    pub context_thread: u16,
    /// From a frame to the one that called it.
    pub frame_size: u16,
}

/// Words of `struct ruby_process`.
pub(super) const WORDS: usize = 7;

/// The map of them, by pid.
pub(super) const PROCESSES: &str = "ruby_processes";

impl RubyProcess {
    pub(super) fn words(&self) -> [u64; WORDS] {
        let (slot, within) = match self.slot {
            ThreadSlot::At(offset) => (offset, -1),
            ThreadSlot::Behind { pointer, within } => (pointer, i32::from(within)),
        };
        let halves = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let pair = |low: u16, high: u16| u32::from(low) | u32::from(high) << 16;
        [
            self.text.start,
            self.text.end,
            self.loop_code.start,
            self.loop_code.end,
            halves(self.self_offset.cast_unsigned(), slot.cast_unsigned()),
            halves(within.cast_unsigned(), pair(self.thread_context, self.context_thread)),
            halves(pair(self.frame_size, 0), 0),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields in the order of `struct ruby_process`, each with its size.
    fn fields() -> Vec<(String, usize)> {
        let header = include_str!("../../../../bpf/ruby.h");
        let (_, rest) = header.split_once("struct ruby_process {").unwrap();
        let (body, _) = rest.split_once("\n};").unwrap();
        let field = |line: &str| {
            let (kind, rest) = line.trim().split_once(' ')?;
            let bits: usize = kind.get(1..)?.parse().ok()?;
            Some((rest.split_once(';')?.0.to_owned(), bits / 8))
        };
        body.lines().filter_map(field).collect()
    }

    #[test]
    fn a_ruby_process_is_laid_out_as_the_kernel_reads_it() {
        let process = RubyProcess {
            text: 1..2,
            loop_code: 3..4,
            self_offset: -5,
            slot: ThreadSlot::Behind { pointer: -6, within: 7 },
            thread_context: 8,
            context_thread: 9,
            frame_size: 10,
        };
        let bytes: Vec<u8> = process.words().iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut at = 0;
        let read: Vec<(String, i64)> = fields()
            .into_iter()
            .map(|(name, size)| {
                let mut word = [if bytes[at + size - 1] & 0x80 == 0 { 0 } else { 0xff }; 8];
                word[..size].copy_from_slice(&bytes[at..at + size]);
                at += size;
                (name, i64::from_le_bytes(word))
            })
            .collect();
        let expected = [
            ("text_start", 1),
            ("text_end", 2),
            ("loop_start", 3),
            ("loop_end", 4),
            ("self", -5),
            ("slot", -6),
            ("slot_within", 7),
            ("thread_context", 8),
            ("context_thread", 9),
            ("frame_size", 10),
            ("pad", 0),
            ("pad2", 0),
        ];
        assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value)));
        assert_eq!(at, bytes.len());
    }
}
