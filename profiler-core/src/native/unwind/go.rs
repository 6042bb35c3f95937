//! Code that Go has compiled: it keeps frame pointers, and has no `.eh_frame`.
//!
//! Its `.debug_frame`, where it was not stripped, says where the frame ends, but nothing of the frame pointer: a
//! function that has a frame of its own begins by saving it below the return address. The runtime changes stacks
//! within functions, which only the frame pointer survives.

use super::super::elf::{ElfError, ElfFile, Machine};
use super::rule::Rules;
use super::{Cfa, Found, FramePointer, Row, Rule, UnwindError, cfi};

/// As much code is read at once, in bytes.
const WINDOW: u64 = 64 << 10;

/// Whether a Go linker made it.
pub(super) fn is_go(file: &ElfFile) -> bool {
    // Of programs that are loaded anywhere the table has to be relocated.
    [".gopclntab", ".data.rel.ro.gopclntab"].iter().any(|name| file.section(name).is_some())
}

/// Adds what `.eh_frame` has left out.
pub(super) fn fill(file: &ElfFile, found: &mut Found) -> Result<(), UnwindError> {
    if file.machine() == Machine::X86_64 {
        let base = file.executable().iter().map(|segment| segment.address).min().unwrap_or_default();
        let mut text = Text { file, start: 0, bytes: Vec::new() };
        cfi::debug_frame(file, found, |rows, rules| follow_frame_pointers(rows, rules, base, &mut text))?;
    }
    let Some(section) = file.section(".text") else { return Ok(()) };
    let Some((start, end)) = found.pieces.in_code(section.address, section.size) else { return Ok(()) };
    let rule = found.rules.pack(&Rule::stop(Cfa::FrameChain));
    for (start, end) in found.pieces.gaps(start, end) {
        found.pieces.add(start, end, &[Row { pc: start, rule }])?;
    }
    Ok(())
}

/// From where on the frame pointer is set, the frame address is found from it.
fn follow_frame_pointers(rows: &mut Vec<Row>, rules: &mut Rules, base: u64, text: &mut Text<'_>) {
    let has_frame =
        |row: &Row, rules: &Rules| matches!(rules.unpack(row.rule), Some(Rule { cfa: Cfa::StackPointer(16..), .. }));
    let Some(first) = rows.iter().position(|row| has_frame(row, rules)) else { return };
    let Some(begins) = rows.get(first).map(|row| row.pc) else { return };
    let Some(set) = text.around(base + u64::from(begins)).and_then(sets_frame_pointer) else { return };
    let Some(set) = begins.checked_add(set) else { return };
    let rule = rules.pack(&Rule { frame_pointer: FramePointer::AtCfa(-16), ..Rule::x86_64(Cfa::FramePointer(16)) });
    for row in rows.iter_mut().skip(first).filter(|row| row.pc >= set) {
        if has_frame(row, rules) {
            row.rule = rule;
        }
    }
    // The row in which it is set is cut in two.
    let after = rows.partition_point(|row| row.pc < set);
    if rows.get(after).is_none_or(|row| row.pc > set) {
        rows.insert(after, Row { pc: set, rule });
    }
    rows.dedup_by_key(|row| row.rule);
}

/// How many bytes behind the instruction that made the frame the frame pointer points into it. The code begins with
/// the last byte of that instruction.
fn sets_frame_pointer(code: &[u8]) -> Option<u32> {
    match code {
        // push rbp; mov rbp, rsp
        [0x55, 0x48, 0x89, 0xe5, ..] => Some(3),
        // Before Go 1.21: sub rsp, n; mov [rsp + n - 8], rbp; lea rbp, [rsp + n - 8]
        [_, 0x48, 0x89, 0x2c, 0x24, 0x48, 0x8d, 0x2c, 0x24, ..] => Some(8),
        [_, 0x48, 0x89, 0x6c, 0x24, _, 0x48, 0x8d, 0x6c, 0x24, ..] => Some(10),
        [_, 0x48, 0x89, 0xac, 0x24, _, _, _, _, 0x48, 0x8d, 0xac, 0x24, ..] => Some(16),
        _ => None,
    }
}

/// The code, read as it is needed: functions come by rising addresses.
struct Text<'f> {
    file: &'f ElfFile,
    start: u64,
    bytes: Vec<u8>,
}

impl Text<'_> {
    /// The code from the byte before an address on, at least 16 bytes where there are as many.
    fn around(&mut self, address: u64) -> Option<&[u8]> {
        let from = address.checked_sub(1)?;
        if self.held(from).is_none_or(|bytes| bytes.len() < 16) {
            self.bytes = self.read(from).unwrap_or_default();
            self.start = from;
        }
        self.held(from)
    }

    fn held(&self, from: u64) -> Option<&[u8]> {
        self.bytes.get(usize::try_from(from.checked_sub(self.start)?).ok()?..)
    }

    fn read(&self, from: u64) -> Result<Vec<u8>, ElfError> {
        self.file.code(from, WINDOW)
    }
}
