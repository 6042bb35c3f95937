//! PHP's, as `bpf/php.h` reads them.

use std::ops::Range;

use super::packed;

/// `struct php_process`. `current`, `text` and `made` are of addresses in the process, all else are offsets in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhpProcess {
    /// What names the innermost frame.
    pub current: u64,
    /// PHP's own machine code.
    pub text: Range<u64>,
    /// How the frame of the loop is left, for code that was made. None: there is no such code, or it cannot be left.
    pub made: Option<LoopFrame>,
    /// In a function: its first instruction.
    pub function_first: u16,
    /// In a function: how many instructions it has.
    pub function_count: u16,
    /// In a function: its file.
    pub function_file: u16,
    /// In a function: its first line, and its last one.
    pub function_line: u16,
}

/// Where the loop of PHP has its frame on the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoopFrame {
    /// An address in the loop where the frame is whole.
    pub place: u64,
    /// From the stack pointer there to the return address, in bytes; or from the frame pointer.
    pub to_return: u16,
    /// It is from the frame pointer.
    pub by_pointer: bool,
}

/// Words of `struct php_process`.
pub(super) const WORDS: usize = 6;

/// The map of them, by pid.
pub(super) const PROCESSES: &str = "php_processes";

impl PhpProcess {
    pub(super) fn words(&self) -> [u64; WORDS] {
        let made = self.made.unwrap_or(LoopFrame { place: 0, to_return: 0, by_pointer: false });
        packed(&[
            &self.current.to_le_bytes(),
            &self.text.start.to_le_bytes(),
            &self.text.end.to_le_bytes(),
            &made.place.to_le_bytes(),
            &made.to_return.to_le_bytes(),
            &self.function_first.to_le_bytes(),
            &self.function_count.to_le_bytes(),
            &self.function_file.to_le_bytes(),
            &self.function_line.to_le_bytes(),
            &u16::from(made.by_pointer).to_le_bytes(),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::runtimes::tests::fields;

    #[test]
    fn a_php_process_is_laid_out_as_the_kernel_reads_it() {
        let process = PhpProcess {
            current: 1,
            text: 2..3,
            made: Some(LoopFrame { place: 4, to_return: 5, by_pointer: true }),
            function_first: 6,
            function_count: 7,
            function_file: 8,
            function_line: 9,
        };
        let read = fields(include_str!("../../../../bpf/php.h"), "php_process", &process.words());
        let expected = [
            ("current", 1),
            ("text_start", 2),
            ("text_end", 3),
            ("loop_place", 4),
            ("loop_return", 5),
            ("function_first", 6),
            ("function_count", 7),
            ("function_file", 8),
            ("function_line", 9),
            ("loop_by_pointer", 1),
            ("pad", 0),
        ];
        assert_eq!(read, expected);
    }
}
