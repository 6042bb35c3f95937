//! Procedure linkage tables that their linker did not describe: LLVM's never does, nor any on aarch64.

use super::super::elf::{ElfFile, Machine, Section};
use super::rows::Function;
use super::{Cfa, Found, FramePointer, ReturnAddress, Row, Rule, UnwindError};

/// As many bytes are looked at: the first entry and the second.
const LOOKED_AT: u64 = 32;

/// Adds rows for tables whose entries are recognised.
pub(super) fn without_description(file: &ElfFile, found: &mut Found) -> Result<(), UnwindError> {
    for name in [".plt", ".plt.sec", ".plt.got", ".iplt"] {
        let Some(section) = file.section(name) else { continue };
        let Some((start, end)) = found.pieces.in_code(section.address, section.size) else { continue };
        if found.pieces.gaps(start, end) != [(start, end)] {
            continue;
        }
        let rules = match file.machine() {
            Machine::X86_64 => x86_64(&first_bytes(file, section)?),
            Machine::Aarch64 => aarch64(&first_bytes(file, section)?),
        };
        let mut rows = Vec::new();
        for (offset, rule) in rules {
            if let Some(pc) = start.checked_add(offset).filter(|pc| *pc < end) {
                rows.push(Row { pc, rule: found.rules.pack(&rule) });
            }
        }
        found.pieces.add(&Function { start, end, rows })?;
    }
    Ok(())
}

fn first_bytes(file: &ElfFile, section: &Section) -> Result<Vec<u8>, UnwindError> {
    Ok(file.code(section.address, LOOKED_AT.min(section.size))?)
}

/// At which offset each rule begins to hold.
type Rules = Vec<(u32, Rule)>;

fn x86_64(code: &[u8]) -> Rules {
    let at_call = Rule::x86_64(Cfa::StackPointer(8));
    let entry = |pushed| Rule::x86_64(Cfa::Plt(pushed));
    // The first entry of a lazy table pushes a second word and jumps to the loader; each other one pushes its number
    // and jumps there.
    let first = [(0, Rule::x86_64(Cfa::StackPointer(16))), (6, Rule::x86_64(Cfa::StackPointer(24)))];
    match code {
        // push; jmp
        [0xff, 0x35, ..] => match code.get(16..) {
            // jmp; push
            Some([0xff, 0x25, _, _, _, _, 0x68, ..]) => [&first[..], &[(16, entry(11))]].concat(),
            // endbr64; push
            Some([0xf3, 0x0f, 0x1e, 0xfa, 0x68, ..]) => [&first[..], &[(16, entry(9))]].concat(),
            _ => Vec::new(),
        },
        // jmp, with or without an endbr64 before it
        [0xff, 0x25, ..]
        | [0xf3, 0x0f, 0x1e, 0xfa, 0xff, 0x25, ..]
        | [0xf3, 0x0f, 0x1e, 0xfa, 0xf2, 0xff, 0x25, ..] => {
            vec![(0, at_call)]
        }
        _ => Vec::new(),
    }
}

fn aarch64(code: &[u8]) -> Rules {
    const BTI_C: [u8; 4] = 0xd503_245f_u32.to_le_bytes();
    /// `stp x16, x30, [sp, #-16]!`
    const PUSH: [u8; 4] = 0xa9bf_7bf0_u32.to_le_bytes();
    let at_call = Rule {
        cfa: Cfa::StackPointer(0),
        frame_pointer: FramePointer::Unchanged,
        return_address: ReturnAddress::LinkRegister,
    };
    let pushed = Rule { cfa: Cfa::StackPointer(16), return_address: ReturnAddress::AtCfa(-8), ..at_call };
    let behind_push = match code.as_chunks::<4>().0 {
        [PUSH, ..] => 4,
        [BTI_C, PUSH, ..] => 8,
        _ => return vec![(0, at_call)],
    };
    vec![(0, at_call), (behind_push, pushed), (32, at_call)]
}
