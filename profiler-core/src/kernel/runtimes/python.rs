//! CPython's, as `bpf/python.h` reads them.

use super::packed;

/// `struct python_process`. Addresses are in the process, all else are offsets in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonProcess {
    /// The address that holds the state of the thread that runs, where there is one lock for all.
    pub current: Option<u64>,
    /// From the thread pointer to what `pthread_self()` gives.
    pub self_offset: i32,
    /// Where a thread keeps its state.
    pub slot: ThreadSlot,
    /// In a thread's state: what `pthread_self()` gave.
    pub state_thread: u16,
    /// In a thread's state: its innermost frame, or what holds it.
    pub state_frame: u16,
    /// In what the state names: the innermost frame. None: the state itself names it.
    pub loop_frame: Option<u16>,
    /// In a frame: its code object.
    pub frame_code: u16,
    /// In a frame: the one that called it.
    pub frame_back: u16,
    /// In a frame: the place in the code.
    pub frame_place: InFrame,
    /// In a frame: whether an entry of the evaluation loop ends with it.
    pub frame_entry: EntryEnd,
    /// In a code object: its name.
    pub code_name: u16,
    /// In a code object: the line in which it begins.
    pub code_line: u16,
    /// In a code object: its first instruction.
    pub code_first: u16,
    /// In a text: its hash.
    pub text_hash: u16,
}

/// Where a thread keeps its state, from what `pthread_self()` gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ThreadSlot {
    /// There.
    At(i32),
    /// In what is there.
    Behind {
        /// Where the pointer is.
        pointer: i32,
        /// The offset in what it points to.
        within: u16,
    },
}

impl ThreadSlot {
    /// Where it is, and the offset in what is there; negative where it is there itself.
    pub(super) fn split(self) -> (i32, i32) {
        match self {
            Self::At(offset) => (offset, -1),
            Self::Behind { pointer, within } => (pointer, i32::from(within)),
        }
    }
}

/// What a frame says of the place in its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InFrame {
    /// An index, of 32 bits.
    Index(u16),
    /// The address of an instruction.
    Address(u16),
}

/// How the last frame of an entry is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryEnd {
    /// Each entry has one frame.
    Each,
    /// A byte that is set in the last one.
    Marked(u16),
    /// A frame of the loop's own comes after it: a byte that says who owns a frame.
    Beyond(u16),
}

/// Words of `struct python_process`.
pub(super) const WORDS: usize = 6;

/// The map of them, by pid.
pub(super) const PROCESSES: &str = "python_processes";

impl PythonProcess {
    pub(super) fn words(&self) -> [u64; WORDS] {
        let (slot, within) = self.slot.split();
        let (place, place_kind): (u16, u8) = match self.frame_place {
            InFrame::Index(offset) => (offset, 0),
            InFrame::Address(offset) => (offset, 1),
        };
        let (entry, entry_kind): (u16, u8) = match self.frame_entry {
            EntryEnd::Each => (0, 0),
            EntryEnd::Marked(offset) => (offset, 1),
            EntryEnd::Beyond(offset) => (offset, 2),
        };
        packed(&[
            &self.current.unwrap_or(0).to_le_bytes(),
            &self.self_offset.to_le_bytes(),
            &slot.to_le_bytes(),
            &within.to_le_bytes(),
            &self.state_thread.to_le_bytes(),
            &self.state_frame.to_le_bytes(),
            &self.loop_frame.unwrap_or(u16::MAX).to_le_bytes(),
            &self.frame_code.to_le_bytes(),
            &self.frame_back.to_le_bytes(),
            &place.to_le_bytes(),
            &entry.to_le_bytes(),
            &self.code_name.to_le_bytes(),
            &self.code_line.to_le_bytes(),
            &self.code_first.to_le_bytes(),
            &self.text_hash.to_le_bytes(),
            &[entry_kind, place_kind],
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::runtimes::tests::fields;

    #[test]
    fn a_python_process_is_laid_out_as_the_kernel_reads_it() {
        let process = PythonProcess {
            current: Some(1),
            self_offset: -2,
            slot: ThreadSlot::Behind { pointer: -3, within: 4 },
            state_thread: 5,
            state_frame: 6,
            loop_frame: Some(7),
            frame_code: 8,
            frame_back: 9,
            frame_place: InFrame::Address(10),
            frame_entry: EntryEnd::Beyond(11),
            code_name: 12,
            code_line: 13,
            code_first: 14,
            text_hash: 15,
        };
        let read = fields(include_str!("../../../../bpf/python.h"), "python_process", &process.words());
        let expected = [
            ("current", 1),
            ("self", -2),
            ("slot", -3),
            ("slot_within", 4),
            ("state_thread", 5),
            ("state_frame", 6),
            ("loop_frame", 7),
            ("frame_code", 8),
            ("frame_back", 9),
            ("frame_place", 10),
            ("frame_entry", 11),
            ("code_name", 12),
            ("code_line", 13),
            ("code_first", 14),
            ("text_hash", 15),
            ("entry", 2),
            ("place", 1),
        ];
        assert_eq!(read, expected);
    }
}
