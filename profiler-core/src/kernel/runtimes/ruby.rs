//! Ruby's, as `bpf/ruby.h` reads them.

use std::ops::Range;

use super::{ThreadSlot, packed};

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
        let (slot, within) = self.slot.split();
        packed(&[
            &self.text.start.to_le_bytes(),
            &self.text.end.to_le_bytes(),
            &self.loop_code.start.to_le_bytes(),
            &self.loop_code.end.to_le_bytes(),
            &self.self_offset.to_le_bytes(),
            &slot.to_le_bytes(),
            &within.to_le_bytes(),
            &self.thread_context.to_le_bytes(),
            &self.context_thread.to_le_bytes(),
            &self.frame_size.to_le_bytes(),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::runtimes::tests::fields;

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
        let read = fields(include_str!("../../../../bpf/ruby.h"), "ruby_process", &process.words());
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
        assert_eq!(read, expected);
    }
}
