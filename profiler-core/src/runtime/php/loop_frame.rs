//! How the frame of the interpreter's loop is left. Machine code that opcache makes runs on that frame, with some words more
//! on the stack where the loop itself has left no room for them.

use crate::kernel::LoopFrame;
use crate::native::elf::ElfFile;
use crate::native::unwind::{Cfa, ReturnAddress, UnwindTable};
use crate::runtime::exports::Export;

/// In a loop that calls a function for each instruction, made code is such a function as well, and has a frame of its own.
/// Such a loop has some hundred bytes; one that holds its instructions has tens of thousands.
const LEAST_LOOP: u64 = 8 << 10;

/// As in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InFile(LoopFrame);

impl InFile {
    /// In a process, in which the file's addresses are moved by `bias`.
    pub(super) fn moved(self, bias: u64) -> LoopFrame {
        LoopFrame { place: self.0.place.wrapping_add(bias), ..self.0 }
    }
}

/// Where most of the loop has its frame. None where that follows from neither the stack pointer nor the frame pointer.
pub(super) fn find(file: &ElfFile, function: Export) -> Option<InFile> {
    if function.size < LEAST_LOOP {
        return None;
    }
    let table = UnwindTable::build(file).ok()?;
    let end = function.address.checked_add(function.size)?;
    let starts: Vec<u64> = table.rows.iter().map(|row| table.base + u64::from(row.pc)).collect();
    let ends = starts.iter().skip(1).copied().chain([end]);
    let of_loop = starts.iter().copied().zip(ends).filter(|(start, _)| (function.address..end).contains(start));
    let (place, _) = of_loop.max_by_key(|(start, end)| end.saturating_sub(*start))?;
    let rule = table.rule(place);
    let (frame, by_pointer) = match rule.cfa {
        Cfa::StackPointer(frame) => (frame, false),
        Cfa::FramePointer(frame) => (frame, true),
        _ => return None,
    };
    let ReturnAddress::AtCfa(back) = rule.return_address else { return None };
    Some(InFile(LoopFrame { place, to_return: u16::try_from(frame.checked_add(back)?).ok()?, by_pointer }))
}
