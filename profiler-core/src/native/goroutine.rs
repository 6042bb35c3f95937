//! Which goroutine a thread of a Go program works for, and what a goroutine keeps, as Go's own machine code has it: of some
//! functions of the runtime no version and no linker leaves out anything.

use super::elf::Machine;

mod aarch64;
mod x86_64;

/// What `runtime.systemstack` says: it asks which goroutine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StackSwitch {
    pub(crate) goroutine: Goroutine,
    /// `g.m`
    pub(crate) machine: u16,
    /// `m.curg`
    pub(crate) current: u16,
}

/// Where a thread has its goroutine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goroutine {
    /// In a register.
    Register,
    /// So far from the thread pointer.
    At(i32),
    /// As far from the thread pointer as stands at this address of the file, when it runs.
    Slot(u64),
}

/// Where a goroutine has what it needs to go on: what `runtime.morestack` says, which puts it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Saved {
    /// `g.sched.sp`; behind it is the address of the next instruction.
    pub(crate) stack_pointer: u16,
    /// `g.sched.bp`
    pub(crate) frame_pointer: u16,
}

/// The stack and what belongs to it come first in a goroutine; it has some hundred bytes in all.
pub(crate) const LABELS: std::ops::Range<u16> = 64..2048;

impl StackSwitch {
    /// `code` is that of `runtime.systemstack`, at this address of the file.
    pub(crate) fn read(machine: Machine, at: u64, code: &[u8]) -> Option<Self> {
        match machine {
            Machine::X86_64 => x86_64::stack_switch(at, code),
            Machine::Aarch64 => aarch64::stack_switch(code),
        }
    }
}

/// The field of a goroutine with its labels. `code` is that of the function that sets them, at this address of the file.
pub(crate) fn labels(machine: Machine, at: u64, code: &[u8]) -> Option<u16> {
    let labels = match machine {
        Machine::X86_64 => x86_64::stored(at, code),
        Machine::Aarch64 => aarch64::stored(code),
    };
    labels.filter(|labels| LABELS.contains(labels))
}

/// `code` is that of `runtime.morestack` on x86_64.
pub(crate) fn saved(code: &[u8]) -> Option<Saved> {
    x86_64::saved(code)
}

/// Behind how many bytes of a function of x86_64 it has left the stack that it was called on.
pub(crate) fn leaves_stack(code: &[u8]) -> Option<u32> {
    x86_64::leaves_stack(code)
}

/// The one of all, if they are the same and there is one.
fn agreed(offsets: impl IntoIterator<Item = u16>) -> Option<u16> {
    let mut offsets = offsets.into_iter();
    let first = offsets.next()?;
    offsets.all(|offset| offset == first).then_some(first)
}
