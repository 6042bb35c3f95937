//! The machine code of an interpreter's loop. Compilers move its unlikely parts away, and no name is left of where to: they
//! are found by the jumps that lead there and back.

use std::collections::BTreeSet;
use std::ops::Range;

use super::exports::Export;
use crate::native::elf::{ElfFile, Machine};
use crate::native::unwind::described_code;

/// Largest function that is read, in bytes. The loop has 30 to 130 KiB, and more where it is not optimised.
const MAX_CODE: u64 = 4 << 20;
/// Parts that are looked at.
const MAX_PARTS: usize = 64;

/// The loop's own code, and what was moved out of it.
pub(super) fn code(file: &ElfFile, function: Export) -> Vec<Range<u64>> {
    let own = function.address..function.address.saturating_add(function.size);
    let described = described_code(file).unwrap_or_default();
    let is_inside = |target: u64| target > own.start && target < own.end;
    let parts: BTreeSet<usize> = jumps(file, &own)
        .filter(|target| !own.contains(target))
        .filter_map(|target| {
            let after = described.partition_point(|code| code.start <= target);
            after.checked_sub(1).filter(|place| described.get(*place).is_some_and(|code| code.contains(&target)))
        })
        .take(MAX_PARTS * MAX_PARTS)
        .collect();
    let parts = parts.iter().take(MAX_PARTS).filter_map(|place| described.get(*place));
    // No other function jumps into the middle of this one.
    let moved: Vec<Range<u64>> = parts.filter(|part| jumps(file, part).any(is_inside)).cloned().collect();
    [own].into_iter().chain(moved).collect()
}

/// Where the jumps of some code lead that are not calculated. On x86_64 instructions are not told from what is in them, so
/// that some are none.
fn jumps(file: &ElfFile, code: &Range<u64>) -> impl Iterator<Item = u64> {
    let start = code.start;
    let bytes = file.code(start, (code.end - start).min(MAX_CODE)).unwrap_or_default();
    let machine = file.machine();
    (0..bytes.len()).filter_map(move |at| {
        let rest = bytes.get(at..)?;
        let (offset, behind) = match machine {
            Machine::X86_64 => x86_64(rest)?,
            Machine::Aarch64 if at % 4 == 0 => (aarch64(u32::from_le_bytes(*rest.first_chunk()?))?, 0),
            Machine::Aarch64 => return None,
        };
        start.checked_add(at as u64)?.checked_add(behind)?.checked_add_signed(offset)
    })
}

/// How far `jmp` and `jcc` with 32 bits lead, and what their ends they count from.
fn x86_64(code: &[u8]) -> Option<(i64, u64)> {
    match *code {
        [0xe9, a, b, c, d, ..] => Some((i32::from_le_bytes([a, b, c, d]).into(), 5)),
        [0x0f, 0x80..=0x8f, a, b, c, d, ..] => Some((i32::from_le_bytes([a, b, c, d]).into(), 6)),
        _ => None,
    }
}

/// How far `b`, `b.cond`, `cbz`, `cbnz`, `tbz` and `tbnz` lead.
fn aarch64(instruction: u32) -> Option<i64> {
    // The offset's lowest bit, and how many it has.
    let (shift, bits) = match instruction {
        _ if instruction & 0xfc00_0000 == 0x1400_0000 => (0, 26),
        _ if instruction & 0xff00_0010 == 0x5400_0000 => (5, 19),
        _ if instruction & 0x7e00_0000 == 0x3400_0000 => (5, 19),
        _ if instruction & 0x7e00_0000 == 0x3600_0000 => (5, 14),
        _ => return None,
    };
    let words = (instruction >> shift) << (32 - bits);
    Some(i64::from(words.cast_signed() >> (32 - bits)) * 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_are_read_as_processors_do() {
        assert_eq!(x86_64(&[0xe9, 0xfb, 0xff, 0xff, 0xff]), Some((-5, 5)));
        assert_eq!(x86_64(&[0x0f, 0x84, 0x10, 0, 0, 0]), Some((16, 6)));
        assert_eq!(x86_64(&[0xe8, 0, 0, 0, 0]), None);
        assert_eq!(x86_64(&[0xe9, 0, 0]), None);
        // b .-4; b.ne .+8; cbnz x3, .+12; tbz w0, #3, .-8; bl .+4
        let cases = [
            (0x17ff_ffff, Some(-4)),
            (0x5400_0041, Some(8)),
            (0xb500_0063, Some(12)),
            (0x361f_ffc0, Some(-8)),
            (0x9400_0001, None),
        ];
        for (instruction, offset) in cases {
            assert_eq!(aarch64(instruction), offset, "{instruction:x}");
        }
    }
}
