//! Perl's, as `bpf/perl.h` reads them.

use super::packed;

/// `struct perl_process`. `main` is an address in the process, all else are offsets in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerlProcess {
    /// What names the main thread's interpreter.
    pub main: u64,
    /// Where a thread has its interpreter, from the thread pointer. None: only that of the main thread is known.
    pub slot: Option<i32>,
    /// In an interpreter: the last place in the source that was passed.
    pub operation: u16,
    /// In an interpreter: the stack of arguments.
    pub stack: u16,
    /// In an interpreter: the stack of contexts.
    pub contexts: u16,
}

/// Words of `struct perl_process`.
pub(super) const WORDS: usize = 3;

/// The map of them, by pid.
pub(super) const PROCESSES: &str = "perl_processes";

impl PerlProcess {
    pub(super) fn words(&self) -> [u64; WORDS] {
        packed(&[
            &self.main.to_le_bytes(),
            &self.slot.unwrap_or(0).to_le_bytes(),
            &self.operation.to_le_bytes(),
            &self.stack.to_le_bytes(),
            &self.contexts.to_le_bytes(),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::runtimes::tests::fields;

    #[test]
    fn a_perl_process_is_laid_out_as_the_kernel_reads_it() {
        let process = PerlProcess { main: 1, slot: Some(-2), operation: 3, stack: 4, contexts: 5 };
        let read = fields(include_str!("../../../../bpf/perl.h"), "perl_process", &process.words());
        let expected =
            [("main", 1), ("slot", -2), ("operation", 3), ("stack", 4), ("contexts", 5), ("pad", 0), ("pad2", 0)];
        assert_eq!(read, expected);
    }
}
