//! Go's, as `bpf/go.h` reads them.

use super::packed;

/// `struct go_process`: offsets in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoProcess {
    /// From the thread pointer to a thread's goroutine. None: a register holds it.
    pub thread: Option<i32>,
    /// In a goroutine: its thread.
    pub machine: u16,
    /// In a thread: the goroutine that it runs, or runs something for.
    pub current: u16,
    /// In a goroutine: its labels.
    pub labels: u16,
    /// Labels are a map, and not a list.
    pub is_map: bool,
}

/// Words of `struct go_process`.
pub(super) const WORDS: usize = 2;

/// The map of them, by pid.
pub(super) const PROCESSES: &str = "go_processes";

impl GoProcess {
    pub(super) fn words(&self) -> [u64; WORDS] {
        packed(&[
            &self.thread.unwrap_or(0).to_le_bytes(),
            &self.machine.to_le_bytes(),
            &self.current.to_le_bytes(),
            &self.labels.to_le_bytes(),
            &[u8::from(self.is_map)],
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::runtimes::tests::fields;

    #[test]
    fn a_go_process_is_laid_out_as_the_kernel_reads_it() {
        let process = GoProcess { thread: Some(-1), machine: 2, current: 3, labels: 4, is_map: true };
        let read = fields(include_str!("../../../../bpf/go.h"), "go_process", &process.words());
        let expected =
            [("thread", -1), ("machine", 2), ("current", 3), ("labels", 4), ("is_map", 1), ("pad", 0), ("pad2", 0)];
        assert_eq!(read, expected);
    }
}
