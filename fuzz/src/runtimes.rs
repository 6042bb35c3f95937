//! The memory of processes: a runtime's functions are named by what stands there, and that is anything.
//!
//! An input begins with what is looked at (see [`Input`]); the rest is the memory.

use std::cell::Cell;

use profiler_core::kernel::{FileRef, Frame, FrameKind};
use profiler_core::runtime::{Assumption, Instance, ReadMemory};

/// What does not hold.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// More of the memory is read than a name can take.
    #[error("{kind:?}: {bytes} bytes were read for one frame, in {reads} pieces")]
    ReadsTooMuch {
        /// Whose frame.
        kind: FrameKind,
        /// In all.
        bytes: usize,
        /// How often.
        reads: usize,
    },
    /// More functions than compilers inline into each other.
    #[error("{kind:?}: one frame has {functions} functions")]
    TooMany {
        /// Whose frame.
        kind: FrameKind,
        /// Of the frame.
        functions: usize,
    },
    /// A text that is longer than what it is made of may be.
    #[error("{kind:?}: a function has a text of {length} bytes")]
    TooLong {
        /// Whose frame.
        kind: FrameKind,
        /// In bytes.
        length: usize,
    },
}

const KINDS: [FrameKind; 7] = [
    FrameKind::Python,
    FrameKind::HotSpot,
    FrameKind::V8,
    FrameKind::Ruby,
    FrameKind::Perl,
    FrameKind::Php,
    FrameKind::DotNet,
];
/// What is read for a runtime and one of its frames: most of all the source of a script of V8, or the code that a JVM has.
const MOST_BYTES: usize = 256 << 20;
const MOST_READS: usize = 4 << 20;
const MOST_FUNCTIONS: usize = 4096;
const LONGEST: usize = 64 << 10;

/// What an input says first: 44 bytes.
struct Input<'i> {
    assumption: Assumption,
    frame: Frame,
    memory: Memory<'i>,
}

/// Addresses are places in the input, again and again: each leads somewhere. Those beyond are not there.
struct Memory<'i> {
    bytes: &'i [u8],
    end: u64,
    /// Bytes and pieces.
    read: Cell<(usize, usize)>,
}

impl ReadMemory for Memory<'_> {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        let (bytes, reads) = self.read.get();
        self.read.set((bytes.saturating_add(into.len()), reads + 1));
        let length = self.bytes.len() as u64;
        let Some(end) = address.checked_add(into.len() as u64).filter(|end| length > 0 && *end <= self.end) else {
            return false;
        };
        for (place, byte) in (address..end).zip(into) {
            *byte = self.bytes.get((place % length) as usize).copied().unwrap_or(0);
        }
        true
    }
}

impl<'i> Input<'i> {
    fn parse(mut input: &'i [u8]) -> Option<Self> {
        let [kind, layout, repeats, flags] = take(&mut input)?;
        let kind = *KINDS.get(usize::from(kind) % KINDS.len())?;
        let mut word = || Some(u64::from_le_bytes(take(&mut input)?));
        let found = [word()?, word()?, word()?];
        let address = word()?;
        let place = u32::from_le_bytes(take(&mut input)?);
        let check = u16::from_le_bytes(take(&mut input)?);
        let _even: [u8; 2] = take(&mut input)?;
        let frame = Frame { address, file: FileRef(0), place, check, kind, caller: flags & 1 != 0, by_pointer: false };
        let end = (input.len() as u64).saturating_mul(u64::from(repeats) * u64::from(repeats) + 1);
        let memory = Memory { bytes: input, end, read: Cell::default() };
        Some(Self { assumption: Assumption { kind, layout, found }, frame, memory })
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

/// Whether everything holds that must hold for any memory. A panic is a failure too, and comes through.
///
/// # Errors
/// The first thing that does not hold.
pub fn check(input: &[u8]) -> Result<(), Broken> {
    measured(input).map(|_| ())
}

/// As [`check`]; in how many pieces the memory was read, and how many functions the frame has.
///
/// # Errors
/// As [`check`].
pub fn measured(input: &[u8]) -> Result<(usize, usize), Broken> {
    let Some(Input { assumption, frame, memory }) = Input::parse(input) else { return Ok((0, 0)) };
    let kind = frame.kind;
    let (mut functions, mut length) = (0, 0);
    if let Some(instance) = Instance::assumed(assumption, &memory) {
        instance.functions(&memory, &frame, &mut |function| {
            functions += 1;
            length = length.max(function.name.len()).max(function.system_name.len()).max(function.file.len());
        });
    }
    if functions > MOST_FUNCTIONS {
        return Err(Broken::TooMany { kind, functions });
    }
    if length > LONGEST {
        return Err(Broken::TooLong { kind, length });
    }
    let (bytes, reads) = memory.read.get();
    if bytes > MOST_BYTES || reads > MOST_READS {
        return Err(Broken::ReadsTooMuch { kind, bytes, reads });
    }
    Ok((reads, functions))
}
